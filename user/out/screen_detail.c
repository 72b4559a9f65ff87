// SPDX-License-Identifier: GPL-2.0-or-later
/* The views of one finding and of one flow, and the help. */
#include <curses.h>
#include <math.h>
#include <string.h>

#include "screen_priv.h"

/* Lines of a view that may be longer than the screen: those before detail_top are not drawn. */
struct page {
	struct screen *s;
	int y, first, last, cols;
	unsigned line;
};

static int next_line(struct page *p)
{
	unsigned at = p->line++;

	if (at < p->s->detail_top || p->y > p->last)
		return -1;
	return p->y++;
}

static void page_end(struct page *p)
{
	unsigned shown = p->last - p->first + 1;

	p->s->detail_lines = p->line;
	/* Never scrolled past the last line. */
	if (p->s->detail_top && p->s->detail_top + shown > p->line)
		p->s->detail_top = p->line > shown ? p->line - shown : 0;
}

static void blank(struct page *p)
{
	next_line(p);
}

/* The unit stands in the name: limit_bps, limit_bps_low, burst_bytes, drop_ratio. */
static void value_text(char *out, size_t len, const struct fact *f, double v)
{
	char si[8];

	if (!isfinite(v)) {
		snprintf(out, len, "-");
	} else if (strstr(f->name, "_bps") || strstr(f->name, "_bytes")) {
		format_si(si, v);
		snprintf(out, len, "%s", si);
	} else if (strstr(f->name, "_ratio")) {
		snprintf(out, len, "%.1f%%", v * 100);
	} else {
		snprintf(out, len, "%.5g", v);
	}
}

static void facts_list(struct page *p, const char *title, const char *second,
		       const struct facts *s)
{
	int name = p->cols >= 100 ? 40 : 30, y;

	if (!s->n)
		return;
	y = next_line(p);
	if (y >= 0) {
		draw_text(y, 0, name + 1, p->s->attr[PAINT_HEAD], " %s", title);
		draw_right(y, name + 1, 12, p->s->attr[PAINT_HEAD], second);
		draw_right(y, name + 14, 12, p->s->attr[PAINT_HEAD], "CONTROL");
	}
	for (unsigned i = 0; i < s->n; i++) {
		const struct fact *f = &s->fact[i];
		char cell[32], text[sizeof(f->text)];

		y = next_line(p);
		if (y < 0)
			continue;
		format_plain(text, sizeof(text), f->name);
		draw_text(y, 1, name, A_NORMAL, "%s", text);
		if (isfinite(f->value)) {
			value_text(cell, sizeof(cell), f, f->value);
			draw_right(y, name + 1, 12, A_NORMAL, cell);
		}
		if (isfinite(f->control)) {
			value_text(cell, sizeof(cell), f, f->control);
			draw_right(y, name + 14, 12, A_NORMAL, cell);
		}
		format_plain(text, sizeof(text), f->text);
		if (isfinite(f->value) || isfinite(f->control))
			draw_text(y, name + 28, p->cols - name - 28, A_NORMAL, "%s", text);
		else
			draw_text(y, name + 2, p->cols - name - 2, A_NORMAL, "%s", text);
	}
}

static const struct finding *selected_finding(const struct screen *s)
{
	for (unsigned i = 0; s->findings && i < findings_count(s->findings); i++) {
		const struct finding *f = findings_at(s->findings, i);

		if (f->id == s->sel_finding)
			return f;
	}
	return NULL;
}

