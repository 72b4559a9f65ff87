// SPDX-License-Identifier: GPL-2.0-or-later
/* The main view: findings on top, types, flows. Columns come and go with the width. */
#include <curses.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "screen_priv.h"

#define SHOWN_FINDINGS 64

/* Returns the lines it took: what is wrong gets one of its own where it does not fit beside the figures. */
static int header(struct screen *s, int cols)
{
	char flows[8], down[8], up[8], age[16], clock[16], right[160], left[256];
	const struct screen_status *t = &s->status;
	const char *unit = s->byte_units ? "byte/s" : "bit/s";
	unsigned room, bad = s->attr[s->paused || *s->problem ? PAINT_BAD : PAINT_TITLE];

	format_si(flows, s->flows_held);
	draw_rate(s, down, s->now_bits[TO_CLIENT]);
	draw_rate(s, up, s->now_bits[TO_SERVER]);
	format_age(age, t->uptime_s);
	format_clock(clock, t->now_ns);
	if (cols < 80)
		snprintf(left, sizeof(left), "%.10s %s flows %s%s %s%s %s lost %llu ", s->source, flows,
			 s->g.down, down, s->g.up, up, unit, (unsigned long long)t->lost);
	else
		snprintf(left, sizeof(left), "weir %.*s %s %s flows %s %s%s %s%s %s %s up %s %s lost %llu ",
			 cols < 100 ? 24 : 80, s->source, s->g.bar, flows, s->g.bar, s->g.down, down,
			 s->g.up, up, unit, s->g.bar, age, s->g.bar, (unsigned long long)t->lost);
	room = cols > (int)columns_of(left) ? cols - columns_of(left) : 0;
	if (s->paused) {
		format_age(age, (t->now_ns - s->paused_at) / 1e9);
		snprintf(right, sizeof(right), "PAUSED %s", age);
	} else if (*s->problem) {
		snprintf(right, sizeof(right), "%s", s->problem);
	} else {
		snprintf(right, sizeof(right), "%s%.8s", room < 13 ? "" : "LIVE ", clock);
	}
	draw_text(0, 0, cols, s->attr[PAINT_TITLE], "%s", left);
	if (columns_of(right) <= room) {
		draw_text(0, cols - room, room, bad, "%s", right);
		return 1;
	}
	if (!s->paused && !*s->problem)
		return 1;
	draw_text(1, 0, cols, bad, "%s %s", s->g.likely, right);
	return 2;
}

const char *finding_short(const struct finding *f)
{
	switch (f->kind) {
	case KIND_RATE_LIMIT:
		return "LIMIT";
	case KIND_RST_INJECTION:
		return "RST";
	case KIND_CONTENT_INJECTION:
		return "INJECT";
	case KIND_DNS_INJECTION:
		return "DNS";
	case KIND_SELECTIVE_DROP:
		return "DROPS";
	default:
		return "?";
	}
}

bool finding_acknowledged(const struct screen *s, uint32_t id)
{
	for (unsigned i = 0; i < ACKNOWLEDGED; i++)
		if (s->acknowledged[i] == id)
			return true;
	return false;
}

/* qsort has no argument; the screen draws in one thread only. */
static const struct screen *ordering;

static int worse(const void *a, const void *b)
{
	const struct finding *x = *(const struct finding *const *)a;
	const struct finding *y = *(const struct finding *const *)b;

	bool seen[2] = { finding_acknowledged(ordering, x->id), finding_acknowledged(ordering, y->id) };

	if (x->closed != y->closed)
		return x->closed - y->closed;
	if (seen[0] != seen[1])
		return seen[0] - seen[1];
	if (x->level != y->level)
		return (int)y->level - (int)x->level;
	return x->id < y->id ? 1 : -1;
}

unsigned findings_order(const struct screen *s, const struct finding **out, unsigned max)
{
	unsigned n = 0, count = s->findings ? findings_count(s->findings) : 0;

	/* The newest max of them, should there be more. */
	for (unsigned i = count > max ? count - max : 0; i < count; i++)
		out[n++] = findings_at(s->findings, i);
	ordering = s;
	qsort(out, n, sizeof(*out), worse);
	return n;
}

