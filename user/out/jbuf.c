// SPDX-License-Identifier: GPL-2.0-or-later
#include "jbuf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

void jbuf_free(struct jbuf *b)
{
	free(b->text);
	memset(b, 0, sizeof(*b));
}

static bool room(struct jbuf *b, size_t need)
{
	size_t size = b->size ? b->size : 4096;
	char *text;

	if (b->failed)
		return false;
	if (b->size - b->len >= need)
		return true;
	while (size - b->len < need)
		size *= 2;
	text = realloc(b->text, size);
	if (!text) {
		b->failed = true;
		return false;
	}
	b->text = text;
	b->size = size;
	return true;
}

void jb_raw(struct jbuf *b, const char *text, size_t len)
{
	if (!room(b, len))
		return;
	memcpy(b->text + b->len, text, len);
	b->len += len;
}

static void put(struct jbuf *b, char c)
{
	jb_raw(b, &c, 1);
}

/* The comma, where one is due, and the key. */
static void begin(struct jbuf *b, const char *key)
{
	char last = b->len ? b->text[b->len - 1] : '\n';

	if (last != '{' && last != '[' && last != '\n')
		put(b, ',');
	if (!key)
		return;
	put(b, '"');
	jb_raw(b, key, strlen(key));
	jb_raw(b, "\":", 2);
}

void jb_open(struct jbuf *b, const char *key, char bracket)
{
	begin(b, key);
	put(b, bracket);
}

void jb_close(struct jbuf *b, char bracket)
{
	put(b, bracket);
}

void jb_u64(struct jbuf *b, const char *key, uint64_t v)
{
	char digits[20], *p = digits + sizeof(digits);

	do
		*--p = '0' + v % 10;
	while (v /= 10);
	begin(b, key);
	jb_raw(b, p, digits + sizeof(digits) - p);
}

void jb_i64(struct jbuf *b, const char *key, int64_t v)
{
	char text[24];

	begin(b, key);
	jb_raw(b, text, snprintf(text, sizeof(text), "%lld", (long long)v));
}

void jb_bool(struct jbuf *b, const char *key, bool v)
{
	begin(b, key);
	jb_raw(b, v ? "true" : "false", v ? 4 : 5);
}

void jb_num(struct jbuf *b, const char *key, double v, unsigned decimals)
{
	char text[352];
	int n;

	if (!isfinite(v))
		return;
	n = snprintf(text, sizeof(text), "%.*f", (int)decimals, v);
	if (decimals) {
		while (text[n - 1] == '0')
			n--;
		if (text[n - 1] == '.')
			n--;
	}
	begin(b, key);
	if (n == 2 && !memcmp(text, "-0", 2))
		put(b, '0');
	else
		jb_raw(b, text, n);
}

void jb_any(struct jbuf *b, const char *key, double v)
{
	char text[32];

	if (!isfinite(v))
		return;
	if (fabs(v) < 9e15 && (v == floor(v) || fabs(v) >= 1e6)) {
		jb_num(b, key, v, 0);
		return;
	}
	begin(b, key);
	jb_raw(b, text, snprintf(text, sizeof(text), "%.7g", v));
}

void jb_str(struct jbuf *b, const char *key, const char *v)
{
	const unsigned char *p = (const unsigned char *)v;

	if (!v)
		return;
	begin(b, key);
	put(b, '"');
	while (*p) {
		unsigned n = utf8_length(p);

		if (!n) {
			jb_raw(b, "\xef\xbf\xbd", 3);
			p++;
		} else if (*p == '"' || *p == '\\') {
			put(b, '\\');
			put(b, *p++);
		} else if (*p < ' ' || *p == 0x7f) {
			char escape[8];

			jb_raw(b, escape, snprintf(escape, sizeof(escape), "\\u%04x", *p++));
		} else {
			jb_raw(b, (const char *)p, n);
			p += n;
		}
	}
	put(b, '"');
}

void jb_time(struct jbuf *b, const char *key, uint64_t ns)
{
	char text[TIME_LEN];

	format_time(text, ns);
	begin(b, key);
	put(b, '"');
	jb_raw(b, text, strlen(text));
	put(b, '"');
}
