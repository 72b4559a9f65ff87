// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Packets a second through a native XDP hook on one core, 64-byte frames of 30,000 flows: live frames
 * (BPF_F_TEST_XDP_LIVE_FRAMES) out of one end of a veth pair, the program under test at the other, which
 * drops them; the generator's cost is in it. A bare drop, the floor, weir; in a network namespace of its own.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "bench_abi.h"
#include "floor.skel.h"
#include "weir_abi.h"
#include "weir_drop.skel.h"

#define FLOWS	30000u
#define LENGTH	32768u /* of the walk: a power of two; some flows come twice */
#define FRAMES	(32 * LENGTH)

static struct floor *f;
static struct weir_drop *w;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t weir_seen(void)
{
	int cpus = libbpf_num_possible_cpus();
	struct weir_counters *c = calloc((size_t)cpus, sizeof(*c));
	uint64_t sum = 0;

	for (uint32_t slot = 0; c && slot < WEIR_IF_SLOTS * 2; slot++)
		if (!bpf_map_lookup_elem(bpf_map__fd(w->maps.counters), &slot, c))
			for (int i = 0; i < cpus; i++)
				sum += c[i].seen;
	free(c);
	return sum;
}

static uint64_t dropped(void)
{
	uint32_t zero = 0;
	uint64_t n = 0;

	bpf_map_lookup_elem(bpf_map__fd(f->maps.dropped), &zero, &n);
	return n;
}

/* Millions of packets a second that the subject saw; negative: -errno. */
static double rate(int subject, unsigned in, const struct packet *p, uint64_t pass)
{
	struct bench_walk walk = { .pass = pass, .length = LENGTH, .base = 1000, .seg = 6, .l4 = p->l4, .address = p->address };
	struct xdp_md ctx = { .data_end = p->len };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = p->bytes, .data_size_in = p->len, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx),
		    .repeat = FRAMES, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
	uint32_t zero = 0;
	uint64_t before;
	double start, took;

	if (bpf_xdp_attach((int)in, subject, XDP_FLAGS_DRV_MODE, NULL))
		return -errno;
	bpf_map__update_elem(f->maps.walk, &zero, sizeof(zero), &walk, sizeof(walk), BPF_ANY);
	before = dropped() + weir_seen();
	start = now();
	if (bpf_prog_test_run_opts(bpf_program__fd(f->progs.walk_out), &o))
		return -errno;
	took = now() - start;
	return (double)(dropped() + weir_seen() - before) / took * 1e-6;
}

int main(void)
{
	static const char *const names[] = { "bare drop", "floor", "weir" };
	double v[3][BENCH_ROUNDS];
	unsigned out, in;
	struct packet p;
	uint8_t *t;
	int subject[3];

	if (unshare(CLONE_NEWNET) || system("ip link add out0 type veth peer name in0 && ip link set out0 up && ip link set in0 up")) {
		fprintf(stderr, "bench: can't make a veth pair: %s. Run as root.\n", strerror(errno));
		return 77;
	}
	out = if_nametoindex("out0");
	in = if_nametoindex("in0");
	f = floor__open();
	w = weir_drop__open();
	if (!f || !w)
		return 1;
	f->rodata->out_ifindex = out;
	w->rodata->weir_cfg.first_packets = 2;
	w->rodata->weir_cfg.payload_segments = 1;
	w->rodata->weir_xdp_load = 1;
	bpf_program__set_flags(w->progs.weir_drop, BPF_F_XDP_HAS_FRAGS);
	if (floor__load(f) || weir_drop__load(w)) {
		fprintf(stderr, "bench: can't load the programs: %s. Run as root.\n", strerror(errno));
		return 77;
	}
	for (uint32_t i = 0; i < LENGTH; i++) { /* in no order: the multiplier is odd */
		uint32_t flow = i * 2654435761u % LENGTH % FLOWS;
		uint64_t step = BENCH_STEP(flow, 0, 1);

		bpf_map_update_elem(bpf_map__fd(f->maps.order), &i, &step, BPF_ANY);
	}
	/* 64 bytes with the FCS: TCP without options and six bytes */
	t = ip_packet(&p, 4, 6, 26);
	put16(t, 50000);
	put16(t + 2, 443);
	put32(t + 8, 5000);
	t[12] = 0x50;
	t[13] = 0x10;
	put16(t + 14, 500);
	subject[0] = bpf_program__fd(f->progs.empty_drop);
	subject[1] = bpf_program__fd(f->progs.floor_drop);
	subject[2] = bpf_program__fd(w->progs.weir_drop);
	for (int round = -1; round < BENCH_ROUNDS; round++) {
		for (int s = 0; s < 3; s++) {
			double r = rate(subject[s], in, &p, (uint64_t)(round + 1) * (FRAMES / LENGTH));

			if (r < 0) {
				fprintf(stderr, "bench: live frames: %s.\n", strerror((int)-r));
				return 1;
			}
			if (round >= 0)
				v[s][round] = r;
		}
	}
	for (int s = 0; s < 3; s++)
		bench_median(v[s], BENCH_ROUNDS);
	for (int s = 0; s < 3; s++) {
		char row[64];

		snprintf(row, sizeof(row), "live frames, 64 bytes, 30000 flows, %s", names[s]);
		bench_row(row, v[s][BENCH_ROUNDS / 2], "Mpps", s == 2 ? "floor" : NULL, v[1][BENCH_ROUNDS / 2]);
	}
	return 0;
}