/* Keeps the selected line in the window of lines that a panel shows. */
static void follow(struct screen *s, enum panel p, unsigned selected, unsigned n, int lines)
{
	s->page[p] = lines > 0 ? lines : 1;
	if (selected < s->top[p])
		s->top[p] = selected;
	if (selected >= s->top[p] + s->page[p])
		s->top[p] = selected - s->page[p] + 1;
	if (s->top[p] && s->top[p] + s->page[p] > n)
		s->top[p] = n > s->page[p] ? n - s->page[p] : 0;
}

static void panel_title(const struct screen *s, enum panel p, int y, int cols, const char *text)
{
	bool on = s->panel == p;

	draw_text(y, 0, cols, on ? s->attr[PAINT_TITLE] : s->attr[PAINT_PLAIN], "%s%s",
		  on ? s->g.cursor : " ", text);
}

void panel_findings(struct screen *s, int y, int height, int cols)
{
	const struct finding *f[SHOWN_FINDINGS];
	unsigned n = findings_order(s, f, SHOWN_FINDINGS), level[LEVEL_COUNT] = { 0 }, selected = 0,
		 closed = 0;
	char title[256], age[16];

	for (unsigned i = 0; i < n; i++) {
		if (f[i]->closed)
			closed++;
		else
			level[f[i]->level]++;
		if (f[i]->id == s->sel_finding)
			selected = i;
	}
	format_age(age, s->status.uptime_s);
	if (!n) {
		snprintf(title, sizeof(title),
			 "FINDINGS  none in %s: nothing that only interference explains", age);
	} else {
		int k = snprintf(title, sizeof(title), "FINDINGS  %u likely  %u possible",
				 level[LEVEL_LIKELY], level[LEVEL_POSSIBLE]);

		if (level[LEVEL_CORROBORATED])
			k += snprintf(title + k, sizeof(title) - k, "  %u corroborated",
				      level[LEVEL_CORROBORATED]);
		if (closed)
			snprintf(title + k, sizeof(title) - k, "  %u over", closed);
	}
	panel_title(s, PANEL_FINDINGS, y, cols, title);
	if (cols >= 80 && n)
		draw_right(y, cols - 16, 16, s->attr[PAINT_DIM], "Tab: next panel ");
	if (!n)
		return;
	if (!s->moved[PANEL_FINDINGS] && s->view == VIEW_MAIN) {
		s->sel_finding = f[0]->id;
		selected = 0;
	}
	follow(s, PANEL_FINDINGS, selected, n, height - 1);
	for (int i = 0; i < height - 1 && s->top[PANEL_FINDINGS] + i < n; i++) {
		const struct finding *e = f[s->top[PANEL_FINDINGS] + i];
		bool sel = s->panel == PANEL_FINDINGS && e->id == s->sel_finding;
		unsigned attr = sel ? A_REVERSE
				    : s->attr[e->closed || finding_acknowledged(s, e->id) ? PAINT_DIM
					 : e->level >= LEVEL_LIKELY ? PAINT_BAD
								    : PAINT_WARN];
		char what[sizeof(e->what)], clients[24];
		uint64_t end = e->end_ns ? e->end_ns : s->time_ns;
		int x = 0, wide = cols >= 100;

		format_plain(what, sizeof(what), e->what);
		format_age(age, end > e->start_ns ? (end - e->start_ns) / 1e9 : 0);
		snprintf(clients, sizeof(clients), "%u flows", e->flows);
		draw_text(y + 1 + i, 0, cols, attr, "%*s", cols, "");
		draw_text(y + 1 + i, x, 2, attr, "%s", sel ? s->g.cursor : " ");
		draw_text(y + 1 + i, 1, 2, attr, "%s",
			  e->level >= LEVEL_LIKELY ? s->g.likely : s->g.possible);
		draw_text(y + 1 + i, 3, 8, attr, "%s",
			  e->closed	  ? "over"
			  : finding_acknowledged(s, e->id) ? "seen"
			  : e->level == LEVEL_CORROBORATED && cols < 100 ? "corrob."
									 : level_name(e->level));
		draw_text(y + 1 + i, 12, wide ? 18 : 6, attr, "%s",
			  wide ? kind_name(e->kind) : finding_short(e));
		x = wide ? 31 : 19;
		draw_text(y + 1 + i, x, 14, attr, "%s",
			  e->type >= 0 ? model_type_name(s->m, e->type) : clients);
		x += 15;
		draw_text(y + 1 + i, x, 4, attr, "%s", direction_name(e->direction));
		x += 5;
		draw_text(y + 1 + i, x, cols - x - (wide ? 22 : cols >= 80 ? 10 : 6), attr, "%s",
			  *what ? what : subkind_name(e->subkind));
		if (wide)
			draw_right(y + 1 + i, cols - 21, 12, attr, clients);
		if (cols >= 80)
			draw_text(y + 1 + i, cols - 3, 3, attr, ".%02.0f",
				  fmin(99, floor(e->confidence * 100)));
		draw_right(y + 1 + i, cols - (cols >= 80 ? 9 : 5), 5, attr, age);
	}
}

