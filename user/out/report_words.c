// SPDX-License-Identifier: GPL-2.0-or-later
/* A finding in words: its sentence, its numbers, what was ruled out. */
#include <math.h>
#include <string.h>

#include "html.h"
#include "report.h"

struct word {
	const char *name, *words;
};

static const struct word explanations[] = {
	{ "congestion", "A full link (congestion)" },
	{ "random_loss", "Random loss" },
	{ "app", "The application sent no more" },
	{ "receiver", "The receiver's window" },
	{ "sender_pacing", "The sender paces itself" },
	{ "distance", "Servers that are far away" },
	{ "route", "Another way there" },
	{ "slow_server", "A slow server" },
	{ "path_loss", "The path loses packets of every type" },
	{ "near_side", "Between the client and this gateway" },
	{ "server_down", "The servers are down" },
	{ "one_server", "One bad server" },
	{ "rate_limit", "A rate limit" },
	{ "refused", "The other end refused" },
	{ "retransmission", "A retransmission" },
	{ "keepalive", "A keepalive" },
	{ "connection_refused", "A closed port" },
	{ "closed_port", "A closed port" },
	{ "server_or_client_abort", "The server or the client gave up" },
	{ "after_fin", "Resets after a FIN, cases" },
	{ "idle_timeout", "Resets after long idleness, cases" },
	{ "server_restart", "The server restarted, cases" },
	{ "duplicates", "The same packet seen twice" },
	{ "lost_records", "Packets weir had no room for" },
	{ "record_order", "Records in another order" },
	{ "asked_again", "Questions asked again, cases" },
	{ "across_questions", "Answers to different questions" },
	{ "servers_own_answer", "The server's own answer" },
	{ "syn_sent_again", "The SYN was sent again" },
};

static void words_of(FILE *to, const struct word *w, size_t n, const char *name)
{
	char plain[64];

	for (size_t i = 0; i < n; i++) {
		if (!strcmp(w[i].name, name)) {
			fputs(w[i].words, to);
			return;
		}
	}
	snprintf(plain, sizeof(plain), "%s", name);
	for (char *c = plain; *c; c++)
		*c = *c == '_' ? ' ' : *c;
	html_text(to, plain);
}

void report_name(FILE *to, const char *name)
{
	words_of(to, NULL, 0, name);
}

const char *report_kind(enum kind kind)
{
	static const char *const words[KIND_COUNT] = {
		[KIND_RATE_LIMIT] = "rate limit",
		[KIND_RST_INJECTION] = "injected resets",
		[KIND_CONTENT_INJECTION] = "injected content",
		[KIND_DNS_INJECTION] = "injected DNS answers",
		[KIND_SELECTIVE_DROP] = "selective drop",
	};

	return kind < KIND_COUNT && words[kind] ? words[kind] : "interference";
}

static bool ends(const char *name, const char *with)
{
	size_t n = strlen(name), m = strlen(with);

	return n >= m && !strcmp(name + n - m, with);
}

/* The unit is in the fact's name, as in the events. */
static void number(FILE *to, const char *name, double v)
{
	if (strstr(name, "_bps")) {
		html_si(to, v, "bit/s");
	} else if (strstr(name, "ratio")) {
		html_percent(to, v);
	} else if (strstr(name, "bytes")) {
		html_si(to, v, "B");
	} else {
		if (v == floor(v) && fabs(v) < 1e15)
			fprintf(to, "%.0f", v);
		else
			fprintf(to, "%.4g", v);
		if (ends(name, "_ms") || strstr(name, "_ms_"))
			fputs(" ms", to);
		else if (ends(name, "_s") || strstr(name, "_s_"))
			fputs(" s", to);
	}
}

/* Answers to DNS questions are what such a finding is about; elsewhere an address may be a
 * client's. */
static void wire_text(FILE *to, const struct finding *f, const char *t)
{
	if (f->kind == KIND_DNS_INJECTION)
		html_text(to, t);
	else
		html_text_redacted(to, t);
}

