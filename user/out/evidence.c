// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "evidence.h"
#include "pcapng.h"

#define RING	       8192 /* records: some seconds of a busy gateway, 4 MiB */
#define KEEP_PAYLOAD   256u
#define FILES	       256  /* findings whose packets are held at a time */
#define FILE_PACKETS   128
#define FLOW_PACKETS   48
#define FILE_FLOWS     8    /* flows that show one finding */
#define FOLLOWED       64   /* flows whose next packets are kept */
#define FOLLOW_NS      2000000000ull
#define BEFORE_NS      10000000000ull /* of a flow's past */
#define MARKS	       256

struct entry {
	uint64_t flow_id; /* the model's: sightings on several interfaces are one */
	struct weir_rec r;
	uint16_t kept;
	uint8_t payload[KEEP_PAYLOAD];
};

struct kept {
	uint64_t time_ns, flow_id;
	uint16_t len;
	uint32_t original;
	char *comment;
	uint8_t *data;
};

struct file {
	uint32_t id; /* of the finding; 0: free */
	char title[200];
	struct kept packet[FILE_PACKETS];
	unsigned npackets;
	uint64_t flow[FILE_FLOWS];
	unsigned flow_packets[FILE_FLOWS], nflows;
};

struct follow {
	uint64_t flow_id, until_ns;
	unsigned file;
};

struct mark {
	uint64_t flow_id, time_ns;
	char comment[EVIDENCE_COMMENT];
};

struct evidence {
	char dir[PATH_MAX - 32];
	struct entry *ring;
	uint64_t records; /* that passed; [records % RING] is next */
	uint64_t now_ns;
	struct file *file[FILES];
	struct follow follow[FOLLOWED];
	unsigned nfollow;
	struct mark mark[MARKS];
	unsigned nmarks, failed;
};

struct evidence *evidence_new(const char *dir)
{
	struct evidence *e = calloc(1, sizeof(*e));

	if (e)
		e->ring = calloc(RING, sizeof(*e->ring));
	if (!e || !e->ring) {
		free(e);
		return NULL;
	}
	if (!dir)
		return e;
	if (strlen(dir) >= sizeof(e->dir) || (mkdir(dir, 0750) && errno != EEXIST)) {
		fail(EX_CANTCREAT, "can't keep evidence in %s: %s. Make that directory, or name another with --evidence.", dir,
		     strerror(strlen(dir) >= sizeof(e->dir) ? ENAMETOOLONG : errno));
		evidence_free(e);
		return NULL;
	}
	strcpy(e->dir, dir);
	return e;
}

static void file_free(struct file *f)
{
	for (unsigned i = 0; f && i < f->npackets; i++) {
		free(f->packet[i].data);
		free(f->packet[i].comment);
	}
	free(f);
}

void evidence_free(struct evidence *e)
{
	if (!e)
		return;
	for (unsigned i = 0; i < FILES; i++)
		file_free(e->file[i]);
	free(e->ring);
	free(e);
}

static const char *comment_of(const struct evidence *e, uint64_t flow_id, uint64_t time_ns)
{
	for (unsigned i = 0; i < MARKS; i++)
		if (e->mark[i].time_ns == time_ns && e->mark[i].flow_id == flow_id)
			return e->mark[i].comment;
	return NULL;
}

static void keep(struct evidence *e, struct file *f, uint64_t flow_id, const struct weir_rec *r, const uint8_t *payload, unsigned n)
{
	uint8_t data[PACKET_HEADERS_MAX + KEEP_PAYLOAD];
	unsigned flow = 0, original;
	const char *comment;
	struct kept *k;

	while (flow < f->nflows && f->flow[flow] != flow_id)
		flow++;
	if (flow == f->nflows || f->flow_packets[flow] >= FLOW_PACKETS || f->npackets >= FILE_PACKETS)
		return;
	k = &f->packet[f->npackets];
	k->len = (uint16_t)packet_make(data, r, payload, n, &original);
	k->data = malloc(k->len);
	if (!k->data)
		return;
	memcpy(k->data, data, k->len);
	k->original = original;
	k->time_ns = r->time_ns;
	k->flow_id = flow_id;
	comment = comment_of(e, flow_id, r->time_ns);
	k->comment = comment ? strdup(comment) : NULL;
	f->npackets++;
	f->flow_packets[flow]++;
}

