// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The reader takes common records past libpcap: here the same files go through libpcap alone, and both must
 * give the same packets, the same end and the same words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "mapped.h"
#include "reader.h"

#define HELD 16

static uint8_t *file; /* being made */
static size_t size, room;
static uint64_t seed;

static uint32_t draw(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % n;
}

static void put(const void *p, size_t n)
{
	if (size + n > room) {
		room = 2 * (size + n);
		file = realloc(file, room);
		assert_non_null(file);
	}
	memcpy(file + size, p, n);
	size += n;
}

static void put32(uint32_t v)
{
	put(&v, 4);
}

static void put_swapped(uint32_t v)
{
	put32(__builtin_bswap32(v));
}

static void put_bytes(uint32_t n, unsigned padded)
{
	uint8_t b[300000] = { 0 };

	for (uint32_t i = 0; i < n; i++)
		b[i] = (uint8_t)(seed + i * 7);
	put(b, padded ? (n + 3) & ~3u : n);
}

/* Mostly like packets, now and then as large as may be, and beyond. */
static uint32_t some_length(void)
{
	uint32_t kind = draw(200);

	return kind ? kind < 100 ? draw(100) : draw(1515) : draw(3) ? 65500 + draw(60) : draw(262145);
}

static void pcap_head(void (*p)(uint32_t), uint32_t magic, uint32_t snap)
{
	p(magic);
	if (p == put_swapped)
		p(2u << 16 | 4);
	else
		p(4u << 16 | 2);
	p(0);
	p(0);
	p(snap);
	p(1);
}

static void make_pcap(void (*p)(uint32_t), uint32_t magic, uint32_t snap, unsigned packets)
{
	size = 0;
	pcap_head(p, magic, snap);
	for (unsigned i = 0; i < packets; i++) {
		uint32_t n = some_length();

		p(1700000000 + i);
		p(draw(50) ? draw(1000000) : draw(UINT32_MAX)); /* some that can't be */
		p(n);
		p(draw(20) ? n + draw(2) * draw(100) : draw(n + 1)); /* some shorter than captured */
		put_bytes(n, 0);
	}
}

static void section(void)
{
	put32(0x0a0d0d0a);
	put32(28);
	put32(0x1a2b3c4d);
	put32(1);
	put32(~0u);
	put32(~0u);
	put32(28);
}

/* tsresol 0: the option is not there; offset: if_tsoffset is. */
static void interface(uint8_t tsresol, int offset)
{
	uint32_t n = 20 + (tsresol ? 8 : 0) + (offset ? 12 : 0) + 4;

	put32(1);
	put32(n);
	put32(1);
	put32(262144);
	if (tsresol) {
		put32(9 | 1 << 16);
		put32(tsresol);
	}
	if (offset) {
		put32(14 | 8 << 16);
		put32(3600);
		put32(0);
	}
	put32(0);
	put32(n);
}

static void other_block(uint32_t type, uint32_t n)
{
	put32(type);
	put32(n + 12);
	put_bytes(n, 0);
	put32(n + 12);
}

static void enhanced(uint32_t iface, uint64_t t, uint32_t caplen, uint32_t len)
{
	uint32_t n = 32 + ((caplen + 3) & ~3u), comment = draw(10) ? 0 : 12;

	put32(6);
	put32(n + comment);
	put32(iface);
	put32((uint32_t)(t >> 32));
	put32((uint32_t)t);
	put32(caplen);
	put32(len);
	put_bytes(caplen, 1);
	if (comment) {
		put32(1 | 4 << 16);
		put32(0x20202020);
		put32(0);
	}
	put32(n + comment);
}

static void make_pcapng(unsigned packets)
{
	unsigned ifaces = 3;

	size = 0;
	section();
	interface(0, 0);
	interface(9, 0);
	interface(6, 1);
	for (unsigned i = 0; i < packets; i++) {
		uint32_t n = some_length();

		if (!draw(30)) {
			interface(draw(2) ? 9 : 3 + (uint8_t)draw(9), (int)draw(2));
			ifaces++;
		}
		if (!draw(40))
			other_block(draw(2) ? 5 : 4, 4 * draw(2) * draw(30000));
		if (!draw(100)) {
			section();
			interface(9, 0);
			ifaces = 1;
		}
		if (!draw(40)) { /* a simple one */
			put32(3);
			put32(16 + 64);
			put32(64);
			put_bytes(64, 0);
			put32(16 + 64);
		}
		enhanced(draw(ifaces), 1700000000000000ull * (draw(2) ? 1 : 1000) + i, n, n + draw(3));
	}
}

