// SPDX-License-Identifier: GPL-2.0-or-later
#include "rate_shape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BINS_MAX     512
#define BIN_S	     .25
#define BIN_PACKETS  16 /* a bin holds so many on average, or is longer */
#define WINDOW	     6	/* bins in a steady window */
#define WINDOW_CV    .12
#define LINE_MIN_S   1.5 /* all straight stretches together */
#define STRETCH_S    .6
#define STRETCHES    16
#define PACKET	     1514.0

struct stretch {
	unsigned from, to; /* packets */
	double t0, t1;
};

static int by_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, unsigned n)
{
	if (!n)
		return NAN;
	qsort(v, n, sizeof(*v), by_double);
	return n & 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* The rate that most steady windows agree on, 0 if none. */
static double steady_rate(const struct fit_packet *p, unsigned n, double *bin_s)
{
	double bin[BINS_MAX] = { 0 }, mean[BINS_MAX];
	double span = p[n - 1].t - p[0].t, width = fmax(BIN_S, span * BIN_PACKETS / n), best = 0;
	unsigned bins, k = 0, most = 0;

	if (span <= 0)
		return 0;
	width = fmax(width, span / BINS_MAX);
	bins = (unsigned)(span / width); /* whole ones */
	*bin_s = width;
	if (bins < WINDOW)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned b = (unsigned)((p[i].t - p[0].t) / width);

		if (!p[i].lost && b < bins)
			bin[b] += p[i].len;
	}
	for (unsigned i = 0; i + WINDOW <= bins; i++) {
		double sum = 0, sq = 0, m;

		for (unsigned j = i; j < i + WINDOW; j++) {
			sum += bin[j];
			sq += bin[j] * bin[j];
		}
		m = sum / WINDOW;
		if (m > 0 && sqrt(fmax(sq / WINDOW - m * m, 0)) <= WINDOW_CV * m)
			mean[k++] = m / width;
	}
	for (unsigned i = 0; i < k; i++) {
		unsigned same = 0;

		for (unsigned j = 0; j < k; j++)
			same += fabs(mean[j] / mean[i] - 1) < .03;
		/* Of equals the higher: a shaper's limit is what is never passed. */
		if (same > most || (same == most && mean[i] > best)) {
			most = same;
			best = mean[i];
		}
	}
	return best;
}

/* Stretches where the bytes follow a line of that rate. */
static unsigned stretches(const struct fit_packet *p, unsigned n, double rate, double grain,
			  double shortest, struct stretch *s)
{
	double band = 2 * (grain + rate * .004), d = 0, low = 0, high = 0, last = p[0].t;
	unsigned k = 0, from = 0;

	for (unsigned i = 0; i <= n; i++) {
		bool ends = i == n;

		if (!ends) {
			if (p[i].lost)
				continue;
			d += p[i].len - rate * (p[i].t - last);
			last = p[i].t;
			ends = fmax(high, d) - fmin(low, d) > band;
		}
		if (!ends) {
			low = fmin(low, d);
			high = fmax(high, d);
			continue;
		}
		if (i > from && p[i - 1].t - p[from].t >= shortest) {
			if (k == STRETCHES) {
				memmove(s, s + 1, (STRETCHES - 1) * sizeof(*s));
				k--;
			}
			s[k++] = (struct stretch){ from, i, p[from].t, p[i - 1].t };
		}
		from = i;
		low = high = d;
	}
	return k;
}

