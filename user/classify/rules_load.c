/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules from INI text: every mistake refused with its line. rules.ini describes the form. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "classify.h"
#include "rules_own.h"

#define HOSTS_MAX 65536
#define NETS_MAX 4096
#define RULE_LINE 190 /* inih cuts longer lines without a word */

static uint32_t hash_back(const char *s, size_t n)
{
	uint32_t h = HASH_START;

	while (n)
		h = hash_step(h, s[--n]);
	return h;
}

struct load {
	struct rules *r;
	const char *text; /* what is left of it */
	unsigned line;
	unsigned bad_line; /* of the first mistake, 0 none */
	char bad[160];
};

static int mistake(struct load *l, const char *what, const char *word)
{
	if (!l->bad_line) {
		l->bad_line = l->line;
		snprintf(l->bad, sizeof(l->bad), "%s \"%.60s\"", what, word);
	}
	return 0;
}

static int find_app(struct load *l, const char *name)
{
	struct rules *r = l->r;
	size_t n = strlen(name);

	for (unsigned i = 0; i < r->napps; i++)
		if (!strcmp(r->app[i].name, name))
			return (int)i;
	if (!n || n >= APP_NAME_LEN || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != n) {
		mistake(l, "an app's name is made of a-z, 0-9 and -, not", name);
		return -1;
	}
	if (r->napps == APPS_MAX) {
		mistake(l, "too many apps at", name);
		return -1;
	}
	memcpy(r->app[r->napps].name, name, n + 1);
	return (int)r->napps++;
}

static void *grown(void *p, unsigned *cap, unsigned n, size_t size)
{
	void *q;

	if (n < *cap)
		return p;
	q = realloc(p, size * (*cap ? *cap * 2 : 64));
	if (q)
		*cap = *cap ? *cap * 2 : 64;
	return q;
}

static int add_host(struct load *l, unsigned app, enum channel ch, char *word)
{
	struct rules *r = l->r;
	struct host_rule *h;
	char *star = strchr(word, '*'), *suffix = word;
	size_t n;

	for (char *c = word; *c; c++) {
		if (*c >= 'A' && *c <= 'Z')
			*c += 'a' - 'A';
		if (!isalnum((unsigned char)*c) && !strchr("-._*:", *c))
			return mistake(l, "no host name:", word);
	}
	if (star) {
		*star = 0;
		suffix = star + 1;
		if (strchr(suffix, '*') || (*suffix && *suffix != '.'))
			return mistake(l,
				       "one '*' may stand for whole labels in the middle of a "
				       "host name, not so before",
				       suffix);
	}
	if (*suffix == '.')
		suffix++;
	n = strlen(suffix);
	if (!n || n >= HOST_LEN)
		return mistake(l, "no host name:", word);
	if (r->nhosts == HOSTS_MAX)
		return mistake(l, "too many hosts at", word);
	h = grown(r->host, &r->caphosts, r->nhosts, sizeof(*h));
	if (!h)
		return mistake(l, "out of memory at", word);
	r->host = h;
	h += r->nhosts;
	memset(h, 0, sizeof(*h));
	h->suffix = strdup(suffix);
	h->prefix = star && *word ? strdup(word) : NULL;
	h->hash = hash_back(suffix, n);
	h->app = (uint16_t)app;
	h->channel = (uint8_t)ch;
	r->nhosts++;
	if (!h->suffix || (star && *word && !h->prefix))
		return mistake(l, "out of memory at", suffix);
	return 1;
}

static bool number(const char *s, char **end, unsigned long max, unsigned long *v)
{
	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	*v = strtoul(s, end, 10);
	return !errno && *v <= max;
}

/* "udp/3478-3497", "tcp/443", "any/5222". */
static bool ports(const char *s, struct endpoint_rule *e)
{
	unsigned long v;
	char *end;

	if (!strncmp(s, "udp/", 4))
		e->proto = IPPROTO_UDP;
	else if (!strncmp(s, "tcp/", 4))
		e->proto = IPPROTO_TCP;
	else if (!strncmp(s, "any/", 4))
		e->proto = 0;
	else
		return false;
	if (!number(s + 4, &end, 65535, &v))
		return false;
	e->from = e->to = (uint16_t)v;
	if (*end == '-') {
		if (!number(end + 1, &end, 65535, &v) || v < e->from)
			return false;
		e->to = (uint16_t)v;
	}
	return !*end;
}

