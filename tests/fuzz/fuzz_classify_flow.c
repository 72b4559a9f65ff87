/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The classifier as the pipeline uses it. Input: a byte with the protocol and
 * the server's port, then packets: flags (way, SYN, finish), two bytes of
 * sequence offset, one of length, the payload.
 */
#include <stdlib.h>
#include <string.h>

#include "classify.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

unsigned model_type_id(struct model *m, const char *name)
{
	return (unsigned)strlen(name);
}

unsigned model_app_id(struct model *m, const char *name)
{
	return (unsigned)strlen(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const uint16_t ports[] = { 443,	53,   80, 123,	4500, 5353,
					  3478, 8801, 25, 4789, 546,  1935 };
	static struct classifier *c;
	struct flow f = { 0 };
	struct class_result r;
	uint64_t now = 1;

	if (!c)
		c = classifier_new(NULL, NULL);
	if (n < 2)
		return 0;
	f.proto = p[0] & 1 ? IPPROTO_TCP : IPPROTO_UDP;
	f.server.port = ports[(p[0] >> 1) % (sizeof(ports) / sizeof(ports[0]))];
	f.client.port = 50000;
	f.client.ip.s6_addr[15] = p[1] & 3;
	f.server.ip.s6_addr[15] = p[1] >> 2 & 3;
	p += 2;
	n -= 2;
	while (n >= 4) {
		struct weir_rec rec = { .kind = WEIR_REC_PACKET, .proto = f.proto };
		size_t len = (size_t)p[3] * 6;
		uint8_t *copy;

		rec.dir = p[0] & 1;
		rec.tcp_flags = p[0] & 2 ? 2 : 0x18;
		rec.seq = (uint32_t)(p[1] << 8 | p[2]) - 100u;
		rec.time_ns = f.last_ns = now += 1000000000;
		if (len > n - 4)
			len = n - 4;
		rec.caplen = (uint16_t)len;
		rec.payload_len = (uint32_t)len + (p[0] & 4 ? 1000 : 0);
		copy = malloc(len + 1);
		memcpy(copy, p + 4, len);
		classify_packet(c, &f, &rec, copy, &r);
		free(copy);
		for (const char *s = r.hint; *s; s++)
			if (*s < 0x20 || *s > 0x7e)
				abort();
		p += 4 + len;
		n -= 4 + len;
	}
	classify_finish(c, &f, &r);
	if (!r.done)
		abort();
	classify_flow_free(c, &f);
	return 0;
}
