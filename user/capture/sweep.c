// SPDX-License-Identifier: GPL-2.0-or-later
#include "sweep.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define SECOND	     1000000000ULL
#define CLOSED_NS    (5 * SECOND)
#define TCP_IDLE_NS  (300 * SECOND)
#define IDLE_NS	     (120 * SECOND)
#define CALM_NS	     SECOND
#define CALM_MOST_NS (4 * SECOND)
#define HURRY_NS     (SECOND / 10)
#define NEAR	     4 /* flows ahead that are made ready */
#define FAR	     12
#define BATCH	     1024u
#define BATCH_MAX    65536u
/* A test run takes a page less head- and tailroom; the engine reads 64 behind a head of 16 bytes. */
#define CTL_HEAD     16
#define CTL_RUN	     50

struct sweep {
	struct sweep_fds fds;
	struct sweep_ops ops;
	unsigned batch;
	void *keys, *dead_keys;
	uint64_t *dead_holes;
	struct weir_flow *flows;
	struct weir_ctl *ctl;	/* flows to be marked: as many as a batch */
	unsigned nctl;
	uint64_t last_ns;	/* the sweep before */
	uint64_t active, count, evicted;
};

static bool buffers(struct sweep *s, unsigned batch)
{
	free(s->keys);
	free(s->dead_keys);
	free(s->dead_holes);
	free(s->flows);
	free(s->ctl);
	s->batch = batch;
	s->keys = calloc(batch, sizeof(struct weir_key6));
	s->dead_keys = calloc(batch, sizeof(struct weir_key6));
	s->dead_holes = calloc(batch, sizeof(*s->dead_holes));
	s->flows = calloc(batch, sizeof(*s->flows));
	s->ctl = calloc(batch, sizeof(*s->ctl));
	return s->keys && s->dead_keys && s->dead_holes && s->flows && s->ctl;
}

struct sweep *sweep_new(const struct sweep_fds *fds, const struct sweep_ops *ops)
{
	struct sweep *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->fds = *fds;
	s->ops = *ops;
	if (!buffers(s, BATCH)) {
		sweep_free(s);
		return NULL;
	}
	return s;
}

void sweep_free(struct sweep *s)
{
	if (!s)
		return;
	free(s->keys);
	free(s->dead_keys);
	free(s->dead_holes);
	free(s->flows);
	free(s->ctl);
	free(s);
}

uint64_t sweep_active(const struct sweep *s)
{
	return s->active;
}

uint64_t sweep_evicted(const struct sweep *s)
{
	return s->evicted;
}

enum sweep_pressure sweep_pressure(uint64_t active, uint64_t max)
{
	if (active > max - max / 32)
		return SWEEP_CHOKED;
	if (active > max - max / 8)
		return SWEEP_FLOODED;
	return active > max - max / 4 ? SWEEP_TIGHT : SWEEP_CALM;
}

static uint64_t between(uint64_t x, uint64_t low, uint64_t high)
{
	return x < low ? low : x > high ? high : x;
}

uint64_t sweep_interval_ns(uint64_t took_ns, enum sweep_pressure pressure)
{
	if (pressure == SWEEP_CALM)
		return between(10 * took_ns, CALM_NS, CALM_MOST_NS);
	return between(2 * took_ns, HURRY_NS, CALM_NS);
}

/* Did its ends close it? */
static enum flow_end closed(const struct weir_flow *f, uint8_t proto)
{
	uint8_t a = f->dir[0].flags, b = f->dir[1].flags;

	if (proto != IPPROTO_TCP)
		return END_OPEN;
	if ((a | b) & WEIR_DIR_RST)
		return END_RST;
	return a & b & WEIR_DIR_FIN ? END_FIN : END_OPEN;
}

enum flow_end sweep_verdict(const struct weir_flow *f, uint8_t proto, uint64_t now_ns,
			    enum sweep_pressure pressure)
{
	const struct weir_dir *a = &f->dir[0], *b = &f->dir[1];
	uint64_t last = a->last_ns > b->last_ns ? a->last_ns : b->last_ns;
	uint64_t idle = now_ns > last ? now_ns - last : 0;
	bool tcp = proto == IPPROTO_TCP;
	enum flow_end over = closed(f, proto);
	/* What a flood is made of: no answer, or a handshake that never ended. */
	bool half_open = !a->packets || !b->packets ||
			 (tcp && ((a->flags | b->flags) & WEIR_DIR_SYN) && !f->handshake_us &&
			  !a->data_packets && !b->data_packets);

	if (over && idle > CLOSED_NS)
		return over;
	if (idle > (tcp ? TCP_IDLE_NS : IDLE_NS))
		return END_TIMEOUT;
	if (pressure >= SWEEP_FLOODED && over && idle > SECOND / 2)
		return over;
	if (half_open && (pressure >= SWEEP_FLOODED ||
			  (pressure == SWEEP_TIGHT && idle > SECOND)))
		return END_EVICTED;
	if (pressure == SWEEP_CHOKED && idle > 10 * SECOND)
		return END_EVICTED;
	return END_OPEN;
}

/* ::ffff:a.b.c.d, as the model holds addresses. */
static void map_key(const struct weir_key4 *k, struct weir_key6 *out)
{
	memset(out, 0, sizeof(*out));
	out->lo[2] = out->hi[2] = htonl(0xffff);
	out->lo[3] = k->lo;
	out->hi[3] = k->hi;
	out->lo_port = k->lo_port;
	out->hi_port = k->hi_port;
	out->proto = k->proto;
	out->pad = k->pad;
	out->ifindex = k->ifindex;
}

