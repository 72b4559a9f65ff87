// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The expected values were computed elsewhere: sums of exact fractions
 * (binomial, Fisher), Simpson's rule (incomplete beta), closed forms
 * (chi-squared, Kolmogorov), or stand in the papers named.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "stats.h"
#include "random.h"

static void close_to(double got, double want, double relative)
{
	if (!(fabs(got - want) <= relative * fabs(want)))
		fail_msg("got %.15g, want %.15g", got, want);
}

static void test_distributions(void **state)
{
	close_to(stats_normal_sf(1.959963984540054), 0.025, 1e-12);
	close_to(stats_normal_sf(6), 9.865876450376946e-10, 1e-10);
	close_to(stats_chi2_sf(10.83, 1), 0.0009986863791802592, 1e-10);
	close_to(stats_chi2_sf(23.93, 1), 9.990275657592943e-07, 1e-10);
	close_to(stats_chi2_sf(7, 4), 0.13588822540043324, 1e-12);
	close_to(stats_chi2_sf(3, 3), 0.391625176271089, 1e-12);
	assert_true(stats_chi2_sf(0, 1) == 1);
	close_to(stats_beta_inc(2.5, 4, 0.3), 0.35219758590676664, 1e-9);
	close_to(stats_beta_inc(3, 1.5, 0.9), 0.8776593830222467, 1e-7);
	assert_true(isnan(stats_beta_inc(0, 1, 0.5)));
	assert_true(isnan(stats_beta_inc(1, 1, 1.5)));
	close_to(stats_binom_ge(15, 50, 0.08), 5.259955104364166e-06, 1e-10);
	close_to(stats_binom_ge(5, 5, 0.05), 3.125e-07, 1e-10);
	close_to(stats_binom_ge(3, 1000, 0.01), 0.9973205680062085, 1e-10);
	close_to(stats_binom_le(2, 20, 0.3), 0.03548313229846867, 1e-10);
	assert_true(stats_binom_ge(0, 5, 0.1) == 1 && stats_binom_ge(6, 5, 0.1) == 0);
	assert_true(stats_binom_le(-1, 5, 0.1) == 0 && stats_binom_le(5, 5, 0.1) == 1);
}

static void test_intervals(void **state)
{
	/* Newcombe, Statist. Med. 17 (1998), 857-872 (single), 873-890 (difference, method 10) */
	struct range i = stats_wilson(81, 263, 1.959963984540054);

	assert_true(fabs(i.low - 0.2553) < 5e-5 && fabs(i.high - 0.3662) < 5e-5);
	i = stats_wilson(0, 20, 1.959963984540054);
	assert_true(i.low == 0 && fabs(i.high - 0.1611) < 5e-5);
	i = stats_wilson(1, 29, 1.959963984540054);
	assert_true(fabs(i.low - 0.0061) < 5e-5 && fabs(i.high - 0.1718) < 5e-5);
	i = stats_newcombe(56, 70, 48, 80, 1.959963984540054);
	assert_true(fabs(i.low - 0.0524) < 5e-5 && fabs(i.high - 0.3339) < 5e-5);
	i = stats_newcombe(10, 10, 0, 20, 1.959963984540054);
	assert_true(fabs(i.low - 0.6791) < 5e-5 && fabs(i.high - 1) < 5e-5);
	i = stats_clopper_pearson(7, 50, 0.05);
	close_to(i.low, 0.05819170034037206, 1e-9);
	close_to(i.high, 0.26739600249700873, 1e-9);
	i = stats_clopper_pearson(1, 20, 0.05);
	close_to(i.low, 0.0012650894979498032, 1e-9);
	close_to(i.high, 0.24873276277202835, 1e-9);
	i = stats_wilson(0, 0, 2);
	assert_true(i.low == 0 && i.high == 1);
}

static void test_tables(void **state)
{
	close_to(stats_fisher(26, 74, 5, 95), 2.7178510137964453e-05, 1e-10);
	close_to(stats_fisher(13, 37, 3, 197), 7.118709085107178e-08, 1e-10);
	close_to(stats_fisher(5, 15, 1, 99), 0.0004350590582898158, 1e-10);
	close_to(stats_fisher(6, 4, 2, 98), 2.5665867123557926e-06, 1e-10);
	close_to(stats_fisher(8, 0, 0, 5), 0.000777000777000777, 1e-10);
	close_to(stats_fisher(7, 0, 0, 10), 5.141916906622789e-05, 1e-10);
	close_to(stats_fisher(0, 5, 0, 5), 1, 1e-12);
	/* by hand: 2 (30 ln 1.5 + 10 ln 0.5 + 10 ln 0.5 + 30 ln 1.5) */
	close_to(stats_g(30, 10, 10, 30), 2 * (60 * log(1.5) + 20 * log(0.5)), 1e-12);
	assert_true(stats_g(0, 0, 3, 4) == 0);
	assert_true(stats_g(5, 5, 50, 50) < 1e-12);
}

