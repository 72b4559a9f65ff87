// SPDX-License-Identifier: GPL-2.0-or-later
#include "reader.h"
#include "mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define CHUNK	   (256 * 1024) /* read at once: as much as lies well in a core's cache */
#define AHEAD	   192 /* bytes of the next record that are fetched: its headers */
#define RECORD_MAX (64 * 1024)	/* larger ones are libpcap's */
#define INTERFACES 64		/* of a pcapng section; packets of others are libpcap's */
#define SECOND	   1000000000u

/* draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng */
#define MAGIC_US     0xa1b2c3d4
#define MAGIC_NS     0xa1b23c4d
#define SECTION	     0x0a0d0d0a
#define SECTION_BYTE 0x1a2b3c4d
#define INTERFACE    1
#define PACKET_OLD   2
#define PACKET_PLAIN 3
#define PACKET	     6
#define OPT_TSRESOL  9
#define OPT_TSOFFSET 14

struct record { /* pcap */
	uint32_t sec, fraction, caplen, len;
};

struct block { /* pcapng */
	uint32_t type, length;
};

struct enhanced { /* pcapng, behind the block's head */
	uint32_t interface, high, low, caplen, len;
};

enum form { OTHER, PCAP, PCAPNG };

struct reader {
	struct mapped *map; /* of a regular file that is not gzipped; NULL: gz reads it */
	gzFile gz;
	FILE *stream; /* the same bytes for libpcap */
	pcap_t *pcap;
	struct bpf_program program;
	bool filtered, ended;
	int err; /* why it can't be read on */
	enum form form;	 /* OTHER: libpcap reads it all */
	uint32_t unit_ns; /* pcap: of a fraction */
	uint32_t interface_ns[INTERFACES]; /* pcapng: of a timestamp; 0: libpcap's */
	unsigned interfaces;
	uint32_t snap;
	uint64_t base;	     /* the file's offset of buffer[0] */
	uint32_t from, to;   /* what is in the buffer and not taken */
	uint64_t first;	     /* the first packet that may lie in this buffer; those before lie in the other */
	uint64_t placed;     /* behind the last packet that lies in a buffer at all */
	const uint8_t *buffer; /* read ones: one of memory[] */
	uint8_t *memory[2];
	unsigned now; /* which of them */
};

/* The next window of the file, from what is not taken on. False: it ends with the one before. */
static bool more_mapped(struct reader *r)
{
	uint32_t left = r->to - r->from, n;
	const uint8_t *b;

	if (r->ended)
		return false;
	b = mapped_from(r->map, r->base + r->from, &n, &r->err);
	r->ended = n < MAPPED_WINDOW;
	if (n <= left)
		return false;
	r->buffer = b;
	r->base += r->from;
	r->from = 0;
	r->to = n;
	return true;
}

/* The rest goes to the start of the other buffer, and more is read behind it. False: there is no more. */
static bool more(struct reader *r)
{
	uint32_t left = r->to - r->from;
	uint8_t *other;
	int got;

	if (r->map)
		return more_mapped(r);
	r->now = !r->now;
	other = r->memory[r->now];
	memcpy(other, r->buffer + r->from, left);
	r->buffer = other;
	r->base += r->from;
	r->from = 0;
	r->to = left;
	if (r->ended)
		return false;
	got = gzread(r->gz, other + left, CHUNK);
	r->ended = got < CHUNK;
	if (got > 0)
		r->to += (uint32_t)got;
	return got > 0;
}

/* Are there n bytes to look at, n <= RECORD_MAX? */
static bool have(struct reader *r, uint32_t n)
{
	return r->to - r->from >= n || (more(r) && r->to - r->from >= n);
}

