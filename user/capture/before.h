/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who gets an interface's packets before our hooks do: another's XDP program where ours sit at TC, a tcx
 * program, a filter with a preference set by hand. What these take away is not seen. Other weirs, which take
 * nothing away, are known by the abstract sockets that they keep bound in the network namespace, one named
 * after each of their programs: with the rights that are left while running nobody may ask for a program's name.
 */
#ifndef WEIR_BEFORE_H
#define WEIR_BEFORE_H

#include "attach.h"

#define BEFORE_CLAIMS 5

struct before_claims {
	int fd[BEFORE_CLAIMS];
	unsigned n;
};

/* Claims the programs that are loaded. Without a claim another weir takes them for a stranger's: no error. */
void before_claim(struct before_claims *c, const struct attach_progs *p);
void before_disown(struct before_claims *c);

/*
 * The first of them, as words ("another XDP program (id 7)"); false: none, or nobody may ask. h: where ours are,
 * without links (in_fd, out_fd -1) where they would be put. o: NULL: of no run, as h. l: as it is now.
 */
bool before_us(const struct attachment *h, const struct link *l, const struct clsact_owner *o, bool egress,
	       char *who, size_t size);

#endif
