/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scen.h"

static const char *const ns_names[] = { "cli", "gw", "isp", "srv", "cables" };
static const char *const step_names[] = { "on", "off", "base", "run", "traffic", "inject", "weir" };

const char *ns_name(enum ns ns)
{
	return ns_names[ns];
}

static int find_word(const char *const *list, int n, const char *w)
{
	for (int i = 0; i < n; i++)
		if (w && !strcmp(list[i], w))
			return i;
	return -1;
}

int scen_split(char *text, char **word, int max)
{
	int n = 0;

	for (char *p = text; *p && n < max;) {
		while (isspace((unsigned char)*p))
			p++;
		if (!*p)
			break;
		if (*p == '\'') {
			word[n++] = ++p;
			p = strchr(p, '\'');
			if (!p)
				return -1;
		} else {
			word[n++] = p;
			while (*p && !isspace((unsigned char)*p))
				p++;
		}
		if (*p)
			*p++ = 0;
	}
	word[n] = NULL;
	return n;
}

static int add_step(struct scenario *s, double at, char *rest)
{
	struct step *st = &s->step[s->steps];
	int kind, ns;

	if (s->steps == SCEN_STEPS)
		return -1;
	snprintf(st->text, sizeof(st->text), "%s", rest);
	st->words = scen_split(st->text, st->word, SCEN_WORDS);
	if (st->words < 2)
		return -1;
	kind = find_word(step_names, 7, st->word[0]);
	if (kind < 0)
		return -1;
	st->kind = kind;
	st->at = at;
	memmove(st->word, st->word + 1, sizeof(*st->word) * st->words--);
	if (kind == STEP_TRAFFIC || kind == STEP_INJECT || kind == STEP_WEIR) {
		st->ns = kind == STEP_TRAFFIC ? NS_CLI : kind == STEP_WEIR ? NS_GW : NS_ISP;
	} else {
		ns = find_word(ns_names, NS_CABLES, st->word[0]);
		if (ns < 0 || st->words < 2)
			return -1;
		st->ns = ns;
		memmove(st->word, st->word + 1, sizeof(*st->word) * st->words--);
	}
	s->steps++;
	return 0;
}

/* kind[/subkind] [up|down|both] [type=..] [name=value~tolerance[,tolerance]].. */
static int add_expect(struct expect *e, char *rest)
{
	char *word[SCEN_WORDS + 1];
	int n = scen_split(rest, word, SCEN_WORDS);

	if (n < 1)
		return -1;
	memset(e, 0, sizeof(*e));
	snprintf(e->kind, sizeof(e->kind), "%s", word[0]);
	for (int i = 1; i < n; i++) {
		char *v = strchr(word[i], '='), *tol;

		if (!v) {
			snprintf(e->direction, sizeof(e->direction), "%s", word[i]);
			continue;
		}
		*v++ = 0;
		if (!strcmp(word[i], "type")) {
			snprintf(e->type, sizeof(e->type), "%s", v);
			continue;
		}
		if (e->nums == 8)
			return -1;
		snprintf(e->num[e->nums].name, sizeof(e->num->name), "%s", word[i]);
		if (!strncmp(v, "on", 2))
			e->num[e->nums].mark = 1;
		else if (!strncmp(v, "off", 3))
			e->num[e->nums].mark = 2;
		else
			e->num[e->nums].value = strtod(v, NULL);
		tol = strchr(v, '~');
		while (tol) {
			char *end;
			double t = strtod(tol + 1, &end);

			if (*end == '%')
				e->num[e->nums].rel = t / 100;
			else
				e->num[e->nums].abs = t;
			tol = strchr(tol + 1, ',');
		}
		e->nums++;
	}
	return 0;
}

static int add_flow(struct flow_check *f, char *rest)
{
	char *word[SCEN_WORDS + 1];
	int n = scen_split(rest, word, SCEN_WORDS);
	char *end;

	memset(f, 0, sizeof(*f));
	if (n < 2)
		return -1;
	f->least = f->most = strtoul(word[0], &end, 10);
	if (*end == '-' && end[1])
		f->most = strtoul(end + 1, &end, 10);
	else if (end != word[0])
		f->most = UINT_MAX;
	else if (!strcmp(word[0], "none"))
		end = "";
	if (*end || f->most < f->least || (!f->least && f->most))
		return -1;
	for (int i = 1; i < n && i < 9; i++) {
		char *v = strchr(word[i], '=');

		if (!v)
			return -1;
		*v++ = 0;
		snprintf(f->key[f->keys], sizeof(f->key[0]), "%s", word[i]);
		snprintf(f->value[f->keys++], sizeof(f->value[0]), "%s", v);
	}
	return 0;
}

