// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Both ends of the daemon's socket. First byte even: what a client asks; a
 * request that is taken reads back from what is written of it. Odd: what a
 * daemon shows, lines one after the other, into a replica that must stay one.
 */
#include <stdlib.h>
#include <string.h>

#include "request.h"
#include "snapshot.h"

static void ask(const char *text, size_t len)
{
	char line[REQUEST_MAX];
	struct request r, again;

	if (!request_parse(text, len, &r))
		return;
	request_write(&r, line);
	if (!request_parse(line, strcspn(line, "\n"), &again) || again.what != r.what ||
	    (r.what == REQUEST_EVENTS && (again.events != r.events || again.json != r.json || again.bytes != r.bytes)))
		abort();
}

static bool count(struct flow *f, void *arg)
{
	unsigned *n = arg;

	if (f->l7 >= WEIR_L7_COUNT || f->limit >= LIMIT_COUNT)
		abort();
	return ++*n <= SNAPSHOT_FLOWS * 4;
}

static void show(const char *text, size_t len)
{
	struct replica *r = replica_new();
	struct screen_status st;
	uint64_t time_ns;
	double interval;

	while (len && r) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;
		unsigned flows = 0;

		if (replica_read(r, text, n)) {
			replica_status(r, &st, &time_ns, &interval);
			model_each_flow(replica_model(r), count, &flows);
			for (unsigned i = 0; i < findings_count(replica_findings(r)); i++) {
				const struct finding *f = findings_at(replica_findings(r), i);

				if (f->kind >= KIND_COUNT || f->level >= LEVEL_COUNT || f->type >= MAX_TYPES)
					abort();
			}
		}
		n += end != NULL;
		text += n;
		len -= n;
	}
	replica_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] & 1)
		show((const char *)data + 1, size - 1);
	else
		ask((const char *)data + 1, size - 1);
	return 0;
}
