/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes JSON text into a buffer that grows. Ten times cheaper than building a
 * tree first: `weir analyze` prints 100,000 flows for a million packets.
 */
#ifndef WEIR_JBUF_H
#define WEIR_JBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jbuf {
	char *text;
	size_t len, size;
	bool failed; /* out of memory: what follows is left out */
};

void jbuf_free(struct jbuf *b);

/* key NULL inside an array and for the outermost object. Keys are the program's own: plain ASCII. */
void jb_open(struct jbuf *b, const char *key, char bracket); /* '{' or '[' */
void jb_close(struct jbuf *b, char bracket);		     /* '}' or ']' */
void jb_u64(struct jbuf *b, const char *key, uint64_t v);
void jb_i64(struct jbuf *b, const char *key, int64_t v);
void jb_bool(struct jbuf *b, const char *key, bool v);

/* decimals at most, trailing zeros cut. NaN and infinity: nothing, the key neither. */
void jb_num(struct jbuf *b, const char *key, double v, unsigned decimals);

/* A number of unknown scale: whole as such, else seven significant digits. NaN as above. */
void jb_any(struct jbuf *b, const char *key, double v);

/* Bytes that are no UTF-8 become U+FFFD; control characters are escaped. NULL: nothing. */
void jb_str(struct jbuf *b, const char *key, const char *v);

/* ns since the epoch as RFC 3339 UTC with microseconds. */
void jb_time(struct jbuf *b, const char *key, uint64_t ns);

void jb_raw(struct jbuf *b, const char *text, size_t len);

#endif
