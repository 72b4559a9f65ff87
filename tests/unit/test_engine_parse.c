// SPDX-License-Identifier: GPL-2.0-or-later
/* Headers of every kind, whole, bent and cut short: what is read of them, and where they are counted. */
#include "engine_kit.h"

#pragma GCC diagnostic ignored "-Woverride-init" /* a row overrides what all have */

#define TCP_ROW(...) { .src = 9, .dst = 1, .sport = 40000, .dport = 443, .flags = ACK, .len = 100, __VA_ARGS__ }
#define UDP_ROW(...) { .src = 9, .dst = 1, .sport = 40000, .dport = 443, .proto = UDP, .len = 100, __VA_ARGS__ }
#define IN_FLOW WEIR_ELSEWHERE

struct row {
	const char *name;
	struct pk pk;
	unsigned keep;	/* captured bytes; 0: all */
	bool short_wire;/* keep is also the length on the wire */
	unsigned want;	/* IN_FLOW or enum weir_elsewhere */
	unsigned ip, l2, payload; /* lengths; 0: not looked at */
};

static void feed(struct kit *k, const struct row *r)
{
	uint8_t b[PK_MAX];
	unsigned n = pk_build(b, &r->pk), cap = r->keep ? r->keep : n;

	assert_true(cap <= n);
	kit_bytes(k, 0, r->pk.link == PK_NONE ? WEIR_LINK_IP : WEIR_LINK_ETHERNET, b, cap, r->short_wire ? cap : n);
}

static void check(const struct row *r)
{
	struct kit *k = kit_new(NULL, 0);
	struct weir_counters c;

	feed(k, r);
	c = kit_counters(k);
	for (unsigned i = 0; i < WEIR_ELSEWHERE; i++)
		if (c.elsewhere[i] != (i == r->want))
			fail_msg("%s: elsewhere[%u] is %u, wanted in %u", r->name, i, (unsigned)c.elsewhere[i], r->want);
	if (c.in_flows != (r->want == IN_FLOW))
		fail_msg("%s: %u in flows", r->name, (unsigned)c.in_flows);
	if (r->want == IN_FLOW) {
		const struct weir_rec *x = kit_last(k);

		if (k->n != 1 || (r->ip && x->ip_len != r->ip) || (r->l2 && x->l2_len != r->l2) ||
		    (r->payload && x->payload_len != r->payload))
			fail_msg("%s: ip %u, l2 %u, payload %u", r->name, x->ip_len, x->l2_len, x->payload_len);
	}
	assert_int_equal(c.buffers, 1);
	kit_free(k);
}

static const uint8_t hop[8] = { 0, 0, 5, 2 }, route[24] = { 0, 2, 0, 0 }, ah[24] = { 0, 4 }, dest[16] = { 0, 1, 1, 4 };
static const uint8_t first_frag[8] = { 0, 0, 0, 1 }, atomic_frag[8], later_frag[8] = { 0, 0, 0, 8 };
static const uint8_t all_kinds[] = {
	/* hop-by-hop 8, routing 8, destination 16, AH 24, fragment 8, destination 8 */
	43, 0, 5, 2, 0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 51, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	44, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 9,
	0, 0, 1, 4, 0, 0, 0, 0,
};
static const uint8_t seven[] = {
	60, 0, 1, 4, 0, 0, 0, 0, 60, 0, 1, 4, 0, 0, 0, 0, 60, 0, 1, 4, 0, 0, 0, 0, 60, 0, 1, 4, 0, 0, 0, 0,
	60, 0, 1, 4, 0, 0, 0, 0, 60, 0, 1, 4, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0,
};
/* 2,008 and 2,048 bytes: a transport header 4 KiB into the packet. */
static const uint8_t long_chain[4056] = { [0] = 60, [1] = 250, [2009] = 255 };