static const char *path_of(const void *b, size_t n, bool gz)
{
	static char path[64];
	static int fd = -1;

	if (fd >= 0)
		close(fd);
	fd = memfd_create("capture", 0);
	assert_true(fd >= 0);
	if (gz) {
		gzFile z = gzdopen(dup(fd), "wb1");

		assert_int_equal(gzwrite(z, b, (unsigned)n), (int)n);
		assert_int_equal(gzclose(z), Z_OK);
	} else {
		assert_int_equal(write(fd, b, n), (ssize_t)n);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

struct held {
	struct captured c;
	uint8_t *copy;
};

static void done_with(struct held *h)
{
	assert_memory_equal(h->c.data, h->copy, h->c.caplen);
	free(h->copy);
	h->copy = NULL;
}

/* n bytes of the file: as libpcap has them, and as the reader has. Packets are held for a while, and still there. */
static unsigned compare(size_t n, bool gz, const char *filter)
{
	char theirs[PCAP_ERRBUF_SIZE] = "", ours[PCAP_ERRBUF_SIZE] = "";
	FILE *f = fmemopen(file, n ? n : 1, "r");
	pcap_t *pcap = pcap_fopen_offline_with_tstamp_precision(f, PCAP_TSTAMP_PRECISION_NANO, theirs);
	int err = -1, got;
	struct reader *r = reader_open(path_of(file, n, gz), &err, ours);
	struct held held[HELD] = { 0 };
	struct bpf_program program;
	uint64_t in = 0, out = 0;

	assert_int_equal(err, 0);
	if (!pcap) {
		assert_null(r);
		if (n)
			assert_string_equal(ours, theirs);
		fclose(f);
		return 0;
	}
	assert_non_null(r);
	assert_int_equal(reader_link(r), pcap_datalink(pcap));
	if (filter) {
		assert_int_equal(pcap_compile(pcap, &program, filter, 1, PCAP_NETMASK_UNKNOWN), 0);
		assert_int_equal(pcap_setfilter(pcap, &program), 0);
		pcap_freecode(&program);
		assert_true(reader_filter(r, filter));
	}
	for (;;) {
		struct held *h = &held[in % HELD];
		struct pcap_pkthdr *hdr;
		const u_char *data;
		enum reader_result result;

		if (in - out == HELD)
			done_with(&held[out++ % HELD]);
		result = reader_next(r, &h->c, in, out);
		if (result == READER_WAIT) {
			assert_true(out < in);
			done_with(&held[out++ % HELD]);
			continue;
		}
		got = pcap_next_ex(pcap, &hdr, &data);
		if (got != 1) {
			assert_int_equal(result, got == PCAP_ERROR ? READER_BROKEN : READER_END);
			if (got == PCAP_ERROR)
				assert_string_equal(reader_error(r), pcap_geterr(pcap));
			break;
		}
		assert_int_equal(result, READER_PACKET);
		assert_int_equal(h->c.caplen, hdr->caplen);
		assert_int_equal(h->c.len, hdr->len);
		assert_int_equal(h->c.second_ns, (uint64_t)hdr->ts.tv_sec * 1000000000u);
		assert_int_equal(h->c.time_ns, h->c.second_ns + (uint64_t)hdr->ts.tv_usec);
		assert_int_equal(h->c.at, ftell(f));
		assert_memory_equal(h->c.data, data, hdr->caplen);
		h->copy = malloc(hdr->caplen + 1);
		memcpy(h->copy, data, hdr->caplen);
		in++;
	}
	while (out < in)
		done_with(&held[out++ % HELD]);
	for (unsigned i = 0; i < HELD; i++)
		captured_free(&held[i].c);
	reader_close(r);
	pcap_close(pcap);
	return (unsigned)in;
}

static void both_byte_orders(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		seed = 17 + round;
		make_pcap(put32, 0xa1b2c3d4, 262144, 1500);
		assert_int_equal(compare(size, false, NULL), 1500);
		make_pcap(put32, 0xa1b23c4d, 65535, 1500);
		assert_int_equal(compare(size, false, NULL), 1500);
		make_pcap(put_swapped, 0xa1b2c3d4, 262144, 300);
		assert_int_equal(compare(size, false, NULL), 300);
		make_pcap(put_swapped, 0xa1b23c4d, 262144, 300);
		assert_int_equal(compare(size, false, NULL), 300);
	}
}

static void snapshot_lies(void **state)
{
	(void)state;
	seed = 5;
	make_pcap(put32, 0xa1b2c3d4, 96, 400);
	compare(size, false, NULL);
	make_pcap(put32, 0xa1b2c3d4, 0, 400);
	compare(size, false, NULL);
	make_pcap(put32, 0xa1b2c3d4, 0xffffffff, 400);
	compare(size, false, NULL);
}

static void pcapng_of_all_kinds(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 6; round++) {
		seed = 170 + round;
		make_pcapng(900);
		assert_true(compare(size, false, NULL) > 100);
	}
}

