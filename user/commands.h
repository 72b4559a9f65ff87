/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands. Each takes the parsed options and returns the exit code (sysexits). */
#ifndef WEIR_COMMANDS_H
#define WEIR_COMMANDS_H

#include "options.h"

/* One bit each, so that an option says which commands take it. */
enum {
	CMD_LIVE = 1,
	CMD_WATCH = 2,
	CMD_ANALYZE = 4,
	CMD_CHECK = 8,
	CMD_SCHEMA = 16,
	CMD_FINDINGS = 32,
	CMD_EVIDENCE = 64,
	CMD_CONFIG = 128,
	CMD_COMPLETION = 256,
	CMD_DAEMON = 512,
	CMD_EVENTS = 1024,
	CMD_REPORT = 2048,
	CMD_CAPTURE = CMD_LIVE | CMD_WATCH | CMD_DAEMON, /* reads interfaces */
	CMD_ENGINE = CMD_CAPTURE | CMD_ANALYZE,		 /* runs the engine */
};

struct command {
	unsigned bit;
	const char *name;
	const char *args; /* as in the usage line; "" none */
	const char *help; /* one line */
	int (*run)(const struct options *o);
	unsigned min_args, max_args;
};

/* The commands in the order of --help: the first for NULL, NULL after the last. */
const struct command *command_next(const struct command *c);

int cmd_live(const struct options *o);
int cmd_watch(const struct options *o);
int cmd_analyze(const struct options *o);
int cmd_check(const struct options *o);
int cmd_schema(const struct options *o);
int cmd_findings(const struct options *o);
int cmd_evidence(const struct options *o);
int cmd_config(const struct options *o);
int cmd_report(const struct options *o);
int cmd_daemon(const struct options *o);
int cmd_events(const struct options *o);
int cmd_completion(const struct options *o);

#endif
