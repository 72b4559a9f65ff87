// SPDX-License-Identifier: GPL-2.0-or-later
/* The JSON Schema of the events (draft 2020-12). Enumerations come from the name lists. */
#include <string.h>

#include "jbuf.h"
#include "names.h"
#include "out.h"

typedef const char *name_of(unsigned id);


static void enumeration(struct jbuf *b, const char *key, name_of *name, unsigned n)
{
	jb_open(b, key, '{');
	jb_open(b, "enum", '[');
	for (unsigned i = 0; i < n; i++)
		jb_str(b, NULL, name(i));
	jb_close(b, ']');
	jb_close(b, '}');
}

/* words: separated by blanks */
static void words(struct jbuf *b, const char *key, const char *list)
{
	jb_open(b, key, '[');
	while (*list) {
		size_t n = strcspn(list, " ");
		char word[64];

		memcpy(word, list, n);
		word[n] = 0;
		jb_str(b, NULL, word);
		list += n;
		list += strspn(list, " ");
	}
	jb_close(b, ']');
}

static void choice(struct jbuf *b, const char *key, const char *list)
{
	jb_open(b, key, '{');
	words(b, "enum", list);
	jb_close(b, '}');
}

/* A property of a JSON type; min: its least value, NULL none. */
static void property(struct jbuf *b, const char *key, const char *type, const char *about)
{
	bool count = !strcmp(type, "count");

	jb_open(b, key, '{');
	jb_str(b, "type", count ? "integer" : type);
	if (count)
		jb_u64(b, "minimum", 0);
	if (about)
		jb_str(b, "description", about);
	jb_close(b, '}');
}

static void properties(struct jbuf *b, const char *type, const char *list)
{
	while (*list) {
		size_t n = strcspn(list, " ");
		char word[64];

		memcpy(word, list, n);
		word[n] = 0;
		property(b, word, type, NULL);
		list += n;
		list += strspn(list, " ");
	}
}

static void stamp(struct jbuf *b, const char *key)
{
	jb_open(b, key, '{');
	jb_str(b, "type", "string");
	jb_str(b, "pattern",
	       "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z$");
	jb_close(b, '}');
}

static void ratio(struct jbuf *b, const char *key)
{
	jb_open(b, key, '{');
	jb_str(b, "type", "number");
	jb_u64(b, "minimum", 0);
	jb_u64(b, "maximum", 1);
	jb_close(b, '}');
}

static void object(struct jbuf *b, const char *key)
{
	jb_open(b, key, '{');
	jb_str(b, "type", "object");
	jb_open(b, "properties", '{');
}

/* closed: no other keys than those named. */
static void object_end(struct jbuf *b, const char *required, bool closed)
{
	jb_close(b, '}');
	words(b, "required", required);
	if (closed)
		jb_bool(b, "additionalProperties", false);
	jb_close(b, '}');
}

/* An object that counts by reason. */
static void reasons(struct jbuf *b, const char *key, name_of *name, unsigned n)
{
	object(b, key);
	for (unsigned i = 0; i < n; i++)
		property(b, name(i), "count", NULL);
	object_end(b, "", true);
}

static void def_tool(struct jbuf *b)
{
	object(b, "tool");
	choice(b, "action", "start attach detach reload lost stop");
	properties(b, "string", "version hook why file");
	object(b, "packets");
	properties(b, "count", "seen in_flows");
	reasons(b, "elsewhere", elsewhere_name, WEIR_ELSEWHERE);
	object_end(b, "seen in_flows elsewhere", true);
	object(b, "bytes");
	properties(b, "count", "seen in_flows");
	reasons(b, "elsewhere", elsewhere_name, WEIR_ELSEWHERE);
	object_end(b, "seen in_flows elsewhere", true);
	object(b, "buffers");
	properties(b, "count", "seen bytes");
	object_end(b, "seen bytes", true);
	object(b, "records");
	properties(b, "count", "sent");
	reasons(b, "lost", unsent_name, WEIR_UNSENT);
	object_end(b, "sent lost", true);
	object(b, "flows");
	properties(b, "count", "started active evicted");
	object_end(b, "started active evicted", true);
	object(b, "refused");
	properties(b, "count", "findings flows");
	object_end(b, "findings flows", true);
	object_end(b, "action", true);
}

static void def_stats(struct jbuf *b)
{
	object(b, "stats");
	property(b, "type", "string", "absent: all types together");
	property(b, "interval_s", "number", NULL);
	properties(b, "count",
		   "flows_active flows_new down_packets up_packets down_bytes up_bytes "
		   "down_bps up_bps rst rst_suspect");
	ratio(b, "loss_down_ratio");
	ratio(b, "loss_up_ratio");
	object(b, "rtt_ms");
	properties(b, "number", "p50 p95");
	properties(b, "count", "n");
	object_end(b, "n", true);
	object_end(b, "interval_s flows_active flows_new down_bytes up_bytes", true);
}

static void def_flow(struct jbuf *b)
{
	object(b, "flow");
	enumeration(b, "l7", l7_name, WEIR_L7_COUNT);
	properties(b, "string", "app type hint history");
	enumeration(b, "type_source", source_name, SOURCE_COUNT);
	stamp(b, "start");
	stamp(b, "end");
	choice(b, "state", "new established closed");
	enumeration(b, "reason", flow_end_name, END_COUNT);
	properties(b, "count",
		   "pkts_toserver pkts_toclient bytes_toserver bytes_toclient retx_toserver "
		   "retx_toclient lost_toserver lost_toclient");
	properties(b, "number", "rtt_min_ms rtt_p50_ms rtt_server_p50_ms rtt_client_p50_ms handshake_ms");
	choice(b, "limit", "app receiver network policer shaper");
	object_end(b,
		   "l7 type start end state reason pkts_toserver pkts_toclient bytes_toserver "
		   "bytes_toclient",
		   true);
}

