/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a finding says, by name. */
#ifndef FACTS_H
#define FACTS_H

#include <math.h>
#include <string.h>

#include "findings.h"

/* NAN: it does not say. */
static inline double fact(const struct facts *s, const char *name)
{
	for (unsigned i = 0; i < s->n; i++)
		if (!strcmp(s->fact[i].name, name))
			return s->fact[i].value;
	return NAN;
}

#endif
