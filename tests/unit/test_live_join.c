// SPDX-License-Identifier: GPL-2.0-or-later
/* Two sightings of a flow, with NAT and without; which interface leads where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "gateway.h"
#include "join.h"
#include "join_table.h"

enum { LAN = 3, WAN = 4, OTHER = 9 };

static struct in6_addr ip(const char *text)
{
	struct in6_addr a = { 0 };

	if (strchr(text, ':')) {
		assert_int_equal(inet_pton(AF_INET6, text, &a), 1);
		return a;
	}
	a.s6_addr[10] = a.s6_addr[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, text, &a.s6_addr[12]), 1);
	return a;
}

static struct join_config both_sides(void)
{
	struct join_config c = { .max = 64, .nwan = 1, .wan = { WAN }, .nlan = 1, .lan = { LAN },
				 .all_wans = true, .nown = 2 };

	c.own[0] = (struct addr){ ip("192.168.7.1"), 96 + 24, LAN };
	c.own[1] = (struct addr){ ip("203.0.113.1"), 96 + 24, WAN };
	return c;
}

static struct weir_rec rec(uint64_t id, unsigned ifindex, const char *src, uint16_t sport,
			   const char *dst, uint16_t dport)
{
	struct weir_rec r = { .flow_id = id, .ifindex = ifindex, .sport = sport, .dport = dport,
			      .proto = IPPROTO_TCP };
	struct in6_addr s = ip(src), d = ip(dst);

	memcpy(r.saddr, &s, 16);
	memcpy(r.daddr, &d, 16);
	return r;
}

/* A client's connection i, and what comes back. */
static struct weir_rec request(uint64_t id, unsigned ifindex, unsigned i)
{
	return rec(id, ifindex, "192.168.7.2", (uint16_t)(5000 + i), "198.51.100.9", 443);
}

static struct weir_rec reply(uint64_t id, unsigned ifindex, unsigned i)
{
	return rec(id, ifindex, "198.51.100.9", 443, "192.168.7.2", (uint16_t)(5000 + i));
}

static struct ct_entry masqueraded(uint16_t port, uint16_t as)
{
	struct ct_entry e = { .orig = { ip("192.168.7.2"), ip("198.51.100.9"), port, 443, IPPROTO_TCP },
			      .reply = { ip("198.51.100.9"), ip("203.0.113.1"), 443, as, IPPROTO_TCP } };

	return e;
}

static void assert_address(const __be32 got[4], const char *want)
{
	struct in6_addr w = ip(want);

	assert_memory_equal(got, &w, 16);
}

static struct weir_key6 key(unsigned ifindex, const char *lo, uint16_t lo_port, const char *hi,
			    uint16_t hi_port)
{
	struct weir_key6 k = { .lo_port = lo_port, .hi_port = hi_port, .proto = IPPROTO_TCP,
			       .ifindex = ifindex };
	struct in6_addr l = ip(lo), h = ip(hi);

	memcpy(k.lo, &l, 16);
	memcpy(k.hi, &h, 16);
	return k;
}

static struct weir_flow counted(uint64_t id, uint32_t up, uint32_t down)
{
	struct weir_flow f = { .id = id };

	f.dir[0].packets = up;
	f.dir[0].bytes = up * 100;
	f.dir[1].packets = down;
	f.dir[1].bytes = down * 1000;
	return f;
}

static void masqueraded_flow_is_one(void **state)
{
	struct join_config c = both_sides();
	struct join *j = join_new(&c);
	struct ct_entry e = masqueraded(5000, 61000);
	struct weir_rec lan = rec(1, LAN, "192.168.7.2", 5000, "198.51.100.9", 443);
	struct weir_rec wan = rec(2, WAN, "203.0.113.1", 61000, "198.51.100.9", 443);
	struct weir_rec back = rec(2, WAN, "198.51.100.9", 443, "203.0.113.1", 61000);
	struct weir_flow f1 = counted(1, 10, 18), f2 = counted(2, 10, 20);
	struct weir_key6 k1 = key(LAN, "192.168.7.2", 5000, "198.51.100.9", 443);
	struct weir_key6 k2 = key(WAN, "203.0.113.1", 61000, "198.51.100.9", 443);
	struct weir_ctl ctl = { .flow_id = 2 };
	struct join_stats s;

	assert_non_null(j);
	join_conntrack(j, &e);
	assert_int_equal(join_record(j, &lan), JOIN_ECHO);
	assert_int_equal(join_record(j, &wan), JOIN_RENAME);
	assert_address(wan.saddr, "192.168.7.2");
	assert_int_equal(wan.sport, 5000);
	assert_int_equal(wan.client, WEIR_CLIENT_LO);
	back.dir = 1;
	assert_int_equal(join_record(j, &back), JOIN_RENAME);
	assert_address(back.daddr, "192.168.7.2");
	assert_int_equal(back.dport, 5000);
	assert_int_equal(back.client, WEIR_CLIENT_LO);

	/* What the pipeline wants of it goes to the engine under the engine's name. */
	memcpy(ctl.key.lo, wan.saddr, 16);
	ctl.key.lo_port = 5000;
	memcpy(ctl.key.hi, wan.daddr, 16);
	ctl.key.hi_port = 443;
	join_ctl(j, &ctl);
	assert_address(ctl.key.lo, "203.0.113.1");
	assert_int_equal(ctl.key.lo_port, 61000);

	/* 20 packets came in from outside, 18 left to the client: two stayed here. */
	assert_int_equal(join_end(j, &k2, &f2), JOIN_RENAME);
	assert_address(k2.lo, "192.168.7.2");
	assert_int_equal(join_end(j, &k1, &f1), JOIN_ECHO);
	join_stats(j, &s);
	assert_int_equal(s.echo_packets, 28);
	assert_int_equal(s.echo_bytes, 19000);
	assert_int_equal(s.own_drops[0], 0);
	assert_int_equal(s.own_drops[1], 2);
	assert_int_equal(s.joined, 1);

	e.gone = true;
	join_conntrack(j, &e);
	join_settled(j);
	join_stats(j, &s);
	assert_int_equal(s.connections, 0);
	join_free(j);
}

