/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the screen share. */
#ifndef WEIR_SCREEN_PRIV_H
#define WEIR_SCREEN_PRIV_H

#include "format.h"
#include "interval.h"
#include "screen.h"

#define RING	  300 /* seconds of rates kept per type */
#define FLOW_ROWS 512 /* flows shown at most; all are counted and sorted */
#define FILTER_LEN 64
#define ACKNOWLEDGED 64

enum panel { PANEL_FINDINGS, PANEL_TYPES, PANEL_FLOWS, PANELS };
enum view { VIEW_MAIN, VIEW_FINDING, VIEW_FLOW, VIEW_TYPE };

/* Attributes by meaning; each is told by text or sign as well. */
enum paint { PAINT_PLAIN, PAINT_TITLE, PAINT_HEAD, PAINT_BAD, PAINT_WARN, PAINT_GOOD, PAINT_DIM, PAINTS };

struct signs {
	const char *likely, *possible, *cursor, *bar, *line, *down, *up, *limit, *rise, *fall;
	const char *level[9]; /* spark levels, empty to full */
};

/* One second of a type. */
struct second {
	float bits[2]; /* per second */
	float tcp_data[2], lost[2];
};

struct type_row {
	unsigned type;
	struct type_stats total; /* as of the last interval */
	struct second *ring;	 /* RING of them, NULL until the type has traffic; owned */
	double flows_new;	 /* per second, last interval */
	struct rtt_hist rtt;	 /* the last one to two minutes */
};

/* A flow as shown; copied, so that it stays while paused or after its end. */
struct flow_row {
	uint64_t id;
	struct flow f;	/* pointers in it are not to be used */
	char hint[128]; /* printable ASCII */
	double bits[2]; /* per second, last interval */
	double rtt_us;	/* median of the whole path, 0: none */
	double side_us[2], side_p95_us[2]; /* [TO_SERVER] us -> server -> us */
	bool gone;
};

/* The counters of a flow at the last interval. */
struct flow_mark {
	uint64_t id; /* 0: free */
	uint64_t bytes[2];
	float bits[2];
};

enum sort_types { TYPES_BY_DOWN, TYPES_BY_UP, TYPES_BY_FLOWS, TYPES_BY_LOSS, TYPES_BY_RTT,
		  TYPES_BY_RST, TYPES_BY_NAME, TYPES_SORTS };
enum sort_flows { FLOWS_BY_DOWN, FLOWS_BY_UP, FLOWS_BY_LOSS, FLOWS_BY_RTT, FLOWS_BY_AGE,
		  FLOWS_BY_CLIENT, FLOWS_SORTS };

/* A filter: words that must all be met. Parsed anew at each key. */
struct filter {
	char text[FILTER_LEN];
	bool valid;
	char why[48]; /* when not */
};

struct screen {
	struct model *m;
	struct findings *findings;
	void *term; /* SCREEN * */
	struct signs g;
	unsigned attr[PAINTS];
	struct privacy privacy; /* names; addresses are masked, not mapped */
	bool byte_units, redact, paused, frozen, help, quit;
	uint64_t paused_at;
	unsigned window; /* index into the windows */
	enum view view;
	enum panel panel;
	struct filter filter;
	bool typing;
	char before_typing[FILTER_LEN];
	unsigned sort[PANELS];
	bool reverse[PANELS];
	/* Selection follows the row, not the line. */
	uint32_t sel_finding; /* id, 0: none yet */
	int sel_type;	      /* -1: none yet */
	uint64_t sel_flow;
	bool moved[PANELS];   /* the user chose a row; until then it is the top one */
	unsigned top[PANELS]; /* first line shown */
	unsigned page[PANELS]; /* lines shown */
	uint32_t acknowledged[ACKNOWLEDGED]; /* findings the user has seen: shown last and dim; a ring */
	unsigned nacknowledged;
	screen_writer write;
	void *write_arg;
	char said[160]; /* what came of the last key, until the next */
	int only_type; /* VIEW_TYPE: flows of that one; -1 */
	unsigned detail_top, detail_lines, help_top;

	/* Figures of the last interval. */
	uint64_t intervals; /* so far */
	double second_s;    /* length of the last one */
	double skipped_s;   /* while paused */
	uint64_t time_ns;
	struct interval iv, rtt_old, rtt_new;
	unsigned rtt_age;
	struct type_row type[MAX_TYPES];
	unsigned ntypes;
	unsigned type_order[MAX_TYPES], ntype_rows;
	struct flow_row flow[FLOW_ROWS];
	unsigned nflow_rows;
	uint64_t flows_matching, flows_held;
	struct flow_mark *mark;
	size_t nmarks; /* power of two, 0: none yet */
	double now_bits[2];
	char source[128], problem[128];
	struct screen_status status;
};

extern const unsigned screen_windows[4]; /* seconds */

/* screen_data.c: figures. */
void data_stats(struct screen *s, const struct model *m, uint64_t time_ns, double interval_s);
void data_types(struct screen *s); /* type_order anew, by filter and sort */
void data_flows(struct screen *s); /* flow[] anew, by filter, sort and only_type */
double data_bits(const struct screen *s, const struct type_row *t, unsigned way); /* window's mean */
double data_loss(const struct screen *s, const struct type_row *t, unsigned way); /* NaN: too few */
double flow_loss(const struct flow *f, unsigned way);				  /* likewise */

void data_free(struct screen *s);

/* The open finding that matters most for a type, NULL: none. */
const struct finding *data_finding_of(const struct screen *s, int type);

/* screen_filter.c */
void filter_check(struct filter *f); /* sets valid and why */
/* Fields by name; "" where they do not apply. An invalid filter matches everything. */
struct filter_fields {
	const char *type, *app, *l7, *client, *server, *hint, *state, *proto;
	unsigned cport, sport;
	bool flow; /* false: a type, only words and type: apply */
};
bool filter_match(const struct filter *f, const struct filter_fields *x);

/* screen_draw.c: primitives. Text is clipped to width columns. */
void draw_set(struct screen *s, bool utf8, bool color);
void draw_text(int y, int x, int width, unsigned attr, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void draw_right(int y, int x, int width, unsigned attr, const char *text);
void draw_line(const struct screen *s, int y);
void draw_spark(const struct screen *s, int y, int x, int width, unsigned attr, const struct type_row *t);
void draw_plot(const struct screen *s, int y, int height, const struct type_row *t, double limit_bps);
const char *draw_rate(const struct screen *s, char out[8], double bits);
void draw_client(const struct screen *s, char *out, size_t len, const struct endpoint *e, bool port);
unsigned columns_of(const char *utf8); /* width on the terminal */

/* screen_main.c, screen_detail.c: the views. */
void view_main(struct screen *s, int rows, int cols);
void view_flow(struct screen *s, int rows, int cols);
void view_finding(struct screen *s, int rows, int cols);
void view_help(struct screen *s, int rows, int cols);
void panel_types(struct screen *s, int y, int height, int cols);
void panel_flows(struct screen *s, int y, int height, int cols);
void panel_findings(struct screen *s, int y, int height, int cols);
const char *finding_short(const struct finding *f);

bool finding_acknowledged(const struct screen *s, uint32_t id);

/* The last line: what the last key did, where it said something. False: nothing. */
bool draw_said(const struct screen *s, int y, int cols);

/* The findings in the order shown: open ones first, the worst on top. Writes at most max. */
unsigned findings_order(const struct screen *s, const struct finding **out, unsigned max);

#endif