static const char *sort_mark(const struct screen *s, enum panel p, int sort)
{
	return (int)s->sort[p] == sort ? s->reverse[p] ? s->g.rise : s->g.fall : "";
}

static void head(struct screen *s, int y, int *x, int width, bool right, const char *text,
		 enum panel p, int sort)
{
	char title[40];

	snprintf(title, sizeof(title), "%s%s", text, sort_mark(s, p, sort));
	if (right)
		draw_right(y, *x, width, s->attr[PAINT_HEAD], title);
	else
		draw_text(y, *x, width, s->attr[PAINT_HEAD], "%s", title);
	*x += width + 1;
}

static void percent(char out[12], double share)
{
	if (isnan(share))
		snprintf(out, 12, "n/a");
	else
		snprintf(out, 12, share < 0.9995 ? "%.1f%%" : "%.0f%%", share * 100);
}

static void milliseconds(char out[12], double us)
{
	if (us <= 0)
		snprintf(out, 12, "n/a");
	else
		snprintf(out, 12, us < 9950 ? "%.1fms" : us < 9999500 ? "%.0fms" : "%.0e", us / 1000);
}

static void type_state(const struct screen *s, const struct type_row *t, char *out, size_t len,
		       enum paint *paint)
{
	const struct finding *f = data_finding_of(s, t->type);
	uint64_t packets = t->total.packets[0] + t->total.packets[1];

	*paint = PAINT_GOOD;
	if (f) {
		*paint = f->level >= LEVEL_LIKELY ? PAINT_BAD : PAINT_WARN;
		snprintf(out, len, "%s %s", f->level >= LEVEL_LIKELY ? s->g.likely : s->g.possible,
			 finding_short(f));
	} else if (packets < 30) {
		*paint = PAINT_DIM;
		snprintf(out, len, "%llu/30", (unsigned long long)packets);
	} else if (t->total.drop_have < t->total.drop_need) {
		/* too little to tell a drop by: no verdict either way */
		*paint = PAINT_DIM;
		snprintf(out, len, "%u/%u", t->total.drop_have, t->total.drop_need);
	} else {
		snprintf(out, len, "ok");
	}
}

/* The width of the name: what the columns leave. */
struct type_columns {
	bool loss, rtt, rst, spark, more;
	int name, spark_width;
};

static struct type_columns type_columns(int cols)
{
	struct type_columns c = { .loss = cols >= 50, .rtt = cols >= 70, .rst = cols >= 76,
				  .spark = cols >= 78, .more = cols >= 110 };
	int used = 1 + 7 + 8 + 8 + 10 + (c.loss ? 7 : 0) + (c.rtt ? 7 : 0) + (c.rst ? 5 : 0) +
		   (c.more ? 7 + 7 + 8 + 8 : 0);

	c.name = c.more ? 22 : 16;
	c.spark_width = c.spark ? cols - used - c.name - 1 : 0;
	if (c.spark_width > 50)
		c.spark_width = 50;
	if (c.spark_width < 5)
		c.spark_width = 0, c.spark = false;
	if (!c.spark && used + c.name > cols)
		c.name = cols - used;
	return c;
}