static void what_never_left_is_reported_by_the_lan(void **state)
{
	struct join_config c = both_sides();
	struct join *j = join_new(&c);
	struct weir_rec lan = rec(1, LAN, "192.168.7.2", 5000, "198.51.100.9", 443);
	struct weir_key6 k = key(LAN, "192.168.7.2", 5000, "198.51.100.9", 443);
	struct weir_flow f = counted(1, 3, 0);
	struct join_stats s;

	/* Never answered: this host dropped it. */
	assert_int_equal(join_record(j, &lan), JOIN_ECHO);
	assert_int_equal(join_end(j, &k, &f), JOIN_KEEP);
	join_stats(j, &s);
	assert_int_equal(s.unmatched, 0);
	assert_int_equal(s.echo_packets, 0);
	/* Answered: it left another way. */
	lan.flow_id = f.id = 2;
	f.dir[1].packets = 2;
	k = key(LAN, "192.168.7.2", 5000, "198.51.100.9", 443);
	assert_int_equal(join_record(j, &lan), JOIN_ECHO);
	assert_int_equal(join_end(j, &k, &f), JOIN_KEEP);
	join_stats(j, &s);
	assert_int_equal(s.unmatched, 1);
	join_free(j);
}

static void what_stays_inside_is_kept(void **state)
{
	struct join_config c = both_sides();
	struct join *j = join_new(&c);
	struct weir_rec dns = rec(1, LAN, "192.168.7.2", 5000, "192.168.7.1", 53);
	struct weir_rec many = rec(2, LAN, "192.168.7.2", 5353, "224.0.0.251", 5353);
	struct weir_rec own = rec(3, WAN, "203.0.113.1", 5000, "198.51.100.9", 80);
	struct weir_rec else_where = rec(4, OTHER, "10.1.1.1", 5000, "198.51.100.9", 80);

	assert_int_equal(join_record(j, &dns), JOIN_KEEP);
	assert_int_equal(join_record(j, &many), JOIN_KEEP);
	assert_int_equal(join_record(j, &own), JOIN_KEEP);
	assert_address(own.saddr, "203.0.113.1");
	assert_int_equal(join_record(j, &else_where), JOIN_KEEP);
	join_free(j);
}

static void with_an_uplink_unwatched_the_lan_reports(void **state)
{
	struct join_config c = both_sides();
	struct ct_entry e = masqueraded(5000, 61000);
	struct weir_rec lan = rec(1, LAN, "192.168.7.2", 5000, "198.51.100.9", 443);
	struct weir_rec wan = rec(2, WAN, "203.0.113.1", 61000, "198.51.100.9", 443);
	struct weir_key6 k = key(WAN, "203.0.113.1", 61000, "198.51.100.9", 443);
	struct weir_flow f = counted(2, 5, 5);
	struct join *j;

	c.all_wans = false;
	j = join_new(&c);
	join_conntrack(j, &e);
	assert_int_equal(join_record(j, &lan), JOIN_KEEP);
	assert_int_equal(join_record(j, &wan), JOIN_ECHO);
	assert_int_equal(join_end(j, &k, &f), JOIN_ECHO);
	join_free(j);
}

static void news_after_the_packet(void *arg)
{
	struct join **j = arg;
	struct ct_entry e = masqueraded(5000, 61000);

	join_conntrack(*j, &e);
}

static void a_packet_may_overtake_its_connection(void **state)
{
	struct join_config c = both_sides();
	struct weir_rec wan = rec(2, WAN, "203.0.113.1", 61000, "198.51.100.9", 443);
	struct join *j;

	c.nlan = 0;
	c.more = news_after_the_packet;
	c.more_arg = &j;
	j = join_new(&c);
	assert_int_equal(join_record(j, &wan), JOIN_RENAME);
	assert_address(wan.saddr, "192.168.7.2");
	join_free(j);
}

