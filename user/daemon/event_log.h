/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A log of lines that never outgrows its bound: FILE, FILE.1 ... the oldest goes.
 * Only whole lines are in it, whatever happened: what a kill or a full disk tore is
 * cut off again. A full disk stops the log and nothing else; what could not be written is
 * counted, said once, and writing goes on when there is room.
 */
#ifndef WEIR_EVENT_LOG_H
#define WEIR_EVENT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_log;

struct event_log_config {
	const char *path;
	uint64_t size;	/* of one file; 0: 16 MiB */
	unsigned files; /* the one being written among them; 0: 4 */
};

/* NULL: why is a sentence. The path is copied. */
struct event_log *event_log_open(const struct event_log_config *cfg, char *why, size_t len);

/* A whole line, with its newline. Buffered: call event_log_flush() soon. */
void event_log_write(struct event_log *l, const char *line, size_t len);

/*
 * Writes what waits, down to the device: a power cut takes none of it. mono_ns: a full disk is
 * tried again each ten seconds.
 */
void event_log_flush(struct event_log *l, uint64_t mono_ns);

uint64_t event_log_lost(const struct event_log *l); /* lines that could not be written */
void event_log_close(struct event_log *l);	    /* writes what waits */

#endif
