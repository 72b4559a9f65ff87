/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of a client's peers: names that it resolved to an address,
 * servers whose app another of its flows showed, and sockets that are in a call.
 * One bounded table; where a set is full the entry that ends first goes.
 */
#ifndef WEIR_PEERS_H
#define WEIR_PEERS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define PEER_NAME 64

struct peers;

struct peer {
	struct in6_addr client, server; /* a socket: server is all zero */
	uint16_t port;			/* 0: a name's address */
	uint8_t proto;
	uint8_t l7;
	int16_t app; /* the rules' index, -1 none */
	uint8_t channel;
	bool several;	      /* different apps behind it: says nothing */
	uint64_t until_ns;    /* 0: free */
	char name[PEER_NAME]; /* as resolved; "" none, or too long */
};

struct peer_key {
	struct in6_addr client, server;
	uint16_t port;
	uint8_t proto;
};

/* NULL: out of memory. */
struct peers *peers_new(void);
void peers_free(struct peers *p);
void peers_clear(struct peers *p);

/* NULL: not known, or no longer. */
const struct peer *peers_find(const struct peers *p, const struct peer_key *k, uint64_t now_ns);

/* Learns or refreshes; an app that differs from the one known makes it `several`. */
void peers_learn(struct peers *p, const struct peer_key *k, int app, unsigned channel, unsigned l7,
		 const char *name, uint64_t now_ns, uint64_t ttl_ns);

#endif