static void tables_are_bounded(void **state)
{
	struct join_config c = both_sides();
	struct join *j = join_new(&c);
	struct join_stats s;

	for (unsigned i = 0; i < 1000; i++) {
		struct ct_entry e = masqueraded(1000 + i, 30000 + i);
		struct weir_rec r = rec(100 + i, LAN, "192.168.7.2", 1000 + i, "198.51.100.9", 443);

		join_conntrack(j, &e);
		assert_int_equal(join_record(j, &r), JOIN_ECHO);
	}
	join_stats(j, &s);
	assert_true(s.connections <= 64);
	assert_true(s.refused > 0);
	join_free(j);
}

/* Two addresses, a flow each way between them. */
static enum join_verdict end_of(struct join *j, uint64_t id, unsigned ifindex, const char *lo, uint16_t lo_port,
				const char *hi, uint16_t hi_port, uint32_t up, uint32_t down)
{
	struct weir_key6 k = key(ifindex, lo, lo_port, hi, hi_port);
	struct weir_flow f = counted(id, up, down);

	return join_end(j, &k, &f);
}

enum { LAN2 = 5, WAN2 = 6, CARRIER = 7 };

static bool is_private(const void *arg, const struct in6_addr *ip)
{
	const uint8_t *b = &ip->s6_addr[12];

	return IN6_IS_ADDR_V4MAPPED(ip) ? b[0] == 10 || (b[0] == 192 && b[1] == 168) : (ip->s6_addr[0] & 0xfe) == 0xfc;
}

static void two_lans_show_one_flow(void **state)
{
	struct join_config c = both_sides();
	struct weir_rec first = rec(1, LAN, "192.168.7.2", 5000, "192.168.8.9", 445);
	struct weir_rec second = rec(2, LAN2, "192.168.7.2", 5000, "192.168.8.9", 445);
	struct join_stats s;
	struct join *j;

	c.lan[c.nlan++] = LAN2;
	c.own[c.nown++] = (struct addr){ ip("192.168.8.1"), 96 + 24, LAN2 };
	j = join_new(&c);
	assert_int_equal(join_record(j, &first), JOIN_KEEP);
	assert_int_equal(join_record(j, &second), JOIN_ECHO);
	assert_int_equal(end_of(j, 1, LAN, "192.168.7.2", 5000, "192.168.8.9", 445, 5, 4), JOIN_KEEP);
	assert_int_equal(end_of(j, 2, LAN2, "192.168.7.2", 5000, "192.168.8.9", 445, 5, 4), JOIN_ECHO);
	join_stats(j, &s);
	assert_int_equal(s.echo_packets, 9);
	/* A new connection of the same ends is a flow of its own. */
	first.flow_id = 3;
	assert_int_equal(join_record(j, &first), JOIN_KEEP);
	join_free(j);
}

/* Private addresses beyond the WAN: by the default route they are outside. */
static void a_campus_is_outside(void **state)
{
	struct join_config c = both_sides();
	struct ct_entry e = { .orig = { ip("192.168.7.2"), ip("10.30.0.2"), 5000, 443, IPPROTO_TCP },
			      .reply = { ip("10.30.0.2"), ip("203.0.113.1"), 443, 61000, IPPROTO_TCP } };
	struct weir_rec lan = rec(1, LAN, "192.168.7.2", 5000, "10.30.0.2", 443);
	struct weir_rec wan = rec(2, WAN, "203.0.113.1", 61000, "10.30.0.2", 443);
	struct join *j;

	c.is_local = is_private;
	c.default_wan = true;
	j = join_new(&c);
	join_conntrack(j, &e);
	assert_int_equal(join_record(j, &lan), JOIN_ECHO);
	assert_int_equal(join_record(j, &wan), JOIN_RENAME);
	assert_int_equal(end_of(j, 2, WAN, "10.30.0.2", 443, "203.0.113.1", 61000, 3, 3), JOIN_RENAME);
	assert_int_equal(end_of(j, 1, LAN, "10.30.0.2", 443, "192.168.7.2", 5000, 3, 3), JOIN_ECHO);
	join_free(j);
}

/* Public addresses behind a router of the LAN. */
static void a_routed_network_is_inside(void **state)
{
	struct join_config c = both_sides();
	struct weir_rec lan = rec(1, LAN, "198.18.5.2", 5000, "198.51.100.9", 443);
	struct weir_rec wan = rec(2, WAN, "198.18.5.2", 5000, "198.51.100.9", 443);
	struct join *j;

	c.route[c.nroutes++] = (struct route){ ip("198.18.0.0"), 96 + 15, LAN };
	c.default_wan = true;
	j = join_new(&c);
	assert_int_equal(join_record(j, &lan), JOIN_ECHO);
	assert_int_equal(join_record(j, &wan), JOIN_KEEP);
	join_free(j);
}

