// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ns a packet of the engine's programs, beside an empty program and the floor,
 * on the same packets in the same run: only the ratios mean something. Medians
 * of ROUNDS interleaved rounds. The walker's own cost (empty behind it) is taken
 * off all three.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench_abi.h"
#include "floor.skel.h"
#include "weir_abi.h"
#include "weir_tc.skel.h"
#include "weir_xdp.skel.h"

#define ROUNDS	  5
#define MAX_FLOWS (1u << 20)
#define VOID_NS	  60 /* a run whose floor takes more, hot, says nothing */
#define WARM	  26 /* packets of each flow before: past those that are recorded one by one */

struct packet {
	const char *name;
	uint8_t bytes[256];
	uint32_t len, address, l4, seg;
	bool syn, tcp4; /* tcp4: what the floor tracks */
};

static struct floor *floor_objects;
static struct weir_tc *tc;
static struct weir_xdp *xdp;
static bool json;

static void put16(uint8_t *p, unsigned v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

/* Ethernet and IPv4 or IPv6 with payload bytes of transport behind. */
static uint8_t *ip_header(struct packet *p, int version, uint8_t proto, uint32_t rest)
{
	uint8_t *b = p->bytes;

	memset(b, 0, sizeof(p->bytes));
	b[0] = b[6] = 2;
	put16(b + 12, version == 4 ? ETH_P_IP : ETH_P_IPV6);
	b += 14;
	if (version == 4) {
		b[0] = 0x45;
		put16(b + 2, 20 + rest);
		put16(b + 4, 7);
		b[6] = 0x40;
		b[8] = 64;
		b[9] = proto;
		put32(b + 12, 0x0a000000);
		put32(b + 16, 0xc0a80001);
		p->address = 26;
		p->l4 = 34;
	} else {
		b[0] = 0x60;
		put16(b + 4, rest);
		b[6] = proto;
		b[7] = 64;
		put32(b + 8, 0xfd000000);
		put32(b + 24, 0xfd000001);
		b[39] = 1;
		p->address = 34;
		p->l4 = 54;
	}
	p->len = p->l4 + rest;
	return p->bytes + p->l4;
}

static void tcp_packet(struct packet *p, const char *name, int version, uint8_t flags, uint32_t payload)
{
	uint8_t *t = ip_header(p, version, 6, 32 + payload);

	p->name = name;
	p->tcp4 = version == 4;
	p->seg = payload;
	p->syn = flags == 2;
	put16(t, 443);
	put16(t + 2, 50000);
	put32(t + 4, 1000);
	put32(t + 8, 5000);
	t[12] = 0x80;
	t[13] = flags;
	put16(t + 14, 500);
	put32(t + 20, 0x0101080a);
	put32(t + 24, 77);
	put32(t + 28, 66);
}

static int run(int fd, const struct packet *p, uint32_t repeat, double *ns)
{
	uint8_t out[512];
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = p->bytes, .data_size_in = p->len, .data_out = out,
		    .data_size_out = sizeof(out), .repeat = repeat);

	if (bpf_prog_test_run_opts(fd, &o))
		return -errno;
	*ns = o.duration;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

/* Flows are made in another order than they are visited in, or a prefetcher would know the next. */
static void set_walk(const struct packet *p, uint32_t flows, bool make, uint64_t round)
{
	struct bench_walk w = { .flows = flows, .step = flows > 1 ? make ? 1 : 2654435761u : 0, .seg = p->seg, .round = round,
				.syn = p->syn, .l4 = p->l4, .address = p->address };
	uint32_t zero = 0;

	bpf_map__update_elem(floor_objects->maps.walk, &zero, sizeof(zero), &w, sizeof(w), BPF_ANY);
}

static int set_subject(int walker, int fd)
{
	uint32_t zero = 0;
	struct bpf_map *m = walker == bpf_program__fd(floor_objects->progs.walk_xdp) ?
				    floor_objects->maps.subject_xdp : floor_objects->maps.subject_tc;

	return bpf_map__update_elem(m, &zero, sizeof(zero), &fd, sizeof(fd), BPF_ANY);
}

static void forget_flows(void)
{
	struct weir_key4 k, next;
	int fd = bpf_map__fd(tc->maps.flows4);

	while (!bpf_map_get_next_key(fd, NULL, &next)) {
		k = next;
		bpf_map_delete_elem(fd, &k);
	}
}

static void row(const char *hook, const struct packet *p, uint32_t flows, double floor_ns, double weir_ns)
{
	if (json) {
		printf("{\"hook\":\"%s\",\"packet\":\"%s\",\"flows\":%u,\"weir_ns\":%.1f", hook, p->name, flows, weir_ns);
		if (p->tcp4)
			printf(",\"floor_ns\":%.1f,\"ratio\":%.3f", floor_ns, weir_ns / floor_ns);
		puts("}");
	} else if (p->tcp4) {
		printf("%-4s %-22s %9u %9.1f %9.1f %7.2fx\n", hook, p->name, flows, floor_ns, weir_ns, weir_ns / floor_ns);
	} else {
		printf("%-4s %-22s %9u %9s %9.1f\n", hook, p->name, flows, "-", weir_ns);
	}
	fflush(stdout);
}

static int measure(const char *hook, int walker, int empty, int floor_fd, int weir, const struct packet *p,
		   uint32_t flows, double *hot_floor)
{
	uint32_t repeat = flows > 1000000 ? 2 * flows : 2u << 20; /* whole rounds: sequence numbers go on */
	double v[3][ROUNDS];
	int subject[3] = { empty, floor_fd, weir };

	if (p->syn)
		repeat = MAX_FLOWS / 2;
	for (int i = 0; i < 3; i++) { /* every flow made, every cache as warm as it gets */
		double ns;

		set_walk(p, flows, true, 0);
		if (set_subject(walker, subject[i]))
			return -1;
		if (!p->syn && run(walker, p, WARM * flows, &ns))
			return -1;
	}
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < 3; i++) {
			uint64_t seen = WARM + round * (repeat / flows);

			if (set_subject(walker, subject[i]))
				return -1;
			if (p->syn)
				forget_flows();
			set_walk(p, flows, false, seen);
			if (run(walker, p, repeat, &v[i][round]))
				return -1;
		}
	}
	row(hook, p, flows, median(v[1], ROUNDS) - median(v[0], ROUNDS), median(v[2], ROUNDS) - median(v[0], ROUNDS));
	if (hot_floor && flows == 1)
		*hot_floor = median(v[1], ROUNDS) - median(v[0], ROUNDS);
	forget_flows();
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
	if (weir_tc__load(tc))
		return -1;
	xdp = weir_xdp__open();
	if (!xdp)
		return -1;
	xdp->rodata->weir_xdp_load = 1;
	bpf_map__reuse_fd(xdp->maps.flows4, bpf_map__fd(tc->maps.flows4));
	bpf_map__reuse_fd(xdp->maps.flows6, bpf_map__fd(tc->maps.flows6));
	bpf_map__reuse_fd(xdp->maps.holes, bpf_map__fd(tc->maps.holes));
	bpf_map__reuse_fd(xdp->maps.ring, bpf_map__fd(tc->maps.ring));
	bpf_map__reuse_fd(xdp->maps.counters, bpf_map__fd(tc->maps.counters));
	bpf_program__set_flags(xdp->progs.weir_xdp, BPF_F_XDP_HAS_FRAGS);
	return weir_xdp__load(xdp);
}

