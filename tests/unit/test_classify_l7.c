/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each protocol by its first bytes, as its specification has them; and what only looks like it. */
#include "classify_kit.h"
#include "probe.h"

#include <nettle/aes.h>
#include <nettle/ctr.h>

static int setup(void **state)
{
	static struct kit k;

	kit_init(&k, NULL);
	*state = &k;
	return 0;
}

static int teardown(void **state)
{
	kit_free(*state);
	return 0;
}

/* A string with its zeros. */
#define S(lit) lit, sizeof(lit) - 1

struct talk {
	const char *l7;
	unsigned port;
	const char *up;
	size_t nup;
	const char *down;
	size_t ndown;
};

static const struct talk tcp_talks[] = {
	{ "http", 8080, S("GET /a?b=c HTTP/1.1\r\nUser-Agent: x\r\nHost: h.example.org:8080\r\n\r\n"), S("") },
	{ "http", 80, S("POST / HTTP/1.0\r\n\r\n"), S("") },
	{ "http", 80, S(""), S("HTTP/1.1 200 OK\r\n\r\n") },
	{ "http", 3128, S("CONNECT h.example.org:443 HTTP/1.1\r\n\r\n"), S("") },
	{ "http", 80, S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), S("") },
	{ "ssh", 2222, S("SSH-2.0-OpenSSH_9.2\r\n"), S("") },
	{ "ssh", 22, S(""), S("SSH-1.99-Cisco-1.25\n") },
	{ "smtp", 25, S("EHLO me\r\n"), S("220 mx.example.org ESMTP Postfix\r\n") },
	{ "smtp", 587, S("HELO me\r\n"), S("220 welcome\r\n") },
	{ "imap", 143, S("a CAPABILITY\r\n"), S("* OK [CAPABILITY IMAP4rev1] ready\r\n") },
	{ "pop3", 110, S("CAPA\r\n"), S("+OK POP3 ready\r\n") },
	{ "ftp", 21, S("USER anonymous\r\n"), S("220 (vsFTPd 3.0.3)\r\n") },
	{ "bittorrent", 6881, S("\x13" "BitTorrent protocol\0\0\0\0\0\0\0\0"), S("") },
	{ "mqtt", 1883, S("\x10\x14\0\x04MQTT\x04\x02\0\x3c\0\x08" "sensor01"), S("") },
	{ "mqtt", 1883, S("\x10\x80\x01\0\x06MQIsdp\x03\x02\0\x3c\0\x08"), S("") },
	{ "mqtt", 1883, S("\xc0\0"), S("\xd0\0") },
	{ "rdp", 3389, S("\3\0\0\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\x0b\0\0\0"), S("") },
	{ "rdp", 3389, S("\3\0\0\x23\x1e\xe0\0\0\0\0\0Cookie: mstshash=eltons\r\n"), S("") },
	{ "smb", 445, S("\0\0\0\x44\xfeSMB\x40\0"), S("") },
	{ "smb", 139, S("\0\0\0\x54\xffSMB\x72\0"), S("") },
	{ "sip", 5060, S("REGISTER sip:example.org SIP/2.0\r\n"), S("") },
	{ "mmtls", 443, S("\x16\xf1\x04\0\xa1\0\0\0\x9d\1\4\xf1"), S("") },
	{ "stun", 443, S("\0\3\0\0\x21\x12\xa4\x42" "abcdefghijkl"), S("") },
	{ "stun", 3478, S("\0\x14\0\1\0\0\x21\x12\xa4\x42" "abcdefghijkl"), S("") },
	{ "dns", 53, S("\0\x1d\x12\x34\1\0\0\1\0\0\0\0\0\0\7example\3org\0\0\1\0\1"), S("") },
	{ "ldap", 389, S("\x30\x0c\2\1\1\x60\7\2\1\3\4\0\x80\0"), S("") },
	{ "socks", 1080, S("\5\2\0\1"), S("\5\0") },
	{ "socks", 1080, S("\4\1\0\x50\xc6\x33\x64\1me\0"), S("\0\x5a\0\0\0\0\0\0") },
	{ "tls", 443, S("\x80\x2e\1\3\1\0\x15\0\0\0\x10"
			"\0\0\x2f\0\0\x35\0\0\x0a\0\0\5\0\0\4\0\0\3\0\0\2"
			"0123456789abcdef"), S("") },
	{ "mtproto", 443, S("\xef\x0a\0\0\0\0\0\0\0\0\x10\x20\x30\x40\x50\x60\x70\x60"
			    "\x14\0\0\0\x78\x97\x46\x60" "0123456789abcdef"), S("") },
	{ "mtproto", 80, S("\xee\xee\xee\xee\x28\0\0\0\0\0\0\0"), S("") },
	{ "noise", 443, S("WA\6\3\0\0\x24\x12\x22\x0a\x20"), S("") },
	{ "noise", 5222, S("ED\0\1\0\0\4\x08\x09\x08\x02WA\5\2\0\1\3\x12\x80\2\x0a\x20"), S("") },
	{ "openvpn", 1194, S("\0\x0e\x38" "abcdefgh\0\0\0\0\0"), S("") },
	{ "unknown", 443, S("XY"), S("Z") },
	{ "unknown", 25, S(""), S("hello there\r\n") },
	{ "unknown", 22, S("SSX-2.0\r\n"), S("no\r\n") },
	{ "unknown", 443, S("WA\6\3\0\0\x24\x99\x22\x0a\x20"), S("x") },
	{ "unknown", 5222, S("ED\0\1\xff\xff\xff\x08\x09\x08\x02WA\5\2"), S("x") },
	{ "unknown", 80, S("GETTING started\r\n"), S("x") },
	{ "unknown", 3389, S("\3\0\xff\xff\x0e\xe0\0\0\0\0\0\1\0\x08\0\x0b\0\0\0"), S("x") },
	{ "unknown", 53, S("\0\x05hello"), S("x") },
};