/* A client of the LAN calls the gateway's own address, and gets a server of the LAN. */
static void a_hairpin_is_one_flow(void **state)
{
	struct join_config c = both_sides();
	struct ct_entry e = { .orig = { ip("192.168.7.2"), ip("203.0.113.1"), 5000, 443, IPPROTO_TCP },
			      .reply = { ip("192.168.7.9"), ip("192.168.7.1"), 8443, 6000, IPPROTO_TCP } };
	struct weir_rec in = rec(1, LAN, "192.168.7.2", 5000, "203.0.113.1", 443);
	struct weir_rec out = rec(2, LAN, "192.168.7.1", 6000, "192.168.7.9", 8443);
	struct join *j = join_new(&c);

	join_conntrack(j, &e);
	assert_int_equal(join_record(j, &in), JOIN_RENAME);
	assert_address(in.saddr, "192.168.7.2");
	assert_address(in.daddr, "192.168.7.9");
	assert_int_equal(in.dport, 8443);
	assert_int_equal(join_record(j, &out), JOIN_ECHO);
	join_free(j);
}

static void a_forwarded_port_is_one_flow(void **state)
{
	struct join_config c = both_sides();
	struct ct_entry e = { .orig = { ip("198.51.100.9"), ip("203.0.113.1"), 5000, 443, IPPROTO_TCP },
			      .reply = { ip("192.168.7.9"), ip("198.51.100.9"), 8443, 5000, IPPROTO_TCP } };
	struct weir_rec wan = rec(1, WAN, "198.51.100.9", 5000, "203.0.113.1", 443);
	struct weir_rec lan = rec(2, LAN, "198.51.100.9", 5000, "192.168.7.9", 8443);
	struct join *j = join_new(&c);

	join_conntrack(j, &e);
	assert_int_equal(join_record(j, &wan), JOIN_RENAME);
	assert_address(wan.saddr, "198.51.100.9");
	assert_address(wan.daddr, "192.168.7.9");
	assert_int_equal(wan.dport, 8443);
	assert_int_equal(join_record(j, &lan), JOIN_ECHO);
	join_free(j);
}

/* The gateway answers in the server's stead: nothing of it shows on the WAN. */
static void what_is_redirected_to_us_is_reported(void **state)
{
	struct join_config c = both_sides();
	struct ct_entry e = { .orig = { ip("192.168.7.2"), ip("198.51.100.9"), 5000, 53, IPPROTO_TCP },
			      .reply = { ip("192.168.7.1"), ip("192.168.7.2"), 53, 5000, IPPROTO_TCP } };
	struct weir_rec lan = rec(1, LAN, "192.168.7.2", 5000, "198.51.100.9", 53);
	struct join *j = join_new(&c);

	join_conntrack(j, &e);
	assert_int_equal(join_record(j, &lan), JOIN_RENAME);
	assert_address(lan.daddr, "192.168.7.1");
	join_free(j);
}

/* 1:1 NAT to an address that no interface has; conntrack's news come late. */
static void news_one_to_one(void *arg)
{
	struct join **j = arg;
	struct ct_entry e = { .orig = { ip("192.168.7.2"), ip("198.51.100.9"), 5000, 443, IPPROTO_TCP },
			      .reply = { ip("198.51.100.9"), ip("192.0.2.77"), 443, 5000, IPPROTO_TCP } };

	join_conntrack(*j, &e);
}

static void one_to_one_nat_has_its_client(void **state)
{
	struct join_config c = both_sides();
	struct weir_rec wan = rec(2, WAN, "192.0.2.77", 5000, "198.51.100.9", 443);
	struct join *j;

	c.more = news_one_to_one;
	c.more_arg = &j;
	j = join_new(&c);
	assert_int_equal(join_record(j, &wan), JOIN_RENAME);
	assert_address(wan.saddr, "192.168.7.2");
	join_free(j);
}

/* ppp0 has the default route, its carrier shows the same packets: as the NAT named them. */
static void an_uplink_and_its_carrier_show_one_flow(void **state)
{
	struct join_config c = both_sides();
	struct ct_entry e = masqueraded(5000, 61000);
	struct weir_rec lan = rec(1, LAN, "192.168.7.2", 5000, "198.51.100.9", 443);
	struct weir_rec ppp = rec(2, WAN, "203.0.113.1", 61000, "198.51.100.9", 443);
	struct weir_rec carrier = rec(3, CARRIER, "203.0.113.1", 61000, "198.51.100.9", 443);
	struct weir_rec own = rec(4, WAN, "203.0.113.1", 5353, "198.51.100.9", 53);
	struct weir_rec again = rec(5, CARRIER, "203.0.113.1", 5353, "198.51.100.9", 53);
	struct join_stats s;
	struct join *j;

	c.lan[c.nlan++] = CARRIER;
	j = join_new(&c);
	join_conntrack(j, &e);
	assert_int_equal(join_record(j, &lan), JOIN_ECHO);
	assert_int_equal(join_record(j, &ppp), JOIN_RENAME);
	assert_int_equal(join_record(j, &carrier), JOIN_ECHO);
	assert_int_equal(join_record(j, &own), JOIN_KEEP);
	assert_int_equal(join_record(j, &again), JOIN_ECHO);
	/* What the carrier counted is no side's: 2 packets are missing on the LAN, whoever ends first. */
	assert_int_equal(end_of(j, 3, CARRIER, "198.51.100.9", 443, "203.0.113.1", 61000, 20, 10), JOIN_ECHO);
	assert_int_equal(end_of(j, 2, WAN, "198.51.100.9", 443, "203.0.113.1", 61000, 20, 10), JOIN_RENAME);
	assert_int_equal(end_of(j, 1, LAN, "192.168.7.2", 5000, "198.51.100.9", 443, 10, 18), JOIN_ECHO);
	join_stats(j, &s);
	assert_int_equal(s.own_drops[0], 0);
	assert_int_equal(s.own_drops[1], 2);
	join_free(j);
}

