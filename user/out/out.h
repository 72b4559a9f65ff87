/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The outputs: what a command opens, and the sinks behind it. */
#ifndef WEIR_OUT_H
#define WEIR_OUT_H

#include <stdio.h>

#include "options.h"
#include "sink.h"

/*
 * The printing sink that the options ask for, on stdout: JSON Lines or plain
 * lines. live: events are flushed one by one and interfaces have names; else
 * the output is buffered and a table of the types ends it. ops NULL: out of
 * memory. The pipeline calls its close, which frees it.
 */
struct sink_ref output_open(const struct options *o, bool live);

/*
 * False once stdout could not be written: stop, then return output_code().
 * A reader that went away (EPIPE) is no error; a full disk is.
 */
bool output_ok(void);

/* EX_OK, or EX_IOERR after saying what could not be written. Call it last. */
int output_code(void);

/*
 * Where output_write() goes until the next call; NULL: stdout. A sink that the
 * daemon keeps for its log or for a client writes through it, one at a time.
 */
void output_redirect(void (*write)(void *arg, const char *text, size_t len), void *arg);

/* A sink's own way to stdout: whole lines. The error is kept for output_ok(). */
void output_write(const char *text, size_t len);
void output_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct sink_ref json_sink(unsigned events, bool live);
/* What the JSON sink may tell, from now on; not copied. NULL: everything. */
void json_privacy(struct sink_ref sink, const struct privacy *p);

/* privacy as above. */
struct sink_ref lines_sink(const struct options *o, bool live, const struct privacy *privacy);

/* A finding's facts as indented lines by output_printf(). */
void finding_why(const struct finding *f);

/* A finding's members from kind to degraded, as the event has them after id and action. */
struct jbuf;
void finding_body(struct jbuf *b, const struct model *m, const struct finding *f);
/* The same with the names of its type and app given; NULL or "": none. */
void finding_body_named(struct jbuf *b, const struct finding *f, const char *type, const char *app);

void schema_print(FILE *to);

/* The id as events carry it: 53 bits, which every JSON reader keeps exact. */
static inline uint64_t flow_id_out(uint64_t id)
{
	return id & ((1ull << 53) - 1);
}

#endif
