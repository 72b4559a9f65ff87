// SPDX-License-Identifier: GPL-2.0-or-later
#include "report_packets.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "html.h"

#define VIEWS	 256
#define BEFORE	 5	     /* packets shown before the one that matters */
#define FILE_MAX (4u << 20) /* ours are smaller */

#define SYN 0x02
#define ACK 0x10

struct ends {
	uint8_t ip[2][16]; /* sender, receiver; IPv4 in the first four bytes */
	uint16_t port[2];
	uint8_t proto;
};

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* False: not the headers that evidence has. */
static bool parse(const struct pcapng_view *v, struct ends *e, struct report_packet *p)
{
	const uint8_t *d = v->data, *l4;
	unsigned ip, all;

	memset(e, 0, sizeof(*e));
	memset(p, 0, sizeof(*p));
	p->v4 = v->len >= 20 && d[0] >> 4 == 4;
	if (!p->v4 && (v->len < 40 || d[0] >> 4 != 6))
		return false;
	ip = p->v4 ? 20 : 40;
	p->ttl = p->v4 ? d[8] : d[7];
	p->proto = e->proto = p->v4 ? d[9] : d[6];
	p->ipid = p->v4 ? (uint16_t)get16(d + 4) : 0;
	memcpy(e->ip[0], d + (p->v4 ? 12 : 8), p->v4 ? 4 : 16);
	memcpy(e->ip[1], d + (p->v4 ? 16 : 24), p->v4 ? 4 : 16);
	p->time_ns = v->time_ns;
	l4 = d + ip;
	all = ip;
	if (p->proto == IPPROTO_TCP) {
		if (v->len < ip + 20)
			return false;
		p->seq = get32(l4 + 4);
		p->ack = get32(l4 + 8);
		p->flags = l4[13];
		all += (l4[12] >> 4) * 4u;
	} else if (p->proto == IPPROTO_UDP) {
		if (v->len < ip + 8)
			return false;
		all += 8;
	}
	if (all != ip) {
		e->port[0] = (uint16_t)get16(l4);
		e->port[1] = (uint16_t)get16(l4 + 2);
	}
	p->payload = v->original > all ? v->original - all : 0;
	return true;
}

/* 1: the same way, -1: the other way, 0: another flow. */
static int same_flow(const struct ends *a, const struct ends *b)
{
	if (a->proto != b->proto)
		return 0;
	if (a->port[0] == b->port[0] && a->port[1] == b->port[1] &&
	    !memcmp(a->ip, b->ip, sizeof(a->ip)))
		return 1;
	if (a->port[0] == b->port[1] && a->port[1] == b->port[0] &&
	    !memcmp(a->ip[0], b->ip[1], 16) && !memcmp(a->ip[1], b->ip[0], 16))
		return -1;
	return 0;
}

void report_packets_of(struct report_finding *f, const struct pcapng_view *v, unsigned n)
{
	struct ends flow, e;
	struct report_packet *all = calloc(n ? n : 1, sizeof(*all));
	unsigned chosen = n, kept = 0, marked = 0, from, client_is = 0;
	bool told = false; /* by a SYN who the client is */

	f->npackets = 0;
	for (unsigned i = 0; all && i < n && chosen == n; i++)
		if (v[i].comment_len && parse(&v[i], &flow, &all[0]))
			chosen = i;
	if (!all || chosen == n) {
		free(all);
		return;
	}
	/* a server's port is the lower one, unless a SYN says otherwise */
	client_is = flow.port[0] < flow.port[1];
	for (unsigned i = 0; i < n; i++) {
		struct report_packet *p = &all[kept];
		unsigned len = v[i].comment_len;
		int way;

		if (!parse(&v[i], &e, p) || !(way = same_flow(&flow, &e)))
			continue;
		p->way = way < 0; /* by the marked one's sender, or not; made into a way below */
		if (!told && p->proto == IPPROTO_TCP && (p->flags & (SYN | ACK)) == SYN) {
			client_is = p->way;
			told = true;
		}
		if (i == chosen)
			marked = kept;
		len = len < sizeof(p->comment) ? len : sizeof(p->comment) - 1;
		memcpy(p->comment, v[i].comment ? v[i].comment : "", len);
		p->comment[len] = 0;
		html_redact(p->comment, sizeof(p->comment));
		kept++;
	}
	/* The beginning, and what is around the one that matters. */
	from = marked > BEFORE + 3 ? marked - BEFORE : 0;
	for (unsigned i = 0; i < kept && f->npackets < REPORT_PACKETS; i++) {
		if (i >= 3 && i < from)
			continue;
		all[i].way = all[i].way == client_is ? TO_SERVER : TO_CLIENT;
		f->packet[f->npackets++] = all[i];
	}
	free(all);
}

void report_packets(struct report_finding *f, const struct evidence *e)
{
	struct pcapng_view view[VIEWS];

	report_packets_of(f, view, evidence_view(e, f->f.id, view, VIEWS));
}

void report_packets_file(struct report_finding *f, const char *path)
{
	struct pcapng_view view[VIEWS];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	uint8_t *data;
	ssize_t n;

	if (fd < 0)
		return;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= FILE_MAX) {
		data = malloc((size_t)st.st_size);
		n = data ? read(fd, data, (size_t)st.st_size) : -1;
		if (n > 0)
			report_packets_of(f, view, pcapng_read(data, (size_t)n, view, VIEWS));
		free(data);
	}
	close(fd);
}