static void usage_of(const char *name, int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	if (!bpf_obj_get_info_by_fd(fd, &info, &len) && !json)
		printf("%-12s %6u verified instructions, %6u bytes translated\n", name, info.verified_insns,
		       info.xlated_prog_len);
}

int main(int argc, char **argv)
{
	static struct packet p[8];
	static const uint32_t sizes[] = { 1, 1024, 65536, 1048576 };
	double hot_floor = 0;
	struct utsname u;
	bool quick = false;

	for (int i = 1; i < argc; i++) {
		json = json || !strcmp(argv[i], "--json");
		quick = quick || !strcmp(argv[i], "--quick");
	}
	if (load()) {
		fprintf(stderr, "bench: can't load the programs: %s. Run as root.\n", strerror(errno));
		return 77;
	}
	uname(&u);
	tcp_packet(&p[0], "data", 4, 0x10, 100);
	tcp_packet(&p[1], "pure ack", 4, 0x10, 0);
	tcp_packet(&p[2], "syn, new flow", 4, 0x02, 0);
	tcp_packet(&p[3], "data, ipv6", 6, 0x10, 100);
	ip_header(&p[4], 4, 17, 108);
	put16(p[4].bytes + 34, 443);
	put16(p[4].bytes + 36, 50000);
	p[4].name = "udp";
	ip_header(&p[5], 4, 17, 108);
	put16(p[5].bytes + 12, 0x88cc);
	p[5].name = "not ip";
	if (!json) {
		printf("kernel %s, %ld CPUs, median of %d, ns a packet beyond an empty program\n", u.release,
		       sysconf(_SC_NPROCESSORS_ONLN), ROUNDS);
		printf("%-4s %-22s %9s %9s %9s %8s\n", "hook", "packet", "flows", "floor", "weir", "ratio");
	}
	for (unsigned i = 0; i < 6; i++) {
		for (unsigned s = 0; s < (quick || p[i].syn || i == 5 ? 1 : 4); s++) {
			if (measure("xdp", bpf_program__fd(floor_objects->progs.walk_xdp),
				    bpf_program__fd(floor_objects->progs.empty_xdp),
				    bpf_program__fd(floor_objects->progs.floor_xdp),
				    bpf_program__fd(xdp->progs.weir_xdp), &p[i], sizes[s], i ? NULL : &hot_floor) ||
			    measure("tc", bpf_program__fd(floor_objects->progs.walk_tc),
				    bpf_program__fd(floor_objects->progs.empty_tc),
				    bpf_program__fd(floor_objects->progs.floor_tc),
				    bpf_program__fd(tc->progs.weir_tc_in), &p[i], sizes[s], NULL)) {
				fprintf(stderr, "bench: %s: %s.\n", p[i].name, strerror(errno));
				return 1;
			}
		}
	}
	usage_of("weir_xdp", bpf_program__fd(xdp->progs.weir_xdp));
	usage_of("weir_tc_in", bpf_program__fd(tc->progs.weir_tc_in));
	if (hot_floor > VOID_NS)
		fprintf(stderr, "bench: the floor took %.0f ns hot: this machine is too busy, the run is void.\n", hot_floor);
	return 0;
}
