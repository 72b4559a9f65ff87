// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A ceiling told by what passes alone: found where senders that know nothing of each other share a token
 * bucket; and not in what sends steadily, in bursts, at a fair share, through a plain bottleneck, or alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "rate_ceiling.h"

#define FLOWS	8
#define PACKETS 100000
#define LEN	1400
#define SEEDS	8

enum sender {
	PROBES,	 /* paced; grows until it loses, then falls to 0.7 */
	PROBES_BY_WINDOW, /* the same, a round trip's at once */
	PACED,	 /* at its rate, come what may */
	SEGMENTS, /* of a video: as much every few seconds, at ten times the rate */
};

enum limiter { FREE, POLICER, QUEUE, POLICER_EACH };

struct world {
	enum sender sender;
	enum limiter limiter;
	unsigned flows, cross; /* cross: of the flows, other types' */
	double rate, burst;    /* bytes/s, bytes: of the bucket; of the queue */
	double start;	       /* bytes/s: each flow's own */
	double vary;	       /* segments differ by so much */
	double loss, jitter;   /* share; s */
	double cross_on, cross_off; /* s; 0: always */
	double seconds;
};

struct sending {
	double at, rate, rtt, punished, tokens, token_t, segment_left, segment_at;
};

static struct ceiling_packet packet[PACKETS];
static unsigned npackets;

static bool bucket(struct sending *b, double rate, double burst, double t)
{
	b->tokens = fmin(burst, b->tokens + rate * (t - b->token_t));
	b->token_t = t;
	if (b->tokens < LEN)
		return false;
	b->tokens -= LEN;
	return true;
}

static int by_time(const void *a, const void *b)
{
	double x = ((const struct ceiling_packet *)a)->t, y = ((const struct ceiling_packet *)b)->t;

	return (x > y) - (x < y);
}

/* When the next packet goes. */
static void step(const struct world *w, struct sending *f)
{
	double gap = LEN / f->rate;

	switch (w->sender) {
	case PROBES:
		f->rate += LEN / f->rtt * gap / f->rtt;
		f->at += gap * (.9 + .2 * uniform());
		return;
	case PROBES_BY_WINDOW:
		f->rate += LEN / f->rtt * gap / f->rtt;
		f->segment_left -= LEN;
		f->at += 1e-4;
		if (f->segment_left > 0)
			return;
		f->segment_left = f->rate * f->rtt;
		f->segment_at += f->rtt;
		f->at = fmax(f->at, f->segment_at);
		return;
	case PACED:
		f->at += gap;
		return;
	case SEGMENTS:
		f->segment_left -= LEN;
		f->at += gap / 10;
		if (f->segment_left > 0)
			return;
		f->segment_at += 4;
		f->segment_left = 4 * f->rate * (1 + w->vary * (2 * uniform() - 1));
		f->at = fmax(f->at, f->segment_at);
		return;
	}
}

static void run(const struct world *w, unsigned seed_of)
{
	struct sending f[FLOWS], shared = { .tokens = w->burst };
	double free_at = 0, passed[FLOWS] = { 0 };

	seed = seed_of;
	npackets = 0;
	memset(f, 0, sizeof(f));
	for (unsigned i = 0; i < w->flows; i++) {
		f[i].rtt = .03 + .05 * uniform();
		f[i].rate = w->start;
		f[i].at = f[i].segment_at = f[i].token_t = uniform();
		f[i].tokens = w->burst;
	}
	for (;;) {
		unsigned k = 0;
		bool cross, lost = false;
		double t, out;

		for (unsigned i = 1; i < w->flows; i++)
			k = f[i].at < f[k].at ? i : k;
		t = out = f[k].at;
		if (t > w->seconds)
			break;
		cross = k >= w->flows - w->cross;
		step(w, &f[k]);
		if (cross && w->cross_on > 0 && fmod(t, w->cross_on + w->cross_off) > w->cross_on)
			continue;
		switch (w->limiter) {
		case FREE:
			break;
		case POLICER:
			lost = !cross && !bucket(&shared, w->rate, w->burst, t);
			break;
		case POLICER_EACH:
			lost = !cross && !bucket(&f[k], w->rate, w->burst, t);
			break;
		case QUEUE:
			lost = fmax(0, free_at - t) * w->rate + LEN > w->burst;
			if (!lost)
				out = free_at = fmax(free_at, t) + LEN / w->rate;
			break;
		}
		lost |= uniform() < w->loss;
		if (lost && w->sender <= PROBES_BY_WINDOW && t > f[k].punished + f[k].rtt) {
			f[k].punished = t;
			f[k].rate = fmax(f[k].rate * .7, 2 * LEN / f[k].rtt);
		}
		if (lost || cross || npackets == PACKETS)
			continue;
		passed[k] += LEN;
		packet[npackets++] = (struct ceiling_packet){ out + w->jitter * uniform(), LEN + 42, k ? 0 : 3 };
	}
	qsort(packet, npackets, sizeof(*packet), by_time);
}

