// SPDX-License-Identifier: GPL-2.0-or-later
/* weir report: a page of what was found, in a capture or out of the history. */
#include "report_history.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "commands.h"
#include "error.h"
#include "evidence.h"
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
	static const char *const format[] = { "", " --format md", " --format json" };

	fprintf(to, "weir report%s", format[o->format]);
	if (!o->nargs) {
		word(to, " --history", o->history);
		if (o->since)
			word(to, " --since", o->since);
		if (o->until)
			word(to, " --until", o->until);
		if (o->type)
			word(to, " --type", o->type);
		return;
	}
	fprintf(to, " --sensitivity %s", level[o->sensitivity]);
	if (o->filter)
		word(to, " --filter", o->filter);
	if (o->rules)
		word(to, " --rules", base(o->rules));
	if (o->max_flows)
		fprintf(to, " --max-flows %u", o->max_flows);
	fputs(" -o report.html", to);
	if (!strcmp(o->args[0], "-"))
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

/* 0, or a sysexits code after saying why. */
static int write_to(const char *path, const struct options *o, struct report *r,
		    const struct report_source *s)
{
	static void (*const write[])(FILE *, struct report *, const struct report_source *) = {
		report_html, report_md, report_json
	};
	FILE *to = path ? fopen(path, "we") : stdout;
	int err;

	if (!to)
		return fail(EX_CANTCREAT, "can't write %s: %s. Name another file.", path,
			    strerror(errno));
	errno = 0;
	write[o->format](to, r, s);
	err = fflush(to) || ferror(to) ? (errno ? errno : EIO) : 0;
	if (path && fclose(to) && !err)
		err = errno;
	if (!err || (!path && err == EPIPE))
		return EX_OK;
	return fail(EX_IOERR, "can't write the report: %s. Free space, or write elsewhere.",
		    strerror(err));
}

static int write_page(const struct options *o, struct report *r, bool broken)
{
	static const char *const level[] = { "low", "normal", "high" };
	bool to_stdout = !o->output || !strcmp(o->output, "-"),
	     from_stdin = o->nargs && !strcmp(o->args[0], "-");
	char hex[65], settings[96] = "as it was when each was found";
	char *text = command_text(o);
	struct report_source s = {
		.name = !o->nargs ? base(o->history) : from_stdin ? "standard input" : base(o->args[0]),
		.command = text,
		.settings = settings,
		.broken = broken,
	};
	int code;

	if (!text)
		return fail(EX_OSERR, "can't write the report: out of memory. Free some.");
	if (o->nargs)
		snprintf(settings, sizeof(settings),
			 "sensitivity %s, %s types, %u local network%s named", level[o->sensitivity],
			 o->rules ? "further" : "built-in", o->nlocal, o->nlocal == 1 ? "" : "s");
	if (o->nargs && !from_stdin && hash(o->args[0], hex, &s.bytes))
		s.sha256 = hex;
	code = write_to(to_stdout ? NULL : o->output, o, r, &s);
	free(text);
	return code;
}

static int of_capture(const struct options *o, struct report *r)
{
	struct pipeline_config cfg = { 0 };
	struct evidence *packets = evidence_new(NULL);
	struct options mine = *o;
	struct pipeline *p = NULL;
	struct extras x = { 0 };
	struct totals t;
	char why[768];
	int code, written = EX_OK;

	/* A capture is no part of what happened here: nothing of it goes to the gateway's own
	 * stores. */
	mine.history = mine.evidence = NULL;
	options_pipeline(o, &cfg);
	cfg.max_flows = 0; /* the engine's table bounds them */
	cfg.interval_s = 1;
	cfg.sink[cfg.nsinks++] = report_sink(r);
	cfg.record = report_record;
	cfg.record_arg = r;
	if (packets) {
		cfg.evidence = r->evidence = packets;
		cfg.sink[cfg.nsinks++] = evidence_sink(packets);
	}
	code = extras_open(&x, &mine, &cfg, why, sizeof(why));
	if (code) {
		evidence_free(packets);
		return fail(code, "%s", why);
	}
	p = pipeline_new(&cfg);
	if (!p) {
		extras_close(&x);
		evidence_free(packets);
		return fail(EX_OSERR, "can't start: out of memory. Free some.");
	}
	code = file_analyze(p, o->args[0], o->filter, o->max_flows, 0, &t);
	if (!code || code == EX_DATAERR) {
		pipeline_finish(p, &t);
		written = write_page(o, r, code == EX_DATAERR);
	}
	pipeline_free(p);
	extras_close(&x);
	evidence_free(packets);
	return code ? code : written;
}

static bool time_option(const char *name, const char *value, int64_t *us)
{
	if (!value || history_time(value, (int64_t)time(NULL) * 1000000, us))
		return true;
	fail(EX_USAGE, "can't use --%s \"%s\": no time. 30d, 12h, 45m, or 2026-11-23 or "
		       "2026-11-23T08:00Z.", name, value);
	return false;
}

static int of_history(const struct options *o, struct report *r)
{
	struct report_range range = { INT64_MIN, INT64_MAX, o->type, o->evidence };
	struct history_error e;
	sqlite3 *db;
	int code;

	if (!time_option("since", o->since, &range.since_us) ||
	    !time_option("until", o->until, &range.until_us))
		return EX_USAGE;
	if (range.since_us >= range.until_us)
		return fail(EX_USAGE, "--since %s is not before --until %s. Turn them round.", o->since,
			    o->until);
	db = history_open(o->history, false, &e);
	if (!db)
		return fail(e.code, "%s", e.text);
	if (report_history(r, db, &range))
		code = write_page(o, r, false);
	else
		code = fail(EX_IOERR, "can't read the history %s: %s. Try again, or check the disk.",
			    o->history, sqlite3_errmsg(db));
	sqlite3_close(db);
	return code;
}

int cmd_report(const struct options *o)
{
	const char *from = o->nargs ? o->args[0] : o->history;
	struct report *r;
	int code;

	if (!from)
		return fail(EX_USAGE, "of what? weir report CAPTURE, weir report --history FILE, or "
				      "[history] file in the configuration.");
	if (o->nargs && (o->since || o->until || o->type))
		return fail(EX_USAGE, "--since, --until and --type are of the history; a capture is "
				      "shown whole. Use --filter.");
	if (o->output && same_file(from, o->output))
		return fail(EX_USAGE, "can't write the report: %s is %s. Name another file.", o->output,
			    o->nargs ? "the capture" : "the history");
	r = report_new(o->nargs > 0);
	if (!r)
		return fail(EX_OSERR, "can't start: out of memory. Free some.");
	code = o->nargs ? of_capture(o, r) : of_history(o, r);
	report_free(r);
	return code;
}
