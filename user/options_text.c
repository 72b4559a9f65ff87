// SPDX-License-Identifier: GPL-2.0-or-later
/* What is written from the option table: --help, the shell completion, the configuration. */
#include <string.h>

#include "options_table.h"

static void help_options(FILE *to, unsigned bit)
{
	for (const struct option_row *r = option_table; r->name; r++) {
		char left[64], letter[8] = "    ";

		if (!(r->commands & bit))
			continue;
		if (r->letter)
			snprintf(letter, sizeof(letter), "-%c, ", r->letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, r->name, r->arg ? " " : "",
			 r->arg ? r->arg : "");
		fprintf(to, "  %-28s %s\n", left, r->help);
	}
}

void options_help(FILE *to, const struct command *c)
{
	if (c) {
		fprintf(to, "usage: weir %s [OPTION...]%s%s\n%s\n\n", c->name, *c->args ? " " : "",
			c->args, c->help);
		help_options(to, c->bit);
		return;
	}
	fprintf(to,
		"usage: weir COMMAND [OPTION...] [ARGUMENT...]\n"
		"Tells from passing traffic what is being done to it: rate limits, injected packets,\n"
		"selective drops. It only looks; it never changes traffic.\n\n");
	for (c = command_next(NULL); c; c = command_next(c)) {
		char left[40];

		snprintf(left, sizeof(left), "%s %s", c->name, c->args);
		fprintf(to, "  %-22s %s\n", left, c->help);
	}
	fprintf(to, "\n  weir COMMAND --help    its options\n"
		    "  weir --version         the version\n");
}

void options_completion(FILE *to)
{
	fprintf(to, "# bash completion for weir, written by: weir completion\n"
		    "_weir()\n{\n"
		    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
		    "\tlocal words=\n"
		    "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\twords='--help --version");
	for (const struct command *c = command_next(NULL); c; c = command_next(c))
		fprintf(to, " %s", c->name);
	fprintf(to, "'\n\telse\n\t\tcase $prev in\n");
	for (const struct option_row *r = option_table; r->name; r++) {
		if (!r->arg)
			continue;
		if (*r->arg == '[' || !r->commands)
			continue;
		fprintf(to, "\t\t--%s", r->name);
		if (r->letter)
			fprintf(to, "|-%c", r->letter);
		if (r->words) {
			fprintf(to, ") words='");
			for (unsigned i = 0; r->words[i]; i++)
				fprintf(to, "%s%s", i ? " " : "", r->words[i]);
			fprintf(to, "'");
		} else if (!strcmp(r->arg, "FILE") || !strcmp(r->arg, "DIR")) {
			fprintf(to, ") compopt -o default; return");
		} else if (!strcmp(r->arg, "IFACE")) {
			fprintf(to, ") words=$(ls /sys/class/net)");
		} else {
			fprintf(to, ") return");
		}
		fprintf(to, " ;;\n");
	}
	fprintf(to, "\t\t*) case ${COMP_WORDS[1]} in\n");
	for (const struct command *c = command_next(NULL); c; c = command_next(c)) {
		bool files = !strncmp(c->args, "FILE", 4);

		fprintf(to, "\t\t\t%s) words='", c->name);
		for (const struct option_row *r = option_table; r->name; r++)
			if (r->commands & c->bit)
				fprintf(to, "--%s ", r->name);
		fprintf(to, "'");
		if (!strncmp(c->args, "[IFACE", 6))
			fprintf(to, "$(ls /sys/class/net)");
		fprintf(to, "%s ;;\n", files ? "; [[ $cur == -* ]] || compopt -o default" : "");
	}
	fprintf(to, "\t\tesac ;;\n\t\tesac\n\tfi\n"
		    "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\n"
		    "complete -F _weir weir\n");
}

void options_print(FILE *to, const struct options *o)
{
	const char *section = "";

	for (const struct option_row *r = option_table; r->name; r++) {
		char value[1024];

		if (!r->key)
			continue;
		if (strcmp(section, r->section)) {
			fprintf(to, "%s[%s]\n", *section ? "\n" : "", r->section);
			section = r->section;
		}
		r->get(o, value, sizeof(value));
		fprintf(to, "; %s\n%s =%s%s\n", r->help, r->key, *value ? " " : "", value);
	}
}
