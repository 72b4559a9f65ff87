// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Records and new flows a second from the kernel to a reader on another CPU without loss, two CPUs that see a
 * direction each, a SYN flood beside live flows, the tables' memory. Test runs stand in for the traffic.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "bench_abi.h"
#include "floor.skel.h"
#include "pipeline.h"
#include "sweep.h"
#include "weir_tc.skel.h"

#define MAX_FLOWS (1u << 20)
#define TABLE	  65536u
#define PAIRS	  65536u /* flows whose directions run on two CPUs */
#define SYNS	  5000000u
#define LIVE	  64u
#define CHUNKS	  100u

static struct floor *walker[2];
static struct weir_tc *tc;
static struct packet packet[2]; /* a flow's two directions */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* What this thread took of a CPU: others on the machine don't count. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void fail(const char *what)
{
	fprintf(stderr, "bench: %s: %s.\n", what, strerror(errno));
	exit(1);
}

/* cfg NULL: as it ships. */
static void load(uint32_t max_flows, const struct weir_config *cfg)
{
	uint32_t zero = 0;
	int fd;

	tc = weir_tc__open();
	if (!tc)
		fail("can't open the programs");
	bpf_map__set_max_entries(tc->maps.flows4, max_flows);
	bpf_map__set_max_entries(tc->maps.flows6, max_flows);
	if (cfg)
		tc->rodata->weir_cfg = *cfg;
	if (weir_tc__load(tc))
		fail("can't load the programs");
	fd = bpf_program__fd(tc->progs.weir_tc_in);
	for (int i = 0; i < 2; i++)
		bpf_map__update_elem(walker[i]->maps.subject_tc, &zero, sizeof(zero), &fd, sizeof(fd), BPF_ANY);
}

static void unload(void)
{
	weir_tc__destroy(tc);
}

/* n packets of direction way: of flows never seen (fresh), from flow number from on, or of the list's. */
static void send_packets(int way, const struct packet *p, uint32_t n, bool fresh, uint64_t from, uint32_t length)
{
	struct bench_walk w = { .at = from, .length = length, .fresh = fresh, .l4 = p->l4, .address = way ? 30 : 26 };
	uint8_t out[2048];
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = p->bytes, .data_size_in = p->len, .data_out = out,
		    .data_size_out = sizeof(out), .repeat = (int)n);
	uint32_t zero = 0;

	if (bpf_map__update_elem(walker[way]->maps.walk, &zero, sizeof(zero), &w, sizeof(w), BPF_ANY) ||
	    bpf_prog_test_run_opts(bpf_program__fd(walker[way]->progs.walk_tc), &o))
		fail("test run");
}

static struct weir_counters counters(void)
{
	int cpus = libbpf_num_possible_cpus();
	struct weir_counters sum = { 0 }, *each = calloc((size_t)cpus, sizeof(*each));
	uint32_t slot = 2; /* test runs come from the loopback interface */

	if (!each || bpf_map_lookup_elem(bpf_map__fd(tc->maps.counters), &slot, each))
		fail("counters");
	for (int i = 0; i < cpus; i++)
		for (unsigned k = 0; k < sizeof(sum) / sizeof(__u64); k++)
			((__u64 *)&sum)[k] += ((__u64 *)&each[i])[k];
	free(each);
	return sum;
}

/* The reader, on a CPU of its own. */
struct reader {
	struct pipeline *p; /* NULL: the records are only counted */
	uint64_t read;
	bool stop;
};

static int on_record(void *arg, void *data, size_t size)
{
	struct reader *r = arg;
	const struct weir_rec *rec = data;

	r->read++;
	if (r->p)
		pipeline_record(r->p, rec, (const uint8_t *)(rec + 1));
	return 0;
}

static void *read_on(void *arg)
{
	struct reader *r = arg;
	struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(tc->maps.ring), on_record, r, NULL);
	uint64_t tick = now_ns();

	if (!ring)
		fail("ring");
	pin(1);
	while (!__atomic_load_n(&r->stop, __ATOMIC_SEQ_CST)) {
		ring_buffer__poll(ring, 50);
		ring_buffer__consume(ring);
		if (r->p && now_ns() - tick > 1000000000u) {
			tick = now_ns();
			pipeline_tick(r->p, tick);
		}
	}
	ring_buffer__consume(ring);
	ring_buffer__free(ring);
	return NULL;
}

static unsigned claims, evicted;

static void on_finding(void *s, const struct model *m, const struct finding *f, enum finding_action action, uint64_t time_ns)
{
	claims += f->level >= LEVEL_LIKELY;
}

