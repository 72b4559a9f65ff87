// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The engine's two builds held to each other: the same packets at the same times
 * through the kernel's programs (BPF_PROG_TEST_RUN) and through the host's give
 * the same records byte for byte, the same flows, the same counters. Needs the
 * right to load BPF programs. With capture files as arguments: those instead.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#define PCAP_DONT_INCLUDE_PCAP_BPF_H /* the kernel's is there */
#include <pcap/dlt.h>
#include <pcap/pcap.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "host_engine.h"
#include "trace.h"
#include "weir_tc.skel.h"
#include "weir_xdp.skel.h"

#define LOOPBACK 1 /* test runs have its ifindex */
#define PACKETS	 20000

enum hook { HOOK_XDP, HOOK_TC, HOOK_TC_IP, HOOKS };
static const char *const hooks[HOOKS] = { "XDP", "TC", "TC without a link header" };

struct record {
	uint32_t len;
	uint8_t b[sizeof(struct weir_rec) + WEIR_PAYLOAD_MAX];
};

/* Records of one packet: itself, an ICMP error's or a five-tuple used again. */
struct records {
	unsigned n;
	struct record r[4];
};

struct host_flow {
	struct weir_key6 key;
	struct weir_flow flow;
};

struct pair {
	enum hook hook;
	struct weir_tc *tc;
	struct weir_xdp *xdp;
	int prog, clock, flows4, flows6, counters;
	struct ring_buffer *ring;
	struct host_engine *host;
	struct records of_bpf, of_host;
	struct host_flow *flow;
	size_t nflows;
	unsigned long packets, skipped, records;
	char what[128]; /* for messages */
};

static const struct weir_config configs[] = {
	{ .first_packets = 24, .focus_packets = 0xffff, .payload_segments = 8, .payload_bytes = 8192, .wake_bytes = 1 << 20 },
	{ .first_packets = 24, .sample_mask = 0xff, .focus_packets = 12000, .payload_segments = 4, .payload_bytes = 4096,
	  .records_per_s = 200000, .spare_per_s = 400, .wake_bytes = 1 << 20 },
	{ .first_packets = 2, .sample_mask = 0xffff, .focus_packets = 5, .payload_segments = 1, .payload_bytes = 100,
	  .records_per_s = 50, .spare_per_s = 20, .wake_bytes = 64 },
};
#define CONFIGS (sizeof(configs) / sizeof(*configs))

static void add(struct records *to, const void *b, size_t len)
{
	struct record *r = &to->r[to->n++];

	assert_true(to->n <= 4);
	assert_true(len <= sizeof(r->b));
	r->len = (uint32_t)len;
	memcpy(r->b, b, len);
}

static int on_bpf_record(void *arg, void *data, size_t size)
{
	add(&((struct pair *)arg)->of_bpf, data, size);
	return 0;
}

static void on_host_record(void *arg, const struct weir_rec *r, const uint8_t *payload)
{
	uint8_t b[sizeof(*r) + WEIR_PAYLOAD_MAX];

	memcpy(b, r, sizeof(*r));
	memcpy(b + sizeof(*r), payload, r->caplen);
	add(&((struct pair *)arg)->of_host, b, sizeof(*r) + r->caplen);
}

