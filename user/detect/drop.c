// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Selective drops: one type of traffic loses what the others do not. Packets
 * become trials (drop_tcp, drop_udp), trials become evidence (drop_bank),
 * evidence with its guards becomes findings (drop_judge).
 */
#include "drop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fetch.h"

#define SECOND 1000000000ull
#define PATIENCE_NS (5 * SECOND / 2)
#define THIN_PER_RTT 64

struct drop_type *drop_type_of(struct drop *d, unsigned type)
{
	if (!d->type[type])
		d->type[type] = calloc(1, sizeof(*d->type[type]));
	if (!d->type[type])
		model_refuse(d->env->model);
	return d->type[type];
}

uint64_t drop_patience_ns(const struct drop_flow *df)
{
	uint64_t rtts = df->rtt_us * 4000ull;

	return rtts > 2 * PATIENCE_NS ? 2 * PATIENCE_NS : rtts > PATIENCE_NS ? rtts : PATIENCE_NS;
}

/*
 * Not too many packets in this round trip and the one before: a flow in full
 * flight loses by its own doing. How many there were on average is kept by type:
 * the judge asks whether they explain the losses.
 */
bool drop_thin(struct drop_flow *df, unsigned way, uint64_t now_ns, unsigned packets)
{
	struct pace *p = &df->pace[way];
	uint64_t rtt = df->rtt_us ? df->rtt_us * 1000ull : 100000000ull;
	unsigned sum;

	if (rtt < 20000000)
		rtt = 20000000;
	if (now_ns > p->start_ns + rtt) {
		p->before = now_ns < p->start_ns + 2 * rtt ? p->now : 0;
		p->now = 0;
		p->start_ns = now_ns;
	}
	sum = p->now + packets;
	p->now = sum > UINT16_MAX ? UINT16_MAX : sum;
	return p->now <= THIN_PER_RTT && p->before <= THIN_PER_RTT;
}

/* Notes n packets of a way for drop_queue_fit(); the log begins with the first loss. */
void drop_vq(struct drop *d, const struct flow *f, unsigned way, uint64_t ns, unsigned n,
	     uint16_t len, bool lost)
{
	struct drop_type *t = d->type[f->type];
	struct vq_log *v = t ? t->vq[way] : NULL;

	if (!v) {
		if (!lost || !t)
			return;
		v = t->vq[way] = calloc(1, sizeof(*v));
		if (!v)
			return;
	}
	for (unsigned i = 0; i < n && i < 32; i++)
		v->p[v->n++ % VQ_MAX] = (struct vq_packet){ ns / 1e9, len + 40, lost };
}

static void note_lossy(struct drop_type *t, struct drop_flow *df, uint64_t ns)
{
	uint64_t id = df->flow->id;

	for (unsigned i = 0; i < LOSSY_MAX && i < t->nlossy; i++)
		if (t->lossy_flow[i] == id) {
			t->lossy_ns[i] = ns;
			return;
		}
	t->lossy_flow[t->nlossy % LOSSY_MAX] = id;
	t->lossy_ns[t->nlossy++ % LOSSY_MAX] = ns;
	t->lossy++;
}

static uint64_t tuple_key(const struct flow *f)
{
	uint64_t h = ip_hash(&f->server.ip, ip_hash(&f->client.ip, f->server.port));

	return h ? h : 1;
}

/*
 * Rows of failures of client, server and port: at least three over three seconds.
 * A block that outlasts its trigger takes what passes at other times too: openings
 * fail, which passed before. Where only the content fails, each attempt is its own
 * trigger, and its resends would pass for a block that lasts as long as they do.
 */
static void note_tuple(struct drop_type *t, const struct flow *f, const struct trial *tr)
{
	uint64_t key = tuple_key(f);
	struct tuple *x = &t->tuple[key % TUPLES];

	if (x->key != key) {
		/* a running row keeps its place for a quarter of an hour */
		if (!tr->lost || (x->last_ns && x->last_ns + 900 * SECOND > tr->time_ns))
			return;
		*x = (struct tuple){ .key = key };
	}
	/* data is sent where an opening passed */
	if (tr->channel != CH_OPEN)
		x->opened = true;
	if (tr->lost) {
		x->openings += tr->channel == CH_OPEN && tr->stage == STAGE_FIRST;
		if (!x->first_ns)
			x->first_ns = tr->time_ns;
		if (tr->time_ns > x->last_ns)
			x->last_ns = tr->time_ns;
		x->failures++;
	} else if (x->first_ns && tr->time_ns > x->last_ns) {
		if (x->failures >= 3 && x->opened && x->openings &&
		    x->last_ns > x->first_ns + 3 * SECOND)
			t->residual[t->nresiduals++ % STOPS_MAX] =
				(struct residual){ x->first_ns, (x->last_ns - x->first_ns) / 1e9f,
						   (tr->time_ns - x->first_ns) / 1e9f };
		*x = (struct tuple){ .key = key, .opened = true };
	}
}

