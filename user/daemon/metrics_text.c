// SPDX-License-Identifier: GPL-2.0-or-later
/* The figures as text: Prometheus' exposition format 0.0.4, and OpenMetrics 1.0. */
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "metrics_own.h"

struct text {
	struct jbuf *b;
	enum metrics_form form;
	const char *name; /* of the family */
	bool counter;
};

static void put(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *format, ...)
{
	char line[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n > 0 && (size_t)n < sizeof(line))
		jb_raw(t->b, line, n);
}

/* name without _total, which OpenMetrics has on the samples alone. */
static void family(struct text *t, const char *name, const char *type, const char *help)
{
	const char *total;

	t->name = name;
	t->counter = !strcmp(type, "counter");
	total = t->counter && t->form == METRICS_TEXT ? "_total" : "";
	put(t, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, total, help, name, total, type);
}

#define LAST ((const char *)NULL)

/* Labels as NAME, VALUE pairs, LAST at the end; values are escaped. */
static void labels(struct text *t, const char *suffix, va_list args)
{
	const char *name, *open = "{";

	put(t, "%s%s%s", t->name, suffix, t->counter ? "_total" : "");
	while ((name = va_arg(args, const char *))) {
		const char *value = va_arg(args, const char *);

		put(t, "%s%s=\"", open, name);
		for (; *value; value++) {
			if (*value == '\\' || *value == '"')
				put(t, "\\%c", *value);
			else if ((unsigned char)*value >= ' ')
				put(t, "%c", *value);
		}
		put(t, "\"");
		open = ",";
	}
	put(t, *open == ',' ? "} " : " ");
}

static void whole(struct text *t, uint64_t v, ...)
{
	va_list args;

	va_start(args, v);
	labels(t, "", args);
	va_end(args);
	put(t, "%llu\n", (unsigned long long)v);
}

static void real(struct text *t, double v, ...)
{
	va_list args;

	va_start(args, v);
	labels(t, "", args);
	va_end(args);
	put(t, "%.10g\n", v);
}

static void part(struct text *t, const char *suffix, double v, ...)
{
	va_list args;

	va_start(args, v);
	labels(t, suffix, args);
	va_end(args);
	put(t, "%.15g\n", v);
}

static const char *way_name(unsigned way)
{
	return direction_name(way == TO_CLIENT ? DIRECTION_DOWN : DIRECTION_UP);
}

/* ---- by interface and type ---- */

#define EACH(mx, f, t)                                                                             \
	for (struct per_iface *f = (mx)->iface; f < (mx)->iface + (mx)->nifaces; f++)              \
		for (unsigned t = 0; t < (mx)->ntypes; t++)                                        \
			if (f->used[t])

static void both_ways(struct text *t, struct metrics *mx, size_t offset)
{
	EACH(mx, f, i)
		for (unsigned w = 0; w < 2; w++) {
			const uint64_t *v = (const uint64_t *)((const char *)&f->shown[i] + offset);

			whole(t, v[w], "interface", f->name, "direction", way_name(w), "type",
			      mx->type_name[i], LAST);
		}
}

static void by_stage(struct text *t, struct metrics *mx, size_t offset)
{
	EACH(mx, f, i)
		for (unsigned s = 0; s < STAGES; s++) {
			const uint64_t *v = (const uint64_t *)((const char *)&f->shown[i] + offset);

			if (v[s])
				whole(t, v[s], "interface", f->name, "type", mx->type_name[i], "stage",
				      stage_name(s), LAST);
		}
}

static void flows(struct text *t, struct metrics *mx)
{
	family(t, "weir_flows_active", "gauge", "Flows that go on.");
	EACH(mx, f, i)
		whole(t, f->shown[i].active, "interface", f->name, "type", mx->type_name[i], LAST);
	family(t, "weir_flows_started", "counter", "Flows that began.");
	EACH(mx, f, i) {
		uint64_t n = f->shown[i].active;

		for (unsigned e = 0; e < END_COUNT; e++)
			n += f->shown[i].ended[e];
		/* A flow that found its type has left the one before. */
		if (n > f->shown[i].started)
			f->shown[i].started = n;
		whole(t, f->shown[i].started, "interface", f->name, "type", mx->type_name[i], LAST);
	}
	family(t, "weir_flows_ended", "counter", "Flows that ended, by reason.");
	EACH(mx, f, i)
		for (unsigned e = 0; e < END_COUNT; e++)
			if (f->shown[i].ended[e])
				whole(t, f->shown[i].ended[e], "interface", f->name, "type",
				      mx->type_name[i], "reason", flow_end_name(e), LAST);
}