static const struct sink counting = { .finding = on_finding };

static struct pipeline *new_pipeline(uint32_t max_flows)
{
	struct pipeline_config cfg = { .max_flows = max_flows, .live = true, .interval_s = 1, .nsinks = 1 };
	struct pipeline *p;

	cfg.sink[0].ops = &counting;
	p = pipeline_new(&cfg);
	if (!p)
		fail("pipeline");
	return p;
}

/*
 * The highest of the rates at which half a second of packets, a millisecond's worth at a time, loses no record:
 * packets of 1,024 flows that are recorded one by one, or each packet a new flow.
 */
static double without_loss(bool fresh, bool whole)
{
	static const uint32_t rates[] = { 50, 100, 150, 200, 250, 300, 400, 500, 600, 750, 1000, 1250, 1500, 2000, 3000 };
	struct weir_config every = { .first_packets = 0xff, .focus_packets = 0xfffe, .sample_mask = 0, .wake_bytes = 1 << 20 };
	struct weir_config cfg;
	double best = 0;
	uint64_t flow = 0;

	for (unsigned i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct reader r = { 0 };
		struct weir_counters c;
		uint64_t start, took;
		pthread_t t;

		struct weir_tc *as_shipped = weir_tc__open();
		cfg = as_shipped->rodata->weir_cfg;
		cfg.records_per_s = 0;
		weir_tc__destroy(as_shipped);
		load(MAX_FLOWS, fresh ? &cfg : &every);
		r.p = whole ? new_pipeline(MAX_FLOWS) : NULL;
		if (pthread_create(&t, NULL, read_on, &r))
			fail("thread");
		start = now_ns();
		for (unsigned ms = 0; ms < 500; ms++) {
			struct timespec until = { 0 };
			uint64_t due = start + (ms + 1) * 1000000ull;

			send_packets(0, &packet[0], rates[i], fresh, fresh ? flow : 0, 1024);
			flow += rates[i];
			until.tv_sec = (time_t)(due / 1000000000u);
			until.tv_nsec = (long)(due % 1000000000u);
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		}
		took = now_ns() - start;
		__atomic_store_n(&r.stop, true, __ATOMIC_SEQ_CST);
		pthread_join(t, NULL);
		c = counters();
		pipeline_free(r.p);
		unload();
		if (c.unsent[WEIR_RING_FULL] || took > 600000000u)
			break;
		best = (double)c.records / (double)took * 1e9;
	}
	return best;
}

struct way {
	int way;
	uint32_t rounds;
	uint64_t took;
};

static void *one_way(void *arg)
{
	struct way *w = arg;
	uint64_t start;

	pin(w->way);
	start = now_ns();
	send_packets(w->way, &packet[w->way], w->rounds * PAIRS, false, 0, PAIRS);
	w->took = now_ns() - start;
	return NULL;
}

static void on_counters(void *arg, const struct weir_key6 *key, const struct weir_flow *f)
{
	pipeline_counters(arg, key, f);
}

struct pairs {
	uint32_t packets, wrong, flows;
};

static void ignore(void *arg, const struct weir_key6 *key, const struct weir_flow *f)
{
}

static void on_pair(void *arg, const struct weir_key6 *key, const struct weir_flow *f, enum flow_end why)
{
	struct pairs *p = arg;

	p->flows++;
	p->wrong += f->dir[0].packets != p->packets || f->dir[1].packets != p->packets;
}

static struct sweep *new_sweep(const struct sweep_ops *ops)
{
	struct sweep_fds fds = { bpf_map__fd(tc->maps.flows4), bpf_map__fd(tc->maps.flows6), bpf_map__fd(tc->maps.holes),
				 bpf_program__fd(tc->progs.weir_ctl) };
	struct sweep *s = sweep_new(&fds, ops);

	if (!s)
		fail("sweep");
	return s;
}

