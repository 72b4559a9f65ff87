// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's engine on two CPUs at once: a flow's two directions, and a flood beside live flows. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench_abi.h"
#include "floor.skel.h"
#include "packets.h"
#include "sweep.h"
#include "weir_tc.skel.h"

#define FLOWS	10000 /* whose records fit into the ring */
#define RACES	10
#define TABLE	4096
#define LIVE	64
#define ROUNDS	128
#define SYNS	(8 * TABLE)

static struct weir_tc *tc;
static struct floor *walkers[2];
static unsigned started; /* threads */
static uint32_t first_flow; /* of this race */

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

/* cmocka's skip, with the reason; a failure to load as root is a failure. */
static void load(unsigned max_flows)
{
	int err;

	libbpf_set_print(silent);
	tc = weir_tc__open();
	assert_non_null(tc);
	bpf_map__set_max_entries(tc->maps.flows4, max_flows);
	tc->rodata->weir_cfg.records_per_s = 0;
	err = weir_tc__load(tc);
	if (err && (geteuid() || err == -EPERM)) {
		weir_tc__destroy(tc);
		print_message("skipped: no right to load BPF programs: %s\n", strerror(-err));
		skip();
	}
	assert_int_equal(err, 0);
}

/* A packet of connection number, from its client or to it. */
static void send_one(unsigned number, bool to_client, uint8_t flags, unsigned len)
{
	struct pk k = { .src = 9, .dst = 1, .sport = 443, .dport = 443, .flags = flags, .len = len, .ack = 1 };
	uint8_t b[PK_MAX];
	unsigned n = pk_build(b, &k);
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = b, .data_size_in = n, .repeat = 1);

	put32(b + (to_client ? 30 : 26), 0x0a000000 + number);
	put32(b + (to_client ? 26 : 30), 0xc0a80001);
	if (bpf_prog_test_run_opts(bpf_program__fd(tc->progs.weir_tc_in), &o))
		abort();
}

static struct weir_counters counters(void)
{
	int cpus = libbpf_num_possible_cpus();
	struct weir_counters sum = { 0 }, *each = calloc(cpus, sizeof(*each));
	uint32_t slot = 2; /* test runs come from the loopback interface */

	assert_non_null(each);
	assert_int_equal(bpf_map__lookup_elem(tc->maps.counters, &slot, sizeof(slot), each, cpus * sizeof(*each), 0), 0);
	for (int i = 0; i < cpus; i++) {
		sum.seen += each[i].seen;
		sum.in_flows += each[i].in_flows;
		sum.flows += each[i].flows;
		for (int r = 0; r < WEIR_ELSEWHERE; r++)
			sum.elsewhere[r] += each[i].elsewhere[r];
	}
	free(each);
	return sum;
}

/* One direction's packet of flow after flow, at full speed. */
static void *one_way(void *arg)
{
	bool to_client = arg;
	struct bench_walk w = { .at = first_flow, .fresh = 1, .l4 = 34, .address = to_client ? 30 : 26 };
	struct pk k = { .src = 9, .dst = 1, .sport = 443, .dport = 443, .flags = ACK, .len = 20, .ack = 1 };
	uint8_t b[PK_MAX], out[PK_MAX];
	unsigned n = pk_build(b, &k);
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = b, .data_size_in = n, .data_out = out, .data_size_out = sizeof(out),
		    .repeat = FLOWS);
	struct floor *walker = walkers[to_client];
	int fd = bpf_program__fd(tc->progs.weir_tc_in);
	uint32_t zero = 0;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(to_client, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	put32(b + (to_client ? 26 : 30), 0xc0a80001);
	if (bpf_map__update_elem(walker->maps.walk, &zero, sizeof(zero), &w, sizeof(w), BPF_ANY) ||
	    bpf_map__update_elem(walker->maps.subject_tc, &zero, sizeof(zero), &fd, sizeof(fd), BPF_ANY))
		abort();
	__atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&started, __ATOMIC_SEQ_CST) < 2)
		sched_yield();
	if (bpf_prog_test_run_opts(bpf_program__fd(walker->progs.walk_tc), &o))
		abort();
	return NULL;
}

struct seen {
	uint64_t id[FLOWS];
	unsigned first, others;
};