static void over_tcp(void **state)
{
	struct kit *k = *state;

	for (unsigned i = 0; i < sizeof(tcp_talks) / sizeof(tcp_talks[0]); i++) {
		const struct talk *t = &tcp_talks[i];

		/* At once, and byte by byte. */
		for (unsigned bytes = 0; bytes < 2; bytes++) {
			kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40000 + i, "198.51.100.1",
				 t->port);
			k->f.server.ip.s6_addr[13] = (uint8_t)i; /* nobody's peer */
			k->f.server.ip.s6_addr[14] = (uint8_t)bytes;
			kit_syn(k);
			for (size_t at = 0; bytes && at < t->nup; at++)
				kit_tcp(k, TO_SERVER, at, t->up + at, 1);
			if (!bytes && t->nup)
				kit_tcp(k, TO_SERVER, 0, t->up, t->nup);
			if (t->ndown)
				kit_tcp(k, TO_CLIENT, 0, t->down, t->ndown);
			kit_finish(k);
			if (strcmp(kit_l7(k), t->l7))
				fail_msg("tcp talk %u%s: %s, not %s", i, bytes ? " by bytes" : "",
					 kit_l7(k), t->l7);
		}
	}
}

static const struct talk udp_talks[] = {
	{ "dns", 53, S("\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\7example\3org\0\0\1\0\1"), S("") },
	{ "dns", 5300, S("\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\7example\3org\0\0\1\0\1"), S("") },
	{ "mdns", 5353, S("\0\0\0\0\0\1\0\0\0\0\0\0\5_http\4_tcp\5local\0\0\x0c\0\1"), S("") },
	{ "mdns", 5355, S("\x12\x34\0\0\0\1\0\0\0\0\0\0\6puppet\0\0\1\0\1"), S("") },
	{ "ssdp", 1900, S("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\r\n"), S("") },
	{ "stun", 3478, S("\0\1\0\0\x21\x12\xa4\x42" "abcdefghijkl"), S("") },
	{ "stun", 40000, S("\0\1\0\x08" "abcdefghijklmnop\0\3\0\4\0\0\0\6"), S("") },
	{ "dtls", 443, S("\x17\xfe\xfd\0\1\0\0\0\0\0\1\0\4abcd"), S("") },
	{ "sip", 5060, S("INVITE sip:bob@example.org SIP/2.0\r\n"), S("") },
	{ "sip", 5062, S(""), S("SIP/2.0 100 Trying\r\n") },
	{ "bittorrent", 6881, S("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"), S("") },
	{ "bittorrent", 80, S("\0\0\4\x17\x27\x10\x19\x80\0\0\0\0\1\2\3\4"), S("") },
	{ "openvpn", 1194, S("\x38" "abcdefgh\0\0\0\0\0"), S("") },
	{ "rtcp", 5005, S("\x80\xc8\0\6" "abcdefghijklmnopqrstuvwx"), S("") },
	{ "ldap", 389, S("\x30\x0c\2\1\1\x63\7\4\0\x0a\1\0\2\1\0"), S("") },
	{ "unknown", 137, S("\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\7example\3org\0\0\1\0\1"), S("") },
	{ "unknown", 5300, S("\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\x77" "example\3org\0\0\1\0\1"), S("") },
	{ "unknown", 123, S("\x1b\0\0\0"), S("") },
	{ "unknown", 500, S("abcdefgh01234567\x21\x20\x22\x08\0\0\0\0\0\0\0\x1d"), S("") },
};

