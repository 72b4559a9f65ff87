// SPDX-License-Identifier: GPL-2.0-or-later
#include "options_table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

static const char *const hooks[] = { "auto", "xdp", "tcx", "tc", NULL };
static const char *const sensitivities[] = { "low", "normal", "high", NULL };
static const char *const event_names[] = { "flow", "rst", "finding", "stats", "tool", NULL };
static const char *const colors[] = { "auto", "always", "never", NULL };
static const char *const glyph_sets[] = { "auto", "ascii", "block", NULL };
static const char *const formats[] = { "html", "md", "json", NULL };
static const char *const name_choices[] = { "full", "suffix", "none", NULL };
static const char *const redact_choices[] = { "none", "clients", "all", NULL };
static const char *const unit_names[] = { "bit", "byte", NULL };
static const char *const evidence_modes[] = { "findings", "off", "all-suspect", NULL };

static int index_of(const char *const *words, const char *word, size_t len)
{
	for (int i = 0; words[i]; i++)
		if (strlen(words[i]) == len && !strncmp(words[i], word, len))
			return i;
	return -1;
}

static int pick(const char *const *words, const char *value, char *why, size_t len)
{
	int i = index_of(words, value, strlen(value));
	size_t n;

	if (i >= 0)
		return i;
	n = snprintf(why, len, "it may be");
	for (i = 0; words[i] && n < len; i++)
		n += snprintf(why + n, len - n, "%s %s", i ? "," : "", words[i]);
	return -1;
}

static bool number(const char *value, double min, double max, double *out, char *why, size_t len)
{
	char *end;
	double v;

	errno = 0;
	v = strtod(value, &end);
	if (end == value || *end || errno || !isfinite(v)) {
		snprintf(why, len, "not a number");
		return false;
	}
	if (v < min || v > max) {
		snprintf(why, len, "it must be from %.10g to %.10g", min, max);
		return false;
	}
	*out = v;
	return true;
}

static bool whole(const char *value, unsigned max, unsigned *out, char *why, size_t len)
{
	double v;

	if (!number(value, 1, max, &v, why, len))
		return false;
	if (v != floor(v)) {
		snprintf(why, len, "not a whole number");
		return false;
	}
	*out = (unsigned)v;
	return true;
}

/* Bytes: 1048576, 64KiB, 16MiB, 1GiB; kB, MB and GB are powers of ten. */
static bool size(const char *value, uint64_t *out, char *why, size_t len)
{
	static const struct {
		const char *name;
		double bytes;
	} units[] = { { "", 1 },	     { "B", 1 },	    { "KiB", 1ull << 10 },
		      { "MiB", 1ull << 20 }, { "GiB", 1ull << 30 }, { "K", 1ull << 10 },
		      { "M", 1ull << 20 },   { "G", 1ull << 30 },   { "kB", 1e3 },
		      { "MB", 1e6 },	     { "GB", 1e9 } };
	char *end;
	double v = strtod(value, &end);

	end += strspn(end, " ");
	for (unsigned i = 0; end != value && i < sizeof(units) / sizeof(*units); i++) {
		if (strcmp(end, units[i].name))
			continue;
		v *= units[i].bytes;
		if (!(v >= 4096 && v <= 1e15)) {
			snprintf(why, len, "it must be from 4KiB to 1000TB");
			return false;
		}
		*out = (uint64_t)v;
		return true;
	}
	snprintf(why, len, "no size like 64KiB, 16MiB or 1GiB");
	return false;
}

static void print_size(uint64_t v, char *out, size_t len)
{
	*out = 0;
	if (v && !(v & ((1 << 20) - 1)))
		snprintf(out, len, "%luMiB", (unsigned long)(v >> 20));
	else if (v && !(v & 1023))
		snprintf(out, len, "%luKiB", (unsigned long)(v >> 10));
	else if (v)
		snprintf(out, len, "%lu", (unsigned long)v);
}

