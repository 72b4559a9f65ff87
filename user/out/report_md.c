// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The report as Markdown: the page, its few elements turned into Markdown's, a
 * chart into the words that stand for it. So both always say the same. References
 * (&lt; and the like) mean the same in both and stay.
 */
#include <stdlib.h>
#include <string.h>

#include "report.h"

struct md {
	FILE *to;
	bool quiet, cell, blank, code; /* quiet: not to be seen; blank: an empty line was just written */
	bool begin; /* at a line's */
	unsigned columns;
};

static void put(struct md *m, const char *text)
{
	fputs(text, m->to);
	m->blank = false;
	m->begin = *text && text[strlen(text) - 1] == '\n';
}

static void paragraph(struct md *m)
{
	if (!m->blank)
		fputs("\n\n", m->to);
	m->blank = m->begin = true;
}

static void character(struct md *m, char c);

/* The text of an attribute in a tag, as it stands there. */
static void attribute(struct md *m, const char *tag, size_t len, const char *name)
{
	const char *at = memmem(tag, len, name, strlen(name)), *end;

	if (!at)
		return;
	at += strlen(name);
	end = memchr(at, '"', (size_t)(tag + len - at));
	paragraph(m);
	put(m, "*Chart: ");
	for (; end && at < end; at++)
		character(m, *at);
	put(m, "*");
	paragraph(m);
}

static bool is(const char *tag, size_t len, const char *name)
{
	size_t n = strlen(name);

	return len >= n && !memcmp(tag, name, n) && (len == n || tag[n] == ' ' || tag[n] == '/');
}

static void opened(struct md *m, const char *tag, size_t len)
{
	if (is(tag, len, "style") || is(tag, len, "title") || is(tag, len, "svg"))
		m->quiet = true;
	if (is(tag, len, "svg"))
		attribute(m, tag, len, "aria-label=\"");
	else if (is(tag, len, "h1") || is(tag, len, "h2") || is(tag, len, "h3")) {
		paragraph(m);
		put(m, tag[1] == '1' ? "# " : tag[1] == '2' ? "## " : "### ");
	} else if (is(tag, len, "p") || is(tag, len, "div") || is(tag, len, "ul") || is(tag, len, "table"))
		paragraph(m);
	else if (is(tag, len, "li"))
		put(m, "- ");
	else if (is(tag, len, "b"))
		put(m, "**");
	else if (is(tag, len, "i"))
		put(m, "*");
	else if (is(tag, len, "code")) {
		put(m, "`");
		m->code = true;
	} else if (is(tag, len, "br"))
		put(m, "  \n");
	else if (is(tag, len, "tr"))
		put(m, "|");
	else if (is(tag, len, "td") || is(tag, len, "th")) {
		put(m, " ");
		m->cell = true;
		m->columns++;
	}
	if (is(tag, len, "thead"))
		m->columns = 0;
}

static void closed(struct md *m, const char *tag, size_t len)
{
	if (is(tag, len, "style") || is(tag, len, "title") || is(tag, len, "svg"))
		m->quiet = false;
	else if (is(tag, len, "p") || is(tag, len, "div") || is(tag, len, "ul") ||
		 is(tag, len, "table") || is(tag, len, "h1") || is(tag, len, "h2") || is(tag, len, "h3"))
		paragraph(m);
	else if (is(tag, len, "li") || is(tag, len, "tr"))
		put(m, "\n");
	else if (is(tag, len, "b"))
		put(m, "**");
	else if (is(tag, len, "i"))
		put(m, "*");
	else if (is(tag, len, "code")) {
		put(m, "`");
		m->code = false;
	} else if (is(tag, len, "td") || is(tag, len, "th")) {
		put(m, " |");
		m->cell = false;
	} else if (is(tag, len, "thead")) {
		put(m, "|");
		for (unsigned i = 0; i < m->columns; i++)
			put(m, "---|");
		put(m, "\n");
	}
}

/* In code references would be shown as they are written. */
static size_t reference(struct md *m, const char *p)
{
	static const struct {
		const char *ref, *is;
	} all[] = { { "&lt;", "<" }, { "&gt;", ">" }, { "&amp;", "&" }, { "&quot;", "\"" },
		    { "&#39;", "'" }, { "&#58;", ":" } };

	for (unsigned i = 0; m->code && i < sizeof(all) / sizeof(*all); i++)
		if (!strncmp(p, all[i].ref, strlen(all[i].ref))) {
			put(m, all[i].is);
			return strlen(all[i].ref);
		}
	put(m, "&");
	return 1;
}

/* What Markdown would take for its own; '#' and '-' only matter at a line's begin, where none is. */
static void character(struct md *m, char c)
{
	if (c == '\n' || c == '\t') {
		if (!m->blank && !m->begin)
			fputc(' ', m->to);
		return;
	}
	if (c == '`' && m->code)
		c = '\'';
	else if (!m->code && strchr("\\`*_[]|~", c))
		fputc('\\', m->to);
	else if (m->code && c == '|' && m->cell)
		fputc('\\', m->to);
	fputc(c, m->to);
	m->blank = m->begin = false;
}

void report_md(FILE *to, struct report *r, const struct report_source *source)
{
	struct md m = { .to = to, .blank = true };
	char *page = NULL;
	const char *p, *end;
	size_t len;
	FILE *f = open_memstream(&page, &len);

	if (!f)
		return;
	report_html(f, r, source);
	if (fclose(f)) {
		free(page);
		return;
	}
	p = strstr(page, "<body>");
	for (p = p ? p + 6 : page; *p;) {
		if (*p == '<') {
			end = strchr(p, '>');
			if (!end)
				break;
			if (p[1] == '/')
				closed(&m, p + 2, (size_t)(end - p - 2));
			else
				opened(&m, p + 1, (size_t)(end - p - 1));
			p = end + 1;
		} else if (m.quiet) {
			p++;
		} else if (*p == '&') {
			p += reference(&m, p);
		} else {
			character(&m, *p++);
		}
	}
	free(page);
}
