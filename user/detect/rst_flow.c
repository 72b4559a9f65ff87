/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "rst_flow.h"

void rst_flows_done(struct rst_flows *p)
{
	for (unsigned i = 0; i < RST_FLOWS / RST_CHUNK; i++)
		free(p->chunk[i]);
}

void rst_bursts_done(struct rst_bursts *p)
{
	for (unsigned i = 0; i < RST_BURSTS / RST_CHUNK; i++)
		free(p->chunk[i]);
}

/* The next one that was never used; NULL: no memory. */
static struct rst_flow *fresh_flow(struct rst_flows *p)
{
	struct rst_flow **c = &p->chunk[p->used / RST_CHUNK];

	if (!*c)
		*c = aligned_alloc(64, RST_CHUNK * sizeof(**c));
	return *c ? &(*c)[p->used++ % RST_CHUNK] : NULL;
}

static struct rst_burst *fresh_burst(struct rst_bursts *p)
{
	struct rst_burst **c = &p->chunk[p->used / RST_CHUNK];

	if (!*c)
		*c = calloc(RST_CHUNK, sizeof(**c));
	return *c ? &(*c)[p->used++ % RST_CHUNK] : NULL;
}

static struct rst_flow *evict(struct rst_flows *p, unsigned slot)
{
	/* Twice round at most: the first round takes the marks off. */
	for (unsigned i = 0; i < 2 * RST_FLOWS; i++) {
		unsigned at = p->hand++ % RST_FLOWS;
		struct rst_flow *s = &p->chunk[at / RST_CHUNK][at % RST_CHUNK];

		if (s->burst[0] || s->burst[1])
			continue;
		if (s->touched) {
			s->touched = false;
			continue;
		}
		s->flow->detector[slot] = NULL;
		p->evicted++;
		return s;
	}
	return NULL;
}

struct rst_flow *rst_flow_new(struct rst_flows *p, struct flow *f, unsigned slot)
{
	struct rst_flow *s = p->free;

	if (s)
		p->free = s->next_free;
	else if (p->used < RST_FLOWS)
		s = fresh_flow(p);
	else
		s = evict(p, slot);
	if (!s)
		return NULL;
	memset(s, 0, sizeof(*s));
	s->flow = f;
	f->detector[slot] = s;
	return s;
}

void rst_flow_free(struct rst_flows *p, struct rst_flow *s, unsigned slot)
{
	s->flow->detector[slot] = NULL;
	s->flow = NULL;
	s->next_free = p->free;
	p->free = s;
}

struct rst_burst *rst_burst_new(struct rst_bursts *p)
{
	struct rst_burst *b = p->free;

	if (b)
		p->free = b->next;
	else if (p->used < RST_BURSTS)
		b = fresh_burst(p);
	if (!b)
		return NULL;
	memset(b, 0, sizeof(*b));
	b->prev = p->last;
	if (p->last)
		p->last->next = b;
	else
		p->first = b;
	p->last = b;
	if (!p->fresh)
		p->fresh = b;
	return b;
}

void rst_burst_free(struct rst_bursts *p, struct rst_burst *b)
{
	if (b->prev)
		b->prev->next = b->next;
	else
		p->first = b->next;
	if (b->next)
		b->next->prev = b->prev;
	else
		p->last = b->prev;
	if (p->fresh == b)
		p->fresh = b->next;
	b->next = p->free;
	p->free = b;
}
