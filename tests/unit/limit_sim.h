/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flows that grow by a packet a round trip and halve on loss, through a limiter:
 * what it passed, what it lost, and the round trips. Nothing but arithmetic.
 */
#ifndef LIMIT_SIM_H
#define LIMIT_SIM_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rate_fit.h"

enum sim_kind { SIM_POLICER, SIM_QUEUE, SIM_SHAPER, SIM_RANDOM, SIM_GILBERT, SIM_FREE };

struct sim {
	enum sim_kind kind;
	double rate, burst, queue; /* bytes/s, bytes, bytes */
	double loss, clump;	   /* share; Gilbert: mean length of a clump */
	double rtt, seconds, start;
	double from; /* s: until then nothing is limited */
	unsigned flows;
	double pause; /* s: so often nothing is sent for a second */
	double pace; /* bytes/s; 0: the window in bursts at line rate */
	double jitter; /* s */
	uint32_t seed;
	/* Made: */
	struct fit_packet *p;
	uint8_t *flow;
	struct fit_rtt *rtts;
	unsigned n, m;
	double tokens, token_t, free_t;
	unsigned bad;
};

#define SIM_MAX 60000
#define SIM_L	1514

static inline double sim_random(struct sim *s)
{
	s->seed = s->seed * 1664525u + 1013904223u;
	return (double)(s->seed >> 8) / (1 << 24);
}

/* Does a packet that comes at t pass; *out: when it leaves. */
static inline bool sim_pass(struct sim *s, double t, double *out)
{
	double tokens = fmin(s->burst, s->tokens + s->rate * (t - s->token_t)), backlog;

	*out = t;
	if (t < s->from) {
		s->token_t = t;
		return true;
	}
	switch (s->kind) {
	case SIM_POLICER:
		s->tokens = tokens;
		s->token_t = t;
		if (tokens < SIM_L)
			return false;
		s->tokens -= SIM_L;
		return true;
	case SIM_QUEUE:
		backlog = fmax(0, (s->free_t - t) * s->rate);
		if (backlog + SIM_L > s->queue)
			return false;
		s->free_t = fmax(s->free_t, t) + SIM_L / s->rate;
		*out = s->free_t;
		return true;
	case SIM_SHAPER: { /* free_t: when the last one in the queue leaves */
		double at = fmax(t, s->free_t), have;

		if ((s->free_t - t) * s->rate > s->queue)
			return false;
		have = fmin(s->burst, s->tokens + s->rate * (at - s->token_t));
		if (have < SIM_L) {
			at += (SIM_L - have) / s->rate;
			have = SIM_L;
		}
		s->tokens = have - SIM_L;
		s->token_t = s->free_t = at;
		*out = at;
		return true;
	}
	case SIM_RANDOM:
		return sim_random(s) >= s->loss;
	case SIM_GILBERT:
		if (s->bad)
			s->bad = sim_random(s) >= 1 / s->clump;
		else
			s->bad = sim_random(s) < s->loss / s->clump;
		return !s->bad;
	default:
		return true;
	}
}

static inline int sim_order(const void *a, const void *b)
{
	double x = ((const struct fit_packet *)a)->t, y = ((const struct fit_packet *)b)->t;

	return x < y ? -1 : x > y;
}

/* t of what passed: when it came, or for a shaper seen from behind when it left. */
static inline void sim_run(struct sim *s)
{
	struct {
		double next, window, base;
		unsigned left;
		bool lost;
	} f[8];
	bool behind = s->kind == SIM_SHAPER;

	s->p = calloc(SIM_MAX, sizeof(*s->p));
	s->flow = calloc(SIM_MAX, 1);
	s->rtts = calloc(SIM_MAX, sizeof(*s->rtts));
	s->n = s->m = 0;
	s->tokens = s->burst;
	s->token_t = s->free_t = s->start;
	if (!s->flows)
		s->flows = 1;
	for (unsigned i = 0; i < s->flows; i++) {
		f[i].next = s->start + .13 * i;
		f[i].window = 10;
		f[i].left = 10;
		f[i].lost = false;
		f[i].base = f[i].next;
	}
	while (s->n < SIM_MAX) {
		unsigned k = 0;
		double t, out;
		bool pass;

		for (unsigned i = 1; i < s->flows; i++)
			if (f[i].next < f[k].next)
				k = i;
		t = f[k].next;
		if (t > s->start + s->seconds)
			break;
		pass = sim_pass(s, t, &out);
		s->flow[s->n] = (uint8_t)k;
		s->p[s->n].t = (behind ? out : t) + s->jitter * sim_random(s);
		if (s->jitter > 0 && s->n) /* late, but in order */
			s->p[s->n].t = fmax(s->p[s->n].t, s->p[s->n - 1].t + 1e-6);
		s->p[s->n].len = SIM_L;
		s->p[s->n++].lost = !pass;
		if (pass && !(s->n % 7))
			s->rtts[s->m++] = (struct fit_rtt){ behind ? out : t,
							    (float)(out - t + 2e-4 * sim_random(s)) };
		f[k].lost |= !pass;
		if (--f[k].left) {
			f[k].next += s->pace > 0 ? SIM_L / s->pace : 1.5e-5;
			continue;
		}
		/* The round is over: its last packet's answer starts the next. */
		f[k].window = f[k].lost ? fmax(2, f[k].window / 2) :
			      f[k].window < 40 ? f[k].window * 1.5 : f[k].window + 2;
		f[k].window = fmin(f[k].window, 900);
		f[k].lost = false;
		f[k].left = (unsigned)f[k].window;
		f[k].base = fmax(f[k].base + s->rtt, t + s->pace * 0);
		f[k].next = fmax(f[k].base, out + s->rtt * (s->kind == SIM_QUEUE || behind ? 1 : .2));
		if (s->pause > 0 && floor(f[k].next / s->pause) > floor(t / s->pause))
			f[k].next += 1;
		f[k].base = f[k].next;
	}
	if (behind)
		qsort(s->p, s->n, sizeof(*s->p), sim_order);
}

static inline void sim_free(struct sim *s)
{
	free(s->p);
	free(s->flow);
	free(s->rtts);
}

static inline struct fit_input sim_input(const struct sim *s)
{
	return (struct fit_input){ .packet = s->p, .packets = s->n, .rtt = s->rtts,
				   .rtts = s->m < FIT_RTTS_MAX ? s->m : FIT_RTTS_MAX, .slice = s->rtt,
				   .flows = s->flows, .whole = true };
}

#endif