static bool text(char **to, const char *value, char *why, size_t len)
{
	char *copy;

	if (!*value) {
		snprintf(why, len, "it is empty");
		return false;
	}
	copy = strdup(value);
	if (!copy) {
		snprintf(why, len, "out of memory");
		return false;
	}
	free(*to);
	*to = copy;
	return true;
}

/* Calls fn for each item of a list split at commas and blanks. */
static bool each(struct options *o, const char *list, char *why, size_t len,
		 bool (*fn)(struct options *, const char *, char *, size_t))
{
	char item[128];

	while (*(list += strspn(list, ", \t"))) {
		size_t n = strcspn(list, ", \t");

		if (n >= sizeof(item)) {
			snprintf(why, len, "an item is too long");
			return false;
		}
		memcpy(item, list, n);
		item[n] = 0;
		if (!fn(o, item, why, len))
			return false;
		list += n;
	}
	return true;
}

bool option_add_iface(struct options *o, const char *name, char *why, size_t len)
{
	const char *role = strchr(name, ':');
	size_t n = role ? (size_t)(role - name) : strlen(name);

	if (role && strcmp(role, ":lan") && strcmp(role, ":wan")) {
		snprintf(why, len, "an interface's role is lan or wan");
		return false;
	}
	if (!n || n >= IF_NAMESIZE || strpbrk(name, "/ \t")) {
		snprintf(why, len, "no interface can have that name");
		return false;
	}
	for (unsigned i = 0; i < o->nifaces; i++)
		if (!strcmp(o->iface[i], name))
			return true;
	if (o->nifaces == OPTIONS_IFACES) {
		snprintf(why, len, "at most %d interfaces", OPTIONS_IFACES);
		return false;
	}
	o->iface[o->nifaces] = strdup(name);
	if (!o->iface[o->nifaces]) {
		snprintf(why, len, "out of memory");
		return false;
	}
	o->nifaces++;
	return true;
}

static bool add_net(struct options *o, const char *cidr, char *why, size_t len)
{
	char address[INET6_ADDRSTRLEN];
	struct local_net *net = &o->local[o->nlocal];
	size_t n = strcspn(cidr, "/");
	struct in_addr v4;
	unsigned bits;
	double prefix;

	if (o->nlocal == LOCAL_NETS) {
		snprintf(why, len, "at most %d networks", LOCAL_NETS);
		return false;
	}
	if (n >= sizeof(address)) {
		snprintf(why, len, "%s is no address", cidr);
		return false;
	}
	memcpy(address, cidr, n);
	address[n] = 0;
	memset(net, 0, sizeof(*net));
	if (inet_pton(AF_INET, address, &v4) == 1) {
		bits = 32;
		net->ip.s6_addr[10] = net->ip.s6_addr[11] = 0xff;
		memcpy(&net->ip.s6_addr[12], &v4, 4);
	} else if (inet_pton(AF_INET6, address, &net->ip) == 1) {
		bits = 128;
	} else {
		snprintf(why, len, "%s is no network like 192.168.0.0/16 or fd00::/8", cidr);
		return false;
	}
	prefix = bits;
	if (cidr[n] && (!number(cidr + n + 1, 0, bits, &prefix, why, len) || prefix != floor(prefix))) {
		snprintf(why, len, "%s: the prefix length must be from 0 to %u", cidr, bits);
		return false;
	}
	net->prefix = 128 - bits + (unsigned)prefix;
	o->nlocal++;
	return true;
}

static bool add_event(struct options *o, const char *name, char *why, size_t len)
{
	int i = pick(event_names, name, why, len);

	if (i < 0)
		return false;
	o->events |= 1u << i;
	return true;
}

/* The setters and getters of the table, each named after its option. */
static bool set_help(struct options *o, const char *v, char *why, size_t len)
{
	return true;
}

static bool set_json(struct options *o, const char *v, char *why, size_t len)
{
	o->json = true;
	return true;
}

static bool set_quiet(struct options *o, const char *v, char *why, size_t len)
{
	verbosity = -1;
	return true;
}

static bool set_verbose(struct options *o, const char *v, char *why, size_t len)
{
	verbosity = 1;
	return true;
}