/* Least squares through each stretch, weighted by length. */
static double line_rate(const struct fit_packet *p, const struct stretch *s, unsigned k,
			double *residual)
{
	double num = 0, den = 0, sq = 0;
	unsigned count = 0;

	for (unsigned i = 0; i < k; i++) {
		double st = 0, sa = 0, stt = 0, sta = 0, a = 0, r;
		unsigned m = 0;

		for (unsigned j = s[i].from; j < s[i].to; j++) {
			double t = p[j].t - s[i].t0;

			if (p[j].lost)
				continue;
			a += p[j].len;
			st += t;
			sa += a;
			stt += t * t;
			sta += t * a;
			m++;
		}
		r = m * stt - st * st;
		if (m < 8 || r <= 0)
			continue;
		r = (m * sta - st * sa) / r;
		num += r * pow(s[i].t1 - s[i].t0, 3);
		den += pow(s[i].t1 - s[i].t0, 3);
		a = 0;
		for (unsigned j = s[i].from; j < s[i].to; j++) {
			if (p[j].lost)
				continue;
			a += p[j].len;
			sq += pow(a - (sa / m - r * st / m) - r * (p[j].t - s[i].t0), 2);
			count++;
		}
	}
	*residual = count ? sqrt(sq / count) : NAN;
	return den > 0 ? num / den : 0;
}

/*
 * Backlog of a queue drained at the line's rate: what the bucket gave beyond it.
 * Where the line begins, it is the bucket's size.
 */
static void bursts(const struct fit_packet *p, unsigned n, const struct stretch *s, unsigned k,
		   bool whole, struct shape *out)
{
	double size[STRETCHES], q = 0, last = p[0].t, low_t = p[0].t, climbed = 0, climb_s = 0;
	unsigned at = 0, sizes = 0;
	bool empty = whole; /* the backlog was 0: the bucket was full */
	double sum = 0;
	unsigned m = 0;

	for (unsigned i = 0; i < n && at < k; i++) {
		if (p[i].lost)
			continue;
		q -= out->rate * (p[i].t - last);
		last = p[i].t;
		if (q <= 0) {
			q = 0;
			/* Idle long enough to fill, or the start: what follows is a whole bucket. */
			empty = true;
			low_t = p[i].t;
		}
		q += p[i].len;
		if (i < s[at].from)
			continue;
		if (i < s[at].to && p[i].t < s[at].t0 + 1) {
			sum += q;
			m++;
			continue;
		}
		if (i + 1 < s[at].to)
			continue;
		if (m && empty) {
			size[sizes++] = sum / m;
			climbed += sum / m + out->rate * fmax(s[at].t0 - low_t, 0);
			climb_s += fmax(s[at].t0 - low_t, 0);
		}
		empty = false;
		sum = m = 0;
		at++;
	}
	if (!sizes)
		return;
	out->peak = climb_s > 0 ? climbed / climb_s : 0;
	out->burst = median(size, sizes);
	out->burst_low = size[0];
	out->burst_high = size[sizes - 1];
	for (unsigned i = 0; i < sizes; i++)
		out->bursts += fabs(size[i] - out->burst) <= fmax(.15 * out->burst, 2 * PACKET);
}

/* When a bucket that was full has let its burst pass: from then on packets wait. */
static double emptied(const struct fit_packet *p, unsigned n, double burst, double rate)
{
	double passed = 0;

	for (unsigned i = 0; i < n; i++) {
		passed += p[i].lost ? 0 : p[i].len;
		if (passed >= burst + rate * (p[i].t - p[0].t) - 2 * PACKET)
			return p[i].t;
	}
	return HUGE_VAL;
}

/* Round trips while the bucket at the start was not empty, and on the lines. */
static void waits(const struct fit_rtt *rtt, unsigned m, const struct stretch *s, unsigned k,
		  bool whole, double empty, struct shape *out)
{
	double *v = malloc((m ? m : 1) * sizeof(*v));
	unsigned n = 0;

	out->rtt_free = out->rtt_queued = NAN;
	if (!v)
		return;
	for (unsigned i = 0; i < m; i++)
		for (unsigned j = 0; j < k; j++)
			if (rtt[i].t >= s[j].t0 + .2 * (s[j].t1 - s[j].t0) && rtt[i].t <= s[j].t1)
				v[n++] = rtt[i].rtt;
	if (n >= 5)
		out->rtt_queued = median(v, n);
	n = 0;
	for (unsigned i = 0; i < m; i++)
		if (rtt[i].t < fmin(s[0].t0, empty))
			v[n++] = rtt[i].rtt;
	if (n >= 3)
		out->rtt_free = median(v, n);
	else if (m) /* they are given above the least; the first of many may be forgotten */
		out->rtt_free = 0;
	if (!whole) /* what was before is not known: round trips are above the least as it is */
		out->rtt_free = 0;
	free(v);
}

