// SPDX-License-Identifier: GPL-2.0-or-later
#include "stats.h"

#include <math.h>
#include <stdlib.h>

double stats_normal_sf(double z)
{
	return 0.5 * erfc(z / M_SQRT2);
}

/* Upper regularized incomplete gamma: series below a + 1, continued fraction above. */
static double gamma_q(double a, double x)
{
	double front = exp(a * log(x) - x - lgamma(a));

	if (x < a + 1) {
		double term = 1 / a, sum = term;

		for (int i = 1; i < 1000 && term > sum * 1e-16; i++)
			sum += term *= x / (a + i);
		return 1 - sum * front;
	}
	/* Lentz's method */
	double b = x + 1 - a, c = 1e300, d = 1 / b, h = d;

	for (int i = 1; i < 1000; i++) {
		double an = -i * (i - a), delta;

		b += 2;
		d = 1 / (an * d + b);
		c = b + an / c;
		delta = c * d;
		h *= delta;
		if (fabs(delta - 1) < 1e-15)
			break;
	}
	return front * h;
}

double stats_chi2_sf(double x, double df)
{
	if (!(df >= 1))
		return NAN;
	if (!(x > 0))
		return 1;
	return gamma_q(df / 2, x / 2);
}

/* The continued fraction of the incomplete beta function, by Lentz's method. */
static double beta_fraction(double a, double b, double x)
{
	const double tiny = 1e-300;
	double c = 1, d = 1 - (a + b) * x / (a + 1), h;

	d = 1 / (fabs(d) < tiny ? tiny : d);
	h = d;
	for (int m = 1; m < 10000; m++) {
		double n = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), delta;

		d = 1 + n * d;
		c = 1 + n / c;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = fabs(c) < tiny ? tiny : c;
		h *= d * c;
		n = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		d = 1 + n * d;
		c = 1 + n / c;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = fabs(c) < tiny ? tiny : c;
		delta = d * c;
		h *= delta;
		if (fabs(delta - 1) < 1e-15)
			break;
	}
	return h;
}

