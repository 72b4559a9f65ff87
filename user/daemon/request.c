// SPDX-License-Identifier: GPL-2.0-or-later
#include "request.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

static const char *const types[] = { "flow", "rst", "finding", "stats", "tool" };
#define TYPES (sizeof(types) / sizeof(*types))

static bool parse_types(const char *list, unsigned *events)
{
	while (*list) {
		size_t n = strcspn(list, ","), i = 0;

		while (i < TYPES && (strlen(types[i]) != n || strncmp(types[i], list, n)))
			i++;
		if (i == TYPES)
			return false;
		*events |= 1u << i;
		list += n;
		list += *list == ',';
	}
	return *events;
}

static bool parse_seconds(const char *text, double *s)
{
	char *end;

	errno = 0;
	*s = strtod(text, &end);
	return end != text && !*end && !errno && isfinite(*s) && *s >= 0.1 && *s <= 86400;
}

static bool parse_word(const char *word, struct request *r)
{
	if (!strcmp(word, "json") || !strcmp(word, "lines"))
		r->json = *word == 'j';
	else if (!strncmp(word, "types=", 6))
		return parse_types(word + 6, &r->events);
	else if (!strncmp(word, "interval=", 9))
		return parse_seconds(word + 9, &r->interval_s);
	else if (!strcmp(word, "units=byte"))
		r->bytes = true;
	else
		return false;
	return true;
}

bool request_parse(const char *line, size_t len, struct request *r)
{
	char copy[REQUEST_MAX], *rest = copy, *word;

	*r = (struct request){ .json = true, .interval_s = 1 };
	if (len >= sizeof(copy) || memchr(line, 0, len))
		return false;
	memcpy(copy, line, len);
	copy[len] = 0;
	word = strsep(&rest, " ");
	if (!strcmp(word, "hello") || !strcmp(word, "screen")) {
		r->what = *word == 'h' ? REQUEST_HELLO : REQUEST_SCREEN;
		return !rest;
	}
	if (strcmp(word, "events"))
		return false;
	r->what = REQUEST_EVENTS;
	while ((word = strsep(&rest, " ")))
		if (!parse_word(word, r))
			return false;
	return true;
}

void request_write(const struct request *r, char line[REQUEST_MAX])
{
	int n;

	if (r->what != REQUEST_EVENTS) {
		snprintf(line, REQUEST_MAX, "%s\n", r->what == REQUEST_HELLO ? "hello" : "screen");
		return;
	}
	n = snprintf(line, REQUEST_MAX, "events %s interval=%.3f%s", r->json ? "json" : "lines",
		     r->interval_s, r->bytes ? " units=byte" : "");
	if (r->events) {
		n += snprintf(line + n, REQUEST_MAX - n, " types=");
		for (unsigned i = 0; i < TYPES; i++)
			if (r->events & 1u << i)
				n += snprintf(line + n, REQUEST_MAX - n, "%s,", types[i]);
	}
	snprintf(line + n, REQUEST_MAX - n, "\n");
}
