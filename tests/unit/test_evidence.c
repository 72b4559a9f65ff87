// SPDX-License-Identifier: GPL-2.0-or-later
/* Evidence files, read back block by block, and by libpcap, which must find the packets as they passed. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "evidence.h"
#include "pcapng.h"
#include "wire.h"

static struct wire w;
static struct evidence *e;
static char dir[] = "/tmp/weir-evidence-XXXXXX";

static void open_kept(const char *to)
{
	static const struct sink ops = { .rst = wire_rst, .finding = wire_finding };
	const struct weir_config every = { .first_packets = 0xff, .focus_packets = 0xffff, .payload_segments = 16,
					   .payload_bytes = 4096 };
	struct host_engine_ops eo = { wire_record, wire_flow_end, &w };
	struct pipeline_config cfg = { .nsinks = 2, .sensitivity = SENSITIVITY_NORMAL };

	memset(&w, 0, sizeof(w));
	e = evidence_new(to);
	assert_non_null(e);
	evidence_limits(e, EVIDENCE_SNAPLEN, 0);
	cfg.evidence = e;
	cfg.sink[0] = (struct sink_ref){ &ops, &w };
	cfg.sink[1] = evidence_sink(e);
	w.p = pipeline_new(&cfg);
	w.e = host_engine_new(&every, 0, &eo);
	assert_non_null(w.p);
	assert_non_null(w.e);
}

static const struct look forged = { 101, 0x3a1c, 0, 0, 0, 0 };

static void reset_flow(double t, unsigned n)
{
	struct conn c = wire_conn(n);

	t = wire_open_conn(&w, t, &c, 40);
	wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
	wire_seg(&w, t + 30, &c, false, RST | ACK, c.sseq, c.cseq, NULL, 0, forged);
	wire_send(&w, t + 41, &c, false, ACK, NULL, 0);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

/* Every block's two lengths agree, and lead exactly to the end. Returns the packets; *marked those with a comment. */
static unsigned blocks(const uint8_t *p, size_t n, unsigned *marked)
{
	unsigned packets = 0;
	size_t at = 0;

	*marked = 0;
	while (at < n) {
		uint32_t type, len;

		assert_true(n - at >= 12);
		type = get32(p + at);
		len = get32(p + at + 4);
		assert_true(len % 4 == 0 && len >= 12 && len <= n - at);
		assert_int_equal(get32(p + at + len - 4), len);
		if (!at)
			assert_int_equal(type, 0x0a0d0d0a);
		if (type == 6) {
			uint32_t cap = get32(p + at + 20), options = 28 + ((cap + 3) & ~3u);

			packets++;
			assert_true(cap <= get32(p + at + 24));
			*marked += options + 4 < len;
		}
		at += len;
	}
	return packets;
}

static unsigned ones(const uint8_t *p, unsigned n, uint32_t sum)
{
	for (unsigned i = 0; i < n; i += 2)
		sum += (uint32_t)p[i] << 8 | (i + 1 < n ? p[i + 1] : 0);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void a_file_for_the_finding(void **state)
{
	char path[64], err[PCAP_ERRBUF_SIZE];
	const uint8_t *b;
	struct pcap_pkthdr *h;
	unsigned n = 0, resets = 0;
	uint64_t last = 0;
	pcap_t *p;

	open_kept(dir);
	reset_flow(0, 0);
	wire_idle(&w, 9000);
	wire_close(&w);
	assert_int_equal(evidence_failed(e), 0);
	evidence_free(e);
	snprintf(path, sizeof(path), "%s/1.pcapng", dir);
	p = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, err);
	assert_non_null(p);
	assert_int_equal(pcap_datalink(p), DLT_RAW);
	while (pcap_next_ex(p, &h, &b) == 1) {
		uint64_t t = (uint64_t)h->ts.tv_sec * 1000000000ull + (uint64_t)h->ts.tv_usec;

		assert_true(t >= WIRE_START && t >= last);
		last = t;
		assert_int_equal(h->caplen, h->len);
		assert_int_equal(b[0], 0x45);
		assert_int_equal(b[2] << 8 | b[3], h->len);
		assert_int_equal(ones(b, 20, 0), 0xffff);
		assert_int_equal(ones(b + 20, h->len - 20, ones(b + 12, 8, 6 + h->len - 20)), 0xffff);
		if (b[33] & RST) {
			resets++;
			assert_int_equal(t - WIRE_START, 40300000 + 30000000);
			assert_int_equal(b[8], 101);
			assert_int_equal(b[4] << 8 | b[5], 0x3a1c);
			assert_int_equal(b[6], 0);
		}
		n++;
	}
	pcap_close(p);
	assert_int_equal(n, 6);
	assert_int_equal(resets, 1);
	unlink(path);
	rmdir(dir);
}

