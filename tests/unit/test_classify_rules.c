/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <unistd.h>

#include "classify_kit.h"
#include "rules.h"

static char path[64];

static struct rules *load(const char *text, char *err, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	err[0] = 0;
	return rules_load(path, err, n);
}

static int setup(void **state)
{
	static struct kit k;
	int fd;

	strcpy(path, "/tmp/weir-rules-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	kit_init(&k, NULL);
	*state = &k;
	return 0;
}

static int teardown(void **state)
{
	kit_free(*state);
	unlink(path);
	return 0;
}

static const char *app_of(const struct rules *r, const char *host)
{
	struct rule_match m = rules_host(r, host);

	return m.app < 0 ? "" : rules_app_name(r, (unsigned)m.app);
}

static void builtin(void **state)
{
	static const char *const want[][2] = {
		{ "media-fra3-1.cdn.whatsapp.net", "whatsapp" },
		{ "web.whatsapp.com", "whatsapp" },
		{ "www.facebook.com", "facebook" },
		{ "scontent-fra3-1.xx.fbcdn.net", "facebook" },
		{ "instagram.faae1-1.fna.fbcdn.net", "instagram" },
		{ "edge-mqtt.facebook.com", "messenger" },
		{ "chat.signal.org", "signal" },
		{ "web.telegram.org", "telegram" },
		{ "api.asm.skype.com", "skype" },
		{ "teams.microsoft.com", "teams" },
		{ "gateway.icloud.com", "icloud" },
		{ "weixin.qq.com", "wechat" },
		{ "obs.line-apps.com", "line" },
		{ "share.viber.com", "viber" },
		{ "us04web.zoom.us", "zoom" },
		{ "meet.google.com", "google-meet" },
		{ "gateway.discord.gg", "discord" },
		{ "rr3---sn-4g5e6nez.googlevideo.com", "youtube" },
		{ "ipv4-c001-fra001-ix.1.oca.nflxvideo.net", "netflix" },
		{ "v16-webapp.tiktok.com", "tiktok" },
		{ "abs.twimg.com", "twitter" },
		{ "x.com", "twitter" },
		{ "de.wikipedia.org", "wikipedia" },
		{ "www.google.co.uk", "google" },
		{ "www.torproject.org", "tor" },
		{ "netflix.com.", "netflix" },
		/* On whole labels only, and not in the middle. */
		{ "notfacebook.com", "" },
		{ "fax.com", "" },
		{ "facebook.com.example.org", "" },
		{ "com", "" },
		{ "", "" },
		{ ".", "" },
		{ "..", "" },
	};
	char err[200];
	struct rules *r = rules_load(NULL, err, sizeof(err));

	assert_non_null(r);
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		if (strcmp(app_of(r, want[i][0]), want[i][1]))
			fail_msg("%s is %s, not %s", want[i][0], app_of(r, want[i][0]), want[i][1]);
	rules_free(r);
}

static void of_a_user(void **state)
{
	char err[200];
	struct rules *r = load("; mine\r\n[corp]\nhost = example.org\n  example.net Api.Example.COM\n"
			       "media.host = cdn.*.example.org\ncall.l7 = rtp\n"
			       "net = 203.0.113.0/24@udp/4000-4010 2001:db8::/32\n"
			       "[facebook]\nhost = wikipedia.org ; taken over\n",
			       err, sizeof(err));
	struct rule_match m;
	struct in6_addr a;

	assert_string_equal(err, "");
	assert_non_null(r);
	assert_string_equal(app_of(r, "a.b.example.net"), "corp");
	assert_string_equal(app_of(r, "api.example.com"), "corp");
	m = rules_host(r, "cdn.fra1.example.org");
	assert_int_equal(m.channel, CHANNEL_MEDIA);
	m = rules_host(r, "www.example.org");
	assert_int_equal(m.channel, CHANNEL_NONE);
	/* The later rule wins; the built-in ones are still there. */
	assert_string_equal(app_of(r, "de.wikipedia.org"), "facebook");
	assert_string_equal(app_of(r, "youtube.com"), "youtube");
	assert_int_equal(rules_channel(r, (unsigned)m.app, WEIR_L7_RTP), CHANNEL_CALL);
	assert_int_equal(rules_channel(r, (unsigned)m.app, WEIR_L7_TLS), CHANNEL_NONE);
	a = address("203.0.113.77");
	assert_int_equal(rules_endpoint(r, &a, IPPROTO_UDP, 4010).app, m.app);
	assert_int_equal(rules_endpoint(r, &a, IPPROTO_UDP, 4011).app, -1);
	assert_int_equal(rules_endpoint(r, &a, IPPROTO_TCP, 4010).app, -1);
	a = address("203.0.114.77");
	assert_int_equal(rules_endpoint(r, &a, IPPROTO_UDP, 4010).app, -1);
	a = address("2001:db8:1::5");
	assert_int_equal(rules_endpoint(r, &a, IPPROTO_TCP, 1).app, m.app);
	rules_free(r);
}

static void mistakes(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *says;
	} bad[] = {
		{ "[corp]\nhost = a.b\ncolour = red\n", 3, "unknown key \"colour\"" },
		{ "[corp]\nvideo.host = a.b\n", 2, "unknown key \"video.host\"" },
		{ "host = a.b\n", 1, "outside" },
		{ "[Corp]\nhost = a.b\n", 2, "\"Corp\"" },
		{ "[corp]\n\nnet = 300.1.1.1/8\n", 3, "300.1.1.1/8" },
		{ "[corp]\nnet = 10.0.0.0/33\n", 2, "10.0.0.0/33" },
		{ "[corp]\nnet = 10.0.0.0/8@udp/9-3\n", 2, "udp/9-3" },
		{ "[corp]\nport = sctp/9\n", 2, "sctp/9" },
		{ "[corp]\nport = udp/65536\n", 2, "udp/65536" },
		{ "[corp]\nl7 = smoke\n", 2, "smoke" },
		{ "[corp]\nsignature = smoke\n", 2, "smoke" },
		{ "[corp]\nhost = exa$mple.org\n", 2, "exa$mple.org" },
		{ "[corp]\nhost = a*b.org\n", 2, "one '*'" },
		{ "[corp]\nhost =\n", 2, "no value" },
		{ "[corp]\nhost = a.b\nwhat is this\n", 3, "what is this" },
		{ "[corp\n", 1, "" },
	};
	char err[300], want[100];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rules *r = load(bad[i].text, err, sizeof(err));

		if (r)
			fail_msg("rules %u were taken", i);
		snprintf(want, sizeof(want), "%s:%u: ", path, bad[i].line);
		if (strncmp(err, want, strlen(want)))
			fail_msg("rules %u: \"%s\" does not begin with \"%s\"", i, err, want);
		/* A line without "=" goes on with the value above: its words are judged as hosts. */
		if (!strstr(err, bad[i].says) && i != 14)
			fail_msg("rules %u: \"%s\" does not say \"%s\"", i, err, bad[i].says);
	}
	assert_null(rules_load("/nonexistent/rules", err, sizeof(err)));
	assert_non_null(strstr(err, "/nonexistent/rules"));
}

