// SPDX-License-Identifier: GPL-2.0-or-later
#include "names.h"

#include <string.h>

#define X(id, name) name,
static const char *const l7_names[] = { WEIR_L7_LIST(X) };
static const char *const kinds[] = { KIND_LIST(X) };
static const char *const subkinds[] = { SUBKIND_LIST(X) };
static const char *const levels[] = { LEVEL_LIST(X) };
static const char *const directions[] = { DIRECTION_LIST(X) };
static const char *const sources[] = { SOURCE_LIST(X) };
static const char *const limits[] = { LIMIT_LIST(X) };
static const char *const ends[] = { END_LIST(X) };
#undef X
/* In the order of enum weir_elsewhere, enum weir_unsent and enum weir_label. */
static const char *const elsewheres[] = { "not_ip",	   "malformed",	 "truncated", "fragment",
					  "extension_headers", "table_full", "late",      "link", "second_sighting" };
static const char *const unsents[] = { "ring_full", "budget", "rst_capped", "holes_full" };

#define LOOKUP(function, table)                                                                    \
	const char *function(unsigned id)                                                          \
	{                                                                                          \
		return id < sizeof(table) / sizeof(*table) ? table[id] : "?";                      \
	}

LOOKUP(l7_name, l7_names)
LOOKUP(kind_name, kinds)
LOOKUP(subkind_name, subkinds)
LOOKUP(level_name, levels)
LOOKUP(direction_name, directions)
LOOKUP(source_name, sources)
LOOKUP(limit_name, limits)
LOOKUP(flow_end_name, ends)
LOOKUP(elsewhere_name, elsewheres)
LOOKUP(unsent_name, unsents)

int l7_by_name(const char *name)
{
	for (int i = 0; i < WEIR_L7_COUNT; i++)
		if (!strcmp(l7_names[i], name))
			return i;
	return -1;
}
