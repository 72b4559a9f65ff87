// SPDX-License-Identifier: GPL-2.0-or-later
/* The hardware under a link, what it dropped, and what this host's own queues did. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <libmnl/libmnl.h>
#include <linux/gen_stats.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>

#include "cards.h"
#include "gateway.h"
#include "queues.h"

/* A bond of two cards, a VLAN on it in a bridge beside a veth pair's end; a PPPoE session on a card's VLAN. */
static const struct link house[] = {
	{ .ifindex = 1, .name = "eth0", .master = 3 },
	{ .ifindex = 2, .name = "eth1", .master = 3 },
	{ .ifindex = 3, .name = "bond0", .kind = "bond" },
	{ .ifindex = 4, .name = "bond0.7", .kind = "vlan", .lower = 3, .master = 5 },
	{ .ifindex = 5, .name = "br0", .kind = "bridge" },
	{ .ifindex = 6, .name = "veth0", .kind = "veth", .master = 5, .lower = 9 },
	{ .ifindex = 7, .name = "eth2" },
	{ .ifindex = 8, .name = "eth2.7", .kind = "vlan", .lower = 7, .pppoe = true },
	{ .ifindex = 9, .name = "ppp0", .kind = "ppp", .arphrd = ARPHRD_PPP },
	{ .ifindex = 10, .name = "wg0", .kind = "wireguard", .lower = 7 },
};
#define HOUSE (sizeof(house) / sizeof(house[0]))