static void type_heads(struct screen *s, int y, const struct type_columns *c)
{
	bool on = s->panel == PANEL_TYPES;
	int x = 1;

	draw_text(y, 0, 1, s->attr[PAINT_TITLE], "%s", on ? s->g.cursor : " ");
	head(s, y, &x, c->name, false, "TYPE", PANEL_TYPES, TYPES_BY_NAME);
	head(s, y, &x, 6, true, "FLOWS", PANEL_TYPES, TYPES_BY_FLOWS);
	if (c->more)
		head(s, y, &x, 6, true, "NEW/s", PANEL_TYPES, -1);
	head(s, y, &x, 7, true, "DOWN", PANEL_TYPES, TYPES_BY_DOWN);
	head(s, y, &x, 7, true, "UP", PANEL_TYPES, TYPES_BY_UP);
	if (c->loss)
		head(s, y, &x, 6, true, "LOSS", PANEL_TYPES, TYPES_BY_LOSS);
	if (c->more)
		head(s, y, &x, 7, true, "LOSS UP", PANEL_TYPES, -1);
	if (c->rtt)
		head(s, y, &x, 6, true, "RTT", PANEL_TYPES, TYPES_BY_RTT);
	if (c->more)
		head(s, y, &x, 6, true, "p95", PANEL_TYPES, -1);
	if (c->rst)
		head(s, y, &x, 4, true, "RST", PANEL_TYPES, TYPES_BY_RST);
	if (c->more)
		head(s, y, &x, 7, true, "SUSPECT", PANEL_TYPES, -1);
	if (c->spark) {
		char title[24];

		snprintf(title, sizeof(title), "LAST %d s", c->spark_width * 6);
		head(s, y, &x, c->spark_width, false, title, PANEL_TYPES, -1);
	}
	head(s, y, &x, 8, false, "STATE", PANEL_TYPES, -1);
}

static void right_cell(int y, int *x, int width, unsigned attr, const char *text)
{
	draw_right(y, *x, width, attr, text);
	*x += width + 1;
}

static void type_line(struct screen *s, int y, int cols, const struct type_columns *c,
		      const struct type_row *t, bool sel)
{
	unsigned attr = sel ? A_REVERSE : A_NORMAL;
	int x = 1;
	char cell[12], state[24];
	enum paint paint;

	if (sel)
		draw_text(y, 0, cols, attr, "%-*s", cols, " ");
	draw_text(y, x, c->name, attr, "%s", t->total.name);
	x += c->name + 1;
	format_si(cell, t->total.flows_active);
	right_cell(y, &x, 6, attr, cell);
	if (c->more) {
		snprintf(cell, sizeof(cell), "%.1f", fmin(t->flows_new, 99999));
		right_cell(y, &x, 6, attr, cell);
	}
	right_cell(y, &x, 7, attr, draw_rate(s, cell, data_bits(s, t, TO_CLIENT)));
	right_cell(y, &x, 7, attr, draw_rate(s, cell, data_bits(s, t, TO_SERVER)));
	if (c->loss) {
		percent(cell, data_loss(s, t, TO_CLIENT));
		right_cell(y, &x, 6, attr, cell);
	}
	if (c->more) {
		percent(cell, data_loss(s, t, TO_SERVER));
		right_cell(y, &x, 7, attr, cell);
	}
	if (c->rtt) {
		milliseconds(cell, t->rtt.n ? rtt_quantile_us(&t->rtt, 0.5) : 0);
		right_cell(y, &x, 6, attr, cell);
	}
	if (c->more) {
		milliseconds(cell, t->rtt.n ? rtt_quantile_us(&t->rtt, 0.95) : 0);
		right_cell(y, &x, 6, attr, cell);
	}
	if (c->rst) {
		format_si(cell, t->total.rsts);
		right_cell(y, &x, 4, attr, cell);
	}
	if (c->more) {
		format_si(cell, t->total.rsts_suspect);
		right_cell(y, &x, 7, attr, cell);
	}
	if (c->spark) {
		draw_spark(s, y, x, c->spark_width, attr, t);
		x += c->spark_width + 1;
	}
	type_state(s, t, state, sizeof(state), &paint);
	draw_text(y, x, 8, sel ? attr : s->attr[paint], "%s", state);
}