/* After conntrack was flushed the same connection goes on under another port. */
static void a_flushed_nat_loses_nothing(void **state)
{
	struct join_config c = both_sides();
	struct ct_entry e = masqueraded(5000, 61000), anew = masqueraded(5000, 62000);
	struct weir_rec lan = rec(1, LAN, "192.168.7.2", 5000, "198.51.100.9", 443);
	struct weir_rec wan = rec(2, WAN, "203.0.113.1", 61000, "198.51.100.9", 443);
	struct weir_rec wan2 = rec(3, WAN, "203.0.113.1", 62000, "198.51.100.9", 443);
	struct join_stats s;
	struct join *j = join_new(&c);

	join_conntrack(j, &e);
	join_record(j, &lan);
	assert_int_equal(join_record(j, &wan), JOIN_RENAME);
	e.gone = true;
	join_conntrack(j, &e);
	join_conntrack(j, &anew);
	assert_int_equal(join_record(j, &wan2), JOIN_RENAME);
	assert_address(wan2.saddr, "192.168.7.2");
	assert_int_equal(end_of(j, 2, WAN, "198.51.100.9", 443, "203.0.113.1", 61000, 10, 10), JOIN_RENAME);
	assert_int_equal(end_of(j, 3, WAN, "198.51.100.9", 443, "203.0.113.1", 62000, 30, 30), JOIN_RENAME);
	assert_int_equal(end_of(j, 1, LAN, "192.168.7.2", 5000, "198.51.100.9", 443, 40, 40), JOIN_ECHO);
	join_stats(j, &s);
	assert_int_equal(s.own_drops[0] + s.own_drops[1], 0);
	assert_int_equal(s.unmatched, 0);
	join_free(j);
}

/* Conntrack says that a connection is gone before its first packet's record is read: the uplink has another address. */
static void a_connection_that_is_gone_names_what_is_under_way(void **state)
{
	struct join_config c = both_sides();
	struct ct_entry e = masqueraded(5000, 61000), again = e;
	struct weir_rec wan = rec(2, WAN, "203.0.113.1", 61000, "198.51.100.9", 443), later = wan, late = wan;
	struct join *j = join_new(&c);

	later.flow_id = 3;
	late.flow_id = 4;
	join_conntrack(j, &e);
	e.gone = true;
	join_conntrack(j, &e);
	assert_int_equal(join_record(j, &wan), JOIN_RENAME);
	assert_address(wan.saddr, "192.168.7.2");
	/* The same once more is no longer gone. */
	join_conntrack(j, &again);
	join_settled(j);
	assert_int_equal(join_record(j, &later), JOIN_RENAME);
	join_conntrack(j, &e);
	join_settled(j);
	assert_int_not_equal(join_record(j, &late), JOIN_RENAME);
	join_free(j);
}

/* What comes in on the WAN for the inside and is dropped here leaves nothing behind that could fill up. */
static void scans_leave_room(void **state)
{
	struct join_config c = both_sides();
	struct weir_rec lan = rec(1, LAN, "192.168.7.2", 5000, "198.51.100.9", 443);
	struct weir_rec wan = rec(2, WAN, "192.168.7.2", 5000, "198.51.100.9", 443);
	struct join_stats s;
	struct join *j = join_new(&c);

	for (unsigned i = 0; i < 1000; i++) {
		struct weir_rec r = rec(100 + i, WAN, "198.51.100.9", 1000 + i, "192.168.7.3", 23);

		assert_int_equal(join_record(j, &r), JOIN_KEEP);
		assert_int_equal(end_of(j, 100 + i, WAN, "192.168.7.3", 23, "198.51.100.9", 1000 + i, 0, 1), JOIN_KEEP);
	}
	assert_int_equal(join_record(j, &lan), JOIN_ECHO);
	assert_int_equal(join_record(j, &wan), JOIN_KEEP);
	assert_int_equal(end_of(j, 1, LAN, "192.168.7.2", 5000, "198.51.100.9", 443, 4, 4), JOIN_ECHO);
	assert_int_equal(end_of(j, 2, WAN, "192.168.7.2", 5000, "198.51.100.9", 443, 4, 4), JOIN_KEEP);
	join_stats(j, &s);
	assert_int_equal(s.refused, 0);
	join_free(j);
}

