/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The start of a byte stream, put together from pieces that come in any order,
 * twice, or overlapping: a TCP direction, or QUIC's CRYPTO frames. Where copies
 * differ, the first one seen counts. Bounded by STREAM_MAX.
 */
#ifndef WEIR_STREAM_H
#define WEIR_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_MAX 6144

struct stream {
	uint8_t *buf;
	uint8_t *map;  /* one bit a byte that is there; NULL while all came in order */
	uint16_t cap;  /* of buf */
	uint16_t have; /* bytes there without a gap from the start on */
	uint16_t top;  /* end of the highest byte there */
};

/*
 * n bytes at offset off. What lies beyond STREAM_MAX is left out. True when
 * `have` grew. Out of memory: as if the piece had not come.
 */
bool stream_add(struct stream *s, uint32_t off, const uint8_t *p, size_t n);

/* Moves everything up by n bytes: the start turned out to be earlier. False: no room, nothing done.
 */
bool stream_shift(struct stream *s, uint32_t n);

/* Frees what s holds; s is empty afterwards. */
void stream_free(struct stream *s);

#endif