static void under(unsigned ifindex, unsigned n, ...)
{
	const struct link *card[CARDS_MAX];
	va_list ap;

	va_start(ap, n);
	assert_int_equal(cards_under(house, HOUSE, ifindex, card, CARDS_MAX), n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(card[i]->ifindex, va_arg(ap, unsigned));
	va_end(ap);
}

static void the_bottom_of_each_link(void **state)
{
	under(1, 1, 1);
	under(3, 2, 1, 2);
	under(4, 2, 1, 2);
	under(5, 2, 1, 2); /* what only software stands behind drops nothing unseen */
	under(6, 1, 6);	   /* the link itself, and not its peer's number */
	under(8, 1, 7);
	under(9, 1, 7);
	under(10, 1, 10);
	under(77, 0);
}

static void no_more_than_there_is_room_for(void **state)
{
	const struct link *card[1];

	assert_int_equal(cards_under(house, HOUSE, 3, card, 1), 1);
	assert_int_equal(card[0]->ifindex, 1);
}

/* The kernel would not; who answers for it might. */
static void circles_end(void **state)
{
	const struct link circle[] = {
		{ .ifindex = 1, .kind = "vlan", .lower = 2, .master = 2 },
		{ .ifindex = 2, .kind = "vlan", .lower = 1, .master = 1 },
	};
	const struct link *card[CARDS_MAX];

	assert_int_equal(cards_under(circle, 2, 1, card, CARDS_MAX), 0);
}

static void misses_are_told_once(void **state)
{
	struct cards all = { 0 };
	struct link l = { .ifindex = 4, .stats = { .rx_missed_errors = 100 } };
	struct card *c = cards_get(&all, &l);

	assert_int_equal(card_missed(c, &l), 0); /* of before us */
	l.stats.rx_missed_errors += 5;
	l.stats.rx_fifo_errors += 2;
	assert_ptr_equal(cards_get(&all, &l), c);
	assert_int_equal(card_missed(c, &l), 7);
	assert_int_equal(card_missed(c, &l), 0);
	l.stats.rx_missed_errors = 3; /* the driver was loaded anew */
	assert_int_equal(card_missed(c, &l), 0);
	l.stats.rx_missed_errors = 4;
	assert_int_equal(card_missed(c, &l), 1);
	l.stats.rx_packets = 200000; /* one in 20,000 matters to nobody */
	l.stats.rx_missed_errors += 10;
	assert_int_equal(card_missed(c, &l), 0);
}

static void cards_are_bounded(void **state)
{
	struct cards all = { 0 };
	struct link l = { .stats = { .rx_missed_errors = 9 } };

	for (l.ifindex = 1; l.ifindex < 5 * CARDS_MAX; l.ifindex++) {
		struct card *c = cards_get(&all, &l);

		assert_int_equal(c->ifindex, l.ifindex);
		assert_int_equal(card_missed(c, &l), 0);
	}
	assert_int_equal(all.n, CARDS_MAX);
}

static void who_leads_out(void **state)
{
	struct routes ppp = { .uplink = { { 9, true } }, .nuplinks = 1 };
	struct routes vlan = { .uplink = { { 4, true } }, .nuplinks = 1 };

	for (unsigned i = 1; i <= HOUSE; i++) {
		assert_int_equal(gateway_leads_out(house, HOUSE, &ppp, i), i == 7 || i == 8 || i == 9);
		assert_int_equal(gateway_leads_out(house, HOUSE, &vlan, i), i == 3 || i == 4);
	}
	assert_ptr_equal(gateway_bond_of(house, HOUSE, &house[0]), &house[2]);
	assert_null(gateway_bond_of(house, HOUSE, &house[3])); /* a bridge's */
	assert_null(gateway_bond_of(house, HOUSE, &house[6]));
}

struct told {
	unsigned n;
	struct queue q;
};

static void tell(void *arg, const struct queue *q)
{
	struct told *t = arg;

	t->n++;
	t->q = *q;
}

/* As the kernel's tc_fill_qdisc() puts it. len: bytes of the counters that are there. */
static struct told qdisc(uint32_t parent, const char *kind, uint32_t drops, size_t len)
{
	char buf[512] __attribute__((aligned(8))) = { 0 };
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct gnet_stats_queue q = { .qlen = 1, .drops = drops };
	struct gnet_stats_basic passed = { .bytes = 5000, .packets = 50 };
	struct told t = { 0 };
	struct nlattr *stats;
	struct tcmsg *m;

	h->nlmsg_type = RTM_NEWQDISC;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->tcm_ifindex = 12;
	m->tcm_parent = parent;
	mnl_attr_put_strz(h, TCA_KIND, kind);
	stats = mnl_attr_nest_start(h, TCA_STATS2);
	mnl_attr_put(h, TCA_STATS_BASIC, 12, &passed); /* without its padding, as it is sent */
	mnl_attr_put(h, TCA_STATS_QUEUE, len, &q);
	mnl_attr_nest_end(h, stats);
	queues_message(h, tell, &t);
	return t;
}

static void what_queues_dropped(void **state)
{
	struct told t = qdisc(TC_H_ROOT, "tbf", 7, sizeof(struct gnet_stats_queue));

	assert_int_equal(t.n, 1);
	assert_int_equal(t.q.ifindex, 12);
	assert_int_equal(t.q.dropped, 7);
	assert_int_equal(t.q.passed, 50);
	assert_string_equal(t.q.kind, "tbf");
	assert_false(t.q.filters);
	assert_true(qdisc(TC_H_INGRESS, "ingress", 0, sizeof(struct gnet_stats_queue)).q.filters);
	assert_int_equal(qdisc(TC_H_INGRESS, "clsact", 9, sizeof(struct gnet_stats_queue)).q.dropped, 9);
	assert_int_equal(qdisc(0x00010001, "pfifo", 7, sizeof(struct gnet_stats_queue)).n, 0); /* counted at the root */
	assert_int_equal(qdisc(TC_H_ROOT, "tbf", 7, 4).q.dropped, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bottom_of_each_link),
		cmocka_unit_test(no_more_than_there_is_room_for),
		cmocka_unit_test(circles_end),
		cmocka_unit_test(misses_are_told_once),
		cmocka_unit_test(cards_are_bounded),
		cmocka_unit_test(who_leads_out),
		cmocka_unit_test(what_queues_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
