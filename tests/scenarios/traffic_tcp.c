/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "traffic.h"

enum { STEP = 16384 };

/* poll for at most ms; 0 when nothing happened. */
static int ready(int fd, short what, unsigned ms)
{
	struct pollfd p = { .fd = fd, .events = what };

	return poll(&p, 1, ms) > 0;
}

static int send_all(int fd, const uint8_t *p, size_t n, unsigned timeout)
{
	while (n) {
		ssize_t k;

		if (!ready(fd, POLLOUT, timeout)) {
			errno = ETIMEDOUT;
			return -1;
		}
		k = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k < 0 && errno != EAGAIN)
			return -1;
		if (k > 0) {
			p += k;
			n -= k;
		}
	}
	return 0;
}

/* The stream of one direction: n payload bytes, framed, at most pace bytes per second. */
static int send_stream(int fd, enum proto p, size_t n, unsigned pace, unsigned timeout)
{
	uint8_t buf[16 + STEP];
	uint64_t start = now_ms(), sent = 0;

	while (n) {
		size_t step = n, h;

		if (step > STEP - 32)
			step = STEP - 32;
		if (pace && step > pace / 50 + 1)
			step = pace / 50 + 1;
		h = frame_header(p, buf, step);
		rnd_fill(buf + h, step);
		if (send_all(fd, buf, h + step, timeout))
			return -1;
		n -= step;
		sent += step;
		if (pace) {
			uint64_t due = start + sent * 1000 / pace, t = now_ms();

			if (due > t)
				sleep_ms(due - t);
		}
	}
	return 0;
}

static int read_some(int fd, uint8_t *buf, size_t n, unsigned timeout)
{
	if (!ready(fd, POLLIN, timeout)) {
		errno = ETIMEDOUT;
		return -1;
	}
	return recv(fd, buf, n, 0);
}

struct reader {
	int fd;
	enum proto proto;
	size_t left; /* bytes of frame payload still to come */
	uint8_t head[5];
	size_t nhead;
};

/* Reads n payload bytes and drops them. -1: error or silence; the bytes read come back in got. */
static int read_stream(struct reader *r, size_t n, unsigned timeout, unsigned pace, uint64_t *got)
{
	size_t hl = r->proto == P_TLS ? 5 : r->proto == P_NOISE ? 3 : 0;
	uint64_t start = now_ms(), done = 0;
	uint8_t buf[65536];

	while (n) {
		size_t want = n;
		int k;

		if (hl && !r->left) {
			k = read_some(r->fd, r->head + r->nhead, hl - r->nhead, timeout);
			if (k <= 0)
				return -1;
			r->nhead += k;
			if (r->nhead < hl)
				continue;
			r->nhead = 0;
			r->left = r->proto == P_TLS
					  ? r->head[3] << 8 | r->head[4]
					  : r->head[0] << 16 | r->head[1] << 8 | r->head[2];
			continue;
		}
		if (hl && want > r->left)
			want = r->left;
		if (want > sizeof(buf))
			want = sizeof(buf);
		if (pace && want > pace / 10 + 1)
			want = pace / 10 + 1;
		k = read_some(r->fd, buf, want, timeout);
		if (k <= 0)
			return -1;
		n -= k;
		if (hl)
			r->left -= k;
		done += k;
		if (got)
			*got += k;
		if (pace && start + done * 1000 / pace > now_ms())
			sleep_ms(start + done * 1000 / pace - now_ms());
	}
	return 0;
}

static int read_exact(int fd, uint8_t *buf, size_t n, unsigned timeout)
{
	for (size_t at = 0; at < n;) {
		int k = read_some(fd, buf + at, n - at, timeout);

		if (k <= 0)
			return -1;
		at += k;
	}
	return 0;
}

static void close_with_rst(int fd)
{
	struct linger l = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
}

/* Waits for the other side's end, so that no data meets a closed socket. */
static void close_with_fin(int fd)
{
	uint8_t buf[4096];

	shutdown(fd, SHUT_WR);
	while (read_some(fd, buf, sizeof(buf), 3000) > 0)
		;
	close(fd);
}

