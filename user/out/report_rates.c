// SPDX-License-Identifier: GPL-2.0-or-later
/* How fast against the control, and how many bytes against the token line. */
#include <math.h>
#include <string.h>

#include "format.h"
#include "html.h"
#include "report.h"
#include "report_svg.h"

#define PLOT_TOP 14.0
#define PLOT_BOTTOM 194.0

/* The curves count IP bytes, the limit those of layer 2: it is drawn as IP bytes. */
double report_limit(const struct finding *f, double *low, double *high)
{
	const struct fact *l2 = report_fact(&f->estimate, "limit_bps"),
			  *l3 = report_fact(&f->estimate, "limit_l3_bps"),
			  *a = report_fact(&f->estimate, "limit_bps_low"),
			  *b = report_fact(&f->estimate, "limit_bps_high");
	double share;

	*low = *high = NAN;
	if (!l2 || !(l2->value > 0))
		return NAN;
	share = l3 && l3->value > 0 ? l3->value / l2->value : 1;
	*low = a ? a->value * share : NAN;
	*high = b ? b->value * share : NAN;
	return l2->value * share;
}

static void clip_path(FILE *to, const char *name, unsigned id)
{
	fprintf(to,
		"<clipPath id=\"%s%u\"><rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" "
		"height=\"%.0f\"/></clipPath>\n",
		name, id, SVG_LEFT, PLOT_TOP, SVG_RIGHT - SVG_LEFT, PLOT_BOTTOM - PLOT_TOP);
}

static void limit_text(FILE *to, double limit, double low, double high)
{
	html_si(to, limit, "bit/s");
	if (isfinite(low) && isfinite(high)) {
		fputs(", interval ", to);
		html_si(to, low, "bit/s");
		fputs(" to ", to);
		html_si(to, high, "bit/s");
	}
	fputs(" (in IP bytes)", to);
}

static uint64_t end_of(const struct finding *f, uint64_t otherwise)
{
	return f->end_ns ? f->end_ns : otherwise;
}

/* ---- the rate ---- */

/* Bit/s in a bin; the last one may be a part of one. */
static double rate(const struct report_plot *p, unsigned c, unsigned i)
{
	double left = p->end_ns - (p->start_ns + (double)i * p->width_ns);

	return p->bytes[c][i] * 8e9 / (left > 0 && left < p->width_ns ? left : p->width_ns);
}

static void curve(FILE *to, const struct svg_plot *s, const struct report_plot *p, unsigned c)
{
	struct svg_curve line;

	svg_curve_begin(&line, to, c ? "control" : "type");
	for (unsigned i = 0; i < p->n; i++)
		svg_curve_point(&line, svg_x(s, p->start_ns + i * p->width_ns + p->width_ns / 2),
				svg_y(s, rate(p, c, i)));
	svg_curve_end(&line);
}

static void limit_line(FILE *to, const struct svg_plot *s, const struct finding *f)
{
	double a = svg_x(s, f->start_ns), b = svg_x(s, end_of(f, s->end_ns)), low, high,
	       limit = report_limit(f, &low, &high);

	if (!isfinite(limit))
		return;
	if (isfinite(low) && isfinite(high))
		fprintf(to,
			"<rect class=\"band\" x=\"%.1f\" width=\"%.1f\" y=\"%.1f\" "
			"height=\"%.1f\"/>",
			a, b - a, svg_y(s, high), fmax(svg_y(s, low) - svg_y(s, high), 1));
	fprintf(to, "<line class=\"lim\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n", a,
		b, svg_y(s, limit), svg_y(s, limit));
}