/* A fate of a packet of known type. */
static void count(struct drop *d, struct drop_flow *df, unsigned type, const struct trial *t,
		  uint16_t len)
{
	const struct flow *f = df->flow;
	const struct in6_addr *far = df->far_client ? &f->client.ip : &f->server.ip;
	const struct in6_addr *near = df->far_client ? &f->server.ip : &f->client.ip;
	bool later = t->channel == CH_OPEN && t->stage == STAGE_LATER;
	struct drop_type *state = drop_type_of(d, type);
	unsigned bin = len <= 200 ? 0 : len <= 600 ? 1 : len <= 1000 ? 2 : 3;

	if (!state)
		return;
	/* this host dropped it, the kernel says: no path's doing */
	if (t->lost && df->own_lost < f->own_drops) {
		df->own_lost += t->lost;
		state->own_lost += t->lost;
		return;
	}
	/* nobody ever answered there: a dead candidate, not a drop */
	if (t->lost && t->channel == CH_OPEN && !ends_alive(&d->far, far, 1, later ? f->id : 0)) {
		ends_add(&d->far, &df->at_far, far, type, t->channel, f->id, t->time_ns, t->n, t->lost);
		return;
	}
	if (!bank_add(&d->bank, type, t))
		model_refuse(d->env->model);
	ends_add(&d->far, &df->at_far, far, type, t->channel, f->id, t->time_ns, t->n, t->lost);
	ends_add(&d->near, &df->at_near, near, type, t->channel, f->id, t->time_ns, t->n, t->lost);
	if (len) {
		state->size_n[bin] += t->n;
		state->size_lost[bin] += t->lost;
	}
	if (t->channel != CH_OPEN) {
		unsigned way = t->channel == CH_UP ? TO_SERVER : TO_CLIENT;
		const struct pace *p = &df->pace[way];

		state->window[way] +=
			((p->now > p->before ? p->now : p->before) - state->window[way]) / 256;
	}
	if (!df->far_client && t->channel != CH_DOWN)
		note_tuple(state, f, t);
	if (t->lost)
		note_lossy(state, df, t->time_ns);
	if (t->lost && f->fragile)
		state->fragile_ns = t->time_ns;
}

static void tell_early(struct drop *d, struct drop_flow *df, unsigned type)
{
	for (unsigned i = 0; i < df->nearly; i++)
		count(d, df, type, &df->early[i], 0);
	df->nearly = 0;
}

void drop_tell(struct drop *d, struct drop_flow *df, const struct trial *t, uint16_t len)
{
	struct flow *f = df->flow;
	int type = f->type || f->typed ? f->type : -1;

	/* no payload will come of an opening that fails: what was here before says what it is */
	if (type <= 0 && t->lost && t->stage == STAGE_FIRST) {
		int learned = spots_type(&d->spots, &f->server, f->proto);

		type = learned >= 0 ? learned : type;
	}
	if (type < 0) {
		if (df->nearly < EARLY_MAX)
			df->early[df->nearly++] = *t;
		return;
	}
	tell_early(d, df, type);
	count(d, df, type, t, len);
}

void drop_tell_sent(struct drop *d, struct drop_flow *df, const struct sent *s, bool lost)
{
	struct trial t = { .time_ns = s->ns,
			   .n = s->n,
			   .lost = lost ? s->n : 0,
			   .channel = s->channel,
			   .stage = s->stage,
			   .thin = s->thin };

	if (s->channel != CH_OPEN)
		drop_vq(d, df->flow, drop_out(df), s->ns, s->n, s->len, lost);
	if (lost && s->nth && (!df->first_lost || s->nth < df->first_lost))
		df->first_lost = s->nth;
	drop_tell(d, df, &t, s->len);
}

void drop_list(struct drop *d, struct drop_flow *df)
{
	if (df->listed)
		return;
	df->listed = true;
	df->prev = NULL;
	df->next = d->open;
	if (d->open)
		d->open->prev = df;
	d->open = df;
}

static void unlist(struct drop *d, struct drop_flow *df)
{
	if (!df->listed)
		return;
	df->listed = false;
	if (df->prev)
		df->prev->next = df->next;
	else
		d->open = df->next;
	if (df->next)
		df->next->prev = df->prev;
}

void drop_sent_remove(struct drop_flow *df, unsigned i)
{
	memmove(&df->sent[i], &df->sent[i + 1], (df->nsent - i - 1) * sizeof(df->sent[0]));
	df->nsent--;
}

