// SPDX-License-Identifier: GPL-2.0-or-later
#include "file.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <zlib.h>

#include "error.h"
#include "out.h"

#define BUFFER	(256 * 1024)
#define TICK_NS 1000000000ULL
#define AHEAD	 16   /* packets read before they are looked at */
#define SLOT_MIN 2048

/* A file or a pipe, gzipped or not, as a stream that knows its place in the unpacked bytes. */
struct reader {
	gzFile gz;
	FILE *stream;
	uint64_t offset; /* of what was handed to the stream's buffer */
	char buffer[BUFFER];
};

static ssize_t reader_read(void *cookie, char *to, size_t size)
{
	struct reader *r = cookie;
	int got = gzread(r->gz, to, size < BUFFER ? (unsigned)size : BUFFER);

	if (got < 0) {
		errno = EIO;
		return -1;
	}
	r->offset += (uint64_t)got;
	return got;
}

/* Where the stream is, and no more: what ftello() takes what is still buffered from. */
static int reader_seek(void *cookie, off64_t *offset, int whence)
{
	struct reader *r = cookie;

	if (whence != SEEK_CUR || *offset)
		return -1;
	*offset = (off64_t)r->offset;
	return 0;
}

/* The offset of the next byte that libpcap will see. */
static uint64_t reader_at(const struct reader *r)
{
	off_t at = ftello(r->stream);

	return at < 0 ? r->offset : (uint64_t)at;
}

static int reader_close(void *cookie)
{
	struct reader *r = cookie;

	gzclose(r->gz);
	free(r);
	return 0;
}

static FILE *open_reader(const char *path, struct reader **out)
{
	cookie_io_functions_t io = { .read = reader_read, .seek = reader_seek, .close = reader_close };
	int fd = !strcmp(path, "-") ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	struct reader *r;
	FILE *f;

	if (fd < 0)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (r)
		r->gz = gzdopen(fd, "rb");
	if (!r || !r->gz) {
		close(fd);
		free(r);
		return NULL;
	}
	gzbuffer(r->gz, BUFFER);
	f = fopencookie(r, "r", io);
	if (!f) {
		reader_close(r);
		return NULL;
	}
	setvbuf(f, r->buffer, _IOFBF, BUFFER);
	r->stream = f;
	*out = r;
	return f;
}

/* What stands before the IP header, by link type; -1: not known. */
struct link_kind {
	int dlt;
	enum weir_link link;
	int skip;
};

static const struct link_kind links[] = {
	{ DLT_EN10MB, WEIR_LINK_ETHERNET, 0 }, { DLT_RAW, WEIR_LINK_IP, 0 },
	{ DLT_IPV4, WEIR_LINK_IP, 0 },	       { DLT_IPV6, WEIR_LINK_IP, 0 },
	{ DLT_NULL, WEIR_LINK_IP, 4 },	       { DLT_LOOP, WEIR_LINK_IP, 4 },
	{ DLT_LINUX_SLL, WEIR_LINK_IP, 16 },   { DLT_LINUX_SLL2, WEIR_LINK_IP, 20 },
};

static int ppp_header(const uint8_t *b, uint32_t n)
{
	int at = n >= 2 && b[0] == 0xff && b[1] == 3 ? 2 : 0;

	if (n < (uint32_t)at + 2)
		return -1;
	if (b[at] == 0x21 || b[at] == 0x57) /* RFC 1661, 2: compressed to one byte */
		return at + 1;
	return b[at] == 0 && (b[at + 1] == 0x21 || b[at + 1] == 0x57) ? at + 2 : -1;
}

/* 802.11 data frames with LLC/SNAP (RFC 1042): where IP begins, -1 for others. */
static int wlan_header(const uint8_t *b, uint32_t n)
{
	uint32_t h = 24;

	if (n < 24 || (b[0] & 0x0c) != 0x08 || (b[0] & 0x40) || (b[1] & 0x40))
		return -1; /* not data, no payload, or encrypted */
	if ((b[1] & 3) == 3)
		h += 6;
	if (b[0] & 0x80)
		h += 2;
	if (n < h + 8 || b[h] != 0xaa || b[h + 1] != 0xaa)
		return -1;
	if ((b[h + 6] == 0x08 && b[h + 7] == 0x00) || (b[h + 6] == 0x86 && b[h + 7] == 0xdd))
		return h + 8;
	return -1;
}