static int on_record(void *arg, void *data, size_t size)
{
	const struct weir_rec *r = data;
	struct seen *s = arg;
	uint32_t client = ntohl(r->saddr[3]) >> 24 == 10 ? ntohl(r->saddr[3]) : ntohl(r->daddr[3]);
	uint64_t *id = &s->id[client - 0x0a000000 - first_flow];

	if (!*id)
		*id = r->flow_id;
	s->others += *id != r->flow_id || !r->flow_id;
	s->first += !!(r->flags & WEIR_REC_NEW);
	return 0;
}

/*
 * Both directions' first packets at once: one flow, begun once, with one id from its first record on. The
 * CPU that is ahead makes the flows and so is slower: the two meet at the same flow again and again.
 */
static void begun_once(void **state)
{
	static struct seen seen;
	struct ring_buffer *ring;
	struct weir_counters c;
	pthread_t t[2];

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		print_message("skipped: needs two CPUs\n");
		skip();
	}
	load(RACES * FLOWS);
	ring = ring_buffer__new(bpf_map__fd(tc->maps.ring), on_record, &seen, NULL);
	assert_non_null(ring);
	for (int i = 0; i < 2; i++)
		assert_non_null(walkers[i] = floor__open_and_load());
	for (unsigned race = 0; race < RACES; race++) {
		memset(&seen, 0, sizeof(seen));
		first_flow = race * FLOWS;
		started = 0;
		for (uintptr_t i = 0; i < 2; i++)
			assert_int_equal(pthread_create(&t[i], NULL, one_way, (void *)i), 0);
		for (int i = 0; i < 2; i++)
			pthread_join(t[i], NULL);
		ring_buffer__consume(ring);
		assert_int_equal(seen.others, 0);
		assert_int_equal(seen.first, FLOWS);
	}
	c = counters();
	assert_int_equal(c.flows, RACES * FLOWS);
	assert_int_equal(c.in_flows, 2 * RACES * FLOWS);
	ring_buffer__free(ring);
	for (int i = 0; i < 2; i++)
		floor__destroy(walkers[i]);
	weir_tc__destroy(tc);
}

struct left {
	uint64_t counted, live;
};

static struct left left;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void on_counters(void *arg, const struct weir_key6 *key, const struct weir_flow *f)
{
}

static void on_end(void *arg, const struct weir_key6 *key, const struct weir_flow *f, enum flow_end why)
{
	struct left *l = arg;

	l->counted += (uint64_t)f->dir[0].packets + f->dir[1].packets;
	l->live += f->dir[0].packets == ROUNDS && f->dir[1].packets == ROUNDS;
}

/* Eight tables full of SYNs that nobody answers, swept as live capture does: who talks stays, every packet is counted. */
static void flood(void **state)
{
	const struct sweep_ops ops = { on_counters, on_end, &left, NULL };
	struct sweep_fds fds;
	struct weir_counters c;
	struct sweep *s;
	uint64_t elsewhere = 0, most = 0;

	load(TABLE);
	fds = (struct sweep_fds){ bpf_map__fd(tc->maps.flows4), bpf_map__fd(tc->maps.flows6),
				  bpf_map__fd(tc->maps.holes), bpf_program__fd(tc->progs.weir_ctl) };
	s = sweep_new(&fds, &ops);
	assert_non_null(s);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < LIVE; i++) {
			send_one(i, false, ACK, 100);
			send_one(i, true, ACK, 100);
		}
		for (unsigned i = 0; i < SYNS / ROUNDS; i++)
			send_one(LIVE + round * (SYNS / ROUNDS) + i, false, SYN, 0);
		assert_int_equal(sweep_run(s, now_ns(), sweep_pressure(sweep_active(s), TABLE)), 0);
		if (sweep_active(s) > most)
			most = sweep_active(s);
	}
	assert_int_equal(left.live, 0); /* none of them was taken */
	assert_int_equal(sweep_finish(s), 0);
	c = counters();
	for (int r = 0; r < WEIR_ELSEWHERE; r++)
		elsewhere += c.elsewhere[r];
	assert_int_equal(c.seen, SYNS + 2 * LIVE * ROUNDS);
	assert_int_equal(c.in_flows, left.counted);
	assert_int_equal(c.seen, left.counted + elsewhere);
	assert_int_equal(left.live, LIVE);
	assert_true(most <= TABLE);
	sweep_free(s);
	weir_tc__destroy(tc);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(begun_once), cmocka_unit_test(flood) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
