/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe.h"

static void keep(char *to, size_t room, const uint8_t *p, size_t n, bool lower)
{
	size_t i;

	if (n > room - 1)
		n = room - 1;
	for (i = 0; i < n; i++) {
		uint8_t c = p[i];

		if (!printable(c))
			c = '?';
		else if (lower && c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		to[i] = (char)c;
	}
	to[i] = 0;
}

void found_host(struct found *out, const uint8_t *p, size_t n)
{
	keep(out->host, sizeof(out->host), p, n, true);
}

void found_alpn(struct found *out, const uint8_t *p, size_t n)
{
	keep(out->alpn, sizeof(out->alpn), p, n, false);
}