static void written_to_whom_it_may_concern(void **state)
{
	char *text;
	size_t len;
	unsigned marked;
	FILE *f;

	open_kept(NULL);
	for (unsigned i = 0; i < 40; i++)
		reset_flow(i * 200, i);
	f = open_memstream(&text, &len);
	assert_true(evidence_packets(e, 1) > 6 && evidence_packets(e, 1) <= 128);
	assert_true(evidence_write(e, 1, f));
	assert_false(evidence_write(e, 2, f));
	fclose(f);
	assert_int_equal(blocks((uint8_t *)text, len, &marked), evidence_packets(e, 1));
	assert_int_equal(marked, 8); /* flows that show it */
	free(text);
	wire_close(&w);
	evidence_free(e);
}

/* Many findings, many flows: bounded, and no finding takes another's packets. */
static void bounded(void **state)
{
	open_kept(NULL);
	for (unsigned i = 0; i < 20000; i++) {
		struct conn c = wire_conn(i % 4000);

		c.cip += i / 4000;
		c.sport = (uint16_t)(1 + i % 60);
		wire_send(&w, i * 0.2, &c, true, SYN, NULL, 0);
		wire_seg(&w, i * 0.2 + 0.01, &c, false, RST | ACK, 0, c.cseq - 1, NULL, 0, forged);
		wire_seg(&w, i * 0.2 + 0.1, &c, false, SYN | ACK, c.sseq, c.cseq, NULL, 0, OWN);
	}
	assert_true(w.nfindings > 10 && w.nfindings <= 60);
	for (unsigned i = 0; i < w.nfindings; i++)
		assert_true(evidence_packets(e, w.finding[i].id) <= 128);
	wire_close(&w);
	evidence_free(e);
}

/* By default: no byte of payload, no client's address, neighbours still neighbours, checksums right. */
static void headers_and_redacted(void **state)
{
	static const uint8_t key[REDACT_KEY] = "0123456789abcdef0123456789abcdef";
	struct privacy privacy = { .who = REDACT_CLIENTS, .map = redact_new(key) };
	struct pcapng_view v[128];
	unsigned n, resets = 0;

	open_kept(NULL);
	evidence_limits(e, 0, 0);
	evidence_privacy(e, &privacy);
	reset_flow(0, 0);
	n = evidence_view(e, 1, v, 128);
	assert_true(n >= 5);
	for (unsigned i = 0; i < n; i++) {
		struct conn c = wire_conn(0);
		uint8_t client[4] = { (uint8_t)(c.cip >> 24), (uint8_t)(c.cip >> 16), (uint8_t)(c.cip >> 8), (uint8_t)c.cip };
		bool up = v[i].data[20] == c.cport >> 8 && v[i].data[21] == (c.cport & 255);

		assert_int_equal(v[i].data[0], 0x45);
		assert_int_equal(v[i].len, 20 + (v[i].data[32] >> 4) * 4);
		assert_true(v[i].original >= v[i].len);
		assert_memory_not_equal(v[i].data + (up ? 12 : 16), client, 4);
		assert_memory_equal(v[i].data + (up ? 12 : 16), v[0].data + 12, 4);
		assert_int_equal(ones(v[i].data, 20, 0), 0xffff);
		resets += v[i].comment_len > 0;
		if (v[i].original == v[i].len)
			assert_int_equal(ones(v[i].data + 20, v[i].len - 20, ones(v[i].data + 12, 8, 6 + v[i].len - 20)), 0xffff);
	}
	assert_int_equal(resets, 1);
	wire_close(&w);
	evidence_free(e);
	redact_free(privacy.map);
}

