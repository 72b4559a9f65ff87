/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options: one table says each option's name, letter, argument, default, help,
 * configuration key and the commands that take it. Parsing, --help, the shell
 * completion and `weir config --print` are made from it.
 */
#ifndef WEIR_OPTIONS_H
#define WEIR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "pipeline.h"
#include "redact.h"

#define OPTIONS_IFACES 16
#define CONFIG_PATH    "/etc/weir/weir.conf"

enum hook { HOOK_AUTO, HOOK_XDP, HOOK_TCX, HOOK_TC, HOOK_COUNT };

/* --events: which event types to print. */
enum {
	EVENT_FLOW = 1,
	EVENT_RST = 2,
	EVENT_FINDING = 4,
	EVENT_STATS = 8,
	EVENT_TOOL = 16,
	EVENT_ALL = 31,
};

/* Which packets are kept as evidence. */
enum evidence_mode { EVIDENCE_FINDINGS, EVIDENCE_OFF, EVIDENCE_ALL_SUSPECT };

#define DISABLED_MAX 32
#define SOCKET_DIR   "/run/weir"
#define SOCKET_PATH  SOCKET_DIR "/weir.sock"

enum color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };
enum report_format { FORMAT_HTML, FORMAT_MD, FORMAT_JSON };
enum glyphs { GLYPHS_AUTO, GLYPHS_ASCII, GLYPHS_BLOCK };

struct command;

struct options {
	const struct command *command;
	bool json;
	char *iface[OPTIONS_IFACES]; /* owned */
	unsigned nifaces;
	enum hook hook;
	struct local_net local[LOCAL_NETS]; /* none: the default set */
	unsigned nlocal;
	unsigned max_flows; /* 0: not given */
	enum sensitivity sensitivity;
	unsigned events;    /* EVENT_*; 0: not given, see options_events() */
	double interval_s;  /* default 1 */
	bool wait;	    /* for interfaces that are not there yet */
	unsigned count;	    /* stop after so many intervals; 0: never */
	unsigned jobs;	    /* captures analysed at a time; 0: one a processor */
	char *rules;	    /* --rules FILE; NULL: built in; owned, as all below */
	char *history;	    /* --history FILE; NULL: none */
	char *since, *until; /* findings, report; NULL: all */
	enum report_format format; /* report --format */
	char *type;	    /* findings --type TYPE; NULL: all */
	char *evidence;	    /* --evidence DIR; NULL: none */
	char *filter;	    /* pcap filter expression; NULL: every packet */
	char *output;	    /* -o FILE; NULL or "-": stdout */
	char *config;	    /* -c FILE; NULL: CONFIG_PATH where it exists */
	bool print;	    /* config --print */
	enum color color;
	enum glyphs glyphs;
	struct privacy privacy; /* --names, --redact; its map is made once all is read */
	char *redact_key;   /* --redact-key FILE; NULL: a key of this process */
	bool bytes;	    /* --units byte: show byte/s, not bit/s */

	/* The daemon's and its clients'. */
	bool connect;	    /* --connect: a daemon or nothing */
	char *connect_path; /* --connect PATH; NULL: where daemons are */
	bool own_capture;   /* a flag was given that only an own capture can follow */
	bool named_ifaces;  /* interfaces stood on the command line, not in the file */
	char *socket;	    /* [daemon] socket; NULL: SOCKET_PATH */
	char *log;	    /* [events] file; NULL: none */
	uint64_t log_size;  /* of one of its files, bytes; 0: 16 MiB */
	unsigned log_files; /* 0: 4 */
	char *textfile;	    /* [metrics] textfile; NULL: none */
	char *listen;	    /* [metrics] listen: ADDRESS:PORT; NULL: none */
	char *disabled[DISABLED_MAX]; /* [detect] disable: TYPE or KIND:TYPE */
	unsigned ndisabled;
	unsigned min_flows; /* [detect] min_flows; 0: as each test needs */
	enum evidence_mode evidence_mode;
	unsigned snaplen;	 /* [evidence] snaplen; 0: headers only */
	uint64_t evidence_total; /* [evidence] max_total, bytes; 0: 64 MiB */
	enum redact_who redact_report; /* of reports and evidence; default clients */

	int argc; /* as given to options_parse(), to read it all again */
	char **argv;
	char **args;	    /* what stands after the options, interfaces taken out */
	unsigned nargs;
};

/*
 * Parses a command's arguments (argv[0] is the command's name), the
 * configuration file before them. 0, or a sysexits code after saying why;
 * -1: --help was asked for and printed. o is to be freed in any case.
 */
int options_parse(struct options *o, const struct command *c, int argc, char **argv);
void options_free(struct options *o);

/* Reads a configuration file into o: EX_CONFIG after naming file, line and nearest known key. */
int options_config(struct options *o, const char *path);

/* The daemon's socket: where it listens, and where its clients look first. */
const char *options_socket(const struct options *o);

/* What to print: --events, else everything with --json, else findings, stats and tool. */
unsigned options_events(const struct options *o);

/* The pipeline's part of the options; sinks are the caller's to add. Rules are loaded by the caller. */
void options_pipeline(const struct options *o, struct pipeline_config *cfg);

void options_help(FILE *to, const struct command *c); /* c NULL: the program's */
void options_completion(FILE *to);		      /* bash */
void options_print(FILE *to, const struct options *o); /* as a configuration file */

/* Nearest of n known words, a third of its letters wrong and three at most; NULL if none is near. */
const char *nearest_word(const char *word, const char *const *known, unsigned n);

#endif
