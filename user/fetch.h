/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Brings what will be written soon near: n bytes, a constant up to 8 cache lines, without a loop. */
#ifndef WEIR_FETCH_H
#define WEIR_FETCH_H

#include <stddef.h>

static inline __attribute__((always_inline)) void fetch_lines(const void *p, size_t n)
{
#pragma GCC unroll 8
	for (size_t at = 0; at < n; at += 64)
		__builtin_prefetch((const char *)p + at, 1);
}

#endif
