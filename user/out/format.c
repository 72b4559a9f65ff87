// SPDX-License-Identifier: GPL-2.0-or-later
#include "format.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void two(char *out, unsigned v)
{
	out[0] = '0' + v / 10 % 10;
	out[1] = '0' + v % 10;
}

/* Days since 1970-01-01 to year, month, day (the proleptic Gregorian calendar, eras of 400 years). */
static void civil(uint64_t days, unsigned *y, unsigned *m, unsigned *d)
{
	uint64_t z = days + 719468, era = z / 146097, doe = z % 146097;
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

	*d = doy - (153 * mp + 2) / 5 + 1;
	*m = mp < 10 ? mp + 3 : mp - 9;
	*y = (unsigned)(yoe + era * 400) + (*m <= 2);
}

void format_time(char out[TIME_LEN], uint64_t ns)
{
	uint64_t s = ns / 1000000000;
	unsigned us = ns / 1000 % 1000000, y, m, d;

	civil(s / 86400, &y, &m, &d);
	memcpy(out, "0000-00-00T00:00:00.000000Z", 28);
	two(out, y / 100);
	two(out + 2, y);
	two(out + 5, m);
	two(out + 8, d);
	two(out + 11, s / 3600 % 24);
	two(out + 14, s / 60 % 60);
	two(out + 17, s % 60);
	two(out + 20, us / 10000);
	two(out + 22, us / 100);
	two(out + 24, us);
}

void format_clock(char out[16], uint64_t ns)
{
	uint64_t s = ns / 1000000000;

	memcpy(out, "00:00:00Z", 10);
	two(out, s / 3600 % 24);
	two(out + 3, s / 60 % 60);
	two(out + 6, s % 60);
}

void format_ip(char out[IP_LEN], const struct in6_addr *ip)
{
	if (IN6_IS_ADDR_V4MAPPED(ip))
		inet_ntop(AF_INET, &ip->s6_addr[12], out, IP_LEN);
	else
		inet_ntop(AF_INET6, ip, out, IP_LEN);
}

void format_si(char out[8], double v)
{
	static const char prefix[] = " kMGTPE";
	unsigned p = 0;

	if (!(v >= 0))
		v = 0;
	while (v >= 999.5 && p < 6) {
		v /= 1000;
		p++;
	}
	if (v > 9999)
		v = 9999;
	if (!p)
		snprintf(out, 8, "%.0f", v);
	else
		snprintf(out, 8, "%.*f%c", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, prefix[p]);
}

void format_age(char out[16], double seconds)
{
	unsigned s = seconds > 0 && seconds < 4e9 ? (unsigned)seconds : 0;

	if (s < 60)
		snprintf(out, 16, "%us", s);
	else if (s < 3600)
		snprintf(out, 16, "%um", s / 60);
	else if (s < 36000)
		snprintf(out, 16, "%uh%02um", s / 3600, s / 60 % 60);
	else if (s < 86400 * 2)
		snprintf(out, 16, "%uh", s / 3600);
	else
		snprintf(out, 16, "%ud", s / 86400);
}

unsigned utf8_length(const unsigned char *p)
{
	unsigned n, first = p[0];

	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	n = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	for (unsigned i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((first == 0xe0 && p[1] < 0xa0) || (first == 0xed && p[1] > 0x9f) ||
	    (first == 0xf0 && p[1] < 0x90) || (first == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

void format_plain(char *out, size_t len, const char *text)
{
	static const char *const folds[][2] = { { "⟨", "<" }, { "⟩", ">" }, { "→", ">" }, { "…", "~" } };
	const unsigned char *p = (const unsigned char *)text;
	size_t i;

	for (i = 0; *p && i + 1 < len; i++) {
		unsigned n = utf8_length(p);

		out[i] = n == 1 && *p >= ' ' && *p < 0x7f ? *p : '?';
		for (size_t k = 0; n > 1 && k < sizeof(folds) / sizeof(*folds); k++)
			if (!memcmp(p, folds[k][0], n))
				out[i] = *folds[k][1];
		p += n ? n : 1;
	}
	if (len)
		out[i] = 0;
}

const char *proto_name(uint8_t proto, char out[8])
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmp6";
	}
	snprintf(out, 8, "ip-%u", proto);
	return out;
}
