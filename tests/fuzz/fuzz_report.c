// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes as an evidence file and as every text of a finding: no read out of
 * bounds, no markup of theirs in the page, no address.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report_packets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void text(char *to, size_t room, const uint8_t *data, size_t size, size_t at)
{
	size_t n = size > at ? size - at : 0;

	n = n < room ? n : room - 1;
	memcpy(to, data + (n ? at : 0), n);
	to[n] = 0;
}

static char *page(struct report *r, void (*write)(FILE *, struct report *, const struct report_source *),
		  const char *name)
{
	struct report_source s = { .name = name, .command = name, .settings = name };
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	if (!f)
		abort();
	write(f, r, &s);
	fclose(f);
	return out;
}

/* Only within code does Markdown leave a '<' alone. */
static bool bare_markup(const char *md)
{
	bool code = false;

	for (const char *c = md; *c; c++) {
		if (!code && *c == '\\' && c[1])
			c++;
		else if (*c == '`')
			code = !code;
		else if (*c == '<' && !code)
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char begin[] = { 10, 13, 13, 10, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a };
	struct pcapng_view view[64];
	struct report *r = report_new(false);
	struct report_finding *f;
	uint8_t *file = malloc(size + 28);
	char name[128], *html, *md, *json;

	if (!r || !file)
		abort();
	/* what follows a good header, too */
	memset(file, 0, 28);
	memcpy(file, begin, sizeof(begin));
	file[24] = 28;
	memcpy(file + 28, data, size);
	f = &r->finding[r->nfindings++];
	f->f.id = 1;
	f->f.kind = size ? data[0] % KIND_COUNT : 0;
	f->f.subkind = size > 1 ? data[1] % SUBKIND_COUNT : 0;
	f->f.level = size > 2 ? data[2] % LEVEL_COUNT : 0;
	f->f.direction = size > 3 ? data[3] % DIRECTION_COUNT : 0;
	f->f.type = -1;
	f->series = 0;
	text(f->f.what, sizeof(f->f.what), data, size, 4);
	text(name, sizeof(name), data, size, 5);
	fact_num(&f->f.estimate, "limit_bps", size * 1e4);
	fact_text(&f->f.reasons, name, "%s", name);
	fact_text(&f->f.ruled_out, name, "%s", name);
	snprintf(r->type[r->ntypes].name, sizeof(r->type[0].name), "%s", name);
	r->type[r->ntypes++].bytes[0] = 1;
	report_redact(&f->f);
	report_packets_of(f, view, pcapng_read(file, size + 28, view, 64));
	report_packets_of(f, view, pcapng_read(data, size, view, 64));
	r->span[r->nspans++] = (struct report_span){ .times = 1, .start_ns = 1, .end_ns = 2 };
	text(r->span[0].subject, sizeof(r->span[0].subject), data, size, 6);
	r->start_ns = 1;
	r->end_ns = 1000000000;
	html = page(r, report_html, name);
	md = page(r, report_md, name);
	json = page(r, report_json, name);
	if (strcasestr(html, "<script") || strcasestr(html, "<img") || strstr(html, "://") ||
	    strchr(strstr(html, "</style>"), 1) || bare_markup(md) || json[strlen(json) - 1] != '\n')
		abort();
	free(html);
	free(md);
	free(json);
	free(file);
	report_free(r);
	return 0;
}