static int setting(struct scenario *s, const char *key, char *rest)
{
	struct {
		const char *key;
		char *to;
		size_t room;
	} texts[] = {
		{ "row", s->row, sizeof(s->row) },
		{ "title", s->title, sizeof(s->title) },
		{ "cca", s->cca, sizeof(s->cca) },
		{ "set", s->set, sizeof(s->set) },
		{ "watch", s->watch, sizeof(s->watch) },
		{ "own", s->own, sizeof(s->own) },
		{ "weir", s->weir_args, sizeof(s->weir_args) },
		{ "need", s->need, sizeof(s->need) },
		{ "todo", s->todo, sizeof(s->todo) },
		{ "link", s->link, sizeof(s->link) },
	};
	struct {
		const char *key;
		double *to;
	} numbers[] = {
		{ "rtt", &s->rtt_ms }, { "jitter", &s->jitter_ms }, { "lanrtt", &s->lan_rtt_ms },
		{ "end", &s->end },    { "forged", &s->forged },    { "sessions", &s->sessions },
		{ "lost", &s->lost },  { "ring", &s->ring_bytes },
		{ "lost", &s->lost },   { "snap", &s->snap },
	};
	struct {
		const char *key;
		bool *to;
	} flags[] = {
		{ "benign", &s->benign },
		{ "offloads", &s->offloads },
		{ "nat", &s->nat },
		{ "ipv6", &s->ipv6 },
		{ "anysuspects", &s->any_suspects },
		{ "lossok", &s->loss_of_records_ok },
		{ "nolive", &s->no_live },
		{ "nooffline", &s->no_offline },
		{ "alone", &s->alone },
		{ "watchmemory", &s->watch_memory },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (!strcmp(key, texts[i].key)) {
			snprintf(texts[i].to, texts[i].room, "%s", rest);
			return 0;
		}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (!strcmp(key, numbers[i].key)) {
			*numbers[i].to = strtod(rest, NULL);
			return 0;
		}
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (!strcmp(key, flags[i].key)) {
			*flags[i].to = true;
			return 0;
		}
	if (!strcmp(key, "find"))
		return s->finds < SCEN_WANTS ? add_expect(&s->find[s->finds++], rest) : -1;
	if (!strcmp(key, "allow"))
		return s->allows < SCEN_WANTS ? add_expect(&s->allow[s->allows++], rest) : -1;
	if (!strcmp(key, "flow"))
		return s->flows < SCEN_WANTS ? add_flow(&s->flow[s->flows++], rest) : -1;
	if (!strcmp(key, "exits")) {
		s->exits = atoi(rest);
		return 0;
	}
	if (!strcmp(key, "says")) {
		if (s->sayings == 4)
			return -1;
		snprintf(s->says[s->sayings++], sizeof(s->says[0]), "%s", rest);
		return 0;
	}
	if (!strcmp(key, "at")) {
		char *end;
		double at = strtod(rest, &end);

		return end == rest ? -1 : add_step(s, at, end);
	}
	return -1;
}

/* Steps of one moment keep the order in which they were written. */
static void order_by_time(struct scenario *s)
{
	for (int i = 0; i < s->steps; i++) {
		int k = i;

		while (k > 0 && s->step[s->order[k - 1]].at > s->step[i].at) {
			s->order[k] = s->order[k - 1];
			k--;
		}
		s->order[k] = i;
	}
}

/* "use FILE": the lines of a file beside this one. */
static int read_lines(struct scenario *s, const char *file, int depth)
{
	char line[SCEN_LINE], other[512], *key, *rest, *p;
	FILE *f = fopen(file, "r");
	int n = 0, rc = 0;

	if (!f) {
		perror(file);
		return -1;
	}
	while (!rc && fgets(line, sizeof(line), f)) {
		n++;
		p = line + strlen(line);
		while (p > line && isspace((unsigned char)p[-1]))
			*--p = 0;
		for (key = line; isspace((unsigned char)*key); key++)
			;
		if (!*key || *key == '#')
			continue;
		rest = key + strcspn(key, " \t");
		if (*rest)
			*rest++ = 0;
		rest += strspn(rest, " \t");
		if (!strcmp(key, "use") && depth < 4) {
			p = strrchr(file, '/');
			snprintf(other, sizeof(other), "%.*s%s", p ? (int)(p + 1 - file) : 0, file,
				 rest);
			rc = read_lines(s, other, depth + 1);
		} else if (setting(s, key, rest)) {
			fprintf(stderr, "%s:%d: can't read \"%s\"\n", file, n, key);
			rc = -1;
		}
	}
	fclose(f);
	return rc;
}

int scen_read(struct scenario *s, const char *file)
{
	const char *base = strrchr(file, '/');
	char *p;

	memset(s, 0, sizeof(*s));
	strcpy(s->watch, "wan");
	snprintf(s->file, sizeof(s->file), "%s", file);
	snprintf(s->name, sizeof(s->name), "%s", base ? base + 1 : file);
	p = strrchr(s->name, '.');
	if (p)
		*p = 0;
	strcpy(s->cca, "cubic");
	strcpy(s->set, "full");
	strcpy(s->link, "veth");
	s->forged = s->sessions = -1;
	if (read_lines(s, file, 0))
		return -1;
	if (!s->end || (!s->finds && !s->benign && !s->flows)) {
		fprintf(stderr, "%s: no end, or nothing to find in a scenario that is not benign\n",
			file);
		return -1;
	}
	if (strcmp(s->link, "veth") && strcmp(s->link, "tun") && strcmp(s->link, "virtio")) {
		fprintf(stderr, "%s: no link \"%s\"\n", file, s->link);
		return -1;
	}
	order_by_time(s);
	return 0;
}
