// SPDX-License-Identifier: GPL-2.0-or-later
#include "rate_shape.h"
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BINS_MAX     512
#define BIN_S	     .25
#define BIN_PACKETS  16 /* a bin holds so many on average, or is longer */
#define CV_PACKETS   30 /* in a bin that is judged for steadiness: it may be off by one */
#define WINDOW	     6	/* bins in a steady window */
#define WINDOW_CV    .12
#define LINE_MIN_S   1.5 /* all straight stretches together */
#define STRETCH_S    .6
#define STRETCHES    16
#define DRAINED	     .8
#define EARLY	     .4 /* of the burst: by then who fills a link fills it */
#define FREE_S	     .025 /* while a bucket has tokens nobody waits: more than what a path's own delay varies by */
#define FREE_SHARE   .05
#define PEAK_MOST    6	/* times the rate: what noise of a round trip leaves to be told */
#define EMPTY_OFF    .05 /* of the bucket: what its size may be off */
#define QUICK_S	     1.2
#define PACKET	     1514.0

struct stretch {
	unsigned from, to; /* packets */
	double t0, t1;
};

static double median(double *v, unsigned n)
{
	if (!n)
		return NAN;
	qsort(v, n, sizeof(*v), stats_by_value);
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

/* How fast a full bucket was run empty, the fastest time: bytes/s. */
static double drained_at(const struct fit_packet *p, unsigned n, double burst, double rate)
{
	double q = 0, last = p[0].t, full_t = p[0].t, best = 0;
	bool full = true;

	for (unsigned i = 0; i < n; i++) {
		if (p[i].lost)
			continue;
		q -= rate * (p[i].t - last);
		last = p[i].t;
		if (q <= 0) {
			q = 0;
			full = true;
			full_t = p[i].t;
		}
		q += p[i].len;
		if (full && q >= DRAINED * burst) {
			best = fmax(best, rate + q / fmax(p[i].t - full_t, 1e-3));
			full = false;
		}
	}
	return best;
}

/*
 * Backlog of a queue drained at the line's rate: what the bucket gave beyond it.
 * Where the line begins, it is the bucket's size.
 */
static void bursts(const struct fit_packet *p, unsigned n, const struct stretch *s, unsigned k,
		   bool whole, struct shape *out)
{
	double size[STRETCHES], q = 0, last = p[0].t;
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
		if (m && empty)
			size[sizes++] = sum / m;
		empty = false;
		sum = m = 0;
		at++;
	}
	if (!sizes)
		return;
	out->burst = median(size, sizes);
	out->peak = drained_at(p, n, out->burst, out->rate);
	out->burst_low = size[0];
	out->burst_high = size[sizes - 1];
	for (unsigned i = 0; i < sizes; i++)
		out->bursts += fabs(size[i] - out->burst) <= fmax(.15 * out->burst, 2 * PACKET);
}

/*
 * When a bucket that was full had given the share from of its burst, and when nearly all: as long as
 * it has tokens nobody waits, and from then on everybody does.
 */
static void draining(const struct fit_packet *p, unsigned n, double burst, double rate, double *from,
		     double *to)
{
	double q = 0, last = p[0].t;

	*from = *to = HUGE_VAL;
	for (unsigned i = 0; i < n; i++) {
		if (p[i].lost)
			continue;
		q = fmax(q - rate * (p[i].t - last), 0) + p[i].len;
		last = p[i].t;
		if (q >= EARLY * burst && *from == HUGE_VAL)
			*from = last;
		if (q >= burst - fmax(EMPTY_OFF * burst, 2 * PACKET)) {
			*to = last;
			return;
		}
	}
}

static unsigned between(const struct fit_rtt *rtt, unsigned m, double from, double to, double *v)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m; i++)
		if (rtt[i].t >= from && rtt[i].t < to)
			v[n++] = rtt[i].rtt;
	return n;
}