static ssize_t give(void *cookie, char *to, size_t size)
{
	struct reader *r = cookie;
	size_t n;

	if (r->from == r->to && !more(r)) {
		int err = Z_OK;

		if (!r->map)
			gzerror(r->gz, &err);
		if (!r->err && (err == Z_OK || err == Z_BUF_ERROR)) /* cut off within a gzip stream: what is there was given */
			return 0;
		errno = r->err ? r->err : EIO;
		return -1;
	}
	n = r->to - r->from < size ? r->to - r->from : size;
	memcpy(to, r->buffer + r->from, n);
	r->from += (uint32_t)n;
	return (ssize_t)n;
}

static uint32_t word(const struct reader *r, uint32_t off)
{
	uint32_t x;

	memcpy(&x, r->buffer + r->from + off, 4);
	return x;
}

/* What kind of file begins here, before libpcap sees it. */
static void look(struct reader *r)
{
	if (!have(r, 24))
		return;
	if ((word(r, 0) == MAGIC_US || word(r, 0) == MAGIC_NS) && r->buffer[4] == 2 && r->buffer[6] == 4) {
		r->form = PCAP;
		r->unit_ns = word(r, 0) == MAGIC_NS ? 1 : 1000;
	} else if (word(r, 0) == SECTION && word(r, 8) == SECTION_BYTE) {
		r->form = PCAPNG;
	}
}

/* The unit of an interface's timestamps where it is one that we know. */
static uint32_t interface_unit(const uint8_t *b, uint32_t n)
{
	uint32_t unit = 1000;

	for (uint32_t at = 16; at + 8 <= n;) {
		uint16_t code, len;

		memcpy(&code, b + at, 2);
		memcpy(&len, b + at + 2, 2);
		if (!code)
			break;
		if (code == OPT_TSOFFSET)
			return 0;
		if (code == OPT_TSRESOL)
			unit = len == 1 && b[at + 4] == 6 ? 1000 : len == 1 && b[at + 4] == 9 ? 1 : 0;
		at += 4 + ((len + 3u) & ~3u);
	}
	return unit;
}

/* A block of n bytes that libpcap is about to take. */
static void note_block(struct reader *r, const uint8_t *b, uint32_t type, uint32_t n)
{
	uint32_t order;

	if (type == SECTION) {
		memcpy(&order, b + 8, 4);
		r->interfaces = 0;
		if (order != SECTION_BYTE)
			r->form = OTHER;
	} else if (type == INTERFACE) {
		if (r->interfaces < INTERFACES)
			r->interface_ns[r->interfaces] = n >= 20 ? interface_unit(b, n - 4) : 0;
		r->interfaces++;
	}
}

/* The blocks before the next packet, of which libpcap keeps what we can't ask it for. */
static void look_ahead(struct reader *r, uint32_t end)
{
	for (uint32_t at = 0;;) {
		struct block b;

		if (r->from + at == end)
			return;
		if (at + 12 > RECORD_MAX) {
			r->form = OTHER;
			return;
		}
		if (!have(r, at + 12))
			return;
		memcpy(&b, r->buffer + r->from + at, sizeof(b));
		if (b.type == PACKET || b.type == PACKET_PLAIN || b.type == PACKET_OLD)
			return;
		if (b.length < 12 || b.length % 4 || b.length > RECORD_MAX - at || !have(r, at + b.length)) {
			r->form = OTHER;
			return;
		}
		note_block(r, r->buffer + r->from + at, b.type, b.length);
		at += b.length;
	}
}

/* Opens it in one of the two ways. False: errno says why not. */
static bool open_file(struct reader *r, const char *path)
{
	bool input = !strcmp(path, "-");
	int fd = input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	uint8_t gzipped[2];

	if (fd < 0)
		return false;
	if (!input && (pread(fd, gzipped, 2, 0) != 2 || gzipped[0] != 0x1f || gzipped[1] != 0x8b))
		r->map = mapped_open(fd);
	if (r->map)
		return true;
	errno = ENOMEM;
	r->memory[0] = malloc(RECORD_MAX + CHUNK);
	r->memory[1] = malloc(RECORD_MAX + CHUNK);
	r->buffer = r->memory[0];
	r->gz = r->memory[0] && r->memory[1] ? gzdopen(fd, "rb") : NULL;
	if (!r->gz) {
		close(fd);
		return false;
	}
	gzbuffer(r->gz, CHUNK / 8); /* what is not gzipped, and four times as much, is read without a copy */
	return true;
}

