// SPDX-License-Identifier: GPL-2.0-or-later
/* The charts, as inline SVG: when, and how fast against the control. */
#include <math.h>
#include <string.h>

#include "format.h"
#include "html.h"
#include "report.h"

#define W 720.0
#define LEFT 96.0
#define RIGHT 700.0

static double span(const struct report *r)
{
	return r->end_ns > r->start_ns ? (double)(r->end_ns - r->start_ns) : 1;
}

static double x_of(const struct report *r, uint64_t ns)
{
	double x = ns > r->start_ns ? (ns - r->start_ns) / span(r) : 0;

	return LEFT + (RIGHT - LEFT) * (x < 1 ? x : 1);
}

/* Five marks of time under a plot that ends at y. */
static void time_axis(FILE *to, const struct report *r, double top, double y)
{
	for (unsigned i = 0; i < 5; i++) {
		uint64_t t = r->start_ns + (uint64_t)(span(r) * i / 4);
		char clock[16];

		format_clock(clock, t);
		fprintf(to, "<line class=\"g\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" y2=\"%.0f\"/>",
			x_of(r, t), x_of(r, t), top, y);
		fprintf(to, "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"%s\">%s</text>\n",
			x_of(r, t), y + 16, i == 4 ? "end" : "middle", clock);
	}
}

static const char *const kind_words[KIND_COUNT] = { "rate limit", "resets", "content", "DNS",
						    "drop" };

void report_timeline(FILE *to, const struct report *r)
{
	double y = 8, height = 8 + r->nfindings * 20.0;

	fprintf(to,
		"<div class=\"wide\"><svg role=\"img\" viewBox=\"0 0 %.0f %.0f\" aria-label=\"When "
		"each finding began and ended:",
		W, height + 24);
	for (unsigned i = 0; i < r->nfindings; i++) {
		const struct finding *f = &r->finding[i].f;

		fprintf(to, " #%u %s %s from ", f->id, level_name(f->level), kind_words[f->kind]);
		html_time(to, f->start_ns);
		if (f->end_ns) {
			fputs(" to ", to);
			html_time(to, f->end_ns);
		}
		fputc(';', to);
	}
	fputs("\">\n", to);
	time_axis(to, r, 4, height);
	for (unsigned i = 0; i < r->nfindings; i++, y += 20) {
		const struct finding *f = &r->finding[i].f;
		double a = x_of(r, f->start_ns), b = x_of(r, f->end_ns ? f->end_ns : r->end_ns);
		bool after = b < RIGHT - 150;

		fprintf(to, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">%s</text>", LEFT - 8,
			y + 12, kind_words[f->kind]);
		fprintf(to,
			"<rect class=\"%s\" x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"14\" "
			"rx=\"2\"/>",
			f->level >= LEVEL_LIKELY ? "ev" : "ev maybe", a, y, b - a > 3 ? b - a : 3);
		fprintf(to,
			"<text class=\"halo\" x=\"%.1f\" y=\"%.0f\" text-anchor=\"%s\">#%u "
			"%s%s</text>\n",
			after ? b + 6 : b - 6, y + 12, after ? "start" : "end", f->id,
			level_name(f->level), f->end_ns ? "" : ", to the end");
	}
	fputs("</svg></div>\n", to);
}

/* ---- the rate ---- */

struct plot {
	double bps[2][REPORT_BINS]; /* the type, the control */
	unsigned n;
	double max[2], top;	 /* bit/s; top: of the scale */
	double limit, low, high; /* as IP bytes count; NaN: none */
	unsigned control_types;
	char control_names[128];
};

#define PLOT_TOP 14.0
#define PLOT_BOTTOM 194.0

static double y_of(const struct plot *p, double bps)
{
	return PLOT_BOTTOM - (PLOT_BOTTOM - PLOT_TOP) * bps / p->top;
}

