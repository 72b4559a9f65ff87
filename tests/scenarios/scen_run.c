/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scen.h"

struct proc {
	pid_t pid;
	bool server;
};

struct run {
	const struct scenario *s;
	const struct run_opts *o;
	struct net net;
	struct proc proc[SCEN_PROCS];
	int procs;
	char served[64][64]; /* "PROTO SERVER PORT" that have a server already */
	int servers;
	double start;
	struct truth truth;
	char dir[300], why[1000];
	bool on, forged;
};

static void path_of(const struct run *r, char *out, size_t room, const char *file)
{
	snprintf(out, room, "%s/%s", r->dir, file);
}

static void sleep_until(double t)
{
	while (now_s() < t) {
		double left = t - now_s();
		struct timespec ts = { (time_t)left, (long)((left - (time_t)left) * 1e9) };

		if (left > 0)
			nanosleep(&ts, NULL);
	}
}

/* Starts a program in a namespace and a process group of its own. */
static pid_t start(struct run *r, enum ns ns, char *const argv[], const char *out, const char *err)
{
	pid_t pid = fork();

	if (!pid) {
		char path[400];
		int fd = open("/dev/null", O_RDONLY);

		setpgid(0, 0);
		dup2(fd, 0);
		path_of(r, path, sizeof(path), out);
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
		dup2(fd, 1);
		path_of(r, path, sizeof(path), err);
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
		dup2(fd, 2);
		if (net_enter(&r->net, ns))
			_exit(126);
		execvp(argv[0], argv);
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	if (pid > 0)
		setpgid(pid, pid);
	return pid;
}

static void keep(struct run *r, pid_t pid, bool server)
{
	if (pid > 0 && r->procs < SCEN_PROCS) {
		r->proc[r->procs].server = server;
		r->proc[r->procs++].pid = pid;
	}
}

/* Waits until the file holds the text; false after the time. */
static bool wait_for(const struct run *r, const char *file, const char *text, double seconds, pid_t pid)
{
	double end = now_s() + seconds;
	char path[400], buf[65536];

	path_of(r, path, sizeof(path), file);
	for (;;) {
		FILE *f = fopen(path, "r");
		size_t n = f ? fread(buf, 1, sizeof(buf) - 1, f) : 0;
		int st;

		if (f)
			fclose(f);
		buf[n] = 0;
		if (strstr(buf, text))
			return true;
		if (now_s() > end || waitpid(pid, &st, WNOHANG) == pid)
			return false;
		sleep_until(now_s() + 0.02);
	}
}

/* The first words of a file, on one line. */
static void quote(const struct run *r, const char *file, char *out, size_t room)
{
	char path[400];
	FILE *f;
	size_t n;

	path_of(r, path, sizeof(path), file);
	f = fopen(path, "r");
	n = f ? fread(out, 1, room - 1, f) : 0;
	if (f)
		fclose(f);
	out[n] = 0;
	for (char *p = out; *p; p++)
		if ((unsigned char)*p < 32)
			*p = ' ';
}

/* SIGINT first; what does not go in time is killed. Returns the exit status, -1 when killed. */
static int stop(pid_t pid, double seconds)
{
	double end = now_s() + seconds;
	int st;

	kill(pid, SIGINT);
	while (now_s() < end) {
		if (waitpid(pid, &st, WNOHANG) == pid)
			return WIFEXITED(st) ? WEXITSTATUS(st) : -1;
		sleep_until(now_s() + 0.02);
	}
	kill(-pid, SIGKILL);
	waitpid(pid, &st, 0);
	return -1;
}

static const char *value_of(const struct step *st, const char *key)
{
	size_t n = strlen(key);

	for (int i = 0; i < st->words; i++)
		if (!strncmp(st->word[i], key, n) && st->word[i][n] == '=')
			return st->word[i] + n + 1;
	return NULL;
}

/* traffic PROTO [cliN] srvM[:PORT] [KEY=VALUE...]; server=KEY:VALUE,... goes to the server. */
static int traffic(struct run *r, const struct step *st, bool only_server)
{
	char addr[32], src[32], port[8] = "0", served[64], extra[4][96];
	char *argv[SCEN_WORDS + 8];
	const char *server_opts = value_of(st, "server");
	int n = 0, from = 2, to = 2, i = 1, extras = 0;
	char *colon;

	if (i < st->words && !strncmp(st->word[i], "cli", 3))
		from = atoi(st->word[i++] + 3) + 1;
	if (i >= st->words || strncmp(st->word[i], "srv", 3)) {
		snprintf(r->why, sizeof(r->why), "traffic %s: to which server?", st->word[0]);
		return -1;
	}
	to = atoi(st->word[i] + 3) + 1;
	colon = strchr(st->word[i], ':');
	if (colon)
		snprintf(port, sizeof(port), "%s", colon + 1);
	i++;
	snprintf(addr, sizeof(addr), r->s->ipv6 ? "fd30::%d" : "10.30.0.%d", to);
	snprintf(src, sizeof(src), r->s->ipv6 ? "src=fd10::%d" : "src=10.10.0.%d", from);
	snprintf(served, sizeof(served), "%.20s %s %s", st->word[0], addr, port);
	if (only_server) {
		for (int k = 0; k < r->servers; k++)
			if (!strcmp(r->served[k], served))
				return 0;
		if (value_of(st, "noserver") || !strcmp(st->word[0], "dns") || r->servers == 64)
			return 0;
		strcpy(r->served[r->servers++], served);
		argv[n++] = "traffic";
		argv[n++] = "server";
		argv[n++] = st->word[0];
		argv[n++] = addr;
		argv[n++] = port;
		while (server_opts && *server_opts && extras < 4) {
			size_t len = strcspn(server_opts, ",");
			char *eq;

			snprintf(extra[extras], sizeof(extra[0]), "%.*s", (int)len, server_opts);
			eq = strchr(extra[extras], ':');
			if (eq)
				*eq = '=';
			argv[n++] = extra[extras++];
			server_opts += len + (server_opts[len] == ',');
		}
		argv[n] = NULL;
		keep(r, start(r, NS_SRV, argv, "servers.log", "servers.log"), true);
		return 0;
	}
	argv[n++] = "traffic";
	argv[n++] = "client";
	argv[n++] = st->word[0];
	argv[n++] = addr;
	argv[n++] = port;
	argv[n++] = src;
	for (; i < st->words; i++)
		if (strncmp(st->word[i], "server=", 7) && strncmp(st->word[i], "noserver", 8))
			argv[n++] = st->word[i];
	argv[n] = NULL;
	keep(r, start(r, NS_CLI, argv, "traffic.log", "traffic.log"), false);
	return 0;
}

static int inject(struct run *r, const struct step *st)
{
	char *argv[SCEN_WORDS + 8];
	int n = 0;
	pid_t pid;

	argv[n++] = "inject";
	argv[n++] = "cust";
	for (int i = 0; i < st->words; i++)
		argv[n++] = st->word[i];
	argv[n++] = "downmac=02:00:00:00:02:01";
	argv[n++] = "upmac=02:00:00:00:03:02";
	argv[n++] = "upif=core";
	argv[n] = NULL;
	pid = start(r, NS_ISP, argv, "forged.log", "inject.log");
	keep(r, pid, true);
	r->forged = true;
	return 0;
}

/* "sysctl NAME=VALUE", NAME below /proc/sys/net, in the step's namespace. */
static int set_one(struct run *r, const struct step *st)
{
	char path[200];
	const char *eq = strchr(st->word[1], '=');
	int rc = -1, wst;
	pid_t pid = fork();

	if (!pid) {
		int fd;

		snprintf(path, sizeof(path), "/proc/sys/net/%.*s", eq ? (int)(eq - st->word[1]) : 0, st->word[1]);
		fd = net_enter(&r->net, st->ns) ? -1 : open(path, O_WRONLY);
		_exit(fd < 0 || !eq || write(fd, eq + 1, strlen(eq + 1)) < 0);
	}
	if (waitpid(pid, &wst, 0) == pid)
		rc = WIFEXITED(wst) ? WEXITSTATUS(wst) : -1;
	return rc;
}

static int do_step(struct run *r, const struct step *st)
{
	char log[400];
	int rc;

	if (!r->on && (st->kind == STEP_ON || st->kind == STEP_OFF || st->kind == STEP_INJECT))
		return 0;
	switch (st->kind) {
	case STEP_TRAFFIC:
		return traffic(r, st, false);
	case STEP_RUN:
		keep(r, start(r, st->ns, st->word, "run.log", "run.log"), false);
		return 0;
	case STEP_INJECT:
		if (!r->truth.on_at)
			r->truth.on_at = unix_s();
		return inject(r, st);
	default:
		path_of(r, log, sizeof(log), "steps.log");
		rc = strcmp(st->word[0], "sysctl") || st->words < 2 ? run_wait(&r->net, st->ns, st->word, NULL, log) :
								      set_one(r, st);
		if (rc) {
			size_t at = snprintf(r->why, sizeof(r->why), "%s %s exits %d: ", st->word[0],
					     st->words > 1 ? st->word[1] : "", rc);
			quote(r, "steps.log", r->why + at, sizeof(r->why) - at);
			return -1;
		}
		if (st->kind == STEP_ON && !r->truth.on_at)
			r->truth.on_at = unix_s();
		if (st->kind == STEP_OFF)
			r->truth.off_at = unix_s();
	}
	return 0;
}

static uint64_t iface_packets(struct run *r)
{
	/* In the namespace, because sysfs shows that of its mounter: /proc/net/dev instead. */
	int p[2], st;
	uint64_t v = 0;
	pid_t pid;

	if (pipe(p))
		return 0;
	pid = fork();
	if (!pid) {
		char line[512];
		FILE *f;

		if (net_enter(&r->net, NS_GW))
			_exit(1);
		f = fopen("/proc/thread-self/net/dev", "r");
		while (f && fgets(line, sizeof(line), f)) {
			unsigned long rx, tx;
			char name[32];

			if (sscanf(line, " %31[^:]: %*u %lu %*u %*u %*u %*u %*u %*u %*u %lu", name, &rx, &tx) == 3 &&
			    !strcmp(name, "wan"))
				v = rx + tx;
		}
		if (write(p[1], &v, sizeof(v)) < 0)
			_exit(1);
		_exit(0);
	}
	close(p[1]);
	if (read(p[0], &v, sizeof(v)) != sizeof(v))
		v = 0;
	close(p[0]);
	waitpid(pid, &st, 0);
	return v;
}

static pid_t start_weir(struct run *r, const char *weir)
{
	static char args[256], local[] = "10.10.0.0/24,fd10::/64";
	char *argv[32] = { (char *)weir, "watch", "wan", "--json", "--local-net", local };
	int n = 6;

	snprintf(args, sizeof(args), "%s", r->s->weir_args);
	for (char *p = strtok(args, " "); p && n < 31; p = strtok(NULL, " "))
		argv[n++] = p;
	argv[n] = NULL;
	return start(r, NS_GW, argv, "live.json", "live.err");
}

static pid_t start_tcpdump(struct run *r)
{
	char pcap[400];
	char *argv[] = { "tcpdump", "-Z", "root", "-i", "wan", "-U", "-s", "0", "-B", "16384", "-w", pcap, NULL };

	path_of(r, pcap, sizeof(pcap), "wan.pcap");
	return start(r, NS_GW, argv, "tcpdump.err", "tcpdump.err");
}

static void judge_live(struct run *r, pid_t weir, uint64_t before, struct outcome *out)
{
	char path[400];
	uint64_t after = iface_packets(r);
	int rc = stop(weir, 20);

	path_of(r, path, sizeof(path), "live.json");
	if (rc) {
		size_t at = snprintf(out->live_why, sizeof(out->live_why),
				     rc < 0 ? "weir watch did not end on SIGINT, or crashed: " :
					      "weir watch exits %d: ", rc);
		quote(r, "live.err", out->live_why + at, sizeof(out->live_why) - at);
		out->live = FAIL;
		return;
	}
	r->truth.iface_packets = after > before ? after - before : 0;
	out->live = scen_judge(r->s, &r->truth, path, out->live_why, sizeof(out->live_why));
	r->truth.iface_packets = 0;
}

static void judge_offline(struct run *r, struct outcome *out)
{
	char pcap[400], json[400], err[400], args[256];
	char *argv[32] = { (char *)r->o->weir, "analyze", pcap, "--json", "--local-net",
			   "10.10.0.0/24,fd10::/64" };
	int rc, n = 6, fd, st;
	pid_t pid;

	path_of(r, pcap, sizeof(pcap), "wan.pcap");
	path_of(r, json, sizeof(json), "offline.json");
	path_of(r, err, sizeof(err), "offline.err");
	snprintf(args, sizeof(args), "%s", r->s->weir_args);
	for (char *p = strtok(args, " "); p && n < 31; p = strtok(NULL, " "))
		argv[n++] = p;
	pid = fork();
	if (!pid) {
		fd = open(json, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		dup2(fd, 1);
		fd = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		dup2(fd, 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	waitpid(pid, &st, 0);
	rc = WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
	if (rc) {
		size_t at = snprintf(out->offline_why, sizeof(out->offline_why), "weir analyze exits %d: ", rc);
		quote(r, "offline.err", out->offline_why + at, sizeof(out->offline_why) - at);
		out->offline = FAIL;
		return;
	}
	out->offline = scen_judge(r->s, &r->truth, json, out->offline_why, sizeof(out->offline_why));
}

static void kill_all(struct run *r)
{
	int st;

	for (int i = r->procs - 1; i >= 0; i--)
		kill(-r->proc[i].pid, SIGKILL);
	for (int i = 0; i < r->procs; i++)
		waitpid(r->proc[i].pid, &st, 0);
	r->procs = 0;
}

static void refuse(struct outcome *out, enum verdict v, const char *why)
{
	out->live = out->offline = v;
	snprintf(out->live_why, sizeof(out->live_why), "%s", why);
	snprintf(out->offline_why, sizeof(out->offline_why), "%s", why);
}

void scen_run(const struct scenario *s, bool on, const struct run_opts *o, struct outcome *out)
{
	struct run *r = calloc(1, sizeof(*r));
	char forged[400];
	uint64_t before = 0;
	pid_t weir = -1, dump = -1;
	struct outcome none = { 0 };

	*out = none;
	if (!r)
		return;
	r->s = s;
	r->o = o;
	r->on = on;
	r->truth.on = on;
	out->has_live = o->live && !s->no_live;
	out->has_offline = o->offline && !s->no_offline;
	snprintf(r->dir, sizeof(r->dir), "%s/%s.%s", o->out, s->name, on ? "on" : "off");
	mkdir(o->out, 0755);
	mkdir(r->dir, 0755);
	if (net_up(&r->net, s, o->tag, o->cca ? o->cca : s->cca, r->why, sizeof(r->why))) {
		refuse(out, o->lenient ? SKIP : FAIL, r->why);
		goto end;
	}
	for (int i = 0; i < s->steps; i++)
		if (s->step[i].kind == STEP_TRAFFIC && traffic(r, &s->step[i], true)) {
			refuse(out, FAIL, r->why);
			goto end;
		}
	if (out->has_offline) {
		dump = start_tcpdump(r);
		if (!wait_for(r, "tcpdump.err", "listening on", 20, dump)) {
			quote(r, "tcpdump.err", r->why, sizeof(r->why));
			refuse(out, FAIL, r->why);
			goto end;
		}
	}
	if (out->has_live) {
		weir = start_weir(r, o->weir);
		if (!wait_for(r, "live.json", "\"attach\"", 30, weir)) {
			quote(r, "live.err", r->why, sizeof(r->why));
			out->live = FAIL;
			snprintf(out->live_why, sizeof(out->live_why), "weir watch did not attach: %s", r->why);
			stop(weir, 1);
			weir = -1;
		}
		before = iface_packets(r);
	}
	r->start = now_s();
	for (int i = 0; i < s->steps; i++) {
		const struct step *st = &s->step[s->order[i]];

		sleep_until(r->start + st->at);
		if (do_step(r, st)) {
			refuse(out, o->lenient ? SKIP : FAIL, r->why);
			goto end;
		}
	}
	sleep_until(r->start + s->end);
	path_of(r, forged, sizeof(forged), "forged.log");
	r->truth.forged_log = r->forged ? forged : NULL;
	if (weir > 0) {
		judge_live(r, weir, before, out);
		weir = -1;
	}
	if (dump > 0) {
		stop(dump, 5);
		dump = -1;
		kill_all(r);
		judge_offline(r, out);
	}
end:
	if (weir > 0)
		stop(weir, 1);
	if (dump > 0)
		stop(dump, 1);
	kill_all(r);
	net_down(&r->net);
	if (!o->keep && (!out->has_live || out->live != FAIL) && (!out->has_offline || out->offline != FAIL)) {
		char *argv[] = { "rm", "-rf", r->dir, NULL };

		run_wait(&r->net, -1, argv, NULL, NULL);
	}
	free(r);
}