static void reject(int fd, enum proto p, const char *with)
{
	if (!strcmp(with, "rst")) {
		close_with_rst(fd);
		return;
	}
	if (!strcmp(with, "alert") && p == P_TLS) /* fatal, unrecognized_name */
		send_all(fd, (const uint8_t *)"\x15\3\3\0\2\2\x70", 7, 1000);
	else if (p == P_HTTP)
		send_all(fd,
			 (const uint8_t *)"HTTP/1.1 302 Found\r\nLocation: http://portal.example/"
					  "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
			 103, 1000);
	close_with_fin(fd);
}

/* HTTP's later requests come with headers of their own. */
static long http_more(int fd, struct want *w)
{
	uint8_t buf[4096];
	char name[256];
	size_t have = 0;
	long n;

	for (;;) {
		int k = read_some(fd, buf + have, 1, 30000);

		if (k <= 0)
			return -1;
		have += k;
		n = hello_parse(P_HTTP, buf, have, w, name);
		if (n)
			return n;
		if (have == sizeof(buf))
			return -1;
	}
}

static void serve_one(int fd, const struct opts *o)
{
	uint8_t buf[8192], fin[2048];
	char name[256], head[160];
	struct reader r = { .fd = fd, .proto = o->proto };
	struct want w;
	size_t have = 0;
	long used;

	do { /* TLS and noise clients wait for us after their hello: no bytes beyond it */
		int k = read_some(fd, buf + have, o->proto == P_HTTP ? 1 : sizeof(buf) - have,
				  30000);

		if (k <= 0) {
			close(fd);
			return;
		}
		have += k;
		used = hello_parse(o->proto, buf, have, &w, name);
	} while (!used && have < sizeof(buf));
	if (used < 0) {
		close_with_fin(fd);
		return;
	}
	if (o->reject && *name && strstr(name, o->reject)) {
		reject(fd, o->proto, o->reject_with ? o->reject_with : "rst");
		return;
	}
	if (o->proto != P_HTTP) {
		size_t n = hello_server(o->proto, buf);

		if (send_all(fd, buf, n, 30000) ||
		    read_exact(fd, fin, hello_finish_len(o->proto), 30000))
			goto gone;
	}
	for (unsigned i = 0; i < w.rounds; i++) {
		if (o->proto == P_HTTP && i && http_more(fd, &w) < 0)
			goto gone;
		if (w.upchunk && read_stream(&r, w.upchunk, 60000, 0, NULL))
			goto gone;
		if (o->proto == P_HTTP) {
			int n = snprintf(head, sizeof(head),
					 "HTTP/1.1 200 OK\r\nServer: traffic\r\n"
					 "Content-Type: application/octet-stream\r\n"
					 "Content-Length: %u\r\n\r\n",
					 w.chunk);
			if (send_all(fd, (uint8_t *)head, n, 60000))
				goto gone;
		}
		if (w.chunk && send_stream(fd, o->proto, w.chunk, w.pace, 60000))
			goto gone;
	}
	if (w.end == END_SERVER_RST) {
		close_with_rst(fd);
		return;
	}
	if (w.end != END_SERVER_FIN)
		while (read_some(fd, buf, sizeof(buf), 60000) > 0)
			;
	close_with_fin(fd);
	return;
gone:
	close(fd);
}

/* What TRAFFIC_CCA names; a namespace's own default may be set only to what is allowed everywhere. */
static void take_cca(int fd)
{
	const char *name = getenv("TRAFFIC_CCA");

	if (name && *name && fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, strlen(name)))
		perror("traffic: TCP_CONGESTION");
}

int serve_tcp(const struct opts *o)
{
	int fd = socket(o->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	take_cca(fd);
	if (fd < 0 || bind(fd, (const void *)&o->addr, o->addrlen) || listen(fd, 512)) {
		perror("traffic: listen");
		return 71;
	}
	signal(SIGCHLD, SIG_IGN);
	for (unsigned i = 0;; i++) {
		int c = accept(fd, NULL, NULL);

		if (c < 0)
			continue;
		if (!fork()) {
			close(fd);
			seed(now_ms() ^ ((uint64_t)getpid() << 32) ^ i);
			setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			serve_one(c, o);
			_exit(0);
		}
		close(c);
	}
}

/* A connection that is being made; -1 at once when it can't be. */
static int begin_tcp(const struct opts *o, const struct sockaddr_storage *to, socklen_t tolen)
{
	struct sockaddr_storage src = o->src;
	int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), e, one = 1;

	if (fd < 0)
		return -1;
	take_cca(fd);
	if (o->rcvbuf)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &o->rcvbuf, sizeof(o->rcvbuf));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (o->sport) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		((struct sockaddr_in *)&src)->sin_port = htons(o->sport);
	}
	if (o->srclen && o->src.ss_family == to->ss_family &&
	    bind(fd, (const void *)&src, o->srclen))
		goto fail;
	if (connect(fd, (const void *)to, tolen) && errno != EINPROGRESS)
		goto fail;
	return fd;