static unsigned files_in(const char *path, unsigned *least)
{
	DIR *d = opendir(path);
	const struct dirent *x;
	unsigned n = 0;

	*least = ~0u;
	while ((x = readdir(d))) {
		unsigned id = (unsigned)strtoul(x->d_name, NULL, 10);

		if (*x->d_name == '.') {
			assert_null(strstr(x->d_name, "part"));
			continue;
		}
		n++;
		*least = id < *least ? id : *least;
	}
	closedir(d);
	return n;
}

/* The oldest go, the newest stays, other people's files are left alone; a new run goes on counting. */
static void the_directory_is_bounded(void **state)
{
	char tmp[] = "/tmp/weir-evidence-XXXXXX", path[96], big[9000] = { 0 };
	unsigned n, least;
	FILE *f;

	assert_non_null(mkdtemp(tmp));
	for (unsigned i = 1; i <= 20; i++) {
		snprintf(path, sizeof(path), i == 7 ? "%s/notes" : "%s/%u.pcapng", tmp, i);
		f = fopen(path, "w");
		fwrite(big, 1, sizeof(big), f);
		fclose(f);
	}
	open_kept(tmp);
	assert_int_equal(evidence_next(e), 21);
	evidence_limits(e, 0, 50000);
	findings_number(pipeline_findings(w.p), evidence_next(e));
	reset_flow(0, 0);
	wire_close(&w);
	evidence_free(e);
	n = files_in(tmp, &least);
	snprintf(path, sizeof(path), "%s/notes", tmp);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	snprintf(path, sizeof(path), "%s/21.pcapng", tmp);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(n, 7); /* 5 of 9,000, the new one, the notes */
	for (unsigned i = 1; i <= 21; i++) {
		snprintf(path, sizeof(path), "%s/%u.pcapng", tmp, i);
		assert_int_equal(unlink(path) == 0, i >= 16);
	}
	assert_int_equal(rmdir(tmp), 0);
}

/* Suspect resets are kept without a finding where that is asked for, in files that take turns. */
static void suspects(void **state)
{
	char tmp[] = "/tmp/weir-evidence-XXXXXX", path[96];
	unsigned least, files = 0;

	assert_non_null(mkdtemp(tmp));
	open_kept(tmp);
	evidence_suspects(e, true);
	for (unsigned i = 0; i < 100; i++)
		reset_flow(i * 200, i);
	wire_idle(&w, 9000);
	wire_close(&w);
	evidence_free(e);
	files_in(tmp, &least);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "%s/suspect-%u.pcapng", tmp, i);
		if (unlink(path))
			continue;
		files++;
		assert_true(i < 8);
	}
	assert_int_equal(files, 8);
	snprintf(path, sizeof(path), "%s/1.pcapng", tmp);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(tmp), 0);
}

static void options_and_cuts(void **state)
{
	uint8_t out[PACKET_HEADERS_MAX + 64], payload[64] = "0123456789";
	struct weir_rec r = { .proto = 6, .flags = WEIR_REC_TS, .tcp_flags = ACK, .nsack = 9, .wscale = 255, .payload_len = 1448,
			      .caplen = 64, .tcp_reserved = 0xf, .ttl = 9 };
	unsigned original, n;

	/* IPv6, more blocks than there can be: header and options fit. */
	n = packet_make(out, &r, payload, 64, &original);
	assert_true(n <= PACKET_HEADERS_MAX + 64);
	assert_int_equal(out[0] >> 4, 6);
	assert_int_equal((out[52] >> 4) * 4, 20 + 12 + 28);
	assert_int_equal(out[52] & 15, 15);
	assert_int_equal(original, 40 + 60 + 1448);
	r.proto = 17;
	r.caplen = 0;
	r.payload_len = 5;
	memcpy(r.head, "hello", 5);
	n = packet_make(out, &r, NULL, 0, &original);
	assert_int_equal(n, 40 + 8 + 5);
	assert_int_equal(n, original);
	r.proto = 50;
	r.ip_len = 300;
	n = packet_make(out, &r, payload, 64, &original);
	assert_int_equal(n, 40);
	assert_int_equal(original, 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_for_the_finding),
		cmocka_unit_test(written_to_whom_it_may_concern),
		cmocka_unit_test(bounded),
		cmocka_unit_test(headers_and_redacted),
		cmocka_unit_test(the_directory_is_bounded),
		cmocka_unit_test(suspects),
		cmocka_unit_test(options_and_cuts),
	};

	if (!mkdtemp(dir))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