static void on_host_flow(void *arg, const struct weir_key6 *key, const struct weir_flow *f, unsigned why)
{
	struct pair *p = arg;

	if (p->nflows % 1024 == 0) {
		p->flow = realloc(p->flow, (p->nflows + 1024) * sizeof(*p->flow));
		assert_non_null(p->flow);
	}
	p->flow[p->nflows].key = *key;
	p->flow[p->nflows++].flow = *f;
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

/* 0, or -errno: this kernel or user may not. */
static int load(struct pair *p, const struct weir_config *cfg)
{
	int err;

	if (p->hook == HOOK_XDP) {
		p->xdp = weir_xdp__open();
		assert_non_null(p->xdp);
		p->xdp->rodata->weir_cfg = *cfg;
		p->xdp->rodata->weir_test_clock = 1;
		p->xdp->rodata->weir_xdp_load = 1;
		bpf_program__set_flags(p->xdp->progs.weir_xdp, BPF_F_XDP_HAS_FRAGS);
		err = weir_xdp__load(p->xdp);
		if (err)
			return err;
		p->prog = bpf_program__fd(p->xdp->progs.weir_xdp);
		p->clock = bpf_map__fd(p->xdp->maps.test_time);
		p->flows4 = bpf_map__fd(p->xdp->maps.flows4);
		p->flows6 = bpf_map__fd(p->xdp->maps.flows6);
		p->counters = bpf_map__fd(p->xdp->maps.counters);
		p->ring = ring_buffer__new(bpf_map__fd(p->xdp->maps.ring), on_bpf_record, p, NULL);
		return 0;
	}
	p->tc = weir_tc__open();
	assert_non_null(p->tc);
	p->tc->rodata->weir_cfg = *cfg;
	p->tc->rodata->weir_test_clock = 1;
	err = weir_tc__load(p->tc);
	if (err)
		return err;
	p->prog = bpf_program__fd(p->hook == HOOK_TC ? p->tc->progs.weir_tc_in : p->tc->progs.weir_tc_in_ip);
	p->clock = bpf_map__fd(p->tc->maps.test_time);
	p->flows4 = bpf_map__fd(p->tc->maps.flows4);
	p->flows6 = bpf_map__fd(p->tc->maps.flows6);
	p->counters = bpf_map__fd(p->tc->maps.counters);
	p->ring = ring_buffer__new(bpf_map__fd(p->tc->maps.ring), on_bpf_record, p, NULL);
	return 0;
}

static int pair_begin(struct pair *p, enum hook hook, const struct weir_config *cfg)
{
	struct host_engine_ops ops = { on_host_record, on_host_flow, p };
	int err;

	memset(p, 0, sizeof(*p));
	p->hook = hook;
	err = load(p, cfg);
	if (err) {
		weir_xdp__destroy(p->xdp);
		weir_tc__destroy(p->tc);
		return err;
	}
	assert_non_null(p->ring);
	p->host = host_engine_new(cfg, 0, &ops);
	assert_non_null(p->host);
	host_engine_interface(p->host, LOOPBACK);
	return 0;
}

static void show(const struct pair *p, const char *what, const uint8_t *a, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			print_error("%s %s, byte %zu: kernel %#x, host %#x\n", p->what, what, i, a[i], b[i]);
}

static void same_records(const struct pair *p)
{
	if (p->of_bpf.n != p->of_host.n)
		fail_msg("%s, packet %lu: %u records of the kernel, %u of the host", p->what, p->packets, p->of_bpf.n,
			 p->of_host.n);
	for (unsigned i = 0; i < p->of_bpf.n; i++) {
		const struct record *a = &p->of_bpf.r[i], *b = &p->of_host.r[i];

		/* Nothing is masked: ids, times and the interface are the same too. */
		if (a->len == b->len && !memcmp(a->b, b->b, a->len))
			continue;
		show(p, "record", a->b, b->b, a->len < b->len ? a->len : b->len);
		fail_msg("%s, packet %lu: records of %u and %u bytes differ", p->what, p->packets, a->len, b->len);
	}
}

/* One packet through both. What a test run can't take is skipped in both, and counted. */
static void both(struct pair *p, uint64_t time_ns, const uint8_t *data, uint32_t len)
{
	static uint8_t out[1 << 17];
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = data, .data_size_in = len, .data_out = out,
		    .data_size_out = sizeof(out), .repeat = 1);
	uint8_t *exact;
	uint32_t zero = 0;

	p->of_bpf.n = p->of_host.n = 0;
	assert_int_equal(bpf_map_update_elem(p->clock, &zero, &time_ns, BPF_ANY), 0);
	if (len < 14 || len > 65535 || bpf_prog_test_run_opts(p->prog, &o)) {
		p->skipped++;
		return;
	}
	p->packets++;
	ring_buffer__consume(p->ring);
	exact = malloc(len);
	assert_non_null(exact);
	memcpy(exact, data, len);
	host_engine_packet(p->host, p->hook == HOOK_TC_IP ? WEIR_LINK_IP : WEIR_LINK_ETHERNET, exact, len, len, time_ns);
	free(exact);
	same_records(p);
	p->records += p->of_bpf.n;
	/* The packet goes on untouched. */
	assert_int_equal(o.retval, p->hook == HOOK_XDP ? 2 /* XDP_PASS */ : (uint32_t)-1 /* TCX_NEXT */);
	assert_int_equal(o.data_size_out, len);
	assert_memory_equal(out, data, len);
}

