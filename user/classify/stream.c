/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "stream.h"

#define MAP_BYTES (STREAM_MAX / 8)

static bool there(const struct stream *s, uint32_t i)
{
	return s->map[i / 8] & 1u << i % 8;
}

static bool grow(struct stream *s, uint32_t end)
{
	uint32_t cap = s->cap ? s->cap : 1024;
	uint8_t *buf;

	if (end <= s->cap)
		return true;
	while (cap < end)
		cap *= 2;
	if (cap > STREAM_MAX)
		cap = STREAM_MAX;
	buf = realloc(s->buf, cap);
	if (!buf)
		return false;
	s->buf = buf;
	s->cap = (uint16_t)cap;
	return true;
}

static bool make_map(struct stream *s)
{
	if (s->map)
		return true;
	s->map = calloc(1, MAP_BYTES);
	if (!s->map)
		return false;
	for (uint32_t i = 0; i < s->top; i++)
		s->map[i / 8] |= (uint8_t)(1u << i % 8);
	return true;
}

bool stream_add(struct stream *s, uint32_t off, const uint8_t *p, size_t n)
{
	uint16_t before = s->have;
	uint32_t end;

	if (off >= STREAM_MAX || !n)
		return false;
	end = n > STREAM_MAX - off ? STREAM_MAX : off + (uint32_t)n;
	if (!grow(s, end))
		return false;
	if (off <= s->have && s->have == s->top) {
		if (end > s->have) {
			memcpy(s->buf + s->have, p + (s->have - off), end - s->have);
			if (s->map)
				for (uint32_t i = s->have; i < end; i++)
					s->map[i / 8] |= (uint8_t)(1u << i % 8);
			s->have = s->top = (uint16_t)end;
		}
		return s->have > before;
	}
	if (!make_map(s))
		return false;
	for (uint32_t i = off; i < end; i++)
		if (!there(s, i)) {
			s->buf[i] = p[i - off];
			s->map[i / 8] |= (uint8_t)(1u << i % 8);
		}
	if (end > s->top)
		s->top = (uint16_t)end;
	while (s->have < s->top && there(s, s->have))
		s->have++;
	return s->have > before;
}

bool stream_shift(struct stream *s, uint32_t n)
{
	if (!n || s->top + n > STREAM_MAX)
		return !n;
	if (!s->top)
		return true;
	if (!make_map(s) || !grow(s, s->top + n))
		return false;
	memmove(s->buf + n, s->buf, s->top);
	for (uint32_t i = s->top; i-- > 0;)
		if (there(s, i))
			s->map[(i + n) / 8] |= (uint8_t)(1u << (i + n) % 8);
		else
			s->map[(i + n) / 8] &= (uint8_t) ~(1u << (i + n) % 8);
	for (uint32_t i = 0; i < n; i++)
		s->map[i / 8] &= (uint8_t) ~(1u << i % 8);
	s->top = (uint16_t)(s->top + n);
	s->have = 0;
	return true;
}

void stream_free(struct stream *s)
{
	free(s->buf);
	free(s->map);
	memset(s, 0, sizeof(*s));
}
