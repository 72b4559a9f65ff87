// SPDX-License-Identifier: GPL-2.0-or-later
/* Redaction against the sample trace that Crypto-PAn is published with, and IPv6 as its other implementations have it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "fake_model.h"
#include "redact.h"

static const uint8_t sample_key[REDACT_KEY] = {
	21,  34,  23,  141, 51,	 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
	216, 152, 143, 131, 121, 121, 101, 39,	98, 87, 76, 45, 42, 132, 34,  2,
};

static struct redact *map;
static struct model m;

static struct in6_addr ip(const char *text)
{
	struct in6_addr a = { 0 };

	if (inet_pton(AF_INET6, text, &a) == 1)
		return a;
	a.s6_addr[10] = a.s6_addr[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, text, &a.s6_addr[12]), 1);
	return a;
}

static void becomes(const char *from, const char *to)
{
	struct in6_addr got = ip(from), want = ip(to);

	redact_ip(map, &got);
	assert_memory_equal(&got, &want, sizeof(got));
}

static int setup(void **state)
{
	map = redact_new(sample_key);
	return !map;
}

static int teardown(void **state)
{
	redact_free(map);
	return 0;
}

static void ipv4_as_published(void **state)
{
	becomes("128.11.68.132", "135.242.180.132");
	becomes("129.118.74.4", "134.136.186.123");
	becomes("130.132.252.244", "133.68.164.234");
	becomes("141.223.7.43", "141.167.8.160");
	becomes("141.233.145.108", "141.129.237.235");
	becomes("152.163.225.39", "151.140.114.167");
	becomes("156.29.3.236", "147.225.12.42");
	becomes("165.247.96.84", "162.9.99.234");
	becomes("166.107.77.190", "160.132.178.185");
	becomes("192.102.249.13", "252.138.62.131");
	becomes("63.195.241.44", "95.179.238.44");
	becomes("64.39.15.238", "0.219.7.41");
}

static void ipv6_as_published(void **state)
{
	becomes("::2", "78ff:f001:9fc0:20df:8380:b1f1:704:ef");
	becomes("2001:db8::1", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e");
	becomes("2001:db8::2", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1c");
}

static void nobodys_addresses_stay(void **state)
{
	static const char *const same[] = { "::", "::1", "ff02::fb", "0.0.0.0", "127.0.0.1", "224.0.0.251",
					    "255.255.255.255" };

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		becomes(same[i], same[i]);
}

static unsigned common_bits(uint32_t a, uint32_t b)
{
	return a == b ? 32 : __builtin_clz(a ^ b);
}

static uint32_t v4_of(const struct in6_addr *a)
{
	uint32_t v;

	memcpy(&v, &a->s6_addr[12], 4);
	return ntohl(v);
}

/* Pairs that share each length of prefix share exactly that afterwards. */
static void prefixes_are_kept(void **state)
{
	for (unsigned bits = 0; bits <= 32; bits++) {
		struct in6_addr a = ip("10.168.7.2"), b = a;
		uint32_t other = htonl(v4_of(&a) ^ (bits == 32 ? 0 : 0x80000000u >> bits));

		memcpy(&b.s6_addr[12], &other, 4);
		redact_ip(map, &a);
		redact_ip(map, &b);
		assert_int_equal(common_bits(v4_of(&a), v4_of(&b)), bits);
	}
}

static void clients_are_whoever_is_inside(void **state)
{
	struct flow out = { .client.ip = ip("192.168.7.2"), .server.ip = ip("203.0.113.5") };
	struct flow in = { .client.ip = ip("203.0.113.5"), .server.ip = ip("192.168.7.2") };
	struct privacy p = { .who = REDACT_CLIENTS, .map = map };
	struct in6_addr client, server, person = ip("192.168.7.2"), far = ip("203.0.113.5");

	redact_ip(map, &person);
	privacy_ends(&p, &m, &out, &client, &server);
	assert_memory_equal(&client, &person, sizeof(person));
	assert_memory_equal(&server, &far, sizeof(far));
	/* A visitor of a server inside is a person, too. */
	redact_ip(map, &far);
	privacy_ends(&p, &m, &in, &client, &server);
	assert_memory_equal(&client, &far, sizeof(far));
	assert_memory_equal(&server, &person, sizeof(person));
	p.who = REDACT_ALL;
	privacy_ends(&p, &m, &out, &client, &server);
	assert_memory_equal(&server, &far, sizeof(far));
	privacy_ends(NULL, &m, &out, &client, &server);
	assert_memory_equal(&client, &out.client.ip, sizeof(client));
}

static void records_keep_their_way(void **state)
{
	struct flow f = { .client.ip = ip("192.168.7.2"), .server.ip = ip("203.0.113.5"), .client_dir = 1 };
	struct privacy p = { .who = REDACT_CLIENTS, .map = map };
	struct in6_addr person = f.client.ip;

	redact_ip(map, &person);
	for (uint8_t dir = 0; dir < 2; dir++) {
		struct weir_rec r = { .dir = dir };

		memcpy(r.saddr, dir ? &f.client.ip : &f.server.ip, 16);
		memcpy(r.daddr, dir ? &f.server.ip : &f.client.ip, 16);
		privacy_rec(&p, &m, &f, &r);
		assert_memory_equal(dir ? r.saddr : r.daddr, &person, 16);
		assert_memory_equal(dir ? r.daddr : r.saddr, &f.server.ip, 16);
	}
}

