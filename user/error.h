/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people read when something fails: one paragraph on stderr, and a sysexits code. */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include <sysexits.h>

/*
 * Prints "weir: " and the sentence `what failed: why. What to do.` Control
 * bytes in it (file names, wire data) come out as '?'. Returns code, so that
 * callers can say `return fail(EX_NOINPUT, ...)`.
 */
int fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for what is worth saying but stops nothing. Silent with -q. */
void notice(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What fail() said last, without "weir: "; "" nothing yet. */
const char *fail_text(void);

/* -q and -v: -1 quiet, 0 normal, 1 verbose. */
extern int verbosity;

#endif
