// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What held a flow back, where nobody limits it: the application, the receiver,
 * the network (after T-RAT, Zhang et al. 2002, from both ends' packets).
 */
#include "rate.h"

#define IDLE_MIN_NS	50000000ull
#define IDLE_SHARE	.3
#define WAIT_MIN_NS	4000000ull
#define WAIT_MAX_NS	150000000ull /* later it may have been lost before us, and sent again (RFC 6298) */
#define WAITS_MIN	8
#define WAIT_PACKETS	6 /* from one wait to the next: a paced writer's, and less than most windows */
#define PROMPT_MOST	8 /* waits for each time that it did not: round trips of one window vary, and some are short */
#define WINDOW_SHARE	.4  /* of the packets were sent with the window nearly full */
#define ENOUGH_PACKETS	20
#define OPPORTUNITY	13  /* segments: less never left slow start */
#define QUEUE_MIN_US	10000
#define LOSS_SHARE	.002

static uint32_t rtt_min_us(const struct series *s)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < SIDES; i++)
		sum += s->rtt[i].min_us;
	return sum;
}

void limits_packet(struct path *p, const struct weir_rec *r, unsigned rtt_us)
{
	struct path_limits *l = &p->lim;
	struct series *s = p->s;
	uint64_t gap, idle = rtt_us * 1000ull > IDLE_MIN_NS ? rtt_us * 1000ull : IDLE_MIN_NS;

	if (!r->payload_len)
		return;
	if (!l->first_ns)
		l->first_ns = l->last_ns = r->time_ns;
	gap = r->time_ns - l->last_ns;
	/* The sender had everything acknowledged, and yet waited. */
	if (gap > idle && gap < 1ull << 62 &&
	    (r->proto != IPPROTO_TCP || !s->acked_known || s->acked == r->own_end))
		l->idle_ns += gap;
	/* What comes sooner than half a round trip was under way already. */
	gap = r->time_ns - l->all_acked_ns;
	if (l->all_acked_ns && gap > rtt_us * 500ull && gap < rtt_us * 1000ull + WAIT_MAX_NS)
		++*(gap > rtt_us * 1000ull + WAIT_MIN_NS ? &l->waits : &l->prompt);
	l->all_acked_ns = 0;
	l->last_ns = r->time_ns;
	if (rec_each(r) > l->mss)
		l->mss = rec_each(r);
	l->rounds++;
	if (r->proto == IPPROTO_TCP && l->window && s->acked_known &&
	    (r->label == WEIR_IN_ORDER || r->label == WEIR_HOLE)) {
		uint32_t flight = r->seq + r->payload_len - s->acked;

		if (flight < 1u << 30 && flight + 3 * l->mss > l->window)
			l->full_window++;
	}
}

void limits_reverse(struct path *p, const struct weir_rec *r, unsigned wscale)
{
	struct path_limits *l = &p->lim;

	if (r->proto != IPPROTO_TCP || r->tcp_flags & 6) /* SYN, RST */
		return;
	if (!r->win)
		l->zero_windows++;
	l->window = wscale <= 14 ? (uint32_t)r->win << wscale : 0;
	if (!l->all_acked_ns && p->s->acked_known && p->s->end_known && p->s->acked == p->s->end)
		l->all_acked_ns = r->time_ns;
}

bool limits_paced(const struct path *p)
{
	return p->lim.waits >= WAITS_MIN && p->lim.waits * WAIT_PACKETS >= p->lim.rounds &&
	       p->lim.waits >= PROMPT_MOST * p->lim.prompt;
}

/* The window as the far end sees it: what is under way beyond us counts too. */
bool limits_window(const struct path *p)
{
	const struct path_limits *l = &p->lim;
	double span = (double)(l->last_ns - l->first_ns - l->idle_ns) * 1e-9;
	double rtt = rtt_min_us(p->s) * 1e-6, flight;

	if (p->proto != IPPROTO_TCP)
		return false;
	if (l->zero_windows > 1 || l->full_window > WINDOW_SHARE * l->rounds)
		return true;
	if (!l->window || span <= 0 || rtt <= 0)
		return false;
	flight = (double)p->s->payload / span * rtt;
	return flight >= .7 * l->window && flight <= 1.2 * l->window;
}

static bool queued(const struct path *p)
{
	for (unsigned i = 0; i < SIDES; i++) {
		const struct rtt_ring *g = &p->s->rtt[i];
		unsigned high = 0, at;

		if (g->n < 16)
			continue;
		at = QUEUE_MIN_US > g->min_us / 2 ? QUEUE_MIN_US : g->min_us / 2;
		for (unsigned j = 0; j < g->n; j++)
			high += g->o[j].us >= g->min_us + at;
		if (high * 4 >= g->n)
			return true;
	}
	return false;
}

enum limit limits_of(const struct path *p)
{
	const struct path_limits *l = &p->lim;
	const struct series *s = p->s;
	unsigned lost = s->lost[SIDE_BEFORE] + s->lost[SIDE_AFTER];

	if (l->rounds < ENOUGH_PACKETS || l->last_ns <= l->first_ns ||
	    s->payload < (uint64_t)OPPORTUNITY * (l->mss ? l->mss : 1460))
		return LIMIT_NONE;
	if (p->queued)
		return LIMIT_NETWORK;
	if (limits_window(p))
		return LIMIT_RECEIVER;
	if (l->idle_ns > IDLE_SHARE * (double)(l->last_ns - l->first_ns))
		return LIMIT_APP;
	if (queued(p) || lost > LOSS_SHARE * (double)s->packets)
		return LIMIT_NETWORK;
	return LIMIT_NONE;
}
