// SPDX-License-Identifier: GPL-2.0-or-later
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"

#define CONNECTIONS 8
#define PATIENCE_S  10
#define MEMORY	    16384 /* of a connection: a request line and headers */

struct http {
	struct MHD_Daemon *daemon;
	struct metrics *metrics;
	struct jbuf text;
};

/* RFC 9110, 12.5.1, as far as scrapers use it: named at all, and not with q=0. */
static bool wants_openmetrics(const char *accept)
{
	const char *at = accept ? strstr(accept, "application/openmetrics-text") : NULL;
	const char *end = at ? at + strcspn(at, ",") : NULL;
	const char *q = at ? strstr(at, "q=") : NULL;

	return at && !(q && q < end && strtod(q + 2, NULL) == 0);
}

static enum MHD_Result answer(struct MHD_Connection *c, unsigned code, const char *type,
			      const char *text, size_t len)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, (void *)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result ok;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	ok = MHD_queue_response(c, code, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result words(struct MHD_Connection *c, unsigned code, const char *text)
{
	return answer(c, code, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *body,
				  size_t *body_len, void **state)
{
	struct http *h = arg;
	const char *accept;
	bool open;

	/* A body is read to nowhere: its length decides nothing. */
	if (!*state) {
		*state = h;
		return MHD_YES;
	}
	if (*body_len) {
		*body_len = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return words(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or HEAD.\n");
	if (!strcmp(url, "/"))
		return words(c, MHD_HTTP_OK, "weir: see /metrics\n");
	if (strcmp(url, "/metrics"))
		return words(c, MHD_HTTP_NOT_FOUND, "There is /metrics.\n");
	accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	open = wants_openmetrics(accept);
	metrics_render(h->metrics, open ? METRICS_OPENMETRICS : METRICS_TEXT, &h->text);
	if (h->text.failed)
		return words(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "Out of memory.\n");
	return answer(c, MHD_HTTP_OK, open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
					   : "text/plain; version=0.0.4; charset=utf-8",
		      h->text.text, h->text.len);
}

static bool parse(const char *listen, struct sockaddr_storage *to)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;
	const char *colon = strrchr(listen, ':');
	bool six = *listen == '[';
	char ip[INET6_ADDRSTRLEN];
	int n = colon ? (int)(colon - listen) - (six ? 2 : 0) : 0;

	memset(to, 0, sizeof(*to));
	if (n <= 0 || n >= (int)sizeof(ip))
		return false;
	snprintf(ip, sizeof(ip), "%.*s", n, listen + six);
	if (six) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(atoi(colon + 1));
		return inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1;
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons(atoi(colon + 1));
	return inet_pton(AF_INET, ip, &v4->sin_addr) == 1;
}

static void quiet(void *arg, const char *format, va_list args)
{
}

struct http *http_open(const char *listen, struct metrics *mx, char *why, size_t len)
{
	struct http *h = calloc(1, sizeof(*h));
	struct sockaddr_storage to;
	unsigned flags = MHD_USE_EPOLL | MHD_USE_ERROR_LOG;

	if (h && parse(listen, &to)) {
		if (to.ss_family == AF_INET6)
			flags |= MHD_USE_IPv6;
		h->metrics = mx;
		errno = 0;
		h->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, h,
					     MHD_OPTION_EXTERNAL_LOGGER, quiet, NULL,
					     MHD_OPTION_SOCK_ADDR, &to,
					     MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
					     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)PATIENCE_S,
					     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
					     MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
	}
	if (h && h->daemon)
		return h;
	snprintf(why, len, "can't serve metrics at %s: %s. Name another with [metrics] listen.", listen,
		 errno ? strerror(errno) : "out of memory");
	free(h);
	return NULL;
}

int http_fd(const struct http *h)
{
	return MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

void http_serve(struct http *h)
{
	MHD_run(h->daemon);
}

void http_close(struct http *h)
{
	if (!h)
		return;
	MHD_stop_daemon(h->daemon);
	jbuf_free(&h->text);
	free(h);
}
