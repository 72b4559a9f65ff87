// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The screen's filter: words, all of which must be met. A plain word is looked
 * for in every field; key:word in one; ! before it turns it round.
 */
#include <stdlib.h>
#include <string.h>

#include "screen_priv.h"

enum key { ANY, TYPE, APP, L7, CLIENT, SERVER, HINT, STATE, PROTO, PORT, KEYS };

static const char *const key_names[KEYS] = { "",       "type", "app",	"l7",	 "client",
					     "server", "hint", "state", "proto", "port" };

struct term {
	bool negated;
	enum key key;
	char word[FILTER_LEN];
};

/* The next term of *text; 1, 0 at the end, -1: it makes no sense. */
static int next_term(const char **text, struct term *t, char *why, size_t len)
{
	const char *p = *text + strspn(*text, " ");
	size_t n = strcspn(p, " "), k;

	if (!n)
		return 0;
	*text = p + n;
	t->negated = *p == '!';
	t->key = ANY;
	p += t->negated;
	n -= t->negated;
	k = strcspn(p, ": ");
	/* An IPv6 address has colons too: only a known key in front of one is a key. */
	if (k < n && p[k] == ':') {
		for (enum key i = TYPE; i < KEYS; i++)
			if (strlen(key_names[i]) == k && !strncmp(key_names[i], p, k))
				t->key = i;
		if (t->key != ANY) {
			p += k + 1;
			n -= k + 1;
		} else if (strspn(p, "0123456789abcdefABCDEF:.") < n) {
			snprintf(why, len, "no field \"%.*s\"", (int)(k < 20 ? k : 20), p);
			return -1;
		}
	}
	if (!n) {
		snprintf(why, len, "a word is missing");
		return -1;
	}
	memcpy(t->word, p, n);
	t->word[n] = 0;
	if (t->key == PORT && strspn(t->word, "0123456789") != n) {
		snprintf(why, len, "a port is a number");
		return -1;
	}
	return 1;
}

void filter_check(struct filter *f)
{
	const char *p = f->text;
	struct term t;
	int r;

	f->why[0] = 0;
	while ((r = next_term(&p, &t, f->why, sizeof(f->why))) > 0)
		;
	f->valid = !r;
}

static bool has(const char *field, const char *word)
{
	return field && strcasestr(field, word);
}

static bool term_match(const struct term *t, const struct filter_fields *x)
{
	unsigned port;

	switch (t->key) {
	case TYPE:
		return has(x->type, t->word);
	case APP:
		return has(x->app, t->word);
	case L7:
		return has(x->l7, t->word);
	case CLIENT:
		return has(x->client, t->word);
	case SERVER:
		return has(x->server, t->word);
	case HINT:
		return has(x->hint, t->word);
	case STATE:
		return has(x->state, t->word);
	case PROTO:
		return has(x->proto, t->word);
	case PORT:
		port = strtoul(t->word, NULL, 10);
		return port == x->cport || port == x->sport;
	default:
		return has(x->type, t->word) || has(x->app, t->word) || has(x->l7, t->word) ||
		       has(x->client, t->word) || has(x->server, t->word) ||
		       has(x->hint, t->word) || has(x->state, t->word) || has(x->proto, t->word);
	}
}

bool filter_match(const struct filter *f, const struct filter_fields *x)
{
	const char *p = f->text;
	char why[48];
	struct term t;

	if (!f->valid)
		return true;
	while (next_term(&p, &t, why, sizeof(why)) > 0) {
		/* What only flows have leaves the types panel as it is. */
		if (!x->flow && t.key != ANY && t.key != TYPE)
			continue;
		if (term_match(&t, x) == t.negated)
			return false;
	}
	return true;
}