static void traffic(struct text *t, struct metrics *mx)
{
	family(t, "weir_packets", "counter", "Packets of flows, GSO and GRO undone.");
	both_ways(t, mx, offsetof(struct sums, packets));
	family(t, "weir_bytes", "counter", "IP bytes of flows.");
	both_ways(t, mx, offsetof(struct sums, bytes));
	flows(t, mx);
	family(t, "weir_tcp_retransmitted_packets", "counter", "TCP segments sent again.");
	both_ways(t, mx, offsetof(struct sums, retx));
	family(t, "weir_lost_packets", "counter", "TCP segments lost before or behind this host.");
	both_ways(t, mx, offsetof(struct sums, lost));
	family(t, "weir_tcp_resets", "counter", "Bursts of TCP resets, by how far the connection had come.");
	by_stage(t, mx, offsetof(struct sums, resets));
	family(t, "weir_tcp_resets_suspect", "counter", "Those that neither end seems to have sent.");
	by_stage(t, mx, offsetof(struct sums, suspect));
	family(t, "weir_handshake_failures", "counter",
	       "TCP connections that ended without a byte from the server, by how far they came.");
	by_stage(t, mx, offsetof(struct sums, failed));
}

static void rtt(struct text *t, struct metrics *mx)
{
	family(t, "weir_rtt_seconds", "histogram",
	       "Round trips of TCP: wan between this host and the server, lan between it and the client.");
	for (unsigned i = 0; i < mx->ntypes; i++)
		for (unsigned w = 0; w < 2; w++) {
			const struct rtt_sums *r = &mx->rtt[i][w];
			const char *side = w == TO_SERVER ? "wan" : "lan";
			uint64_t n = 0;

			for (unsigned b = 0; b <= RTT_BOUNDS; b++)
				n += r->n[b];
			if (!n)
				continue;
			n = 0;
			for (unsigned b = 0; b <= RTT_BOUNDS; b++) {
				char le[16] = "+Inf";

				n += r->n[b];
				if (b < RTT_BOUNDS)
					snprintf(le, sizeof(le), "%g", rtt_bounds_us[b] / 1e6);
				/* OpenMetrics writes every bound as a float. */
				if (b < RTT_BOUNDS && !strchr(le, '.'))
					strcat(le, ".0");
				part(t, "_bucket", n, "interface", mx->names, "type", mx->type_name[i],
				     "side", side, "le", le, LAST);
			}
			part(t, "_sum", r->sum_us / 1e6, "interface", mx->names, "type",
			     mx->type_name[i], "side", side, LAST);
			part(t, "_count", n, "interface", mx->names, "type", mx->type_name[i], "side",
			     side, LAST);
		}
	family(t, "weir_loss_ratio", "gauge",
	       "TCP segments lost as a share of those offered, of the last ten seconds or more.");
	for (unsigned i = 0; i < mx->ntypes; i++)
		for (unsigned w = 0; w < 2; w++)
			if (!isnan(mx->loss[i][w]))
				real(t, mx->loss[i][w], "interface", mx->names, "direction", way_name(w),
				     "type", mx->type_name[i], LAST);
}

/* ---- findings ---- */

static const char *type_label(const struct metrics *mx, unsigned type)
{
	return type < MAX_TYPES ? mx->type_name[type] : "";
}

static double estimate(const struct finding *f, const char *name)
{
	for (unsigned i = 0; i < f->estimate.n; i++)
		if (!strcmp(f->estimate.fact[i].name, name))
			return f->estimate.fact[i].value;
	return NAN;
}

/* The tightest of a type's limits in one direction: one sample for each set of labels. */
static void limits(struct text *t, struct metrics *mx, const char *fact, double scale)
{
	unsigned n = mx->findings ? findings_count(mx->findings) : 0;

	for (unsigned i = 0; i < n; i++) {
		const struct finding *f = findings_at(mx->findings, i);
		double v = estimate(f, fact), w;
		bool tightest = !f->closed && f->kind == KIND_RATE_LIMIT && isfinite(v);

		for (unsigned k = 0; k < n && tightest; k++) {
			const struct finding *o = findings_at(mx->findings, k);

			if (k == i || o->closed || o->kind != f->kind || o->type != f->type ||
			    o->direction != f->direction)
				continue;
			w = estimate(o, fact);
			tightest = !isfinite(w) || v < w || (v == w && i < k);
		}
		if (tightest)
			real(t, v * scale, "interface", mx->names, "direction",
			     direction_name(f->direction), "type",
			     f->type < 0 ? "" : model_type_name(mx->model, f->type), LAST);
	}
}