void report_rates(FILE *to, const struct report *r, const struct report_finding *f)
{
	const struct report_plot *p = &f->plot;
	struct svg_plot s = { SVG_LEFT, PLOT_TOP, PLOT_BOTTOM, p->start_ns, p->end_ns, 0 };
	double y = PLOT_BOTTOM + 36, own, low, high, limit = report_limit(&f->f, &low, &high),
	       max[2] = { 0 };
	const char *name;
	char width[16];

	if (f->series < 0 || (unsigned)f->series >= r->ntypes || p->n < 2)
		return;
	for (unsigned c = 0; c < 2; c++)
		for (unsigned i = 0; i < p->n; i++)
			max[c] = fmax(max[c], rate(p, c, i));
	own = fmax(max[0], isfinite(high) ? high : isfinite(limit) ? limit : 0);
	/* A control far above would press the type to the ground: it leaves the plot instead. */
	s.max = fmin(fmax(own, max[1]), own > 0 ? 12 * own : INFINITY) * 1.05;
	if (!(s.max > 0))
		return;
	name = r->type[f->series].name;
	fprintf(to,
		"<h3>Delivered rate against the control</h3>\n<div class=\"wide\"><svg role=\"img\" "
		"viewBox=\"0 0 %.0f %.0f\" aria-label=\"Rate of ",
		SVG_W, PLOT_BOTTOM + 84);
	html_text(to, name);
	fputs(" over time, at most ", to);
	html_si(to, max[0], "bit/s");
	fputs("; of the control, at most ", to);
	html_si(to, max[1], "bit/s");
	if (isfinite(limit)) {
		fputs("; the limit found, ", to);
		html_si(to, limit, "bit/s");
	}
	fputs(".\">\n", to);
	clip_path(to, "c", f->f.id);
	svg_value_axis(to, &s, "bit/s");
	svg_time_axis(to, &s);
	fprintf(to, "<g clip-path=\"url(#c%u)\">\n", f->f.id);
	if (p->control_types)
		curve(to, &s, p, 1);
	curve(to, &s, p, 0);
	limit_line(to, &s, &f->f);
	fputs("</g>\n", to);
	svg_key(to, y, "type", name);
	format_age(width, p->width_ns / 1e9);
	fprintf(to, " as it passed here, by %s</text>\n", width);
	if (p->control_types) {
		svg_key(to, y + 18, "control", "control: ");
		html_text(to, p->control_names);
		if (max[1] > s.max) {
			fputs("; up to ", to);
			html_si(to, max[1], "bit/s");
			fputs(", beyond the scale", to);
		}
		fputs("</text>\n", to);
	}
	if (isfinite(limit)) {
		svg_key(to, y + 36, "lim", "limit ");
		limit_text(to, limit, low, high);
		fputs("</text>\n", to);
	}
	fputs("</svg></div>\n", to);
}

/* ---- bytes over time ---- */

/* The highest the curve ever stands above a line of that slope through the start: the token line's foot. */
static double foot(const struct report_curve *c, const struct finding *f, double bytes_per_ns)
{
	double sum = 0, most = -INFINITY;
	uint64_t end = end_of(f, UINT64_MAX);

	for (unsigned i = 0; i < c->n; i++) {
		uint64_t t = c->start_ns + (i + 1) * c->width_ns;

		sum += c->bytes[i];
		if (t + c->width_ns < f->start_ns || c->start_ns + i * c->width_ns > end)
			continue;
		most = fmax(most, sum - bytes_per_ns * (double)(t - c->start_ns));
	}
	return most;
}

static void passed(FILE *to, const struct svg_plot *s, const struct report_curve *c)
{
	struct svg_curve line;
	double sum = 0;

	svg_curve_begin(&line, to, "type");
	svg_curve_point(&line, svg_x(s, c->start_ns), svg_y(s, 0));
	for (unsigned i = 0; i < c->n; i++) {
		sum += c->bytes[i];
		svg_curve_point(&line, svg_x(s, c->start_ns + (i + 1) * c->width_ns), svg_y(s, sum));
	}
	svg_curve_end(&line);
}

