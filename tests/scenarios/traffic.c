/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The traffic of the scenarios: a client and a server for each protocol that has no small real
 * program. The client's first message carries, whitened, what the server is to do, so that one
 * server serves every scenario.
 *
 *	traffic server PROTO ADDRESS PORT [KEY=VALUE...]
 *	traffic client PROTO ADDRESS PORT [KEY=VALUE...]
 *	traffic clock SECONDS		steps the machine's clock: only ever in a VM of its own
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "traffic.h"

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

void sleep_ms(unsigned ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000l };

	while (nanosleep(&t, &t))
		;
}

static int set_addr(struct sockaddr_storage *a, socklen_t *len, const char *ip, unsigned port)
{
	struct sockaddr_in *v4 = (void *)a;
	struct sockaddr_in6 *v6 = (void *)a;

	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		*len = sizeof(*v4);
		return 0;
	}
	if (inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		*len = sizeof(*v6);
		return 0;
	}
	fprintf(stderr, "traffic: not an address: %s\n", ip);
	return -1;
}

/* 3k = 3000, 2M = 2000000; rates and sizes alike. */
static uint32_t number(const char *s)
{
	char *end;
	double v = strtod(s, &end);

	return v * (*end == 'k' ? 1e3 : *end == 'M' ? 1e6 : 1);
}

static int set_option(struct opts *o, char *kv)
{
	static const char *const endings[] = { "fin", "rst", "srvfin", "srvrst", "half" };
	char *v = strchr(kv, '=');
	struct {
		const char *key;
		unsigned *to;
	} plain[] = {
		{ "n", &o->n },
		{ "every", &o->every_ms },
		{ "gap", &o->gap_ms },
		{ "hold", &o->hold_ms },
		{ "timeout", &o->timeout_ms },
		{ "readpace", &o->read_pace },
		{ "uppace", &o->up_pace },
		{ "rcvbuf", &o->rcvbuf },
		{ "dur", &o->dur_ms },
		{ "pps", &o->pps },
		{ "size", &o->size },
		{ "stun", &o->stun },
		{ "retries", &o->retries },
		{ "sport", &o->sport },
		{ "down", &o->want.chunk },
		{ "up", &o->want.upchunk },
		{ "pace", &o->want.pace },
	};

	if (!v)
		goto bad;
	*v++ = 0;
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
		if (!strcmp(kv, plain[i].key)) {
			*plain[i].to = number(v);
			return 0;
		}
	if (!strcmp(kv, "sni") || !strcmp(kv, "host") || !strcmp(kv, "name"))
		o->name = v;
	else if (!strcmp(kv, "src"))
		return set_addr(&o->src, &o->srclen, v, 0);
	else if (!strcmp(kv, "first"))
		return set_addr(&o->first, &o->firstlen, v,
				ntohs(((struct sockaddr_in *)&o->addr)->sin_port));
	else if (!strcmp(kv, "rounds"))
		o->want.rounds = number(v);
	else if (!strcmp(kv, "reply"))
		o->want.reply = number(v);
	else if (!strcmp(kv, "replysize"))
		o->want.size = number(v);
	else if (!strcmp(kv, "reject"))
		o->reject = v;
	else if (!strcmp(kv, "with"))
		o->reject_with = v;
	else if (!strcmp(kv, "end")) {
		for (unsigned i = 0; i < 5; i++)
			if (!strcmp(v, endings[i])) {
				o->want.end = i;
				return 0;
			}
		goto bad;
	} else
		goto bad;
	return 0;
bad:
	fprintf(stderr, "traffic: what is %s?\n", kv);
	return -1;
}

/* Sessions one after the other, or one each so often whether or not the last has ended. */
static int client(const struct opts *o)
{
	uint64_t start = now_ms();
	int failed = 0, st;

	for (unsigned i = 0; i < o->n; i++) {
		if (o->every_ms && now_ms() < start + (uint64_t)i * o->every_ms)
			sleep_ms(start + (uint64_t)i * o->every_ms - now_ms());
		if (!o->every_ms) {
			failed += !!(proto_is_udp(o->proto) ? session_udp(o) : session_tcp(o));
			continue;
		}
		if (!fork()) {
			seed(start ^ ((uint64_t)getpid() << 32) ^ i);
			_exit(!!(proto_is_udp(o->proto) ? session_udp(o) : session_tcp(o)));
		}
		while (waitpid(-1, &st, WNOHANG) > 0)
			failed += st != 0;
	}
	while (wait(&st) > 0)
		failed += st != 0;
	return failed != 0;
}

static int step_clock(double by)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += (time_t)by;
	/* A guest of vmtests has this; no machine that anyone works on does. */
	if (access("/w/job", F_OK)) {
		fprintf(stderr, "traffic: not in a VM of the tests\n");
		return 77;
	}
	return clock_settime(CLOCK_REALTIME, &t) ? 77 : 0;
}

int main(int argc, char **argv)
{
	struct opts o = { .n = 1,
			  .timeout_ms = 10000,
			  .name = "",
			  .pps = 50,
			  .size = 160,
			  .dur_ms = 1000,
			  .retries = 3,
			  .want = { .rounds = 1 } };
	int p, server;

	if (argc == 3 && !strcmp(argv[1], "clock"))
		return step_clock(atof(argv[2]));
	if (argc < 5) {
		fprintf(stderr, "usage: traffic server|client PROTO ADDRESS PORT [KEY=VALUE...]\n");
		return 64;
	}
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	seed(now_ms() ^ ((uint64_t)getpid() << 40));
	server = !strcmp(argv[1], "server");
	p = proto_by_name(argv[2]);
	if (p < 0) {
		fprintf(stderr, "traffic: no protocol %s\n", argv[2]);
		return 64;
	}
	o.proto = p;
	if (set_addr(&o.addr, &o.addrlen, argv[3], atoi(argv[4]) ?: proto_port(p)))
		return 64;
	for (int i = 5; i < argc; i++)
		if (set_option(&o, argv[i]))
			return 64;
	if (server)
		return proto_is_udp(p) ? serve_udp(&o) : serve_tcp(&o);
	return client(&o);
}