static bool net(char *s, struct endpoint_rule *e)
{
	char *slash = strchr(s, '/'), *end = NULL;
	unsigned long bits = 0;
	struct in_addr v4;
	bool ok;

	if (slash)
		*slash = 0;
	if (inet_pton(AF_INET, s, &v4) == 1) {
		memset(&e->ip, 0, 10);
		memset(e->ip.s6_addr + 10, 0xff, 2);
		memcpy(e->ip.s6_addr + 12, &v4, 4);
		ok = slash ? number(slash + 1, &end, 32, &bits) && !*end : true;
		e->prefix = (uint8_t)(96 + (slash ? bits : 32));
	} else if (inet_pton(AF_INET6, s, &e->ip) == 1) {
		ok = slash ? number(slash + 1, &end, 128, &bits) && !*end : true;
		e->prefix = (uint8_t)(slash ? bits : 128);
	} else {
		ok = false;
	}
	if (slash)
		*slash = '/';
	return ok && e->prefix;
}

/* A net, and the ports on it where there are any. */
static int add_endpoint(struct load *l, unsigned app, enum channel ch, char *address,
			const char *port)
{
	struct endpoint_rule e = { .to = 65535, .app = (uint16_t)app, .channel = (uint8_t)ch }, *p;
	struct rules *r = l->r;

	if (address && !net(address, &e))
		return mistake(l, "no address range (such as 192.0.2.0/24):", address);
	if (port && !ports(port, &e))
		return mistake(l, "no ports (such as udp/3478-3481):", port);
	if (r->nends == NETS_MAX)
		return mistake(l, "too many address ranges at", address ? address : port);
	p = grown(r->end, &r->capends, r->nends, sizeof(*p));
	if (!p)
		return mistake(l, "out of memory at", address ? address : port);
	r->end = p;
	r->end[r->nends++] = e;
	return 1;
}

static int signature_by_name(const char *s)
{
	static const char *const names[] = {
#define X(id, name) name,
		SIG_LIST(X)
#undef X
	};

	for (unsigned i = 1; i < SIG_COUNT; i++)
		if (!strcmp(s, names[i]))
			return (int)i;
	return -1;
}

enum key { KEY_HOST, KEY_SIGNATURE, KEY_L7, KEY_NET, KEY_PORT, KEYS };

static int add_word(struct load *l, unsigned app, enum channel ch, enum key key, char *word)
{
	struct rule_match m = { (int)app, ch };
	char *at;
	int id;

	switch (key) {
	case KEY_HOST:
		return add_host(l, app, ch, word);
	case KEY_SIGNATURE:
		id = signature_by_name(word);
		if (id < 0)
			return mistake(l, "no signature is called", word);
		l->r->sig[id] = m;
		return 1;
	case KEY_L7:
		id = l7_by_name(word);
		if (id <= 0)
			return mistake(l, "no l7 is called", word);
		if (ch)
			l->r->app[app].channel_l7[ch] |= 1ull << id;
		else
			l->r->l7[id] = m;
		return 1;
	case KEY_NET:
		at = strchr(word, '@');
		if (at)
			*at++ = 0;
		return add_endpoint(l, app, ch, word, at);
	case KEY_PORT:
		return add_endpoint(l, app, ch, NULL, word);
	default:
		return 0;
	}
}

/* inih calls it for every "key = value", and for each line that goes on. 0: wrong. */
static int handler(void *arg, const char *section, const char *name, const char *value)
{
	static const char *const keys[KEYS] = { "host", "signature", "l7", "net", "port" };
	struct load *l = arg;
	enum channel ch = CHANNEL_NONE;
	const char *dot = strchr(name, '.'), *bare = name;
	char copy[RULE_LINE + 10], *save = NULL, *word;
	unsigned key;
	int app;

	if (l->bad_line)
		return 0;
	if (!section || !*section)
		return mistake(l, "a key outside of any [app] section:", name);
	app = find_app(l, section);
	if (app < 0)
		return 0;
	if (dot) {
		for (unsigned c = 1; c < CHANNELS; c++)
			if (!strncmp(name, channel_name(c), (size_t)(dot - name)) &&
			    strlen(channel_name(c)) == (size_t)(dot - name))
				ch = (enum channel)c;
		if (!ch)
			return mistake(l, "unknown key", name);
		bare = dot + 1;
		l->r->app[app].channels = true;
	}
	for (key = 0; key < KEYS; key++)
		if (!strcmp(bare, keys[key]))
			break;
	if (key == KEYS)
		return mistake(l, "unknown key", name);
	if (!*value)
		return mistake(l, "no value for", name);
	snprintf(copy, sizeof(copy), "%s", value);
	for (word = strtok_r(copy, " \t,", &save); word; word = strtok_r(NULL, " \t,", &save))
		if (!add_word(l, (unsigned)app, ch, (enum key)key, word))
			return 0;
	return 1;
}

