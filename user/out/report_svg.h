/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the report's charts have in common: a plot's frame, its scales, its key. */
#ifndef WEIR_REPORT_SVG_H
#define WEIR_REPORT_SVG_H

#include <stdint.h>
#include <stdio.h>

#define SVG_W	  720.0
#define SVG_RIGHT 700.0
#define SVG_LEFT  96.0

struct svg_plot {
	double left, top, bottom;   /* of the plot; its right is SVG_RIGHT */
	uint64_t start_ns, end_ns;
	double max; /* value at the top */
};

double svg_x(const struct svg_plot *p, uint64_t ns);
double svg_y(const struct svg_plot *p, double v);

/* Four or five marks of time below the plot, told as finely as the range needs. */
void svg_time_axis(FILE *to, const struct svg_plot *p);

/* About four lines of value, with the unit. */
void svg_value_axis(FILE *to, const struct svg_plot *p, const char *unit);

/* 1, 2 or 5 times a power of ten, so that about four steps reach v. */
double svg_step(double v);

/* A line of the key at y: how the class looks, and its text, which the caller ends with </text>. */
void svg_key(FILE *to, double y, const char *class, const char *text);

/*
 * A curve, point by point from the left, as short as it can be said: whole
 * units of a plot that has 600 by 180, no point within a level run.
 */
struct svg_curve {
	FILE *to;
	int x, y;		  /* of the last point written */
	int held_x, held_y, held; /* one that may yet be left out */
	int points;
};

void svg_curve_begin(struct svg_curve *c, FILE *to, const char *class);
void svg_curve_point(struct svg_curve *c, double x, double y);
void svg_curve_end(struct svg_curve *c);

/* Day, or day and hour, or time of day: as fine as a range of so many seconds needs. */
void svg_time(char out[32], uint64_t ns, double range_s);

#endif