static void empty(const struct screen *s, int y, int cols, const char *what)
{
	char age[16];

	format_age(age, s->status.uptime_s);
	if (*s->filter.text && s->status.packets)
		draw_text(y, 1, cols - 1, s->attr[PAINT_DIM], "No %s matches the filter. Esc clears it.",
			  what);
	else if (s->status.packets)
		draw_text(y, 1, cols - 1, s->attr[PAINT_DIM],
			  "No %s yet: none of the %llu packets in %s is of one.", what,
			  (unsigned long long)s->status.packets, age);
	else
		draw_text(y, 1, cols - 1, s->attr[PAINT_DIM],
			  "No %s yet: 0 packets in %s. Try: weir check", what, age);
}

void panel_types(struct screen *s, int y, int height, int cols)
{
	struct type_columns c = type_columns(cols);
	unsigned selected = 0;

	type_heads(s, y, &c);
	if (!s->ntype_rows) {
		if (height > 1)
			empty(s, y + 1, cols, "traffic type");
		return;
	}
	if (s->sel_type < 0 || !s->moved[PANEL_TYPES])
		s->sel_type = s->type_order[0];
	for (unsigned i = 0; i < s->ntype_rows; i++)
		if ((int)s->type_order[i] == s->sel_type)
			selected = i;
	follow(s, PANEL_TYPES, selected, s->ntype_rows, height - 1);
	for (int i = 0; i < height - 1 && s->top[PANEL_TYPES] + i < s->ntype_rows; i++) {
		unsigned type = s->type_order[s->top[PANEL_TYPES] + i];

		type_line(s, y + 1 + i, cols, &c, &s->type[type],
			  s->panel == PANEL_TYPES && (int)type == s->sel_type);
	}
}

struct flow_columns {
	int client, server, type, hint;
	bool age, up, loss, rtt, history, limit;
};

static struct flow_columns flow_columns(int cols)
{
	struct flow_columns c = { .client = cols >= 140 ? 24 : cols >= 110 ? 21 : 15,
				  .server = cols >= 140 ? 24 : 21,
				  .type = cols >= 100 ? 16 : 0, .age = cols >= 66, .up = cols >= 58,
				  .loss = cols >= 72, .rtt = cols >= 50, .history = cols >= 130,
				  .limit = cols >= 140 };
	int used = 1 + c.client + 1 + c.server + 1 + 7 + (c.type ? c.type + 1 : 0) + (c.age ? 5 : 0) +
		   (c.up ? 7 : 0) + (c.loss ? 6 : 0) + (c.rtt ? 7 : 0) + (c.history ? 13 : 0) +
		   (c.limit ? 9 : 0);

	c.hint = cols - used - 1;
	if (c.hint < 6)
		c.hint = 0;
	return c;
}

static void flow_heads(struct screen *s, int y, const struct flow_columns *c)
{
	int x = 1;

	draw_text(y, 0, 1, s->attr[PAINT_TITLE], "%s", s->panel == PANEL_FLOWS ? s->g.cursor : " ");
	head(s, y, &x, c->client, false, "CLIENT", PANEL_FLOWS, FLOWS_BY_CLIENT);
	head(s, y, &x, c->server, false, "SERVER", PANEL_FLOWS, -1);
	if (c->type)
		head(s, y, &x, c->type, false, "TYPE", PANEL_FLOWS, -1);
	if (c->hint)
		head(s, y, &x, c->hint, false, "NAME", PANEL_FLOWS, -1);
	if (c->age)
		head(s, y, &x, 4, true, "AGE", PANEL_FLOWS, FLOWS_BY_AGE);
	head(s, y, &x, 6, true, "DOWN", PANEL_FLOWS, FLOWS_BY_DOWN);
	if (c->up)
		head(s, y, &x, 6, true, "UP", PANEL_FLOWS, FLOWS_BY_UP);
	if (c->loss)
		head(s, y, &x, 5, true, "LOSS", PANEL_FLOWS, FLOWS_BY_LOSS);
	if (c->rtt)
		head(s, y, &x, 6, true, "RTT", PANEL_FLOWS, FLOWS_BY_RTT);
	if (c->history)
		head(s, y, &x, 12, false, "HISTORY", PANEL_FLOWS, -1);
	if (c->limit)
		head(s, y, &x, 8, false, "HELD BY", PANEL_FLOWS, -1);
}