void view_finding(struct screen *s, int rows, int cols)
{
	const struct finding *f = selected_finding(s);
	struct page p = { .s = s, .y = 3, .first = 3, .last = rows - 2, .cols = cols };
	char what[sizeof(f->what)], start[TIME_LEN], age[16], clock[16];
	uint64_t end;
	int y;

	if (!f) {
		s->view = VIEW_MAIN;
		view_main(s, rows, cols);
		return;
	}
	end = f->end_ns ? f->end_ns : s->time_ns;
	format_plain(what, sizeof(what), f->what);
	format_time(start, f->start_ns);
	format_age(age, end > f->start_ns ? (end - f->start_ns) / 1e9 : 0);
	format_clock(clock, s->status.now_ns);
	draw_text(0, 0, cols, s->attr[f->level >= LEVEL_LIKELY ? PAINT_BAD : PAINT_WARN],
		  "finding #%u  %s/%s  %s, %s  %s %.2f  %s", f->id, kind_name(f->kind),
		  subkind_name(f->subkind), f->type >= 0 ? model_type_name(s->m, f->type) : "single flows",
		  direction_name(f->direction), level_name(f->level), f->confidence,
		  s->paused ? "PAUSED" : "");
	draw_text(1, 0, cols, A_NORMAL, " since %.19sZ (%s%s)  %u flows  %u clients  %u servers  %s",
		  start, age, f->end_ns ? ", over" : "", f->flows, f->clients, f->servers, f->method);
	draw_line(s, 2);
	y = next_line(&p);
	if (y >= 0)
		draw_text(y, 1, cols - 1, s->attr[PAINT_TITLE], "%s", *what ? what : "-");
	if (f->degraded) {
		y = next_line(&p);
		if (y >= 0)
			draw_text(y, 1, cols - 1, s->attr[PAINT_WARN],
				  "degraded: not all could be seen while this was observed");
	}
	blank(&p);
	facts_list(&p, "ESTIMATE", "VALUE", &f->estimate);
	if (f->estimate.n)
		blank(&p);
	facts_list(&p, "COMPARED WITH", "VALUE", &f->control);
	if (f->control.n)
		blank(&p);
	facts_list(&p, "WHY", "THIS TYPE", &f->reasons);
	blank(&p);
	facts_list(&p, "RULED OUT", "VALUE", &f->ruled_out);
	blank(&p);
	y = next_line(&p);
	if (y >= 0)
		draw_text(y, 1, cols - 1, s->attr[PAINT_DIM],
			  "Seen from this gateway only; says nothing about who does it or why.");
	page_end(&p);
	if (draw_said(s, rows - 1, cols))
		return;
	draw_text(rows - 1, 0, cols, s->attr[PAINT_DIM], "%s",
		  s->detail_lines > (unsigned)(rows - 4)
			  ? "Esc back n N next Enter flows Up Down scroll a ack e packets R report ?help q"
			  : "Esc back  n N next  Enter its flows  a ack  e evidence  R report  ?help  q");
}

