// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rate limits: takes packets, decides when a closer look is worth its cost, and
 * keeps what was found. Looks are rare: when a flow's losses, or what it passed,
 * have grown by more than half since the last one, and within a budget of work
 * per second of packet time.
 */
#include "rate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MARKS_SPARE   256
#define GROWTH	      1.6 /* of losses since the last fit, for the next one */
#define GROWTH_END    1.15
#define SHAPE_PACKETS 60
#define SHAPE_GROWTH  1.3
#define CV_MAX	      .06
#define CV_MAX_ACKED  .2 /* acknowledgments come in clumps */
#define QUIET_NS      15000000000ull /* a limiter without new evidence for so long has ended */
#define J_GOOD	      .93 /* no other group is tried */
#define J_CLOSE	      .03 /* of two that fit about as well the larger group is meant */
#define BURST_PACKETS 12  /* a shaper's bucket holds at least so many packets */
#define PLENTY_SLICES 7
#define PLENTY_RUNS   9
#define PLENTY_J      .9
#define SURE_SLICES   5
#define SURE_J	      .98
#define ALONE_J	      .97 /* a fit beside others that lose packets too */
#define ALONE_AGREE   .75 /* and its losses keep to its line: a part of what shares a limiter does not */
#define CLEAN_LOSSES  4
#define CREDIT_S      2 /* of it at most is saved up: what is done at once keeps the records waiting */
#define DOUBTS_MAX    2 /* looks in a row that deny a claim, and it ends */
#define USUAL_LOSS    .5 /* of the share that a limiter took when it was fitted */
#define SHAPE_LOSS    .02
#define SHAPE_FULL_S  .05
#define SHAPE_FULL    24  /* packets: a queue that long drops when it is full, however short in time */
#define OWN_DROPS     3   /* fewer are nobody's limit */
#define HELD_OFF      .03 /* of what the line allows, more or less: it was held between stretches too */
#define BULK_BYTES    8000 /* a flow that has carried more may go on to carry much more */
#define LINE_S	      2
#define SAME_LIMIT    .03
#define SAME_BURST    1.15
#define STRAIGHTER    .7
#define SAME_RATE     .01
#define LINE_BUCKET_S 4
#define LINE_J	      .94 /* a line that holds is worth as much */
#define LINE_ONCE_S   6.0 /* where the bucket was seen empty once only */
#define BURST_LINK    24 /* packets: what a link, a card or a sender's window passes at once may look like so much */
#define BURST_OF_LINE 1.5 /* a bucket is no larger than so much of what followed it */
#define BURST_SENT    .8  /* of a bucket after us stood before it once, by what passed us */
#define BURST_S	      .02 /* and so much time: less is a timer's grain */

struct rate_flow {
	struct path *path[2];
	const struct series *s[2]; /* theirs, and where the next packet and acknowledgment go: to fetch them in time */
	const void *tail[2], *acks[2];
	uint8_t wscale[2]; /* offered by who sends that way; 255: none, 254: not seen */
};

/* Those of paths that are gone make room. */
static void marks_compact(struct rate *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->marks; i++)
		if (r->mark[i].path) {
			r->mark[i].path->mark = n;
			r->mark[n++] = r->mark[i];
		}
	r->marks = n;
}

static void mark_path(struct rate *r, struct path *p)
{
	if (r->marks == MARKS_MAX) /* half of them at least are of paths that are gone */
		marks_compact(r);
	p->awake = true;
	p->mark = r->marks;
	r->mark[r->marks++] = (struct path_mark){ .path = p, .awake = true, .type = p->type, .way = p->way };
}

static void wake(struct rate *r, struct path *p)
{
	if (p->awake)
		return;
	p->awake = true;
	r->mark[p->mark].awake = true;
}

static void path_free(struct rate *r, struct path *p)
{
	r->mark[p->mark].path = NULL;
	if (p->prev)
		p->prev->next = p->next;
	else
		r->paths = p->next;
	if (p->next)
		p->next->prev = p->prev;
	r->npaths--;
	series_free(p->s, &r->budget);
	free(p);
}

static void rate_destroy(void *d)
{
	struct rate *r = d;

	while (r->paths)
		path_free(r, r->paths);
	fit_work_free(r->work);
	free(r->packets);
	free(r->room);
	free(r->rtts);
	free(r->mark);
	free(r);
}

static void *rate_create(const struct detect_env *env)
{
	struct rate *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->env = *env;
	r->work = fit_work_new();
	r->packets = malloc(GATHER_MAX * sizeof(*r->packets));
	r->room = malloc(GATHER_MAX * sizeof(*r->room));
	r->rtts = malloc(FIT_RTTS_MAX * sizeof(*r->rtts));
	r->mark = malloc(MARKS_MAX * sizeof(*r->mark));
	r->credit = WORK_PER_S;
	r->focus = FOCUS_MOST;
	if (r->work && r->packets && r->room && r->rtts && r->mark)
		return r;
	rate_destroy(r);
	return NULL;
}