/* A policy sends flows through a tunnel that nobody watches: learned, then the LAN tells of them. */
static void leaving_unseen_is_learned(void **state)
{
	struct join_config c = both_sides();
	struct join *j = join_new(&c);
	struct weir_rec wan = rec(999, WAN, "192.168.7.2", 99, "198.51.100.9", 443);
	enum join_verdict first = JOIN_KEEP, last = JOIN_ECHO;
	struct join_stats s;

	for (unsigned i = 0; i < 60; i++) {
		struct weir_rec lan = rec(1 + i, LAN, "192.168.7.2", 5000 + i, "198.51.100.9", 443);

		last = join_record(j, &lan);
		first = i ? first : last;
		end_of(j, 1 + i, LAN, "192.168.7.2", 5000 + i, "198.51.100.9", 443, 4, 4);
	}
	assert_int_equal(first, JOIN_ECHO);
	assert_int_equal(last, JOIN_KEEP);
	join_stats(j, &s);
	assert_true(s.lan_reports);
	/* And what does show on the WAN is the echo now. */
	assert_int_equal(join_record(j, &wan), JOIN_ECHO);
	join_free(j);
}

/* Out by one uplink, back by the other: the LAN alone shows both ways. */
static void split_over_two_uplinks_is_learned(void **state)
{
	struct join_config c = both_sides();
	struct join_stats s;
	struct join *j;

	c.wan[c.nwan++] = WAN2;
	j = join_new(&c);
	for (unsigned i = 0; i < 40; i++) {
		struct weir_rec lan = request(1000 + i, LAN, i);
		struct weir_rec out = request(2000 + i, WAN, i);
		struct weir_rec back = reply(3000 + i, WAN2, i);

		join_record(j, &lan);
		join_record(j, &out);
		join_record(j, &back);
		end_of(j, 3000 + i, WAN2, "192.168.7.2", 5000 + i, "198.51.100.9", 443, 0, 7);
		end_of(j, 2000 + i, WAN, "192.168.7.2", 5000 + i, "198.51.100.9", 443, 5, 0);
		end_of(j, 1000 + i, LAN, "192.168.7.2", 5000 + i, "198.51.100.9", 443, 5, 7);
	}
	join_stats(j, &s);
	assert_true(s.split >= 20);
	assert_true(s.lan_reports);
	assert_int_equal(s.own_drops[0] + s.own_drops[1], 0);
	join_free(j);
}

/* Without a LAN that is watched there are no better sightings to report. */
static void two_uplinks_alone_learn_nothing(void **state)
{
	struct join_config c = both_sides();
	struct join_stats s;
	struct join *j;

	c.nlan = 0;
	c.wan[c.nwan++] = WAN2;
	j = join_new(&c);
	for (unsigned i = 0; i < 40; i++) {
		struct weir_rec out = request(2000 + i, WAN, i);
		struct weir_rec back = reply(3000 + i, WAN2, i);

		assert_int_equal(join_record(j, &out), JOIN_KEEP);
		assert_int_equal(join_record(j, &back), JOIN_KEEP);
		end_of(j, 3000 + i, WAN2, "192.168.7.2", 5000 + i, "198.51.100.9", 443, 0, 7);
		end_of(j, 2000 + i, WAN, "192.168.7.2", 5000 + i, "198.51.100.9", 443, 5, 0);
	}
	join_stats(j, &s);
	assert_false(s.lan_reports);
	join_free(j);
}

/* What comes back takes a road that nobody watches. */
static void half_seen_on_the_wan_is_learned(void **state)
{
	struct join_config c = both_sides();
	struct join_stats s;
	struct join *j = join_new(&c);

	for (unsigned i = 0; i < 40; i++) {
		struct weir_rec lan = request(1000 + i, LAN, i);
		struct weir_rec out = request(2000 + i, WAN, i);

		join_record(j, &lan);
		join_record(j, &out);
		end_of(j, 2000 + i, WAN, "192.168.7.2", 5000 + i, "198.51.100.9", 443, 5, 0);
		end_of(j, 1000 + i, LAN, "192.168.7.2", 5000 + i, "198.51.100.9", 443, 5, 7);
	}
	join_stats(j, &s);
	assert_true(s.lan_reports);
	assert_int_equal(s.own_drops[0] + s.own_drops[1], 0);
	join_free(j);
}

/* Half a connection lasts until its timeout: its SYN-ACK on the LAN alone says it at once. */
static void a_missing_answer_is_learned_at_once(void **state)
{
	for (int half = 0; half < 2; half++) {
		struct join_config c = both_sides();
		struct join_stats s;
		struct join *j;

		c.lan[c.nlan++] = CARRIER;
		j = join_new(&c);
		for (unsigned i = 0; i < 40; i++) {
			struct weir_rec lan = request(1000 + i, LAN, i);
			struct weir_rec out = request(2000 + i, WAN, i);
			struct weir_rec in = reply(2000 + i, WAN, i);
			struct weir_rec carried = request(3000 + i, CARRIER, i);
			struct weir_rec first = reply(3000 + i, CARRIER, i);
			struct weir_rec back = reply(1000 + i, LAN, i);

			lan.kind = out.kind = carried.kind = first.kind = in.kind = back.kind = WEIR_REC_PACKET;
			lan.tcp_flags = out.tcp_flags = carried.tcp_flags = TH_SYN;
			first.tcp_flags = in.tcp_flags = back.tcp_flags = TH_SYN | TH_ACK;
			join_record(j, &lan);
			join_record(j, &out);
			join_record(j, &carried);
			if (!half) {
				join_record(j, &first);
				join_record(j, &in);
			}
			join_record(j, &back);
			join_record(j, &back); /* sent again */
		}
		join_stats(j, &s);
		assert_int_equal(s.lan_reports, half);
		assert_int_equal(s.split, half ? 20 : 0);
		join_free(j);
	}
}