void evidence_record(struct evidence *e, uint64_t flow_id, const struct weir_rec *r, const uint8_t *payload)
{
	unsigned n = !payload ? 0 : r->caplen < KEEP_PAYLOAD ? r->caplen : KEEP_PAYLOAD;
	struct entry *x;

	if (r->kind != WEIR_REC_PACKET)
		return;
	x = &e->ring[e->records++ % RING];
	x->r = *r;
	x->flow_id = flow_id;
	x->kept = (uint16_t)n;
	if (n)
		memcpy(x->payload, payload, n);
	e->now_ns = r->time_ns;
	for (unsigned i = 0; i < e->nfollow; i++) {
		struct follow *w = &e->follow[i];

		if (r->time_ns > w->until_ns)
			e->follow[i--] = e->follow[--e->nfollow];
		else if (w->flow_id == flow_id)
			keep(e, e->file[w->file], flow_id, r, payload, n);
	}
}

static void take_flow(struct evidence *e, unsigned at, uint64_t flow_id)
{
	struct file *f = e->file[at];
	uint64_t since = e->now_ns > BEFORE_NS ? e->now_ns - BEFORE_NS : 0;

	for (unsigned i = 0; i < f->nflows; i++)
		if (f->flow[i] == flow_id)
			return;
	if (f->nflows == FILE_FLOWS)
		return;
	f->flow[f->nflows++] = flow_id;
	for (uint64_t i = e->records > RING ? e->records - RING : 0; i < e->records; i++) {
		const struct entry *x = &e->ring[i % RING];

		if (x->flow_id == flow_id && x->r.time_ns >= since)
			keep(e, f, flow_id, &x->r, x->payload, x->kept);
	}
	if (e->nfollow < FOLLOWED)
		e->follow[e->nfollow++] = (struct follow){ flow_id, e->now_ns + FOLLOW_NS, at };
}

static struct mark *mark_of(struct evidence *e, uint64_t flow_id, uint64_t time_ns)
{
	struct mark *m;

	for (unsigned i = 0; i < MARKS; i++)
		if (e->mark[i].flow_id == flow_id && e->mark[i].time_ns == time_ns)
			return &e->mark[i];
	m = &e->mark[e->nmarks++ % MARKS];
	*m = (struct mark){ .flow_id = flow_id, .time_ns = time_ns };
	return m;
}

void evidence_mark(struct evidence *e, uint64_t flow_id, uint64_t time_ns, const char *comment)
{
	struct mark *m = mark_of(e, flow_id, time_ns);

	snprintf(m->comment, sizeof(m->comment), "%s", comment);
	for (unsigned i = 0; i < FILES; i++) {
		struct file *f = e->file[i];

		for (unsigned k = 0; f && k < f->npackets; k++) {
			if (f->packet[k].time_ns != time_ns || f->packet[k].flow_id != flow_id)
				continue;
			free(f->packet[k].comment);
			f->packet[k].comment = strdup(m->comment);
		}
	}
}

static struct file *find(const struct evidence *e, uint32_t id)
{
	for (unsigned i = 0; i < FILES; i++)
		if (e->file[i] && e->file[i]->id == id)
			return e->file[i];
	return NULL;
}

