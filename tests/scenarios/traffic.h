/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SCEN_TRAFFIC_H
#define SCEN_TRAFFIC_H

#include <netinet/in.h>

#include "proto.h"

struct opts {
	enum proto proto;
	struct sockaddr_storage addr, src;
	socklen_t addrlen, srclen; /* srclen 0: any */
	const char *name;	   /* SNI, Host or the name to resolve */
	const char *reject;	   /* server: names it turns away */
	const char *reject_with;   /* "rst", "alert", "fin" */
	struct want want;
	unsigned n,
		every_ms;    /* sessions, and one starts each so many ms (0: one after the other) */
	unsigned gap_ms;     /* between rounds */
	unsigned hold_ms;    /* idle before the end */
	unsigned timeout_ms; /* connect, and silence in a transfer */
	unsigned read_pace;  /* slow reader: bytes per second; 0: at once */
	unsigned up_pace;    /* client's bytes per second */
	unsigned rcvbuf;
	unsigned dur_ms, pps, size; /* datagrams */
	unsigned stun;		    /* RTP: this many binding requests first */
	unsigned retries;
	unsigned sport;		       /* the client's port, the same each time; 0: any */
	struct sockaddr_storage first; /* tried before addr (RFC 8305); firstlen 0: none */
	socklen_t firstlen;
};

uint64_t now_ms(void);
void sleep_ms(unsigned ms);

int serve_tcp(const struct opts *o);
int serve_udp(const struct opts *o);

/* One session; 0 when everything asked for arrived. Prints one line of what happened. */
int session_tcp(const struct opts *o);
int session_udp(const struct opts *o);

#endif