static void open_now(struct text *t, struct metrics *mx)
{
	unsigned n = mx->findings ? findings_count(mx->findings) : 0;

	/* Those that were ever opened: they fall to 0, they don't vanish. */
	for (unsigned i = 0; i < mx->nopened; i++) {
		const struct opened *o = &mx->opened[i];
		uint64_t open = 0;

		for (unsigned k = 0; k < n; k++) {
			const struct finding *f = findings_at(mx->findings, k);
			unsigned type = f->type < 0 ? MAX_TYPES : mx->type_of[f->type];

			open += !f->closed && f->kind == o->kind && f->level == o->level && type == o->type;
		}
		whole(t, open, "kind", kind_name(o->kind), "type", type_label(mx, o->type), "level",
		      level_name(o->level), LAST);
	}
}

static void findings(struct text *t, struct metrics *mx)
{
	family(t, "weir_rate_limit_bytes_per_second", "gauge", "The limit of a rate limit that is open.");
	limits(t, mx, "limit_bps", 1 / 8.0);
	family(t, "weir_rate_limit_burst_bytes", "gauge", "The burst that it lets through.");
	limits(t, mx, "burst_bytes", 1);
	family(t, "weir_findings_open", "gauge", "Findings that last.");
	open_now(t, mx);
	family(t, "weir_findings_opened", "counter", "Findings that reached a level.");
	for (unsigned i = 0; i < mx->nopened; i++)
		whole(t, mx->opened[i].n, "kind", kind_name(mx->opened[i].kind), "type",
		      type_label(mx, mx->opened[i].type), "level", level_name(mx->opened[i].level), LAST);
}

/* ---- the tool itself ---- */

static void losses(struct text *t, struct metrics *mx)
{
	family(t, "weir_events_lost", "counter", "What was not told, by reason; findings of that time are degraded.");
	for (unsigned i = 0; i < WEIR_UNSENT; i++)
		if (i != WEIR_RST_CAPPED)
			whole(t, mx->kernel_lost[i],
			      "reason", i == WEIR_RING_FULL ? "ringbuf_full" : unsent_name(i), LAST);
	whole(t, mx->full, "reason", "map_full", LAST);
	whole(t, mx->lost[METRICS_LOST_QUEUE], "reason", "queue_full", LAST);
	whole(t, mx->lost[METRICS_LOST_LOG], "reason", "log_full", LAST);
	whole(t, mx->lost[METRICS_LOST_HISTORY], "reason", "history_failed", LAST);
	whole(t, mx->findings ? findings_refused(mx->findings) : 0, "reason", "findings_full", LAST);
	whole(t, mx->model ? model_refused(mx->model) : 0, "reason", "flows_refused", LAST);
}

static void engine(struct text *t, struct metrics *mx)
{
	struct live_cost cost[8];
	unsigned n;

	losses(t, mx);
	if (!mx->live)
		return;
	family(t, "weir_map_entries", "gauge", "Entries in use.");
	whole(t, mx->totals.flows_active, "map", "flows", LAST);
	family(t, "weir_map_max_entries", "gauge", "Entries there is room for.");
	whole(t, live_max_flows(mx->live), "map", "flows", LAST);
	n = live_costs(mx->live, cost, 8);
	if (n) {
		family(t, "weir_bpf_run_seconds", "counter", "Time spent in a program.");
		for (unsigned i = 0; i < n; i++)
			real(t, cost[i].ns / 1e9, "program", cost[i].program, LAST);
		family(t, "weir_bpf_runs", "counter", "How often a program ran.");
		for (unsigned i = 0; i < n; i++)
			whole(t, cost[i].runs, "program", cost[i].program, LAST);
	}
	family(t, "weir_unseen_offload", "gauge", "1: connections go past this host's processors.");
	for (unsigned i = 0; i < mx->nifaces; i++)
		whole(t, !strncmp(mx->status.problem, "HW OFFLOAD", 10), "interface", mx->iface[i].name,
		      LAST);
}

