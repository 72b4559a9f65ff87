// SPDX-License-Identifier: GPL-2.0-or-later
#include "live.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "drops.h"
#include "error.h"
#include "live_impl.h"
#include "rights.h"

#define CTL_BATCH 256

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

uint64_t live_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* The engine's times into times of day. */
static void stamp_flow(const struct live *l, const struct weir_flow *f, struct weir_flow *out)
{
	*out = *f;
	if (out->start_ns)
		out->start_ns = wallclock_ns(&l->clock, out->start_ns);
	for (int d = 0; d < 2; d++)
		if (out->dir[d].last_ns)
			out->dir[d].last_ns = wallclock_ns(&l->clock, out->dir[d].last_ns);
}

static void on_counters(void *arg, const struct weir_key6 *key, const struct weir_flow *f)
{
	struct live *l = arg;
	struct weir_flow stamped;
	struct weir_key6 name = *key;

	if (join_key(l->join, f->id, &name) == JOIN_ECHO)
		return;
	live_note_ways(l, key, f, false);
	stamp_flow(l, f, &stamped);
	pipeline_counters(l->pipeline, &name, &stamped);
}

static void on_flow_end(void *arg, const struct weir_key6 *key, const struct weir_flow *f,
			enum flow_end why)
{
	struct live *l = arg;
	struct weir_flow stamped;
	struct weir_key6 name = *key;

	if (join_end(l->join, &name, f) == JOIN_ECHO)
		return;
	live_note_ways(l, key, f, true);
	stamp_flow(l, f, &stamped);
	pipeline_flow_end(l->pipeline, &name, &stamped, why);
}

static void on_expect(void *arg, uint64_t id, unsigned stage)
{
	struct live *l = arg;

	pipeline_expect_counters(l->pipeline, id, stage);
}

/* The key of the flow that a record is of. */
static void record_key(const struct weir_rec *r, struct weir_key6 *key)
{
	bool up = !r->dir; /* lo -> hi */

	memset(key, 0, sizeof(*key));
	memcpy(key->lo, up ? r->saddr : r->daddr, sizeof(key->lo));
	memcpy(key->hi, up ? r->daddr : r->saddr, sizeof(key->hi));
	key->lo_port = up ? r->sport : r->dport;
	key->hi_port = up ? r->dport : r->sport;
	key->proto = r->proto;
	key->ifindex = r->ifindex;
}

static int on_record(void *arg, void *data, size_t size)
{
	struct live *l = arg;
	const uint8_t *payload = (uint8_t *)data + sizeof(struct weir_rec);
	struct weir_key6 key;
	struct weir_flow old;
	struct weir_rec r;

	if (size < sizeof(r))
		return 0;
	memcpy(&r, data, sizeof(r));
	if (r.caplen > size - sizeof(r))
		r.caplen = size - sizeof(r);
	if (r.kind == WEIR_REC_REUSE) {
		/* The old flow's end, told in passing. */
		if (r.caplen >= sizeof(old)) {
			memcpy(&old, payload, sizeof(old));
			record_key(&r, &key);
			on_flow_end(l, &key, &old, END_REUSED);
		}
		return 0;
	}
	if (join_record(l->join, &r) == JOIN_ECHO)
		return 0;
	r.time_ns = wallclock_ns(&l->clock, r.time_ns);
	pipeline_record(l->pipeline, &r, payload);
	return 0;
}

/* Every term of weir_counters is a __u64: they add up as an array of those (uint64_t may be another type). */
static void add_counters(struct weir_counters *to, const struct weir_counters *from)
{
	__u64 *t = (__u64 *)to;
	const __u64 *f = (const __u64 *)from;

	for (unsigned i = 0; i < sizeof(*to) / sizeof(*t); i++)
		t[i] += f[i];
}

void live_count(struct live *l)
{
	struct weir_counters sum = { 0 };

	for (uint32_t slot = 0; slot < WEIR_IF_SLOTS * 2; slot++) {
		if (!(l->slots & 1ULL << (slot / 2)) ||
		    bpf_map_lookup_elem(l->obj.counters, &slot, l->percpu))
			continue;
		for (unsigned cpu = 0; cpu < l->ncpus; cpu++)
			add_counters(&sum, &l->percpu[cpu]);
	}
	l->now = sum;
}