static void over_udp(void **state)
{
	struct kit *k = *state;

	for (unsigned i = 0; i < sizeof(udp_talks) / sizeof(udp_talks[0]); i++) {
		const struct talk *t = &udp_talks[i];

		kit_flow(k, IPPROTO_UDP, "192.168.1.10", 40000 + i, "198.51.100.1", t->port);
		k->f.server.ip.s6_addr[13] = (uint8_t)i;
		if (t->nup)
			kit_udp(k, TO_SERVER, t->up, t->nup);
		if (t->ndown)
			kit_udp(k, TO_CLIENT, t->down, t->ndown);
		kit_finish(k);
		if (strcmp(kit_l7(k), t->l7))
			fail_msg("udp talk %u: %s, not %s", i, kit_l7(k), t->l7);
	}
}

/* Those whose packets have a length of their own. */
static void fixed_forms(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	/* WireGuard: initiation, and data whose counter grows. */
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 40000, "198.51.100.1", 51820);
	put(&b, "\1\0\0\0", 4);
	put_random(&b, 1, 144);
	kit_udp(k, TO_SERVER, b.p, b.n);
	assert_string_equal(kit_l7(k), "wireguard");
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 40000, "198.51.100.2", 443);
	for (unsigned i = 1; i < 3; i++) {
		assert_string_equal(kit_l7(k), "unknown");
		b.n = 0;
		put(&b, "\4\0\0\0wxyz", 8);
		put_be(&b, 1, i);
		put_fill(&b, 0, 7);
		put_random(&b, i, 80);
		kit_udp(k, TO_CLIENT, b.p, b.n);
	}
	assert_string_equal(kit_l7(k), "wireguard");
	/* NTP. */
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 40000, "198.51.100.1", 123);
	b.n = 0;
	put_be(&b, 1, 0x23);
	put_fill(&b, 0, 47);
	kit_udp(k, TO_SERVER, b.p, b.n);
	assert_string_equal(kit_l7(k), "ntp");
	/* DHCP: the cookie. */
	kit_flow(k, IPPROTO_UDP, "0.0.0.0", 68, "255.255.255.255", 67);
	b.n = 0;
	put(&b, "\1\1\6\0", 4);
	put_fill(&b, 0, 232);
	put_be(&b, 4, 0x63825363);
	put(&b, "\x35\1\1\xff", 4);
	kit_udp(k, TO_SERVER, b.p, b.n);
	assert_string_equal(kit_l7(k), "dhcp");
	/* DHCPv6 solicit. */
	kit_flow(k, IPPROTO_UDP, "fe80::1", 546, "ff02::1:2", 547);
	kit_udp(k, TO_SERVER, "\1\x12\x34\x56\0\1\0\2ab\0\x08\0\2\0\0", 16);
	assert_string_equal(kit_l7(k), "dhcp");
	/* IKEv2, and behind the marker of port 4500. */
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 500, "198.51.100.1", 500);
	b.n = 0;
	put(&b, "abcdefgh\0\0\0\0\0\0\0\0\x21\x20\x22\x08\0\0\0\0", 24);
	put_be(&b, 4, 100);
	put_random(&b, 4, 72);
	kit_udp(k, TO_SERVER, b.p, b.n);
	assert_string_equal(kit_l7(k), "ipsec");
	memmove(b.p + 4, b.p, b.n);
	memset(b.p, 0, 4);
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 4500, "198.51.100.3", 4500);
	kit_udp(k, TO_SERVER, b.p, b.n + 4);
	assert_string_equal(kit_l7(k), "ipsec");
	/* RDP's SYN over UDP. */
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 40000, "198.51.100.1", 3389);
	b.n = 0;
	put(&b, "\xff\xff\xff\xff\0\x40\0\1\0\0\0\1\4\xd0\4\xd0", 16);
	put_fill(&b, 0, 1232 - 16);
	kit_udp(k, TO_SERVER, b.p, b.n);
	assert_string_equal(kit_l7(k), "rdp");
	/* SMB in a NetBIOS datagram. */
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 138, "192.168.1.255", 138);
	b.n = 0;
	put(&b, "\x11\x0a\x12\x34\xc0\xa8\1\x0a\0\x8a\0\xc0\0\0", 14);
	put_fill(&b, 'A', 68);
	put(&b, "\xffSMB\x25\0\0\0\0", 9);
	kit_udp(k, TO_SERVER, b.p, b.n);
	assert_string_equal(kit_l7(k), "smb");
	/* MQTT midway: a PUBLISH that fills its segment. */
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40000, "198.51.100.1", 8883);
	kit_tcp(k, TO_SERVER, 0, S("\x30\x0b\0\5/a/b/hell"));
	assert_string_equal(kit_l7(k), "mqtt");
	/* RTMP: both sides' first bytes. */
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40000, "198.51.100.1", 1935);
	kit_syn(k);
	b.n = 0;
	put(&b, "\3\0\0\x12\x34\0\0\0\0", 9);
	put_random(&b, 8, 1528);
	kit_tcp(k, TO_SERVER, 0, b.p, 1448);
	assert_string_not_equal(kit_l7(k), "rtmp");
	kit_tcp(k, TO_CLIENT, 0, b.p, 1448);
	assert_string_equal(kit_l7(k), "rtmp");
}

