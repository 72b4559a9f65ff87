// SPDX-License-Identifier: GPL-2.0-or-later
#include "unacked.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 16
#define MAX_SIZE   2048
#define TCP_FIN	   1
#define TCP_SYN	   2
#define TCP_RST	   4
#define TCP_ACK	   16

struct segment {
	uint32_t end;
	uint64_t ns;
};

/* A ring in order of sequence; size is a power of two. */
struct ring {
	struct segment *s;
	uint32_t size, from, n;
};

struct unacked {
	struct ring way[2];
};

static void push(struct ring *r, uint32_t end, uint64_t ns)
{
	uint32_t at;

	if (r->n == r->size) {
		uint32_t size = r->size ? r->size * 2 : FIRST_SIZE;
		struct segment *s = size <= MAX_SIZE ? malloc(size * sizeof(*s)) : NULL;

		if (s) {
			for (uint32_t i = 0; i < r->n; i++)
				s[i] = r->s[(r->from + i) & (r->size - 1)];
			free(r->s);
			r->s = s;
			r->size = size;
			r->from = 0;
		} else if (r->n) {
			r->from = (r->from + 1) & (r->size - 1);
			r->n--;
		} else {
			return;
		}
	}
	for (at = r->n++; at; at--) { /* late ones go to their place: few steps, from the end */
		struct segment *before = &r->s[(r->from + at - 1) & (r->size - 1)];

		if ((int32_t)(before->end - end) <= 0)
			break;
		r->s[(r->from + at) & (r->size - 1)] = *before;
	}
	r->s[(r->from + at) & (r->size - 1)] = (struct segment){ end, ns };
}

/* Takes out all that ack covers; the time of the newest segment that ends at it, 0 none. */
static uint64_t pop(struct ring *r, uint32_t ack)
{
	uint64_t ns = 0;

	while (r->n) {
		const struct segment *s = &r->s[r->from];

		if ((int32_t)(s->end - ack) > 0)
			break;
		if (s->end == ack)
			ns = s->ns;
		r->from = (r->from + 1) & (r->size - 1);
		r->n--;
	}
	return ns;
}

uint32_t unacked_packet(struct flow *f, const struct weir_rec *r)
{
	unsigned way = rec_way(f, r);
	uint32_t seg = r->payload_len + !!(r->tcp_flags & TCP_SYN) + !!(r->tcp_flags & TCP_FIN), us = 0;
	uint64_t ns;

	if (r->tcp_flags & TCP_RST)
		return 0;
	if (!f->unacked)
		f->unacked = calloc(1, sizeof(*f->unacked));
	if (!f->unacked)
		return 0;
	if (r->tcp_flags & TCP_ACK) {
		ns = pop(&f->unacked->way[!way], r->ack);
		if (ns && r->time_ns > ns && r->time_ns - ns < 60000000000ULL) {
			us = (r->time_ns - ns) / 1000 + 1;
			flow_rtt_add(f, way == TO_CLIENT ? TO_SERVER : TO_CLIENT, us);
		}
	}
	if (seg)
		push(&f->unacked->way[way], r->seq + seg, r->time_ns);
	return us;
}

void unacked_free(struct flow *f)
{
	if (!f->unacked)
		return;
	free(f->unacked->way[0].s);
	free(f->unacked->way[1].s);
	free(f->unacked);
	f->unacked = NULL;
}

void unacked_expect(const struct flow *f, unsigned way)
{
	const struct ring *own, *peer;

	if (!f->unacked)
		return;
	own = &f->unacked->way[way];
	peer = &f->unacked->way[!way];
	if (own->s)
		__builtin_prefetch(&own->s[(own->from + own->n) & (own->size - 1)], 1);
	if (peer->n)
		__builtin_prefetch(&peer->s[peer->from], 1);
}
