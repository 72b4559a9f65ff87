// SPDX-License-Identifier: GPL-2.0-or-later
#include "outlet.h"

#include "out.h"

static void nowhere(void *arg, const char *text, size_t len)
{
}

void outlet_privacy(struct outlet *o, const struct privacy *p)
{
	o->privacy = *p;
	if (p->names == NAMES_DEFAULT)
		o->privacy.names = NAMES_NONE;
}

bool outlet_open(struct outlet *o, const struct options *how,
		 void (*write)(void *arg, const char *text, size_t len), void *arg)
{
	*o = (struct outlet){ .interval_s = how->interval_s, .write = write, .arg = arg };
	outlet_privacy(o, &how->privacy);
	if (!how->json) {
		o->inner = lines_sink(how, true, &o->privacy);
		return o->inner.ops;
	}
	o->inner = json_sink(options_events(how), true);
	if (o->inner.ops)
		json_privacy(o->inner, &o->privacy);
	return o->inner.ops;
}

static void redirect(const struct outlet *o)
{
	output_redirect(o->write, o->arg);
}

static void back(void)
{
	output_redirect(NULL, NULL);
}

void outlet_skip(struct outlet *o, const struct model *m, uint64_t time_ns)
{
	output_redirect(nowhere, NULL);
	o->inner.ops->stats(o->inner.s, m, time_ns, 1);
	back();
	o->last_ns = time_ns;
}

static void on_tool(void *s, const struct tool_event *e)
{
	struct outlet *o = s;

	if (!o->inner.ops)
		return;
	redirect(o);
	o->inner.ops->tool(o->inner.s, e);
	back();
}

static void on_flow(void *s, const struct model *m, const struct flow *f)
{
	struct outlet *o = s;

	if (!o->inner.ops)
		return;
	redirect(o);
	o->inner.ops->flow(o->inner.s, m, f);
	back();
}

static void on_rst(void *s, const struct model *m, const struct rst_event *e)
{
	struct outlet *o = s;

	if (!o->inner.ops)
		return;
	redirect(o);
	o->inner.ops->rst(o->inner.s, m, e);
	back();
}

static void on_finding(void *s, const struct model *m, const struct finding *f,
		       enum finding_action action, uint64_t time_ns)
{
	struct outlet *o = s;

	if (!o->inner.ops)
		return;
	redirect(o);
	o->inner.ops->finding(o->inner.s, m, f, action, time_ns);
	back();
}

/* Half a second of slack: an interval is not missed because a tick came a little early. */
static void on_stats(void *s, const struct model *m, uint64_t time_ns, double interval_s)
{
	struct outlet *o = s;
	double since = o->last_ns && time_ns > o->last_ns ? (time_ns - o->last_ns) / 1e9 : interval_s;

	if (!o->inner.ops || (o->last_ns && since < o->interval_s - 0.5 * interval_s))
		return;
	redirect(o);
	o->inner.ops->stats(o->inner.s, m, time_ns, since);
	back();
	o->last_ns = time_ns;
}

const struct sink outlet_sink = {
	.tool = on_tool, .flow = on_flow, .rst = on_rst, .finding = on_finding, .stats = on_stats,
};

void outlet_close(struct outlet *o)
{
	if (!o->inner.ops)
		return;
	redirect(o);
	if (o->inner.ops->close)
		o->inner.ops->close(o->inner.s);
	back();
	o->inner.ops = NULL;
}