/* 65,536 flows, made by both CPUs at once, then each direction at full speed on its own. */
static void two_cpus(void)
{
	struct way w[2] = { { 0, 16, 0 }, { 1, 16, 0 } }, alone = { 0, 16, 0 };
	struct pairs pairs = { 16, 0, 0 };
	struct sweep_ops ops = { ignore, on_pair, &pairs, NULL };
	struct sweep *s;
	pthread_t t[2];
	double mpps, single;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	load(PAIRS * 2, NULL);
	for (int i = 0; i < 2; i++)
		if (pthread_create(&t[i], NULL, one_way, &w[i]))
			fail("thread");
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	mpps = 16.0 * PAIRS * 1e3 / (double)w[0].took + 16.0 * PAIRS * 1e3 / (double)w[1].took;
	s = new_sweep(&ops);
	sweep_finish(s);
	sweep_free(s);
	bench_row("two CPUs, a direction each: flows counted wrong", pairs.wrong + (pairs.flows != PAIRS), "of 65536", NULL, 0);
	unload();
	load(PAIRS * 2, NULL);
	pthread_create(&t[0], NULL, one_way, &alone);
	pthread_join(t[0], NULL);
	single = 16.0 * PAIRS * 1e3 / (double)alone.took;
	bench_row("two CPUs, a direction each, 65536 flows", mpps, "Mpps", "one CPU", single);
	unload();
}

struct flood {
	struct pipeline *p;
	uint64_t counted, live;
};

static void on_end(void *arg, const struct weir_key6 *key, const struct weir_flow *f, enum flow_end why)
{
	struct flood *x = arg;

	x->counted += (uint64_t)f->dir[0].packets + f->dir[1].packets;
	if (why == END_EVICTED)
		evicted++;
	x->live += f->dir[0].packets == CHUNKS && f->dir[1].packets == CHUNKS;
	pipeline_flow_end(x->p, key, f, why);
}

static void on_flood_counters(void *arg, const struct weir_key6 *key, const struct weir_flow *f)
{
	on_counters(((struct flood *)arg)->p, key, f);
}

static void on_flood_expect(void *arg, uint64_t id, unsigned stage)
{
	pipeline_expect_counters(((struct flood *)arg)->p, id, stage);
}

static double rss_mb(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long all = 0, rss = 0;

	if (!f || fscanf(f, "%lu %lu", &all, &rss) != 2)
		fail("statm");
	fclose(f);
	return (double)rss * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

/* Five million SYNs into a table of 65,536, swept as live capture does, beside flows that talk. */
static void syn_flood(void)
{
	struct flood x = { .p = new_pipeline(TABLE) };
	struct sweep_ops ops = { on_flood_counters, on_end, &x, on_flood_expect };
	struct reader r = { .p = x.p };
	struct weir_counters c;
	struct ring_buffer *ring;
	struct packet syn;
	struct sweep *s;
	uint64_t elsewhere = 0, most = 0, start, took = 0;
	double before = rss_mb();

	load(TABLE, NULL);
	ring = ring_buffer__new(bpf_map__fd(tc->maps.ring), on_record, &r, NULL);
	s = new_sweep(&ops);
	tcp_packet(&syn, 4, 2, 0);
	for (unsigned i = 0; i < CHUNKS; i++) {
		for (int way = 0; way < 2; way++)
			send_packets(way, &packet[way], LIVE, true, 0, 0);
		start = now_ns();
		send_packets(0, &syn, SYNS / CHUNKS, true, LIVE + (uint64_t)i * (SYNS / CHUNKS), 0);
		took += now_ns() - start;
		ring_buffer__consume(ring);
		if (sweep_run(s, now_ns(), sweep_pressure(sweep_active(s), TABLE)))
			fail("sweep");
		if (sweep_active(s) > most)
			most = sweep_active(s);
		pipeline_tick(x.p, now_ns());
	}
	x.live = 0;
	sweep_finish(s);
	c = counters();
	for (int i = 0; i < WEIR_ELSEWHERE; i++)
		elsewhere += c.elsewhere[i];
	bench_row("flood of 5,000,000 SYNs: live flows whose counters are whole", (double)x.live, "of 64", NULL, 0);
	bench_row("flood: packets in no sum", (double)(c.seen - x.counted - elsewhere) + (double)(c.in_flows - x.counted), "packets",
		  NULL, 0);
	bench_row("flood: flows at once", (double)most, "flows", "table", TABLE);
	bench_row("flood: claims", claims, "findings", NULL, 0);
	bench_row("flood: userspace grew by", rss_mb() - before, "MB", NULL, 0);
	bench_row("flood: a SYN", (double)took / SYNS, "ns", NULL, 0);
	ring_buffer__free(ring);
	sweep_free(s);
	pipeline_free(x.p);
	unload();
}

/* Bytes of a map, as the kernel accounts them, in MB. */
static double map_mb(const struct bpf_map *m)
{
	char path[64], line[128];
	double bytes = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_map__fd(m));
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "memlock:", 8))
			bytes = strtod(line + 8, NULL);
	if (f)
		fclose(f);
	return bytes / 1e6;
}

