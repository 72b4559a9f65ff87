/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The option table itself, for the files that parse, print and complete from it. */
#ifndef WEIR_OPTIONS_TABLE_H
#define WEIR_OPTIONS_TABLE_H

#include "commands.h"
#include "options.h"

struct option_row {
	const char *name;
	char letter;	     /* 0: none */
	const char *arg;     /* its value as --help shows it; NULL: a switch; "[X]": may be left out */
	const char *section; /* of the configuration file, with key; NULL: flag only */
	const char *key;
	unsigned commands; /* which take it as a flag: CMD_*; 0: a key only */
	/* False, and the reason in why ("not a number"), when value is no good. */
	bool (*set)(struct options *o, const char *value, char *why, size_t len);
	/* Writes the value in force as the configuration file has it; NULL where there is no key. */
	void (*get)(const struct options *o, char *out, size_t len);
	const char *help;
	const char *const *words; /* the values it may have, for completion; NULL: any */
};

extern const struct option_row option_table[]; /* name NULL ends it */

unsigned options_count(void);

/* Adds an interface once. False: no name an interface can have, or too many. */
bool option_add_iface(struct options *o, const char *name, char *why, size_t len);

#endif
