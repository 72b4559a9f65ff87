// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "evidence.h"
#include "html.h"
#include "pcapng.h"

#define RING	       8192 /* records: some seconds of a busy gateway, 4 MiB */
#define KEEP_PAYLOAD   256u
#define SUSPECT_FILES  8
#define FILES	       256  /* findings whose packets are held at a time */
#define FILE_PACKETS   128
#define FLOW_PACKETS   48
#define FILE_FLOWS     8    /* flows that show one finding */
#define FOLLOWED       64   /* flows whose next packets are kept */
#define FOLLOW_NS      2000000000ull
#define BEFORE_NS      10000000000ull /* of a flow's past */
#define MARKS	       256
#define WRITE_AGAIN_NS 10000000000ull

struct entry {
	uint64_t flow_id; /* the model's: sightings on several interfaces are one */
	struct weir_rec r;
	uint8_t client_dir;
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
	char title[300];
	struct kept packet[FILE_PACKETS];
	unsigned npackets;
	uint64_t flow[FILE_FLOWS];
	unsigned flow_packets[FILE_FLOWS], nflows;
	unsigned written; /* packets that the file on disk has */
	uint64_t written_ns;
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
	struct file *file[FILES + 1]; /* the last: flows of suspect resets */
	struct follow follow[FOLLOWED];
	unsigned nfollow;
	struct mark mark[MARKS];
	unsigned nmarks, failed;
	unsigned snaplen;
	bool suspects;
	unsigned nsuspect;    /* files of them so far */
	uint64_t total;
	const struct privacy *privacy;
	const struct model *model; /* NULL until there is a finding */
};

struct evidence *evidence_new(const char *dir)
{
	struct evidence *e = calloc(1, sizeof(*e));