static void def_rst(struct jbuf *b)
{
	object(b, "rst");
	properties(b, "string", "type signature");
	choice(b, "direction", "up down");
	property(b, "suspect", "boolean", NULL);
	property(b, "score", "number", "weight of evidence for a forgery, signs against it taken off");
	jb_open(b, "reasons", '{');
	jb_str(b, "type", "array");
	property(b, "items", "string", NULL);
	jb_close(b, '}');
	choice(b, "stage", "post_syn post_ack post_psh later");
	properties(b, "count", "ttl flow_ttl ipid copies held_back");
	property(b, "seq_rel", "integer", "to the highest sequence end of the sender it claims");
	object_end(b, "suspect score reasons stage ttl copies direction", true);
}

static void facts(struct jbuf *b, const char *key)
{
	jb_open(b, key, '{');
	jb_str(b, "type", "object");
	jb_open(b, "additionalProperties", '{');
	words(b, "type", "number string");
	jb_close(b, '}');
	jb_close(b, '}');
}

static void tests(struct jbuf *b, const char *key, const char *what)
{
	jb_open(b, key, '{');
	jb_str(b, "type", "array");
	jb_u64(b, "minItems", 1);
	object(b, "items");
	properties(b, "string", what);
	properties(b, "number", "value control");
	properties(b, "string", "text");
	object_end(b, what, true);
	jb_close(b, '}');
}

static void def_finding(struct jbuf *b)
{
	object(b, "finding");
	property(b, "id", "count", NULL);
	choice(b, "action", "open update close");
	enumeration(b, "kind", kind_name, KIND_COUNT);
	enumeration(b, "subkind", subkind_name, SUBKIND_COUNT);
	enumeration(b, "level", level_name, LEVEL_COUNT);
	ratio(b, "confidence");
	properties(b, "string", "method type app what");
	stamp(b, "start");
	stamp(b, "end");
	enumeration(b, "direction", direction_name, DIRECTION_COUNT);
	properties(b, "count", "flows clients servers");
	jb_open(b, "flow_ids", '{');
	jb_str(b, "type", "array");
	jb_u64(b, "maxItems", FINDING_FLOWS);
	property(b, "items", "count", NULL);
	jb_close(b, '}');
	facts(b, "estimate");
	facts(b, "control");
	tests(b, "reasons", "test");
	tests(b, "ruled_out", "explanation");
	property(b, "degraded", "boolean", "records were lost, or part of the traffic could not be seen, while it was observed");
	object_end(b,
		   "id action kind subkind level confidence method start direction flows "
		   "clients servers flow_ids estimate control reasons ruled_out degraded",
		   true);
}

/* if event_type is name, then the payload, and the flow's ends where bound to one, must be there. */
static void rule(struct jbuf *b, const char *name, const char *required)
{
	jb_open(b, NULL, '{');
	jb_open(b, "if", '{');
	jb_open(b, "properties", '{');
	jb_open(b, "event_type", '{');
	jb_str(b, "const", name);
	jb_close(b, '}');
	jb_close(b, '}');
	jb_close(b, '}');
	jb_open(b, "then", '{');
	words(b, "required", required);
	jb_close(b, '}');
	jb_close(b, '}');
}

static void indented(FILE *to, const char *text, size_t len)
{
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i], next = i + 1 < len ? text[i + 1] : 0;

		if (c == '"' && (!i || text[i - 1] != '\\'))
			quoted = !quoted;
		if (!quoted && (c == '}' || c == ']'))
			depth--;
		fputc(c, to);
		if (quoted)
			continue;
		if (c == ':')
			fputc(' ', to);
		if (c == '{' || c == '[')
			depth++;
		if (c == ',' || c == '{' || c == '[' || next == '}' || next == ']')
			if (!((c == '{' && next == '}') || (c == '[' && next == ']')))
				fprintf(to, "\n%*s", 2 * (depth - (next == '}' || next == ']')), "");
	}
	fputc('\n', to);
}

void schema_print(FILE *to)
{
	struct jbuf buf = { 0 }, *b = &buf;

	jb_open(b, NULL, '{');
	jb_str(b, "$schema", "https://json-schema.org/draft/2020-12/schema");
	jb_str(b, "title", "weir event, schema 1");
	jb_str(b, "type", "object");
	jb_open(b, "properties", '{');
	stamp(b, "timestamp");
	jb_open(b, "schema", '{');
	jb_u64(b, "const", 1);
	jb_close(b, '}');
	choice(b, "event_type", "tool stats flow rst finding");
	properties(b, "string", "in_iface");
	property(b, "flow_id", "count", NULL);
	property(b, "src_ip", "string", "the client, whichever way the packet went");
	properties(b, "string", "dest_ip proto");
	properties(b, "count", "src_port dest_port");
	property(b, "redacted", "boolean", "addresses stand for others: --redact");
	def_tool(b);
	def_stats(b);
	def_flow(b);
	def_rst(b);
	def_finding(b);
	jb_close(b, '}');
	words(b, "required", "timestamp schema event_type");
	jb_bool(b, "additionalProperties", false);
	jb_open(b, "allOf", '[');
	rule(b, "tool", "tool");
	rule(b, "stats", "stats");
	rule(b, "flow", "flow_id src_ip dest_ip proto flow");
	rule(b, "rst", "flow_id src_ip dest_ip proto rst");
	rule(b, "finding", "finding");
	jb_close(b, ']');
	jb_close(b, '}');
	if (!b->failed)
		indented(to, b->text, b->len);
	jbuf_free(b);
}
