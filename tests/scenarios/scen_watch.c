/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Minds weir during a run: starts it, disturbs it, looks what it holds and what it leaves behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scen_run.h"

static bool watched(const struct scenario *s, const char *iface)
{
	char list[sizeof(s->watch)], *save;

	memcpy(list, s->watch, sizeof(list));
	for (char *w = strtok_r(list, " ", &save); w; w = strtok_r(NULL, " ", &save))
		if (!strcmp(w, iface))
			return true;
	return false;
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

			if (sscanf(line, " %31[^:]: %*u %lu %*u %*u %*u %*u %*u %*u %*u %lu", name,
				   &rx, &tx) == 3 &&
			    watched(r->s, name))
				v += rx + tx;
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
	static char args[400], local[] = "10.10.0.0/24,fd10::/64";
	char *argv[32] = { (char *)weir, "watch", "--json", "--local-net", local };
	int n = 5;

	snprintf(args, sizeof(args), "%s %s", r->s->watch, r->s->weir_args);
	n += scen_split(args, argv + n, 31 - n);
	argv[n] = NULL;
	return start(r, NS_GW, argv, "live.json", "live.err");
}

/* Starts weir and waits until it is attached. 0, or -1 with the reason in why. */
int attach_weir(struct run *r)
{
	char path[400];

	path_of(r, path, sizeof(path), "live.json");
	unlink(path);
	r->told_at = 0;
	r->before = iface_packets(r);
	r->weir = start_weir(r, r->o->weir);
	if (!wait_for(r, "live.json", "\"attach\"", 150, r->weir)) {
		quote(r, "live.err", r->why, sizeof(r->why));
		stop(r->weir, 1);
		r->weir = 0;
		return -1;
	}
	r->attached = iface_packets(r);
	return 0;
}

int disturb(struct run *r, const char *what)
{
	int st;

	if (!strcmp(what, "START"))
		return attach_weir(r);
	if (r->weir <= 0)
		return 0;
	if (!strcmp(what, "KILL")) {
		kill(r->weir, SIGKILL);
		waitpid(r->weir, &st, 0);
		r->weir = 0;
		return 0;
	}
	return kill(r->weir, !strcmp(what, "STOP") ? SIGSTOP : SIGCONT);
}

static void read_usage(pid_t pid, struct usage *u)
{
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "VmRSS: %lu", &u->rss_kb);
		sscanf(line, "Threads: %lu", &u->threads);
	}
	if (f)
		fclose(f);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	u->fds = 0;
	for (int i = 0; i < 512; i++) {
		char fd[96];

		snprintf(fd, sizeof(fd), "%s/%d", path, i);
		u->fds += !access(fd, F_OK) || errno == EACCES;
	}
	u->at = now_s();
}

/* When the first finding of each kind came out of weir, against the packet that it begins with. */
static void watch_findings(struct run *r)
{
	char path[400], *line = NULL;
	size_t room = 0;
	ssize_t n;
	FILE *f;

	path_of(r, path, sizeof(path), "live.json");
	f = fopen(path, "r");
	if (f && !fseek(f, r->told_at, SEEK_SET))
		while ((n = getline(&line, &room, f)) > 0 && line[n - 1] == '\n') {
			r->told_at += n;
			scen_arrived(r->s, line, unix_s(), &r->truth);
		}
	free(line);
	if (f)
		fclose(f);
}

/* Sleeps, and looks after weir's usage meanwhile: the first after a third, so that caches are
 * filled. */
void rest_until(struct run *r, double t)
{
	while (r->on && r->weir > 0 && scen_injects(r->s) && now_s() < t) {
		watch_findings(r);
		sleep_until(now_s() + SCEN_LOOK_S < t ? now_s() + SCEN_LOOK_S : t);
	}
	if (!r->s->watch_memory || r->weir <= 0) {
		sleep_until(t);
		return;
	}
	while (now_s() < t) {
		sleep_until(now_s() + 5 < t ? now_s() + 5 : t);
		if (now_s() - r->start < r->s->end / 3)
			continue;
		read_usage(r->weir, &r->last);
		if (!r->first.at)
			r->first = r->last;
	}
}

static void judge_usage(const struct run *r, struct outcome *out)
{
	size_t at = strlen(out->live_why);

	if (!r->s->watch_memory || !r->first.at)
		return;
	snprintf(out->live_why + at, sizeof(out->live_why) - at,
		 "; memory %lu -> %lu kB, files %lu -> %lu", r->first.rss_kb, r->last.rss_kb,
		 r->first.fds, r->last.fds);
	if (r->last.rss_kb > r->first.rss_kb * 1.1 + 2048 || r->last.fds > r->first.fds ||
	    r->last.threads > r->first.threads) {
		out->live = FAIL;
		at = strlen(out->live_why);
		snprintf(out->live_why + at, sizeof(out->live_why) - at, ": WRONG: it grows");
	}
}

