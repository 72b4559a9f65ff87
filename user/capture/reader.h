/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A capture file as packets: pcap and pcapng, a file or a pipe, gzipped or not. Common records are taken
 * where they lie in what was read; whatever else a capture may hold is libpcap's to understand.
 */
#ifndef WEIR_READER_H
#define WEIR_READER_H

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>

struct reader;

/* One packet; zeroed before its first use. */
struct captured {
	const uint8_t *data; /* caplen bytes */
	uint32_t caplen, len;
	uint64_t second_ns, time_ns; /* its time cut to seconds; its time */
	uint64_t at;	/* where the (unpacked) file stands behind it */
	uint8_t *own;	/* data, where the reader's memory could not hold it */
	uint32_t room;	/* of own */
};

enum reader_result {
	READER_END,
	READER_PACKET,
	READER_WAIT,   /* packets that were handed out must be done with first */
	READER_BROKEN, /* reader_error() says how */
	READER_NOMEM,
};

/* "-": standard input. NULL: *err is errno, or 0 and `text` says what libpcap has against it. */
struct reader *reader_open(const char *path, int *err, char text[PCAP_ERRBUF_SIZE]);
void reader_close(struct reader *r);

/* A pcap filter expression for all packets from now on. False: reader_error() says why. */
bool reader_filter(struct reader *r, const char *expression);

int reader_link(const struct reader *r); /* DLT_* */
uint64_t reader_at(const struct reader *r);
const char *reader_error(struct reader *r);

/*
 * The next packet into *p. The caller may hold several: this is its packet `in`, counted from 0, and it is
 * done with all below `out`. Data of a packet stays until it is done with.
 */
enum reader_result reader_next(struct reader *r, struct captured *p, uint64_t in, uint64_t out);
void captured_free(struct captured *p);

#endif