static const struct row rows[] = {
	{ "Ethernet", TCP_ROW(), .want = IN_FLOW, .ip = 140, .l2 = 154, .payload = 100 },
	{ "VLAN", TCP_ROW(.link = PK_VLAN), .want = IN_FLOW, .ip = 140, .l2 = 158, .payload = 100 },
	{ "QinQ", TCP_ROW(.link = PK_QINQ), .want = IN_FLOW, .ip = 140, .l2 = 162 },
	{ "QinQ, IPv6", TCP_ROW(.link = PK_QINQ, .v6 = true), .want = IN_FLOW, .ip = 160, .l2 = 182 },
	{ "PPPoE", TCP_ROW(.link = PK_PPPOE), .want = IN_FLOW, .ip = 140, .l2 = 162 },
	{ "PPPoE, IPv6", TCP_ROW(.link = PK_PPPOE, .v6 = true), .want = IN_FLOW, .ip = 160, .payload = 100 },
	{ "PPPoE, LCP", TCP_ROW(.link = PK_PPPOE, .ether = 0xc021), .want = WEIR_NOT_IP },
	{ "no link header", TCP_ROW(.link = PK_NONE), .want = IN_FLOW, .ip = 140, .l2 = 140 },
	{ "no link header, IPv6", TCP_ROW(.link = PK_NONE, .v6 = true), .want = IN_FLOW, .ip = 160, .l2 = 160 },
	{ "no link header, neither", TCP_ROW(.link = PK_NONE, .ihl = 0x35), .want = WEIR_NOT_IP },
	{ "ARP", TCP_ROW(.ether = 0x0806), .want = WEIR_NOT_IP },
	{ "ARP in a VLAN", TCP_ROW(.link = PK_VLAN, .ether = 0x0806), .want = WEIR_NOT_IP },
	{ "three tags", TCP_ROW(.link = PK_QINQ, .ether = 0x8100), .want = WEIR_NOT_IP },
	{ "padding", UDP_ROW(.len = 1, .pad = 17), .want = IN_FLOW, .ip = 29, .l2 = 60, .payload = 1 },
	{ "Ethernet header cut", TCP_ROW(), .keep = 13, .want = WEIR_TRUNCATED },
	{ "VLAN tag cut", TCP_ROW(.link = PK_VLAN), .keep = 17, .want = WEIR_TRUNCATED },
	{ "PPPoE cut", TCP_ROW(.link = PK_PPPOE), .keep = 21, .want = WEIR_TRUNCATED },

	{ "IPv4 options", TCP_ROW(.ipopt = "\x94\4\0\0", .nipopt = 4), .want = IN_FLOW, .ip = 144, .payload = 100 },
	{ "IPv4 header of 60", TCP_ROW(.ipopt = "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1",
				       .nipopt = 40), .want = IN_FLOW, .ip = 180, .payload = 100 },
	{ "IHL 4", TCP_ROW(.ihl = 0x44), .want = WEIR_MALFORMED },
	{ "IHL beyond the total", UDP_ROW(.len = 4, .ihl = 0x4f), .want = WEIR_MALFORMED },
	{ "version 5 in IPv4's type", TCP_ROW(.ihl = 0x55), .want = WEIR_MALFORMED },
	{ "total below the header", TCP_ROW(.ip_total = 19), .want = WEIR_MALFORMED },
	{ "total beyond the packet", TCP_ROW(.ip_total = 141), .want = WEIR_MALFORMED },
	{ "total 0: left to the NIC", TCP_ROW(.ip_total = -1), .want = IN_FLOW, .ip = 140, .payload = 100 },
	{ "total below TCP's header", TCP_ROW(.ip_total = 39), .want = WEIR_MALFORMED },
	{ "IPv4 header cut", TCP_ROW(), .keep = 33, .want = WEIR_TRUNCATED },
	{ "IPv4 header short", TCP_ROW(), .keep = 33, .short_wire = true, .want = WEIR_MALFORMED },
	{ "TCP header cut", TCP_ROW(), .keep = 53, .want = WEIR_TRUNCATED },
	{ "payload cut", TCP_ROW(), .keep = 54, .want = IN_FLOW, .ip = 140, .l2 = 154, .payload = 100 },
	{ "TCP offset 4", TCP_ROW(.doff = 4), .want = WEIR_MALFORMED },
	{ "TCP offset 0", TCP_ROW(.doff = -1), .want = WEIR_MALFORMED },
	{ "TCP offset beyond", TCP_ROW(.doff = 15, .len = 39), .want = WEIR_MALFORMED },
	{ "TCP offset to the end", TCP_ROW(.doff = 15, .len = 40), .want = IN_FLOW, .ip = 80 },
	{ "UDP", UDP_ROW(), .want = IN_FLOW, .ip = 128, .payload = 100 },
	{ "UDP without payload", UDP_ROW(.len = 0), .want = IN_FLOW, .ip = 28 },
	{ "UDP header cut", UDP_ROW(), .keep = 41, .want = WEIR_TRUNCATED },
	{ "UDP length beyond the packet", UDP_ROW(.udp_len = 109), .want = IN_FLOW, .payload = 100 },
	{ "UDP length below its header", UDP_ROW(.udp_len = 7), .want = IN_FLOW, .payload = 100 },
	{ "UDP length 0", UDP_ROW(.udp_len = -1), .want = IN_FLOW, .payload = 100 },
	{ "UDP length 0, v6", UDP_ROW(.v6 = true, .udp_len = -1), .want = IN_FLOW, .payload = 100 },
	{ "bytes behind the datagram", UDP_ROW(.udp_len = 20), .want = IN_FLOW, .ip = 128, .payload = 12 },
	{ "first fragment of a longer datagram", UDP_ROW(.frag = 0x2000, .udp_len = 4000), .want = IN_FLOW, .payload = 100 },
	{ "UDP header short", UDP_ROW(.ip_total = 27), .want = WEIR_MALFORMED },
	{ "GRE", UDP_ROW(.proto = 47), .want = IN_FLOW, .ip = 120, .payload = 100 },
	{ "protocol without payload", UDP_ROW(.proto = 47, .len = 0), .want = IN_FLOW, .ip = 20 },

	{ "first fragment", UDP_ROW(.frag = 0x2000), .want = IN_FLOW, .ip = 128 },
	{ "later fragment", UDP_ROW(.frag = 0x2001), .want = WEIR_FRAGMENT },
	{ "last fragment", UDP_ROW(.frag = 0x00b9), .want = WEIR_FRAGMENT },
	{ "later fragment, bad total", UDP_ROW(.frag = 0x2001, .ip_total = 500), .want = WEIR_MALFORMED },
	{ "IPv6 first fragment", UDP_ROW(.v6 = true, .ext_first = 44, .ext = first_frag, .next = 8), .want = IN_FLOW,
	  .ip = 156, .payload = 100 },
	{ "IPv6 atomic fragment", UDP_ROW(.v6 = true, .ext_first = 44, .ext = atomic_frag, .next = 8), .want = IN_FLOW },
	{ "IPv6 later fragment", UDP_ROW(.v6 = true, .ext_first = 44, .ext = later_frag, .next = 8),
	  .want = WEIR_FRAGMENT },

	{ "IPv6", TCP_ROW(.v6 = true), .want = IN_FLOW, .ip = 160, .l2 = 174, .payload = 100 },
	{ "IPv6 version 5", TCP_ROW(.v6 = true, .ihl = 5), .want = WEIR_MALFORMED },
	{ "IPv6 length beyond", TCP_ROW(.v6 = true, .ip_total = 121), .want = WEIR_MALFORMED },
	{ "IPv6 length below TCP's", TCP_ROW(.v6 = true, .ip_total = 19), .want = WEIR_MALFORMED },
	{ "IPv6 length 0: merged", TCP_ROW(.v6 = true, .ip_total = -1), .want = IN_FLOW, .ip = 160, .payload = 100 },
	{ "IPv6 header cut", TCP_ROW(.v6 = true), .keep = 53, .want = WEIR_TRUNCATED },
	{ "IPv6 header short", TCP_ROW(.v6 = true), .keep = 53, .short_wire = true, .want = WEIR_MALFORMED },
	{ "hop-by-hop", TCP_ROW(.v6 = true, .ext_first = 0, .ext = hop, .next = 8), .want = IN_FLOW, .payload = 100 },
	{ "routing", TCP_ROW(.v6 = true, .ext_first = 43, .ext = route, .next = 24), .want = IN_FLOW, .payload = 100 },
	{ "AH", TCP_ROW(.v6 = true, .ext_first = 51, .ext = ah, .next = 24), .want = IN_FLOW, .payload = 100 },
	{ "destination options", TCP_ROW(.v6 = true, .ext_first = 60, .ext = dest, .next = 16), .want = IN_FLOW,
	  .payload = 100 },
	{ "all kinds", TCP_ROW(.v6 = true, .ext = all_kinds, .next = sizeof(all_kinds), .ext_last = 64),
	  .want = IN_FLOW, .ip = 232, .payload = 100 },
	{ "seven", TCP_ROW(.v6 = true, .ext_first = 60, .ext = seven, .next = 56, .ext_last = 48),
	  .want = WEIR_EXT_HEADERS },
	{ "six", TCP_ROW(.v6 = true, .ext_first = 60, .ext = seven + 8, .next = 48, .ext_last = 40), .want = IN_FLOW },
	{ "4 KiB of them", TCP_ROW(.v6 = true, .ext_first = 60, .ext = long_chain, .next = 4056, .ext_last = 2008),
	  .want = WEIR_EXT_HEADERS },
	{ "2 KiB in one", TCP_ROW(.v6 = true, .ext_first = 60, .ext = long_chain + 2008, .next = 2048),
	  .want = WEIR_EXT_HEADERS },
	{ "2,008 bytes in one", TCP_ROW(.v6 = true, .ext_first = 60, .ext = long_chain, .next = 2008), .want = IN_FLOW,
	  .payload = 100 },
	{ "extension header cut", TCP_ROW(.v6 = true, .ext_first = 0, .ext = hop, .next = 8), .keep = 58,
	  .want = WEIR_TRUNCATED },
	{ "extension header short", TCP_ROW(.v6 = true, .ext_first = 0, .ext = hop, .next = 8, .ip_total = 4), .keep = 58,
	  .short_wire = true, .want = WEIR_MALFORMED },
	{ "extension header beyond", TCP_ROW(.v6 = true, .ext_first = 43, .ext = route, .next = 24, .ip_total = 16),
	  .want = WEIR_MALFORMED },
	{ "AH beyond", TCP_ROW(.v6 = true, .ext_first = 51, .ext = ah, .next = 24, .ip_total = 20),
	  .want = WEIR_MALFORMED },
	{ "no next header", TCP_ROW(.v6 = true, .proto = 59, .len = 8), .want = IN_FLOW, .ip = 48 },
};