static void rtp(struct kit *k, unsigned way, unsigned seq, unsigned ts, const char *ssrc)
{
	struct blob b = { .n = 0 };

	put_be(&b, 2, 0x8000 | 96);
	put_be(&b, 2, seq);
	put_be(&b, 4, ts);
	put(&b, ssrc, 4);
	put_random(&b, seq, 100);
	kit_udp(k, way, b.p, b.n);
}

static void calls(void **state)
{
	struct kit *k = *state;

	/* RTP needs a second packet of the same source. */
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 40000, "198.51.100.1", 20000);
	rtp(k, TO_SERVER, 0xffff, 1000, "ssrc");
	assert_string_equal(kit_l7(k), "unknown");
	rtp(k, TO_SERVER, 0, 1960, "ssrc");
	assert_string_equal(kit_l7(k), "rtp");
	/* Other sources, other numbers: no RTP. */
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 40001, "198.51.100.1", 20000);
	rtp(k, TO_SERVER, 100, 1000, "abcd");
	rtp(k, TO_SERVER, 9000, 1000, "abcd");
	rtp(k, TO_SERVER, 9001, 1000, "bcde");
	kit_finish(k);
	assert_string_not_equal(kit_l7(k), "rtp");
	/* STUN, then RTP on the same five-tuple. */
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 40002, "198.51.100.1", 20000);
	kit_udp(k, TO_SERVER, "\0\1\0\0\x21\x12\xa4\x42" "abcdefghijkl", 20);
	assert_string_equal(kit_l7(k), "stun");
	rtp(k, TO_CLIENT, 1, 1000, "ssrc");
	rtp(k, TO_CLIENT, 2, 1960, "ssrc");
	assert_string_equal(kit_l7(k), "rtp");
	/* STUN, then DTLS. */
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 40003, "198.51.100.1", 20000);
	kit_udp(k, TO_SERVER, "\0\1\0\0\x21\x12\xa4\x42" "abcdefghijkl", 20);
	kit_udp(k, TO_SERVER, "\x14\xfe\xfd\0\0\0\0\0\0\0\1\0\1\1", 14);
	assert_string_equal(kit_l7(k), "dtls");
}