/* Sessions of the traffic that came out well. */
static void judge_sessions(const struct run *r, struct outcome *out)
{
	unsigned ok = 0, failed = 0;
	char path[400], line[256];
	FILE *f;
	size_t at = strlen(out->live_why);

	if (r->s->sessions < 0)
		return;
	path_of(r, path, sizeof(path), "traffic.log");
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		ok += !strncmp(line, "ok ", 3);
		failed += !strncmp(line, "failed", 6);
	}
	if (f)
		fclose(f);
	if (!ok || ok < r->s->sessions * (ok + failed)) {
		out->live = FAIL;
		snprintf(out->live_why + at, sizeof(out->live_why) - at,
			 "; WRONG: %u of %u sessions suffered", failed, ok + failed);
	}
}

/* After weir's end nothing of it may be left on the interface: no program of XDP or TC. */
static void judge_residue(const struct run *r, struct outcome *out)
{
	static const char *const look[][8] = {
		{ "tc", "filter", "show", "dev", "wan", "ingress" },
		{ "tc", "filter", "show", "dev", "wan", "egress" },
		{ "ip", "-details", "link", "show", "dev", "wan" },
	};
	char path[400], line[512];
	size_t at = strlen(out->live_why);
	FILE *f;

	path_of(r, path, sizeof(path), "residue.txt");
	for (int i = 0; i < 3; i++) {
		char *argv[8];

		memcpy(argv, look[i], sizeof(argv));
		run_wait(&r->net, NS_GW, argv, NULL, path);
	}
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "weir_")) {
			out->live = FAIL;
			snprintf(out->live_why + at, sizeof(out->live_why) - at,
				 "; WRONG: left behind: %.200s", line);
			at = strlen(out->live_why);
		}
	if (f)
		fclose(f);
}

/* Does a file of this run hold the text? */
static bool holds(const struct run *r, const char *file, const char *text)
{
	char path[400], *line = NULL;
	size_t room = 0;
	bool found = false;
	FILE *f;

	path_of(r, path, sizeof(path), file);
	f = fopen(path, "r");
	while (f && !found && getline(&line, &room, f) > 0)
		found = strstr(line, text) != NULL;
	free(line);
	if (f)
		fclose(f);
	return found;
}

/* A fault must be told: on stderr or as an event. */
static void judge_sayings(const struct run *r, struct outcome *out)
{
	for (int i = 0; i < r->s->sayings && r->on; i++) {
		size_t at = strlen(out->live_why);

		if (holds(r, "live.err", r->s->says[i]) || holds(r, "live.json", r->s->says[i]))
			continue;
		out->live = FAIL;
		snprintf(out->live_why + at, sizeof(out->live_why) - at,
			 "; WRONG: it does not say \"%s\"", r->s->says[i]);
	}
}

void judge_live(struct run *r, struct outcome *out)
{
	char path[400];
	uint64_t until = iface_packets(r), after;
	int rc = stop(r->weir, 20);

	path_of(r, path, sizeof(path), "live.json");
	if (rc != (r->on ? r->s->exits : 0)) {
		size_t at = snprintf(out->live_why, sizeof(out->live_why),
				     rc < 0 ? "weir watch did not end on SIGINT, or crashed: "
					    : "weir watch exits %d: ",
				     rc);
		quote(r, "live.err", out->live_why + at, sizeof(out->live_why) - at);
		out->live = FAIL;
		return;
	}
	after = iface_packets(r);
	if (until >= r->attached && after > r->before) { /* an interface made anew counts from 0 */
		r->truth.iface_least = until - r->attached;
		r->truth.iface_most = after - r->before;
	}
	r->truth.live = true;
	r->truth.lag = out->lag_most;
	out->live = scen_judge(r->s, &r->truth, path, out->live_why, sizeof(out->live_why));
	r->truth.live = false;
	r->truth.iface_least = r->truth.iface_most = 0;
	judge_usage(r, out);
	judge_sessions(r, out);
	judge_residue(r, out);
	judge_sayings(r, out);
}

void judge_offline(struct run *r, struct outcome *out)
{
	char pcap[400], json[400], err[400], args[256];
	char *argv[32] = { (char *)r->o->weir, "analyze",     pcap,
			   "--json",	       "--local-net", "10.10.0.0/24,fd10::/64" };
	int rc, n = 6, fd, st;
	pid_t pid;

	path_of(r, pcap, sizeof(pcap), "wan.pcap");
	path_of(r, json, sizeof(json), "offline.json");
	path_of(r, err, sizeof(err), "offline.err");
	snprintf(args, sizeof(args), "%s", r->s->weir_args);
	n += scen_split(args, argv + n, 31 - n);
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
		size_t at = snprintf(out->offline_why, sizeof(out->offline_why),
				     "weir analyze exits %d: ", rc);
		quote(r, "offline.err", out->offline_why + at, sizeof(out->offline_why) - at);
		out->offline = FAIL;
		return;
	}
	out->offline =
		scen_judge(r->s, &r->truth, json, out->offline_why, sizeof(out->offline_why));
}