double stats_beta_inc(double a, double b, double x)
{
	double front;

	if (!(a > 0) || !(b > 0) || !(x >= 0) || !(x <= 1))
		return NAN;
	if (x == 0 || x == 1)
		return x;
	front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(a, b, x) / a;
	return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double stats_binom_ge(double k, double n, double p)
{
	if (!(p >= 0 && p <= 1) || !(n >= 0))
		return NAN;
	if (k <= 0)
		return 1;
	if (k > n)
		return 0;
	return stats_beta_inc(k, n - k + 1, p);
}

double stats_binom_le(double k, double n, double p)
{
	if (!(p >= 0 && p <= 1) || !(n >= 0))
		return NAN;
	if (k < 0)
		return 0;
	if (k >= n)
		return 1;
	return stats_beta_inc(n - k, k + 1, 1 - p);
}

struct range stats_wilson(double x, double n, double z)
{
	if (!(n > 0))
		return (struct range){ 0, 1 };
	double p = x / n, z2 = z * z, scale = 1 + z2 / n, mid = (p + z2 / (2 * n)) / scale;
	double half = z / scale * sqrt(p * (1 - p) / n + z2 / (4 * n * n));

	return (struct range){ x <= 0 ? 0 : fmax(0, mid - half), x >= n ? 1 : fmin(1, mid + half) };
}

/* The x at which I_x(a, b) is q, by bisection: monotone, and 60 steps exhaust a double. */
static double beta_quantile(double a, double b, double q)
{
	double low = 0, high = 1;

	for (int i = 0; i < 60; i++) {
		double mid = (low + high) / 2;

		if (stats_beta_inc(a, b, mid) < q)
			low = mid;
		else
			high = mid;
	}
	return (low + high) / 2;
}

struct range stats_clopper_pearson(double x, double n, double alpha)
{
	if (!(n > 0))
		return (struct range){ 0, 1 };
	return (struct range){ x <= 0 ? 0 : beta_quantile(x, n - x + 1, alpha / 2),
				  x >= n ? 1 : beta_quantile(x + 1, n - x, 1 - alpha / 2) };
}

struct range stats_newcombe(double x1, double n1, double x2, double n2, double z)
{
	struct range a = stats_wilson(x1, n1, z), b = stats_wilson(x2, n2, z);
	double p1 = n1 > 0 ? x1 / n1 : 0, p2 = n2 > 0 ? x2 / n2 : 0, d = p1 - p2;

	if (!(n1 > 0) || !(n2 > 0))
		return (struct range){ -1, 1 };
	return (struct range){ d - sqrt((p1 - a.low) * (p1 - a.low) + (b.high - p2) * (b.high - p2)),
				  d + sqrt((a.high - p1) * (a.high - p1) + (p2 - b.low) * (p2 - b.low)) };
}

static double log_choose(double n, double k)
{
	return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

double stats_fisher(unsigned a, unsigned b, unsigned c, unsigned d)
{
	double row = (double)a + b, column = (double)a + c, n = row + c + d;
	double all = log_choose(n, row), p = 0, top = fmin(row, column);

	for (double k = a; k <= top; k++)
		p += exp(log_choose(column, k) + log_choose(n - column, row - k) - all);
	return fmin(p, 1);
}

double stats_g(double a, double b, double c, double d)
{
	double o[4] = { a, b, c, d }, n = a + b + c + d, g = 0;
	double e[4] = { (a + b) * (a + c), (a + b) * (b + d), (c + d) * (a + c), (c + d) * (b + d) };

	for (int i = 0; i < 4; i++) {
		if (!(e[i] > 0))
			return 0;
		if (o[i] > 0)
			g += o[i] * log(o[i] * n / e[i]);
	}
	return fmax(0, 2 * g);
}

int stats_by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double stats_mann_whitney(double *x, size_t nx, double *y, size_t ny, double *z)
{
	double u = 0, ties = 0, n = (double)nx + ny, all = (double)nx * ny;
	size_t i = 0, j = 0;

	if (!nx || !ny)
		return NAN;
	qsort(x, nx, sizeof(*x), stats_by_value);
	qsort(y, ny, sizeof(*y), stats_by_value);
	while (i < nx || j < ny) {
		double v = j >= ny || (i < nx && x[i] < y[j]) ? x[i] : y[j];
		size_t below = j, same_x = 0, same_y = 0, t;

		for (; i < nx && x[i] == v; i++)
			same_x++;
		for (; j < ny && y[j] == v; j++)
			same_y++;
		u += same_x * (below + same_y / 2.0);
		t = same_x + same_y;
		ties += (double)t * t * t - t;
		if (!t) /* not a number: unordered */
			return NAN;
	}
	if (z) {
		double var = all / 12 * (n + 1 - ties / (n * (n - 1)));

		*z = var > 0 ? (u - all / 2) / sqrt(var) : 0;
	}
	return u / all;
}

double stats_ks(double *x, size_t nx, double *y, size_t ny, double *p)
{
	double d = 0, root, lambda, sum = 0, sign = 1;
	size_t i = 0, j = 0;

	if (!nx || !ny)
		return NAN;
	qsort(x, nx, sizeof(*x), stats_by_value);
	qsort(y, ny, sizeof(*y), stats_by_value);
	while (i < nx && j < ny) {
		double v = x[i] < y[j] ? x[i] : y[j];

		while (i < nx && x[i] <= v)
			i++;
		while (j < ny && y[j] <= v)
			j++;
		d = fmax(d, fabs((double)i / nx - (double)j / ny));
	}
	if (!p)
		return d;
	root = sqrt((double)nx * ny / (nx + ny));
	lambda = root * d;
	*p = 1;
	if (lambda < 0.2) /* the series does not converge there, and p is 1 to 15 digits */
		return d;
	for (int k = 1; k <= 100; k++, sign = -sign) {
		double term = exp(-2.0 * k * k * lambda * lambda);

		sum += sign * term;
		if (term < 1e-17)
			break;
	}
	*p = fmin(1, fmax(0, 2 * sum));
	return d;
}

const double seq_drop[SEQ_ALTS] = { 0.05, 0.25, 0.8 };

#define SEQ_EVERY 8
#define SEQ_SUM	  3.5 /* sum over j of 1 / ((j + 1) ln^2(j + 2)) is 3.39 */

void seq_init(struct seq_test *s)
{
	for (int i = 0; i < SEQ_ALTS; i++) {
		s->log_sum[i] = -INFINITY;
		s->llr[i] = 0;
	}
	s->starts = s->trials = 0;
}

void seq_day(struct seq_test *s)
{
	s->starts = 0;
}

static double log_add(double a, double b)
{
	double top = fmax(a, b), low = fmin(a, b);

	return isinf(low) ? top : top + log1p(exp(low - top));
}

static void start(struct seq_test *s)
{
	double l = log(s->starts + 2.0), weight = -log(SEQ_SUM * (s->starts + 1.0) * l * l);

	for (int i = 0; i < SEQ_ALTS; i++)
		s->log_sum[i] = log_add(s->log_sum[i], weight);
	s->starts += s->starts < UINT32_MAX;
}

/*
 * A share between 0 and 1 takes the ratio's logarithm in proportion. That is
 * convex in x, hence at most the mixture of the ends: its mean under the null
 * stays at most 1. So it does when raised to a power (weight) below 1.
 */
void seq_add(struct seq_test *s, double x, double p0, double weight)
{
	if (s->trials++ % SEQ_EVERY == 0)
		start(s);
	for (int i = 0; i < SEQ_ALTS; i++) {
		double p1 = p0 + (1 - p0) * seq_drop[i];

		s->llr[i] = weight * (x * log(p1 / p0) + (1 - x) * log((1 - p1) / (1 - p0)));
		s->log_sum[i] += s->llr[i];
	}
}

double seq_log_value(const struct seq_test *s)
{
	double sum = s->log_sum[0];

	for (int i = 1; i < SEQ_ALTS; i++)
		sum = log_add(sum, s->log_sum[i]);
	return sum - log(SEQ_ALTS);
}

unsigned seq_best(const struct seq_test *s)
{
	unsigned best = 0;

	for (unsigned i = 1; i < SEQ_ALTS; i++)
		if (s->log_sum[i] > s->log_sum[best])
			best = i;
	return best;
}

double seq_need(double drop, double p0, double log_threshold)
{
	double q = p0 + (1 - p0) * drop, best = 0;

	for (int i = 0; i < SEQ_ALTS; i++) {
		double p1 = p0 + (1 - p0) * seq_drop[i];
		double mean = q * log(p1 / p0) + (1 - q) * log((1 - p1) / (1 - p0));

		best = fmax(best, mean);
	}
	return best > 0 ? (log_threshold + log(SEQ_ALTS)) / best : INFINITY;
}