static int by_key(const void *a, const void *b)
{
	return memcmp(&((const struct host_flow *)a)->key, &((const struct host_flow *)b)->key, sizeof(struct weir_key6));
}

static size_t same_flows(struct pair *p, int map, bool v6)
{
	uint8_t key[sizeof(struct weir_key6)];
	struct host_flow want, *found;
	struct weir_flow flow;
	void *prev = NULL;
	size_t n = 0;

	for (; !bpf_map_get_next_key(map, prev, key); prev = key, n++) {
		const struct weir_key4 *k4 = (const void *)key;

		assert_int_equal(bpf_map_lookup_elem(map, key, &flow), 0);
		memset(&want, 0, sizeof(want));
		if (v6) {
			memcpy(&want.key, key, sizeof(want.key));
		} else {
			want.key.lo[2] = want.key.hi[2] = __builtin_bswap32(0xffff);
			want.key.lo[3] = k4->lo;
			want.key.hi[3] = k4->hi;
			want.key.lo_port = k4->lo_port;
			want.key.hi_port = k4->hi_port;
			want.key.proto = k4->proto;
			want.key.ifindex = k4->ifindex;
		}
		found = p->nflows ? bsearch(&want, p->flow, p->nflows, sizeof(*p->flow), by_key) : NULL;
		if (!found)
			fail_msg("%s: a flow that only the kernel has", p->what);
		if (memcmp(&found->flow, &flow, sizeof(flow))) {
			show(p, "flow", (const uint8_t *)&flow, (const uint8_t *)&found->flow, sizeof(flow));
			fail_msg("%s: flows differ", p->what);
		}
	}
	return n;
}

static void same_counters(const struct pair *p)
{
	int cpus = libbpf_num_possible_cpus();
	uint32_t slot = (LOOPBACK & (WEIR_IF_SLOTS - 1)) * 2;
	struct weir_counters *c = calloc((size_t)cpus, sizeof(*c)), sum = { 0 }, host;
	__u64 *to = (__u64 *)&sum;

	assert_non_null(c);
	assert_int_equal(bpf_map_lookup_elem(p->counters, &slot, c), 0);
	for (int i = 0; i < cpus; i++)
		for (size_t x = 0; x < sizeof(sum) / 8; x++)
			to[x] += ((const __u64 *)&c[i])[x];
	free(c);
	host_engine_counters(p->host, &host);
	for (size_t x = 0; x < sizeof(sum) / 8; x++)
		if (to[x] != ((const __u64 *)&host)[x])
			fail_msg("%s: counter %zu is %llu in the kernel, %llu on the host", p->what, x,
				 (unsigned long long)to[x], (unsigned long long)((const __u64 *)&host)[x]);
	assert_int_equal(sum.buffers, p->packets);
}

static void pair_end(struct pair *p)
{
	same_counters(p);
	host_engine_finish(p->host);
	if (p->nflows)
		qsort(p->flow, p->nflows, sizeof(*p->flow), by_key);
	assert_int_equal(same_flows(p, p->flows4, false) + same_flows(p, p->flows6, true), p->nflows);
	host_engine_free(p->host);
	ring_buffer__free(p->ring);
	weir_xdp__destroy(p->xdp);
	weir_tc__destroy(p->tc);
	free(p->flow);
}