static struct path *path_new(struct rate *r, struct flow *f, unsigned way)
{
	struct path *p;
	bool client_in, server_in;

	if (r->npaths >= PATHS_MAX) {
		r->refused++;
		return NULL;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->s = series_new(&r->budget);
	if (!p->s) {
		free(p);
		return NULL;
	}
	client_in = model_is_local(r->env.model, &f->client.ip);
	server_in = model_is_local(r->env.model, &f->server.ip);
	p->flow = f;
	p->flow_id = f->id;
	p->client = f->client.ip;
	p->server = f->server.ip;
	p->from = way == TO_SERVER ? p->client : p->server;
	p->to = way == TO_SERVER ? p->server : p->client;
	p->inbound = client_in != server_in && client_in == (way == TO_CLIENT);
	p->outbound = client_in != server_in && client_in == (way == TO_SERVER);
	p->ifindex = f->ifindex;
	p->proto = f->proto;
	p->type = f->type;
	p->way = (uint8_t)way;
	p->next = r->paths;
	if (p->next)
		p->next->prev = p;
	r->paths = p;
	r->npaths++;
	mark_path(r, p);
	return p;
}

/* Is what this flow loses mostly taken by this host itself? Then it is not the path that limits it. */
static bool limits_itself(const struct flow *f)
{
	uint64_t lost = 0;

	if (f->own_drops < OWN_DROPS)
		return false;
	for (unsigned way = 0; way < 2; way++)
		lost += (uint64_t)f->count[way].lost_before + f->count[way].lost_after;
	return 4ull * f->own_drops >= lost;
}

/*
 * A limiter is seen best from a flow's start, and a shaper makes no loss that would draw the
 * engine's attention: what begins to carry bulk, or waits, is followed packet by packet, as the
 * budget allows. What waits comes first.
 */
static void ask(struct rate *r, struct path *p, bool waits)
{
	if (!r->env.focus || p->focused || !p->flow ||
	    r->focus < (waits ? FOCUS_RECORDS : FOCUS_MOST / 2))
		return;
	p->focused = true;
	r->focus -= FOCUS_RECORDS;
	r->env.focus(r->env.focus_arg, p->flow);
}

static void rate_packet(void *d, struct flow *f, const struct weir_rec *r, const uint8_t *payload)
{
	struct rate *rate = d;
	struct rate_flow *x = f->detector[rate->env.slot];
	unsigned way = rec_way(f, r);
	struct path *p;

	if (limits_itself(f)) {
		for (unsigned w = 0; x && w < 2; w++)
			if (x->path[w]) {
				path_free(rate, x->path[w]);
				x->path[w] = NULL;
				x->s[w] = NULL;
			}
		return;
	}
	if (!x) {
		x = calloc(1, sizeof(*x));
		if (!x)
			return;
		x->wscale[0] = x->wscale[1] = 254;
		f->detector[rate->env.slot] = x;
	}
	if (r->proto == IPPROTO_TCP && r->tcp_flags & 2)
		x->wscale[way] = r->wscale;
	p = x->path[way];
	if (!p && r->payload_len) {
		p = x->path[way] = path_new(rate, f, way);
		if (p) {
			p->start_ns = r->time_ns;
			p->s->whole = f->complete;
			x->s[way] = p->s;
		}
	}
	if (p) {
		const struct series *s = p->s;

		limits_packet(p, r, s->rtt[SIDE_BEFORE].min_us + s->rtt[SIDE_AFTER].min_us);
		series_packet(p->s, &rate->budget, r);
		if (r->proto == IPPROTO_UDP)
			udp_packet(rate, p, r);
		x->tail[way] = series_tail(s);
		p->last_ns = r->time_ns;
		wake(rate, p);
		if (r->flags & WEIR_REC_LAST)
			p->focused = false;
		if (s->payload >= BULK_BYTES)
			ask(rate, p, false);
	}
	p = x->path[!way];
	if (p) {
		uint8_t scale = x->wscale[way];

		wake(rate, p);
		series_reverse(p->s, &rate->budget, r);
		x->acks[!way] = p->s->ack ? series_ack_tail(p->s) : NULL;
		if (scale == 255 || x->wscale[!way] == 255)
			scale = 0; /* one end has no scaling: nobody has (RFC 7323) */
		limits_reverse(p, r, scale);
	}
}

static void rate_expect(const void *d, const struct flow *f, unsigned way)
{
	const struct rate *rate = d;
	const struct rate_flow *x = f->detector[rate->env.slot];

	for (unsigned i = 0; x && i < 2; i++) {
		if (!x->path[i])
			continue;
		__builtin_prefetch(x->path[i], 1);
		series_expect(x->s[i]);
	}
	if (x) {
		__builtin_prefetch(x->tail[way], 1);
		__builtin_prefetch(x->acks[!way], 1);
	}
}

static struct limiter *limiter_covering(struct rate *r, const struct path *p, enum side side,
					bool shaper)
{
	for (unsigned i = 0; i < r->limiters; i++) {
		struct limiter *l = &r->limiter[i];

		if (l->open && l->side == side && (l->verdict == VERDICT_SHAPER) == shaper &&
		    group_has(p, &l->like, l->kind))
			return l;
	}
	return NULL;
}

static struct limiter *limiter_new(struct rate *r, const struct path *like, enum group_kind kind,
				   enum side side)
{
	struct limiter *l = NULL;

