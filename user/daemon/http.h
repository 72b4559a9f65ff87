/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The metrics over HTTP (libmicrohttpd), in the loop's own thread: GET /metrics and nothing else. */
#ifndef WEIR_HTTP_H
#define WEIR_HTTP_H

#include <stddef.h>

struct http;
struct metrics;

/* listen: "127.0.0.1:9988" or "[::1]:9988", checked by the option. NULL: why is a sentence. */
struct http *http_open(const char *listen, struct metrics *mx, char *why, size_t len);

/* Readable when there is something to serve. */
int http_fd(const struct http *h);
void http_serve(struct http *h); /* never blocks */
void http_close(struct http *h);

#endif