static bool set_print(struct options *o, const char *v, char *why, size_t len)
{
	o->print = true;
	return true;
}

static bool set_interface(struct options *o, const char *v, char *why, size_t len)
{
	return each(o, v, why, len, option_add_iface);
}

static void get_interface(const struct options *o, char *out, size_t len)
{
	size_t n = 0;

	*out = 0;
	for (unsigned i = 0; i < o->nifaces && n < len; i++)
		n += snprintf(out + n, len - n, "%s%s", i ? " " : "", o->iface[i]);
}

static bool set_hook(struct options *o, const char *v, char *why, size_t len)
{
	int i = pick(hooks, v, why, len);

	o->hook = i < 0 ? o->hook : (enum hook)i;
	return i >= 0;
}

static void get_hook(const struct options *o, char *out, size_t len)
{
	snprintf(out, len, "%s", hooks[o->hook]);
}

static bool set_local_net(struct options *o, const char *v, char *why, size_t len)
{
	return each(o, v, why, len, add_net);
}

static void get_local_net(const struct options *o, char *out, size_t len)
{
	size_t n = 0;

	*out = 0;
	for (unsigned i = 0; i < o->nlocal && n < len; i++) {
		const struct local_net *net = &o->local[i];
		bool v4 = IN6_IS_ADDR_V4MAPPED(&net->ip);
		char ip[INET6_ADDRSTRLEN];

		inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? &net->ip.s6_addr[12] : net->ip.s6_addr, ip,
			  sizeof(ip));
		n += snprintf(out + n, len - n, "%s%s/%u", i ? " " : "", ip,
			      v4 ? net->prefix - 96u : net->prefix);
	}
}

static bool set_max_flows(struct options *o, const char *v, char *why, size_t len)
{
	return whole(v, 1u << 24, &o->max_flows, why, len);
}

static void get_max_flows(const struct options *o, char *out, size_t len)
{
	*out = 0;
	if (o->max_flows)
		snprintf(out, len, "%u", o->max_flows);
}

static bool set_sensitivity(struct options *o, const char *v, char *why, size_t len)
{
	int i = pick(sensitivities, v, why, len);

	o->sensitivity = i < 0 ? o->sensitivity : (enum sensitivity)i;
	return i >= 0;
}

static void get_sensitivity(const struct options *o, char *out, size_t len)
{
	snprintf(out, len, "%s", sensitivities[o->sensitivity]);
}

static bool set_events(struct options *o, const char *v, char *why, size_t len)
{
	o->events = 0;
	if (!each(o, v, why, len, add_event))
		return false;
	if (!o->events)
		snprintf(why, len, "it names no event type");
	return o->events;
}

static void get_events(const struct options *o, char *out, size_t len)
{
	size_t n = 0;

	*out = 0;
	for (int i = 0; event_names[i] && n < len; i++)
		if (o->events & (1u << i))
			n += snprintf(out + n, len - n, "%s%s", n ? " " : "", event_names[i]);
}

static bool set_interval(struct options *o, const char *v, char *why, size_t len)
{
	return number(v, 0.1, 86400, &o->interval_s, why, len);
}

static void get_interval(const struct options *o, char *out, size_t len)
{
	snprintf(out, len, "%g", o->interval_s);
}

static bool set_jobs(struct options *o, const char *v, char *why, size_t len)
{
	return whole(v, 1024, &o->jobs, why, len);
}

static bool set_count(struct options *o, const char *v, char *why, size_t len)
{
	return whole(v, 1000000000, &o->count, why, len);
}

static bool set_wait(struct options *o, const char *v, char *why, size_t len)
{
	o->wait = true;
	return true;
}

static bool set_color(struct options *o, const char *v, char *why, size_t len)
{
	int i = pick(colors, v, why, len);

	o->color = i < 0 ? o->color : (enum color)i;
	return i >= 0;
}

static void get_color(const struct options *o, char *out, size_t len)
{
	snprintf(out, len, "%s", colors[o->color]);
}

