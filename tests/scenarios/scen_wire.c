/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netem and act_police without the kernel's: where netem is missing, cables of wire.c stand between
 * the namespaces, and a step's "tc qdisc ... root netem ..." or "tc filter ... police ..." sets the
 * cable that the device hangs on.
 *
 *	cli eth0 --- [cable 0] --- lan gw wan --- [cable 1] --- cust isp core --- [cable 2] --- eth0
 *srv
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scen_run.h"

static const struct {
	enum ns a, b;
	const char *a_dev, *b_dev;
} cables[CABLES] = {
	{ NS_CLI, NS_GW, "eth0", "lan" },
	{ NS_GW, NS_ISP, "wan", "cust" },
	{ NS_ISP, NS_SRV, "core", "eth0" },
};

/* A kernel that can: asked once of a device of the loopback namespace that is there for it. */
bool wire_needed(const struct net *n)
{
	char *add[] = { "tc", "qdisc", "add", "dev", "lo", "root", "netem", "limit", "10", NULL };
	char *del[] = { "tc", "qdisc", "del", "dev", "lo", "root", NULL };

	if (run_wait(n, NS_ISP, add, NULL, NULL))
		return true;
	run_wait(n, NS_ISP, del, NULL, NULL);
	return false;
}

const char *wire_end(int cable, bool far)
{
	static const char *const names[CABLES][2] = { { "c0a", "c0b" },
						      { "c1a", "c1b" },
						      { "c2a", "c2b" } };

	return names[cable][far];
}

/* Words for what leaves by a device; waits until the cable has taken them. */
int wire_set(struct run *r, enum ns ns, const char *dev, const char *words)
{
	char path[400], name[32], line[300], done[320];
	int cable = -1, fd;
	bool far = false;

	for (int i = 0; i < CABLES; i++) {
		if (cables[i].a == ns && !strcmp(cables[i].a_dev, dev))
			cable = i, far = false;
		if (cables[i].b == ns && !strcmp(cables[i].b_dev, dev))
			cable = i, far = true;
	}
	if (cable < 0)
		return -1;
	snprintf(name, sizeof(name), "wire%d", cable);
	path_of(r, path, sizeof(path), name);
	snprintf(line, sizeof(line), "%c %s\n", far ? 'b' : 'a', words);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (write(fd, line, strlen(line)) < 0) {
		close(fd);
		return -1;
	}
	close(fd);
	snprintf(name, sizeof(name), "wire%d.log", cable);
	snprintf(done, sizeof(done), "set %c", far ? 'b' : 'a');
	return wait_for(r, name, done, 5, r->wire[cable]) ? 0 : -1;
}

static int base_delays(struct run *r)
{
	char words[100];
	int n;

	if (r->s->rtt_ms) {
		n = snprintf(words, sizeof(words), "delay %gms", r->s->rtt_ms);
		if (r->s->jitter_ms)
			n += snprintf(words + n, sizeof(words) - n, " %gms", r->s->jitter_ms);
		snprintf(words + n, sizeof(words) - n, " limit 100000");
		if (wire_set(r, NS_SRV, "eth0", words))
			return -1;
	}
	snprintf(words, sizeof(words), "delay %gms limit 100000", r->s->lan_rtt_ms);
	return r->s->lan_rtt_ms ? wire_set(r, NS_CLI, "eth0", words) : 0;
}

int wire_up(struct run *r)
{
	char ctl[400], log[32];

	for (int i = 0; i < CABLES; i++) {
		char *argv[] = { "wire", (char *)wire_end(i, false), (char *)wire_end(i, true), ctl,
				 NULL };
		char name[16];
		pid_t pid;

		snprintf(name, sizeof(name), "wire%d", i);
		path_of(r, ctl, sizeof(ctl), name);
		unlink(ctl);
		if (mkfifo(ctl, 0600)) {
			snprintf(r->why, sizeof(r->why), "%s: no FIFO", ctl);
			return -1;
		}
		snprintf(log, sizeof(log), "wire%d.log", i);
		pid = start(r, NS_CABLES, argv, log, log);
		if (!wait_for(r, log, "ready", 20, pid)) {
			quote(r, log, r->why, sizeof(r->why));
			return -1;
		}
		r->wire[i] = pid;
	}
	return base_delays(r);
}

void wire_down(struct run *r)
{
	for (int i = 0; i < CABLES; i++)
		if (r->wire[i] > 0)
			stop(r->wire[i], 0.5);
}

/* tc's rate in bit/s. */
static double bits(const char *w)
{
	char *unit;
	double v = strtod(w, &unit);

	return v * (!strcmp(unit, "mbit") ? 1e6 : !strcmp(unit, "kbit") ? 1e3 : 1);
}

/*
 * tc filter add dev DEV ingress [... src_port PORT] ... police rate R burst B ..., tc filter del dev
 * DEV ingress ..., tc -s filter show dev DEV ingress: what comes in by DEV left the cable's far end.
 */
static int police_step(struct run *r, const struct step *st)
{
	const char *rate = NULL, *burst = NULL, *port = "", *dev = NULL;
	char words[100];
	bool show = !strcmp(st->word[1], "-s"), police = false;

	/* The watched host's own policer takes packets that weir has seen: no cable is like it. */
	if (st->ns == NS_GW)
		return 1;
	for (int i = 1; i + 1 < st->words; i++) {
		const char *w = st->word[i], *v = st->word[i + 1];

		police |= !strcmp(w, "police");
		if (!strcmp(w, "dev"))
			dev = v;
		else if (!strcmp(w, "rate"))
			rate = v;
		else if (!strcmp(w, "burst"))
			burst = v;
		else if (!strcmp(w, "src_port"))
			port = v;
	}
	if (!dev || (!show && strcmp(st->word[2], "del") && (!police || !rate || !burst)))
		return 1;
	if (show)
		snprintf(words, sizeof(words), "counters");
	else
		snprintf(words, sizeof(words), "police %.0f %s %s", police ? bits(rate) : 0,
			 police ? burst : "0", port);
	for (int i = 0; i < CABLES; i++) {
		bool near = cables[i].a == st->ns && !strcmp(cables[i].a_dev, dev);

		if (near)
			return wire_set(r, cables[i].b, cables[i].b_dev, words);
		if (cables[i].b == st->ns && !strcmp(cables[i].b_dev, dev))
			return wire_set(r, cables[i].a, cables[i].a_dev, words);
	}
	return 1;
}

/* tc qdisc add|replace|change|del dev DEV root [netem WORDS]: 0 done, -1 failed, 1 not ours to do.
 */
int wire_step(struct run *r, const struct step *st)
{
	char words[300] = "";
	bool netem;

	if (!r->net.wired || st->words < 6 || strcmp(st->word[0], "tc"))
		return 1;
	if (!strcmp(st->word[1], "filter") || !strcmp(st->word[2], "filter"))
		return police_step(r, st);
	if (strcmp(st->word[1], "qdisc") || strcmp(st->word[3], "dev") ||
	    strcmp(st->word[5], "root"))
		return 1;
	netem = st->words > 6 && !strcmp(st->word[6], "netem");
	if (!netem && strcmp(st->word[2], "del"))
		return 1;
	for (int i = 7; i < st->words; i++) {
		size_t at = strlen(words);

		snprintf(words + at, sizeof(words) - at, "%s ", st->word[i]);
	}
	if (wire_set(r, st->ns, st->word[4], words)) {
		snprintf(r->why, sizeof(r->why), "the cable of %s does not take: %s", st->word[4],
			 words);
		return -1;
	}
	/* A del of a qdisc that is the kernel's: tc's to do. */
	return netem ? 0 : 1;
}