static int by_time(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;

	return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

bool evidence_write(struct evidence *e, uint32_t id, FILE *to)
{
	struct file *f = find(e, id);
	bool ok;

	if (!f || !f->npackets)
		return false;
	qsort(f->packet, f->npackets, sizeof(f->packet[0]), by_time);
	ok = pcapng_begin(to, f->title);
	for (unsigned i = 0; ok && i < f->npackets; i++) {
		const struct kept *k = &f->packet[i];

		ok = pcapng_packet(to, k->time_ns, k->data, k->len, k->original, k->comment);
	}
	return ok && !fflush(to);
}

unsigned evidence_view(const struct evidence *e, uint32_t id, struct pcapng_view *out, unsigned max)
{
	struct file *f = find(e, id);
	unsigned n = 0;

	if (!f)
		return 0;
	qsort(f->packet, f->npackets, sizeof(f->packet[0]), by_time);
	for (; n < f->npackets && n < max; n++) {
		const struct kept *k = &f->packet[n];

		out[n] = (struct pcapng_view){ k->time_ns, k->data, k->len, k->original, k->comment,
					       k->comment ? (unsigned)strlen(k->comment) : 0 };
	}
	return n;
}

unsigned evidence_packets(const struct evidence *e, uint32_t id)
{
	const struct file *f = find(e, id);

	return f ? f->npackets : 0;
}

uint32_t evidence_next(const struct evidence *e)
{
	DIR *d = e->dir[0] ? opendir(e->dir) : NULL;
	const struct dirent *entry;
	unsigned long most = 0;

	while (d && (entry = readdir(d))) {
		char *end;
		unsigned long n = strtoul(entry->d_name, &end, 10);

		if (end != entry->d_name && !strcmp(end, ".pcapng") && n > most && n < UINT32_MAX / 2)
			most = n;
	}
	if (d)
		closedir(d);
	return (uint32_t)most + 1;
}

unsigned evidence_failed(const struct evidence *e)
{
	return e->failed;
}

static void forget(struct evidence *e, unsigned at)
{
	for (unsigned i = 0; i < e->nfollow; i++)
		if (e->follow[i].file == at)
			e->follow[i--] = e->follow[--e->nfollow];
	file_free(e->file[at]);
	e->file[at] = NULL;
}

static void write_file(struct evidence *e, unsigned at)
{
	char path[PATH_MAX];
	FILE *to;
	bool ok;

	if (!e->dir[0] || !e->file[at]->npackets)
		return;
	snprintf(path, sizeof(path), "%s/%u.pcapng", e->dir, e->file[at]->id);
	to = fopen(path, "we");
	ok = to && evidence_write(e, e->file[at]->id, to);
	if (to && fclose(to))
		ok = false;
	if (!ok && !e->failed++)
		fail(EX_CANTCREAT, "can't write %s: %s. Make room, or name another directory with --evidence.", path,
		     strerror(errno));
}

static void on_finding(void *s, const struct model *m, const struct finding *f, enum finding_action action, uint64_t now_ns)
{
	struct evidence *e = s;
	unsigned at = 0, free = FILES, flows = f->flows < FINDING_FLOWS ? f->flows : FINDING_FLOWS;

	for (at = 0; at < FILES && !(e->file[at] && e->file[at]->id == f->id); at++)
		if (!e->file[at] && free == FILES)
			free = at;
	if (at == FILES) {
		at = free;
		if (at == FILES)
			return; /* more findings at once than anybody reads */
		e->file[at] = calloc(1, sizeof(*e->file[at]));
		if (!e->file[at])
			return;
		e->file[at]->id = f->id;
	}
	snprintf(e->file[at]->title, sizeof(e->file[at]->title),
		 "weir finding %u: %s/%s, %s: %s. Headers rebuilt from records, payload cut.", f->id, kind_name(f->kind),
		 subkind_name(f->subkind), level_name(f->level), f->what);
	for (unsigned i = 0; i < flows; i++)
		take_flow(e, at, f->flow_id[i]);
	if (action != FINDING_CLOSE)
		return;
	write_file(e, at);
	/* With files on disk memory is given back; without, the packets stay for who asks. */
	if (e->dir[0])
		forget(e, at);
}

static void on_close(void *s)
{
	struct evidence *e = s;

	for (unsigned i = 0; i < FILES; i++) {
		if (!e->file[i])
			continue;
		write_file(e, i);
		forget(e, i);
	}
}

struct sink_ref evidence_sink(struct evidence *e)
{
	static const struct sink ops = { .finding = on_finding, .close = on_close };

	return (struct sink_ref){ &ops, e };
}