static struct ceiling fit(const struct world *w, unsigned seed_of)
{
	struct ceiling c;

	run(w, seed_of);
	ceiling_fit(packet, npackets, &c);
	return c;
}

static void a_bucket_shared(void **state)
{
	struct world w = { .sender = PROBES, .limiter = POLICER, .flows = 2, .rate = 250e3, .burst = 60e3,
			   .start = 100e3, .jitter = 2e-4, .seconds = 40 };
	unsigned found = 0;

	for (unsigned i = 0; i < SEEDS; i++) {
		struct ceiling c;

		w.sender = i % 2 ? PROBES : PROBES_BY_WINDOW;
		w.flows = 2 + i % 3;
		c = fit(&w, 100 + i);
		if (!c.holds)
			continue;
		found++;
		assert_true(fabs(c.rate * LEN / (LEN + 42) / w.rate - 1) < .01);
		assert_true(c.rate_low < c.rate && c.rate < c.rate_high);
		assert_true(fabs(c.burst * LEN / (LEN + 42) / w.burst - 1) < .15);
	}
	assert_true(found >= SEEDS * 3 / 4);
}

static void silent(const struct world *w)
{
	for (unsigned i = 0; i < SEEDS; i++) {
		struct ceiling c = fit(w, 1000 + i);

		if (c.holds)
			fail_msg("sender %u limiter %u seed %u: %.0f bytes/s, %u touches, off %.0f", w->sender,
				 w->limiter, i, c.rate, c.touches, c.off[0]);
	}
}

static void benign(void **state)
{
	/* calls, video at a constant rate; the same a little apart */
	silent(&(struct world){ .sender = PACED, .flows = 2, .start = 125e3, .seconds = 40 });
	silent(&(struct world){ .sender = PACED, .flows = 3, .start = 80e3, .jitter = .01, .seconds = 40 });
	silent(&(struct world){ .sender = SEGMENTS, .flows = 2, .start = 125e3, .vary = .3, .seconds = 60 });
	silent(&(struct world){ .sender = SEGMENTS, .flows = 2, .start = 125e3, .seconds = 60 });
	/* each for itself */
	silent(&(struct world){ .sender = PROBES, .flows = 2, .start = 125e3, .loss = .005, .seconds = 40 });
	silent(&(struct world){ .sender = PROBES_BY_WINDOW, .flows = 3, .start = 125e3, .loss = .01,
				.seconds = 40 });
	for (double burst = 10e3; burst < 200e3; burst *= 1.5)
		silent(&(struct world){ .sender = PROBES, .limiter = POLICER_EACH, .flows = 2, .rate = 125e3,
					.burst = burst, .start = 60e3, .seconds = 40 });
	/* a server that keeps each of its clients to a pace, after a first burst */
	silent(&(struct world){ .sender = PACED, .limiter = POLICER_EACH, .flows = 2, .rate = 125e3,
				.burst = 60e3, .start = 400e3, .seconds = 40 });
	silent(&(struct world){ .sender = SEGMENTS, .limiter = POLICER_EACH, .flows = 2, .rate = 125e3,
				.burst = 60e3, .start = 130e3, .vary = .3, .seconds = 60 });
}

