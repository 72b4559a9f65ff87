// SPDX-License-Identifier: GPL-2.0-or-later
/* Two sightings of a flow, with NAT and without; which interface leads where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
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

	assert_int_equal(join_record(j, &lan), JOIN_ECHO);
	assert_int_equal(join_end(j, &k, &f), JOIN_KEEP);
	join_stats(j, &s);
	assert_int_equal(s.unmatched, 1);
	assert_int_equal(s.echo_packets, 0);
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
	};
	const enum role want[] = { ROLE_NONE, ROLE_WAN, ROLE_LAN, ROLE_PORT, ROLE_NONE, ROLE_CARRIER, ROLE_LAN };
	unsigned routes[] = { 2 };
	enum role got[7];

	gateway_roles(l, 7, routes, 1, got);
	for (int i = 0; i < 7; i++)
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
		cmocka_unit_test(roles_follow_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