static void test_ranks(void **state)
{
	double z;
	/* Mann and Whitney: 3 of x above both y; pairs: 1>none, 4>3, 5>both, 6>both -> counted by hand */
	double x[] = { 4, 1, 6, 5 }, y[] = { 3, 4.5 };

	close_to(stats_mann_whitney(x, 4, y, 2, &z), 5.0 / 8, 1e-12);
	close_to(z, (5 - 4) / sqrt(8.0 * 7 / 12), 1e-12);
	/* ties count half, and lower the variance: t = 3 -> (27 - 3) / (5 * 4) */
	double a[] = { 1, 2, 2 }, b[] = { 2, 0 };

	close_to(stats_mann_whitney(a, 3, b, 2, &z), 4.0 / 6, 1e-12);
	close_to(z, 1 / sqrt(6.0 / 12 * (6 - 24.0 / 20)), 1e-12);
	assert_true(isnan(stats_mann_whitney(a, 0, b, 2, NULL)));

	double p, u[] = { 1, 2, 3, 4, 5 }, v[] = { 4.5, 6, 7, 8 };

	close_to(stats_ks(u, 5, v, 4, &p), 0.8, 1e-12);
	/* 2 sum (-1)^(k-1) exp(-2 k^2 l^2), l = 0.8 sqrt(20/9) */
	double l2 = 0.64 * 20 / 9;

	close_to(p, 2 * (exp(-2 * l2) - exp(-8 * l2) + exp(-18 * l2)), 1e-9);
	assert_true(stats_ks(u, 5, u, 5, &p) == 0 && p == 1);
}

static void test_sequential(void **state)
{
	struct seq_test s;

	const double w0 = 1 / (3.5 * log(2) * log(2)), w1 = 1 / (3.5 * 2 * log(3) * log(3));
	double product[3] = { 1, 1, 1 }, p1[3] = { 0.069, 0.265, 0.804 }, mean;

	seq_init(&s);
	assert_true(isinf(seq_log_value(&s)));
	seq_add(&s, 1, 0.02, 1);
	/* mean of p1/p0 over the alternatives, p1 = p0 + 0.98 d; the first start's weight */
	close_to(seq_log_value(&s), log(w0 * (0.069 + 0.265 + 0.804) / 3 / 0.02), 1e-12);
	seq_add(&s, 0, 0.02, 1);
	close_to(seq_log_value(&s),
		 log(w0 * (0.069 * 0.931 + 0.265 * 0.735 + 0.804 * 0.196) / 3 / (0.02 * 0.98)),
		 1e-12);
	/* the ninth trial comes with a second start: the running products and a fresh one */
	for (int i = 2; i < 9; i++)
		seq_add(&s, 0, 0.02, 1);
	mean = 0;
	for (int i = 0; i < 3; i++) {
		product[i] = p1[i] / 0.02 * pow((1 - p1[i]) / 0.98, 7);
		mean += (w0 * product[i] + w1) * (1 - p1[i]) / 0.98 / 3;
	}
	close_to(seq_log_value(&s), log(mean), 1e-12);
	/* a half-failed trial counts the square root of both ratios, never more than their mean */
	seq_init(&s);
	seq_add(&s, 0.5, 0.1, 1);
	close_to(s.llr[2], 0.5 * log(0.82 / 0.1) + 0.5 * log(0.18 / 0.9), 1e-12);
	assert_int_equal(seq_best(&s), 1); /* 0.445 against 0.247 */
	/* of half the weight: half of it */
	seq_add(&s, 0.5, 0.1, 0.5);
	close_to(s.llr[2], 0.25 * log(0.82 / 0.1) + 0.25 * log(0.18 / 0.9), 1e-12);
	/* Wald's approximation of the sample size: threshold over the mean log ratio */
	double q = 0.01 + 0.99 * 0.25;

	mean = q * log(q / 0.01) + (1 - q) * log((1 - q) / 0.99);

	close_to(seq_need(0.25, 0.01, 16), (16 + log(3)) / mean, 1e-9);
	assert_true(isinf(seq_need(0, 0.05, 16)));
}


/* Ville: with trials that fail at exactly p0, at most alpha of the sequences ever reach 1/alpha. */
static void test_anytime_valid(void **state)
{
	const double alpha = 0.01, p0 = 0.03;
	int reached = 0, runs = 4000;

	for (int run = 0; run < runs; run++) {
		struct seq_test s;

		seq_init(&s);
		for (int i = 0; i < 300; i++) {
			seq_add(&s, uniform() < p0, p0, 1);
			if (seq_log_value(&s) >= -log(alpha)) {
				reached++;
				break;
			}
		}
	}
	/* 40 at the bound; the bound is not tight, and 3 standard deviations above it is 59 */
	assert_in_range(reached, 1, 59);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distributions), cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_tables),	      cmocka_unit_test(test_ranks),
		cmocka_unit_test(test_sequential),    cmocka_unit_test(test_anytime_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
