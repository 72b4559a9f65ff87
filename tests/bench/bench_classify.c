/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the classifier costs a flow, CPU time, one core: state made, bytes put
 * together, keys derived, names looked up, state freed. Targets: 5 us for TLS, 8 us for QUIC.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"
#include "classify_kit.h"
#include "quic_crypto.h"

static struct kit k;

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void packet(struct flow *f, unsigned way, uint32_t seq, unsigned tcp_flags, const void *p,
		   size_t n)
{
	struct weir_rec r = { .kind = WEIR_REC_PACKET,
			      .proto = f->proto,
			      .dir = (uint8_t)way,
			      .seq = seq,
			      .tcp_flags = (uint8_t)tcp_flags,
			      .payload_len = (uint32_t)n,
			      .caplen = (uint16_t)n };

	r.time_ns = f->last_ns = k.now += 1000;
	classify_packet(k.c, f, &r, p, &k.r);
}

static struct flow new_flow(unsigned i, unsigned proto)
{
	struct flow f = { .proto = (uint8_t)proto };

	f.client.port = (uint16_t)i;
	f.server.port = 443;
	/* 1,000 clients, servers without end: the caches are as cold as a gateway's. */
	f.client.ip.s6_addr32[3] = htonl(0x0a000000 + i % 1000);
	f.server.ip.s6_addr32[3] = htonl(0xc6336400 + i * 7);
	return f;
}

static size_t initial(uint8_t *d, const struct blob *hello)
{
	static uint8_t frames[1200];
	size_t head = 5 + 1 + 8 + 1 + 1 + 2, n = 1200 - head - 2 - 16, length = n + 2 + 16;
	struct quic_keys q;
	uint8_t mask[16];

	frames[0] = 6;
	frames[2] = (uint8_t)(0x40 | hello->n >> 8);
	frames[3] = (uint8_t)hello->n;
	memcpy(frames + 4, hello->p, hello->n);
	memcpy(d, "\xc1\0\0\0\1\x08" "destcid8\0\0", 16);
	d[16] = (uint8_t)(0x40 | length >> 8);
	d[17] = (uint8_t)length;
	d[18] = d[19] = 0;
	quic_derive(&q, SALT_V1, (const uint8_t *)"destcid8", 8);
	gcm_aes128_set_iv(&q.gcm, 12, q.iv);
	gcm_aes128_update(&q.gcm, head + 2, d);
	gcm_aes128_encrypt(&q.gcm, n, d + head + 2, frames);
	gcm_aes128_digest(&q.gcm, 16, d + head + 2 + n);
	aes128_encrypt(&q.hp, 16, mask, d + head + 4);
	d[0] ^= mask[0] & 0x0f;
	d[head] ^= mask[1];
	d[head + 1] ^= mask[2];
	return head + length;
}

static void report(const char *what, unsigned n, double since)
{
	char row[96];

	snprintf(row, sizeof(row), "classifier: %s", what);
	bench_row(row, (cpu_s() - since) / n * 1e6, "us a flow", NULL, 0);
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 200000;
	struct blob tls = { .n = 0 }, quic = { .n = 0 }, random = { .n = 0 };
	static uint8_t d[1500];
	size_t len;
	double t;

	kit_init(&k, NULL);
	put_tls(&tls, "media-ams2-1.cdn.whatsapp.net", "h2", 1216, false, 16384);
	put_hello(&quic, "mmg.whatsapp.net", "h3", 0, false);
	len = initial(d, &quic);
	put_random(&random, 5, 600);

	t = cpu_s();
	for (unsigned i = 0; i < n; i++) {
		struct flow f = new_flow(i, IPPROTO_TCP);

		packet(&f, TO_SERVER, 100, 0x02, "", 0);
		packet(&f, TO_CLIENT, 500, 0x12, "", 0);
		packet(&f, TO_SERVER, 101, 0x18, tls.p, 700);
		packet(&f, TO_SERVER, 801, 0x18, tls.p + 700, tls.n - 700);
		classify_flow_free(k.c, &f);
	}
	report("TLS, a post-quantum hello in two segments", n, t);
	assert_string_equal(kit_type(&k), "whatsapp-media");

	t = cpu_s();
	for (unsigned i = 0; i < n; i++) {
		struct flow f = new_flow(i, IPPROTO_UDP);

		packet(&f, TO_SERVER, 0, 0, d, len);
		classify_flow_free(k.c, &f);
	}
	report("QUIC, one Initial", n, t);
	assert_string_equal(kit_type(&k), "whatsapp-media");

	t = cpu_s();
	for (unsigned i = 0; i < n; i++) {
		struct flow f = new_flow(i, IPPROTO_TCP);

		packet(&f, TO_SERVER, 100, 0x02, "", 0);
		packet(&f, TO_SERVER, 101, 0x18, random.p, random.n);
		packet(&f, TO_CLIENT, 501, 0x18, random.p, random.n);
		classify_finish(k.c, &f, &k.r);
		classify_flow_free(k.c, &f);
	}
	report("TCP that no parser knows", n, t);

	t = cpu_s();
	for (unsigned i = 0; i < n; i++) {
		struct flow f = new_flow(i, IPPROTO_TCP);

		packet(&f, TO_SERVER, 100, 0x02, "", 0);
		classify_finish(k.c, &f, &k.r);
		classify_flow_free(k.c, &f);
	}
	report("a SYN and nothing more", n, t);
	kit_free(&k);
	return 0;
}