static void row(FILE *to, const struct finding *f, const struct fact *x, bool controls)
{
	fputs("<tr><th>", to);
	words_of(to, NULL, 0, x->name);
	fputs("</th><td>", to);
	if (isfinite(x->value))
		number(to, x->name, x->value);
	if (isfinite(x->value) && *x->text)
		fputs("; ", to);
	wire_text(to, f, x->text);
	fputs("</td>", to);
	if (controls)
		fputs("<td>", to);
	if (isfinite(x->control))
		number(to, x->name, x->control);
	fputs(controls ? "</td></tr>\n" : "</tr>\n", to);
}

static void rows(FILE *to, const struct finding *f, const char *title, const struct facts *s,
		 bool controls)
{
	if (!s->n)
		return;
	fprintf(to, "<tbody><tr><th colspan=\"%u\" class=\"part\">%s</th></tr>\n", controls ? 3u : 2u, title);
	for (unsigned i = 0; i < s->n; i++)
		row(to, f, &s->fact[i], controls);
	fputs("</tbody>\n", to);
}

void report_facts(FILE *to, const struct finding *f)
{
	const struct facts *all[] = { &f->estimate, &f->control, &f->reasons };
	bool controls = false;

	for (unsigned k = 0; k < 3; k++)
		for (unsigned i = 0; i < all[k]->n; i++)
			controls |= isfinite(all[k]->fact[i].control);
	fprintf(to,
		"<div class=\"wide\"><table><thead><tr><th>What was measured</th><th>Value</th>%s"
		"</tr></thead>\n",
		controls ? "<th>The control's</th>" : "");
	rows(to, f, "Estimate", &f->estimate, controls);
	rows(to, f, "Compared with", &f->control, controls);
	rows(to, f, "Reasons", &f->reasons, controls);
	fputs("</table></div>\n", to);
}

void report_ruled_out(FILE *to, const struct finding *f)
{
	fputs("<div class=\"wide\"><table><thead><tr><th>What else it could be</th><th>The "
	      "test</th>"
	      "<th>Result</th></tr></thead><tbody>\n",
	      to);
	for (unsigned i = 0; i < f->ruled_out.n; i++) {
		const struct fact *x = &f->ruled_out.fact[i];
		bool open = !strncmp(x->text, "not ruled out", 13);

		fputs("<tr><th>", to);
		words_of(to, explanations, sizeof(explanations) / sizeof(*explanations), x->name);
		fputs("</th><td>", to);
		if (isfinite(x->value))
			number(to, x->name, x->value);
		if (isfinite(x->control)) {
			fputs(isfinite(x->value) ? " against " : "against ", to);
			number(to, x->name, x->control);
		}
		if (isfinite(x->value) && *x->text)
			fputs("; ", to);
		wire_text(to, f, x->text);
		fprintf(to, "</td><td>%s</td></tr>\n", open ? "left open" : "ruled out");
	}
	fputs("</tbody></table></div>\n", to);
}

const char *report_subject(const struct report *r, const struct report_finding *f)
{
	const struct fact *shared;

	if (f->f.type >= 0 && (unsigned)f->f.type < r->ntypes)
		return r->type[f->f.type].name;
	if (*f->subject)
		return f->subject;
	shared = report_fact(&f->f.reasons, "shared_by");
	return shared && *shared->text ? shared->text : "single flows";
}

static double fact_value(const struct facts *s, const char *name)
{
	const struct fact *x = report_fact(s, name);

	return x ? x->value : NAN;
}

/* " (interval a to b)", where it was measured. */
static void between(FILE *to, const struct facts *s, const char *low, const char *high)
{
	double a = fact_value(s, low), b = fact_value(s, high);

	if (!isfinite(a) || !isfinite(b))
		return;
	fputs(" (interval ", to);
	number(to, low, a);
	fputs(" to ", to);
	number(to, high, b);
	fputs(")", to);
}

