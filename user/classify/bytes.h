/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads of hostile bytes: every one says how many there are. */
#ifndef WEIR_BYTES_H
#define WEIR_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* n bytes at p; not owned. */
struct seg {
	const uint8_t *p;
	size_t n;
};

static inline uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t be24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | be24(p + 1);
}

static inline uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* Does s begin with the literal? */
#define SEG_HAS(s, lit) ((s).n >= sizeof(lit) - 1 && !memcmp((s).p, lit, sizeof(lit) - 1))

/* Likewise, letters of either case. */
#define SEG_HAS_CASE(s, lit)                                                                       \
	((s).n >= sizeof(lit) - 1 && !strncasecmp((const char *)(s).p, lit, sizeof(lit) - 1))

/* Could s, too short to tell, still become the literal? */
#define SEG_MAY(s, lit) ((s).n < sizeof(lit) - 1 && !memcmp((s).p, lit, (s).n))

/* s without its first n bytes; empty when there are not so many. */
static inline struct seg seg_skip(struct seg s, size_t n)
{
	if (n > s.n)
		n = s.n;
	return (struct seg){ s.p + n, s.n - n };
}

/* The first n bytes of s at most. */
static inline struct seg seg_head(struct seg s, size_t n)
{
	return (struct seg){ s.p, n < s.n ? n : s.n };
}

static inline bool all_zero(const uint8_t *p, size_t n)
{
	while (n--)
		if (*p++)
			return false;
	return true;
}

static inline bool printable(uint8_t c)
{
	return c >= 0x20 && c <= 0x7e;
}

#endif
