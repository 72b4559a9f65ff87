// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When, from minutes to years: a lane for each type and kind of interference.
 * The lanes of an application stand together, as it usually comes: media first,
 * then calls, then text.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "html.h"
#include "report.h"
#include "report_svg.h"

#define LANES 24
#define BARS  300 /* drawn at most in a lane */
#define ROW   22.0
#define LEFT  252.0

struct lane {
	const char *subject;
	size_t app; /* letters of the subject that name the application */
	enum kind kind;
	enum level level; /* the highest */
	unsigned channel, times;
	bool open;
	uint64_t first_ns, last_ns, total_ns, app_first_ns;
};

static const char *const kind_words[KIND_COUNT] = { "rate limit", "resets", "content", "DNS",
						    "drop" };

static const struct {
	const char *suffix;
	unsigned rank;
} channels[] = { { "-media", 0 }, { "-call", 1 }, { "-text", 2 } };

static void channel_of(struct lane *l)
{
	size_t n = strlen(l->subject);

	l->app = n;
	l->channel = 3;
	for (unsigned i = 0; i < sizeof(channels) / sizeof(*channels); i++) {
		size_t m = strlen(channels[i].suffix);

		if (n > m && !strcmp(l->subject + n - m, channels[i].suffix)) {
			l->app = n - m;
			l->channel = channels[i].rank;
		}
	}
}

static bool same_app(const struct lane *a, const struct lane *b)
{
	return a->app == b->app && !memcmp(a->subject, b->subject, a->app);
}