/* cmocka's skip, with the reason; a failure to load as root on a kernel that should do is a failure. */
static void need_bpf(int err)
{
	if (!err)
		return;
	if (geteuid() || err == -EPERM) {
		print_message("skipped: no right to load BPF programs (root, CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON): %s\n",
			      strerror(-err));
		skip();
	}
	fail_msg("can't load: %s", strerror(-err));
}

static void traces(enum hook hook)
{
	unsigned long records = 0, skipped = 0;

	for (size_t c = 0; c < CONFIGS; c++) {
		struct pair p;
		struct trace t;

		need_bpf(pair_begin(&p, hook, &configs[c]));
		snprintf(p.what, sizeof(p.what), "%s, configuration %zu", hooks[hook], c);
		trace_begin(&t, 1 + c, hook == HOOK_TC_IP);
		for (unsigned i = 0; i < PACKETS; i++) {
			const struct trace_packet *x = trace_next(&t);

			both(&p, x->time_ns, x->b, x->len);
		}
		records += p.records;
		skipped += p.skipped;
		assert_true(p.records > PACKETS / 100);
		pair_end(&p);
	}
	print_message("%s: %u packets, %lu records alike, %lu packets skipped\n", hooks[hook], (unsigned)CONFIGS * PACKETS,
		      records, skipped);
	assert_true(skipped < PACKETS / 100);
}

static void xdp_traces(void **state)
{
	traces(HOOK_XDP);
}

static void tc_traces(void **state)
{
	traces(HOOK_TC);
}

static void tc_ip_traces(void **state)
{
	traces(HOOK_TC_IP);
}

/* More flows than a batch of anything, both families: the tables' keys are the same. */
static void many_flows(void **state)
{
	for (int hook = 0; hook < HOOK_TC_IP; hook++) {
		struct pk k = { .src = 3, .dst = 5, .dport = 443, .flags = SYN };
		uint8_t b[PK_MAX];
		struct pair p;

		need_bpf(pair_begin(&p, hook, &configs[1]));
		snprintf(p.what, sizeof(p.what), "%s, many flows", hooks[hook]);
		for (unsigned i = 0; i < 6000; i++) {
			k.v6 = i & 1;
			k.sport = (uint16_t)(1 + i * 7);
			k.src = (uint8_t)(i % 11);
			k.seq = i;
			both(&p, 1700000000000000000ull + i * 1000, b, pk_build(b, &k));
		}
		assert_true(p.nflows == 0);
		pair_end(&p);
	}
}

/* A frame of 9,000 bytes reaches XDP in pieces: it counts as what it is. */
static void jumbo_frames(void **state)
{
	struct pk k = { .src = 3, .dst = 5, .sport = 5000, .dport = 443, .flags = ACK, .len = 8946 };
	uint8_t b[PK_MAX];
	struct pair p;

	need_bpf(pair_begin(&p, HOOK_XDP, &configs[0]));
	snprintf(p.what, sizeof(p.what), "jumbo frames");
	for (unsigned i = 0; i < 10; i++) {
		k.seq = i * 8946;
		k.v6 = i & 1;
		k.len = k.v6 ? 8926 : 8946;
		both(&p, 1700000000000000000ull + i * 1000, b, pk_build(b, &k));
	}
	if (p.skipped == 10)
		print_message("test runs of this kernel take no frames of 9,000 bytes\n");
	pair_end(&p);
}