static void flow_line(struct screen *s, int y, int cols, const struct flow_columns *c,
		      const struct flow_row *r, bool sel)
{
	unsigned attr = sel ? A_REVERSE : r->gone ? s->attr[PAINT_DIM] : A_NORMAL;
	int x = 1;
	char client[64], server[64], age[16], cell[12];
	bool redact = s->redact;

	if (sel)
		draw_text(y, 0, cols, attr, "%-*s", cols, " ");
	draw_client(s, client, sizeof(client), &r->f.client, c->client > 15);
	s->redact = false;
	draw_client(s, server, sizeof(server), &r->f.server, true);
	s->redact = redact;
	draw_text(y, x, c->client, attr, "%s", client);
	x += c->client + 1;
	draw_text(y, x, c->server, attr, "%s", server);
	x += c->server + 1;
	if (c->type) {
		draw_text(y, x, c->type, attr, "%s", model_type_name(s->m, r->f.type));
		x += c->type + 1;
	}
	if (c->hint) {
		draw_text(y, x, c->hint, attr, "%s",
			  *r->hint || c->type ? r->hint : model_type_name(s->m, r->f.type));
		x += c->hint + 1;
	}
	if (c->age) {
		uint64_t last = r->gone ? r->f.last_ns : s->time_ns;

		format_age(age, last > r->f.start_ns ? (last - r->f.start_ns) / 1e9 : 0);
		age[4] = 0;
		right_cell(y, &x, 4, attr, age);
	}
	right_cell(y, &x, 6, attr, r->gone ? "ended" : draw_rate(s, cell, r->bits[TO_CLIENT]));
	if (c->up)
		right_cell(y, &x, 6, attr, r->gone ? "-" : draw_rate(s, cell, r->bits[TO_SERVER]));
	if (c->loss) {
		percent(cell, flow_loss(&r->f, TO_CLIENT));
		right_cell(y, &x, 5, attr, cell);
	}
	if (c->rtt) {
		milliseconds(cell, r->rtt_us);
		right_cell(y, &x, 6, attr, cell);
	}
	if (c->history) {
		draw_text(y, x, 12, attr, "%s", *r->f.history ? r->f.history : "-");
		x += 13;
	}
	if (c->limit)
		draw_text(y, x, 8, attr, "%s",
			  r->f.limit == LIMIT_NONE ? "-" : limit_name(r->f.limit));
}

void panel_flows(struct screen *s, int y, int height, int cols)
{
	struct flow_columns c = flow_columns(cols);
	unsigned selected = 0;
	char title[160];
	int n;

	n = snprintf(title, sizeof(title), "FLOWS");
	if (s->only_type >= 0)
		n += snprintf(title + n, sizeof(title) - n, " of %s", model_type_name(s->m, s->only_type));
	if (s->nflow_rows) {
		unsigned top = s->top[PANEL_FLOWS], last = top + (height > 2 ? height - 2 : 0);

		last = last < s->nflow_rows ? last : s->nflow_rows;
		n += snprintf(title + n, sizeof(title) - n, "  %u-%u of %llu", top + 1, last,
			      (unsigned long long)s->flows_matching);
		if (s->flows_matching > s->nflow_rows)
			n += snprintf(title + n, sizeof(title) - n, ", the first %u can be reached",
				      s->nflow_rows);
		if (s->frozen)
			snprintf(title + n, sizeof(title) - n, "  order frozen (o)");
	}
	panel_title(s, PANEL_FLOWS, y, cols, title);
	if (height < 2)
		return;
	flow_heads(s, y + 1, &c);
	if (!s->nflow_rows) {
		if (height > 2)
			empty(s, y + 2, cols, "flow");
		return;
	}
	for (unsigned i = 0; s->moved[PANEL_FLOWS] && i < s->nflow_rows; i++)
		if (s->flow[i].id == s->sel_flow)
			selected = i;
	s->sel_flow = s->flow[selected].id;
	follow(s, PANEL_FLOWS, selected, s->nflow_rows, height - 2);
	for (int i = 0; i < height - 2 && s->top[PANEL_FLOWS] + i < s->nflow_rows; i++) {
		const struct flow_row *r = &s->flow[s->top[PANEL_FLOWS] + i];

		flow_line(s, y + 2 + i, cols, &c, r, s->panel == PANEL_FLOWS && r->id == s->sel_flow);
	}
}