static void whatsapp_call(void **state)
{
	static const char stun[] = "\0\1\0\x08\x21\x12\xa4\x42" "abcdefghijkl\x40\0\0\4wxyz";
	struct kit *k = *state;

	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 40000, "198.51.100.1", 3478);
	kit_udp(k, TO_SERVER, S(stun));
	assert_string_equal(kit_l7(k), "stun");
	assert_string_equal(kit_type(k), "whatsapp-call");
	assert_string_equal(kit_source(k), "payload");
	/* The same socket to the other party, without such an attribute. */
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 40000, "203.0.113.9", 51000);
	kit_udp(k, TO_SERVER, "\0\1\0\0\x21\x12\xa4\x42" "abcdefghijkl", 20);
	assert_string_equal(kit_type(k), "whatsapp-call");
	assert_string_equal(kit_source(k), "peer");
	/* The other party opened it. */
	kit_flow(k, IPPROTO_UDP, "203.0.113.10", 51000, "192.168.1.10", 40000);
	rtp(k, TO_SERVER, 1, 1000, "ssrc");
	rtp(k, TO_SERVER, 2, 1960, "ssrc");
	assert_string_equal(kit_type(k), "whatsapp-call");
	/* Another socket: nothing is known of it. */
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 40001, "203.0.113.9", 51000);
	kit_udp(k, TO_SERVER, "\0\1\0\0\x21\x12\xa4\x42" "abcdefghijkl", 20);
	assert_string_equal(kit_type(k), "stun");
}

static void whatsapp_text(void **state)
{
	struct kit *k = *state;

	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40000, "198.51.100.1", 443);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, S("ED\0\1"));
	kit_tcp(k, TO_SERVER, 4, S("\0\0\4\x08\x09\x08\x02WA\5\2\0\1\3\x12\x80\2\x0a\x20"));
	assert_string_equal(kit_l7(k), "noise");
	assert_string_equal(kit_app(k), "whatsapp");
	assert_string_equal(kit_type(k), "whatsapp-text");
}

/* NoiseSocket: both sides' first messages, each of its form to the byte. */
static void noisesocket(void **state)
{
	struct kit *k = *state;
	struct blob a = { .n = 0 }, b = { .n = 0 };

	put(&a, "\0\x06\0\1\2\3\4\5\0\x30", 10);
	put_random(&a, 3, 48);
	put(&b, "\0\0\0\x60", 4);
	put_random(&b, 4, 96);
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40000, "198.51.100.1", 443);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, a.p, a.n);
	kit_tcp(k, TO_CLIENT, 0, b.p, b.n);
	assert_string_equal(kit_l7(k), "noise");
	assert_string_equal(kit_app(k), "");
	/* A length that does not fit. */
	a.p[9]--;
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40001, "198.51.100.2", 443);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, a.p, a.n);
	kit_tcp(k, TO_CLIENT, 0, b.p, b.n);
	kit_finish(k);
	assert_string_not_equal(kit_l7(k), "noise");
}

