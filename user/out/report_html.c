// SPDX-License-Identifier: GPL-2.0-or-later
/* The report's page. Well-formed as XML, without script, links or anything from elsewhere. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "html.h"
#include "report.h"
#include "stats.h"

#define Z95 1.959964

static const char head[] =
	"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
	"'unsafe-inline'\"/>\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
	"<meta name=\"referrer\" content=\"no-referrer\"/>\n<title>";

/* clang-format off */
static const char style[] =
	"<style>\n"
	":root{color-scheme:light dark;--bg:#fff;--fg:#1c1c1c;--dim:#595959;--line:#d4d4d4;--type:#b3261e;--control:#00684a;--soft:#f5f5f5}\n"
	"@media (prefers-color-scheme:dark){:root{--bg:#161616;--fg:#ececec;--dim:#adadad;--line:#444;--type:#ff8a80;--control:#5bd6a3;--soft:#232323}}\n"
	"body{font:16px/1.5 system-ui,sans-serif;max-width:860px;margin:1.5em auto;padding:0 1em;color:var(--fg);background:var(--bg)}\n"
	"h1{font-size:1.5em;line-height:1.25}h2{margin-top:2em;border-top:1px solid var(--line);padding-top:.6em}\n"
	".card{border-left:6px solid var(--type);background:var(--soft);padding:.7em 1em;margin:1em 0}.card.maybe{border-left-style:dotted}.card.none{border-color:var(--control)}\n"
	".dim{color:var(--dim);font-size:.9em}.wide{overflow-x:auto}td,tbody th,code,p,h1,h2,li{overflow-wrap:anywhere}\n"
	"table{border-collapse:collapse;width:100%;font-size:.9em;margin:.8em 0}td,th{border-bottom:1px solid var(--line);padding:.25em .6em .25em 0;text-align:left;vertical-align:top}tbody th{font-weight:400}tbody th.part{padding-top:.8em;color:var(--dim);font-weight:600}td.n,th.n{text-align:right}td.n,.name{white-space:nowrap}th.n{white-space:normal;overflow-wrap:normal}\n"
	"svg{display:block;width:100%;min-width:620px;height:auto}svg text{font:13px system-ui,sans-serif;fill:var(--fg)}\n"
	".g,.arrow{stroke:var(--line)}.type,.control,.lim,.arrow,.loss{fill:none;stroke:var(--type);stroke-width:2}.g{stroke-width:1}.arrow{stroke:var(--dim);stroke-width:1.5}.loss{stroke:var(--fg);stroke-width:1.5}svg text.odd{fill:var(--type);font-weight:600}.control{stroke:var(--control);stroke-width:1.5}.lim{stroke-dasharray:7 4}.band{fill:var(--type);opacity:.18}.ev{fill:var(--type)}.up{fill:var(--control)}.maybe{opacity:.55}\n"
	"code{font-size:.95em}\n"
	"@media print{body{max-width:none;margin:0;font-size:11pt}.wide{overflow:visible}svg{min-width:0}tr,svg,.card{break-inside:avoid}h2,h3{break-after:avoid}}\n"
	"</style></head><body>\n";
/* clang-format on */

static bool stands_for(const struct finding *x, const struct finding *y)
{
	if (x->level != y->level)
		return x->level > y->level;
	return x->start_ns != y->start_ns ? x->start_ns > y->start_ns : x->id > y->id;
}

/* Of many findings of one subject and kind one leads; the others are told after all leaders. */
static void choose_leads(struct report *r)
{
	for (unsigned i = 0; i < r->nfindings; i++) {
		struct report_finding *f = &r->finding[i];

		f->lead = true;
		for (unsigned k = 0; k < r->nfindings && f->lead; k++)
			f->lead = r->finding[k].f.kind != f->f.kind ||
				  !stands_for(&r->finding[k].f, &f->f) ||
				  strcmp(report_subject(r, &r->finding[k]), report_subject(r, f));
	}
}

