/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scen_run.h"

void path_of(const struct run *r, char *out, size_t room, const char *file)
{
	snprintf(out, room, "%s/%s", r->dir, file);
}

void sleep_until(double t)
{
	while (now_s() < t) {
		double left = t - now_s();
		struct timespec ts = { (time_t)left, (long)((left - (time_t)left) * 1e9) };

		if (left > 0)
			nanosleep(&ts, NULL);
	}
}

/* Starts a program in a namespace and a process group of its own. */
pid_t start(struct run *r, enum ns ns, char *const argv[], const char *out, const char *err)
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
bool wait_for(const struct run *r, const char *file, const char *text, double seconds, pid_t pid)
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
void quote(const struct run *r, const char *file, char *out, size_t room)
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
int stop(pid_t pid, double seconds)
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
	const char *server_opts = value_of(st, "server"), *ip = value_of(st, "ip");
	bool v6 = ip ? !strcmp(ip, "6") : r->s->ipv6;
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
	snprintf(addr, sizeof(addr), v6 ? "fd30::%d" : "10.30.0.%d", to);
	snprintf(src, sizeof(src), v6 ? "src=fd10::%d" : "src=10.10.0.%d", from);
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
		if (strncmp(st->word[i], "server=", 7) && strncmp(st->word[i], "noserver", 8) &&
		    strncmp(st->word[i], "ip=", 3))
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

	const char *at = value_of(st, "at");
	bool lan = at && !strcmp(at, "lan"); /* on the client's side of the gateway */

	argv[n++] = "inject";
	argv[n++] = lan ? "eth0" : at ? (char *)at : "cust";
	for (int i = 0; i < st->words; i++)
		if (strncmp(st->word[i], "at=", 3))
			argv[n++] = st->word[i];
	argv[n++] = "downmac=02:00:00:00:02:01";
	argv[n++] = lan ? "upmac=02:00:00:00:01:01" : "upmac=02:00:00:00:03:02";
	argv[n++] = lan ? "upif=eth0" : "upif=core";
	argv[n++] = lan ? "downif=eth0" : "downif=cust";
	argv[n] = NULL;
	pid = start(r, lan ? NS_CLI : NS_ISP, argv, "forged.log", "inject.log");
	keep(r, pid, true);
	r->forged = true;
	return 0;
}