/* Lines for inih, counted; one too long for it is a mistake, not two lines. */
static char *reader(char *buf, int room, void *arg)
{
	struct load *l = arg;
	const char *end;
	size_t n;

	if (!*l->text)
		return NULL;
	l->line++;
	end = strchr(l->text, '\n');
	n = end ? (size_t)(end - l->text) + 1 : strlen(l->text);
	if (n > RULE_LINE || n > (size_t)room - 1) {
		mistake(l,
			"longer than 190 characters (a value may go on in the next line, "
			"indented):",
			"line");
		buf[0] = '\n';
		buf[1] = 0;
	} else {
		memcpy(buf, l->text, n);
		buf[n] = 0;
	}
	l->text += n;
	return buf;
}

static bool index_hosts(struct rules *r)
{
	r->buckets = 64;
	while (r->buckets < r->nhosts * 2)
		r->buckets *= 2;
	r->bucket = malloc(r->buckets * sizeof(*r->bucket));
	if (!r->bucket)
		return false;
	for (unsigned i = 0; i < r->buckets; i++)
		r->bucket[i] = -1;
	/* Later rules go in front... so go backwards: then the last one in the file is asked last
	 * and wins. */
	for (unsigned i = r->nhosts; i-- > 0;) {
		unsigned b = r->host[i].hash & (r->buckets - 1);

		r->host[i].next = r->bucket[b];
		r->bucket[b] = (int)i;
	}
	return true;
}

static char *slurp(const char *path, char *err, size_t errlen)
{
	FILE *f = fopen(path, "re");
	size_t n = 0, cap = 0;
	char *text = NULL;

	if (!f) {
		snprintf(err, errlen, "%s: %s", path, strerror(errno));
		return NULL;
	}
	for (;;) {
		char *t;
		size_t got;

		if (n + 4096 + 1 > cap) {
			cap = cap ? cap * 2 : 16384;
			t = cap > 1 << 24 ? NULL : realloc(text, cap);
			if (!t) {
				snprintf(err, errlen, "%s: too large for a rules file", path);
				free(text);
				fclose(f);
				return NULL;
			}
			text = t;
		}
		got = fread(text + n, 1, 4096, f);
		n += got;
		if (!got)
			break;
	}
	if (ferror(f)) {
		snprintf(err, errlen, "%s: %s", path, strerror(errno));
		free(text);
		text = NULL;
	} else {
		text[n] = 0;
	}
	fclose(f);
	return text;
}

static bool parse(struct rules *r, const char *path, const char *text, char *err, size_t errlen)
{
	struct load l = { .r = r, .text = text };
	int line = ini_parse_stream(reader, &l, handler, &l);

	if (!l.bad_line && !line)
		return true;
	if (l.bad_line)
		snprintf(err, errlen, "%s:%u: %s", path, l.bad_line, l.bad);
	else if (line < 0)
		snprintf(err, errlen, "%s: out of memory", path);
	else
		snprintf(err, errlen, "%s:%d: neither [app] nor key = value", path, line);
	return false;
}

struct rules *rules_load(const char *path, char *err, size_t errlen)
{
	struct rules *r = calloc(1, sizeof(*r));
	char *text = NULL;
	bool ok;

	if (!r) {
		snprintf(err, errlen, "out of memory");
		return NULL;
	}
	for (unsigned i = 0; i < SIG_COUNT; i++)
		r->sig[i].app = -1;
	for (unsigned i = 0; i < WEIR_L7_COUNT; i++)
		r->l7[i].app = -1;
	/* The user's rules come on top of the built-in ones: a later rule wins. */
	ok = parse(r, "built-in rules", rules_builtin, err, errlen);
	if (ok && path) {
		text = slurp(path, err, errlen);
		ok = text && parse(r, path, text, err, errlen);
		free(text);
	}
	if (ok && !index_hosts(r)) {
		snprintf(err, errlen, "out of memory");
		ok = false;
	}
	if (!ok) {
		rules_free(r);
		return NULL;
	}
	return r;
}

void rules_free(struct rules *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < r->nhosts; i++) {
		free(r->host[i].suffix);
		free(r->host[i].prefix);
	}
	free(r->host);
	free(r->bucket);
	free(r->end);
	free(r);
}