void live_totals(struct live *l, struct totals *t)
{
	struct join_stats j;

	live_count(l);
	*t = (struct totals){ .c = l->now, .records = l->now.records };
	/* A flow that two interfaces showed is reported once; its echo is counted here. */
	join_stats(l->join, &j);
	t->c.in_flows -= j.echo_packets;
	t->c.in_flow_bytes -= j.echo_bytes;
	t->c.elsewhere[WEIR_AGAIN] += j.echo_packets;
	t->c.elsewhere_bytes[WEIR_AGAIN] += j.echo_bytes;
	memcpy(t->lost, l->now.unsent, sizeof(t->lost));
	t->flows_active = sweep_active(l->sweep);
	t->flows_started = l->now.flows;
	t->flows_evicted = sweep_evicted(l->sweep);
}

void live_drain(struct live *l)
{
	ring_buffer__consume(l->ring);
}

/* What the pipeline wants of the engine. */
void live_obey(struct live *l)
{
	struct weir_ctl ctl[CTL_BATCH];
	unsigned n;

	do {
		n = pipeline_ctl(l->pipeline, ctl, CTL_BATCH);
		for (unsigned i = 0; i < n; i++)
			join_ctl(l->join, &ctl[i]);
		if (n)
			sweep_ctl(l->sweep, ctl, n);
	} while (n == CTL_BATCH);
}

int live_sweep(struct live *l, uint64_t mono, enum sweep_pressure pressure)
{
	int err;

	/* Records of packets come before the counters that hold them. */
	live_drain(l);
	err = sweep_run(l->sweep, mono, pressure);
	l->sweep_ns = mono;
	l->sweep_took_ns = live_mono_ns() - mono;
	l->flows_at_sweep = l->now.flows;
	l->active_at_sweep = sweep_active(l->sweep);
	wallclock_read(&l->clock, mono, clock_ns(CLOCK_REALTIME));
	return err;
}

static void what_to_load(const struct live *l, struct live_load_options *opt)
{
	struct link link;
	char why[128];

	for (unsigned i = 0; i < l->nifaces; i++) {
		/* One that is still to come may be of any kind. */
		if (link_get(l->iface[i].name, 0, &link)) {
			opt->ethernet = opt->headless = true;
			opt->xdp |= l->cfg.hook == ATTACH_XDP;
			continue;
		}
		opt->ethernet |= link_is_ethernet(&link);
		opt->headless |= !link_is_ethernet(&link);
		opt->xdp |= l->cfg.hook == ATTACH_XDP ||
			    (l->cfg.hook == ATTACH_AUTO &&
			     attach_plan(&link, why, sizeof(why)) == ATTACH_XDP);
	}
}

struct live *live_open(const struct live_config *cfg, struct live_error *e)
{
	struct live_load_options opt = { .verbose = cfg->verbose };
	struct live *l = calloc(1, sizeof(*l));

	if (!l) {
		live_fail(e, EX_OSERR, "out of memory.");
		return NULL;
	}
	l->cfg = *cfg;
	l->epoll = l->timer = l->signals = l->monitor = l->conntrack = l->owner.fd = -1;
	if (!l->cfg.max_flows)
		l->cfg.max_flows = live_default_flows();
	if (live_choose(l, cfg, e) || live_check_rights(e))
		goto fail;
	what_to_load(l, &opt);
	opt.max_flows = l->cfg.max_flows;
	if (live_load(&l->obj, &opt, e))
		goto fail;
	l->ncpus = libbpf_num_possible_cpus();
	l->percpu = calloc(l->ncpus, sizeof(*l->percpu));
	l->sweep = sweep_new(&(struct sweep_fds){ l->obj.flows4, l->obj.flows6, l->obj.holes,
						  l->obj.ctl },
			     &(struct sweep_ops){ on_counters, on_flow_end, l, on_expect });
	l->ring = ring_buffer__new(l->obj.ring, on_record, l, NULL);
	if (!l->percpu || !l->sweep || !l->ring || clsact_own(&l->owner)) {
		live_fail(e, EX_OSERR, "can't set up capture: %s.", strerror(errno));
		goto fail;
	}
	before_claim(&l->claims, &l->obj.progs);
	return l;
fail:
	live_free(l);
	return NULL;
}

unsigned live_max_flows(const struct live *l)
{
	return l->cfg.max_flows;
}

static int watch_fd(struct live *l, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev);
}

static int open_fds(struct live *l)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	l->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->monitor = links_monitor();
	if (l->signals < 0 || l->timer < 0 || l->epoll < 0 || l->monitor < 0)
		return -1;
	return watch_fd(l, l->signals) || watch_fd(l, l->timer) || watch_fd(l, l->monitor) ||
	       watch_fd(l, ring_buffer__epoll_fd(l->ring));
}

