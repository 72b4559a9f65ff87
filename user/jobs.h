/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs that have nothing to do with each other, side by side, and what they print one after the other. */
#ifndef WEIR_JOBS_H
#define WEIR_JOBS_H

/*
 * Calls run(0, arg) to run(n - 1, arg), each in a process of its own, at most at_once at a time. What they write to
 * stdout and stderr comes out as if they had run in turn. Returns the exit code of the first that did not
 * return 0. Ends with the first that can't write (EX_IOERR). stdout must hold nothing unwritten.
 */
int jobs_run(unsigned n, unsigned at_once, int (*run)(unsigned i, void *arg), void *arg);

/* How many run at a time well: the processors that this process may use, at least 1. */
unsigned jobs_default(void);

#endif
