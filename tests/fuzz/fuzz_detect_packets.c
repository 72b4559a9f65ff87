// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Packets of a few flows, header fields drawn from the input, through the engine
 * and the detectors of injected packets: resets, content, DNS. Nothing may read
 * out of bounds, leak, or report a finding without its reasons.
 */
#include <stdlib.h>
#include <string.h>

#include "host_engine.h"
#include "pipeline.h"

const struct detector *const detectors[DETECTORS_MAX + 1] = { &detect_rst, &detect_content, &detect_dns };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_record(void *p, const struct weir_rec *r, const uint8_t *payload)
{
	pipeline_record(p, r, payload);
}

static void on_end(void *p, const struct weir_key6 *key, const struct weir_flow *f, unsigned why)
{
	pipeline_flow_end(p, key, f, why);
}

static void on_finding(void *s, const struct model *m, const struct finding *f, enum finding_action a, uint64_t now)
{
	if (!f->reasons.n || !f->ruled_out.n)
		abort();
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* One packet of 12 bytes of input and its payload; how much was used. */
static size_t packet(struct host_engine *e, const uint8_t *d, size_t n, uint64_t *now)
{
	uint8_t b[20 + 20 + 64] = { 0x45 };
	unsigned len = d[11] & 63, head = 20;
	bool up = d[0] & 1, udp = (d[0] & 6) == 6;

	if (len > n - 12)
		len = (unsigned)(n - 12);
	*now += (uint64_t)(d[1] & 15) * (d[1] & 16 ? 100000000 : 1000000) + 1;
	b[8] = d[2];
	b[9] = udp ? 17 : 6;
	put16(b + 4, (unsigned)(d[3] << 8 | d[4]) & (d[0] & 8 ? 0xffff : 0x0003));
	b[6] = d[0] & 16 ? 0x40 : 0;
	memcpy(b + 12, up ? "\xc0\xa8\x01\x02" : "\xcb\x00\x71\x01", 4);
	memcpy(b + 16, up ? "\xcb\x00\x71\x01" : "\xc0\xa8\x01\x02", 4);
	put16(b + (up ? 20 : 22), 20000 + (d[0] >> 6));
	put16(b + (up ? 22 : 20), udp ? 53 : 80);
	if (udp) {
		put16(b + 24, 8 + len);
		head = 8;
	} else {
		/* Small numbers, so that they meet. */
		b[27] = d[5];
		b[31] = d[6];
		b[32] = 0x50 | (d[7] >> 4);
		b[33] = d[8];
		put16(b + 34, (unsigned)(d[9] << 8 | d[10]));
	}
	memcpy(b + 20 + head, d + 12, len);
	put16(b + 2, 20 + head + len);
	host_engine_packet(e, WEIR_LINK_IP, b, 20 + head + len, 20 + head + len, *now);
	return 12 + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sink ops = { .finding = on_finding };
	const struct weir_config every = { .first_packets = 0xff, .focus_packets = 0xffff, .payload_segments = 16,
					   .payload_bytes = 4096 };
	struct pipeline_config cfg = { .nsinks = 1, .sensitivity = SENSITIVITY_HIGH };
	struct host_engine_ops eo = { on_record, on_end, NULL };
	uint64_t now = 1795737600000000000ull;
	struct totals t = { 0 };
	struct host_engine *e;
	struct pipeline *p;

	cfg.sink[0] = (struct sink_ref){ &ops, NULL };
	p = pipeline_new(&cfg);
	eo.arg = p;
	e = p ? host_engine_new(&every, 64, &eo) : NULL;
	if (!e)
		abort();
	while (size >= 12) {
		size_t n = packet(e, data, size, &now);

		data += n;
		size -= n;
		pipeline_tick(p, now);
	}
	host_engine_finish(e);
	pipeline_finish(p, &t);
	pipeline_free(p);
	host_engine_free(e);
	return 0;
}
