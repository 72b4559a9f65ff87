// SPDX-License-Identifier: GPL-2.0-or-later
#include "options_table.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"

#define LONG_BASE 1000 /* getopt_long's value of an option without a letter */

unsigned options_count(void)
{
	unsigned n = 0;

	while (option_table[n].name)
		n++;
	return n;
}

static const struct option_row *row_of(int value)
{
	if (value >= LONG_BASE)
		return &option_table[value - LONG_BASE];
	for (const struct option_row *r = option_table; r->name; r++)
		if (r->letter == value)
			return r;
	return NULL;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edits (insert, delete, replace) between two words of at most 31 letters. */
static unsigned edits(const char *a, const char *b)
{
	unsigned row[32], la = strlen(a), lb = strlen(b);

	if (la > 31 || lb > 31)
		return 99;
	for (unsigned j = 0; j <= lb; j++)
		row[j] = j;
	for (unsigned i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= lb; j++) {
			unsigned above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1,
				      diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[lb];
}

const char *nearest_word(const char *word, const char *const *known, unsigned n)
{
	const char *best = NULL;
	unsigned most = (strlen(word) + 1) / 3, least = most < 3 ? most + 1 : 4;

	for (unsigned i = 0; i < n; i++) {
		unsigned d = edits(word, known[i]);

		if (d < least) {
			least = d;
			best = known[i];
		}
	}
	return best;
}

static int bad_option(const struct command *c, const char *given)
{
	const char *names[64], *near;
	unsigned n = 0, len = strcspn(given, "=");
	char word[32];

	snprintf(word, sizeof(word), "%.*s", (int)(len < 31 ? len : 31), given);
	for (const struct option_row *r = option_table; r->name; r++)
		if (r->commands & c->bit && n < 64)
			names[n++] = r->name;
	near = nearest_word(word, names, n);
	if (near)
		return fail(EX_USAGE, "weir %s has no option --%s. Did you mean --%s?", c->name,
			    word, near);
	return fail(EX_USAGE, "weir %s has no option --%s. See: weir %s --help", c->name, word,
		    c->name);
}

/* A daemon that runs already has its own hook, rules and history: with such a flag nobody joins it. */
static void note_own_capture(struct options *o, const struct option_row *r)
{
	static const char *const sections[] = { "capture", "detect", "history", "evidence", "privacy" };

	if (!strcmp(r->name, "interface")) {
		o->named_ifaces = true;
		return;
	}
	for (unsigned i = 0; r->section && i < sizeof(sections) / sizeof(*sections); i++)
		o->own_capture |= !strcmp(r->section, sections[i]);
}

/* "--connect PATH": what is no interface's name is the path. */
static bool take_path(struct options *o, const char *word)
{
	if (!o->connect || o->connect_path || !strchr(word, '/'))
		return false;
	o->connect_path = strdup(word);
	return o->connect_path;
}

static int parse_flags(struct options *o, const struct command *c, int argc, char **argv,
		       bool only_config)
{
	struct option longs[64];
	char letters[2 * 64 + 2], *l = letters;
	unsigned n = 0;
	int v;

	*l++ = ':';
	for (unsigned i = 0; option_table[i].name; i++) {
		const struct option_row *r = &option_table[i];

		if (!(r->commands & c->bit))
			continue;
		longs[n++] = (struct option){ r->name, !r->arg ? no_argument : *r->arg == '[' ? optional_argument : required_argument,
					      NULL, (int)(LONG_BASE + i) };
		if (r->letter) {
			*l++ = r->letter;
			if (r->arg)
				*l++ = ':';
		}
	}
	longs[n] = (struct option){ 0 };
	*l = 0;

	optind = 0; /* glibc: start anew */
	opterr = 0;
	while ((v = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const struct option_row *r;
		char why[256] = "";

		if (v == ':')
			return fail(EX_USAGE, "%s needs a value. See: weir %s --help",
				    argv[optind - 1], c->name);
		if (v == '?' && optopt && optopt < LONG_BASE)
			return fail(EX_USAGE, "weir %s has no option -%c. See: weir %s --help",
				    c->name, optopt, c->name);
		if (v == '?')
			return bad_option(c, argv[optind - 1] + 2);
		r = row_of(v);
		if (!strcmp(r->name, "help")) {
			options_help(stdout, c);
			return -1;
		}
		/* The file comes first, so that flags override it; -c itself is read before both. */
		if (only_config != !strcmp(r->name, "config"))
			continue;
		note_own_capture(o, r);
		if (!r->set(o, optarg, why, sizeof(why)))
			return fail(EX_USAGE, "can't use %s%s%s: %s. See: weir %s --help", r->name,
				    optarg ? " " : "", optarg ? optarg : "", why, c->name);
	}
	return 0;
}

static int open_privacy(struct options *o)
{
	char why[512] = "";
	int code = privacy_open(&o->privacy, o->redact_key, why, sizeof(why));

	return code ? fail(code, "%s", why) : 0;
}

int options_parse(struct options *o, const struct command *c, int argc, char **argv)
{
	bool has_config = false;
	unsigned file_ifaces, n;
	int err;

	memset(o, 0, sizeof(*o));
	o->command = c;
	o->argc = argc;
	o->argv = argv;
	o->redact_report = REDACT_CLIENTS;
	o->interval_s = c->bit & (CMD_DAEMON | CMD_CONFIG) ? 10 : 1;
	o->sensitivity = SENSITIVITY_NORMAL;

	err = parse_flags(o, c, argc, argv, true);
	if (err)
		return err;
	for (const struct option_row *r = option_table; r->name; r++)
		has_config |= (r->commands & c->bit) && !strcmp(r->name, "config");
	if (has_config) {
		if (o->config || !access(CONFIG_PATH, F_OK)) {
			err = options_config(o, o->config ? o->config : CONFIG_PATH);
			if (err)
				return err;
		}
	}

	/* Interfaces named here replace the file's. */
	file_ifaces = o->nifaces;
	err = parse_flags(o, c, argc, argv, false);
	if (err)
		return err;
	o->args = argv + optind;
	o->nargs = argc - optind;
	if (c->bit & (CMD_CAPTURE | CMD_CHECK)) {
		for (; o->nargs; o->args++, o->nargs--) {
			char why[256];

			if (take_path(o, o->args[0]))
				continue;
			o->named_ifaces = true;
			if (!option_add_iface(o, o->args[0], why, sizeof(why)))
				return fail(EX_USAGE, "can't use interface %s: %s", o->args[0],
					    why);
		}
	}
	for (; o->nargs && take_path(o, o->args[0]); o->nargs--)
		o->args++;
	if (file_ifaces && o->nifaces > file_ifaces) {
		for (n = 0; n < file_ifaces; n++)
			free(o->iface[n]);
		o->nifaces -= file_ifaces;
		memmove(o->iface, o->iface + file_ifaces, o->nifaces * sizeof(*o->iface));
	}
	if (o->nargs < c->min_args)
		return fail(EX_USAGE, "weir %s needs an argument: weir %s %s", c->name, c->name,
			    c->args);
	if (o->nargs > c->max_args)
		return fail(EX_USAGE, "weir %s can't use \"%s\": too many arguments. Usage: weir %s %s",
			    c->name, o->args[c->max_args], c->name, c->args);
	return open_privacy(o);
}

void options_free(struct options *o)
{
	for (unsigned i = 0; i < o->nifaces; i++)
		free(o->iface[i]);
	free(o->rules);
	free(o->history);
	free(o->since);
	free(o->until);
	free(o->type);
	free(o->evidence);
	free(o->filter);
	free(o->output);
	free(o->config);
	free(o->redact_key);
	privacy_close(&o->privacy);
	free(o->connect_path);
	free(o->socket);
	free(o->log);
	free(o->textfile);
	free(o->listen);
	for (unsigned i = 0; i < o->ndisabled; i++)
		free(o->disabled[i]);
	memset(o, 0, sizeof(*o));
}

const char *options_socket(const struct options *o)
{
	return o->socket ? o->socket : SOCKET_PATH;
}

unsigned options_events(const struct options *o)
{
	if (o->events)
		return o->events;
	return o->json ? EVENT_ALL : EVENT_FINDING | EVENT_STATS | EVENT_TOOL;
}

void options_pipeline(const struct options *o, struct pipeline_config *cfg)
{
	cfg->max_flows = o->max_flows;
	cfg->sensitivity = o->sensitivity;
	cfg->interval_s = o->interval_s;
	memcpy(cfg->local, o->local, sizeof(cfg->local));
	cfg->nlocal = o->nlocal;
	cfg->disabled = (const char *const *)o->disabled;
	cfg->ndisabled = o->ndisabled;
	cfg->min_flows = o->min_flows;
}
