// SPDX-License-Identifier: GPL-2.0-or-later
/* weir report: a capture through the engine and the detectors, and a page of what was found. */
#include "report.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands.h"
#include "error.h"
#include "extras.h"
#include "file.h"

/* Of the file as it lies there. False: it can't be read (any longer). */
static bool hash(const char *path, char hex[65], uint64_t *bytes)
{
	struct sha256_ctx ctx;
	uint8_t part[65536], digest[SHA256_DIGEST_SIZE];
	FILE *f = fopen(path, "re");
	size_t n;
	bool ok;

	if (!f)
		return false;
	sha256_init(&ctx);
	*bytes = 0;
	while ((n = fread(part, 1, sizeof(part), f))) {
		sha256_update(&ctx, n, part);
		*bytes += n;
	}
	ok = !ferror(f);
	fclose(f);
	sha256_digest(&ctx, sizeof(digest), digest);
	for (n = 0; n < sizeof(digest); n++)
		snprintf(hex + 2 * n, 3, "%02x", digest[n]);
	return ok;
}

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* Writing the page would destroy what it is of. */
static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return !stat(a, &x) && !stat(b, &y) && S_ISREG(x.st_mode) && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* As a shell reads it. */
static void word(FILE *to, const char *flag, const char *value)
{
	static const char safe[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/,:-";

	fprintf(to, "%s %s", flag, *value == '-' ? "./" : "");
	if (*value && strspn(value, safe) == strlen(value)) {
		fputs(value, to);
		return;
	}
	fputc('\'', to);
	for (; *value; value++) {
		if (*value == '\'')
			fputs("'\\''", to);
		else
			fputc(*value, to);
	}
	fputc('\'', to);
}

static void command(FILE *to, const struct options *o)
{
	static const char *const level[] = { "low", "normal", "high" };
	bool from_stdin = !strcmp(o->args[0], "-");

	fprintf(to, "weir report --sensitivity %s", level[o->sensitivity]);
	if (o->filter)
		word(to, " --filter", o->filter);
	if (o->rules)
		word(to, " --rules", base(o->rules));
	if (o->max_flows)
		fprintf(to, " --max-flows %u", o->max_flows);
	fputs(" -o report.html", to);
	if (from_stdin)
		fputs(" -", to);
	else
		word(to, "", base(o->args[0]));
}

/* Text of a stream into memory: the caller's to free. NULL: out of memory. */
static char *command_text(const struct options *o)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	command(f, o);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

static int write_page(const struct options *o, struct report *r, bool broken)
{
	static const char *const level[] = { "low", "normal", "high" };
	bool to_stdout = !o->output || !strcmp(o->output, "-"),
	     from_stdin = !strcmp(o->args[0], "-");
	char hex[65], settings[96];
	char *text = command_text(o);
	struct report_source s = {
		.name = from_stdin ? "standard input" : base(o->args[0]),
		.command = text,
		.settings = settings,
		.broken = broken,
	};
	FILE *to;
	int err;

	if (!text)
		return fail(EX_OSERR, "can't write the report: out of memory. Free some.");
	snprintf(settings, sizeof(settings), "sensitivity %s, %s types, %u local network%s named",
		 level[o->sensitivity], o->rules ? "further" : "built-in", o->nlocal,
		 o->nlocal == 1 ? "" : "s");
	if (!from_stdin && hash(o->args[0], hex, &s.bytes))
		s.sha256 = hex;
	to = to_stdout ? stdout : fopen(o->output, "we");
	if (!to) {
		err = errno;
		free(text);
		return fail(EX_CANTCREAT, "can't write %s: %s. Name another file.", o->output,
			    strerror(err));
	}
	errno = 0;
	report_html(to, r, &s);
	err = fflush(to) || ferror(to) ? (errno ? errno : EIO) : 0;
	if (!to_stdout && fclose(to) && !err)
		err = errno;
	free(text);
	if (!err || (to_stdout && err == EPIPE))
		return EX_OK;
	return fail(EX_IOERR, "can't write the report: %s. Free space, or write elsewhere.",
		    strerror(err));
}

int cmd_report(const struct options *o)
{
	struct pipeline_config cfg = { 0 };
	struct options mine = *o;
	struct report *r = report_new();
	struct pipeline *p = NULL;
	struct extras x = { 0 };
	struct totals t;
	char why[768];
	int code, written = EX_OK;

	if (o->output && same_file(o->args[0], o->output)) {
		report_free(r);
		return fail(EX_USAGE, "can't write the report: %s is the capture. Name another file.", o->output);
	}
	/* A capture is no part of what happened here: nothing of it goes to the gateway's own
	 * stores. */
	mine.history = mine.evidence = NULL;
	options_pipeline(o, &cfg);
	cfg.max_flows = 0; /* the engine's table bounds them */
	cfg.interval_s = 1;
	if (r) {
		cfg.sink[cfg.nsinks++] = report_sink(r);
		code = extras_open(&x, &mine, &cfg, why, sizeof(why));
		if (code) {
			report_free(r);
			return fail(code, "%s", why);
		}
		p = pipeline_new(&cfg);
	}
	if (!p) {
		report_free(r);
		extras_close(&x);
		return fail(EX_OSERR, "can't start: out of memory. Free some.");
	}
	code = file_analyze(p, o->args[0], o->filter, o->max_flows, 0, &t);
	if (!code || code == EX_DATAERR) {
		pipeline_finish(p, &t);
		written = write_page(o, r, code == EX_DATAERR);
	}
	pipeline_free(p);
	extras_close(&x);
	report_free(r);
	return code ? code : written;
}
