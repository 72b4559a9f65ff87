/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <string.h>

#include "dns_message.h"
#include "rst_host.h"

#define HEADER	  12
#define TYPE_A	  1
#define TYPE_CNAME 5
#define TYPE_AAAA 28
#define TYPE_OPT  41
#define MAX_RRS	  64
#define MAX_JUMPS 16

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Reads the name at *at into text (dots, lower case if low); *at moves behind it. Length of text, -1: broken. */
static int name_at(const uint8_t *data, size_t len, size_t *at, bool low, uint8_t text[256])
{
	size_t p = *at, floor = *at, n = 0;
	unsigned jumps = 0;
	bool jumped = false;

	for (;;) {
		uint8_t c;

		if (p >= len)
			return -1;
		c = data[p];
		if (c >= 0xc0) {
			size_t to;

			if (p + 1 >= len)
				return -1;
			to = (size_t)(get16(data + p) & 0x3fff);
			if (!jumped)
				*at = p + 2;
			jumped = true;
			if (to >= floor || ++jumps > MAX_JUMPS)
				return -1;
			p = floor = to;
			continue;
		}
		if (c > 63 || p + 1 + c > len || n + c + 1 > 255)
			return -1;
		if (!c) {
			if (!jumped)
				*at = p + 1;
			return (int)n;
		}
		if (n)
			text[n++] = '.';
		for (unsigned i = 1; i <= c; i++) {
			uint8_t x = data[p + i];

			text[n++] = low && x >= 'A' && x <= 'Z' ? x + 32 : x;
		}
		p += 1 + (size_t)c;
	}
}

static bool bogus4(const uint8_t *a)
{
	return a[0] == 0 || a[0] == 10 || a[0] == 127 || a[0] >= 224 || (a[0] == 192 && a[1] == 168) ||
	       (a[0] == 172 && (a[1] & 0xf0) == 16) || (a[0] == 169 && a[1] == 254);
}

static bool bogus6(const uint8_t *a)
{
	static const uint8_t zero[15];

	return !memcmp(a, zero, 15) || (a[0] & 0xfe) == 0xfc || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
}

static void address(struct dns_message *m, int family, const uint8_t *data, uint64_t hash)
{
	m->addresses += hash;
	m->naddresses++;
	m->bogus |= family == AF_INET ? bogus4(data) : bogus6(data);
	if (!m->address[0])
		inet_ntop(family, data, m->address, sizeof(m->address));
}

/* One resource record; false: cut or broken. */
static bool record(struct dns_message *m, const uint8_t *data, size_t len, size_t *at, bool answer)
{
	uint8_t text[256];
	uint16_t type, rdlen;
	uint64_t hash;
	size_t rdata;

	if (name_at(data, len, at, true, text) < 0 || *at + 10 > len)
		return false;
	type = get16(data + *at);
	rdlen = get16(data + *at + 8);
	rdata = *at + 10;
	if (rdata + rdlen > len)
		return false;
	*at = rdata + rdlen;
	m->edns |= type == TYPE_OPT;
	if (!answer)
		return true;
	if (type == TYPE_CNAME) {
		size_t p = rdata;
		int n = name_at(data, len, &p, true, text);

		if (n < 0)
			return false;
		hash = rst_hash(text, (size_t)n, type);
	} else {
		hash = rst_hash(data + rdata, rdlen, type);
	}
	m->set += hash;
	if (type == TYPE_A && rdlen == 4)
		address(m, AF_INET, data + rdata, hash);
	else if (type == TYPE_AAAA && rdlen == 16)
		address(m, AF_INET6, data + rdata, hash);
	return true;
}

bool dns_parse_head(struct dns_message *m, const uint8_t *data, size_t len)
{
	memset(m, 0, sizeof(*m));
	if (len < HEADER)
		return false;
	m->id = get16(data);
	m->flags = get16(data + 2);
	m->qdcount = get16(data + 4);
	m->ancount = get16(data + 6);
	/* One question, standard query: what resolvers speak. */
	return m->qdcount == 1 && !(m->flags & 0x7800);
}

bool dns_parse(struct dns_message *m, const uint8_t *data, size_t len)
{
	uint8_t text[256];
	size_t at = HEADER;
	unsigned extra, i;
	int n;

	if (!dns_parse_head(m, data, len))
		return false;
	n = name_at(data, len, &at, false, text);
	if (n < 0 || at + 4 > len)
		return false;
	m->qname_case = rst_hash(text, (size_t)n, 0);
	for (i = 0; i < (unsigned)n; i++)
		if (text[i] >= 'A' && text[i] <= 'Z')
			text[i] += 32;
	m->qname_hash = rst_hash(text, (size_t)n, 0);
	for (i = 0; i < (unsigned)n && i < sizeof(m->name) - 1; i++)
		m->name[i] = text[i] > 0x20 && text[i] < 0x7f ? (char)text[i] : '?';
	m->qtype = get16(data + at);
	m->question = true;
	at += 4;
	for (i = 0; i < m->ancount && i < MAX_RRS; i++)
		if (!record(m, data, len, &at, true))
			return true;
	m->answers = i == m->ancount;
	extra = (unsigned)get16(data + 8) + get16(data + 10);
	for (i = 0; i < extra && i < MAX_RRS; i++)
		if (!record(m, data, len, &at, false))
			break;
	return true;
}
