/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of `weir daemon` share. */
#ifndef WEIR_DAEMON_H
#define WEIR_DAEMON_H

#include "capture_run.h"
#include "event_log.h"
#include "extras.h"
#include "history.h"
#include "http.h"
#include "live.h"
#include "metrics.h"
#include "notify.h"
#include "outlet.h"
#include "server.h"

struct daemon {
	struct options now; /* in force */
	struct options next;
	bool restart; /* with next, on the capture that next_live has loaded */
	struct extras extras;
	struct live *live, *next_live;
	struct pipeline *pipeline;
	struct server *server;
	struct event_log *log;	 /* NULL: none */
	struct outlet to_log, to_stdout; /* inner.ops NULL: none */
	struct metrics *metrics;
	struct http *http; /* NULL: nobody is served */
	struct notify notify;
	int epoll; /* of the server's and the HTTP server's descriptors */
	uint64_t told_ns;   /* of the last textfile */
	bool textfile_said; /* that it can't be written */
};

/* reload.c: SIGHUP. Takes the new configuration whole, or says why not and keeps the old one. */
void daemon_reload(void *daemon);

/* daemon.c */
bool daemon_open_log(const struct options *o, struct event_log **log, struct outlet *to, char *why,
		     size_t len);
/* The HTTP server that o asks for, watched for. True with *http NULL where it asks for none. */
bool daemon_open_http(struct daemon *d, const struct options *o, struct http **http, char *why,
		      size_t len);
void daemon_about(struct daemon *d);

#endif
