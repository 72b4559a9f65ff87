// SPDX-License-Identifier: GPL-2.0-or-later
/* Loss by type: a dot each way, with its interval. */
#include <math.h>
#include <stdlib.h>

#include "html.h"
#include "report.h"
#include "report_svg.h"
#include "stats.h"

#define Z95	1.959964
#define ROWS	14
#define ROW	30.0
#define LEFT	170.0

struct dot {
	const struct type_stats *t;
	double share[2], n[2];
	struct range range[2];
};

static double weight(const struct dot *d)
{
	return d->n[0] + d->n[1];
}

static int by_weight(const void *a, const void *b)
{
	double x = weight(a), y = weight(b);

	return x < y ? 1 : x > y ? -1 : 0;
}

void report_losses(FILE *to, const struct report *r)
{
	static const char *const class[] = { "up", "ev" };
	struct dot dot[MAX_TYPES];
	unsigned n = 0;
	double max = 0.01, height;
	struct svg_plot s = { .left = LEFT, .top = 8 };

	for (unsigned i = 0; i < r->ntypes; i++) {
		struct dot *d = &dot[n];
		bool any = false;

		d->t = &r->type[i];
		for (unsigned w = 0; w < 2; w++) {
			d->share[w] = loss_ratio(d->t, w);
			d->n[w] = (double)(d->t->tcp_data_packets[w] + d->t->lost[w]);
			if (!isfinite(d->share[w]))
				continue;
			d->range[w] = stats_wilson((double)d->t->lost[w], d->n[w], Z95);
			any = true;
		}
		n += any;
	}
	if (!n)
		return;
	qsort(dot, n, sizeof(*dot), by_weight);
	n = n < ROWS ? n : ROWS;
	for (unsigned i = 0; i < n; i++)
		for (unsigned w = 0; w < 2; w++)
			if (isfinite(dot[i].share[w]))
				max = fmax(max, fmin(dot[i].range[w].high, 2 * dot[i].share[w] + 0.05));
	max = fmin(max * 1.05, 1);
	height = s.top + n * ROW;
	fprintf(to,
		"<div class=\"wide\"><svg role=\"img\" viewBox=\"0 0 %.0f %.0f\" aria-label=\"Loss by "
		"type, with its interval:",
		SVG_W, height + 44);
	for (unsigned i = 0; i < n; i++) {
		fputc(' ', to);
		html_text(to, dot[i].t->name);
		for (unsigned w = 2; w--;)
			if (isfinite(dot[i].share[w]))
				fprintf(to, " %s %.2f %%", w ? "to clients" : "to servers",
					100 * dot[i].share[w]);
		fputc(';', to);
	}
	fputs("\">\n", to);
	for (unsigned i = 0; i <= 10 && i * svg_step(max) <= max; i++) {
		double x = LEFT + (SVG_RIGHT - LEFT) * i * svg_step(max) / max;

		fprintf(to,
			"<line class=\"g\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.0f\" y2=\"%.0f\"/><text "
			"x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\">%.3g %%</text>\n",
			x, x, s.top, height, x, height + 16, 100 * svg_step(max) * i);
	}
	for (unsigned i = 0; i < n; i++) {
		double y = s.top + i * ROW + ROW / 2;

		fprintf(to, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">", LEFT - 10, y + 4);
		html_text(to, dot[i].t->name);
		fputs("</text>", to);
		for (unsigned w = 0; w < 2; w++) {
			const struct dot *d = &dot[i];
			double scale = (SVG_RIGHT - LEFT) / max, at = y + (w ? -6 : 6);

			if (!isfinite(d->share[w]))
				continue;
			fprintf(to,
				"<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
				"<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>",
				w ? "type" : "control", LEFT + fmin(d->range[w].low, max) * scale,
				LEFT + fmin(d->range[w].high, max) * scale, at, at, class[w],
				LEFT + fmin(d->share[w], max) * scale, at);
		}
		fputc('\n', to);
	}
	svg_key(to, height + 38, "type", "to clients");
	fputs("</text>\n", to);
	fprintf(to,
		"<line class=\"control\" x1=\"280\" x2=\"306\" y1=\"%.0f\" y2=\"%.0f\"/><text "
		"x=\"314\" y=\"%.0f\">to servers; dots with 95 %% intervals</text>\n</svg></div>\n",
		height + 34, height + 34, height + 38);
}