static void cut_off_anywhere(void **state)
{
	(void)state;
	seed = 3;
	size = 0;
	pcap_head(put32, 0xa1b2c3d4, 65535);
	for (unsigned i = 0; i < 5; i++) {
		put32(i);
		put32(i);
		put32(40);
		put32(40);
		put_bytes(40, 0);
	}
	for (size_t n = 0; n <= size; n++)
		compare(n, false, NULL);
	size = 0;
	section();
	interface(9, 0);
	for (unsigned i = 0; i < 3; i++)
		enhanced(0, i, 41, 60);
	other_block(5, 16);
	for (size_t n = 0; n <= size; n++)
		compare(n, false, NULL);
}

/* At the ends of what is read at once, too. */
static void cut_off_in_the_large(void **state)
{
	(void)state;
	seed = 9;
	make_pcap(put32, 0xa1b2c3d4, 262144, 1200);
	for (unsigned i = 0; i < 40; i++)
		compare(256 * 1024 - 20 + i, true, NULL);
	for (unsigned i = 0; i < 40; i++)
		compare(MAPPED_WINDOW - 20 + i, false, NULL);
	for (unsigned i = 0; i < 40; i++)
		compare(draw((uint32_t)size), i & 1, NULL);
	make_pcapng(400);
	for (unsigned i = 0; i < 40; i++)
		compare(draw((uint32_t)size), i & 1, NULL);
}

/* Any byte may be wrong. */
static void broken_anywhere(void **state)
{
	uint8_t *good;
	size_t n;

	(void)state;
	for (unsigned ng = 0; ng < 2; ng++) {
		seed = 21 + ng;
		if (ng)
			make_pcapng(40);
		else
			make_pcap(put32, 0xa1b23c4d, 262144, 40);
		n = size < 8192 ? size : 8192;
		good = malloc(n);
		memcpy(good, file, n);
		for (unsigned i = 0; i < 4000; i++) {
			memcpy(file, good, n);
			for (unsigned k = 1 + draw(3); k; k--)
				file[draw(2) ? draw((uint32_t)n) : draw(200)] = (uint8_t)draw(256);
			compare(n, false, NULL);
		}
		free(good);
	}
}

static void filtered_and_gzipped(void **state)
{
	(void)state;
	seed = 33;
	make_pcap(put32, 0xa1b2c3d4, 262144, 800);
	assert_int_equal(compare(size, true, NULL), 800);
	assert_in_range(compare(size, true, "len > 600"), 50, 500);
	make_pcapng(300);
	assert_in_range(compare(size, false, "ether[0] > 100"), 10, 290);
}

/* Who owns the file may cut it while we read: that is told, and kills nobody. */
static void cut_while_read(void **state)
{
	char path[64], why[PCAP_ERRBUF_SIZE];
	struct captured c = { 0 };
	enum reader_result got;
	struct reader *r;
	uint64_t n = 0;
	int fd, err;

	(void)state;
	seed = 41;
	make_pcap(put32, 0xa1b2c3d4, 65535, 2000);
	assert_true(size > MAPPED_WINDOW / 2);
	fd = memfd_create("cut", 0);
	assert_int_equal(write(fd, file, size), size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = reader_open(path, &err, why);
	assert_non_null(r);
	assert_int_equal(reader_next(r, &c, n, n), READER_PACKET);
	assert_int_equal(ftruncate(fd, 4096), 0);
	while ((got = reader_next(r, &c, n, n)) == READER_PACKET)
		n++;
	assert_int_equal(got, READER_BROKEN);
	assert_non_null(strstr(reader_error(r), "cut off"));
	captured_free(&c);
	reader_close(r);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_byte_orders),	cmocka_unit_test(snapshot_lies),
		cmocka_unit_test(pcapng_of_all_kinds),	cmocka_unit_test(cut_off_anywhere),
		cmocka_unit_test(cut_off_in_the_large), cmocka_unit_test(broken_anywhere),
		cmocka_unit_test(filtered_and_gzipped), cmocka_unit_test(cut_while_read),
	};
	int code = cmocka_run_group_tests(tests, NULL, NULL);

	free(file);
	return code;
}
