// SPDX-License-Identifier: GPL-2.0-or-later
/* Which addresses are one host's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "hosts.h"
#include "model_own.h"

static const uint8_t mac_a[6] = { 2, 0, 0, 0, 1, 2 }, mac_b[6] = { 2, 0, 0, 0, 1, 3 };

static struct in6_addr ip(const char *text)
{
	struct in6_addr a;
	char mapped[64] = "::ffff:";

	if (inet_pton(AF_INET6, text, &a) != 1)
		assert_int_equal(inet_pton(AF_INET6, strcat(mapped, text), &a), 1);
	return a;
}

static void note(struct model *m, const char *at, unsigned ifindex, const uint8_t *mac)
{
	struct in6_addr a = ip(at);

	model_learn_host(m, &a, ifindex, mac);
}

static bool same(struct model *m, const char *x, const char *y)
{
	struct in6_addr a = ip(x), b = ip(y);

	assert_int_equal(model_same_host(m, &a, &b), model_same_host(m, &b, &a));
	return model_same_host(m, &a, &b);
}

static void a_host_has_many_addresses(void **state)
{
	struct model *m = model_new(10, NULL, 0);
	struct in6_addr list[5] = { ip("2001:db8::5c1d:77ff:fe00:1"), ip("2001:db8::a:b:c:d"), ip("10.0.0.7"),
				    ip("2001:db8::9:8:7:6"), ip("2001:db8::a:b:c:d") };

	assert_false(same(m, "2001:db8::5c1d:77ff:fe00:1", "2001:db8::a:b:c:d"));
	assert_true(same(m, "2001:db8::a:b:c:d", "2001:db8::a:b:c:d"));
	assert_int_equal(model_hosts(m, list, 5), 4);
	note(m, "2001:db8::5c1d:77ff:fe00:1", 3, mac_a);
	assert_int_equal(model_hosts(m, list, 5), 4);
	note(m, "2001:db8::a:b:c:d", 3, mac_a);
	note(m, "10.0.0.7", 3, mac_a);
	note(m, "2001:db8::9:8:7:6", 3, mac_b);
	assert_true(same(m, "2001:db8::5c1d:77ff:fe00:1", "2001:db8::a:b:c:d"));
	assert_true(same(m, "10.0.0.7", "2001:db8::a:b:c:d"));
	assert_false(same(m, "2001:db8::9:8:7:6", "2001:db8::a:b:c:d"));
	assert_int_equal(model_hosts(m, list, 5), 2);
	/* tomorrow's address, and the other's, at last */
	note(m, "2001:db8::1:2:3:4", 3, mac_a);
	assert_true(same(m, "2001:db8::1:2:3:4", "2001:db8::a:b:c:d"));
	note(m, "2001:db8::a:b:c:d", 3, mac_b);
	assert_false(same(m, "2001:db8::1:2:3:4", "2001:db8::a:b:c:d"));
	model_free(m);
}

/* A router answers for those behind it, a bridge for containers; and the same address may be on another link. */
static void who_gives_out_addresses_has_many_hosts(void **state)
{
	static const uint8_t none[6] = { 0 };
	struct model *m = model_new(10, NULL, 0);

	note(m, "10.0.0.7", 3, mac_a);
	note(m, "10.0.0.8", 3, mac_a);
	note(m, "fd10::7", 3, mac_a);
	note(m, "fd10::8", 3, mac_a);
	assert_false(same(m, "10.0.0.7", "10.0.0.8"));
	note(m, "fd10::5:6:7:8", 3, mac_a);
	note(m, "fd10::5:6:7:9", 3, mac_a);
	assert_false(same(m, "10.0.0.7", "fd10::5:6:7:8"));
	assert_false(same(m, "fd10::5:6:7:9", "fd10::5:6:7:8"));
	assert_false(same(m, "fd10::7", "fd10::8"));
	assert_false(same(m, "10.0.0.7", "fd10::7"));
	note(m, "fd10::a:b:c:d", 3, mac_a);
	assert_false(same(m, "fd10::7", "fd10::a:b:c:d"));
	note(m, "fd10::a:b:c:e", 4, mac_a);
	assert_false(same(m, "fd10::a:b:c:e", "fd10::a:b:c:d"));
	note(m, "fd10::1:1:1:1", 0, none);
	note(m, "fd10::1:1:1:2", 0, none);
	assert_false(same(m, "fd10::1:1:1:1", "fd10::1:1:1:2"));
	model_free(m);
}

/* Whom is the kernel to be asked about? */
static void strangers(void **state)
{
	struct model *m = model_new(10, NULL, 0);
	static const char *const client[] = { "10.0.0.7", "fd10::7", "2001:db8::a:b:c:d", "fd10::a:b:c:d" };
	struct flow *evict;

	for (unsigned i = 0; i < 5; i++) {
		struct weir_rec r = { .flow_id = 1 + i, .proto = 6, .tcp_flags = 2, .sport = 40000, .dport = 443 };
		struct in6_addr from = ip(client[i < 4 ? i : 3]), to = ip("2001:db8:1::1");

		memcpy(r.saddr, &from, 16);
		memcpy(r.daddr, &to, 16);
		assert_non_null(model_flow_of(m, &r, &evict));
		assert_int_equal(model_strangers(m), i == 3); /* inside, self-made, not known */
		assert_false(model_strangers(m));
		if (i == 3)
			note(m, "fd10::a:b:c:d", 3, mac_a);
	}
	model_free(m);
}

/* A flood of neighbours makes room for itself, and nothing more; who is heard of again stays. */
static void a_flood_is_bounded(void **state)
{
	struct model *m = model_new(10, NULL, 0);

	for (unsigned i = 0; i < 200000; i++) {
		struct in6_addr a = ip("2001:db8::1:0:0:0");
		uint8_t mac[6] = { 2 };

		memcpy(&a.s6_addr[12], &i, 4);
		memcpy(&mac[2], &i, 4);
		model_learn_host(m, &a, 3, mac);
		if (i % 100)
			continue;
		note(m, "2001:db8::a:b:c:d", 3, mac_a);
		note(m, "2001:db8::a:b:c:e", 3, mac_a);
	}
	assert_true(same(m, "2001:db8::a:b:c:d", "2001:db8::a:b:c:e"));
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_has_many_addresses),
		cmocka_unit_test(who_gives_out_addresses_has_many_hosts),
		cmocka_unit_test(strangers),
		cmocka_unit_test(a_flood_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
