// SPDX-License-Identifier: GPL-2.0-or-later
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "error.h"

static int unknown_command(const char *name)
{
	const char *names[32], *near;
	unsigned n = 0;

	for (const struct command *c = command_next(NULL); c && n < 32; c = command_next(c))
		names[n++] = c->name;
	near = nearest_word(name, names, n);
	return fail(EX_USAGE, "there is no command \"%s\". %s%s%s", name,
		    near ? "Did you mean: weir " : "See: weir --help", near ? near : "",
		    near ? "?" : "");
}

int main(int argc, char **argv)
{
	const struct command *c;
	struct options o;
	int code;

	setlocale(LC_CTYPE, "");
	if (argc < 2) {
		options_help(stderr, NULL);
		return EX_USAGE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("weir " WEIR_VERSION);
		return EX_OK;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		options_help(stdout, NULL);
		return EX_OK;
	}
	for (c = command_next(NULL); c && strcmp(c->name, argv[1]); c = command_next(c))
		;
	if (!c)
		return unknown_command(argv[1]);
	code = options_parse(&o, c, argc - 1, argv + 1);
	if (!code)
		code = c->run(&o);
	options_free(&o);
	return code < 0 ? EX_OK : code;
}
