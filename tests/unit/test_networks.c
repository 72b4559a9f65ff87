// SPDX-License-Identifier: GPL-2.0-or-later
/* What is remembered of hosts by address has room for those of one network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "drop_ends.h"
#include "rst_host.h"

#define HOSTS 254

static struct in6_addr host_of(unsigned network, unsigned i)
{
	struct in6_addr ip = { 0 };

	if (network) {
		inet_pton(AF_INET6, "2001:db8::", &ip);
	} else {
		ip.s6_addr32[2] = htonl(0xffff);
		ip.s6_addr32[3] = htonl(0xc0a80100);
	}
	ip.s6_addr[15] = (uint8_t)(i + 1);
	return ip;
}

static void ends_hold_a_network(void **state)
{
	struct ends *e = calloc(1, sizeof(*e));

	for (unsigned network = 0; network < 2; network++)
		for (unsigned i = 0; i < HOSTS; i++) {
			struct in6_addr ip = host_of(network, i);
			struct end *at = NULL;

			ends_add(e, &at, &ip, 1, 0, i + 1, 1000000000, 1, 0);
		}
	for (unsigned network = 0; network < 2; network++)
		for (unsigned i = 0; i < HOSTS; i++) {
			struct in6_addr ip = host_of(network, i);

			assert_true(ends_alive(e, &ip, 1, 0));
		}
	free(e);
}

static void spots_hold_a_network(void **state)
{
	struct spots *s = calloc(1, sizeof(*s));
	struct endpoint e = { .port = 443 };
	unsigned held = 0;

	for (unsigned i = 0; i < HOSTS; i++) {
		e.ip = host_of(0, i);
		spots_learn(s, &e, IPPROTO_TCP, 1 + i % 2, 1000000000 + i); /* the port alone tells nothing */
	}
	for (unsigned i = 0; i < HOSTS; i++) {
		e.ip = host_of(0, i);
		held += spots_type(s, &e, IPPROTO_TCP) == (int)(1 + i % 2);
	}
	assert_int_equal(held, HOSTS);
	free(s);
}

static void hosts_hold_a_network(void **state)
{
	struct rst_hosts *t = calloc(1, sizeof(*t));
	unsigned held = 0;

	for (unsigned i = 0; i < HOSTS; i++) {
		struct in6_addr ip = host_of(0, i);

		rst_host_rtt(rst_host(t, &ip, 1000000000 + i), 1000 + i, 1000000000 + i);
	}
	for (unsigned i = 0; i < HOSTS; i++) {
		struct in6_addr ip = host_of(0, i);
		const struct rst_host *at = rst_host(t, &ip, 1000001000);

		held += at->rtt_n == 1;
	}
	assert_true(held >= HOSTS - 2); /* a set has four places, and chance fills them */
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_hold_a_network),
		cmocka_unit_test(spots_hold_a_network),
		cmocka_unit_test(hosts_hold_a_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
