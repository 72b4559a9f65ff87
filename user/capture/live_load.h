/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine's BPF objects: into the kernel with the right sizes, and why not where they can't. */
#ifndef WEIR_LIVE_LOAD_H
#define WEIR_LIVE_LOAD_H

#include "attach.h"
#include "live.h"

struct weir_tc;
struct weir_xdp;

struct live_objects {
	struct weir_tc *tc;
	struct weir_xdp *xdp; /* NULL: not needed, or the kernel refused it */
	struct attach_progs progs;
	int ctl;
	int flows4, flows6, holes, ring, counters;
};

struct live_load_options {
	unsigned max_flows;
	bool ethernet, headless; /* interfaces with an Ethernet header, and without */
	bool xdp;
	bool verbose;
};

/* Are the rights there, is the kernel new enough? 0, or e->code. */
int live_check_rights(struct live_error *e);

/* 0, or e->code with nothing loaded. */
int live_load(struct live_objects *o, const struct live_load_options *opt, struct live_error *e);
void live_unload(struct live_objects *o);

/* 65,536, and 8,192 on machines with less than 256 MB. */
unsigned live_default_flows(void);

int live_fail(struct live_error *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