static void pair(struct page *p, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void pair(struct page *p, const char *name, const char *format, ...)
{
	char text[256];
	va_list args;
	int y = next_line(p);

	if (y < 0)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	draw_text(y, 1, 22, p->s->attr[PAINT_DIM], "%s", name);
	draw_text(y, 24, p->cols - 24, A_NORMAL, "%s", text);
}

static void both(struct page *p, const char *name, uint64_t up, uint64_t down)
{
	char a[8], b[8];

	format_si(a, down);
	format_si(b, up);
	pair(p, name, "%10s %10s", a, b);
}

static void side_rtt(struct page *p, const char *name, const struct flow_row *r, unsigned side)
{
	uint32_t least = r->f.count[side].rtt_min_us;

	if (r->side_us[side] <= 0 && !least)
		return;
	if (r->side_us[side] <= 0)
		pair(p, name, "least %.1f ms", least / 1000.0);
	else
		pair(p, name, "least %.1f ms, median %.1f ms, p95 %.1f ms", least / 1000.0,
		     r->side_us[side] / 1000, r->side_p95_us[side] / 1000);
}

static const struct flow_row *selected_flow(const struct screen *s)
{
	for (unsigned i = 0; i < s->nflow_rows; i++)
		if (s->flow[i].id == s->sel_flow)
			return &s->flow[i];
	return NULL;
}

void view_flow(struct screen *s, int rows, int cols)
{
	const struct flow_row *r = selected_flow(s);
	struct page p = { .s = s, .y = 2, .first = 2, .last = rows - 2, .cols = cols };
	const struct flow_counts *up, *down;
	char client[64], server[64], start[TIME_LEN], age[16], number[8], a[8], b[8];
	const struct flow *f;
	bool redact = s->redact;
	uint64_t last;

	if (!r) {
		s->view = VIEW_MAIN;
		view_main(s, rows, cols);
		return;
	}
	f = &r->f;
	up = &f->count[TO_SERVER];
	down = &f->count[TO_CLIENT];
	draw_client(s, client, sizeof(client), &f->client, true);
	s->redact = false;
	draw_client(s, server, sizeof(server), &f->server, true);
	s->redact = redact;
	draw_text(0, 0, cols, s->attr[PAINT_TITLE], "flow %s %s %s %s  %s%s",
		  proto_name(f->proto, number), client, s->g.cursor, server,
		  r->gone ? "ended  " : "", s->paused ? "PAUSED" : "");
	draw_line(s, 1);
	last = r->gone || f->end_ns ? f->last_ns : s->time_ns;
	format_time(start, f->start_ns);
	format_age(age, last > f->start_ns ? (last - f->start_ns) / 1e9 : 0);
	pair(&p, "type", "%s", model_type_name(s->m, f->type));
	pair(&p, "protocol", "%s", l7_name(f->l7));
	pair(&p, "application", "%s", model_app_name(s->m, f->app) ? model_app_name(s->m, f->app) : "not known");
	pair(&p, "told by", "%s", source_name(f->source));
	pair(&p, "name", "%s", *r->hint ? r->hint : "none seen");
	pair(&p, "began", "%.19sZ, %s ago%s", start, age, f->complete ? "" : ", before we looked");
	pair(&p, "history", "%s", *f->history ? f->history : "-");
	if (f->limit != LIMIT_NONE)
		pair(&p, "held back by", "%s", limit_name(f->limit));
	if (f->handshake_us)
		pair(&p, "handshake", "%.1f ms", f->handshake_us / 1000.0);
	side_rtt(&p, "us to server and back", r, TO_SERVER);
	side_rtt(&p, "us to client and back", r, TO_CLIENT);
	blank(&p);
	pair(&p, "", "%10s %10s", "DOWN", "UP");
	pair(&p, s->byte_units ? "byte/s now" : "bit/s now", "%10s %10s",
	     draw_rate(s, a, r->bits[TO_CLIENT]), draw_rate(s, b, r->bits[TO_SERVER]));
	both(&p, "packets", up->packets, down->packets);
	both(&p, "IP bytes", up->bytes, down->bytes);
	if (f->proto == IPPROTO_TCP) {
		both(&p, "retransmitted", up->retx, down->retx);
		both(&p, "lost before us", up->lost_before, down->lost_before);
		both(&p, "lost after us", up->lost_after, down->lost_after);
		both(&p, "reordered", up->reordered, down->reordered);
		both(&p, "duplicated", up->duplicated, down->duplicated);
		both(&p, "resent for nothing", up->spurious, down->spurious);
		both(&p, "zero windows", up->zero_windows, down->zero_windows);
	}
	both(&p, "TTL", up->ttl, down->ttl);
	for (unsigned i = 0; s->findings && i < findings_count(s->findings); i++) {
		const struct finding *e = findings_at(s->findings, i);

		for (unsigned k = 0; k < e->flows && k < FINDING_FLOWS; k++)
			if (e->flow_id[k] == f->id)
				pair(&p, "finding", "#%u %s/%s %s", e->id, kind_name(e->kind),
				     subkind_name(e->subkind), level_name(e->level));
	}
	page_end(&p);
	draw_text(rows - 1, 0, cols, s->attr[PAINT_DIM], "%s",
		  s->detail_lines > (unsigned)(rows - 3)
			  ? "Esc back  Up Down scroll  u units  x redact  p pause  ?help  q"
			  : "Esc back  u units  x redact  p pause  ?help  q");
}

void view_help(struct screen *s, int rows, int cols)
{
	static const char *const lines[] = {
		"Up Down j k      move; PgUp PgDn g G: by page, to the ends",
		"Tab Shift-Tab    next, previous panel: findings, types, flows",
		"Enter l          go in: a finding's reasons, a type's flows, a flow's figures",
		"Esc h            go out; on the main screen: clear the filter",
		"n N              next, previous finding (in a finding)",
		"/                filter: words, or type: app: l7: client: server: hint:",
		"                 state: proto: port: before a word; ! turns one round",
		"s S r            sort by the next, the previous column; reverse",
		"o f              freeze the order; follow the row, or stay at the top",
		"t                only this type; once more: all",
		"a                acknowledge a finding: dim, and last",
		"e R              write a finding's packets, a report: the path is told",
		"p Space          pause the screen; collecting goes on",
		"w                rates over 2 s, 10 s, 60 s, 5 min",
		"u x              bit/s or byte/s; hide half of each client's address",
		"Ctrl-L Ctrl-Z q  draw anew, suspend, quit",
		"",
		"DOWN is to the client. LOSS is the share of TCP's packets lost before or",
		"after this gateway; n/a: not to be measured, or too few packets.",
		"12/30: too little to judge. HISTORY: S SYN, h SYN-ACK, A ACK, D data,",
		"F FIN, R RST, T retransmitted; capitals are the client's.",
	};
	unsigned n = sizeof(lines) / sizeof(*lines);
	unsigned room = rows > 4 ? (unsigned)rows - 3 : 1, most = n > room ? n - room : 0;

	draw_text(0, 0, cols, s->attr[PAINT_TITLE], "weir: keys");
	s->help_top = s->help_top < most ? s->help_top : most;
	for (unsigned i = 0; i < room && i + s->help_top < n; i++)
		draw_text((int)i + 2, 1, cols - 1, A_NORMAL, "%s", lines[i + s->help_top]);
	draw_text(rows - 1, 0, cols, s->attr[PAINT_DIM], "%s",
		  most ? "Up Down: more; any other key: back" : "any key: back");
}
