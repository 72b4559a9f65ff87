/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One run of a scenario, as its parts see it: scen_run.c leads, scen_watch.c minds weir. */
#ifndef SCEN_RUN_H
#define SCEN_RUN_H

#include "scen.h"

struct proc {
	pid_t pid;
	bool server;
};

/* What a process holds. */
struct usage {
	unsigned long rss_kb, fds, threads;
	double at;
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
	pid_t weir; /* <= 0: not running */
	uint64_t before,
		attached; /* the interface's packets before weir came, and when it was there */
	struct usage first, last;
	long told_at; /* so much of live.json was looked at */
	int lock; /* held: this run is working, not waiting; 0: not held */
	struct lag {
		double most, sum; /* seconds late */
	} * lag;
	pid_t lag_pid;
	pid_t wire[CABLES]; /* where the network is wired so */
	bool on, forged;
};

/* DIR/file of this run. */
void path_of(const struct run *r, char *out, size_t room, const char *file);
/* The first words of a file of this run, on one line. */
void quote(const struct run *r, const char *file, char *out, size_t room);
void sleep_until(double t);
/* Starts a program in a namespace and a process group of its own. */
pid_t start(struct run *r, enum ns ns, char *const argv[], const char *out, const char *err);
/* SIGINT first; what does not go in time is killed. Returns the exit status, -1 when killed. */
int stop(pid_t pid, double seconds);
/* Waits until the file holds the text; false after the time, or when the process ended. */
bool wait_for(const struct run *r, const char *file, const char *text, double seconds, pid_t pid);

/* Starts weir and waits until it is attached. 0, or -1 with the reason in r->why. */
int attach_weir(struct run *r);
/* STOP, CONT, KILL, START. */
int disturb(struct run *r, const char *what);
/* Sleeps, and looks after weir's usage meanwhile. */
void rest_until(struct run *r, double t);
/* Cables instead of netem: 0, or -1 with the reason in r->why. */
int wire_up(struct run *r);
void wire_down(struct run *r);
/* netem's words for what leaves by a device. 0, or -1. */
int wire_set(struct run *r, enum ns ns, const char *dev, const char *words);
/* A step that is the cables' to do: 0 done, -1 failed, 1 it is not. */
int wire_step(struct run *r, const struct step *st);
void judge_live(struct run *r, struct outcome *out);
void judge_offline(struct run *r, struct outcome *out);

#endif
