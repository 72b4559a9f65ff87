// SPDX-License-Identifier: GPL-2.0-or-later
/* The configuration file: the options that have a key, as INI (inih). */
#include <errno.h>
#include <ini.h>
#include <string.h>

#include "error.h"
#include "options_table.h"

struct reader {
	struct options *o;
	const char *path;
	int line; /* of the key being read */
	int code; /* 0, or what the first error made it */
};

static int unknown(struct reader *r, const char *section, const char *name)
{
	const char *keys[64], *near;
	unsigned n = 0;
	bool section_known = false;

	for (const struct option_row *row = option_table; row->name && n < 64; row++) {
		if (!row->key)
			continue;
		if (!strcmp(row->section, section)) {
			keys[n++] = row->key;
			section_known = true;
		}
	}
	if (!section_known) {
		for (const struct option_row *row = option_table; row->name && n < 64; row++)
			if (row->key)
				keys[n++] = row->section;
		near = nearest_word(section, keys, n);
		return fail(EX_CONFIG, "%s:%d: unknown section [%s]. %s%s%s", r->path, r->line,
			    section, near ? "Did you mean [" : "See: weir config --print",
			    near ? near : "", near ? "]?" : "");
	}
	near = nearest_word(name, keys, n);
	return fail(EX_CONFIG, "%s:%d: unknown key \"%s\" in [%s]. %s%s%s", r->path, r->line, name,
		    section, near ? "Did you mean \"" : "See: weir config --print", near ? near : "",
		    near ? "\"?" : "");
}

/*
 * The machine's own file is the daemon's and its readers': what another run
 * sees does not belong into the daemon's history, nor is it cut to its log's types.
 */
static bool not_for_us(const struct reader *r, const char *section)
{
	const unsigned theirs = CMD_DAEMON | CMD_CONFIG | CMD_FINDINGS | CMD_EVIDENCE | CMD_REPORT;

	return !r->o->config && !(r->o->command->bit & theirs) &&
	       (!strcmp(section, "history") || !strcmp(section, "evidence") ||
		!strcmp(section, "events"));
}

/* inih's callback: 1 goes on, 0 stops. */
static int key(void *arg, const char *section, const char *name, const char *value)
{
	struct reader *r = arg;
	char why[256] = "";
	struct options aside = { .command = r->o->command };
	bool leave = not_for_us(r, section), ok;

	for (const struct option_row *row = option_table; row->name; row++) {
		if (!row->key || strcmp(row->section, section) || strcmp(row->key, name))
			continue;
		if (!*value) /* "key =" leaves the default */
			return 1;
		ok = row->set(leave ? &aside : r->o, value, why, sizeof(why));
		options_free(&aside);
		if (ok)
			return 1;
		r->code = fail(EX_CONFIG, "%s:%d: can't use %s = %s: %s.", r->path, r->line, name,
			       value, why);
		return 0;
	}
	r->code = unknown(r, section, name);
	return 0;
}

/* inih's reader, to know the line. */
static char *next_line(char *buf, int size, void *stream)
{
	struct reader *r = ((void **)stream)[0];
	FILE *file = ((void **)stream)[1];

	r->line++;
	return fgets(buf, size, file);
}

int options_config(struct options *o, const char *path)
{
	FILE *file = fopen(path, "re");
	struct reader r = { .o = o, .path = path };
	void *stream[2] = { &r, file };
	int bad;

	if (!file)
		return fail(errno == ENOENT ? EX_NOINPUT : EX_CONFIG,
			    "can't read the configuration %s: %s. Name another with --config.", path,
			    strerror(errno));
	bad = ini_parse_stream(next_line, stream, key, &r);
	fclose(file);
	if (r.code)
		return r.code;
	if (bad)
		return fail(EX_CONFIG, "%s:%d: neither a [section] nor a key = value. See: weir config --print",
			    path, bad > 0 ? bad : 1);
	return 0;
}