void drop_sent_add(struct drop *d, struct drop_flow *df, const struct sent *s)
{
	if (df->nsent == SENT_MAX) {
		struct sent old = df->sent[0];

		/* more in flight than the list holds: for now it counts as passed */
		drop_sent_remove(df, 0);
		if (old.state != SENT_TOLD)
			drop_tell_sent(d, df, &old, old.state != SENT_WAITING);
	}
	if (df->nsent == df->room) {
		uint8_t room = !df->room ? 1 : df->room < 3 ? 3 : SENT_MAX;
		struct sent *more = realloc(df->sent, room * sizeof(*more));

		if (!more) /* no memory: a packet that is not judged */
			return;
		df->sent = more;
		df->room = room;
	}
	df->sent[df->nsent++] = *s;
	drop_list(d, df);
}

static void drop_sent_forget(struct drop_flow *df)
{
	unsigned n = 0;

	for (unsigned i = 0; i < df->nsent; i++)
		if (df->sent[i].state != SENT_WAITING)
			df->sent[n++] = df->sent[i];
	df->nsent = (uint8_t)n;
	if (!n)
		df->lost_row = 0;
}

struct drop_flow *drop_flow_of(struct drop *d, struct flow *f)
{
	struct drop_flow *df = f->detector[d->env->slot];

	if (df)
		return df;
	if (f->proto != IPPROTO_TCP && f->proto != IPPROTO_UDP)
		return NULL;
	df = calloc(1, sizeof(*df));
	if (!df) {
		model_refuse(d->env->model);
		return NULL;
	}
	df->flow = f;
	df->far_client = model_is_local(d->env->model, &f->server.ip) &&
			 !model_is_local(d->env->model, &f->client.ip);
	return f->detector[d->env->slot] = df;
}

/*
 * Packets that passed without a record: nothing happened to them. They are
 * spread over the time since the newest record, so that a record which tells of
 * a loss does not stand for all.
 */
static void passed_unrecorded(struct drop *d, struct drop_flow *df, const struct weir_rec *r)
{
	unsigned way = rec_way(df->flow, r);
	struct pace *p = &df->pace[way];
	const struct flow_counts *c = &df->flow->count[way];
	uint64_t total = c->packets, missing = 0, from = p->ns;

	if (p->ns && r->own_pkts != UINT16_MAX)
		missing = r->own_pkts > p->seen ? r->own_pkts - p->seen : 0;
	else if (p->ns)
		missing = total > p->counted ? total - p->counted : 0;
	/* Live, the total is as old as the newest sweep, and what was told since is not in it. */
	p->counted = r->own_pkts != UINT16_MAX ? r->own_pkts : total > p->counted ? total : p->counted;
	p->counted += r->segs;
	p->seen = r->own_pkts + r->segs > UINT16_MAX ? UINT16_MAX : r->own_pkts + r->segs;
	p->ns = r->time_ns;
	p->missed = r->own_pkts != UINT16_MAX && missing < UINT16_MAX ? missing : 0;
	if (!missing || from >= r->time_ns || df->flow->proto != IPPROTO_TCP)
		return;
	if (from + 4 * SECOND < r->time_ns) {
		missing = missing * (4.0 * SECOND / (r->time_ns - from));
		from = r->time_ns - 4 * SECOND;
	}
	unsigned parts = (r->time_ns - from) / SLOT_NS + 1;
	double rtts = (r->time_ns - from) / 1000.0 / (df->rtt_us ? df->rtt_us : 100000);
	bool thin = missing <= THIN_PER_RTT * rtts;
	uint16_t mean = total && c->bytes > 40 * total ? fmin(c->bytes / total - 40, 1460) : 0;

	for (unsigned i = 0; i < parts; i++) {
		uint64_t n = missing * (i + 1) / parts - missing * i / parts;
		struct trial t = { .time_ns = from + i * SLOT_NS,
				   .n = n > UINT16_MAX ? UINT16_MAX : n,
				   .channel = drop_channel(way),
				   .stage = STAGE_LATER,
				   .thin = thin };

		if (!n)
			continue;
		drop_vq(d, df->flow, way, t.time_ns, t.n, mean, false);
		drop_tell(d, df, &t, 0);
	}
}