/* 64 bytes that carry their own key, as Telegram's obfuscated transport begins. */
static void mtproto_obfuscated(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };
	struct aes256_ctx aes;
	uint8_t ctr[16], plain[64], cipher[64];

	put_random(&b, 12, 64);
	memcpy(plain, b.p, 64);
	memcpy(plain + 56, "\xee\xee\xee\xee", 4);
	aes256_set_encrypt_key(&aes, plain + 8);
	memcpy(ctr, plain + 40, 16);
	ctr_crypt(&aes, (nettle_cipher_func *)aes256_encrypt, 16, ctr, 64, cipher, plain);
	memcpy(b.p + 56, cipher + 56, 8);
	put_random(&b, 13, 100);
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40000, "198.51.100.1", 443);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
	assert_string_equal(kit_l7(k), "mtproto");
	assert_string_equal(kit_app(k), "telegram");
	/* One bit off: random. */
	b.p[57] ^= 1;
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40001, "198.51.100.2", 443);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
	kit_finish(k);
	assert_string_equal(kit_l7(k), "fully-encrypted");
}

/* The five exemptions, at their edges. */
static void random_criteria(void **state)
{
	uint8_t b[200];

	/* 4 bits of 8 set in each byte, none printable. */
	memset(b, 0xf0, sizeof(b));
	assert_true(looks_random(b, sizeof(b)));
	assert_false(looks_random(b, 15));
	/* Ex1: 3.4 and 4.6 ones a byte are exempt, 3.41 and 4.59 are not. */
	memset(b, 0xe0, 60);
	assert_int_equal((60 * 3 + 40 * 4) * 10, 100 * 34);
	assert_false(looks_random(b, 100));
	b[0] = 0xf0;
	assert_true(looks_random(b, 100));
	memset(b, 0xf0, 40);
	memset(b + 40, 0xf8, 60);
	assert_false(looks_random(b, 100));
	b[99] = 0xf0;
	assert_true(looks_random(b, 100));
	/* Ex2: six printable ones at the beginning. */
	memset(b, 0xf0, sizeof(b));
	memcpy(b, "Zzzzz", 5);
	assert_true(looks_random(b, 100));
	memcpy(b, "Zzzzzz", 6);
	assert_false(looks_random(b, 100));
	/* Ex3: more than half printable; exactly half is not. ('.' and 0x55 have four ones.) */
	for (unsigned i = 0; i < 100; i++)
		b[i] = i % 2 ? 0x55 : 0xf0;
	assert_true(looks_random(b, 100));
	b[50] = 0x55;
	assert_false(looks_random(b, 100));
	/* Ex4: more than 20 in a row. */
	memset(b, 0xf0, sizeof(b));
	memset(b + 30, 0x55, 20);
	assert_true(looks_random(b, 100));
	b[50] = 0x55;
	assert_false(looks_random(b, 100));
	/* Ex5: TLS, HTTP. */
	memset(b, 0xf0, sizeof(b));
	memcpy(b, "\x17\x03\x09", 3);
	assert_false(looks_random(b, 100));
	memcpy(b, "\x17\x03\x0a", 3);
	assert_true(looks_random(b, 100));
	memcpy(b, "PUT ", 4);
	assert_false(looks_random(b, 100));
}