static void each_header(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		check(&rows[i]);
}

/* Any packet cut at any byte: counted once, never read beyond. */
static void cut_anywhere(void **state)
{
	struct kit *k = kit_new(NULL, 0);
	uint8_t b[PK_MAX];
	unsigned fed = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		unsigned n = pk_build(b, &rows[i].pk);
		enum weir_link link = rows[i].pk.link == PK_NONE ? WEIR_LINK_IP : WEIR_LINK_ETHERNET;

		for (unsigned cap = 0; cap <= n; cap += cap < 256 ? 1 : 97) {
			kit_bytes(k, fed++, link, b, cap, n);
			kit_bytes(k, fed++, link, b, cap, cap);
			kit_conserved(k);
		}
	}
	assert_int_equal(kit_counters(k).seen, fed);
	kit_free(k);
}

static void facts(void **state)
{
	struct kit *k = kit_new(NULL, 0);
	struct pk p = { .link = PK_QINQ, .src = 9, .dst = 1, .sport = 40000, .dport = 443, .flags = PSH | ACK, .seq = 0xfffffff0,
			.ack = 77, .win = 513, .ttl = 61, .tos = 0xb8, .ipid = 0xabcd, .frag = 0x4000, .len = 3, .data = "abc" };
	const struct weir_rec *r = kit_packet(k, 5, &p);

	assert_int_equal(r->time_ns, KIT_START + 5000);
	assert_int_equal(r->kind, WEIR_REC_PACKET);
	assert_memory_equal(r->saddr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x09", 16);
	assert_memory_equal(r->daddr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01", 16);
	assert_int_equal(r->sport, 40000);
	assert_int_equal(r->dport, 443);
	assert_int_equal(r->proto, 6);
	assert_int_equal(r->vlans, 2);
	assert_int_equal(r->seq, 0xfffffff0);
	assert_int_equal(r->ack, 77);
	assert_int_equal(r->win, 513);
	assert_int_equal(r->ttl, 61);
	assert_int_equal(r->tos, 0xb8);
	assert_int_equal(r->ipid, 0xabcd);
	assert_int_equal(r->tcp_flags, PSH | ACK);
	assert_int_equal(r->flags, WEIR_REC_NEW | WEIR_REC_DF | WEIR_REC_IPV4);
	assert_int_equal(r->segs, 1);
	assert_int_equal(r->caplen, 3);
	assert_memory_equal(k->payload[0], "abc", 3);
	p = (struct pk){ .v6 = true, .src = 9, .dst = 1, .sport = 5000, .dport = 53, .proto = UDP, .ttl = 3, .tos = 0x2e, .len = 30 };
	r = kit_packet(k, 6, &p);
	assert_memory_equal(r->saddr, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09", 16);
	assert_int_equal(r->tos, 0x2e);
	assert_int_equal(r->ttl, 3);
	assert_int_equal(r->flags, WEIR_REC_NEW);
	for (int i = 0; i < 24; i++)
		assert_int_equal(r->head[i], i);
	kit_free(k);
}

/* Options of one SYN or ACK: the facts that the record has of them. */
struct options {
	const char *name, *bytes;
	unsigned n, mss, wscale, nsack;
	bool ts;
};

#define MSS   "\2\4\5\xb4"
#define WS    "\3\3\7"
#define TS    "\x08\x0a\0\0\0\1\0\0\0\2"
#define BLOCK "\0\0\0\x0a\0\0\0\x14"

static const struct options options[] = {
	{ "none", "", 0, 0, 255, 0, false },
	{ "Linux's SYN", MSS "\4\2" TS "\1" WS, 20, 1460, 7, 0, true },
	{ "Windows' SYN", MSS "\1" WS "\1\1\4\2", 12, 1460, 7, 0, false },
	{ "NOP NOP timestamps", "\1\1" TS, 12, 0, 255, 0, true },
	{ "timestamps first", TS "\1\1", 12, 0, 255, 0, true },
	{ "timestamps behind four NOPs", "\1\1\1\1" TS, 14, 0, 255, 0, true },
	{ "one block", "\1\1\5\x0a" BLOCK, 12, 0, 255, 1, false },
	{ "two blocks", "\1\1\5\x12" BLOCK BLOCK, 20, 0, 255, 2, false },
	{ "three blocks and timestamps", "\1\1" TS "\1\1\5\x1a" BLOCK BLOCK BLOCK, 40, 0, 255, 3, true },
	{ "four blocks", "\1\1\5\x22" BLOCK BLOCK BLOCK BLOCK, 36, 0, 255, 3, false },
	{ "end of options", "\1\0" TS, 12, 0, 255, 0, false },
	{ "length 0", "\x1e\0" MSS, 6, 0, 255, 0, false },
	{ "length 1", "\x1e\1" MSS, 6, 0, 255, 0, false },
	{ "length beyond", MSS "\x08\x0a\0\0", 8, 1460, 255, 0, false },
	{ "length in the last byte", MSS "\1\1\1\3", 8, 1460, 255, 0, false },
	{ "MSS of a wrong length", "\2\3\5" WS "\1\1", 8, 0, 7, 0, false },
	{ "window scale of a wrong length", "\3\4\7\1", 4, 0, 255, 0, false },
	{ "timestamps of a wrong length", "\x08\x0b\0\0\0\1\0\0\0\2\1\1", 12, 0, 255, 0, false },
	{ "SACK without a block", "\5\2\1\1", 4, 0, 255, 0, false },
	{ "SACK with half a block", "\5\6\0\0\0\x0a\1\1", 8, 0, 255, 0, false },
	{ "unknown options", "\x1e\4\1\2\xfd\6\1\2\3\4\1\1" MSS, 16, 1460, 255, 0, false },
	{ "40 NOPs", "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1", 40, 0, 255, 0, false },
};

static void each_option(void **state)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		const struct options *o = &options[i];
		struct kit *k = kit_new(NULL, 0);
		struct pk p = TCP_ROW(.flags = SYN, .opt = o->bytes, .nopt = o->n, .len = 0);
		struct pk full = TCP_ROW(.opt = "\5\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
					 "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", .nopt = 26);
		const struct weir_rec *r;

		kit_packet(k, 0, &full); /* nothing of another packet's options shows */
		r = kit_packet(k, 0, &p);

		if (r->mss != o->mss || r->wscale != o->wscale || r->nsack != o->nsack ||
		    !!(r->flags & WEIR_REC_TS) != o->ts)
			fail_msg("%s: mss %u, wscale %u, %u blocks, flags %#x", o->name, r->mss, r->wscale, r->nsack, r->flags);
		if (o->ts && (r->tsval != 1 || r->tsecr != 2))
			fail_msg("%s: tsval %u tsecr %u", o->name, r->tsval, r->tsecr);
		for (unsigned b = 0; b < WEIR_MAX_SACK; b++)
			if (r->sack[b][0] != (b < o->nsack ? 10 : 0) || r->sack[b][1] != (b < o->nsack ? 20 : 0))
				fail_msg("%s: block %u is %u-%u", o->name, b, r->sack[b][0], r->sack[b][1]);
		kit_free(k);
	}
}

/* Options that the capture cuts off are not read; the packet counts all the same. */
static void options_cut(void **state)
{
	struct kit *k = kit_new(NULL, 0);
	struct pk p = TCP_ROW(.flags = SYN, .opt = MSS "\4\2" TS "\1" WS, .nopt = 20, .len = 0);
	uint8_t b[PK_MAX];
	unsigned n = pk_build(b, &p);

	kit_bytes(k, 0, WEIR_LINK_ETHERNET, b, n - 1, n);
	assert_int_equal(kit_last(k)->mss, 0);
	assert_int_equal(kit_counters(k).in_flows, 1);
	kit_free(k);
}

static void unknown_link(void **state)
{
	struct kit *k = kit_new(NULL, 0);

	host_engine_unknown_link(k->e, 77);
	assert_int_equal(kit_counters(k).elsewhere[WEIR_LINK], 1);
	assert_int_equal(kit_counters(k).elsewhere_bytes[WEIR_LINK], 77);
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_header), cmocka_unit_test(cut_anywhere), cmocka_unit_test(facts),
		cmocka_unit_test(each_option), cmocka_unit_test(options_cut), cmocka_unit_test(unknown_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
