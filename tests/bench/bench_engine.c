// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ns a packet of the engine's programs by BPF_PROG_TEST_RUN, beside the floor on the same packets in the
 * same run: only the ratios mean something. Medians of interleaved rounds; the walker's own cost (an empty
 * program behind it) is taken off both. Flows are past the few first packets that are recorded one by one,
 * except where a row says so. Rows as JSON Lines: see tests/bench/table.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <unistd.h>

#include "bench.h"
#include "bench_abi.h"
#include "floor.skel.h"
#include "weir_abi.h"
#include "weir_tc.skel.h"
#include "weir_xdp.skel.h"

#define MAX_FLOWS (1u << 20)
#define WARM	  3	    /* packets of each flow before: past those that are recorded */
#define RECORDED  16384	    /* packets in a round whose every packet gives a record: the ring takes them */
#define SEG	  8
#define PHASE	  (1u << 25)/* between the sequence numbers of two phases: beyond what counts as a hole */
#define BATCH	  65536u

enum { EMPTY, FLOOR, WEIR, SUBJECTS };
enum order { RANDOM, ZIPF };

struct hook {
	const char *name;
	int walker, subject[SUBJECTS], subjects_map;
};

static struct floor *floor_objects;
static struct weir_tc *tc;
static struct weir_xdp *xdp;
static struct ring_buffer *ring;
static struct hook hooks[2];
static uint32_t phase;

static int run(int fd, const struct packet *p, uint32_t repeat, double *ns)
{
	uint8_t out[2048];
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = p->bytes, .data_size_in = p->len, .data_out = out,
		    .data_size_out = sizeof(out), .repeat = repeat);

	if (bpf_prog_test_run_opts(fd, &o))
		return -errno;
	*ns = o.duration;
	return 0;
}

static uint64_t random_next(void)
{
	static uint64_t x = 88172645463325252ull; /* Marsaglia 2003 */

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* The walker's list: each flow once in random order, or as often as Zipf's law (s = 1) has it. Its length. */
static uint32_t set_order(uint32_t flows, enum order how)
{
	static uint64_t steps[BENCH_ORDER_MAX];
	static uint32_t flow_of[MAX_FLOWS], visits[MAX_FLOWS], visit[MAX_FLOWS], drawn[BENCH_ORDER_MAX];
	static double cdf[MAX_FLOWS];
	uint32_t length = how == ZIPF ? BENCH_ORDER_MAX : flows, at = 0, n = BATCH;
	double sum = 0;

	for (uint32_t i = 0; i < flows; i++)
		flow_of[i] = i;
	for (uint32_t i = flows - 1; i; i--) { /* Fisher and Yates */
		uint32_t j = random_next() % (i + 1), t = flow_of[i];

		flow_of[i] = flow_of[j];
		flow_of[j] = t;
	}
	if (how == RANDOM) {
		for (uint32_t i = 0; i < flows; i++)
			steps[i] = BENCH_STEP(flow_of[i], 0, 1);
	} else {
		memset(visits, 0, sizeof(visits));
		memset(visit, 0, sizeof(visit));
		for (uint32_t i = 0; i < flows; i++)
			cdf[i] = sum += 1.0 / (i + 1);
		for (uint32_t i = 0; i < length; i++) {
			double u = (double)(random_next() >> 11) / (1ull << 53) * sum;
			uint32_t low = 0, high = flows - 1;

			while (low < high) {
				uint32_t mid = (low + high) / 2;

				if (cdf[mid] < u)
					low = mid + 1;
				else
					high = mid;
			}
			drawn[i] = flow_of[low];
			visits[drawn[i]]++;
		}
		for (uint32_t i = 0; i < length; i++)
			steps[i] = BENCH_STEP(drawn[i], visit[drawn[i]]++, visits[drawn[i]]);
	}
	for (at = 0; at < length; at += n) {
		uint32_t keys[4096];

		n = length - at < 4096 ? length - at : 4096;
		for (uint32_t i = 0; i < n; i++)
			keys[i] = at + i;
		if (bpf_map_update_batch(bpf_map__fd(floor_objects->maps.order), keys, steps + at, &n, NULL))
			return 0;
	}
	return length;
}

static void set_walk(const struct packet *p, uint32_t length, uint32_t seg, bool fresh, uint64_t from)
{
	struct bench_walk w = { .at = fresh ? from : 0, .pass = fresh ? 0 : from, .length = length, .seg = seg,
				.base = 1000 + phase * PHASE, .fresh = fresh, .l4 = p->l4, .address = p->address };
	uint32_t zero = 0;

	bpf_map__update_elem(floor_objects->maps.walk, &zero, sizeof(zero), &w, sizeof(w), BPF_ANY);
}

static int set_subject(const struct hook *h, int subject)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(h->subjects_map, &zero, &h->subject[subject], BPF_ANY);
}