/* Random, but for a length in front, or zeros: a protocol of its own. */
static void plain_heads(void **state)
{
	struct blob b = { .n = 0 };

	put_random(&b, 77, 400);
	assert_false(has_plain_head(b.p, b.n));
	b.p[2] = 400 >> 8;
	b.p[3] = 400 & 255;
	assert_true(has_plain_head(b.p, b.n));
	b.p[2] = (400 - 4) & 255;
	b.p[3] = (400 - 4) >> 8;
	assert_true(has_plain_head(b.p, b.n));
	b.p[3] ^= 0x40;
	assert_false(has_plain_head(b.p, b.n));
	b.p[14] = b.p[15] = 0;
	assert_true(has_plain_head(b.p, b.n));
	assert_false(has_plain_head(b.p, 1));
	assert_false(has_plain_head(b.p, 0));
}

static void random_needs_the_first_byte(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	put_random(&b, 77, 400);
	assert_true(looks_random(b.p, b.n));
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40000, "198.51.100.1", 8388);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
	kit_finish(k);
	assert_string_equal(kit_l7(k), "unknown");
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40001, "198.51.100.1", 8388);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
	assert_string_equal(kit_l7(k), "fully-encrypted"); /* while nothing is answered, too */
	kit_finish(k);
	assert_string_equal(kit_type(k), "fully-encrypted");
}

static void by_ip_protocol(void **state)
{
	static const struct {
		unsigned proto;
		const char *l7, *type;
	} want[] = { { 1, "icmp", "icmp" }, { 58, "icmp", "icmp" }, { 50, "ipsec", "ipsec" },
		     { 51, "ipsec", "ipsec" }, { 47, "unknown", "gre" }, { 4, "unknown", "ipip" },
		     { 41, "unknown", "6in4" }, { 132, "unknown", "unknown" } };
	struct kit *k = *state;

	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		kit_flow(k, want[i].proto, "192.168.1.10", 0, "198.51.100.1", 0);
		kit_udp(k, TO_SERVER, "abcd", 4);
		assert_string_equal(kit_l7(k), want[i].l7);
		assert_string_equal(kit_type(k), want[i].type);
		assert_true(k->r.done);
	}
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 40000, "198.51.100.1", 4789);
	kit_udp(k, TO_SERVER, S("\x08\0\0\0\0\0\x2a\0" "abcdefghijkl\x08\0"));
	assert_string_equal(kit_type(k), "vxlan");
}

/* Every prefix and many a damaged copy of every talk: nothing is read that is not there. */
static void damaged(void **state)
{
	struct kit *k = *state;
	uint32_t seed = 1;

	for (unsigned set = 0; set < 2; set++) {
		const struct talk *t = set ? udp_talks : tcp_talks;
		unsigned count = set ? sizeof(udp_talks) / sizeof(*t) : sizeof(tcp_talks) / sizeof(*t);

		for (unsigned i = 0; i < count; i++)
			for (unsigned round = 0; round < 40; round++) {
				struct blob b = { .n = 0 };

				put(&b, t[i].up, t[i].nup);
				put(&b, t[i].down, t[i].ndown);
				for (unsigned n = 0; n < 1 + round % 4 && b.n; n++) {
					seed = seed * 1664525u + 1013904223u;
					b.p[(seed >> 8) % b.n] = (uint8_t)(seed >> 24);
				}
				b.n = b.n * (40 - round) / 40;
				kit_flow(k, set ? IPPROTO_UDP : IPPROTO_TCP, "192.168.1.10", 40000,
					 "198.51.100.1", t[i].port);
				if (set)
					kit_udp(k, round % 2, b.p, b.n);
				else
					kit_tcp(k, round % 2, 0, b.p, b.n);
				kit_finish(k);
			}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(over_tcp),
		T(over_udp),
		T(fixed_forms),
		T(calls),
		T(whatsapp_call),
		T(whatsapp_text),
		T(noisesocket),
		T(mtproto_obfuscated),
		T(random_criteria),
		cmocka_unit_test(plain_heads),
		T(random_needs_the_first_byte),
		T(by_ip_protocol),
		T(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
