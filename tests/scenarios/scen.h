/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scenario: what is done to which traffic, and what must be found. The format stands in
 * README.md beside this file; the same files run in namespaces on a host and in a VM.
 */
#ifndef SCEN_H
#define SCEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SCEN_LOOK_S 0.05 /* between looks at weir's output, which may take as long again */

enum {
	SCEN_STEPS = 240,
	SCEN_WANTS = 12,
	SCEN_WORDS = 48,
	SCEN_LINE = 1024,
	SCEN_PROCS = 240,
};

/* NS_CABLES: where the cables of wire.c end, on kernels without netem. */
enum ns { NS_CLI, NS_GW, NS_ISP, NS_SRV, NS_CABLES, NS_COUNT };
enum { CABLES = 3 };

enum step_kind {
	STEP_ON,      /* the impairment: a command; left out when it is switched off */
	STEP_OFF,     /* ends it */
	STEP_BASE,    /* part of the network, always there */
	STEP_RUN,     /* a program, until the end */
	STEP_TRAFFIC, /* ours: a server where it is needed, and a client */
	STEP_INJECT,  /* the forger; left out when the impairment is switched off */
	STEP_WEIR,    /* STOP, CONT, KILL: a signal to weir; START: another one after KILL */
};

struct step {
	enum step_kind kind;
	double at; /* seconds from the start */
	enum ns ns;
	char text[SCEN_LINE];
	char *word[SCEN_WORDS + 1]; /* into text */
	int words;
};

/* "find": one claim that must be made; "allow": one that may. */
struct expect {
	char kind[64];	    /* kind or kind/subkind, subkinds as a|b */
	char direction[16]; /* "": any */
	char type[96];	    /* a|b|c; "": any; "-": of no single type */
	struct {
		char name[40];
		double value, rel, abs;
		int mark; /* 1: start against the impairment's start, 2: end against its end */
	} num[8];
	int nums;
};

/* "flow": so many flow events hold key=value. */
struct flow_check {
	char key[8][32], value[8][96];
	int keys;
	unsigned least, most;
};

struct scenario {
	char file[256], name[64], row[32], title[160], cca[16], set[64];
	double rtt_ms, jitter_ms, lan_rtt_ms, end;
	bool benign; /* its trouble is nobody's doing: nothing may be found with it on either */
	bool offloads;
	bool nat;	   /* beyond the gateway clients have its address: their ports tell them */
	bool ipv6;
	bool any_suspects; /* which resets were forged is not known here */
	bool loss_of_records_ok;
	double ring_bytes; /* of weir's ring, live; 0: as it comes */
	double snap; /* bytes of each packet that the capture holds; 0: all */
	double lost; /* so many records at least must be lost, and counted, live */
	bool no_live, no_offline;
	bool alone;	   /* touches what all share (the clock, CPUs): not beside others */
	bool watch_memory; /* weir's memory, files and maps must not grow */
	double sessions;   /* share of the traffic's sessions that must come out well; < 0: no check
			    */
	char watch[64];	/* the gateway's interfaces, by blanks */
	char own[96];	/* each of these words must be said by a tool event of losses */
	char weir_args[256], need[160], todo[200];
	char link[16];	       /* what the watched link is: veth, tun or virtio */
	char says[4][120];     /* what weir's words or events must hold, live */
	int sayings;
	int exits;	       /* weir watch's exit status, with the impairment on */
	double forged; /* share of the forged flows that must have a suspect reset; < 0: no check */
	struct step step[SCEN_STEPS];
	int order[SCEN_STEPS]; /* steps by time */
	int steps;
	struct expect find[SCEN_WANTS], allow[SCEN_WANTS];
	int finds, allows;
	struct flow_check flow[SCEN_WANTS];
	int flows;
};

/* Splits at blanks in place; single quotes hold words together. How many, -1: a quote that does not end. */
int scen_split(char *text, char **word, int max);

/* Reads a scenario. 0, or -1 with the reason on stderr. */
int scen_read(struct scenario *s, const char *file);

/* What the command line says. */
struct run_opts {
	bool live, offline, keep, lenient, judge;
	const char *out, *cca;
	const char *weir;
	unsigned long tag; /* makes namespace names unique */
};

/* What one run came to. */
enum verdict { PASS, FAIL, SKIP };

struct outcome {
	enum verdict live, offline;
	bool has_live, has_offline;
	double lag_most, lag_share; /* the machine's: seconds, share of the time */
	char live_why[1500], offline_why[1500];
};

/* Runs it with the impairment on or off, in a directory of its own; namespaces made and removed. */
void scen_run(const struct scenario *s, bool on, const struct run_opts *o, struct outcome *out);

/* Judges the capture that a run with -k left of it once more. */
void scen_judge_again(const struct scenario *s, const struct run_opts *o, struct outcome *out);

/* What the runner knows that the judge needs. */
struct truth {
	double on_at, off_at;	/* Unix seconds of the impairment's start and end; 0: none */
	const char *forged_log; /* lines of inject; NULL: none */
	/* What the interface counted while weir was surely attached, and from before to after; 0:
	 * not known. */
	uint64_t iface_least, iface_most;
	bool on;
	/* Of each find: seconds from its packet until its finding was there, at any level and as a
	 * claim; 0: not seen. live: that was looked at, on a machine that stood still for lag. */
	double told[SCEN_WANTS], claimed[SCEN_WANTS], lag;
	bool live;
};

/* Is a finding of injected packets expected? */
bool scen_injects(const struct scenario *s);
/* A line of weir's that was there at Unix time now. */
void scen_arrived(const struct scenario *s, const char *line, double now, struct truth *t);

/* Judges one event stream (JSON Lines file). Fills why with what is wrong or what was found. */
enum verdict scen_judge(const struct scenario *s, const struct truth *t, const char *events,
			char *why, size_t room);

/* Network: namespaces named PREFIX-cli and so on. 0, or -1 with the reason in why. */
struct net {
	char ns[NS_COUNT][48];
	bool wired; /* cables of wire.c instead of netem */
	pid_t tun;   /* > 0: the process that joins two tun devices */
	int virtio;  /* > 0: the lock on the machine's one pair of virtio cards */
};
int net_up(struct net *n, const struct scenario *s, unsigned long tag, char *why, size_t room);
void net_down(const struct net *n);
/* Has this kernel no netem? */
bool wire_needed(const struct net *n);
/* The name of a cable's end in NS_CABLES: at its first namespace, or the far one. */
const char *wire_end(int cable, bool far);
/* Waits for what only one scenario at a time can have; before anything else is waited for. */
void link_reserve(struct net *n, const char *kind);
/* The watched link between gw and isp, where it is no veth pair. 0, or -1 with the reason in why. */
int link_up(struct net *n, const char *kind, char *why, size_t room);
void link_down(const struct net *n);
/* Enters the namespace; for a child before exec. */
int net_enter(const struct net *n, enum ns ns);
const char *ns_name(enum ns ns);

/* Runs a program to its end, its output in log; its exit status, 127 when it could not start. */
int run_wait(const struct net *n, int ns, char *const argv[], const char *input, const char *log);
double now_s(void);
double unix_s(void);

#endif