static void cut(const char *name, const char *want)
{
	struct privacy p = { .names = NAMES_SUFFIX };
	char buf[NAME_CUT];
	const char *got = privacy_name(&p, name, buf);

	if (!want)
		assert_null(got);
	else
		assert_string_equal(got, want);
}

static void names(void **state)
{
	struct privacy none = { .names = NAMES_NONE }, full = { .names = NAMES_FULL };
	struct privacy suffix = { .names = NAMES_SUFFIX };
	char buf[NAME_CUT], label[300];

	cut("www.example.com", "example.com");
	cut("a.b.c.example.com.", "example.com");
	cut("example.com", "example.com");
	cut("news.bbc.co.uk", "bbc.co.uk");
	cut("alice.github.io", "github.io");
	cut("co.uk", "co.uk");
	cut("203.0.113.5", NULL); /* an address is no domain's */
	cut("2001:db8::1", NULL);
	cut("alices-laptop", NULL); /* nor is a host's own name */
	cut("..", NULL);
	cut("", NULL);
	memset(label, 'a', sizeof(label));
	memcpy(label + sizeof(label) - 5, ".com", 5);
	assert_true(strlen(privacy_name(&suffix, label, buf)) < NAME_CUT);
	assert_null(privacy_name(&none, "www.example.com", buf));
	assert_string_equal(privacy_name(&full, "www.example.com", buf), "www.example.com");
	assert_string_equal(privacy_name(NULL, "www.example.com", buf), "www.example.com");
}

static void write_key(const char *path, const void *key, size_t n, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(key, 1, n, f), n);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

static void keys(void **state)
{
	struct privacy p = { .who = REDACT_CLIENTS }, off = { 0 }, one = p, two = p;
	struct in6_addr a = ip("128.11.68.132"), want = ip("135.242.180.132"), b = a;
	char path[] = "/tmp/weir-key-XXXXXX", why[512];

	close(mkstemp(path));
	write_key(path, sample_key, sizeof(sample_key), 0600);
	assert_int_equal(privacy_open(&p, path, why, sizeof(why)), 0);
	redact_ip(p.map, &a);
	assert_memory_equal(&a, &want, sizeof(a));
	privacy_close(&p);
	/* Short, open to others, missing. */
	write_key(path, sample_key, 31, 0600);
	assert_int_equal(privacy_open(&p, path, why, sizeof(why)), EX_CONFIG);
	assert_non_null(strstr(why, "has 31 bytes"));
	write_key(path, sample_key, 32, 0644);
	assert_int_equal(privacy_open(&p, path, why, sizeof(why)), EX_CONFIG);
	assert_non_null(strstr(why, "can be read by others"));
	unlink(path);
	assert_int_equal(privacy_open(&p, path, why, sizeof(why)), EX_NOINPUT);
	assert_null(p.map);
	assert_int_equal(privacy_open(&off, path, why, sizeof(why)), 0); /* nobody needs it */
	assert_null(off.map);
	/* Without a file, each start has its own. */
	a = b;
	assert_int_equal(privacy_open(&one, NULL, why, sizeof(why)), 0);
	assert_int_equal(privacy_open(&two, NULL, why, sizeof(why)), 0);
	redact_ip(one.map, &a);
	redact_ip(two.map, &b);
	assert_memory_not_equal(&a, &b, sizeof(a));
	privacy_close(&one);
	privacy_close(&two);
}

/* Whose address an answer names: of somebody inside it is a person's, of the rest a server's. */
static void answers_in_findings(void **state)
{
	struct privacy p = { .who = REDACT_CLIENTS, .map = map };
	struct finding f = { 0 };

	fact_text(&f.estimate, "forged_answer", "128.11.68.132");
	fact_text(&f.estimate, "other_answer", "192.168.7.9");
	fact_text(&f.reasons, "trigger", "intra.example");
	privacy_finding(NULL, &m, &f);
	assert_string_equal(f.estimate.fact[1].text, "192.168.7.9");
	privacy_finding(&p, &m, &f);
	assert_string_equal(f.estimate.fact[0].text, "128.11.68.132");
	assert_string_not_equal(f.estimate.fact[1].text, "192.168.7.9");
	p.who = REDACT_ALL;
	privacy_finding(&p, &m, &f);
	assert_string_equal(f.estimate.fact[0].text, "135.242.180.132");
	assert_string_equal(f.reasons.fact[0].text, "intra.example");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_as_published),
		cmocka_unit_test(ipv6_as_published),
		cmocka_unit_test(nobodys_addresses_stay),
		cmocka_unit_test(prefixes_are_kept),
		cmocka_unit_test(clients_are_whoever_is_inside),
		cmocka_unit_test(records_keep_their_way),
		cmocka_unit_test(answers_in_findings),
		cmocka_unit_test(names),
		cmocka_unit_test(keys),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
