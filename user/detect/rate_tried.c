// SPDX-License-Identifier: GPL-2.0-or-later
/* Which groups were looked into in vain: again only when there is more to see. */
#include "rate.h"

bool rate_tried(struct rate *r, const struct path *p, enum group_kind kind, enum side side,
		unsigned lost, double growth)
{
	struct tried *t, *oldest = &r->tried[0];

	for (unsigned i = 0; i < TRIED_MAX; i++) {
		t = &r->tried[i];
		if (t->lost && t->kind == kind && t->side == side && group_has(p, &t->like, kind)) {
			bool more = lost >= t->lost * growth;

			if (more || lost < t->lost)
				t->lost = lost;
			return !more;
		}
		if (t->used < oldest->used)
			oldest = t;
	}
	oldest->like = *p;
	oldest->kind = kind;
	oldest->side = side;
	oldest->lost = lost;
	oldest->used = ++r->tries;
	return false;
}