/* What GRO merged, and GSO will part: each segment counts, with headers of its own. */
static void merged_packets(void **state)
{
	struct pk k = { .src = 3, .dst = 5, .sport = 5000, .dport = 443, .flags = ACK, .len = 3000 };
	uint32_t slot = (LOOPBACK & (WEIR_IF_SLOTS - 1)) * 2;
	struct __sk_buff skb = { .gso_segs = 10 };
	uint8_t b[PK_MAX];
	unsigned n = pk_build(b, &k);
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = b, .data_size_in = n, .ctx_in = &skb, .ctx_size_in = sizeof(skb), .repeat = 1);
	struct weir_counters *c = calloc((size_t)libbpf_num_possible_cpus(), sizeof(*c));
	const struct weir_rec *r;
	struct pair p;

	need_bpf(pair_begin(&p, HOOK_TC, &configs[0]));
	assert_int_equal(bpf_prog_test_run_opts(p.prog, &o), 0);
	ring_buffer__consume(p.ring);
	assert_int_equal(p.of_bpf.n, 1);
	r = (const struct weir_rec *)p.of_bpf.r[0].b;
	assert_int_equal(r->segs, 10);
	assert_int_equal(r->payload_len, 3000);
	assert_int_equal(r->ip_len, 3000 + 10 * 40);
	assert_int_equal(r->l2_len, 3000 + 10 * 54);
	assert_int_equal(bpf_map_lookup_elem(p.counters, &slot, c), 0);
	c += sched_getcpu();
	assert_int_equal(c->buffers, 1);
	assert_int_equal(c->buffer_bytes, n);
	assert_int_equal(c->seen, 10);
	assert_int_equal(c->in_flows, 10);
	assert_int_equal(c->in_flow_bytes, 3400);
	free(c - sched_getcpu());
	host_engine_free(p.host);
	ring_buffer__free(p.ring);
	weir_tc__destroy(p.tc);
}

static int skip_of(int dlt, enum hook *hook)
{
	*hook = dlt == DLT_EN10MB ? HOOK_XDP : HOOK_TC_IP;
	return dlt == DLT_EN10MB || dlt == DLT_RAW || dlt == DLT_IPV4 || dlt == DLT_IPV6 ? 0 :
	       dlt == DLT_NULL || dlt == DLT_LOOP ? 4 : dlt == DLT_LINUX_SLL ? 16 : dlt == DLT_LINUX_SLL2 ? 20 : -1;
}

static void capture_pair(const char *path, enum hook hook, const struct weir_config *cfg)
{
	char err[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, err);
	struct pcap_pkthdr *h;
	const u_char *data;
	enum hook first;
	struct pair p;
	int skip;

	if (!pcap) {
		print_message("%s: %s\n", path, err);
		return;
	}
	skip = skip_of(pcap_datalink(pcap), &first);
	if (skip < 0 || (hook == HOOK_TC_IP) != (first == HOOK_TC_IP)) {
		pcap_close(pcap);
		return;
	}
	need_bpf(pair_begin(&p, hook, cfg));
	snprintf(p.what, sizeof(p.what), "%s: %.80s", hooks[hook], path);
	while (pcap_next_ex(pcap, &h, &data) == 1) {
		static uint8_t b[1 << 16];
		uint32_t n;

		if (h->caplen < (unsigned)skip || h->caplen > sizeof(b))
			continue;
		/* What the capture cut off is zeros: to the kernel a packet is all there. */
		n = h->len > h->caplen && h->len <= sizeof(b) ? h->len : h->caplen;
		memset(b + h->caplen, 0, n - h->caplen);
		memcpy(b, data, h->caplen);
		both(&p, (uint64_t)h->ts.tv_sec * 1000000000ull + (uint64_t)h->ts.tv_usec, b + skip, n - (unsigned)skip);
	}
	print_message("%s: %lu packets, %lu records alike, %lu skipped\n", p.what, p.packets, p.records, p.skipped);
	pair_end(&p);
	pcap_close(pcap);
}

static char **captures;

static void each_capture(void **state)
{
	for (char **path = captures; *path; path++)
		for (int hook = 0; hook < HOOKS; hook++)
			for (size_t c = 0; c < 2; c++)
				capture_pair(*path, hook, &configs[c]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xdp_traces), cmocka_unit_test(tc_traces), cmocka_unit_test(tc_ip_traces),
		cmocka_unit_test(many_flows), cmocka_unit_test(jumbo_frames), cmocka_unit_test(merged_packets),
	};
	const struct CMUnitTest on_captures[] = { cmocka_unit_test(each_capture) };
	cpu_set_t one;

	/* The scratch, the record budget and the counters are per CPU. */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	libbpf_set_print(silent);
	captures = argv + 1;
	return argc > 1 ? cmocka_run_group_tests(on_captures, NULL, NULL) : cmocka_run_group_tests(tests, NULL, NULL);
}
