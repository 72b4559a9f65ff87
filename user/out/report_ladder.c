// SPDX-License-Identifier: GPL-2.0-or-later
/* The ladder: the packets of one flow between its two ends, the forged one in colour. */
#include <netinet/in.h>
#include <string.h>

#include "html.h"
#include "report.h"

#define CLIENT 150.0
#define SERVER 500.0
#define ROW    34.0
#define TOP    34.0

static void flag_words(char out[32], uint8_t flags)
{
	static const struct {
		uint8_t bit;
		const char *word;
	} all[] = { { 0x02, "SYN" }, { 0x01, "FIN" }, { 0x04, "RST" }, { 0x08, "PSH" }, { 0x10, "ACK" } };

	*out = 0;
	for (unsigned i = 0; i < 5; i++)
		if (flags & all[i].bit)
			snprintf(out + strlen(out), 32 - strlen(out), "%s%s", *out ? "-" : "",
				 all[i].word);
	if (!*out)
		strcpy(out, "no flags");
}

/* What the packet is, in a few words; seq counts from the first of its way. */
static void words(FILE *to, const struct report_packet *p, const uint32_t first[2])
{
	char flags[32];

	if (p->proto == IPPROTO_TCP) {
		flag_words(flags, p->flags);
		fprintf(to, "%s seq %d", flags, (int32_t)(p->seq - first[p->way]));
	} else {
		fputs(p->proto == IPPROTO_UDP ? "UDP" : "packet", to);
	}
	if (p->payload)
		fprintf(to, ", %u bytes", p->payload);
}

/* Is it the marked one, or a reset like it from the same place? */
static bool odd(const struct report_finding *f, const struct report_packet *p)
{
	for (unsigned i = 0; i < f->npackets; i++) {
		const struct report_packet *m = &f->packet[i];

		if (*m->comment && (m == p || (m->way == p->way && m->ttl == p->ttl && p > m &&
					       m->proto == IPPROTO_TCP && m->flags & p->flags & 0x04)))
			return true;
	}
	return false;
}

static void arrow(FILE *to, const struct report_packet *p, double y, bool coloured)
{
	double from = p->way == TO_SERVER ? CLIENT : SERVER, at = p->way == TO_SERVER ? SERVER : CLIENT,
	       tip = p->way == TO_SERVER ? -8 : 8;

	fprintf(to,
		"<path class=\"%s\" d=\"M%.0f %.0fL%.0f %.0fm%.0f -4l%.0f 4l%.0f 4\"/>",
		coloured ? "type" : "arrow", from, y, at, y + 6, tip, -tip, tip);
}

void report_ladder(FILE *to, const struct report_finding *f)
{
	uint32_t first[2] = { 0 };
	bool seen[2] = { false };
	double y = TOP + 22;
	unsigned marks = 0, n = f->npackets < 14 ? f->npackets : 14;

	for (unsigned i = 0; i < n; i++) {
		const struct report_packet *p = &f->packet[i];

		marks += *p->comment != 0;
		if (!seen[p->way]) {
			seen[p->way] = true;
			first[p->way] = p->seq;
		}
	}
	if (!marks)
		return;
	fprintf(to,
		"<h3>The packets of one flow</h3>\n<div class=\"wide\"><svg role=\"img\" viewBox=\"0 0 "
		"720 %.0f\" aria-label=\"%u packets between a client and a server:",
		TOP + 30 + n * ROW, n);
	for (unsigned i = 0; i < n; i++)
		if (*f->packet[i].comment) {
			fprintf(to, " %s ", f->packet[i].way ? "to the client" : "to the server");
			words(to, &f->packet[i], first);
			fprintf(to, ", TTL %u: ", f->packet[i].ttl);
			html_text(to, f->packet[i].comment);
			fputs(";", to);
		}
	fputs("\">\n", to);
	fprintf(to,
		"<text x=\"%.0f\" y=\"18\" text-anchor=\"middle\">client</text><text x=\"%.0f\" "
		"y=\"18\" text-anchor=\"middle\">server</text><text x=\"590\" "
		"y=\"18\">TTL</text><text x=\"640\" y=\"18\">IP ID</text><text x=\"8\" y=\"18\">after"
		"</text>\n",
		CLIENT, SERVER);
	fprintf(to,
		"<line class=\"g\" x1=\"%.0f\" x2=\"%.0f\" y1=\"26\" y2=\"%.0f\"/><line class=\"g\" "
		"x1=\"%.0f\" x2=\"%.0f\" y1=\"26\" y2=\"%.0f\"/>\n",
		CLIENT, CLIENT, TOP + 20 + n * ROW, SERVER, SERVER, TOP + 20 + n * ROW);
	for (unsigned i = 0; i < n; i++, y += ROW) {
		const struct report_packet *p = &f->packet[i];
		double ms = p->time_ns > f->packet[0].time_ns
				    ? (p->time_ns - f->packet[0].time_ns) / 1e6
				    : 0;
		bool coloured = odd(f, p);

		arrow(to, p, y, coloured);
		fprintf(to, "<text x=\"8\" y=\"%.0f\">", y + 6);
		fprintf(to, ms < 1000 ? "%.1f ms" : "%.0f ms", ms);
		fprintf(to, "</text><text%s x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\">",
			coloured ? " class=\"odd\"" : "", (CLIENT + SERVER) / 2, y - 3);
		words(to, p, first);
		fprintf(to, "</text><text%s x=\"590\" y=\"%.0f\">%u</text>",
			coloured ? " class=\"odd\"" : "", y + 6, p->ttl);
		if (p->v4)
			fprintf(to, "<text x=\"640\" y=\"%.0f\">%u</text>", y + 6, p->ipid);
		fputc('\n', to);
	}
	fputs("</svg></div>\n", to);
	for (unsigned i = 0; i < n; i++) {
		const struct report_packet *p = &f->packet[i];

		/* copies bear the same words */
		if (!*p->comment || (i && !strcmp(p->comment, f->packet[i - 1].comment)))
			continue;
		fputs("<p class=\"dim\">In colour: ", to);
		html_text(to, p->comment);
		fputs("</p>\n", to);
	}
}
