// SPDX-License-Identifier: GPL-2.0-or-later
#include "html.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "format.h"

#define REPLACEMENT "\xef\xbf\xbd"

static uint32_t decode(const unsigned char *p, unsigned n)
{
	static const unsigned char first[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = p[0] & first[n];

	for (unsigned i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

/* Control characters, the marks that turn the reading direction, and what is no character. */
static bool shown(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return c == '\n' || c == '\t';
	if (c == 0x061c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2060 && c <= 0x206f) || c == 0xfeff)
		return false;
	return (c & 0xfffe) != 0xfffe;
}

static void put(FILE *to, const unsigned char *p, unsigned n)
{
	switch (n == 1 ? *p : 0) {
	case '<':
		fputs("&lt;", to);
		return;
	case '>':
		fputs("&gt;", to);
		return;
	case '&':
		fputs("&amp;", to);
		return;
	case '"':
		fputs("&quot;", to);
		return;
	case '\'':
		fputs("&#39;", to);
		return;
	case ':':
		fputs(p[1] == '/' && p[2] == '/' ? "&#58;" : ":", to);
		return;
	}
	fwrite(p, 1, n, to);
}

/* Bytes of the address that starts at p; 0: none does. */
static size_t address_at(const char *p)
{
	char word[INET6_ADDRSTRLEN + 1];
	unsigned char ip[16];

	/* The longest first: a full stop or a colon may follow the address. */
	for (size_t n = strspn(p, "0123456789abcdefABCDEF:."); n >= 2; n--) {
		if (n >= sizeof(word))
			continue;
		memcpy(word, p, n);
		word[n] = 0;
		if (inet_pton(AF_INET, word, ip) == 1 || inet_pton(AF_INET6, word, ip) == 1)
			return n;
	}
	return 0;
}

static void text(FILE *to, const char *s, bool redact)
{
	const unsigned char *p = (const unsigned char *)s;
	bool word = false; /* inside a word no address begins */

	while (*p) {
		unsigned n = utf8_length(p);
		size_t skip = redact && !word ? address_at((const char *)p) : 0;

		if (skip) {
			fputs("[address]", to);
			p += skip;
			continue;
		}
		word = strchr("0123456789abcdefABCDEF", *p);
		if (n && shown(decode(p, n)))
			put(to, p, n);
		else
			fputs(REPLACEMENT, to);
		p += n ? n : 1;
	}
}

void html_text(FILE *to, const char *s)
{
	text(to, s, false);
}

void html_text_redacted(FILE *to, const char *s)
{
	text(to, s, true);
}

void html_redact(char *t, size_t size)
{
	static const char word[] = "[address]";
	bool inside = false; /* inside a word no address begins */

	for (size_t i = 0; t[i]; i++) {
		size_t skip = inside ? 0 : address_at(t + i), n = sizeof(word) - 1;

		inside = strchr("0123456789abcdefABCDEF", t[i]);
		if (!skip)
			continue;
		if (i + n >= size)
			n = size - 1 - i;
		/* what is behind it moves, as far as there is room */
		memmove(t + i + n, t + i + skip,
			strnlen(t + i + skip, size - 1 - i - (n > skip ? n : skip)) + 1);
		memcpy(t + i, word, n);
		t[size - 1] = 0;
		i += n - 1;
		inside = false;
	}
}

void html_si(FILE *to, double v, const char *unit)
{
	char si[8];
	size_t n;

	format_si(si, v);
	n = strlen(si);
	if (n && si[n - 1] > '9')
		fprintf(to, "%.*s %c%s", (int)(n - 1), si, si[n - 1], unit);
	else
		fprintf(to, "%s %s", si, unit);
}

void html_percent(FILE *to, double share)
{
	double p = 100 * share;

	if (p > 0 && p < 0.01)
		fputs("less than 0.01 %", to);
	else if (fabs(p) >= 9.95)
		fprintf(to, "%.0f %%", p);
	else
		fprintf(to, "%.2g %%", p);
}

void html_time(FILE *to, uint64_t ns)
{
	char t[TIME_LEN];

	format_time(t, ns);
	fprintf(to, "%.10s %.8s UTC", t, t + 11);
}