struct reader *reader_open(const char *path, int *err, char text[PCAP_ERRBUF_SIZE])
{
	cookie_io_functions_t io = { .read = give };
	struct reader *r = calloc(1, sizeof(*r));
	uint32_t end;

	*err = ENOMEM;
	if (!r)
		return NULL;
	if (!open_file(r, path)) {
		*err = errno;
		reader_close(r);
		return NULL;
	}
	r->stream = fopencookie(r, "r", io);
	if (!r->stream) {
		reader_close(r);
		return NULL;
	}
	setvbuf(r->stream, NULL, _IONBF, 0); /* libpcap must not read ahead of us */
	look(r);
	*err = 0;
	r->pcap = pcap_fopen_offline_with_tstamp_precision(r->stream, PCAP_TSTAMP_PRECISION_NANO, text);
	if (!r->pcap) {
		reader_close(r);
		return NULL;
	}
	r->stream = NULL; /* libpcap's now */
	r->snap = (uint32_t)pcap_snapshot(r->pcap);
	if (r->form == PCAPNG && r->base) {
		r->form = OTHER;
	} else if (r->form == PCAPNG) { /* once more over the blocks that it has taken */
		end = r->from;
		r->from = 0;
		look_ahead(r, end);
		r->from = end;
	}
	return r;
}

void reader_close(struct reader *r)
{
	if (!r)
		return;
	if (r->filtered)
		pcap_freecode(&r->program);
	if (r->pcap)
		pcap_close(r->pcap);
	if (r->stream)
		fclose(r->stream);
	if (r->gz)
		gzclose(r->gz);
	mapped_close(r->map);
	free(r->memory[0]);
	free(r->memory[1]);
	free(r);
}

bool reader_filter(struct reader *r, const char *expression)
{
	if (pcap_compile(r->pcap, &r->program, expression, 1, PCAP_NETMASK_UNKNOWN))
		return false;
	r->filtered = true;
	return !pcap_setfilter(r->pcap, &r->program);
}

int reader_link(const struct reader *r)
{
	return pcap_datalink(r->pcap);
}

uint64_t reader_at(const struct reader *r)
{
	return r->base + r->from;
}

static bool torn(const struct reader *r)
{
	return r->map && mapped_torn(r->map);
}

const char *reader_error(struct reader *r)
{
	if (torn(r))
		return "it was cut off, or can't be read, while we were at it";
	return pcap_geterr(r->pcap);
}

static bool passes(const struct reader *r, const struct captured *p)
{
	struct pcap_pkthdr h = { .caplen = p->caplen, .len = p->len };

	return !r->filtered || pcap_offline_filter(&r->program, &h, p->data);
}

static void put(struct reader *r, struct captured *p, uint32_t data, uint32_t size)
{
	p->data = r->buffer + r->from + data;
	r->from += size;
	for (unsigned at = 0; at < AHEAD; at += 64)
		__builtin_prefetch(r->buffer + r->from + at);
	p->at = r->base + r->from;
}

/* A pcap record as nearly all are, wholly in the buffer. */
static bool take_record(struct reader *r, struct captured *p)
{
	struct record h;

	if (r->to - r->from < sizeof(h))
		return false;
	memcpy(&h, r->buffer + r->from, sizeof(h));
	if (h.caplen > RECORD_MAX - sizeof(h) || h.caplen > r->snap || h.caplen > h.len || h.sec > INT32_MAX ||
	    h.fraction >= SECOND / r->unit_ns || r->to - r->from < sizeof(h) + h.caplen)
		return false;
	p->caplen = h.caplen;
	p->len = h.len;
	p->second_ns = (uint64_t)h.sec * SECOND;
	p->time_ns = p->second_ns + (uint64_t)h.fraction * r->unit_ns;
	put(r, p, sizeof(h), (uint32_t)sizeof(h) + h.caplen);
	return true;
}