static void long_lines(void **state)
{
	char text[600] = "[corp]\nhost =", err[300];

	for (unsigned i = 0; i < 60; i++)
		strcat(text, " a.bcd");
	strcat(text, "\n");
	assert_null(load(text, err, sizeof(err)));
	assert_non_null(strstr(err, ":2: "));
	assert_non_null(strstr(err, "190"));
}

static void hello(struct kit *k, const char *sni)
{
	struct blob b = { .n = 0 };

	put_tls(&b, sni, "h2", 32, false, 16384);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
}

/* An answer of one address with a TTL. */
static void dns_answer(struct kit *k, const char *name, const char *a, uint32_t ttl)
{
	struct blob b = { .n = 0 }, q;
	const char *s = name;

	put(&b, "\x12\x34\1\0\0\1\0\0\0\0\0\0", 12);
	while (*s) {
		const char *dot = strchr(s, '.');
		size_t n = dot ? (size_t)(dot - s) : strlen(s);

		put_be(&b, 1, n);
		put(&b, s, n);
		s += n + (dot != NULL);
	}
	put(&b, "\0\0\1\0\1", 5);
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 5555, "192.168.1.1", 53);
	kit_udp(k, TO_SERVER, b.p, b.n);
	q = b;
	memcpy(q.p + 2, "\x81\x80\0\1\0\2", 6);
	/* By way of a CNAME. */
	put(&q, "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\4\1c\xc0\x0c", 16);
	put(&q, "\xc0\x0c\0\1\0\1", 6);
	put_be(&q, 4, ttl);
	put_be(&q, 2, 4);
	{
		struct in6_addr ip = address(a);

		put(&q, ip.s6_addr + 12, 4);
	}
	kit_udp(k, TO_CLIENT, q.p, q.n);
	assert_string_equal(kit_l7(k), "dns");
	assert_string_equal(kit_app(k), "");
	assert_string_equal(k->r.hint, name);
	assert_false(k->r.done);
}