static int by_weight(const void *a, const void *b)
{
	const struct report_finding *p = a, *q = b;
	const struct finding *x = &p->f, *y = &q->f;

	if (p->lead != q->lead)
		return p->lead ? -1 : 1;
	if (x->level != y->level)
		return x->level < y->level ? 1 : -1;
	if (x->start_ns != y->start_ns)
		return (x->start_ns < y->start_ns) == p->lead ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static unsigned claims(const struct report *r)
{
	return r->total[LEVEL_LIKELY] + r->total[LEVEL_CORROBORATED];
}

static void card(FILE *to, const struct report *r, const struct report_finding *f)
{
	fprintf(to, "<div class=\"card%s\">#%u ", f->f.level >= LEVEL_LIKELY ? "" : " maybe",
		f->f.id);
	report_sentence(to, r, f);
	fputs("<br/><span class=\"dim\">", to);
	html_time(to, f->f.start_ns);
	fputs(" to ", to);
	if (f->f.end_ns)
		html_time(to, f->f.end_ns);
	else
		fputs(r->history ? "now, as far as is known" : "the end of what was seen", to);
	if (f->f.degraded)
		fputs("; degraded: not all could be seen at that time", to);
	fputs("</span></div>\n", to);
}

static void verdict(FILE *to, const struct report *r)
{
	unsigned n = claims(r);

	if (!r->nfindings)
		fputs("<div class=\"card none\"><b>Nothing was found.</b> No rate limit, no "
		      "injected packet and no drop of "
		      "one type of traffic reached the evidence that a finding needs. That is no "
		      "proof that there was none: "
		      "see the limits below.</div>\n",
		      to);
	else if (!n)
		fputs("<p>Nothing here is a claim: what was found is possible, and another "
		      "explanation is left.</p>\n",
		      to);
	for (unsigned i = 0; i < r->nfindings && i < REPORT_FULL; i++)
		card(to, r, &r->finding[i]);
	if (n + r->total[LEVEL_POSSIBLE] > REPORT_FULL)
		fprintf(to, "<p>%u more findings, of the same kinds or less sure, are not told here: when they "
			    "were stands below.</p>\n", n + r->total[LEVEL_POSSIBLE] - REPORT_FULL);
}

static void details(FILE *to, const struct report *r)
{
	for (unsigned i = 0; i < r->nfindings && i < REPORT_FULL; i++) {
		const struct report_finding *f = &r->finding[i];

		fprintf(to, "<h2>#%u: %s (", f->f.id, report_kind(f->f.kind));
		report_name(to, subkind_name(f->f.subkind));
		fputs("), ", to);
		html_text(to, report_subject(r, f));
		fputs("</h2>\n", to);
		if (*f->f.what) {
			fputs("<p>", to);
			html_text_redacted(to, f->f.what);
			fputs("</p>\n", to);
		}
		if (f->f.kind == KIND_RATE_LIMIT || f->f.kind == KIND_SELECTIVE_DROP)
			report_rates(to, r, f);
		report_bytes(to, r, f);
		report_ladder(to, f);
		report_ruled_out(to, &f->f);
		report_facts(to, &f->f);
		fputs("<p class=\"dim\">Method: ", to);
		html_text(to, f->f.method);
		fputs("</p>\n", to);
	}
}

static void loss_cell(FILE *to, const struct type_stats *t, unsigned way)
{
	double n = (double)(t->tcp_data_packets[way] + t->lost[way]), ratio = loss_ratio(t, way);
	struct range range;

	fputs("<td class=\"n\">", to);
	if (isfinite(ratio)) {
		range = stats_wilson((double)t->lost[way], n, Z95);
		fprintf(to, "%.2f %% (%.2f to %.2f)<br/>of %.0f", 100 * ratio, 100 * range.low,
			100 * range.high, n);
	} else {
		fputs("n/a", to);
	}
	fputs("</td>", to);
}

static void types(FILE *to, const struct report *r)
{
	fputs("<h2>By type of traffic</h2>\n", to);
	report_losses(to, r);
	fputs("<div class=\"wide\"><table><thead><tr><th>Type</th><th "
	      "class=\"n\">Flows</th>"
	      "<th class=\"n\">To clients</th><th class=\"n\">To servers</th><th class=\"n\">Loss "
	      "to clients</th>"
	      "<th class=\"n\">Loss to servers</th><th class=\"n\">RTT, median</th><th "
	      "class=\"n\">Resets</th>"
	      "<th class=\"n\">Suspect</th></tr></thead><tbody>\n",
	      to);
	for (unsigned i = 0; i < r->ntypes; i++) {
		const struct type_stats *t = &r->type[i];

		if (!t->flows_started && !t->bytes[0] && !t->bytes[1])
			continue;
		fputs("<tr><th class=\"name\">", to);
		html_text(to, t->name);
		fprintf(to, "</th><td class=\"n\">%lu</td><td class=\"n\">",
			(unsigned long)t->flows_started);
		html_si(to, t->bytes[TO_CLIENT], "B");
		fputs("</td><td class=\"n\">", to);
		html_si(to, t->bytes[TO_SERVER], "B");
		fputs("</td>", to);
		loss_cell(to, t, TO_CLIENT);
		loss_cell(to, t, TO_SERVER);
		if (r->rtt_ms[i] > 0)
			fprintf(to, "<td class=\"n\">%.1f ms</td>", r->rtt_ms[i]);
		else
			fputs("<td class=\"n\">n/a</td>", to);
		fprintf(to, "<td class=\"n\">%lu</td><td class=\"n\">%lu</td></tr>\n",
			(unsigned long)t->rsts, (unsigned long)t->rsts_suspect);
	}
	fputs("</tbody></table></div>\n<p class=\"dim\">Loss is of TCP, on either side of the "
	      "gateway, with the 95 % interval "
	      "of Wilson; of so many data packets offered; n/a: not measured. QUIC and other encrypted transports hide "
	      "theirs.</p>\n",
	      to);
}

static void packets(FILE *to, const struct totals *t)
{
	unsigned long lost = 0;

	for (unsigned i = 0; i < WEIR_UNSENT; i++)
		lost += t->lost[i];
	fprintf(to, "<li>Packets: %llu seen, %llu in %lu flows", (unsigned long long)t->c.seen,
		(unsigned long long)t->c.in_flows, (unsigned long)t->flows_started);
	for (unsigned i = 0; i < WEIR_ELSEWHERE; i++)
		if (t->c.elsewhere[i])
			fprintf(to, ", %llu %s", (unsigned long long)t->c.elsewhere[i],
				elsewhere_name(i));
	fprintf(to, ". Records: %lu, lost %lu", (unsigned long)t->records, lost);
	for (unsigned i = 0; i < WEIR_UNSENT; i++)
		if (t->lost[i])
			fprintf(to, ", %lu %s", (unsigned long)t->lost[i], unsent_name(i));
	fputs(".</li>\n", to);
}

static void limits(FILE *to, const struct report *r, const struct report_source *s)
{
	unsigned degraded = 0;

	for (unsigned i = 0; i < r->nfindings; i++)
		degraded += r->finding[i].f.degraded;
	fputs("<h2>Limits</h2>\n<ul>\n<li>One vantage point: it shows that packets are missing, "
	      "late or forged, not who does it "
	      "or why.</li>\n<li><i>Possible</i> is no claim. <i>Likely</i> is one; "
	      "<i>corroborated</i> is one that several servers or several clients bear "
	      "witness to.</li>\n<li>A type that was alone on the path has "
	      "nothing to be compared with.</li>\n",
	      to);
	fputs(r->history ? "<li>Only what passed this gateway's processor was seen: what hardware "
			   "carries past it is missing here. Times without traffic of a type say "
			   "nothing about it.</li>\n"
			 : "<li>Only what the capture holds was seen: what its maker's filter, "
			   "offload or full buffers left out is missing here too.</li>\n",
	      to);
	if (!r->history)
		packets(to, &r->totals);
	if (degraded)
		fprintf(to, "<li>%u finding%s degraded: not all could be seen at that time.</li>\n",
			degraded, degraded == 1 ? " is" : "s are");
	if (s->broken)
		fputs("<li>The capture breaks off; what was readable was analysed.</li>\n", to);
	fputs("<li>Redaction: no client's address is in this report, nor any other address but the "
	      "answers to DNS questions; in the command below too. "
	      "Names that were asked for are: look at them before you pass it on.</li>\n</ul>\n",
	      to);
}

static void method(FILE *to, const struct report *r, const struct report_source *s)
{
	fputs("<h2>Method, and how to repeat it</h2>\n<p>weir " WEIR_VERSION ", ", to);
	html_text_redacted(to, s->settings);
	fputs(". Methods and their versions:", to);
	for (unsigned i = 0; i < r->nfindings; i++) {
		unsigned k = 0;

		while (k < i && strcmp(r->finding[k].f.method, r->finding[i].f.method))
			k++;
		if (k < i)
			continue;
		fputs(i ? ", " : " ", to);
		html_text(to, r->finding[i].f.method);
	}
	fputs(r->nfindings ? ".</p>\n" : " none found anything.</p>\n", to);
	fputs("<p><code>", to);
	html_text_redacted(to, s->command);
	fputs(r->history ? "</code></p>\n<p>History: " : "</code></p>\n<p>Capture: ", to);
	html_text(to, s->name);
	if (s->sha256) {
		fprintf(to, ", %llu bytes, SHA-256 <code>", (unsigned long long)s->bytes);
		html_text(to, s->sha256);
		fputs("</code>", to);
	}
	fputs("</p>\n", to);
}

static void title(FILE *to, const struct report *r)
{
	unsigned n = claims(r), rest = r->total[LEVEL_POSSIBLE];

	if (!r->nfindings)
		fputs("Nothing found", to);
	else if (n)
		fprintf(to, "%u claim%s of interference", n, n == 1 ? "" : "s");
	else
		fprintf(to, "%u possible finding%s", rest, rest == 1 ? "" : "s");
	if (n && rest)
		fprintf(to, ", %u possible", rest);
}

void report_html(FILE *to, struct report *r, const struct report_source *s)
{
	choose_leads(r);
	qsort(r->finding, r->nfindings, sizeof(*r->finding), by_weight);
	fputs(head, to);
	title(to, r);
	fputs(": weir report</title>\n", to);
	fputs(style, to);
	fputs("<h1>", to);
	title(to, r);
	fputs("</h1>\n<p class=\"dim\">", to);
	html_text(to, s->name);
	if (r->start_ns) {
		fputs(", ", to);
		html_time(to, r->start_ns);
		fputs(" to ", to);
		html_time(to, r->end_ns);
	}
	fputs("</p>\n", to);
	verdict(to, r);
	if (r->nfindings) {
		fputs("<h2>When</h2>\n", to);
		report_timeline(to, r);
	}
	details(to, r);
	types(to, r);
	limits(to, r, s);
	method(to, r, s);
	fputs("</body></html>\n", to);
}
