/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other side of the daemon's socket: who joins a daemon needs no rights but to open it. */
#ifndef WEIR_CLIENT_H
#define WEIR_CLIENT_H

#include "options.h"
#include "request.h"

/* Where to join: by --connect, or where a daemon of this machine would be. */
struct client {
	int fd;
	char path[108];
	char *buffer; /* what was read and not yet taken */
	size_t from, to, size;
	/* Of the hello. */
	int pid;
	char version[32], history[256]; /* "" none */
};

/*
 * Should the command join a daemon? Looks for one, unless a flag asks for a
 * capture of its own. 1: c is connected, the hello read, and r asked for; 0: no
 * daemon to join, capture yourself; -1: --connect was said and it can't be:
 * *code and the sentence were said.
 */
int client_join(struct client *c, const struct options *o, const struct request *r, int *code);

/*
 * The next line without its newline; valid until the next call. NULL: the daemon
 * is gone (*gone), or no whole line is there yet. Does not block after the hello.
 */
const char *client_line(struct client *c, size_t *len, bool *gone);

void client_close(struct client *c);

#endif