static void packet(void *arg, struct flow *f, const struct weir_rec *r, const uint8_t *payload)
{
	struct drop *d = arg;
	struct drop_flow *df;

	df = drop_flow_of(d, f);
	if (!df)
		return;
	if (r->time_ns / SLOT_NS > d->bank.front)
		bank_advance(&d->bank, r->time_ns, false);
	if (!df->dead)
		passed_unrecorded(d, df, r);
	if (f->proto == IPPROTO_TCP)
		drop_tcp(d, df, r);
	else
		drop_udp(d, df, r);
	/* What answers the packets under way will not be told: they say nothing. First packets always are. */
	if (r->flags & WEIR_REC_LAST && (f->proto == IPPROTO_TCP || df->answered))
		drop_sent_forget(df);
}

static void expect(const void *arg, const struct flow *f, unsigned way)
{
	const struct drop *d = arg;
	const struct drop_flow *df = f->detector[d->env->slot];
	uint64_t now;

	if (!df)
		return;
	now = model_now(d->env->model);
	fetch_lines((const char *)df + 64, offsetof(struct drop_flow, early) - 64);
	__builtin_prefetch(df->sent, 1);
	ends_expect(df->at_far, now);
	ends_expect(df->at_near, now);
}

static void typed(void *arg, struct flow *f, unsigned old_type)
{
	struct drop *d = arg;
	struct drop_flow *df = f->detector[d->env->slot];

	if (f->type && f->source >= SOURCE_DNS)
		spots_learn(&d->spots, &f->server, f->proto, f->type, f->last_ns);
	if (df && (f->type || f->typed))
		tell_early(d, df, f->type);
}

/* A flow that made no more progress: where did it stop? */
static void note_stop(struct drop *d, struct drop_flow *df)
{
	struct drop_type *t = d->type[df->flow->type];

	if (!t)
		return;
	if (df->first_lost)
		t->first_lost[t->nfirst++ % STOPS_MAX] =
			df->first_lost < 255 ? df->first_lost : 255;
	if (df->in_after_loss)
		t->after_loss++;
	if (df->lost_row < 3 || !(df->answered || df->acked_data))
		return;
	t->stop_packets[t->nstops % STOPS_MAX] = df->stop_packets;
	t->stop_bytes[t->nstops % STOPS_MAX] = df->stop_bytes;
	t->stop_ns[t->nstops++ % STOPS_MAX] = df->flow->last_ns;
}

static void flow_end(void *arg, struct flow *f)
{
	struct drop *d = arg;
	struct drop_flow *df = f->detector[d->env->slot];
	uint64_t now = model_now(d->env->model);

	if (!df)
		return;
	/* what is young may still be answered after the end of what we see */
	if (f->proto == IPPROTO_TCP)
		drop_tcp_time(d, df, now);
	else
		drop_udp_time(d, df, now);
	if (df->nearly) {
		int type = f->type ? f->type : spots_type(&d->spots, &f->server, f->proto);

		if (type >= 0)
			tell_early(d, df, type);
		else
			d->orphans++;
	}
	note_stop(d, df);
	unlist(d, df);
	free(df->sent);
	free(df->gaps);
	free(df);
	f->detector[d->env->slot] = NULL;
}

static void tick(void *arg, uint64_t now_ns)
{
	struct drop *d = arg;

	for (struct drop_flow *df = d->open, *next; df; df = next) {
		next = df->next;
		if (df->flow->proto == IPPROTO_TCP)
			drop_tcp_time(d, df, now_ns);
		else
			drop_udp_time(d, df, now_ns);
		if (!df->nsent && !(df->gaps && df->gaps->n) && !df->counted)
			unlist(d, df);
	}
	bank_advance(&d->bank, now_ns, false);
	drop_judge(d, now_ns, false);
	for (unsigned i = 0; i < d->bank.types; i++) {
		struct drop_need need = drop_need(d, i);

		if (d->type[i])
			model_drop_trials(d->env->model, i, need.have, need.need);
	}
}

static void finish(void *arg, uint64_t now_ns)
{
	struct drop *d = arg;

	bank_advance(&d->bank, now_ns, true);
	drop_judge(d, now_ns, true);
}

static void *create(const struct detect_env *env)
{
	struct drop *d = calloc(1, sizeof(*d));

	if (d)
		d->env = env;
	return d;
}

static void destroy(void *arg)
{
	struct drop *d = arg;

	for (unsigned i = 0; i < MAX_TYPES; i++) {
		if (!d->type[i])
			continue;
		free(d->type[i]->vq[0]);
		free(d->type[i]->vq[1]);
		free(d->type[i]);
	}
	bank_free(&d->bank);
	free(d);
}

const struct detector detect_drop = {
	.name = "drop",
	.wants = PACKET_TCP | PACKET_UDP,
	.create = create,
	.packet = packet,
	.expect = expect,
	.typed = typed,
	.flow_end = flow_end,
	.tick = tick,
	.finish = finish,
	.destroy = destroy,
};
