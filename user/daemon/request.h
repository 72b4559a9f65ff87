/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a client asks of the daemon's socket, one line:
 *	hello
 *	events [json|lines] [types=LIST] [interval=S] [units=byte]
 *	screen
 * The answer begins with one line, the daemon's hello as JSON; after it come
 * the events, or once a second what a screen shows (snapshot.h).
 */
#ifndef WEIR_REQUEST_H
#define WEIR_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#define REQUEST_MAX 256 /* with its newline */

enum request_what { REQUEST_HELLO, REQUEST_EVENTS, REQUEST_SCREEN };

struct request {
	enum request_what what;
	bool json, bytes;
	unsigned events; /* EVENT_*; 0: the default of the form */
	double interval_s;
};

/* line: len bytes without the newline, whatever they are. False: no request. */
bool request_parse(const char *line, size_t len, struct request *r);

/* The line with its newline, zero-terminated. */
void request_write(const struct request *r, char line[REQUEST_MAX]);

#endif
