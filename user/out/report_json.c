// SPDX-License-Identifier: GPL-2.0-or-later
/* The report as one JSON object: findings as the events have them, series, types, how to repeat. */
#include <math.h>
#include <string.h>

#include "html.h"
#include "jbuf.h"
#include "out.h"
#include "report.h"

static const char *const ways[] = { "up", "down" };

static void numbers(struct jbuf *b, const char *key, const double *v, unsigned n)
{
	jb_open(b, key, '[');
	for (unsigned i = 0; i < n; i++)
		jb_num(b, NULL, v[i], 0);
	jb_close(b, ']');
}

static void plot(struct jbuf *b, const struct report_plot *p)
{
	if (p->n < 2)
		return;
	jb_open(b, "series", '{');
	jb_time(b, "start", p->start_ns);
	jb_num(b, "bin_s", p->width_ns / 1e9, 6);
	numbers(b, "bytes", p->bytes[0], p->n);
	numbers(b, "lost", p->lost, p->n);
	if (p->control_types) {
		jb_str(b, "control", p->control_names);
		numbers(b, "control_bytes", p->bytes[1], p->n);
	}
	jb_close(b, '}');
}

static void packets(struct jbuf *b, const struct report_finding *f)
{
	if (!f->npackets)
		return;
	jb_open(b, "packets", '[');
	for (unsigned i = 0; i < f->npackets; i++) {
		const struct report_packet *p = &f->packet[i];

		jb_open(b, NULL, '{');
		jb_time(b, "time", p->time_ns);
		jb_str(b, "direction", ways[p->way]);
		jb_u64(b, "proto", p->proto);
		jb_u64(b, "flags", p->flags);
		jb_u64(b, "payload_bytes", p->payload);
		jb_u64(b, "ttl", p->ttl);
		if (p->v4)
			jb_u64(b, "ipid", p->ipid);
		if (*p->comment)
			jb_str(b, "comment", p->comment);
		jb_close(b, '}');
	}
	jb_close(b, ']');
}

static void types(struct jbuf *b, const struct report *r)
{
	jb_open(b, "types", '[');
	for (unsigned i = 0; i < r->ntypes; i++) {
		const struct type_stats *t = &r->type[i];

		if (!t->flows_started && !t->bytes[0] && !t->bytes[1])
			continue;
		jb_open(b, NULL, '{');
		jb_str(b, "type", t->name);
		jb_u64(b, "flows", t->flows_started);
		jb_u64(b, "down_bytes", t->bytes[TO_CLIENT]);
		jb_u64(b, "up_bytes", t->bytes[TO_SERVER]);
		jb_num(b, "loss_down_ratio", loss_ratio(t, TO_CLIENT), 6);
		jb_num(b, "loss_up_ratio", loss_ratio(t, TO_SERVER), 6);
		if (r->rtt_ms[i] > 0)
			jb_num(b, "rtt_ms", r->rtt_ms[i], 3);
		jb_u64(b, "rst", t->rsts);
		jb_close(b, '}');
	}
	jb_close(b, ']');
}

static void redacted(struct jbuf *b, const char *key, const char *text)
{
	char copy[1024];

	snprintf(copy, sizeof(copy), "%s", text);
	html_redact(copy, sizeof(copy));
	jb_str(b, key, copy);
}

void report_json(FILE *to, struct report *r, const struct report_source *s)
{
	struct jbuf b = { 0 };

	jb_open(&b, NULL, '{');
	jb_u64(&b, "report", 1);
	jb_str(&b, "version", WEIR_VERSION);
	redacted(&b, "source", s->name);
	if (s->sha256)
		jb_str(&b, "sha256", s->sha256);
	jb_str(&b, "settings", s->settings);
	redacted(&b, "command", s->command);
	jb_bool(&b, "redacted", true);
	if (r->start_ns) {
		jb_time(&b, "start", r->start_ns);
		jb_time(&b, "end", r->end_ns);
	}
	jb_open(&b, "findings", '[');
	for (unsigned i = 0; i < r->nfindings; i++) {
		const struct report_finding *f = &r->finding[i];

		jb_open(&b, NULL, '{');
		jb_u64(&b, "id", f->f.id);
		finding_body_named(&b, &f->f,
				   f->f.type >= 0 && (unsigned)f->f.type < r->ntypes
					   ? r->type[f->f.type].name : NULL, f->app);
		plot(&b, &f->plot);
		packets(&b, f);
		jb_close(&b, '}');
	}
	jb_close(&b, ']');
	jb_u64(&b, "findings_left_out", r->left_out);
	types(&b, r);
	if (!r->history) {
		jb_open(&b, "packets", '{');
		jb_u64(&b, "seen", r->totals.c.seen);
		jb_u64(&b, "in_flows", r->totals.c.in_flows);
		jb_close(&b, '}');
	}
	jb_close(&b, '}');
	jb_raw(&b, "\n", 1);
	if (!b.failed)
		fwrite(b.text, 1, b.len, to);
	jbuf_free(&b);
}