/* The control: the types the detector compared with, else all others together. */
static void fill(struct plot *p, const struct report *r, const struct report_finding *f)
{
	const struct report_series *s = &r->series;
	const struct fact *types = report_fact(&f->f.control, "types");
	bool named = types && *types->text;
	unsigned from = f->f.direction == DIRECTION_DOWN ? TO_CLIENT : TO_SERVER;
	unsigned until = f->f.direction == DIRECTION_UP ? TO_SERVER : TO_CLIENT;

	p->n = (unsigned)((s->end_ns - s->start_ns + s->width_ns - 1) / s->width_ns);
	p->n = p->n < REPORT_BINS ? p->n : REPORT_BINS;
	for (unsigned t = 0; t < r->ntypes; t++) {
		unsigned c = (int)t != f->series;
		bool any = false;

		if (c && named && !report_listed(types->text, r->type[t].name))
			continue;
		for (unsigned i = 0; i < p->n; i++) {
			/* The last bin may be a part of one. */
			double left = s->end_ns - (s->start_ns + (double)i * s->width_ns);
			double width = left < s->width_ns ? left : s->width_ns;

			for (unsigned w = from; w <= until; w++) {
				p->bps[c][i] += s->bytes[t][w][i] * 8e9 / width;
				any |= s->bytes[t][w][i] > 0;
			}
		}
		p->control_types += c && any;
	}
	for (unsigned c = 0; c < 2; c++)
		for (unsigned i = 0; i < p->n; i++)
			p->max[c] = fmax(p->max[c], p->bps[c][i]);
	snprintf(p->control_names, sizeof(p->control_names), "%s",
		 named ? types->text : "all other types together");
}

/* The curves count IP bytes, the limit those of layer 2: it is drawn as IP bytes. */
static void limit_of(struct plot *p, const struct finding *f)
{
	const struct fact *l2 = report_fact(&f->estimate, "limit_bps"),
			  *l3 = report_fact(&f->estimate, "limit_l3_bps"),
			  *low = report_fact(&f->estimate, "limit_bps_low"),
			  *high = report_fact(&f->estimate, "limit_bps_high");
	double share;

	p->limit = p->low = p->high = NAN;
	if (!l2 || !(l2->value > 0))
		return;
	share = l3 && l3->value > 0 ? l3->value / l2->value : 1;
	p->limit = l2->value * share;
	p->low = low ? low->value * share : NAN;
	p->high = high ? high->value * share : NAN;
}

static void curve(FILE *to, const struct report *r, const struct plot *p, unsigned c)
{
	const struct report_series *s = &r->series;

	fprintf(to, "<polyline class=\"%s\" points=\"", c ? "control" : "type");
	for (unsigned i = 0; i < p->n; i++) {
		uint64_t middle = s->start_ns + i * s->width_ns + s->width_ns / 2;

		fprintf(to, "%s%.1f,%.1f", i ? " " : "", x_of(r, middle), y_of(p, p->bps[c][i]));
	}
	fputs("\"/>\n", to);
}

static void limit_line(FILE *to, const struct report *r, const struct plot *p,
		       const struct finding *f)
{
	double a = x_of(r, f->start_ns), b = x_of(r, f->end_ns ? f->end_ns : r->end_ns);

	if (!isfinite(p->limit))
		return;
	if (isfinite(p->low) && isfinite(p->high))
		fprintf(to,
			"<rect class=\"band\" x=\"%.1f\" width=\"%.1f\" y=\"%.1f\" "
			"height=\"%.1f\"/>",
			a, b - a, y_of(p, p->high), fmax(y_of(p, p->low) - y_of(p, p->high), 1));
	fprintf(to, "<line class=\"lim\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n", a, b,
		y_of(p, p->limit), y_of(p, p->limit));
}