static double available_mb(void)
{
	char line[128];
	double kb = 0;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "MemFree:", 8))
			kb = strtod(line + 8, NULL);
	if (f)
		fclose(f);
	return kb / 1e3;
}

static void memory(uint32_t flows)
{
	char row[64];
	double free_before = available_mb();

	load(flows, NULL);
	send_packets(0, &packet[0], flows, true, 0, 0);
	snprintf(row, sizeof(row), "kernel memory, %u flows", flows);
	bench_row(row, map_mb(tc->maps.flows4) + map_mb(tc->maps.flows6), "MB", "of the machine's", free_before - available_mb());
	unload();
}

/* What so many flows take in userspace, their records and counters taken, the ring apart; and a sweep over them. */
static void user_memory(const char *what, const struct packet *p, uint32_t flows)
{
	struct flood x = { .p = new_pipeline(2 * flows + 4096) };
	struct sweep_ops ops = { on_flood_counters, on_end, &x, on_flood_expect };
	struct reader r = { .p = x.p };
	struct ring_buffer *ring;
	struct sweep *s;
	double before, took;
	uint64_t start;
	char row[80];

	load(flows + flows / 8, NULL);
	ring = ring_buffer__new(bpf_map__fd(tc->maps.ring), on_record, &r, NULL);
	s = new_sweep(&ops);
	/* All pages of the ring are mapped from the start. */
	before = rss_mb();
	for (uint32_t i = 0; i < flows; i += 16384) {
		send_packets(0, p, 16384, true, i, 0);
		ring_buffer__consume(ring);
		pipeline_tick(x.p, now_ns());
	}
	start = cpu_ns();
	if (sweep_run(s, now_ns(), SWEEP_CALM))
		fail("sweep");
	took = (double)(cpu_ns() - start);
	snprintf(row, sizeof(row), "userspace memory, %u flows of %s", flows, what);
	bench_row(row, rss_mb() - before, "MB", "flows held", (double)model_flows(pipeline_model(x.p)));
	snprintf(row, sizeof(row), "sweep of %u flows of %s that moved", flows, what);
	bench_row(row, took / 1e6, "ms of a CPU", "ns a flow", took / flows);
	start = cpu_ns();
	if (sweep_run(s, now_ns(), SWEEP_CALM))
		fail("sweep");
	took = (double)(cpu_ns() - start);
	snprintf(row, sizeof(row), "sweep of %u flows of %s that are still", flows, what);
	bench_row(row, took / 1e6, "ms of a CPU", "ns a flow", took / flows);
	ring_buffer__free(ring);
	sweep_free(s);
	pipeline_free(x.p);
	unload();
}

/* In a process of its own: what was freed before would be taken again and not be seen. */
static void user_memory_apart(const char *what, const struct packet *p, uint32_t flows)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (!pid) {
		user_memory(what, p, flows);
		fflush(stdout);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		fail("memory");
}

int main(int argc, char **argv)
{
	struct packet udp;

	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	for (int i = 0; i < 2; i++) {
		walker[i] = floor__open_and_load();
		if (!walker[i]) {
			fprintf(stderr, "bench: can't load the programs: %s. Run as root.\n", strerror(errno));
			return 77;
		}
		for (uint32_t n = 0; n < PAIRS; n++) {
			uint64_t step = BENCH_STEP(n * 2654435761u % PAIRS, 0, 1);

			bpf_map_update_elem(bpf_map__fd(walker[i]->maps.order), &n, &step, BPF_ANY);
		}
		tcp_packet(&packet[i], 4, 0x10, 0);
	}
	memcpy(packet[1].bytes + 26, packet[0].bytes + 30, 4);
	memcpy(packet[1].bytes + 30, packet[0].bytes + 26, 4);
	put16(packet[1].bytes + 34, 443);
	put16(packet[1].bytes + 36, 50000);
	pin(0);
	bench_row("records through the ring without loss, a reader that counts", without_loss(false, false), "/s", NULL, 0);
	bench_row("records through the ring without loss, the whole of userspace", without_loss(false, true), "/s", NULL, 0);
	bench_row("new flows without loss, the whole of userspace", without_loss(true, true), "/s", NULL, 0);
	two_cpus();
	syn_flood();
	udp_packet(&udp, 4, 18);
	user_memory_apart("bare TCP", &packet[0], 65536);
	user_memory_apart("bare TCP", &packet[0], MAX_FLOWS);
	user_memory_apart("UDP with payload", &udp, 65536);
	user_memory_apart("UDP with payload", &udp, MAX_FLOWS);
	memory(65536);
	memory(MAX_FLOWS);
	return 0;
}