/* Whose packets come in where they are seen: by the route to the sender, where there is none by the sides. */
static void who_comes_in(void **state)
{
	struct in6_addr client = ip("192.168.7.2"), own = ip("203.0.113.1"), server = ip("198.51.100.9"), near = ip("203.0.113.9");
	struct join_config c = both_sides();
	struct join *j = join_new(&c);

	assert_true(join_comes_in(j, &client, LAN, false));
	assert_false(join_comes_in(j, &client, WAN, true));
	assert_true(join_comes_in(j, &server, WAN, true));
	assert_false(join_comes_in(j, &server, LAN, false));
	assert_false(join_comes_in(j, &own, WAN, true));
	/* no default route made it the WAN */
	assert_true(join_comes_in(j, &near, WAN, false));
	assert_false(join_comes_in(j, &client, WAN, false));
	/* a second uplink, that no route leads to: what comes back takes it */
	assert_true(join_comes_in(j, &near, WAN + 10, true));
	assert_false(join_comes_in(j, &client, WAN + 10, true));
	join_free(j);
}

/* A NAT64 on this host that keeps ports, then masquerade: IPv6 on the LAN, IPv4 on the WAN. */
static void a_nat64_is_one_flow(void **state)
{
	struct join_config c = both_sides();
	struct ct_entry e = { .orig = { ip("192.0.0.5"), ip("198.51.100.9"), 5000, 443, IPPROTO_TCP },
			      .reply = { ip("198.51.100.9"), ip("203.0.113.1"), 443, 61000, IPPROTO_TCP } };
	struct weir_rec lan = rec(1, LAN, "fd00:7::2", 5000, "64:ff9b::198.51.100.9", 443);
	struct weir_rec wan = rec(2, WAN, "203.0.113.1", 61000, "198.51.100.9", 443);
	struct weir_rec own = rec(3, WAN, "203.0.113.1", 5001, "198.51.100.9", 443);
	struct join_stats s;
	struct join *j;

	c.own[c.nown++] = (struct addr){ ip("fd00:7::1"), 64, LAN };
	j = join_new(&c);
	join_conntrack(j, &e);
	assert_int_equal(join_record(j, &lan), JOIN_ECHO);
	assert_int_equal(join_record(j, &wan), JOIN_RENAME);
	assert_address(wan.saddr, "fd00:7::2");
	assert_address(wan.daddr, "64:ff9b::198.51.100.9");
	assert_int_equal(wan.sport, 5000);
	assert_int_equal(wan.client, WEIR_CLIENT_LO);
	assert_int_equal(join_record(j, &own), JOIN_KEEP);
	assert_int_equal(end_of(j, 2, WAN, "198.51.100.9", 443, "203.0.113.1", 61000, 5, 5), JOIN_RENAME);
	assert_int_equal(end_of(j, 1, LAN, "64:ff9b::198.51.100.9", 443, "fd00:7::2", 5000, 5, 5), JOIN_ECHO);
	join_stats(j, &s);
	assert_int_equal(s.joined, 1);
	assert_int_equal(s.nat64, 0);
	join_free(j);
}

/* 464XLAT: IPv4 on the LAN leaves by the CLAT's own device, as IPv6 on the WAN. */
static void a_clat_is_one_flow(void **state)
{
	struct join_config c = both_sides();
	struct weir_rec first = rec(1, WAN, "2001:db8::c1a7", 4999, "64:ff9b::198.51.100.9", 443);
	struct weir_rec lan = rec(2, LAN, "192.168.7.2", 5000, "198.51.100.9", 443);
	struct weir_rec wan = rec(3, WAN, "2001:db8::c1a7", 5000, "64:ff9b::198.51.100.9", 443);
	struct weir_rec twin = rec(4, LAN, "192.168.7.3", 6000, "198.51.100.9", 443);
	struct weir_rec twin2 = rec(5, LAN, "192.168.7.4", 6000, "198.51.100.9", 443);
	struct weir_rec either = rec(6, WAN, "2001:db8::c1a7", 6000, "64:ff9b::198.51.100.9", 443);
	struct join *j;

	for (int away = 0; away < 2; away++) {
		c.all_wans = !away;
		j = join_new(&c);
		assert_int_equal(join_record(j, &first), JOIN_KEEP);
		assert_int_equal(join_record(j, &lan), away ? JOIN_KEEP : JOIN_ECHO);
		assert_int_equal(join_record(j, &wan), away ? JOIN_ECHO : JOIN_RENAME);
		assert_int_equal(end_of(j, 3, WAN, "64:ff9b::198.51.100.9", 443, "2001:db8::c1a7", 5000, 4, 4),
				 away ? JOIN_ECHO : JOIN_RENAME);
		assert_int_equal(end_of(j, 2, LAN, "192.168.7.2", 5000, "198.51.100.9", 443, 4, 4),
				 away ? JOIN_KEEP : JOIN_ECHO);
		/* Two clients with the same port: whose it is can't be told. */
		join_record(j, &twin);
		join_record(j, &twin2);
		assert_int_equal(join_record(j, &either), JOIN_KEEP);
		join_free(j);
		wan = rec(3, WAN, "2001:db8::c1a7", 5000, "64:ff9b::198.51.100.9", 443);
	}
}