static void forget(int fd, size_t key_size, size_t value_size)
{
	char *keys = malloc(BATCH * key_size), *values = malloc(BATCH * value_size);
	uint32_t out = 0, n;
	int err;

	do {
		n = BATCH;
		err = bpf_map_lookup_and_delete_batch(fd, NULL, &out, keys, values, &n, NULL);
	} while (n && (!err || errno == ENOENT));
	free(keys);
	free(values);
}

static void forget_flows(void)
{
	forget(bpf_map__fd(tc->maps.flows4), sizeof(struct weir_key4), sizeof(struct weir_flow));
	forget(bpf_map__fd(tc->maps.flows6), sizeof(struct weir_key6), sizeof(struct weir_flow));
	forget(bpf_map__fd(tc->maps.holes), sizeof(uint64_t), sizeof(struct weir_holes));
	forget(bpf_map__fd(floor_objects->maps.tracked), 16, 64);
	ring_buffer__consume(ring);
}

static void told(const struct hook *h, const char *name, uint32_t flows, const char *order, double v[SUBJECTS][BENCH_ROUNDS],
		 bool beside)
{
	double empty = bench_median(v[EMPTY], BENCH_ROUNDS);
	char row[96];

	snprintf(row, sizeof(row), "%s %s, %u%s", h->name, name, flows, order);
	bench_row(row, bench_median(v[WEIR], BENCH_ROUNDS) - empty, "ns", beside ? "floor" : NULL,
		  bench_median(v[FLOOR], BENCH_ROUNDS) - empty);
}

/* flows, each WARM times, by both subjects; made in another order than they are visited in later. */
static int make_flows(const struct packet *p, uint32_t flows)
{
	double ns;

	for (int s = FLOOR; s <= WEIR; s++) {
		set_subject(&hooks[0], s);
		for (unsigned i = 0; i < (s == WEIR ? WARM : 1); i++) {
			set_walk(p, 0, 0, true, 0);
			if (run(hooks[0].walker, p, flows, &ns))
				return -1;
			ring_buffer__consume(ring);
		}
	}
	return 0;
}

/* A packet of flows that are there, by the first nhooks hooks. beside: the floor does the same work for it. */
static int established(const char *name, const struct packet *p, uint32_t flows, enum order how, uint32_t seg, uint32_t repeat,
		       bool beside, int nhooks)
{
	uint32_t length = set_order(flows, how);
	double v[2][SUBJECTS][BENCH_ROUNDS], ns;

	if (!length)
		return -1;
	for (int h = 0; h < nhooks; h++) {
		phase++;
		for (int round = -1; round < BENCH_ROUNDS; round++) {
			for (int s = 0; s < SUBJECTS; s++) {
				set_subject(&hooks[h], s);
				set_walk(p, length, seg, false, (uint64_t)(round + 1) * (repeat / length));
				/* The first is for the caches and for the leap in sequence numbers between phases. */
				if (run(hooks[h].walker, p, round < 0 && repeat > BATCH ? length : repeat,
					round < 0 ? &ns : &v[h][s][round]))
					return -1;
				ring_buffer__consume(ring);
			}
		}
		told(&hooks[h], name, flows, flows == 1 ? "" : how == ZIPF ? " flows Zipf" : " flows random", v[h], beside);
	}
	return 0;
}

/* Every packet a flow never seen before; then, when next is there, that flow's next packet. */
static int new_flows(const char *name, const struct packet *first, const char *next_name, const struct packet *next, bool beside)
{
	double v[2][SUBJECTS][BENCH_ROUNDS];

	for (int h = 0; h < 2; h++) {
		for (int round = 0; round < BENCH_ROUNDS; round++) {
			forget_flows();
			for (int s = 0; s < SUBJECTS; s++) {
				set_subject(&hooks[h], s);
				set_walk(first, 0, 0, true, 0);
				if (run(hooks[h].walker, first, RECORDED, &v[0][s][round]))
					return -1;
				ring_buffer__consume(ring);
				if (!next)
					continue;
				set_walk(next, 0, 0, true, 0);
				if (run(hooks[h].walker, next, RECORDED, &v[1][s][round]))
					return -1;
				ring_buffer__consume(ring);
			}
		}
		told(&hooks[h], name, RECORDED, " flows", v[0], beside);
		if (next)
			told(&hooks[h], next_name, RECORDED, " flows", v[1], beside);
	}
	forget_flows();
	return 0;
}