static double line_cv(const struct fit_packet *p, const struct stretch *s, unsigned k, double bin)
{
	double sum = 0, sq = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < k; i++) {
		double bytes = 0, end = s[i].t0 + bin;

		for (unsigned j = s[i].from; j < s[i].to; j++) {
			if (p[j].t >= end) {
				sum += bytes;
				sq += bytes * bytes;
				n++;
				bytes = 0;
				end += bin;
			}
			bytes += p[j].lost ? 0 : p[j].len;
		}
	}
	return n > 1 && sum > 0 ? sqrt(fmax(sq / n - sum * sum / n / n, 0)) / (sum / n) : NAN;
}

/* What passed between the line's ends, over what the rate allows there. */
static double held(const struct fit_packet *p, unsigned n, double rate, double first, double last)
{
	double bytes = 0;

	for (unsigned i = 0; i < n && p[i].t <= last; i++)
		if (!p[i].lost && p[i].t > first)
			bytes += p[i].len;
	return last > first ? bytes / (rate * (last - first)) : 0;
}

void shape_fit(const struct fit_packet *p, unsigned n, const struct fit_rtt *rtt, unsigned m,
	       bool whole, double grain, struct shape *out)
{
	struct stretch s[STRETCHES];
	double bin = BIN_S, rate;
	unsigned k = 0;

	memset(out, 0, sizeof(*out));
	out->whole = whole;
	out->cv = out->residual = out->rtt_free = out->rtt_queued = NAN;
	if (n < 60)
		return;
	rate = steady_rate(p, n, &bin);
	if (rate <= 0)
		return;
	for (unsigned i = 0; i < 3; i++) {
		double next;

		k = stretches(p, n, rate, grain, fmax(STRETCH_S, 2 * bin), s);
		next = line_rate(p, s, k, &out->residual);
		if (!k || next <= 0)
			return;
		rate = next;
	}
	for (unsigned i = 0; i < k; i++)
		out->seconds += s[i].t1 - s[i].t0;
	if (out->seconds < fmax(LINE_MIN_S, 6 * bin))
		return;
	out->line = true;
	out->rate = rate;
	/* A packet at each end of the longest stretch is what the slope may be off. */
	out->rate_low = rate - 2 * PACKET / out->seconds;
	out->rate_high = rate + 2 * PACKET / out->seconds;
	out->first = s[0].t0;
	out->last = s[k - 1].t1;
	out->held = held(p, n, rate, out->first, out->last);
	out->cv = line_cv(p, s, k, bin);
	bursts(p, n, s, k, whole, out);
	waits(rtt, m, s, k, whole, whole ? emptied(p, n, out->burst, rate) : HUGE_VAL, out);
	/* An echo may wait for the next packet of a paced sender: that is no queue. */
	out->queued = !isnan(out->rtt_queued) && out->rtt_queued >= .005 &&
		      out->rtt_queued >= 2 * PACKET / rate && out->rtt_queued >= 2 * out->rtt_free;
}

double shape_backlog(const struct fit_packet *p, unsigned n, double rate, double until)
{
	double q = 0, most = 0;

	for (unsigned i = 0; i < n && p[i].t <= until; i++) {
		q = fmax(q - (i ? rate * (p[i].t - p[i - 1].t) : 0), 0) + p[i].len;
		most = fmax(most, q);
	}
	return most;
}
