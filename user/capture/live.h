/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Live capture: loads the engine, puts it on interfaces, feeds the pipeline
 * with its records and counters, and takes everything away again. An interface
 * that goes is waited for; nothing stays behind, however the process ends.
 */
#ifndef WEIR_LIVE_H
#define WEIR_LIVE_H

#include "attach.h"
#include "pipeline.h"

#define LIVE_IFACES 16

struct live;

struct live_config {
	/* Names, ":lan" or ":wan" behind one says its role. None: those with a default route. */
	const char *iface[LIVE_IFACES];
	unsigned nifaces;
	enum attach_kind hook;
	unsigned max_flows;  /* 0: 65,536, less on machines below 256 MB */
	bool verbose;	     /* libbpf's own words on stderr */
	double interval_s;   /* of count */
	bool local_given;    /* what is inside was said, not guessed */
	bool wait;	     /* for named interfaces that are not there yet, too */
	unsigned count;	     /* stop after so many intervals; 0: never */
};

/* What went wrong, for people: "what failed: why. What to do." */
struct live_error {
	int code; /* sysexits */
	char text[768];
};

/* A front end that shares the loop. Any callback may be NULL. */
struct live_ui {
	int fd;		    /* polled for input; -1: none */
	unsigned redraw_ms; /* 0: never */
	/* Everything is there, nothing is attached yet. */
	void (*opened)(void *arg, struct live *l, struct pipeline *p);
	bool (*input)(void *arg);  /* fd is readable, or the window changed; false: quit */
	bool (*redraw)(void *arg); /* false: quit */
	void *arg;
	void (*reload)(void *arg); /* SIGHUP; NULL: it stops, as a closed terminal does */
	void *reload_arg;
	void (*now)(void *arg); /* SIGUSR1: write what is due later */
};

/*
 * Checks rights, interfaces and kernel, and loads the programs. NULL: e says
 * why. Nothing is attached yet. cfg and its names are copied.
 */
struct live *live_open(const struct live_config *cfg, struct live_error *e);

/* Flows that the tables take: what the pipeline should be made for. */
unsigned live_max_flows(const struct live *l);

/*
 * Attaches to every interface, gives up rights that are no longer needed.
 * Blocks SIGINT, SIGTERM, SIGHUP and SIGWINCH for the loop. 0, or e->code with
 * nothing attached. p is not owned.
 */
int live_start(struct live *l, struct pipeline *p, struct live_error *e);

/* Runs until a signal, the count, or the front end says stop. 0 or -errno. */
int live_run(struct live *l, const struct live_ui *ui);

/* Detaches, reads the last records and counters, ends every flow, gives the totals. */
void live_stop(struct live *l, struct totals *t);
void live_free(struct live *l);

/* The names of the interfaces watched, or waited for; as long as l lives. At most max; how many. */
unsigned live_ifaces(const struct live *l, const char **names, unsigned max);

/* For the head of the screen. */
struct live_status {
	char ifaces[128]; /* "lan0 tcx, wan0 xdp+tcx" */
	uint64_t lost;	  /* records */
	uint64_t seen, in_flows, table_full;
	unsigned waiting; /* interfaces that are away */
	double uptime_s;
	uint64_t now_ns;  /* time of day, as packets are stamped */
	char problem[96]; /* of coverage; "" none */
};

void live_status(struct live *l, struct live_status *s);

/* What the kernel says each program of ours took; nothing unless kernel.bpf_stats_enabled. */
struct live_cost {
	char program[16];
	uint64_t runs, ns;
};

unsigned live_costs(const struct live *l, struct live_cost *cost, unsigned max);

/* The same totals as at stop, while running: terms may be a few packets apart. */
void live_totals(struct live *l, struct totals *t);

/* CLOCK_MONOTONIC: the clock of the records, and of the loop. */
uint64_t live_mono_ns(void);

#endif