/* A mark where packets were lost, as high as many were. Of two bins one. Returns how many were lost. */
static double losses(FILE *to, const struct svg_plot *s, const struct report_curve *c)
{
	double sum = 0, most = 0, all = 0;

	for (unsigned i = 0; i < c->n; i++) {
		most = fmax(most, c->lost[i] + (i % 2 ? c->lost[i - 1] : 0));
		all += c->lost[i];
	}
	if (!(most > 0))
		return 0;
	fputs("<path class=\"loss\" d=\"", to);
	for (unsigned i = 0; i < c->n; i++) {
		double lost = c->lost[i] + (i % 2 ? c->lost[i - 1] : 0);

		sum += c->bytes[i];
		if ((i % 2 || i + 1 == c->n) && lost >= 0.5)
			fprintf(to, "M%.0f %.0fv%.0f", svg_x(s, c->start_ns + i * c->width_ns),
				svg_y(s, sum) + 3, 4 + 14 * lost / most);
	}
	fputs("\"/>\n", to);
	return all;
}

void report_bytes(FILE *to, const struct report *r, const struct report_finding *f)
{
	const struct report_curve *c = &f->curve;
	struct svg_plot s = { SVG_LEFT, PLOT_TOP, PLOT_BOTTOM, c->start_ns,
			      c->start_ns + c->n * c->width_ns, 0 };
	const struct fact *burst = report_fact(&f->f.estimate, "burst_bytes");
	double low, high, limit = report_limit(&f->f, &low, &high), sum = 0, b0, slope, lost,
	       y = PLOT_BOTTOM + 36;
	uint64_t a, b;

	for (unsigned i = 0; i < c->n; i++)
		sum += c->bytes[i];
	if (c->n < 2 || !(sum > 0) || !isfinite(limit))
		return;
	s.max = sum * 1.08;
	slope = limit / 8e9;
	b0 = foot(c, &f->f, slope);
	fprintf(to,
		"<h3>Bytes over time, and the token line</h3>\n<div class=\"wide\"><svg role=\"img\" "
		"viewBox=\"0 0 %.0f %.0f\" aria-label=\"Bytes that had passed, in all ",
		SVG_W, PLOT_BOTTOM + 84);
	html_si(to, sum, "B");
	fputs(", against a line that rises at the limit: the curve meets it and never crosses "
	      "it.\">\n",
	      to);
	clip_path(to, "b", f->f.id);
	svg_value_axis(to, &s, "B");
	svg_time_axis(to, &s);
	fprintf(to, "<g clip-path=\"url(#b%u)\">\n", f->f.id);
	a = f->f.start_ns > s.start_ns ? f->f.start_ns : s.start_ns;
	b = end_of(&f->f, s.end_ns);
	b = b < s.end_ns ? b : s.end_ns;
	if (isfinite(b0) && b > a)
		fprintf(to, "<line class=\"lim\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
			svg_x(&s, a), svg_x(&s, b), svg_y(&s, b0 + slope * (double)(a - s.start_ns)),
			svg_y(&s, b0 + slope * (double)(b - s.start_ns)));
	passed(to, &s, c);
	lost = losses(to, &s, c);
	fputs("</g>\n", to);
	svg_key(to, y, "type", "IP bytes that had passed, ");
	if (c->flows)
		fprintf(to, "of %u flow%s that show it</text>\n", c->flows, c->flows == 1 ? "" : "s");
	else
		fputs("of the whole type</text>\n", to);
	svg_key(to, y + 18, "lim", "token line: it rises at ");
	html_si(to, limit, "bit/s");
	if (burst && burst->value > 0) {
		fputs("; the bucket lets ", to);
		html_si(to, burst->value, "B");
		fputs(" more through at first", to);
	}
	fputs("</text>\n", to);
	svg_key(to, y + 36, "loss", "");
	fprintf(to, "lost packets, %.0f in all, by when they were sent again</text>\n", lost);
	fputs("</svg></div>\n", to);
}