/* Guests of an unwatched LAN: only the WAN shows them, whatever the uplinks are. */
static void an_unwatched_lan_is_told_by_the_wan(void **state)
{
	struct join_config c = both_sides();
	struct weir_rec wan = rec(2, WAN, "192.168.99.2", 5000, "198.51.100.9", 443);
	struct join *j;

	c.is_local = is_private;
	c.all_wans = false;
	c.route[c.nroutes++] = (struct route){ ip("192.168.99.0"), 96 + 24, OTHER };
	c.default_wan = true;
	j = join_new(&c);
	assert_int_equal(join_record(j, &wan), JOIN_KEEP);
	join_free(j);
}

static void lost_news_are_forgotten(void **state)
{
	struct join_config c = both_sides();
	struct ct_entry e = masqueraded(5000, 61000);
	struct join_stats s;
	struct join *j = join_new(&c);

	join_conntrack(j, &e);
	join_conntrack_lost(j);
	join_stats(j, &s);
	assert_int_equal(s.connections, 0);
	join_free(j);
}

static void roles_follow_routes(void **state)
{
	struct link l[] = {
		{ .ifindex = 1, .name = "lo", .up = true, .arphrd = 772 },
		{ .ifindex = 2, .name = "wan0", .up = true, .arphrd = 1 },
		{ .ifindex = 3, .name = "br-lan", .kind = "bridge", .up = true, .arphrd = 1 },
		{ .ifindex = 4, .name = "lan1", .up = true, .arphrd = 1, .master = 3 },
		{ .ifindex = 5, .name = "eth9", .up = false, .arphrd = 1 },
		{ .ifindex = 6, .name = "eth1", .up = true, .arphrd = 1 },
		{ .ifindex = 7, .name = "eth1.7", .kind = "vlan", .up = true, .arphrd = 1, .lower = 6 },
		{ .ifindex = 8, .name = "dsl0", .up = true, .arphrd = 1, .pppoe = true },
		{ .ifindex = 9, .name = "red", .kind = "vrf", .up = true, .arphrd = 1 },
		{ .ifindex = 10, .name = "red0", .up = true, .arphrd = 1, .master = 9 },
	};
	const enum role want[] = { ROLE_NONE, ROLE_WAN, ROLE_LAN, ROLE_PORT, ROLE_NONE, ROLE_CARRIER,
				   ROLE_LAN, ROLE_CARRIER, ROLE_NONE, ROLE_LAN };
	struct routes routes = { .uplink = { { 2, true } }, .nuplinks = 1 };
	enum role got[10];

	gateway_roles(l, 10, &routes, got);
	for (int i = 0; i < 10; i++)
		assert_int_equal(got[i], want[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masqueraded_flow_is_one),
		cmocka_unit_test(what_never_left_is_reported_by_the_lan),
		cmocka_unit_test(what_stays_inside_is_kept),
		cmocka_unit_test(with_an_uplink_unwatched_the_lan_reports),
		cmocka_unit_test(a_packet_may_overtake_its_connection),
		cmocka_unit_test(tables_are_bounded),
		cmocka_unit_test(two_lans_show_one_flow),
		cmocka_unit_test(a_campus_is_outside),
		cmocka_unit_test(a_routed_network_is_inside),
		cmocka_unit_test(a_hairpin_is_one_flow),
		cmocka_unit_test(a_forwarded_port_is_one_flow),
		cmocka_unit_test(what_is_redirected_to_us_is_reported),
		cmocka_unit_test(one_to_one_nat_has_its_client),
		cmocka_unit_test(an_uplink_and_its_carrier_show_one_flow),
		cmocka_unit_test(a_flushed_nat_loses_nothing),
		cmocka_unit_test(a_connection_that_is_gone_names_what_is_under_way),
		cmocka_unit_test(scans_leave_room),
		cmocka_unit_test(leaving_unseen_is_learned),
		cmocka_unit_test(two_uplinks_alone_learn_nothing),
		cmocka_unit_test(split_over_two_uplinks_is_learned),
		cmocka_unit_test(a_missing_answer_is_learned_at_once), cmocka_unit_test(who_comes_in),
		cmocka_unit_test(half_seen_on_the_wan_is_learned),
		cmocka_unit_test(a_nat64_is_one_flow),
		cmocka_unit_test(a_clat_is_one_flow),
		cmocka_unit_test(an_unwatched_lan_is_told_by_the_wan),
		cmocka_unit_test(lost_news_are_forgotten),
		cmocka_unit_test(roles_follow_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