static uint64_t directory_bytes(const char *path)
{
	DIR *d = path ? opendir(path) : NULL;
	struct dirent *e;
	uint64_t bytes = 0;
	struct stat st;

	while (d && (e = readdir(d)))
		if (!fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode))
			bytes += st.st_size;
	if (d)
		closedir(d);
	return bytes;
}

static void about(struct text *t, struct metrics *mx)
{
	char libbpf[16];

	snprintf(libbpf, sizeof(libbpf), "%u.%u", libbpf_major_version(), libbpf_minor_version());
	family(t, "weir_build_info", "gauge", "The program.");
	whole(t, 1, "version", WEIR_VERSION, "libbpf", libbpf, LAST);
	family(t, "weir_interface_info", "gauge", "1: watched, by that hook; 0: waited for.");
	for (unsigned i = 0; i < mx->nifaces; i++)
		whole(t, mx->iface[i].hook[0] != 0, "interface", mx->iface[i].name, "hook",
		      mx->iface[i].hook, LAST);
	family(t, "weir_evidence_bytes", "gauge", "Kept evidence.");
	whole(t, directory_bytes(mx->evidence_dir), LAST);
	family(t, "weir_config_last_reload_successful", "gauge", "1: the newest configuration is in force.");
	whole(t, mx->reload_ok, LAST);
	family(t, "weir_config_last_reload_success_timestamp_seconds", "gauge", "When it was read.");
	whole(t, mx->reloaded_s, LAST);
}

/* Field n of /proc/self/stat, from 1, behind the name, which may hold anything. */
static unsigned long long stat_field(const char *stat, unsigned n)
{
	const char *p = strrchr(stat, ')');
	unsigned long long v = 0;

	for (unsigned i = 2; p && i < n; i++)
		p = strchr(p + 1, ' ');
	if (p)
		sscanf(p, " %llu", &v);
	return v;
}

static bool read_proc(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, size - 1, f) : 0;

	text[n] = 0;
	if (f)
		fclose(f);
	return n;
}

static void process(struct text *t)
{
	char self[1024], stat[4096] = "";
	unsigned long hz = sysconf(_SC_CLK_TCK), fds = 0;
	struct rlimit limit = { 0 };
	struct rusage use = { 0 };
	const char *btime = NULL;
	unsigned long long boot = 0;
	DIR *d;

	if (!read_proc("/proc/self/stat", self, sizeof(self)))
		return;
	getrusage(RUSAGE_SELF, &use);
	family(t, "process_cpu_seconds", "counter", "Processor time used.");
	real(t, use.ru_utime.tv_sec + use.ru_stime.tv_sec + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6,
	     LAST);
	family(t, "process_resident_memory_bytes", "gauge", "Resident memory.");
	whole(t, stat_field(self, 24) * sysconf(_SC_PAGESIZE), LAST);
	family(t, "process_virtual_memory_bytes", "gauge", "Virtual memory.");
	whole(t, stat_field(self, 23), LAST);
	d = opendir("/proc/self/fd");
	while (d && readdir(d))
		fds++;
	if (d)
		closedir(d);
	family(t, "process_open_fds", "gauge", "Open descriptors.");
	whole(t, fds > 3 ? fds - 3 : 0, LAST); /* . and .. and its own */
	getrlimit(RLIMIT_NOFILE, &limit);
	family(t, "process_max_fds", "gauge", "Descriptors it may open.");
	whole(t, limit.rlim_cur, LAST);
	if (read_proc("/proc/uptime", stat, sizeof(stat))) {
		double up = 0;
		struct timespec now;

		sscanf(stat, "%lf", &up);
		clock_gettime(CLOCK_REALTIME, &now);
		boot = now.tv_sec - (unsigned long long)up;
		btime = stat;
	}
	if (!btime)
		return;
	family(t, "process_start_time_seconds", "gauge", "When it began.");
	whole(t, boot + stat_field(self, 22) / (hz ? hz : 100), LAST);
}

void metrics_render(struct metrics *mx, enum metrics_form form, struct jbuf *b)
{
	struct text t = { b, form, "", false };

	b->len = 0;
	b->failed = false;
	metrics_look(mx);
	about(&t, mx);
	traffic(&t, mx);
	rtt(&t, mx);
	findings(&t, mx);
	engine(&t, mx);
	process(&t);
	if (form == METRICS_OPENMETRICS)
		put(&t, "# EOF\n");
}