	if (e)
		evidence_limits(e, 0, EVIDENCE_TOTAL);
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

void evidence_limits(struct evidence *e, unsigned snaplen, uint64_t total)
{
	e->snaplen = snaplen;
	e->total = total ? total : EVIDENCE_TOTAL;
}

void evidence_suspects(struct evidence *e, bool on)
{
	e->suspects = on;
}

void evidence_privacy(struct evidence *e, const struct privacy *p)
{
	e->privacy = p;
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
	for (unsigned i = 0; i <= FILES; i++)
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

/* The record as it may be shown: whose addresses are replaced depends on who is the client. */
static void redacted(const struct evidence *e, struct weir_rec *r, uint8_t client_dir)
{
	struct flow f = { .client_dir = client_dir, .proto = r->proto };
	bool up = r->dir == client_dir;

	memcpy(&f.client.ip, up ? r->saddr : r->daddr, 16);
	memcpy(&f.server.ip, up ? r->daddr : r->saddr, 16);
	f.client.port = up ? r->sport : r->dport;
	f.server.port = up ? r->dport : r->sport;
	privacy_rec(e->privacy, e->model, &f, r);
}

static void keep(struct evidence *e, struct file *f, const struct entry *x)
{
	uint8_t data[PACKET_HEADERS_MAX + KEEP_PAYLOAD];
	unsigned flow = 0, original;
	struct weir_rec r = x->r;
	const char *comment;
	struct kept *k;

	while (flow < f->nflows && f->flow[flow] != x->flow_id)
		flow++;
	if (flow == f->nflows || f->flow_packets[flow] >= FLOW_PACKETS || f->npackets >= FILE_PACKETS)
		return;
	k = &f->packet[f->npackets];
	redacted(e, &r, x->client_dir);
	k->len = (uint16_t)packet_make(data, &r, NULL, PACKET_HEADERS_ONLY, &original);
	if (e->snaplen > k->len && x->kept) {
		unsigned room = e->snaplen - k->len;

		k->len = (uint16_t)packet_make(data, &r, x->payload, x->kept < room ? x->kept : room, &original);
	}
	k->data = malloc(k->len);
	if (!k->data)
		return;
	memcpy(k->data, data, k->len);
	k->original = original;
	k->time_ns = r.time_ns;
	k->flow_id = x->flow_id;
	comment = comment_of(e, x->flow_id, r.time_ns);
	k->comment = comment ? strdup(comment) : NULL;
	f->npackets++;
	f->flow_packets[flow]++;
}

void evidence_record(struct evidence *e, const struct flow *flow, const struct weir_rec *r, const uint8_t *payload)
{
	unsigned n = !payload || !e->snaplen ? 0 : r->caplen < KEEP_PAYLOAD ? r->caplen : KEEP_PAYLOAD;
	uint64_t flow_id = flow->id;
	struct entry *x, spare;

	if (r->kind != WEIR_REC_PACKET)
		return;
	/* What is told of because there was room would drive out what says something. */
	x = r->flags & WEIR_REC_SPARE ? &spare : &e->ring[e->records++ % RING];
	x->r = *r;
	x->flow_id = flow_id;
	x->client_dir = flow->client_dir;
	x->kept = (uint16_t)n;
	if (n)
		memcpy(x->payload, payload, n);
	e->now_ns = r->time_ns;
	for (unsigned i = 0; i < e->nfollow; i++) {
		struct follow *w = &e->follow[i];

		if (r->time_ns > w->until_ns)
			e->follow[i--] = e->follow[--e->nfollow];
		else if (w->flow_id == flow_id)
			keep(e, e->file[w->file], x);
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
			keep(e, f, x);
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
	for (unsigned i = 0; i <= FILES; i++) {
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

static bool write_packets(struct file *f, FILE *to)
{
	bool ok;

	qsort(f->packet, f->npackets, sizeof(f->packet[0]), by_time);
	ok = pcapng_begin(to, f->title);
	for (unsigned i = 0; ok && i < f->npackets; i++) {
		const struct kept *k = &f->packet[i];

		ok = pcapng_packet(to, k->time_ns, k->data, k->len, k->original, k->comment);
	}
	return ok && !fflush(to);
}

bool evidence_write(struct evidence *e, uint32_t id, FILE *to)
{
	struct file *f = find(e, id);

	return f && f->npackets && write_packets(f, to);
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

/* The number in NNN.pcapng, 0: it is no such name. */
static uint32_t number_of(const char *name)
{
	char *end;
	unsigned long n = *name >= '0' && *name <= '9' ? strtoul(name, &end, 10) : 0;

	return n && n < UINT32_MAX / 2 && !strcmp(end, ".pcapng") ? (uint32_t)n : 0;
}

uint32_t evidence_next(const struct evidence *e)
{
	DIR *d = e->dir[0] ? opendir(e->dir) : NULL;
	const struct dirent *entry;
	uint32_t most = 0;

	while (d && (entry = readdir(d))) {
		uint32_t n = number_of(entry->d_name);

		most = n > most ? n : most;
	}
	if (d)
		closedir(d);
	return most + 1;
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

struct on_disk {
	uint32_t id;
	uint64_t bytes;
};

static int by_id(const void *a, const void *b)
{
	const struct on_disk *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* Keeps the directory within its bound: the oldest findings go first, never the newest. */
static void make_room(struct evidence *e)
{
	DIR *d = opendir(e->dir);
	const struct dirent *entry;
	struct on_disk *all = NULL, *grown;
	size_t n = 0, room = 0;
	uint64_t total = 0;
	char name[32];
	struct stat st;

	while (d && (entry = readdir(d))) {
		uint32_t id = number_of(entry->d_name);

		if (!id || fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
			continue;
		if (n == room) {
			room = room ? 2 * room : 256;
			grown = realloc(all, room * sizeof(*all));
			if (!grown)
				break;
			all = grown;
		}
		all[n++] = (struct on_disk){ id, (uint64_t)st.st_size };
		total += (uint64_t)st.st_size;
	}
	if (total > e->total) {
		qsort(all, n, sizeof(*all), by_id);
		for (size_t i = 0; i + 1 < n && total > e->total; i++) {
			snprintf(name, sizeof(name), "%u.pcapng", all[i].id);
			if (!unlinkat(dirfd(d), name, 0))
				total -= all[i].bytes;
		}
	}
	free(all);
	if (d)
		closedir(d);
}

/* Whoever reads the file sees a whole one, however this ends. */
static void write_file(struct evidence *e, unsigned at)
{
	struct file *f = e->file[at];
	char path[PATH_MAX], part[PATH_MAX];
	FILE *to;
	bool ok;

	if (!e->dir[0] || !f->npackets || f->written == f->npackets)
		return;
	if (at == FILES)
		snprintf(path, sizeof(path), "%s/suspect-%u.pcapng", e->dir, e->nsuspect % SUSPECT_FILES);
	else
		snprintf(path, sizeof(path), "%s/%u.pcapng", e->dir, f->id);
	snprintf(part, sizeof(part), "%s/.%u.part", e->dir, f->id);
	unlink(part);
	to = fopen(part, "wxe");
	ok = to && write_packets(f, to);
	if (to && fclose(to))
		ok = false;
	ok = ok && !rename(part, path);
	if (ok) {
		f->written = f->npackets;
		f->written_ns = e->now_ns;
		make_room(e);
		return;
	}
	if (!e->failed++)
		fail(EX_CANTCREAT, "can't write %s: %s. Make room, or name another directory with --evidence.", path,
		     strerror(errno));
	if (to)
		unlink(part);
}

static void title(const struct evidence *e, struct file *file, const struct finding *f)
{
	bool hidden = e->privacy && e->privacy->map;
	char what[sizeof(f->what)];

	snprintf(what, sizeof(what), "%s", f->what);
	if (hidden)
		html_redact(what, sizeof(what));
	snprintf(file->title, sizeof(file->title),
		 "weir finding %u: %s/%s, %s: %s. Headers rebuilt from records, %s.%s", f->id, kind_name(f->kind),
		 subkind_name(f->subkind), level_name(f->level), what, e->snaplen ? "payload cut" : "no payload",
		 !hidden ? "" : e->privacy->who == REDACT_ALL ? " Addresses replaced." : " Clients' addresses replaced.");
}

static void on_finding(void *s, const struct model *m, const struct finding *f, enum finding_action action, uint64_t now_ns)
{
	struct evidence *e = s;
	unsigned at, free = FILES, flows = f->flows < FINDING_FLOWS ? f->flows : FINDING_FLOWS;

	e->model = m;
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
	title(e, e->file[at], f);
	for (unsigned i = 0; i < flows; i++)
		take_flow(e, at, f->flow_id[i]);
	/* now and then while it lasts: a killed program has kept something */
	if (action == FINDING_CLOSE || e->file[at]->written_ns + WRITE_AGAIN_NS < e->now_ns)
		write_file(e, at);
	if (action != FINDING_CLOSE)
		return;
	/* With files on disk memory is given back; without, the packets stay for who asks. */
	if (e->dir[0])
		forget(e, at);
}

static void on_rst(void *s, const struct model *m, const struct rst_event *r)
{
	struct evidence *e = s;
	struct file *f = e->file[FILES];

	if (!e->suspects || !r->suspect)
		return;
	e->model = m;
	if (f && f->nflows == FILE_FLOWS) {
		write_file(e, FILES);
		forget(e, FILES);
		e->nsuspect++;
		f = NULL;
	}
	if (!f) {
		f = e->file[FILES] = calloc(1, sizeof(*f));
		if (!f)
			return;
		snprintf(f->title, sizeof(f->title), "weir: flows with suspect resets, of a finding or not.");
	}
	take_flow(e, FILES, r->flow->id);
}

static void on_close(void *s)
{
	struct evidence *e = s;

	for (unsigned i = 0; i <= FILES; i++) {
		if (!e->file[i])
			continue;
		write_file(e, i);
		forget(e, i);
	}
}

struct sink_ref evidence_sink(struct evidence *e)
{
	static const struct sink ops = { .rst = on_rst, .finding = on_finding, .close = on_close };

	return (struct sink_ref){ &ops, e };
}