static void key(FILE *to, double y, const char *class, const char *text)
{
	fprintf(to,
		"<line class=\"%s\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.0f\" y2=\"%.0f\"/><text "
		"x=\"%.0f\" y=\"%.0f\">",
		class, LEFT, LEFT + 26, y - 4, y - 4, LEFT + 34, y);
	html_text(to, text);
}

/* 1, 2 or 5 times a power of ten, so that about four steps reach v. */
static double step_of(double v)
{
	double power = pow(10, floor(log10(v / 4))), x = v / 4 / power;

	return power * (x <= 1 ? 1 : x <= 2 ? 2 : x <= 5 ? 5 : 10);
}

void report_rates(FILE *to, const struct report *r, const struct report_finding *f)
{
	struct plot p = { 0 };
	double y = PLOT_BOTTOM + 36, own, step;
	const char *name;

	if (f->series < 0 || (unsigned)f->series >= r->ntypes || !r->series.end_ns)
		return;
	fill(&p, r, f);
	limit_of(&p, &f->f);
	own = fmax(p.max[0], isfinite(p.high) ? p.high : isfinite(p.limit) ? p.limit : 0);
	/* A control far above would press the type to the ground: it leaves the plot instead. */
	p.top = fmin(fmax(own, p.max[1]), own > 0 ? 12 * own : INFINITY) * 1.05;
	if (!(p.top > 0) || p.n < 2)
		return;
	step = step_of(p.top);
	name = r->type[f->series].name;
	fprintf(to,
		"<div class=\"wide\"><svg role=\"img\" viewBox=\"0 0 %.0f %.0f\" aria-label=\"Rate "
		"of ",
		W, PLOT_BOTTOM + 84);
	html_text(to, name);
	fputs(" over time, at most ", to);
	html_si(to, p.max[0], "bit/s");
	fputs("; of the control, at most ", to);
	html_si(to, p.max[1], "bit/s");
	if (isfinite(p.limit)) {
		fputs("; the limit found, ", to);
		html_si(to, p.limit, "bit/s");
	}
	fprintf(to,
		".\">\n<clipPath id=\"c%u\"><rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" "
		"height=\"%.0f\"/></clipPath>\n",
		f->f.id, LEFT, PLOT_TOP, RIGHT - LEFT, PLOT_BOTTOM - PLOT_TOP);
	for (unsigned i = 0; i <= 6 && i * step <= p.top; i++) {
		fprintf(to,
			"<line class=\"g\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/><text "
			"x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">",
			LEFT, RIGHT, y_of(&p, i * step), y_of(&p, i * step), LEFT - 6,
			y_of(&p, i * step) + 4);
		html_si(to, i * step, "bit/s");
		fputs("</text>\n", to);
	}
	time_axis(to, r, PLOT_TOP, PLOT_BOTTOM);
	fprintf(to, "<g clip-path=\"url(#c%u)\">\n", f->f.id);
	if (p.control_types)
		curve(to, r, &p, 1);
	curve(to, r, &p, 0);
	limit_line(to, r, &p, &f->f);
	fputs("</g>\n", to);
	key(to, y, "type", name);
	fprintf(to, " as it passed here, by %.3g s</text>\n", r->series.width_ns / 1e9);
	if (p.control_types) {
		key(to, y + 18, "control", "control: ");
		html_text(to, p.control_names);
		if (p.max[1] > p.top) {
			fputs("; up to ", to);
			html_si(to, p.max[1], "bit/s");
			fputs(", beyond the scale", to);
		}
		fputs("</text>\n", to);
	}
	if (isfinite(p.limit)) {
		key(to, y + 36, "lim", "limit ");
		html_si(to, p.limit, "bit/s");
		if (isfinite(p.low) && isfinite(p.high)) {
			fputs(", interval ", to);
			html_si(to, p.low, "bit/s");
			fputs(" to ", to);
			html_si(to, p.high, "bit/s");
		}
		fputs(" (in IP bytes)</text>\n", to);
	}
	fputs("</svg></div>\n", to);
}