/* Packets of very many senders, each by chance: what is nearest to its ceiling is near to it by chance. */
static void many_senders(void **state)
{
	static const unsigned lens[] = { 160, 500, 1400 };
	unsigned held = 0;
	struct ceiling c;

	for (double rate = 20e3; rate < 3e6; rate *= 1.25)
		for (unsigned i = 0; i < 3 * SEEDS; i++) {
			unsigned len = lens[i % 3];
			double t = 0;

			seed = 3000 + i;
			for (npackets = 0; npackets < 12000 && t < 60; npackets++) {
				t -= log(1 - uniform()) * len / rate;
				packet[npackets] = (struct ceiling_packet){ t, (float)len, (uint8_t)(4 * uniform()) };
			}
			ceiling_fit(packet, npackets, &c);
			held += c.holds;
			if (c.holds)
				print_message("%.0f bytes/s of %u: %.0f, %.0f bytes, %u touches, off %.0f\n", rate,
					      len, c.rate, c.burst, c.touches, c.off[0]);
		}
	assert_int_equal(held, 0);
}

static void call(double from, double to, uint8_t parts)
{
	for (double t = from; t < to && npackets < PACKETS; t += .02)
		packet[npackets++] = (struct ceiling_packet){ t, 214, parts };
}

/*
 * Calls, a packet each 20 ms: their sum is steady until one more begins or ends. Here one ends first, then
 * one ends where another begins, and then two thirds do.
 */
static void calls(void **state)
{
	unsigned held = 0;
	struct ceiling c;

	for (unsigned i = 0; i < 4 * SEEDS; i++) {
		unsigned n = 4 + i % 16;

		seed = 4000 + i;
		npackets = 0;
		call(0, 5, 3);
		call(0, 9 + 2 * uniform(), 3);
		call(9 + 2 * uniform(), 50, 0);
		for (unsigned k = 0; k < n; k++)
			call(.02 * uniform(), k % 3 ? 16 + 4 * uniform() : 50, (uint8_t)(4 * uniform()));
		qsort(packet, npackets, sizeof(*packet), by_time);
		ceiling_fit(packet, npackets, &c);
		held += c.holds;
		if (c.holds)
			print_message("seed %u, %u calls: %.0f bytes/s, %.0f bytes, %u touches in %.1f s, off %.0f\n",
				      i, n, c.rate, c.burst, c.touches, c.last - c.first, c.off[0]);
	}
	assert_int_equal(held, 0);
}

static void a_plain_bottleneck(void **state)
{
	struct world w = { .sender = PROBES, .limiter = QUEUE, .flows = 2, .rate = 500e3, .burst = 60e3,
			   .start = 100e3, .jitter = 2e-4, .seconds = 40 };

	silent(&w); /* theirs alone: a line without a bucket */
	w.flows = 4;
	w.cross = 2; /* shared with others, */
	silent(&w);
	w.cross_on = 2; /* that come and go */
	w.cross_off = 3;
	silent(&w);
	w.sender = PROBES_BY_WINDOW;
	silent(&w);
	w.sender = PACED; /* as BBR goes on at its share */
	silent(&w);
}

/* Nothing tells its ceiling from its sender's pace. */
static void one_flow_alone(void **state)
{
	silent(&(struct world){ .sender = PROBES, .limiter = POLICER, .flows = 1, .rate = 250e3, .burst = 60e3,
				.start = 100e3, .seconds = 40 });
}

static void too_little(void **state)
{
	struct ceiling c;

	ceiling_fit(packet, 0, &c);
	assert_false(c.holds);
	memset(packet, 0, sizeof(packet));
	ceiling_fit(packet, 1000, &c); /* all at once */
	assert_false(c.holds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_shared), cmocka_unit_test(benign),
		cmocka_unit_test(many_senders),
		cmocka_unit_test(calls),
		cmocka_unit_test(a_plain_bottleneck), cmocka_unit_test(one_flow_alone),
		cmocka_unit_test(too_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