/* Bytes to skip; sets *link. -1: no IP that we can reach. */
static int skip_link(int dlt, const uint8_t *b, uint32_t n, enum weir_link *link)
{
	uint32_t radiotap;
	int at;

	*link = WEIR_LINK_IP;
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		if (links[i].dlt == dlt) {
			*link = links[i].link;
			return links[i].skip;
		}
	}
	switch (dlt) {
	case DLT_PPP:
	case DLT_PPP_SERIAL:
		return ppp_header(b, n);
	case DLT_PPP_ETHER:
		return n < 8 ? -1 : ppp_header(b + 6, n - 6) < 0 ? -1 : 6 + ppp_header(b + 6, n - 6);
	case DLT_IEEE802_11:
		return wlan_header(b, n);
	case DLT_IEEE802_11_RADIO:
		if (n < 4)
			return -1;
		radiotap = b[2] | b[3] << 8;
		if (radiotap > n)
			return -1;
		at = wlan_header(b + radiotap, n - radiotap);
		return at < 0 ? -1 : (int)radiotap + at;
	}
	return -1;
}

struct run {
	struct pipeline *p;
	struct host_engine *engine;
	uint64_t ended, evicted;
	uint64_t stop_after_ns; /* of packet time; 0: never */
};

static void on_record(void *arg, const struct weir_rec *r, const uint8_t *payload)
{
	struct run *run = arg;

	pipeline_record(run->p, r, payload);
}

static void on_flow_end(void *arg, const struct weir_key6 *key, const struct weir_flow *f, unsigned why)
{
	struct run *run = arg;

	run->ended++;
	if (why == END_EVICTED)
		run->evicted++;
	pipeline_flow_end(run->p, key, f, why);
}

/* A packet that was read and not looked at yet. */
struct slot {
	struct pcap_pkthdr h;
	uint8_t *data;
	uint32_t room;
	enum weir_link link;
	int skip;
	uint32_t hash; /* of its flow, 0 not known */
	uint64_t flow;
	uint64_t at;   /* where the file stands behind it */
};

/*
 * The file is read some packets ahead of the engine: what a packet's flow consists of lies in a dozen places,
 * and by then they are in the cache.
 */
struct ahead {
	struct slot slot[AHEAD];
	uint64_t in, out; /* packets read, packets taken */
	int got;	  /* libpcap's last word: 1, or why there is no more */
};

static void ahead_free(struct ahead *a)
{
	for (unsigned i = 0; i < AHEAD; i++)
		free(a->slot[i].data);
}

static bool ahead_store(struct ahead *a, const struct run *run, int dlt, const struct pcap_pkthdr *h, const u_char *data,
			uint64_t at)
{
	struct slot *s = &a->slot[a->in % AHEAD];

	if (h->caplen > s->room || !s->data) {
		free(s->data);
		s->room = h->caplen > SLOT_MIN ? h->caplen : SLOT_MIN;
		s->data = malloc(s->room);
		if (!s->data)
			return false;
	}
	s->h = *h;
	memcpy(s->data, data, h->caplen);
	s->skip = skip_link(dlt, s->data, h->caplen, &s->link);
	s->at = at;
	s->flow = 0;
	s->hash = 0;
	if (s->skip >= 0 && (uint32_t)s->skip <= h->caplen)
		s->hash = host_engine_expect(run->engine, s->link, s->data + s->skip, h->caplen - s->skip);
	a->in++;
	return true;
}

/* Reads until AHEAD packets wait or there are no more. false: out of memory. */
static bool ahead_fill(struct ahead *a, const struct run *run, pcap_t *pcap, const struct reader *reader)
{
	struct pcap_pkthdr *h;
	const u_char *data;

	while (a->got == 1 && a->in - a->out < AHEAD) {
		a->got = pcap_next_ex(pcap, &h, &data);
		if (a->got == 1 && !ahead_store(a, run, pcap_datalink(pcap), h, data, reader_at(reader)))
			return false;
	}
	return true;
}

/* The packet that is n behind the next one, where it is read and its flow can be told. */
static struct slot *waiting(struct ahead *a, unsigned n)
{
	struct slot *s = &a->slot[(a->out + n) % AHEAD];

	return a->out + n < a->in && s->hash ? s : NULL;
}

static void expect(struct ahead *a, const struct run *run)
{
	struct slot *s = waiting(a, 12);

	if (s)
		host_engine_expect_entry(run->engine, s->hash);
	s = waiting(a, 9);
	if (s) {
		s->flow = host_engine_expect_flow(run->engine, s->hash);
		pipeline_expect(run->p, s->flow, 0);
	}
	s = waiting(a, 6);
	if (s)
		pipeline_expect(run->p, s->flow, 1);
	s = waiting(a, 3);
	if (s)
		pipeline_expect(run->p, s->flow, 2);
}

