/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The service manager is told how we are (sd_notify(3)): datagrams, written by us. */
#ifndef WEIR_NOTIFY_H
#define WEIR_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct notify {
	int fd;		      /* -1: nobody wants to know */
	uint64_t watchdog_ns; /* between signs of life, half of what is asked for; 0: none wanted */
	uint64_t pinged_ns;
};

/*
 * Connects to $NOTIFY_SOCKET, a path or "@abstract"; reads $WATCHDOG_USEC where
 * $WATCHDOG_PID is us or not set. Takes the variables out of the environment.
 */
void notify_open(struct notify *n);

/* "READY=1", "STOPPING=1", "STATUS=...". A manager that does not listen is no error. */
void notify_send(const struct notify *n, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* RELOADING=1 with the time it began, as Type=notify-reload wants it. */
void notify_reloading(const struct notify *n);

/* Called often: a sign of life when one is due. mono_ns: CLOCK_MONOTONIC. */
void notify_alive(struct notify *n, uint64_t mono_ns);

void notify_close(struct notify *n);

#endif
