/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Statistics: intervals, exact tests, and a sequential test that may be looked
 * at after every observation. Pure functions, no allocation; arguments out of
 * range give NaN. Counts are doubles: a trial may be a share of one.
 */
#ifndef WEIR_STATS_H
#define WEIR_STATS_H

#include <stddef.h>
#include <stdint.h>

struct range {
	double low, high;
};

/* For qsort() over doubles: the least first. */
int stats_by_value(const void *a, const void *b);

/* P(Z >= z) of the standard normal. */
double stats_normal_sf(double z);

/* P(X >= x) of chi-squared with df degrees of freedom, df >= 1. */
double stats_chi2_sf(double x, double df);

/* Regularized incomplete beta I_x(a, b), a, b > 0, x in [0, 1]. */
double stats_beta_inc(double a, double b, double x);

/* P(X >= k) and P(X <= k) of Binomial(n, p); k and n may be fractional (by the beta identity). */
double stats_binom_ge(double k, double n, double p);
double stats_binom_le(double k, double n, double p);

/* Wilson's score interval of x successes in n at z standard deviations; n 0: [0, 1]. */
struct range stats_wilson(double x, double n, double z);

/* Clopper and Pearson's exact interval with coverage of at least 1 - alpha. */
struct range stats_clopper_pearson(double x, double n, double alpha);

/* Newcombe's hybrid score interval (method 10) of x1/n1 - x2/n2 at z. */
struct range stats_newcombe(double x1, double n1, double x2, double n2, double z);

/*
 * Fisher's exact test, one-sided: P(at least a failures in the first group) of
 *	a b	first group: a failed, b did not
 *	c d	second group
 * with all margins fixed.
 */
double stats_fisher(unsigned a, unsigned b, unsigned c, unsigned d);

/* G = 2 sum O ln(O/E) of the same table, one degree of freedom; 0 when a margin is empty. */
double stats_g(double a, double b, double c, double d);

/*
 * Mann and Whitney: the probability that a value of x exceeds one of y, ties
 * counted half (the area under the ROC curve). *z: standardized, ties
 * corrected; may be NULL. Sorts both arrays. NaN when one is empty.
 */
double stats_mann_whitney(double *x, size_t nx, double *y, size_t ny, double *z);

/* Kolmogorov and Smirnov, two samples: D, and *p asymptotic (may be NULL). Sorts both arrays. */
double stats_ks(double *x, size_t nx, double *y, size_t ny, double *p);

/*
 * A sequential test of "trials fail with probability at most p0" (p0 may change
 * from trial to trial, as the control does) against drops of 5 %, 25 % and 80 %
 * on top of p0. For each alternative it sums the likelihood ratios of all
 * starting points so far (Shiryaev and Roberts), so that a drop which begins
 * after a long clean time is found. A starting point comes with every eighth
 * trial; the j-th of a day weighs 1 / (3.5 (j + 1) ln^2(j + 2)), j from 0, which
 * adds up to less than 1. So a day's value is an e-process: by Ville's
 * inequality it reaches 1/alpha with probability at most alpha, whenever one looks.
 */
#define SEQ_ALTS 3

struct seq_test {
	double log_sum[SEQ_ALTS]; /* -inf: none started */
	double llr[SEQ_ALTS];	  /* of the newest trial */
	uint32_t starts, trials;  /* of the day; since the newest start */
};

extern const double seq_drop[SEQ_ALTS];

void seq_init(struct seq_test *s);

/* A new day: starting points weigh as at first again. What was gathered stays. */
void seq_day(struct seq_test *s);

/* A trial of which the share x in [0, 1] failed, of a weight in [0, 1]; p0 in (0, 1). Sets llr. */
void seq_add(struct seq_test *s, double x, double p0, double weight);

/* Log of the mean over alternatives of the weighted likelihood ratios; -inf before any trial. */
double seq_log_value(const struct seq_test *s);

/* Which alternative fits best. */
unsigned seq_best(const struct seq_test *s);

/*
 * Trials that a drop of ratio `drop` over p0 needs on average until the test
 * reaches log_threshold: for "12 of 30".
 */
double seq_need(double drop, double p0, double log_threshold);

#endif
