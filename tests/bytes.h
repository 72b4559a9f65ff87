/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers in network byte order, where tests and the bench write packets. */
#ifndef TESTS_BYTES_H
#define TESTS_BYTES_H

#include <stdint.h>

static inline void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

#endif
