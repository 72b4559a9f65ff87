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

	for (unsigned i = 0; i < 5; i++) {
		uint64_t t = p->start_ns + (uint64_t)(range * i / 4);
		char text[32];

		svg_time(text, t, range / 1e9);
		fprintf(to, "<line class=\"g\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.0f\" y2=\"%.0f\"/>",
			svg_x(p, t), svg_x(p, t), p->top, p->bottom);
		fprintf(to, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"%s\">%s</text>\n",
			svg_x(p, t), p->bottom + 16, i == 4 ? "end" : "middle", text);
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