static void limit(FILE *to, const struct finding *f)
{
	double bps = fact_value(&f->estimate, "limit_bps"),
	       burst = fact_value(&f->estimate, "burst_bytes");
	double control = fact_value(&f->control, "rate_bps");
	const struct fact *types = report_fact(&f->control, "types");

	fputs(" held to ", to);
	if (isfinite(bps))
		html_si(to, bps, "bit/s");
	else
		fputs("a rate", to);
	between(to, &f->estimate, "limit_bps_low", "limit_bps_high");
	fprintf(to, " by a %s",
		f->subkind == SUBKIND_UNKNOWN ? "limiter" : subkind_name(f->subkind));
	if (isfinite(burst)) {
		fputs(", burst ", to);
		html_si(to, burst, "B");
	}
	if (!types || !*types->text) {
		fputs(". No other type was there to compare with.", to);
		return;
	}
	fputs(". Control: ", to);
	html_text(to, types->text);
	if (isfinite(control)) {
		fputs(" had ", to);
		html_si(to, control, "bit/s");
	}
	fputs(" on the same path at the same time.", to);
}

static void delayed(FILE *to, const struct finding *f)
{
	double added = fact_value(&f->estimate, "added_delay_ms"),
	       control = fact_value(&f->control, "added_delay_ms");
	const struct fact *types = report_fact(&f->control, "types");

	fprintf(to, " delayed by %.0f ms", added);
	between(to, &f->estimate, "added_delay_ms_low", "added_delay_ms_high");
	if (types && isfinite(control)) {
		fputs(". Control: ", to);
		html_text(to, types->text);
		fprintf(to, " by %.0f ms in the same minutes", control);
	}
	fputs(".", to);
}

static void dropped(FILE *to, const struct finding *f)
{
	double ratio = fact_value(&f->estimate, "drop_ratio"),
	       control = fact_value(&f->control, "drop_ratio");

	fputs(f->subkind == SUBKIND_FREEZE ? " frozen: " : ": ", to);
	if (isfinite(ratio))
		html_percent(to, ratio);
	else
		fputs("a share", to);
	fputs(" of the packets offered were dropped", to);
	between(to, &f->estimate, "drop_ratio_low", "drop_ratio_high");
	if (isfinite(control)) {
		fputs(". Control: the other types lost ", to);
		html_percent(to, control);
		between(to, &f->control, "drop_ratio_low", "drop_ratio_high");
		fputs(" on the same path in the same minutes", to);
	}
	fputs(".", to);
}

static void injected(FILE *to, const struct finding *f)
{
	static const char *const what[KIND_COUNT] = {
		[KIND_RST_INJECTION] = "resets that bear the signs of a third party",
		[KIND_CONTENT_INJECTION] = "content that its sender did not send",
		[KIND_DNS_INJECTION] = "DNS answers that the server did not send",
	};
	double with = fact_value(&f->control, "passed_with_trigger"),
	       without = fact_value(&f->control, "passed_without");
	double ttl = fact_value(&f->estimate, "ttl"), own = fact_value(&f->estimate, "flow_ttl");

	fprintf(to, ": %s in %u flow%s", what[f->kind] ? what[f->kind] : "packets", f->flows,
		f->flows == 1 ? "" : "s");
	if (isfinite(ttl) && isfinite(own))
		fprintf(to, ", TTL %.0f where the flow's own packets have %.0f", ttl, own);
	if (isfinite(with) && isfinite(without))
		fprintf(to, ". Control: %.0f flow%s without the trigger passed, %.0f with it",
			without, without == 1 ? "" : "s", with);
	fputs(".", to);
}

void report_sentence(FILE *to, const struct report *r, const struct report_finding *p)
{
	static const char *const level[] = { "Possible", "Likely", "Corroborated" };
	static const char *const way[] = { "to the client", "to the server", "both ways" };
	const struct finding *f = &p->f;

	fprintf(to, "<b>%s:</b> ", level[f->level < LEVEL_COUNT ? f->level : LEVEL_POSSIBLE]);
	html_text(to, report_subject(r, p));
	fprintf(to, " %s", way[f->direction < DIRECTION_COUNT ? f->direction : DIRECTION_BOTH]);
	if (f->kind == KIND_RATE_LIMIT && f->subkind == SUBKIND_DELAY)
		delayed(to, f);
	else if (f->kind == KIND_RATE_LIMIT)
		limit(to, f);
	else if (f->kind == KIND_SELECTIVE_DROP)
		dropped(to, f);
	else
		injected(to, f);
	fprintf(to, " Confidence %.2f; %u flow%s of %u client%s.", f->confidence, f->flows,
		f->flows == 1 ? "" : "s", f->clients, f->clients == 1 ? "" : "s");
}