static bool set_glyphs(struct options *o, const char *v, char *why, size_t len)
{
	int i = pick(glyph_sets, v, why, len);

	o->glyphs = i < 0 ? o->glyphs : (enum glyphs)i;
	return i >= 0;
}

static void get_glyphs(const struct options *o, char *out, size_t len)
{
	snprintf(out, len, "%s", glyph_sets[o->glyphs]);
}

static bool set_names(struct options *o, const char *v, char *why, size_t len)
{
	int i = pick(name_choices, v, why, len);

	if (i >= 0)
		o->privacy.names = (enum names)(i + NAMES_FULL);
	return i >= 0;
}

static void get_names(const struct options *o, char *out, size_t len)
{
	*out = 0;
	if (o->privacy.names != NAMES_DEFAULT)
		snprintf(out, len, "%s", name_choices[o->privacy.names - NAMES_FULL]);
}

static bool set_redact(struct options *o, const char *v, char *why, size_t len)
{
	int i = pick(redact_choices, v, why, len);

	if (i >= 0)
		o->privacy.who = (enum redact_who)i;
	return i >= 0;
}

static void get_redact(const struct options *o, char *out, size_t len)
{
	snprintf(out, len, "%s", redact_choices[o->privacy.who]);
}

static bool set_units(struct options *o, const char *v, char *why, size_t len)
{
	int i = pick(unit_names, v, why, len);

	o->bytes = i == 1;
	return i >= 0;
}

static void get_units(const struct options *o, char *out, size_t len)
{
	snprintf(out, len, "%s", unit_names[o->bytes]);
}

#define TEXT_OPTION(field)                                                                         \
	static bool set_##field(struct options *o, const char *v, char *why, size_t len)           \
	{                                                                                          \
		return text(&o->field, v, why, len);                                               \
	}                                                                                          \
	static void get_##field(const struct options *o, char *out, size_t len)                    \
	{                                                                                          \
		snprintf(out, len, "%s", o->field ? o->field : "");                                \
	}

TEXT_OPTION(rules)
TEXT_OPTION(redact_key)
TEXT_OPTION(history)
TEXT_OPTION(evidence)
TEXT_OPTION(filter)

#define SIZE_OPTION(field)                                                                         \
	static bool set_##field(struct options *o, const char *v, char *why, size_t len)           \
	{                                                                                          \
		return size(v, &o->field, why, len);                                               \
	}                                                                                          \
	static void get_##field(const struct options *o, char *out, size_t len)                    \
	{                                                                                          \
		print_size(o->field, out, len);                                                    \
	}

#define WHOLE_OPTION(field, max)                                                                   \
	static bool set_##field(struct options *o, const char *v, char *why, size_t len)           \
	{                                                                                          \
		return whole(v, max, &o->field, why, len);                                         \
	}                                                                                          \
	static void get_##field(const struct options *o, char *out, size_t len)                    \
	{                                                                                          \
		*out = 0;                                                                          \
		if (o->field)                                                                      \
			snprintf(out, len, "%u", o->field);                                        \
	}

TEXT_OPTION(socket)
TEXT_OPTION(log)
TEXT_OPTION(textfile)
SIZE_OPTION(log_size)
SIZE_OPTION(evidence_total)
WHOLE_OPTION(log_files, 1000)
WHOLE_OPTION(min_flows, 1000000)
WHOLE_OPTION(snaplen, 65535)

static bool set_redact_report(struct options *o, const char *v, char *why, size_t len)
{
	int i = pick(redact_choices, v, why, len);

	if (i >= 0)
		o->redact_report = (enum redact_who)i;
	return i >= 0;
}

static void get_redact_report(const struct options *o, char *out, size_t len)
{
	snprintf(out, len, "%s", redact_choices[o->redact_report]);
}

static bool set_evidence_mode(struct options *o, const char *v, char *why, size_t len)
{
	int i = pick(evidence_modes, v, why, len);

	o->evidence_mode = i < 0 ? o->evidence_mode : (enum evidence_mode)i;
	return i >= 0;
}

static void get_evidence_mode(const struct options *o, char *out, size_t len)
{
	snprintf(out, len, "%s", evidence_modes[o->evidence_mode]);
}

