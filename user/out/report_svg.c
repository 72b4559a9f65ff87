// SPDX-License-Identifier: GPL-2.0-or-later
#include "report_svg.h"

#include <math.h>
#include <string.h>

#include "format.h"
#include "html.h"

double svg_x(const struct svg_plot *p, uint64_t ns)
{
	double range = p->end_ns > p->start_ns ? (double)(p->end_ns - p->start_ns) : 1;
	double x = ns > p->start_ns ? (ns - p->start_ns) / range : 0;

	return p->left + (SVG_RIGHT - p->left) * (x < 1 ? x : 1);
}

double svg_y(const struct svg_plot *p, double v)
{
	return p->bottom - (p->bottom - p->top) * v / p->max;
}

void svg_time(char out[32], uint64_t ns, double range_s)
{
	char t[TIME_LEN];

	format_time(t, ns);
	if (range_s >= 60 * 86400.0)
		snprintf(out, 32, "%.10s", t);
	else if (range_s >= 36 * 3600.0)
		snprintf(out, 32, "%.5s %.5sZ", t + 5, t + 11);
	else if (range_s >= 600)
		snprintf(out, 32, "%.5sZ", t + 11);
	else
		snprintf(out, 32, "%.8sZ", t + 11);
}

void svg_time_axis(FILE *to, const struct svg_plot *p)
{
	double range = (double)(p->end_ns - p->start_ns);
	/* days need more room than times of day */
	unsigned n = p->left > 200 && range >= 36 * 3600e9 ? 3 : 4;

	for (unsigned i = 0; i <= n; i++) {
		uint64_t t = p->start_ns + (uint64_t)(range * i / n);
		char text[32];

		svg_time(text, t, range / 1e9);
		fprintf(to, "<line class=\"g\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.0f\" y2=\"%.0f\"/>",
			svg_x(p, t), svg_x(p, t), p->top, p->bottom);
		fprintf(to, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"%s\">%s</text>\n",
			svg_x(p, t), p->bottom + 16, i == n ? "end" : "middle", text);
	}
}

double svg_step(double v)
{
	double power = pow(10, floor(log10(v / 4))), x = v / 4 / power;

	return power * (x <= 1 ? 1 : x <= 2 ? 2 : x <= 5 ? 5 : 10);
}

void svg_value_axis(FILE *to, const struct svg_plot *p, const char *unit)
{
	double step = svg_step(p->max);

	for (unsigned i = 0; i <= 6 && i * step <= p->max; i++) {
		double y = svg_y(p, i * step);

		fprintf(to,
			"<line class=\"g\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/><text "
			"x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">",
			p->left, SVG_RIGHT, y, y, p->left - 6, y + 4);
		html_si(to, i * step, unit);
		fputs("</text>\n", to);
	}
}

void svg_key(FILE *to, double y, const char *class, const char *text)
{
	fprintf(to,
		"<line class=\"%s\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.0f\" y2=\"%.0f\"/><text "
		"x=\"%.0f\" y=\"%.0f\">",
		class, SVG_LEFT, SVG_LEFT + 26, y - 4, y - 4, SVG_LEFT + 34, y);
	html_text(to, text);
}

void svg_curve_begin(struct svg_curve *c, FILE *to, const char *class)
{
	*c = (struct svg_curve){ .to = to };
	fprintf(to, "<path class=\"%s\" d=\"", class);
}

static void write_point(struct svg_curve *c, int x, int y)
{
	if (!c->points++) {
		fprintf(c->to, "M%d %dl", x, y);
	} else {
		fprintf(c->to, "%s%d%s%d", c->points > 2 ? " " : "", x - c->x, y < c->y ? "" : " ",
			y - c->y);
	}
	c->x = x;
	c->y = y;
}

void svg_curve_point(struct svg_curve *c, double x, double y)
{
	int px = (int)lround(x), py = (int)lround(fmin(fmax(y, -99999), 99999));

	if (c->held && (c->held_y != c->y || py != c->y || !c->points))
		write_point(c, c->held_x, c->held_y);
	c->held = 1;
	c->held_x = px;
	c->held_y = py;
}

void svg_curve_end(struct svg_curve *c)
{
	if (c->held)
		write_point(c, c->held_x, c->held_y);
	/* "l" wants a point */
	fputs(c->points < 2 ? "0 0\"/>\n" : "\"/>\n", c->to);
}