int live_start(struct live *l, struct pipeline *p, struct live_error *e)
{
	uint64_t mono = live_mono_ns();
	char why[192];
	int err;

	l->pipeline = p;
	l->sweep_ns = l->started_ns = mono;
	wallclock_start(&l->clock, mono, clock_ns(CLOCK_REALTIME));
	if (open_fds(l))
		return live_fail(e, EX_OSERR, "can't set up capture: %s.", strerror(errno));
	live_tool(l, TOOL_START, NULL, NULL);
	l->drops = drops_open(why, sizeof(why));
	if (l->drops) {
		pipeline_drop_reasons(l->pipeline);
	} else {
		notice("%s", why);
		live_tool(l, TOOL_LOST, NULL, why);
	}
	if (live_attach_all(l, e))
		return e->code;
	l->attached_ns = live_mono_ns();
	err = live_sight_open(l);
	if (err || (l->conntrack >= 0 && watch_fd(l, l->conntrack))) {
		live_detach_all(l);
		return live_fail(e, EX_OSERR, "can't set up capture: %s.", strerror(err ? -err : errno));
	}
	err = rights_drop();
	if (err) {
		live_detach_all(l);
		return live_fail(e, EX_OSERR, "can't give up rights: %s.", strerror(-err));
	}
	return 0;
}

void live_stop(struct live *l, struct totals *t)
{
	live_detach_all(l);
	/* An RCU grace period: no program is still running on any CPU. */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	live_drain(l);
	sweep_finish(l->sweep);
	live_drain(l);
	live_own_drops(l);
	live_totals(l, t);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void live_free(struct live *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < l->nifaces; i++)
		if (l->iface[i].attached)
			detach(&l->iface[i].at, &l->owner);
	ring_buffer__free(l->ring);
	sweep_free(l->sweep);
	live_unload(&l->obj);
	clsact_disown(&l->owner);
	before_disown(&l->claims);
	close_fd(l->epoll);
	close_fd(l->timer);
	close_fd(l->signals);
	close_fd(l->monitor);
	close_fd(l->conntrack);
	join_free(l->join);
	drops_close(l->drops);
	free(l->percpu);
	free(l);
}

unsigned live_costs(const struct live *l, struct live_cost *cost, unsigned max)
{
	const struct attach_progs *p = &l->obj.progs;
	const int fds[] = { p->tc_in, p->tc_out, p->tc_in_ip, p->tc_out_ip, p->xdp };
	unsigned n = 0;

	for (unsigned i = 0; i < sizeof(fds) / sizeof(*fds) && n < max; i++) {
		struct bpf_prog_info info = { 0 };
		__u32 len = sizeof(info);

		if (fds[i] < 0 || bpf_obj_get_info_by_fd(fds[i], &info, &len) || !info.run_cnt)
			continue;
		snprintf(cost[n].program, sizeof(cost[n].program), "%s", info.name);
		cost[n].runs = info.run_cnt;
		cost[n++].ns = info.run_time_ns;
	}
	return n;
}

unsigned live_ifaces(const struct live *l, const char **names, unsigned max)
{
	unsigned n = l->nifaces < max ? l->nifaces : max;

	for (unsigned i = 0; i < n; i++)
		names[i] = l->iface[i].name;
	return n;
}

void live_status(struct live *l, struct live_status *s)
{
	uint64_t mono = live_mono_ns();
	size_t at = 0;

	*s = (struct live_status){ .seen = l->now.seen, .in_flows = l->now.in_flows,
				   .table_full = l->now.elsewhere[WEIR_TABLE_FULL],
				   .uptime_s = (mono - l->started_ns) / 1e9,
				   .now_ns = wallclock_ns(&l->clock, mono) };
	for (unsigned i = 0; i < l->nifaces; i++) {
		const struct live_iface *f = &l->iface[i];

		if (at < sizeof(s->ifaces))
			at += snprintf(s->ifaces + at, sizeof(s->ifaces) - at, "%s%s %s",
				       i ? ", " : "", f->name,
				       f->attached ? attach_text(&f->at) : "(away)");
		s->waiting += !f->attached;
	}
	for (unsigned i = 0; i < WEIR_UNSENT; i++)
		s->lost += i == WEIR_RST_CAPPED ? 0 : l->now.unsent[i];
	if (l->problems > 1)
		snprintf(s->problem, sizeof(s->problem), "%s (+%u)", l->problem, l->problems - 1);
	else if (l->problems)
		snprintf(s->problem, sizeof(s->problem), "%s", l->problem);
	else if (s->waiting)
		snprintf(s->problem, sizeof(s->problem), "INTERFACE AWAY");
	else if (s->seen && s->table_full > s->seen / 100)
		snprintf(s->problem, sizeof(s->problem), "TABLE FULL %.0f%%",
			 100.0 * s->table_full / s->seen);
}