/* 127.0.0.1:9988 or [::1]:9988: an address, that nobody listens to the world by mistake. */
static bool set_listen(struct options *o, const char *v, char *why, size_t len)
{
	const char *colon = strrchr(v, ':');
	size_t n = colon ? (size_t)(colon - v) : 0;
	bool v6 = n > 2 && *v == '[' && v[n - 1] == ']';
	char address[INET6_ADDRSTRLEN] = "";
	struct in6_addr ip;
	unsigned port;

	if (n && n < sizeof(address))
		snprintf(address, sizeof(address), "%.*s", (int)(v6 ? n - 2 : n), v + v6);
	if (inet_pton(v6 ? AF_INET6 : AF_INET, address, &ip) != 1) {
		snprintf(why, len, "it is an address and a port: 127.0.0.1:9988 or [::1]:9988");
		return false;
	}
	return whole(colon + 1, 65535, &port, why, len) && text(&o->listen, v, why, len);
}

static void get_listen(const struct options *o, char *out, size_t len)
{
	snprintf(out, len, "%s", o->listen ? o->listen : "");
}

static bool add_disabled(struct options *o, const char *item, char *why, size_t len)
{
	const char *colon = strchr(item, ':'), *kinds[KIND_COUNT + 1] = { NULL };
	char kind[32];

	for (unsigned i = 0; i < KIND_COUNT; i++)
		kinds[i] = kind_name(i);
	if (colon) {
		snprintf(kind, sizeof(kind), "%.*s", (int)(colon - item), item);
		if (pick(kinds, kind, why, len) < 0)
			return false;
	}
	if (colon ? !colon[1] : !*item) {
		snprintf(why, len, "it names no type: TYPE or KIND:TYPE");
		return false;
	}
	if (o->ndisabled == DISABLED_MAX) {
		snprintf(why, len, "at most %d", DISABLED_MAX);
		return false;
	}
	return text(&o->disabled[o->ndisabled], item, why, len) && ++o->ndisabled;
}

static bool set_disable(struct options *o, const char *v, char *why, size_t len)
{
	return each(o, v, why, len, add_disabled);
}

static void get_disable(const struct options *o, char *out, size_t len)
{
	size_t n = 0;

	*out = 0;
	for (unsigned i = 0; i < o->ndisabled && n < len; i++)
		n += snprintf(out + n, len - n, "%s%s", i ? " " : "", o->disabled[i]);
}

static bool set_connect(struct options *o, const char *v, char *why, size_t len)
{
	o->connect = true;
	return !v || text(&o->connect_path, v, why, len);
}

static bool set_since(struct options *o, const char *v, char *why, size_t len)
{
	return text(&o->since, v, why, len);
}

static bool set_until(struct options *o, const char *v, char *why, size_t len)
{
	return text(&o->until, v, why, len);
}

static bool set_format(struct options *o, const char *v, char *why, size_t len)
{
	int i = pick(formats, v, why, len);

	o->format = i < 0 ? o->format : (enum report_format)i;
	return i >= 0;
}

static bool set_type(struct options *o, const char *v, char *why, size_t len)
{
	return text(&o->type, v, why, len);
}

static bool set_output(struct options *o, const char *v, char *why, size_t len)
{
	return text(&o->output, v, why, len);
}

static bool set_config(struct options *o, const char *v, char *why, size_t len)
{
	return text(&o->config, v, why, len);
}

#define ALL	 (~0u)
#define CONFIGURED (CMD_ENGINE | CMD_CONFIG)