bool draw_said(const struct screen *s, int y, int cols)
{
	if (!*s->said)
		return false;
	draw_text(y, 0, cols, s->attr[PAINT_TITLE], "%s", s->said);
	return true;
}

static void hints(struct screen *s, int y, int cols)
{
	if (!s->typing && draw_said(s, y, cols))
		return;
	if (s->typing) {
		draw_text(y, 0, cols, s->filter.valid ? A_NORMAL : s->attr[PAINT_BAD],
			  "filter: %s_   %s%s", s->filter.text, s->filter.valid ? "" : s->filter.why,
			  s->filter.valid ? "(words, type: client: server: port: hint: app: l7:, ! not)"
					  : "");
		return;
	}
	if (*s->filter.text) {
		draw_text(y, 0, cols, s->attr[PAINT_WARN],
			  "filter: %s  (totals are not filtered; Esc clears)  ?help q", s->filter.text);
		return;
	}
	if (s->view == VIEW_TYPE) {
		draw_text(y, 0, cols, s->attr[PAINT_DIM], "%s",
			  "Esc back  Enter detail  /filter  s sort  o freeze  u units  ?help  q");
		return;
	}
	draw_text(y, 0, cols, s->attr[PAINT_DIM], "%s",
		  cols >= 80 ? "?help Tab panel Enter detail /filter s sort p pause t type a ack e evidence R q"
			     : "?help  Tab  Enter  /filter  s sort  p pause  q");
}

void view_main(struct screen *s, int rows, int cols)
{
	unsigned nf = s->findings ? findings_count(s->findings) : 0;
	int y = header(s, cols), left = rows - 1 - y, findings, types;

	if (s->view == VIEW_TYPE) {
		const struct type_row *t = &s->type[s->only_type];
		const struct finding *f = data_finding_of(s, s->only_type);
		struct type_columns c = type_columns(cols);
		int plot = left >= 30 ? 10 : left >= 16 ? 5 : 0;
		double limit = 0;

		type_heads(s, y, &c);
		type_line(s, y + 1, cols, &c, t, false);
		y += 2;
		for (unsigned i = 0; f && i < f->estimate.n; i++)
			if (!strcmp(f->estimate.fact[i].name, "limit_bps") && f->estimate.fact[i].value > 0)
				limit = f->estimate.fact[i].value;
		if (plot) {
			char text[32] = "";

			if (limit > 0) {
				char rate[8];

				snprintf(text, sizeof(text), "limit %s %s", draw_rate(s, rate, limit),
					 s->g.limit);
			}
			draw_line(s, y++);
			draw_text(y, 1, cols, A_NORMAL, "down, last 5 min, %s  %s",
				  s->byte_units ? "byte/s" : "bit/s", text);
			draw_plot(s, y + 1, plot, t, limit);
			y += plot + 1;
		}
		draw_line(s, y++);
		panel_flows(s, y, rows - 1 - y, cols);
		hints(s, rows - 1, cols);
		return;
	}
	findings = 1 + (int)(nf < 3 ? nf : 3);
	if (nf > 3 && (left > 30 || s->panel == PANEL_FINDINGS)) {
		findings = 1 + (int)(nf < 8 ? nf : 8);
		if (findings > left / 3)
			findings = left / 3 > 4 ? left / 3 : 4;
	}
	panel_findings(s, y, findings, cols);
	y += findings;
	draw_line(s, y++);
	left = rows - 1 - y;
	/* The panel in use gets the room; the other at least a third. */
	types = (int)(s->ntype_rows ? s->ntype_rows : 1) + 1;
	if (s->panel == PANEL_FLOWS)
		types = types > left / 3 ? left / 3 : types;
	else
		types = types > left * 2 / 3 ? left * 2 / 3 : types;
	if (left - types < 4)
		types = s->panel == PANEL_FLOWS ? 0 : left;
	if (types)
		panel_types(s, y, types, cols);
	y += types;
	if (rows - 1 - y >= 3)
		panel_flows(s, y, rows - 1 - y, cols);
	hints(s, rows - 1, cols);
}
