/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xorshift64*: the tests' own generator, so that its numbers never change. A test sets the seed. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

static uint64_t seed = 88172645463325252u;

/* 0 <= x < 1 */
static inline double uniform(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (double)((seed * 0x2545F4914F6CDD1Du) >> 11) / 9007199254740992.0;
}

#endif