/* clang-format off */
const struct option_row option_table[] = {
	{ "interface", 'i', "IFACE", "capture", "interfaces", CMD_ENGINE | CMD_CHECK | CMD_CONFIG,
	  set_interface, get_interface, "interface to watch, repeatable; NAME:lan, NAME:wan say its side",
	  NULL },
	{ "hook", 0, "HOOK", "capture", "hook", CMD_ENGINE | CMD_CHECK | CMD_CONFIG,
	  set_hook, get_hook, "auto, xdp, tcx or tc; auto never costs throughput; none on captures",
	  hooks },
	{ "filter", 'f', "EXPR", NULL, NULL, CMD_ANALYZE | CMD_REPORT,
	  set_filter, get_filter, "only packets that match, as in tcpdump", NULL },
	{ "local-net", 0, "CIDR[,CIDR]", "capture", "local_net", CONFIGURED | CMD_REPORT,
	  set_local_net, get_local_net,
	  "what counts as inside; default: the private and link-local networks", NULL },
	{ "max-flows", 0, "N", "capture", "max_flows", CONFIGURED | CMD_REPORT,
	  set_max_flows, get_max_flows, "flows held at once; default 65536, for a capture: as needed",
	  NULL },
	{ "sensitivity", 0, "LEVEL", "detect", "sensitivity", CONFIGURED | CMD_REPORT,
	  set_sensitivity, get_sensitivity, "low, normal or high", sensitivities },
	{ "rules", 0, "FILE", "detect", "rules", CONFIGURED | CMD_CHECK | CMD_REPORT,
	  set_rules, get_rules, "traffic types from FILE, beside the built-in ones", NULL },
	{ "disable", 0, "TYPE", "detect", "disable", 0, set_disable, get_disable,
	  "no findings of these: TYPE or KIND:TYPE", NULL },
	{ "min-flows", 0, "N", "detect", "min_flows", 0, set_min_flows, get_min_flows,
	  "findings of fewer flows are not told; default: as each test needs", NULL },
	{ "json", 'j', NULL, NULL, NULL, CMD_ENGINE | CMD_CHECK | CMD_FINDINGS,
	  set_json, NULL, "JSON Lines on stdout, nothing else there", NULL },
	{ "events", 0, "TYPE[,TYPE]", "events", "types", CONFIGURED | CMD_EVENTS,
	  set_events, get_events, "which to print: flow, rst, finding, stats, tool", event_names },
	{ "interval", 'd', "S", "events", "interval", CONFIGURED | CMD_EVENTS,
	  set_interval, get_interval, "seconds between summaries; default 1, of the daemon 10", NULL },
	{ "log", 0, "FILE", "events", "file", CMD_DAEMON,
	  set_log, get_log, "where the daemon's events go as JSON Lines", NULL },
	{ "max-size", 0, "SIZE", "events", "max_size", 0, set_log_size, get_log_size,
	  "of one such file; default 16MiB", NULL },
	{ "max-files", 0, "N", "events", "max_files", 0, set_log_files, get_log_files,
	  "how many are kept, the one being written among them; default 4", NULL },
	{ "wait", 0, NULL, NULL, NULL, CMD_LIVE | CMD_WATCH,
	  set_wait, NULL, "wait for interfaces that are not there yet", NULL },
	{ "count", 'n', "N", NULL, NULL, CMD_ENGINE | CMD_EVENTS,
	  set_count, NULL, "stop after N intervals", NULL },
	{ "jobs", 0, "N", NULL, NULL, CMD_ANALYZE,
	  set_jobs, NULL, "captures analysed at a time; default: one a processor", NULL },
	{ "history", 0, "FILE", "history", "file", CONFIGURED | CMD_FINDINGS | CMD_REPORT,
	  set_history, get_history, "findings and what each type carried, kept in FILE (SQLite)", NULL },
	{ "since", 0, "TIME", NULL, NULL, CMD_FINDINGS | CMD_REPORT,
	  set_since, NULL, "only what was heard of since then: 30d, 12h, 2026-11-23T08:00Z", NULL },
	{ "until", 0, "TIME", NULL, NULL, CMD_REPORT,
	  set_until, NULL, "only what began before then", NULL },
	{ "type", 0, "TYPE", NULL, NULL, CMD_FINDINGS | CMD_REPORT,
	  set_type, NULL, "only this type of traffic", NULL },
	{ "evidence", 0, "DIR", "evidence", "dir", CONFIGURED | CMD_EVIDENCE | CMD_REPORT,
	  set_evidence, get_evidence, "keep the packets of findings in DIR (pcapng)", NULL },
	{ "mode", 0, "MODE", "evidence", "mode", 0, set_evidence_mode, get_evidence_mode,
	  "findings, off or all-suspect", evidence_modes },
	{ "snaplen", 0, "N", "evidence", "snaplen", 0, set_snaplen, get_snaplen,
	  "bytes kept of a packet, payload too; default: headers only", NULL },
	{ "max-total", 0, "SIZE", "evidence", "max_total", 0, set_evidence_total, get_evidence_total,
	  "of all evidence, the oldest goes first; default 64MiB", NULL },
	{ "textfile", 0, "FILE", "metrics", "textfile", CMD_DAEMON, set_textfile, get_textfile,
	  "metrics for node_exporter's textfile collector", NULL },
	{ "listen", 0, "ADDR:PORT", "metrics", "listen", CMD_DAEMON, set_listen, get_listen,
	  "metrics over HTTP, as 127.0.0.1:9988", NULL },
	{ "names", 0, "HOW", "privacy", "names", CONFIGURED,
	  set_names, get_names,
	  "names in events: full, suffix or none; watch has none by default", name_choices },
	{ "redact", 0, "WHOM", "privacy", "redact_events", CONFIGURED,
	  set_redact, get_redact, "replace the addresses of none, clients or all", redact_choices },
	{ "redact-key", 0, "FILE", "privacy", "redact_key", CONFIGURED,
	  set_redact_key, get_redact_key, "32 bytes to replace them by; default: others at each start", NULL },
	{ "redact-report", 0, "WHOM", "privacy", "redact_report", 0, set_redact_report,
	  get_redact_report, "the same in reports and evidence; default clients", redact_choices },
	{ "socket", 0, "PATH", "daemon", "socket", CMD_DAEMON, set_socket, get_socket,
	  "where the daemon listens; default " SOCKET_PATH, NULL },
	{ "connect", 0, "[PATH]", NULL, NULL, CMD_LIVE | CMD_WATCH | CMD_EVENTS | CMD_FINDINGS,
	  set_connect, NULL, "join the daemon that runs, needing no rights; else say so", NULL },
	{ "output", 'o', "FILE", NULL, NULL, CMD_EVIDENCE | CMD_REPORT,
	  set_output, NULL, "write to FILE; - is stdout", NULL },
	{ "format", 0, "FORMAT", NULL, NULL, CMD_REPORT,
	  set_format, NULL, "html, md or json", formats },
	{ "color", 0, "WHEN", "screen", "color", CMD_LIVE | CMD_CONFIG,
	  set_color, get_color, "auto, always or never", colors },
	{ "glyphs", 0, "SET", "screen", "glyphs", CMD_LIVE | CMD_CONFIG,
	  set_glyphs, get_glyphs, "auto, ascii or block", glyph_sets },
	{ "units", 0, "UNIT", "screen", "units", CMD_LIVE | CMD_WATCH | CMD_ANALYZE | CMD_CONFIG,
	  set_units, get_units, "rates in bit/s or byte/s", unit_names },
	{ "print", 0, NULL, NULL, NULL, CMD_CONFIG,
	  set_print, NULL, "print the configuration in force", NULL },
	{ "config", 'c', "FILE", NULL, NULL, CONFIGURED | CMD_CHECK | CMD_FINDINGS | CMD_EVIDENCE | CMD_REPORT | CMD_EVENTS,
	  set_config, NULL, "configuration file; default " CONFIG_PATH, NULL },
	{ "quiet", 'q', NULL, NULL, NULL, CMD_ENGINE | CMD_REPORT | CMD_EVENTS,
	  set_quiet, NULL, "errors only on stderr", NULL },
	{ "verbose", 'v', NULL, NULL, NULL, CMD_ENGINE | CMD_CHECK | CMD_REPORT,
	  set_verbose, NULL, "more on stderr, libbpf's own words too", NULL },
	{ "help", 'h', NULL, NULL, NULL, ALL,
	  set_help, NULL, "this text", NULL },
	{ NULL }
};
/* clang-format on */