static int in_order(const void *a, const void *b)
{
	const struct lane *x = a, *y = b;
	int c;

	if (!same_app(x, y)) {
		if (x->app_first_ns != y->app_first_ns)
			return x->app_first_ns < y->app_first_ns ? -1 : 1;
		c = strcmp(x->subject, y->subject);
		return c ? c : (int)x->kind - (int)y->kind;
	}
	if (x->channel != y->channel)
		return x->channel < y->channel ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

static unsigned lanes_of(const struct report *r, struct lane *lane, unsigned *left_out)
{
	unsigned n = 0;

	*left_out = 0;
	for (unsigned i = 0; i < r->nspans; i++) {
		const struct report_span *s = &r->span[i];
		unsigned k = 0;

		while (k < n && (lane[k].kind != s->kind || strcmp(lane[k].subject, s->subject)))
			k++;
		if (k == LANES) {
			++*left_out;
			continue;
		}
		if (k == n) {
			lane[n++] = (struct lane){ .subject = s->subject, .kind = s->kind,
						   .first_ns = s->start_ns, .level = s->level };
			channel_of(&lane[k]);
		}
		lane[k].times += s->times;
		lane[k].open |= s->open;
		lane[k].level = s->level > lane[k].level ? s->level : lane[k].level;
		lane[k].last_ns = s->end_ns > lane[k].last_ns ? s->end_ns : lane[k].last_ns;
		lane[k].total_ns += s->end_ns > s->start_ns ? s->end_ns - s->start_ns : 0;
	}
	for (unsigned i = 0; i < n; i++) {
		lane[i].app_first_ns = lane[i].first_ns;
		for (unsigned k = 0; k < n; k++)
			if (same_app(&lane[i], &lane[k]) && lane[k].first_ns < lane[i].app_first_ns)
				lane[i].app_first_ns = lane[k].first_ns;
	}
	qsort(lane, n, sizeof(*lane), in_order);
	return n;
}

static void bars(FILE *to, const struct report *r, const struct svg_plot *p, const struct lane *l,
		 double y)
{
	/* the weaker claims first, so that the stronger cover them */
	for (unsigned strong = 0; strong < 2; strong++) {
		unsigned drawn = 0;
		double from = -1, until = -1;

		for (unsigned i = 0; i <= r->nspans && drawn < BARS; i++) {
			const struct report_span *s = &r->span[i];
			double a, b;

			if (i < r->nspans && ((s->level >= LEVEL_LIKELY) != strong || s->kind != l->kind ||
					      strcmp(s->subject, l->subject)))
				continue;
			a = i < r->nspans ? svg_x(p, s->start_ns) : INFINITY;
			b = i < r->nspans ? fmax(svg_x(p, s->end_ns), a + 2) : INFINITY;
			/* what is less than a pixel apart is one bar */
			if (until >= 0 && a <= until + 1) {
				until = fmax(until, b);
				continue;
			}
			if (until >= 0)
				fprintf(to, "%sM%.1f %.0fh%.1fv14h%.1fz",
					drawn++ ? "" : strong ? "<path class=\"ev\" d=\""
							      : "<path class=\"ev maybe\" d=\"",
					from, y, until - from, from - until);
			from = a;
			until = b;
		}
		if (drawn)
			fputs("\"/>", to);
	}
}

static void label(FILE *to, const struct lane *l)
{
	char subject[24];
	size_t n = strlen(l->subject);

	/* whole characters only */
	snprintf(subject, sizeof(subject), "%s", l->subject);
	for (size_t i = strlen(subject); n > i && i && ((unsigned char)subject[i - 1] & 0x80); i--)
		subject[i - 1] = 0;
	html_text(to, subject);
	if (n > strlen(subject))
		fputs("...", to);
	fprintf(to, ": %s", kind_words[l->kind]);
}

static void day(FILE *to, uint64_t ns, double range_s)
{
	char t[32];

	svg_time(t, ns, range_s);
	fputs(t, to);
}

/* In which order an application's channels were hit, where more than one was. */
static void order(FILE *to, const struct lane *lane, unsigned n, double range_s)
{
	for (unsigned i = 0; i < n; i++) {
		const struct lane *in[8];
		unsigned k = 0;

		if (i && same_app(&lane[i], &lane[i - 1]))
			continue;
		for (unsigned j = i; j < n && same_app(&lane[i], &lane[j]) && k < 8; j++)
			if (lane[j].level < LEVEL_LIKELY || lane[j].channel == 3)
				continue;
			else if (!k || in[k - 1]->channel != lane[j].channel)
				in[k++] = &lane[j];
			else if (lane[j].first_ns < in[k - 1]->first_ns)
				in[k - 1] = &lane[j];
		if (k < 2)
			continue;
		for (unsigned a = 1; a < k; a++)
			for (unsigned b = a; b && in[b]->first_ns < in[b - 1]->first_ns; b--) {
				const struct lane *x = in[b];

				in[b] = in[b - 1];
				in[b - 1] = x;
			}
		fputs("<p>First ", to);
		for (unsigned a = 0; a < k; a++) {
			fputs(a ? ", then " : "", to);
			html_text(to, in[a]->subject);
			fputs(" (since ", to);
			day(to, in[a]->first_ns, range_s);
			fputs(")", to);
		}
		fputs(".</p>\n", to);
	}
}

static void table(FILE *to, const struct lane *lane, unsigned n)
{
	fputs("<div class=\"wide\"><table><thead><tr><th>What</th><th>How</th><th class=\"n\">Times"
	      "</th><th>First</th><th>Last</th><th class=\"n\">In all</th></tr></thead><tbody>\n",
	      to);
	for (unsigned i = 0; i < n; i++) {
		char age[16];

		fputs("<tr><th>", to);
		html_text(to, lane[i].subject);
		fprintf(to, "</th><td>%s, %s</td><td class=\"n\">%u</td><td>", kind_words[lane[i].kind],
			level_name(lane[i].level), lane[i].times);
		html_time(to, lane[i].first_ns);
		fputs("</td><td>", to);
		if (lane[i].open)
			fputs("still on at the end", to);
		else
			html_time(to, lane[i].last_ns);
		format_age(age, (double)lane[i].total_ns / 1e9);
		fprintf(to, "</td><td class=\"n\">%s</td></tr>\n", age);
	}
	fputs("</tbody></table></div>\n", to);
}

void report_timeline(FILE *to, const struct report *r)
{
	struct lane lane[LANES];
	unsigned left_out, n = lanes_of(r, lane, &left_out);
	double range_s = r->end_ns > r->start_ns ? (r->end_ns - r->start_ns) / 1e9 : 1;
	struct svg_plot p = { LEFT, 4, 8 + n * ROW, r->start_ns, r->end_ns, 0 };

	if (!n)
		return;
	order(to, lane, n, range_s);
	fprintf(to,
		"<div class=\"wide\"><svg role=\"img\" viewBox=\"0 0 %.0f %.0f\" aria-label=\"When "
		"each was found:",
		SVG_W, p.bottom + 24);
	for (unsigned i = 0; i < n; i++) {
		fputc(' ', to);
		html_text(to, lane[i].subject);
		fprintf(to, ", %s, %s, %u time%s from ", kind_words[lane[i].kind],
			level_name(lane[i].level), lane[i].times, lane[i].times == 1 ? "" : "s");
		html_time(to, lane[i].first_ns);
		if (!lane[i].open) {
			fputs(" to ", to);
			html_time(to, lane[i].last_ns);
		}
		fputc(';', to);
	}
	fputs("\">\n", to);
	svg_time_axis(to, &p);
	for (unsigned i = 0; i < n; i++) {
		double y = 8 + i * ROW;

		fprintf(to, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">", LEFT - 10, y + 11);
		label(to, &lane[i]);
		fputs("</text>", to);
		bars(to, r, &p, &lane[i], y);
		fputc('\n', to);
	}
	fputs("</svg></div>\n<p class=\"dim\">Full colour: likely, a claim. Pale: possible.", to);
	if (left_out)
		fprintf(to, " %u more are not shown.", left_out);
	fputs("</p>\n", to);
	table(to, lane, n);
}