/* "sysctl NAME=VALUE", NAME below /proc/sys/net, or "write PATH=VALUE", in the step's namespace. */
static int set_one(struct run *r, const struct step *st)
{
	char path[200];
	const char *eq = strchr(st->word[1], '=');
	int rc = -1, wst;
	pid_t pid = fork();

	if (!pid) {
		int fd;

		snprintf(path, sizeof(path), "%s%.*s",
			 strcmp(st->word[0], "write") ? "/proc/sys/net/" : "",
			 eq ? (int)(eq - st->word[1]) : 0, st->word[1]);
		fd = net_enter(&r->net, st->ns) ? -1 : open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
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
	case STEP_WEIR:
		return r->o->live ? disturb(r, st->word[0]) : 0;
	default:
		path_of(r, log, sizeof(log), "steps.log");
		if (st->words == 2 &&
		    (!strcmp(st->word[0], "sysctl") || !strcmp(st->word[0], "write")))
			rc = set_one(r, st);
		else if ((rc = wire_step(r, st)) < 0)
			return -1;
		else if (rc)
			rc = run_wait(&r->net, st->ns, st->word, NULL, log);
		/* Built in, or not there: what needs it will tell. */
		if (rc && strcmp(st->word[0], "modprobe")) {
			size_t at =
				snprintf(r->why, sizeof(r->why), "%s %s exits %d: ", st->word[0],
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

static pid_t start_tcpdump(struct run *r)
{
	char pcap[400], snap[16];
	char *argv[] = { "tcpdump", "-Z", "root",  "-i", "wan", "-U", "-s",
			 snap,	    "-B", "16384", "-w", pcap,	NULL };

	snprintf(snap, sizeof(snap), "%.0f", r->s->snap);
	path_of(r, pcap, sizeof(pcap), "wan.pcap");
	return start(r, NS_GW, argv, "tcpdump.err", "tcpdump.err");
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

/* One at a time builds, analyses and clears: that is work, the rest is mostly waiting. */
static void hold(struct run *r)
{
	char path[300];

	if (r->lock > 0)
		return;
	snprintf(path, sizeof(path), "%.280s/.work", r->o->out);
	r->lock = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (r->lock > 0)
		flock(r->lock, LOCK_EX);
}

static void release(struct run *r)
{
	if (r->lock > 0) {
		flock(r->lock, LOCK_UN); /* a child may have the file too */
		close(r->lock);
	}
	r->lock = 0;
}

/* How late a sleeper wakes tells whether the machine could keep the scenario's times. */
static void watch_lag(struct run *r)
{
	r->lag = mmap(NULL, sizeof(*r->lag), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (r->lag == MAP_FAILED)
		r->lag = NULL;
	r->lag_pid = r->lag ? fork() : -1;
	while (!r->lag_pid) {
		double due = now_s() + 0.02, late;

		sleep_until(due);
		late = now_s() - due;
		if (late > r->lag->most)
			r->lag->most = late;
		if (late > 0.01)
			r->lag->sum += late;
	}
}

static void end_lag(struct run *r, struct outcome *out)
{
	int st;

	if (r->lag_pid <= 0)
		return;
	kill(r->lag_pid, SIGKILL);
	waitpid(r->lag_pid, &st, 0);
	r->lag_pid = 0;
	out->lag_most = r->lag->most;
	out->lag_share = r->lag->sum / r->s->end;
	munmap(r->lag, sizeof(*r->lag));
}

static void refuse(struct outcome *out, enum verdict v, const char *why)
{
	out->live = out->offline = v;
	snprintf(out->live_why, sizeof(out->live_why), "%s", why);
	snprintf(out->offline_why, sizeof(out->offline_why), "%s", why);
}

/* A run that is repeated starts anew: logs of the first try would be taken for its own. */
static void empty(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (*e->d_name != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

void scen_judge_again(const struct scenario *s, const struct run_opts *o, struct outcome *out)
{
	struct run r = { .s = s, .o = o, .on = true, .truth = { .on = true } };
	char pcap[400];

	*out = (struct outcome){ .has_offline = true };
	snprintf(r.dir, sizeof(r.dir), "%s/%s.on", o->out, s->name);
	path_of(&r, pcap, sizeof(pcap), "wan.pcap");
	if (access(pcap, R_OK))
		refuse(out, SKIP, "no capture was kept");
	else
		judge_offline(&r, out);
}

void scen_run(const struct scenario *s, bool on, const struct run_opts *o, struct outcome *out)
{
	struct run *r = calloc(1, sizeof(*r));
	char forged[400], need[160], ring[16];
	pid_t dump = -1;
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
	empty(r->dir);
	snprintf(need, sizeof(need), "%.*s", (int)strcspn(s->need, " "), s->need);
	if (*need && access(need, F_OK)) {
		refuse(out, SKIP, s->need + strcspn(s->need, " "));
		goto end;
	}
	setenv("TRAFFIC_CCA", o->cca ? o->cca : s->cca, 1);
	snprintf(ring, sizeof(ring), "%.0f", s->ring_bytes);
	setenv("WEIR_RING_BYTES", s->ring_bytes > 0 ? ring : "", 1);
	link_reserve(&r->net, s->link);
	hold(r);
	if (net_up(&r->net, s, o->tag, r->why, sizeof(r->why))) {
		refuse(out, o->lenient ? SKIP : FAIL, r->why);
		goto end;
	}
	if (r->net.wired && wire_up(r)) {
		refuse(out, FAIL, r->why);
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
	for (int i = 0; i < s->steps && s->step[s->order[i]].at < 0; i++)
		if (do_step(r, &s->step[s->order[i]])) {
			refuse(out, o->lenient ? SKIP : FAIL, r->why);
			goto end;
		}
	if (out->has_live && attach_weir(r)) {
		out->live = FAIL;
		snprintf(out->live_why, sizeof(out->live_why), "weir watch did not attach: %s",
			 r->why);
	}
	release(r);
	watch_lag(r);
	r->start = now_s();
	for (int i = 0; i < s->steps; i++) {
		const struct step *st = &s->step[s->order[i]];

		if (st->at < 0)
			continue;
		rest_until(r, r->start + st->at);
		if (do_step(r, st)) {
			refuse(out, o->lenient ? SKIP : FAIL, r->why);
			goto end;
		}
	}
	rest_until(r, r->start + s->end);
	end_lag(r, out);
	path_of(r, forged, sizeof(forged), "forged.log");
	r->truth.forged_log = r->forged ? forged : NULL;
	if (r->weir > 0) {
		judge_live(r, out);
		r->weir = 0;
	}
	if (dump > 0) {
		stop(dump, 5);
		dump = -1;
		kill_all(r);
		hold(r);
		judge_offline(r, out);
	}
end:
	end_lag(r, out);
	if (r->weir > 0)
		stop(r->weir, 1);
	if (dump > 0)
		stop(dump, 1);
	kill_all(r);
	wire_down(r);
	hold(r);
	net_down(&r->net);
	release(r);
	if (!o->keep && (!out->has_live || out->live != FAIL) &&
	    (!out->has_offline || out->offline != FAIL)) {
		char *argv[] = { "rm", "-rf", r->dir, NULL };

		run_wait(&r->net, -1, argv, NULL, NULL);
	}
	free(r);
}