/* Round trips while the bucket at the start was not empty, and on the lines. */
static void waits(const struct fit_packet *p, unsigned packets, const struct fit_rtt *rtt, unsigned m,
		  const struct stretch *s, unsigned k, bool whole, struct shape *out)
{
	double *v = malloc((m ? m : 1) * sizeof(*v)), from, to;
	unsigned n = 0;

	out->rtt_free = out->rtt_queued = out->rtt_full = NAN;
	if (!v)
		return;
	for (unsigned j = 0; j < k; j++)
		n += between(rtt, m, s[j].t0 + .2 * (s[j].t1 - s[j].t0), s[j].t1, v + n);
	if (n >= 5) {
		out->rtt_queued = median(v, n);
		out->rtt_full = v[n - 1 - n / 10];
	}
	/*
	 * Late in the burst: a sender that has only begun fills no link, so that nobody waits at first
	 * anyway. They are given above the least; the first of many may be forgotten; and what was
	 * before the series is not known.
	 */
	out->rtt_free = 0;
	if (whole && m) {
		draining(p, packets, out->burst, out->rate, &from, &to);
		n = between(rtt, m, from, fmin(to, fmax(s[0].t0, from)), v);
		if (n < 3)
			n = between(rtt, m, -HUGE_VAL, fmin(to, s[0].t0), v);
		if (n >= 3)
			out->rtt_free = median(v, n);
	}
	free(v);
}

/* How long it takes on the lines until the next packet comes, seen from any moment: s. */
static double next_comes(const struct fit_packet *p, const struct stretch *s, unsigned k)
{
	double sum = 0, sq = 0;

	for (unsigned i = 0; i < k; i++) {
		double last = s[i].t0;

		for (unsigned j = s[i].from; j < s[i].to; j++) {
			if (p[j].lost)
				continue;
			sum += p[j].t - last;
			sq += (p[j].t - last) * (p[j].t - last);
			last = p[j].t;
		}
	}
	return sum > 0 ? sq / sum : 0;
}

static double line_cv(const struct fit_packet *p, const struct stretch *s, unsigned k, double bin)
{
	double sum = 0, sq = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < k; i++) {
		double bytes = 0, end = s[i].t0 + bin;

		/* The first is what broke the line before: it may stand for much. */
		for (unsigned j = s[i].from + 1; j < s[i].to; j++) {
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

double shape_backlog(const struct fit_packet *p, unsigned n, double rate, double until, bool lost)
{
	double q = 0, most = 0, last = n ? p[0].t : 0;

	for (unsigned i = 0; i < n && p[i].t <= until; i++) {
		if (p[i].lost && !lost)
			continue;
		q = fmax(q - rate * (p[i].t - last), 0) + p[i].len;
		last = p[i].t;
		most = fmax(most, q);
	}
	return most;
}

bool shape_quick(const struct shape *s)
{
	return s->burst <= QUICK_S * (s->peak - s->rate);
}

void shape_fit(const struct fit_packet *p, unsigned n, const struct fit_rtt *rtt, unsigned m,
	       bool whole, double grain, struct shape *out)
{
	struct stretch s[STRETCHES];
	double bin = BIN_S, rate;
	unsigned k = 0;

	memset(out, 0, sizeof(*out));
	out->whole = whole;
	out->cv = out->residual = out->rtt_free = out->rtt_queued = out->rtt_full = NAN;
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
	out->cv = line_cv(p, s, k, fmax(bin, CV_PACKETS * PACKET / rate));
	bursts(p, n, s, k, whole, out);
	/* With a slope as high as may be: what is off there adds up. */
	out->most = shape_backlog(p, n, out->rate_high, HUGE_VAL, false);
	waits(p, n, rtt, m, s, k, whole, out);
	/*
	 * A delayed acknowledgment waits for the next packet (RFC 9293 3.8.6.3): of a sender that writes
	 * now and then, as long as it does nothing. That is no queue.
	 */
	out->queued = !isnan(out->rtt_queued) && out->rtt_queued >= .005 &&
		      out->rtt_queued >= 2 * fmax(PACKET / rate, next_comes(p, s, k)) &&
		      out->rtt_queued >= 2 * out->rtt_free;
	/*
	 * A link that got slower had its queue before, too: as many bytes, in as much less time as it
	 * was faster then, or the beginning of it. A bucket has none.
	 */
	out->stepped = (out->peak > rate &&
			out->rtt_free > fmax(.5 * out->rtt_queued / fmin(out->peak / rate, PEAK_MOST), .001)) ||
		       out->rtt_free > fmax(FREE_S, FREE_SHARE * out->rtt_queued);
}