/* Likewise an enhanced packet block. */
static bool take_block(struct reader *r, struct captured *p)
{
	const uint32_t head = sizeof(struct block) + sizeof(struct enhanced);
	struct block b;
	struct enhanced e;
	uint64_t t, per_s;
	uint32_t end, unit;

	if (r->to - r->from < head + 4)
		return false;
	memcpy(&b, r->buffer + r->from, sizeof(b));
	memcpy(&e, r->buffer + r->from + sizeof(b), sizeof(e));
	if (b.type != PACKET || b.length % 4 || b.length < head + 4 || b.length > RECORD_MAX ||
	    r->to - r->from < b.length || e.interface >= r->interfaces || e.interface >= INTERFACES ||
	    e.caplen > b.length - head - 4 || e.caplen > r->snap || e.caplen > e.len)
		return false;
	memcpy(&end, r->buffer + r->from + b.length - 4, 4);
	unit = r->interface_ns[e.interface];
	if (end != b.length || !unit)
		return false;
	t = (uint64_t)e.high << 32 | e.low;
	per_s = SECOND / unit;
	p->second_ns = t / per_s * SECOND;
	p->time_ns = p->second_ns + t % per_s * unit;
	p->caplen = e.caplen;
	p->len = e.len;
	put(r, p, head, b.length);
	return true;
}

static enum reader_result by_libpcap(struct reader *r, struct captured *p)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	int got;

	if (r->form == PCAPNG)
		look_ahead(r, UINT32_MAX);
	got = pcap_next_ex(r->pcap, &h, &data);
	if (got != 1)
		return got == PCAP_ERROR ? READER_BROKEN : READER_END;
	if (h->caplen > p->room || !p->own) {
		free(p->own);
		p->room = h->caplen > 2048 ? h->caplen : 2048;
		p->own = malloc(p->room);
		if (!p->own)
			return READER_NOMEM;
	}
	memcpy(p->own, data, h->caplen);
	p->data = p->own;
	p->caplen = h->caplen;
	p->len = h->len;
	p->second_ns = (uint64_t)h->ts.tv_sec * SECOND;
	p->time_ns = p->second_ns + (uint64_t)h->ts.tv_usec;
	p->at = reader_at(r);
	return READER_PACKET;
}

static bool take(struct reader *r, struct captured *p)
{
	return r->form == PCAP ? take_record(r, p) : r->form == PCAPNG && take_block(r, p);
}

/* The next one that take() can't: at the buffer's end, or uncommon. *again: look once more. */
static enum reader_result go_on(struct reader *r, struct captured *p, uint64_t in, uint64_t out, bool *again)
{
	if (r->form != OTHER && !r->ended && r->to - r->from < RECORD_MAX) {
		if (r->first > out)
			return READER_WAIT;
		r->first = in;
		more(r);
		*again = true;
		return READER_WAIT;
	}
	return r->placed > out ? READER_WAIT : by_libpcap(r, p);
}

enum reader_result reader_next(struct reader *r, struct captured *p, uint64_t in, uint64_t out)
{
	for (;;) {
		bool again = false;
		enum reader_result got;

		if (torn(r))
			return READER_BROKEN;
		if (take(r, p)) {
			if (!passes(r, p))
				continue;
			r->placed = in + 1;
			return READER_PACKET;
		}
		got = go_on(r, p, in, out, &again);
		if (!again)
			return got;
	}
}

void captured_free(struct captured *p)
{
	free(p->own);
}
