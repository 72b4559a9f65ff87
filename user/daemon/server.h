/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's Unix socket: who may open it sees what the daemon sees, without
 * rights of his own. Clients are few and bounded, so is what waits for each; one that
 * does not read is cut off. Nothing that a client sends can change anything.
 */
#ifndef WEIR_SERVER_H
#define WEIR_SERVER_H

#include "findings.h"
#include "redact.h"
#include "sink.h"

#define SERVER_CLIENTS 16
#define SERVER_QUEUE   (1u << 20) /* bytes that may wait for a client */

struct server;

struct server_error {
	int code; /* sysexits */
	char text[512];
};

/* Facts for the hello; strings are copied. */
struct server_about {
	const char *const *ifaces;
	unsigned nifaces;
	const char *history; /* NULL: none */
};

/*
 * Listens at path, mode 0660, for the group weir where there is one and we may
 * say so. A lock beside it keeps a second daemon away. NULL: *e says why.
 */
struct server *server_open(const char *path, struct server_error *e);
void server_about(struct server *s, const struct server_about *about);
/* What clients may be told; the map must live until the next call. */
void server_privacy(struct server *s, const struct privacy *p);

/* Readable when server_serve() has something to do. */
int server_fd(const struct server *s);

/* Takes what clients send and sends what waits. mono_ns: CLOCK_MONOTONIC. Never blocks. */
void server_serve(struct server *s, uint64_t mono_ns);

/* What the pipeline's events come from from now on; NULL, NULL: it is gone. */
void server_show(struct server *s, const struct model *m, const struct findings *f);

/* What a screen's head says, sent to those who show one; a JSON object's members. */
void server_head(struct server *s, const char *source, const char *problem, uint64_t packets,
		 uint64_t lost, unsigned max_flows, double uptime_s, uint64_t now_ns);

/* The pipeline's sink, which feeds the clients. Its close does nothing. */
struct sink_ref server_sink(struct server *s);

struct server_stats {
	unsigned clients;
	uint64_t served, refused, cut; /* cut: those that did not read */
};

void server_stats(const struct server *s, struct server_stats *st);

/* Sends what can be sent at once, closes every client, takes the socket away. */
void server_close(struct server *s);

#endif