/* One call a packet: what lies between is the system call, and so the caches are cold. Data and ACK in turn. */
static int cold(uint32_t flows)
{
	uint32_t calls = flows < 4096 ? 8 * flows : 2 * flows;
	struct packet data, ack;
	double *v[SUBJECTS];
	char row[96];

	for (int s = 0; s < SUBJECTS; s++)
		v[s] = calloc(calls, sizeof(double));
	tcp_packet(&data, 4, 0x10, SEG);
	tcp_packet(&ack, 4, 0x10, 0);
	if (make_flows(&data, flows))
		return -1;
	set_order(flows, RANDOM);
	for (int h = 0; h < 2; h++) {
		phase++;
		/* Twice; the first time for the leap between phases. */
		for (uint32_t i = 0; i < 2 * calls; i++) {
			uint32_t flow = i / 2 * 2654435761u & (flows - 1), visit = i / 2 / flows;
			struct packet *p = i & 1 ? &ack : &data;

			put32(p->bytes + 26, 0x0a000000 + flow);
			put32(p->bytes + 38, 1000 + phase * PHASE + SEG * (visit + (i & 1)));
			for (int s = 0; s < SUBJECTS; s++)
				if (run(hooks[h].subject[s], p, 1, &v[s][i % calls]))
					return -1;
			if (i % 1024 == 0)
				ring_buffer__consume(ring);
		}
		for (int s = 0; s < SUBJECTS; s++)
			bench_median(v[s], calls);
		snprintf(row, sizeof(row), "%s cold, %u flows", hooks[h].name, flows);
		bench_row(row, v[WEIR][calls / 2], "ns", "floor", v[FLOOR][calls / 2]);
		snprintf(row, sizeof(row), "%s cold beyond an empty program, %u flows", hooks[h].name, flows);
		bench_row(row, v[WEIR][calls / 2] - v[EMPTY][calls / 2], "ns", "floor", v[FLOOR][calls / 2] - v[EMPTY][calls / 2]);
	}
	for (int s = 0; s < SUBJECTS; s++)
		free(v[s]);
	forget_flows();
	return 0;
}

static int nothing(void *arg, void *data, size_t size)
{
	return 0;
}

static int load(void)
{
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	floor_objects = floor__open();
	tc = weir_tc__open();
	if (!floor_objects || !tc)
		return -1;
	/* Programs that call each other agree on fragments. */
	bpf_program__set_flags(floor_objects->progs.walk_xdp, BPF_F_XDP_HAS_FRAGS);
	bpf_program__set_flags(floor_objects->progs.floor_xdp, BPF_F_XDP_HAS_FRAGS);
	bpf_program__set_flags(floor_objects->progs.empty_xdp, BPF_F_XDP_HAS_FRAGS);
	if (floor__load(floor_objects))
		return -1;
	bpf_map__set_max_entries(tc->maps.flows4, MAX_FLOWS);
	bpf_map__set_max_entries(tc->maps.flows6, MAX_FLOWS);
	/*
	 * As it ships, but that a flow is past its first packets, its payload's start and what may be spared for
	 * it within WARM packets.
	 */
	tc->rodata->weir_cfg.spare_per_s = 0;
	tc->rodata->weir_cfg.first_packets = 2;
	tc->rodata->weir_cfg.payload_segments = 1;
	if (weir_tc__load(tc))
		return -1;
	xdp = weir_xdp__open();
	if (!xdp)
		return -1;
	xdp->rodata->weir_cfg = tc->rodata->weir_cfg;
	xdp->rodata->weir_xdp_load = 1;
	bpf_map__reuse_fd(xdp->maps.flows4, bpf_map__fd(tc->maps.flows4));
	bpf_map__reuse_fd(xdp->maps.flows6, bpf_map__fd(tc->maps.flows6));
	bpf_map__reuse_fd(xdp->maps.holes, bpf_map__fd(tc->maps.holes));
	bpf_map__reuse_fd(xdp->maps.ring, bpf_map__fd(tc->maps.ring));
	bpf_map__reuse_fd(xdp->maps.counters, bpf_map__fd(tc->maps.counters));
	bpf_program__set_flags(xdp->progs.weir_xdp, BPF_F_XDP_HAS_FRAGS);
	if (weir_xdp__load(xdp))
		return -1;
	ring = ring_buffer__new(bpf_map__fd(tc->maps.ring), nothing, NULL, NULL);
	hooks[0] = (struct hook){ "xdp", bpf_program__fd(floor_objects->progs.walk_xdp),
				  { bpf_program__fd(floor_objects->progs.empty_xdp), bpf_program__fd(floor_objects->progs.floor_xdp),
				    bpf_program__fd(xdp->progs.weir_xdp) },
				  bpf_map__fd(floor_objects->maps.subject_xdp) };
	hooks[1] = (struct hook){ "tc", bpf_program__fd(floor_objects->progs.walk_tc),
				  { bpf_program__fd(floor_objects->progs.empty_tc), bpf_program__fd(floor_objects->progs.floor_tc),
				    bpf_program__fd(tc->progs.weir_tc_in) },
				  bpf_map__fd(floor_objects->maps.subject_tc) };
	return ring ? 0 : -1;
}