fail:
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

/* The first address has 250 ms to answer, then both may; who loses is closed (RFC 8305). */
static int race_tcp(const struct opts *o)
{
	struct pollfd p[2] = { { .fd = begin_tcp(o, &o->first, o->firstlen), .events = POLLOUT },
			       { .fd = -1, .events = POLLOUT } };
	int winner;

	if (p[0].fd >= 0 && ready(p[0].fd, POLLOUT, 250))
		return p[0].fd;
	p[1].fd = begin_tcp(o, &o->addr, o->addrlen);
	if (poll(p, 2, o->timeout_ms) <= 0) {
		close(p[0].fd);
		close(p[1].fd);
		errno = ETIMEDOUT;
		return -1;
	}
	winner = !(p[0].revents & POLLOUT);
	close(p[!winner].fd);
	return p[winner].fd;
}

static int open_tcp(const struct opts *o)
{
	int fd = o->firstlen ? race_tcp(o) : begin_tcp(o, &o->addr, o->addrlen), e = 0;
	socklen_t len = sizeof(e);

	if (fd < 0)
		return -1;
	if (!ready(fd, POLLOUT, o->timeout_ms))
		e = ETIMEDOUT;
	else if (!getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) && !e)
		return fd;
	close(fd);
	errno = e;
	return -1;
}

static int http_head(int fd, unsigned timeout)
{
	uint8_t buf[1024];

	for (size_t n = 0; n < sizeof(buf); n++) {
		if (read_exact(fd, buf + n, 1, timeout))
			return -1;
		if (n >= 3 && !memcmp(buf + n - 3, "\r\n\r\n", 4))
			return 0;
	}
	return -1;
}

int session_tcp(const struct opts *o)
{
	uint8_t buf[8192];
	struct reader r = { .proto = o->proto };
	struct want w = o->want;
	uint64_t got = 0, start = now_ms();
	const char *stage = "connect";
	int fd = open_tcp(o), e;
	size_t n;

	if (fd < 0)
		goto fail;
	r.fd = fd;
	stage = "hello";
	n = hello_client(o->proto, buf, &w, o->name);
	if (send_all(fd, buf, n, o->timeout_ms))
		goto fail;
	if (o->proto != P_HTTP) {
		if (read_exact(fd, buf, hello_server_len(o->proto), o->timeout_ms))
			goto fail;
		n = hello_finish(o->proto, buf);
		if (send_all(fd, buf, n, o->timeout_ms))
			goto fail;
	}
	for (unsigned i = 0; i < w.rounds; i++) {
		stage = "up";
		if (i && o->gap_ms)
			sleep_ms(o->gap_ms);
		if (i && o->proto == P_HTTP) {
			n = hello_client(o->proto, buf, &w, o->name);
			if (send_all(fd, buf, n, o->timeout_ms))
				goto fail;
		}
		if (w.upchunk && send_stream(fd, o->proto, w.upchunk, o->up_pace, o->timeout_ms))
			goto fail;
		stage = "down";
		if (o->proto == P_HTTP && http_head(fd, o->timeout_ms))
			goto fail;
		if (w.chunk && read_stream(&r, w.chunk, o->timeout_ms, o->read_pace, &got))
			goto fail;
	}
	if (o->hold_ms)
		sleep_ms(o->hold_ms);
	if (w.end == END_CLIENT_RST)
		close_with_rst(fd);
	else
		close_with_fin(fd);
	printf("ok %lu bytes %lu ms\n", (unsigned long)got, (unsigned long)(now_ms() - start));
	return 0;
fail:
	e = errno;
	printf("failed at %s: %s, %lu bytes %lu ms\n", stage, e ? strerror(e) : "closed",
	       (unsigned long)got, (unsigned long)(now_ms() - start));
	if (fd >= 0)
		close(fd);
	return 1;
}