static void resolved(void **state)
{
	struct kit *k = *state;

	dns_answer(k, "www.netflix.com", "198.51.100.7", 300);
	/* Before any payload: what the SYN goes to. */
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40000, "198.51.100.7", 443);
	kit_syn(k);
	assert_string_equal(kit_app(k), "netflix");
	assert_string_equal(kit_source(k), "dns");
	assert_string_equal(k->r.hint, "www.netflix.com");
	/* A name of its own counts more, even one that no rule knows. */
	hello(k, "www.example.org");
	assert_string_equal(kit_app(k), "");
	assert_string_equal(kit_type(k), "tls");
	/* Another client has not asked. */
	kit_flow(k, IPPROTO_TCP, "192.168.1.11", 40000, "198.51.100.7", 443);
	kit_syn(k);
	assert_string_equal(kit_app(k), "");
	/* Its time is over. */
	k->now += 301ull * 1000000000;
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40001, "198.51.100.7", 443);
	kit_syn(k);
	assert_string_equal(kit_app(k), "");
}

static void ech_leaves_it_to_dns(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	dns_answer(k, "discord.com", "198.51.100.8", 300);
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40000, "198.51.100.8", 443);
	put_tls(&b, "cloudflare-ech.com", "h2", 32, true, 16384);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
	assert_true(k->r.ech);
	assert_string_equal(kit_app(k), "discord");
	assert_string_equal(kit_source(k), "dns");
}

/* Two apps behind one address say nothing. */
static void shared_address(void **state)
{
	struct kit *k = *state;

	dns_answer(k, "discord.com", "198.51.100.9", 300);
	dns_answer(k, "www.netflix.com", "198.51.100.9", 300);
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40000, "198.51.100.9", 443);
	kit_syn(k);
	assert_string_equal(kit_app(k), "");
}

static void server_known_from_another_flow(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40000, "198.51.100.10", 443);
	hello(k, "www.tiktok.com");
	assert_string_equal(kit_source(k), "sni");
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40001, "198.51.100.10", 443);
	put_random(&b, 5, 100);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
	kit_finish(k);
	assert_string_equal(kit_l7(k), "tls");
	assert_string_equal(kit_app(k), "tiktok");
	assert_string_equal(kit_source(k), "peer");
	/* Another port of it is another server. */
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40002, "198.51.100.10", 8443);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
	kit_finish(k);
	assert_string_equal(kit_app(k), "");
}

static void address_is_the_last_resort(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	put_tls(&b, NULL, "h2", 32, false, 16384);
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40000, "157.240.1.1", 443);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
	assert_string_equal(kit_app(k), "facebook");
	assert_string_equal(kit_source(k), "port");
	/* SSH there is nobody's. */
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40001, "157.240.1.2", 22);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, "SSH-2.0-x\r\n", 11);
	assert_string_equal(kit_app(k), "");
	/* FaceTime's ports at Apple. */
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 16402, "17.1.2.3", 3478);
	kit_udp(k, TO_SERVER, "\0\1\0\0\x21\x12\xa4\x42" "abcdefghijkl", 20);
	kit_finish(k);
	assert_string_equal(kit_type(k), "facetime-call");
}

static void channels(void **state)
{
	static const char *const want[][2] = {
		{ "mmg.whatsapp.net", "whatsapp-media" }, { "g.whatsapp.net", "whatsapp-media" },
		{ "chat.signal.org", "signal-text" },	  { "cdn2.signal.org", "signal-media" },
		{ "edge-mqtt.facebook.com", "messenger-text" },
		{ "www.facebook.com", "facebook" },	  { "web.telegram.org", "telegram" },
		{ "www.wikipedia.org", "wikipedia" },	  { "www.example.org", "tls" },
	};
	struct kit *k = *state;

	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40000 + i, "198.51.100.20", 443);
		hello(k, want[i][0]);
		assert_string_equal(kit_type(k), want[i][1]);
	}
}

static void other_rules_at_run_time(void **state)
{
	struct kit *k = *state;
	char err[200];
	struct rules *r = load("[corp]\nhost = example.org\n", err, sizeof(err));

	assert_non_null(r);
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40000, "198.51.100.21", 443);
	hello(k, "www.example.org");
	assert_string_equal(kit_type(k), "tls");
	classifier_rules(k->c, r);
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40001, "198.51.100.21", 443);
	hello(k, "www.example.org");
	assert_string_equal(kit_type(k), "corp");
	kit_free(k);
	rules_free(r);
	kit_init(k, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(builtin),
		T(of_a_user),
		T(mistakes),
		T(long_lines),
		T(resolved),
		T(ech_leaves_it_to_dns),
		T(shared_address),
		T(server_known_from_another_flow),
		T(address_is_the_last_resort),
		T(channels),
		T(other_rules_at_run_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