static void verified(const char *name, int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	if (!bpf_obj_get_info_by_fd(fd, &info, &len))
		bench_row(name, info.verified_insns, "instructions", NULL, 0);
}

static int all(void)
{
	static const uint32_t sizes[] = { 1, 1024, 65536, 1048576 };
	struct packet data, ack, again, syn, hello, udp, data6, other;
	uint8_t *b;
	int bad = 0;

	tcp_packet(&data, 4, 0x10, SEG);
	tcp_packet(&ack, 4, 0x10, 0);
	tcp_packet(&again, 4, 0x10, SEG);
	put16(again.bytes + 18, 8); /* another IP-ID: sent again, not a copy */
	tcp_packet(&syn, 4, 0x02, 0);
	put32(syn.bytes + 38, 999);
	b = tcp_packet(&hello, 4, 0x18, 517);
	memcpy(b, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
	udp_packet(&udp, 4, 100);
	tcp_packet(&data6, 6, 0x10, SEG);
	ip_packet(&other, 4, 17, 100);
	put16(other.bytes + 12, 0x88cc);
	for (unsigned i = 0; i < 4 && !bad; i++) {
		uint32_t n = sizes[i], repeat = n == MAX_FLOWS ? n : 1u << 19;
		int both = n == MAX_FLOWS ? 1 : 2;

		bad = make_flows(&data, n) || established("data", &data, n, RANDOM, SEG, repeat, true, 2) ||
		      (n > 1 && established("data", &data, n, ZIPF, SEG, 1u << 20, true, 2)) ||
		      established("pure ack", &ack, n, RANDOM, 0, repeat, true, both) ||
		      (n > 1 && n <= RECORDED &&
		       established("retransmission, recorded", &again, n, RANDOM, 0, RECORDED, true, 2));
		forget_flows();
		bad = bad || make_flows(&udp, n) || established("udp", &udp, n, RANDOM, 0, repeat, false, both);
		forget_flows();
		bad = bad || make_flows(&data6, n) || established("data, IPv6", &data6, n, RANDOM, SEG, repeat, false, both);
		forget_flows();
	}
	return bad || established("not IP", &other, 1, RANDOM, 0, 1u << 19, false, 2) ||
	       new_flows("SYN, a new flow, recorded", &syn, "first data, guessed and sent up", &hello, true) ||
	       new_flows("UDP, a new flow, recorded", &udp, NULL, NULL, false) || cold(1024) || cold(16384);
}

int main(void)
{
	if (load()) {
		fprintf(stderr, "bench: can't load the programs: %s. Run as root.\n", strerror(errno));
		return 77;
	}
	if (all()) {
		fprintf(stderr, "bench: broke off: %s.\n", strerror(errno));
		return 1;
	}
	verified("weir_xdp, verified", bpf_program__fd(xdp->progs.weir_xdp));
	verified("weir_tc_in, verified", bpf_program__fd(tc->progs.weir_tc_in));
	return 0;
}
