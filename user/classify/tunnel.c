/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tunnel.h"

#include <netinet/in.h>

const char *tunnel_by_proto(unsigned proto)
{
	switch (proto) {
	case IPPROTO_GRE:
		return "gre";
	case IPPROTO_IPIP:
		return "ipip";
	case IPPROTO_IPV6:
		return "6in4";
	case 97:
		return "etherip";
	case 115:
		return "l2tp";
	}
	return NULL;
}

/* An Ethernet frame of a type that is carried in tunnels. */
static bool ethernet(struct seg s)
{
	unsigned type;

	if (s.n < 14)
		return false;
	type = be16(s.p + 12);
	return type == 0x0800 || type == 0x86dd || type == 0x0806 || type == 0x8100;
}

/* An IP header whose length fits. */
static bool ip(struct seg s, size_t len)
{
	if (s.n >= 20 && s.p[0] >> 4 == 4)
		return (s.p[0] & 15) >= 5 && be16(s.p + 2) <= len && be16(s.p + 2) >= 20;
	return s.n >= 40 && s.p[0] >> 4 == 6 && be16(s.p + 4) + 40u <= len;
}

const char *tunnel_in_udp(struct seg d, size_t len, uint16_t port)
{
	if (d.n < 8)
		return NULL;
	/* VXLAN (RFC 7348): the I flag, reserved zero, a frame. */
	if (port == 4789 && d.p[0] == 8 && all_zero(d.p + 1, 3) && !d.p[7] &&
	    ethernet(seg_skip(d, 8)))
		return "vxlan";
	/* Geneve (RFC 8926): version 0, the option length, Ethernet or IP. */
	if (port == 6081 && !(d.p[0] & 0xc0) && !(d.p[1] & 0x3f) &&
	    (be16(d.p + 2) == 0x6558 || be16(d.p + 2) == 0x0800 || be16(d.p + 2) == 0x86dd))
		return "geneve";
	/* GTP-U (3GPP 29.281): version 1, a T-PDU, its length. */
	if (port == 2152 && d.p[0] >> 4 == 3 && d.p[1] == 0xff && be16(d.p + 2) + 8u == len)
		return "gtp";
	/* Teredo (RFC 4380): IPv6, maybe behind an origin or authentication header. */
	if (port == 3544 && (ip(d, len) || (!d.p[0] && d.p[1] <= 1)))
		return "teredo";
	return NULL;
}