	for (unsigned i = 0; i < r->limiters && !l; i++)
		if (!r->limiter[i].open)
			l = &r->limiter[i];
	if (!l && r->limiters < LIMITERS_MAX)
		l = &r->limiter[r->limiters++];
	if (!l) {
		r->refused++;
		return NULL;
	}
	memset(l, 0, sizeof(*l));
	l->key = ++r->keys;
	l->kind = kind;
	l->side = side;
	l->like = *like;
	l->like.s = NULL;
	l->like.flow = NULL;
	l->type = -1;
	l->open = true;
	return l;
}

static void note_ip(struct in6_addr *list, uint32_t *n, unsigned max, const struct in6_addr *ip)
{
	unsigned k = *n < max ? *n : max;

	for (unsigned i = 0; i < k; i++)
		if (!memcmp(&list[i], ip, sizeof(*ip)))
			return;
	if (*n < max)
		list[(*n)++] = *ip;
}

static void note_member(struct rate *r, struct limiter *l, struct path *p)
{
	unsigned k = l->flows < FINDING_FLOWS ? l->flows : FINDING_FLOWS;

	if (p->limiter != l) {
		for (unsigned i = 0; i < k; i++)
			if (l->flow_id[i] == p->flow_id)
				return;
		if (l->flows < FINDING_FLOWS)
			l->flow_id[l->flows] = p->flow_id;
		l->flows++;
		p->limiter = l;
		wake(r, p);
	}
	l->ways |= (uint8_t)(1u << p->way);
	note_ip(l->clients, &l->nclients, 16, &p->client);
	note_ip(l->servers, &l->nservers, 16, &p->server);
	if (p->flow) {
		l->degraded |= p->flow->fragile;
		l->hinted |= p->flow->hint != NULL;
		p->flow->limit = l->verdict == VERDICT_SHAPER ? LIMIT_SHAPER : LIMIT_POLICER;
	}
}

static bool plenty(const struct rate_fit *f)
{
	if (f->j >= SURE_J && f->slices >= SURE_SLICES && f->runs >= PLENTY_RUNS)
		return true;
	return f->slices >= PLENTY_SLICES && f->runs >= PLENTY_RUNS &&
	       (f->j >= PLENTY_J || (f->slices >= 3 * PLENTY_SLICES && f->runs >= 3 * PLENTY_RUNS));
}

/*
 * A line that we see ourselves, one without losses, or with a long queue. One of
 * acknowledgments alone could be a policer's before us.
 */
static bool clean(const struct limiter *l, const struct group *g)
{
	unsigned lossy, lost = group_losses(g, SIDE_BEFORE, &lossy) +
			       group_losses(g, SIDE_AFTER, &lossy);

	return l->side == SIDE_BEFORE || lost < CLEAN_LOSSES || l->shape.rtt_queued >= SHAPE_FULL_S;
}

/*
 * A link that got slower once looks like a bucket that ran empty, until it changes again: one that was
 * seen to run empty once only must hold its line for longer. And a link that others come to share looks
 * like one for good: what had gone on for long was no burst.
 */
static bool lasting(const struct limiter *l)
{
	return l->type >= 0 || l->shape.bursts > 1 ||
	       ((double)(l->last_ns - l->start_ns) * 1e-9 >= LINE_ONCE_S && shape_quick(&l->shape));
}

/* That all share a small bucket is how links are built; that one type has it is not. */
static bool deep(const struct limiter *l)
{
	return l->type >= 0 || l->shape.burst >= BURST_LINK * 1514;
}

/*
 * Do others lose packets beside these? Then the limiter may be shared by more, of
 * which some flows' losses show little, and that little wrongly.
 */
static bool may_share(const struct rate *r, const struct limiter *l)
{
	unsigned own = 0, other = 0;

	if (l->fit.j >= ALONE_J && l->line.agree >= ALONE_AGREE)
		return false;
	for (const struct path *p = r->paths; p; p = p->next) {
		if (group_has(p, &l->like, l->kind))
			own += p->s->events[l->side];
		else if (p->s->lost_ns[l->side] >= l->start_ns &&
			 group_has(p, &l->like, GROUP_ALL))
			other += p->s->events[l->side];
	}
	return other * 4 > own;
}

/* A claim takes two looks that agree, or one at plenty; and no others that have the same for another reason. */
static bool policer_stands(const struct rate *r, const struct limiter *l)
{
	return (l->windows > 1 || plenty(&l->fit)) && !may_share(r, l) && !others_share(l);
}

static bool shaper_stands(const struct limiter *l, const struct group *g)
{
	return (l->windows > 1 || clean(l, g)) && lasting(l) && deep(l) && (l->type >= 0 || !others_queue(l));
}

/* What was taken for a limiter of a part of this group, or for a shaper of it, was this one. */
static void drop_narrower(struct rate *r, const struct limiter *l)
{
	for (unsigned i = 0; i < r->limiters; i++) {
		struct limiter *x = &r->limiter[i];

		if (x == l || !x->open || !group_has(&x->like, &l->like, l->kind))
			continue;
		if (x->verdict == VERDICT_SHAPER ? x->level < LEVEL_LIKELY :
						   x->side == l->side && x->fitted < l->fitted)
			rate_close(r, x);
	}
}

static void confirm(struct rate *r, struct limiter *l, const struct group *g, enum verdict v,
		    uint64_t from_ns, uint64_t to_ns)
{
	l->verdict = v;
	if (!l->start_ns || from_ns < l->start_ns)
		l->start_ns = from_ns;
	if (to_ns > l->last_ns)
		l->last_ns = to_ns;
	l->windows++;
	l->doubts = 0;
	type_compare(r, l);
	l->type = type_only(l) ? l->like.type : -1;
	if (v == VERDICT_SHAPER ? shaper_stands(l, g) : policer_stands(r, l))
		l->level = LEVEL_LIKELY;
	if (v != VERDICT_SHAPER)
		drop_narrower(r, l);
	for (unsigned i = 0; i < g->n; i++)
		if (g->n == 1 || v == VERDICT_SHAPER || g->path[i]->s->lost[l->side])
			note_member(r, l, g->path[i]);
	rate_report(r, l);
}

/* When the first and the last loss of the input was. */
static void loss_times(const struct fit_input *in, uint64_t origin, uint64_t *from, uint64_t *to)
{
	*from = *to = 0;
	for (unsigned i = 0; i < in->packets; i++)
		if (in->packet[i].lost) {
			uint64_t t = origin + (uint64_t)(in->packet[i].t * 1e9);

			if (!*from)
				*from = t;
			*to = t;
		}
}

/* A look at a group. */
struct look {
	enum verdict verdict;
	struct rate_fit fit;
	struct loss_line line;
	bool by_line;
	bool later; /* the limit came when the flows were there: what was taken for its bucket was none */
	uint64_t from_ns, to_ns; /* first and last loss */
};

/*
 * Which packet of several flows was lost when is known less well the less they
 * send: a bucket of another rate may part them better. The line has no such choice.
 */
static void take_line(struct look *k, const struct fit_input *in)
{
	struct rate_fit *f = &k->fit;
	double burst, low, high;

	k->by_line = true;
	k->fit.rate = k->line.rate;
	k->fit.rate_low = k->line.rate_low;
	k->fit.rate_high = k->line.rate_high;
	line_burst(in->packet, in->packets, f->rate, &burst, &low, &high);
	/* What takes long to run empty is no bucket: the limit came when the flows were there already. */
	if (!in->whole || burst > LINE_BUCKET_S * f->rate) {
		f->burst = f->j >= FIT_MIN_J && f->burst <= LINE_BUCKET_S * f->rate ? f->burst : 0;
		return;
	}
	f->burst = burst;
	f->burst_low = low;
	f->burst_high = high;
	f->whole = true;
}

/* One group against one token bucket. */
static void try_group(struct rate *r, const struct group *g, enum side side,
		      const struct rate_fit *near, struct look *k)
{
	struct fit_input in;
	uint64_t origin, cost = 0;

	memset(k, 0, sizeof(*k));
	group_gather(r, g, side, false, &in, &origin);
	rate_fit(r->work, &in, near, &k->fit, &cost);
	k->later = rate_fit_later(r->work, &in, &k->fit, &cost);
	loss_line(in.packet, in.packets, &k->line);
	r->credit -= (double)cost + 2.0 * in.packets;
	loss_times(&in, origin, &k->from_ns, &k->to_ns);
	k->verdict = verdict_of(&in, &k->fit, side);
	if (k->fit.j < ALONE_J && line_denies(&k->line))
		k->verdict = VERDICT_NONE;
	if (k->verdict == VERDICT_POLICER && g->n > 1 && k->fit.j < ALONE_J && line_holds(&k->line))
		take_line(k, &in);
	if (k->verdict == VERDICT_NONE && g->kind == GROUP_TYPE) {
		k->verdict = verdict_of_line(&in, &k->fit, &k->line);
		if (k->verdict != VERDICT_NONE)
			take_line(k, &in);
	}
}

/* How well is it told? */
static double score(const struct look *k)
{
	return k->by_line ? fmax(k->fit.j, LINE_J) : k->fit.j;
}

static bool same_group(const struct group *a, const struct group *b)
{
	return a->n == b->n && !memcmp(a->path, b->path, a->n * sizeof(a->path[0]));
}

/*
 * A claim that can't be fitted again lasts as long as flows of its group lose about as much as it took
 * when it was: chance takes less.
 */
static void goes_on_losing(struct rate *r, struct limiter *l, const struct group *g)
{
	double usual = (double)l->fit.lost / (l->fit.lost + l->fit.passed);

	for (unsigned i = 0; i < g->n; i++) {
		struct path *p = g->path[i];
		const struct series *s = p->s;
		double lost = s->lost[l->side];

		if (lost < 2 || lost < USUAL_LOSS * usual * (lost + (double)s->packets))
			continue;
		note_member(r, l, p);
		if (s->lost_ns[l->side] > l->last_ns)
			l->last_ns = s->lost_ns[l->side];
	}
}

/*
 * A bucket that was full at the start, and was seen to run empty, is known for good: of a fast flow
 * what is held is soon no longer its start.
 */
static void keep_burst(struct rate_fit *f, const struct rate_fit *old)
{
	if (f->whole || !old->whole || fabs(f->rate / old->rate - 1) > SAME_LIMIT ||
	    f->shown > SAME_BURST * old->burst + 2 * 1514)
		return;
	f->whole = true;
	f->burst = old->burst;
	f->burst_low = old->burst_low;
	f->burst_high = old->burst_high;
}

static void take_look(struct limiter *l, const struct look *k)
{
	struct rate_fit old = l->fit;

	l->fit = k->fit;
	l->line = k->line;
	l->by_line = k->by_line;
	if (!k->later)
		keep_burst(&l->fit, &old);
}

/* The limiter of a group that is known already: again, with what has come since. */
static void look_again(struct rate *r, struct limiter *l, double growth)
{
	struct look k;
	uint64_t packets;
	unsigned lossy, lost;

	group_of(r, &l->like, l->kind, &r->group);
	lost = group_losses(&r->group, l->side, &lossy);
	packets = group_packets(&r->group);
	/*
	 * A claim whose flows are gone goes on from what is left. Not so what is no claim yet: it would be
	 * made one by the same losses, looked at again.
	 */
	if (l->level >= LEVEL_LIKELY) {
		if (packets < l->fitted_packets)
			l->fitted_packets = packets;
		if (lost < l->fitted)
			l->fitted = lost;
	} else if (packets <= l->fitted_packets) {
		return;
	} else if (packets >= l->fitted_packets * 1.2) {
		growth = 1;
	}
	if (l->verdict == VERDICT_SHAPER || !lost ||
	    (lost < l->fitted * growth && packets < (double)l->fitted_packets * growth * 1.3))
		return;
	l->fitted = lost;
	l->fitted_packets = packets;
	try_group(r, &r->group, l->side, l->fit.seed_burst > 0 ? &l->fit : NULL, &k);
	/* Too little is held of all of them packet by packet: that denies nothing. */
	if (!k.fit.enough && l->level >= LEVEL_LIKELY) {
		goes_on_losing(r, l, &r->group);
		return;
	}
	if (k.verdict == VERDICT_NONE || k.verdict == VERDICT_QUEUE) {
		if (l->level < LEVEL_LIKELY || ++l->doubts >= DOUBTS_MAX)
			rate_close(r, l);
		return;
	}
	if (k.verdict == VERDICT_UNKNOWN && l->verdict == VERDICT_POLICER)
		k.verdict = VERDICT_POLICER;
	take_look(l, &k);
	confirm(r, l, &r->group, k.verdict, k.from_ns, k.to_ns);
}

/* What a shaper's full queue drops fits a bucket of its rate as well. */
static bool of_shaper(const struct rate *r, const struct path *p, const struct rate_fit *f)
{
	for (unsigned i = 0; i < r->limiters; i++) {
		const struct limiter *l = &r->limiter[i];

		if (l->open && l->verdict == VERDICT_SHAPER && group_has(p, &l->like, l->kind) &&
		    fabs(f->rate / l->shape.rate - 1) <= SAME_LIMIT)
			return true;
	}
	return false;
}

/*
 * Are most losses of flows that keep to their application's pace? Between any losses as much passes, then, and a
 * bucket of that rate parts them well, whoever lost them.
 */
static bool group_paced(const struct group *g, enum side side)
{
	unsigned all = 0, paced = 0;

	for (unsigned i = 0; i < g->n; i++) {
		all += g->path[i]->s->lost[side];
		paced += limits_paced(g->path[i]) ? g->path[i]->s->lost[side] : 0;
	}
	return 2 * paced > all;
}

/* A path with enough losses that no known limiter explains: alone, then with others. */
static void look_new(struct rate *r, struct path *p, enum side side, double growth)
{
	static const enum group_kind order[] = { GROUP_PATH, GROUP_HOST_TYPE, GROUP_PAIR,
						 GROUP_HOST, GROUP_TYPE, GROUP_ALL };
	struct look best = { .verdict = VERDICT_NONE };
	enum group_kind kind = GROUP_PATH;
	struct limiter *l;

	r->other.n = 0;
	for (unsigned i = 0; i < sizeof(order) / sizeof(*order); i++) {
		struct look k;
		unsigned lossy, lost;

		group_of(r, p, order[i], &r->group);
		lost = group_losses(&r->group, side, &lossy);
		if (order[i] != GROUP_PATH && (lossy < 2 || same_group(&r->group, &r->other)))
			continue;
		if (group_paced(&r->group, side))
			continue;
		if (lost < FIT_MIN_LOST || r->credit < 0) {
			r->refused += r->credit < 0;
			break;
		}
		r->other = r->group;
		if (order[i] != GROUP_PATH && rate_tried(r, p, order[i], side, lost, growth))
			continue;
		try_group(r, &r->group, side, NULL, &k);
		if (order[i] == GROUP_PATH)
			p->queued |= k.verdict == VERDICT_QUEUE;
		if (k.verdict == VERDICT_NONE || k.verdict == VERDICT_QUEUE)
			continue;
		if (best.verdict == VERDICT_NONE || score(&k) > score(&best) - J_CLOSE) {
			best = k;
			kind = order[i];
		}
		if (order[i] != GROUP_PATH && score(&k) >= J_GOOD)
			break;
	}
	if (best.verdict == VERDICT_NONE || of_shaper(r, p, &best.fit))
		return;
	l = limiter_new(r, p, kind, side);
	if (!l)
		return;
	group_of(r, p, kind, &r->group);
	l->fitted = group_losses(&r->group, side, &(unsigned){ 0 });
	l->fitted_packets = group_packets(&r->group);
	take_look(l, &best);
	confirm(r, l, &r->group, best.verdict, best.from_ns, best.to_ns);
}

static void look_losses(struct rate *r, struct path *p, enum side side, double growth)
{
	unsigned lost = p->s->lost[side];
	struct limiter *l;

	if (lost < FIT_MIN_LOST || p->s->events[side] < FIT_MIN_SLICES || r->credit < 0)
		return;
	l = limiter_covering(r, p, side, false);
	if (l) {
		look_again(r, l, growth);
		return;
	}
	if (p->gaps != p->s->gaps) { /* what was counted before is no longer */
		p->gaps = p->s->gaps;
		p->fitted[SIDE_BEFORE] = p->fitted[SIDE_AFTER] = 0;
	}
	if (p->fitted[side] && lost < p->fitted[side] * growth)
		return;
	p->fitted[side] = lost;
	look_new(r, p, side, growth);
}

static double cv_max(enum side side)
{
	return side == SIDE_AFTER ? CV_MAX_ACKED : CV_MAX;
}

/* No more ever passes than the bucket holds. */
static bool exceeded(const struct shape *s, double burst)
{
	return s->most > 1.15 * burst + 6 * 1514;
}

/* Does this line speak of a token bucket, and not of a link that is full? */
static bool has_bucket(const struct shape *s, enum side side, bool whole)
{
	if (!s->line || !s->queued || s->stepped || s->cv > cv_max(side) || !(whole || s->bursts > 1))
		return false;
	if (s->seconds < LINE_S ||
	    (s->seconds < .5 * (s->last - s->first) && fabs(s->held - 1) > HELD_OFF))
		return false;
	return s->peak >= 1.25 * s->rate && s->burst >= BURST_PACKETS * 1514 &&
	       s->burst >= BURST_S * s->rate && s->burst <= BURST_OF_LINE * s->rate * s->seconds &&
	       s->burst_high <= 1.3 * s->burst_low + 3000 &&
	       !exceeded(s, s->burst);
}

/*
 * Is this the line of a bucket that is known already? Of a fast flow its start is soon no longer held
 * packet by packet, but the line goes on.
 */
static bool goes_on(const struct limiter *l, const struct shape *s, enum side side)
{
	return s->line && s->queued && s->cv <= cv_max(side) &&
	       fabs(s->rate / l->shape.rate - 1) <= SAME_RATE && !exceeded(s, l->shape.burst);
}

/* What is known of a bucket stays where a later look no longer sees it. */
static void keep_bucket(struct shape *s, const struct shape *old)
{
	s->burst = old->burst;
	s->burst_low = old->burst_low;
	s->burst_high = old->burst_high;
	s->bursts = old->bursts;
	s->whole = old->whole;
	s->peak = old->peak;
	s->rtt_free = old->rtt_free;
	s->seconds = fmax(s->seconds, old->seconds);
}

/* The group's line, if it has one and it queues. */
static bool try_shape(struct rate *r, const struct group *g, enum side side, struct shape *s,
		      uint64_t *origin, bool *whole)
{
	struct fit_input in;
	unsigned late = 0, lost = 0;

	group_gather(r, g, side, side == SIDE_AFTER, &in, origin);
	*whole = true;
	for (unsigned i = 0; i < g->n; i++)
		*whole &= g->path[i]->s->whole;
	shape_fit(in.packet, in.packets, in.rtt, in.rtts, *whole,
		  (side == SIDE_AFTER ? 6 : 3) * 1514.0, s);
	r->credit -= 60.0 * in.packets;
	/* Much is lost where a bucket drops, or where a queue is full: then it is long. */
	for (unsigned i = 0; i < in.packets; i++)
		if (in.packet[i].t > s->first + 1 && in.packet[i].t < s->last) {
			late++;
			lost += in.packet[i].lost;
		}
	if (lost > SHAPE_LOSS * late &&
	    !(s->rtt_full >= fmin(SHAPE_FULL_S, SHAPE_FULL * 1514 / s->rate)))
		return false;
	return s->line && s->queued && s->cv <= cv_max(side) * 1.3;
}

/*
 * What a bucket after us let pass in a burst came past us as one. Deliveries alone may come in a
 * burst for other reasons: a receiver or its radio slept, a host was busy.
 */
static bool burst_sent(struct rate *r, const struct group *g, const struct shape *s)
{
	struct fit_input in;
	uint64_t origin;

	group_gather(r, g, SIDE_AFTER, false, &in, &origin);
	r->credit -= in.packets;
	return shape_backlog(in.packet, in.packets, s->rate, s->last, true) >=
	       BURST_SENT * s->burst;
}

/* Did the path send while the line was held? */
static bool takes_part(const struct path *p, const struct shape *s, uint64_t origin_ns)
{
	double from = ((double)(int64_t)(p->start_ns - origin_ns)) * 1e-9;
	double to = ((double)(int64_t)(p->last_ns - origin_ns)) * 1e-9;

	return fmin(to, s->last) - fmax(from, s->first) >= .5 * (s->last - s->first);
}

/*
 * More share it when they hold a higher line about as long, one much longer, or a straighter one: what
 * is free beside it breaks it.
 */
static bool shared_by_more(const struct shape *few, const struct shape *more)
{
	return more->seconds >= 1.5 * few->seconds ||
	       (more->seconds >= .8 * few->seconds && more->rate >= 1.15 * few->rate) ||
	       (more->seconds >= few->seconds && more->rate >= few->rate &&
		more->residual <= STRAIGHTER * few->residual);
}

/* A path that queues, and those that may share its queue: the group whose bytes keep to a line. */
static void look_line(struct rate *r, const struct path *like, enum side side)
{
	static const enum group_kind order[] = { GROUP_PATH, GROUP_HOST_TYPE, GROUP_PAIR,
						 GROUP_HOST, GROUP_TYPE, GROUP_ALL };
	struct limiter *l, probe = { .like = *like, .side = side };
	struct shape best = { .line = false };
	enum group_kind kind = GROUP_PATH;
	bool whole = false, bucket;
	uint64_t origin = 0;

	r->other.n = 0;
	for (unsigned i = 0; i < sizeof(order) / sizeof(*order); i++) {
		struct shape s;
		uint64_t o;
		bool w;

		group_of(r, like, order[i], &r->group);
		if (!r->group.n || (i && same_group(&r->group, &r->other)))
			continue;
		r->other = r->group;
		if (!try_shape(r, &r->group, side, &s, &o, &w) || !takes_part(like, &s, o))
			continue;
		for (unsigned j = 0; j < r->group.n; j++)
			r->group.path[j]->queued |= r->group.n == 1;
		if (best.line && !shared_by_more(&best, &s))
			continue;
		best = s;
		kind = order[i];
		origin = o;
		whole = w;
	}
	if (!best.line)
		return;
	bucket = has_bucket(&best, side, whole);
	if (bucket && side == SIDE_AFTER) {
		group_of(r, like, kind, &r->group);
		bucket = burst_sent(r, &r->group, &best);
	}
	probe.shape = best;
	probe.kind = kind;
	probe.verdict = VERDICT_SHAPER;
	probe.start_ns = origin + (uint64_t)(fmax(best.first, 0) * 1e9);
	probe.last_ns = origin + (uint64_t)(best.last * 1e9);
	type_compare(r, &probe);
	l = limiter_covering(r, like, side, true);
	if (!bucket && l && l->kind == kind && l->shape.burst > 0 && goes_on(l, &best, side)) {
		keep_bucket(&probe.shape, &l->shape);
		bucket = true;
	}
	/* Without a bucket it is a limit only when it holds one type and no other. */
	if (!bucket && !(best.seconds >= 3 && best.cv <= 1.3 * CV_MAX && type_only(&probe)))
		return;
	/* What a policer passes is acknowledged in a line too. */
	if (limiter_covering(r, like, SIDE_BEFORE, false) ||
	    limiter_covering(r, like, SIDE_AFTER, false))
		return;
	if (!l || l->kind != kind)
		l = limiter_new(r, like, kind, side);
	if (!l)
		return;
	l->shape = probe.shape;
	group_of(r, like, kind, &r->group);
	confirm(r, l, &r->group, VERDICT_SHAPER, probe.start_ns, probe.last_ns);
}

/* A path that queues. */
static void look_shape(struct rate *r, struct path *p, enum side side, double growth)
{
	if (p->s->packets < SHAPE_PACKETS || p->s->packets < p->shaped_at[side] * fmin(growth, SHAPE_GROWTH) ||
	    p->s->payload < 100 * p->s->packets || r->credit < 0 || !series_waits(p->s, side) ||
	    limits_window(p))
		return;
	p->shaped_at[side] = p->s->packets;
	look_line(r, p, side);
}

static void look(struct rate *r, struct path *p, double growth)
{
	look_losses(r, p, SIDE_BEFORE, growth);
	look_losses(r, p, SIDE_AFTER, growth);
	look_shape(r, p, SIDE_BEFORE, growth);
	look_shape(r, p, SIDE_AFTER, growth);
}

static void rate_typed(void *d, struct flow *f, unsigned old_type)
{
	struct rate *r = d;
	struct rate_flow *x = f->detector[r->env.slot];

	for (unsigned i = 0; x && i < 2; i++)
		if (x->path[i])
			x->path[i]->type = r->mark[x->path[i]->mark].type = f->type;
}

/* What ended is kept for comparison; live a few records may tell of many packets, and there may be many such flows. */
static bool is_control(const struct rate *r, const struct path *p)
{
	if (!r->env.focus)
		return p->s->n >= 20;
	return p->count.packets >= 20 && r->npaths < PATHS_MAX / 2;
}

static void rate_flow_end(void *d, struct flow *f)
{
	struct rate *r = d;
	struct rate_flow *x = f->detector[r->env.slot];
	unsigned main_way;

	if (!x)
		return;
	for (unsigned i = 0; i < 2; i++)
		if (x->path[i])
			look(r, x->path[i], GROWTH_END);
	/* What held back the direction that carried more. */
	main_way = x->path[1] && (!x->path[0] || x->path[1]->s->payload >= x->path[0]->s->payload);
	if (f->limit == LIMIT_NONE && x->path[main_way])
		f->limit = (uint8_t)limits_of(x->path[main_way]);
	for (unsigned i = 0; i < 2; i++) {
		struct path *p = x->path[i];

		if (!p)
			continue;
		p->flow = NULL;
		p->ended_ns = r->mark[p->mark].ended_ns = f->last_ns;
		p->count = f->count[i];
		/* Live, a control of other types may have given few records only. */
		if (!p->s->lost[0] && !p->s->lost[1] && !p->limiter && !is_control(r, p))
			path_free(r, p);
	}
	free(x);
	f->detector[r->env.slot] = NULL;
}

/* False: there may be more to be done for the path in the next second, though no packet comes. */
static bool looked_through(struct rate *r, struct path *p)
{
	struct limiter *l;
	bool waits = series_waits(p->s, SIDE_BEFORE) || series_waits(p->s, SIDE_AFTER);

	if (waits)
		ask(r, p, true);
	look(r, p, GROWTH);
	l = p->limiter;
	if (l && l->level >= LEVEL_LIKELY && l->verdict != VERDICT_SHAPER &&
	    p->s->lost_ns[l->side] > l->last_ns)
		l->last_ns = p->s->lost_ns[l->side];
	return !l && !waits && p->s->lost[SIDE_BEFORE] < FIT_MIN_LOST &&
	       p->s->lost[SIDE_AFTER] < FIT_MIN_LOST;
}

static void rate_tick(void *d, uint64_t now_ns)
{
	struct rate *r = d;

	r->credit = fmin(r->credit + (r->tick_ns && now_ns > r->tick_ns ?
					      (double)(now_ns - r->tick_ns) * 1e-9 * WORK_PER_S : 0),
			 CREDIT_S * WORK_PER_S);
	r->focus = fmin(r->focus + (r->tick_ns && now_ns > r->tick_ns ?
					    (double)(now_ns - r->tick_ns) * 1e-9 * FOCUS_PER_S : 0),
			FOCUS_MOST);
	r->tick_ns = now_ns;
	if (r->marks > 2 * r->npaths + MARKS_SPARE)
		marks_compact(r);
	for (unsigned i = r->marks; i--;) { /* newest first */
		struct path_mark *m = &r->mark[i];
		struct path *p = m->path;

		if (!p)
			continue;
		if (m->ended_ns) {
			if (now_ns > m->ended_ns + RETIRED_S * 1000000000ull)
				path_free(r, p);
			continue;
		}
		if (m->awake)
			m->awake = p->awake = !looked_through(r, p);
	}
	udp_tick(r, now_ns);
	for (unsigned i = 0; i < r->limiters; i++) {
		struct limiter *l = &r->limiter[i];

		if (l->open && now_ns > l->last_ns + QUIET_NS) {
			if (l->verdict == VERDICT_SHAPER)
				look_line(r, &l->like, l->side);
			else
				look_again(r, l, 1.01);
			if (now_ns > l->last_ns + QUIET_NS)
				rate_close(r, l);
		}
	}
}

static void rate_finish(void *d, uint64_t now_ns)
{
	struct rate *r = d;

	for (unsigned i = 0; i < r->limiters; i++)
		if (r->limiter[i].open)
			rate_close(r, &r->limiter[i]);
	for (unsigned i = 0; i < MAX_TYPES; i++)
		udp_close(r, &r->udp[i]);
}

const struct detector detect_rate = {
	.name = "rate",
	.wants = PACKET_TCP | PACKET_UDP,
	.create = rate_create,
	.packet = rate_packet,
	.expect = rate_expect,
	.typed = rate_typed,
	.flow_end = rate_flow_end,
	.tick = rate_tick,
	.finish = rate_finish,
	.destroy = rate_destroy,
};
