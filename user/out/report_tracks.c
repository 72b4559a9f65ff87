// SPDX-License-Identifier: GPL-2.0-or-later
#include "report_tracks.h"

#include <stdlib.h>
#include <string.h>

#define SETS	    512
#define WAYS	    4
#define BINS	    96
#define FIRST_WIDTH 20000000ull	   /* 20 ms */
#define QUIET_NS    30000000000ull /* a flow that gives way to a new one */
#define SMALL	    32768	   /* as does one that carried no more */

struct track {
	uint64_t flow_id, start_ns, last_ns, width_ns, total;
	float bytes[2][BINS], lost[2][BINS];
};

struct report_tracks {
	struct track t[SETS][WAYS];
};

struct report_tracks *tracks_new(void)
{
	return calloc(1, sizeof(struct report_tracks));
}

void tracks_free(struct report_tracks *t)
{
	free(t);
}

static const struct track *find(const struct report_tracks *t, uint64_t id)
{
	const struct track *set = t->t[(id ^ id >> 17 ^ id >> 41) % SETS];

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].flow_id == id)
			return &set[i];
	return NULL;
}

/* A place for a flow: free, or of one that is over or was small. NULL: the others matter more. */
static struct track *make(struct report_tracks *t, uint64_t id, uint64_t now)
{
	struct track *set = t->t[(id ^ id >> 17 ^ id >> 41) % SETS], *least = &set[0];

	for (unsigned i = 0; i < WAYS; i++) {
		if (!set[i].flow_id) {
			least = &set[i];
			break;
		}
		if (set[i].total < least->total)
			least = &set[i];
	}
	if (least->flow_id && least->total > SMALL && least->last_ns + QUIET_NS > now)
		return NULL;
	memset(least, 0, sizeof(*least));
	least->flow_id = id;
	least->start_ns = now;
	least->width_ns = FIRST_WIDTH;
	return least;
}

static void widen(struct track *t)
{
	for (unsigned w = 0; w < 2; w++) {
		for (unsigned i = 0; i < BINS; i++) {
			bool in = i < BINS / 2;

			t->bytes[w][i] = in ? t->bytes[w][2 * i] + t->bytes[w][2 * i + 1] : 0;
			t->lost[w][i] = in ? t->lost[w][2 * i] + t->lost[w][2 * i + 1] : 0;
		}
	}
	t->width_ns *= 2;
}

void tracks_record(struct report_tracks *tracks, const struct flow *f, const struct weir_rec *r)
{
	struct track *t = (struct track *)find(tracks, f->id);
	unsigned way = rec_way(f, r), bin;
	uint64_t now = r->time_ns;

	if (r->kind != WEIR_REC_PACKET || !f->id)
		return;
	if (!t)
		t = make(tracks, f->id, now);
	if (!t)
		return;
	if (now < t->start_ns)
		now = t->start_ns;
	/* Not for a clock that leaps by years. */
	if (now - t->start_ns > 400ull * 86400 * 1000000000)
		return;
	while (now - t->start_ns >= BINS * t->width_ns)
		widen(t);
	bin = (unsigned)((now - t->start_ns) / t->width_ns);
	t->bytes[way][bin] += r->ip_len;
	t->lost[way][bin] += r->label == WEIR_RETX_FILL || r->label == WEIR_RETX_SEEN;
	t->total += r->ip_len;
	t->last_ns = now;
}

/* A bin of one flow shared evenly over those of the sum that it lies in. */
static void spread(struct report_curve *c, const double v[2], uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to;) {
		uint64_t i = (at - c->start_ns) / c->width_ns,
			 end = c->start_ns + (i + 1) * c->width_ns;

		if (i >= REPORT_BINS)
			return;
		end = end < to ? end : to;
		c->bytes[i] += v[0] * (double)(end - at) / (double)(to - from);
		c->lost[i] += v[1] * (double)(end - at) / (double)(to - from);
		at = end;
	}
}

void tracks_curve(const struct report_tracks *tracks, const struct finding *f,
		  struct report_curve *c)
{
	unsigned n = f->flows < FINDING_FLOWS ? f->flows : FINDING_FLOWS;
	unsigned from = f->direction == DIRECTION_DOWN ? TO_CLIENT : TO_SERVER,
		 until = f->direction == DIRECTION_UP ? TO_SERVER : TO_CLIENT;
	uint64_t start = UINT64_MAX, end = 0;

	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < n; i++) {
		const struct track *t = find(tracks, f->flow_id[i]);

		if (!t)
			continue;
		start = t->start_ns < start ? t->start_ns : start;
		end = t->last_ns > end ? t->last_ns : end;
		c->flows++;
	}
	if (!c->flows || end <= start)
		return;
	c->start_ns = start;
	c->width_ns = (end - start) / REPORT_BINS + 1;
	c->n = REPORT_BINS;
	for (unsigned i = 0; i < n; i++) {
		const struct track *t = find(tracks, f->flow_id[i]);

		for (unsigned b = 0; t && b < BINS; b++) {
			uint64_t at = t->start_ns + b * t->width_ns;

			for (unsigned w = from; w <= until; w++)
				if (t->bytes[w][b] > 0)
					spread(c, (double[2]){ t->bytes[w][b], t->lost[w][b] }, at,
					       at + t->width_ns < end ? at + t->width_ns
								      : end + 1);
		}
	}
}