static void one_packet(struct run *run, const struct slot *s)
{
	uint64_t t = (uint64_t)s->h.ts.tv_sec * 1000000000ULL + (uint64_t)s->h.ts.tv_usec;
	uint32_t len = s->h.len > s->h.caplen ? s->h.len : s->h.caplen;

	if (s->skip < 0 || (uint32_t)s->skip > s->h.caplen)
		host_engine_unknown_link(run->engine, len);
	else
		host_engine_packet(run->engine, s->link, s->data + s->skip, s->h.caplen - s->skip, len - s->skip, t);
}

static int set_filter(pcap_t *pcap, const char *filter)
{
	struct bpf_program program;
	int code = 0;

	if (!filter)
		return 0;
	if (pcap_compile(pcap, &program, filter, 1, PCAP_NETMASK_UNKNOWN))
		return fail(EX_USAGE, "can't use the filter \"%s\": %s. See pcap-filter(7).", filter,
			    pcap_geterr(pcap));
	if (pcap_setfilter(pcap, &program))
		code = fail(EX_USAGE, "can't set the filter: %s. See pcap-filter(7).", pcap_geterr(pcap));
	pcap_freecode(&program);
	return code;
}

static int take_all(struct run *run, pcap_t *pcap, const struct reader *reader, const char *path, struct ahead *a)
{
	uint64_t next = 0, at = reader_at(reader), stop_ns = 0;

	for (;; a->out++) {
		const struct slot *s;
		uint64_t t;

		if (!ahead_fill(a, run, pcap, reader))
			return fail(EX_OSERR, "can't analyse %s: out of memory. Free some.", path);
		if (a->out == a->in)
			break;
		s = &a->slot[a->out % AHEAD];
		t = (uint64_t)s->h.ts.tv_sec * 1000000000ULL;
		if (!a->out) {
			struct tool_event e = { .time_ns = t + (uint64_t)s->h.ts.tv_usec, .action = TOOL_START };

			pipeline_tool(run->p, &e);
			stop_ns = run->stop_after_ns ? e.time_ns + run->stop_after_ns : 0;
		}
		if (stop_ns && t + (uint64_t)s->h.ts.tv_usec >= stop_ns)
			return 0;
		expect(a, run);
		one_packet(run, s);
		at = s->at;
		if (t >= next || t + 3600 * TICK_NS < next) { /* captures may step back */
			next = t + TICK_NS;
			host_engine_expire(run->engine, t);
			pipeline_tick(run->p, t);
			if (!output_ok())
				return 0;
		}
	}
	if (a->got == PCAP_ERROR)
		return fail(EX_DATAERR, "%s is broken at byte %llu, after %llu packets: %s. What comes before "
			    "has been analysed.", path, (unsigned long long)at, (unsigned long long)a->out,
			    pcap_geterr(pcap));
	return 0;
}

static int read_all(struct run *run, pcap_t *pcap, const struct reader *reader, const char *path)
{
	struct ahead a = { .got = 1 };
	int code = take_all(run, pcap, reader, path, &a);

	ahead_free(&a);
	return code;
}

int file_analyze(struct pipeline *p, const char *path, const char *filter, unsigned max_flows,
		 double stop_after_s, struct totals *t)
{
	const struct weir_config cfg = {
		.first_packets = 24, .focus_packets = 0xffff,
		.payload_segments = 8, .payload_bytes = 8192,
	};
	struct run run = { .p = p, .stop_after_ns = stop_after_s * 1e9 };
	struct host_engine_ops ops = { .record = on_record, .flow_end = on_flow_end, .arg = &run };
	char err[PCAP_ERRBUF_SIZE];
	struct reader *reader;
	FILE *f = open_reader(path, &reader);
	pcap_t *pcap;
	int code;

	memset(t, 0, sizeof(*t));
	if (!f)
		return fail(EX_NOINPUT, "can't open %s: %s. Name a pcap or pcapng file, or - for standard input.",
			    path, strerror(errno));
	pcap = pcap_fopen_offline_with_tstamp_precision(f, PCAP_TSTAMP_PRECISION_NANO, err);
	if (!pcap) {
		fclose(f);
		return fail(EX_DATAERR, "%s is no capture that can be read: %s. Name a pcap or pcapng file, "
			    "plain or gzipped.", path, err);
	}
	code = set_filter(pcap, filter);
	if (!code) {
		run.engine = host_engine_new(&cfg, max_flows, &ops);
		if (!run.engine) {
			pcap_close(pcap);
			return fail(EX_OSERR, "can't analyse %s: out of memory. Lower --max-flows.", path);
		}
		code = read_all(&run, pcap, reader, path);
		host_engine_finish(run.engine);
		host_engine_counters(run.engine, &t->c);
		t->records = t->c.records;
		memcpy(t->lost, t->c.unsent, sizeof(t->lost));
		t->flows_started = t->c.flows;
		t->flows_evicted = run.evicted;
		host_engine_free(run.engine);
	}
	pcap_close(pcap);
	return code;
}
