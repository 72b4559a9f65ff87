// SPDX-License-Identifier: GPL-2.0-or-later
/* A finding's estimate, reasons and what was ruled out, for people. */
#include <math.h>

#include "format.h"
#include "out.h"

static void value(const char *name, double v)
{
	if (v == floor(v) && fabs(v) < 9e15)
		output_printf("%s%.0f", name, v);
	else if (fabs(v) >= 1e6)
		output_printf("%s%.0f", name, v);
	else
		output_printf("%s%.4g", name, v);
}

static void list(const char *title, const struct facts *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct fact *f = &s->fact[i];
		char text[sizeof(f->text)];

		output_printf("    %-10s %s", i ? "" : title, f->name);
		if (isfinite(f->value))
			value(" ", f->value);
		if (isfinite(f->control))
			value(", control ", f->control);
		format_plain(text, sizeof(text), f->text);
		output_printf("%s%s\n", *text ? ": " : "", text);
	}
}

void finding_why(const struct finding *f)
{
	list("estimate", &f->estimate);
	list("control", &f->control);
	list("because", &f->reasons);
	list("ruled out", &f->ruled_out);
}