int sweep_ctl(struct sweep *s, const struct weir_ctl *ctl, unsigned n)
{
	uint8_t packet[CTL_HEAD + CTL_RUN * sizeof(*ctl)] = { 0 };

	while (n) {
		unsigned now = n < CTL_RUN ? n : CTL_RUN;
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet,
			    .data_size_in = CTL_HEAD + now * sizeof(*ctl), .repeat = 1);
		int err;

		memcpy(packet + CTL_HEAD, ctl, now * sizeof(*ctl));
		err = bpf_prog_test_run_opts(s->fds.ctl, &opts);
		if (err)
			return err;
		ctl += now;
		n -= now;
	}
	return 0;
}

static uint64_t newest(const struct weir_flow *f)
{
	return f->dir[0].last_ns > f->dir[1].last_ns ? f->dir[0].last_ns : f->dir[1].last_ns;
}

/* Why a marked flow dies: what marked it, told from the flow itself. */
static enum flow_end last_word(const struct weir_flow *f, uint8_t proto, uint64_t now_ns)
{
	enum flow_end why = sweep_verdict(f, proto, now_ns, SWEEP_FLOODED);

	return why ? why : END_EVICTED;
}

struct table {
	int fd;
	bool v6;
	size_t key_size;
};

static int bury(struct sweep *s, const struct table *t, unsigned ndead, unsigned nholes)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	unsigned n = ndead;
	int err = 0;

	if (n)
		err = bpf_map_delete_batch(t->fd, s->dead_keys, &n, &opts);
	/* A hole entry may be missing where the table of holes was full. */
	for (unsigned i = 0; i < nholes; i++)
		bpf_map_delete_elem(s->fds.holes, &s->dead_holes[i]);
	return err;
}

static void expect(const struct sweep *s, unsigned i, unsigned n, unsigned stage)
{
	if (i < n && (newest(&s->flows[i]) >= s->last_ns || s->flows[i].state & WEIR_FLOW_DYING))
		s->ops.expect(s->ops.arg, s->flows[i].id, stage);
}

/* Looks at n flows just read; all: the engine is still, all of them end. */
static int judge(struct sweep *s, const struct table *t, unsigned n, uint64_t now_ns,
		 enum sweep_pressure pressure, bool all)
{
	unsigned ndead = 0, nholes = 0;
	int err;

	s->nctl = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct weir_flow *f = &s->flows[i];
		const void *raw = (char *)s->keys + i * t->key_size;
		bool dying = f->state & WEIR_FLOW_DYING;
		enum flow_end why;
		struct weir_key6 key;

		if (s->ops.expect) {
			expect(s, i + FAR, n, 0);
			expect(s, i + NEAR, n, 1);
		}
		if (!f->id && !all) {
			s->count++; /* just being made */
			continue;
		}
		if (t->v6)
			memcpy(&key, raw, sizeof(key));
		else
			map_key(raw, &key);
		if (all || dying) {
			why = dying ? last_word(f, key.proto, now_ns) : closed(f, key.proto);
			why = why ? why : END_STOP;
			memcpy((char *)s->dead_keys + ndead++ * t->key_size, raw, t->key_size);
			if ((f->dir[0].flags | f->dir[1].flags) & WEIR_DIR_LOSSY)
				s->dead_holes[nholes++] = f->id;
			s->evicted += why == END_EVICTED;
			s->ops.flow_end(s->ops.arg, &key, f, why);
			continue;
		}
		s->count++;
		why = sweep_verdict(f, key.proto, now_ns, pressure);
		if (why)
			s->ctl[s->nctl++] = (struct weir_ctl){ .key = key, .flow_id = f->id,
							       .op = WEIR_CTL_DYING };
		if (newest(f) >= s->last_ns)
			s->ops.counters(s->ops.arg, &key, f);
	}
	err = bury(s, t, ndead, nholes);
	return err ? err : sweep_ctl(s, s->ctl, s->nctl);
}

static int sweep_table(struct sweep *s, const struct table *t, uint64_t now_ns,
		       enum sweep_pressure pressure, bool all)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint32_t in = 0, out = 0;
	bool first = true;

	for (;;) {
		uint32_t n = s->batch;
		int err = bpf_map_lookup_batch(t->fd, first ? NULL : &in, &out, s->keys, s->flows,
					       &n, &opts);
		bool last = err == -ENOENT;

		if (err == -ENOSPC && s->batch < BATCH_MAX) {
			/* One bucket is longer than the batch. */
			if (!buffers(s, s->batch * 4))
				return -ENOMEM;
			continue;
		}
		if (err && !last)
			return err;
		err = judge(s, t, n, now_ns, pressure, all);
		if (err || last)
			return err;
		in = out;
		first = false;
	}
}

static int sweep_tables(struct sweep *s, uint64_t now_ns, enum sweep_pressure pressure, bool all)
{
	const struct table v4 = { s->fds.flows4, false, sizeof(struct weir_key4) };
	const struct table v6 = { s->fds.flows6, true, sizeof(struct weir_key6) };
	int err;

	s->count = 0;
	err = sweep_table(s, &v4, now_ns, pressure, all);
	if (!err)
		err = sweep_table(s, &v6, now_ns, pressure, all);
	s->active = s->count;
	s->last_ns = now_ns;
	return err;
}

int sweep_run(struct sweep *s, uint64_t now_ns, enum sweep_pressure pressure)
{
	return sweep_tables(s, now_ns, pressure, false);
}

int sweep_finish(struct sweep *s)
{
	return sweep_tables(s, s->last_ns, SWEEP_CALM, true);
}
