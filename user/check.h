/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `weir check` found: one line per need, as a table or as JSON Lines. */
#ifndef WEIR_CHECK_H
#define WEIR_CHECK_H

#include <stdbool.h>

#include "gateway.h"

enum check_state { CHECK_OK, CHECK_WARN, CHECK_FAIL };

/* One need. effect and fix: NULL or "" where all is well. */
struct check_line {
	enum check_state state;
	const char *need, *found, *effect, *fix;
};

struct check {
	bool json;
	bool failed, rights, warned;
	char reason[160]; /* of the first failure */
};

/* Prints the line and keeps the worst. rights: it failed for missing rights only. */
void check_line(struct check *c, const struct check_line *line);
/* One of an interface: in JSON with its role (role_name()) and the hooks that are right for it. */
void check_interface(struct check *c, const struct check_line *line, const char *role, const char *hook);
void check_failed(struct check *c, const struct check_line *line, bool rights);

/* The last line; the exit code: 0, EX_NOPERM when only rights are missing, EX_UNAVAILABLE. */
int check_end(struct check *c, bool btf);

/* The machine: kernel, rights, programs, hooks, extras. True: collecting is possible. */
bool check_machine(struct check *c, bool *btf, bool *tcx);

struct coverage;

/* Flow offload, as the firewall has it: nothing where it has none. */
void check_offload(struct check *c, const struct coverage *cov);

/*
 * The gateway: interfaces with roles and hooks, NAT, offloads. names: those to look at, or n 0: all;
 * role: what the user says of each, ROLE_NONE for what the routes say.
 */
void check_gateway(struct check *c, char *const *names, const enum role *role, unsigned n, unsigned hook, bool tcx);

#endif
