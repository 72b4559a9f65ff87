/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What outputs say of people: their addresses and the names they asked for.
 * Addresses are replaced by Crypto-PAn (Xu, Fan, Ammar, Moon: ICNP 2002): keyed,
 * one to one, and two addresses that share n bits of prefix share n bits
 * afterwards. Who has the key, or knows addresses and their replacements, can
 * turn some of it back: it hides people from readers, not from the gateway.
 */
#ifndef WEIR_REDACT_H
#define WEIR_REDACT_H

#include "findings.h"
#include "model.h"

#define REDACT_KEY 32 /* bytes: an AES-128 key and the padding's secret */
#define NAME_CUT   256

enum redact_who {
	REDACT_NONE,
	REDACT_CLIENTS, /* each flow's client, and whoever is inside */
	REDACT_ALL,	/* both ends */
};

enum names {
	NAMES_DEFAULT, /* none in what live capture writes, else full */
	NAMES_FULL,
	NAMES_SUFFIX, /* example.com of www.example.com */
	NAMES_NONE,
};

struct redact;

/* The map of a key. NULL: out of memory. */
struct redact *redact_new(const uint8_t key[REDACT_KEY]);
void redact_free(struct redact *r);

/* An address (IPv4 mapped) by its replacement. Loopback, multicast, broadcast and :: name nobody and stay. */
void redact_ip(const struct redact *r, struct in6_addr *ip);

/* What an output may tell. Wherever it is taken, NULL means everything. */
struct privacy {
	enum names names;
	enum redact_who who;
	struct redact *map; /* NULL: nobody is redacted; owned */
};

/*
 * Makes the map where anybody is to be redacted: of the key in the file's first
 * bytes, or of one for this process only (key_file NULL). 0, or a sysexits code
 * with why.
 */
int privacy_open(struct privacy *p, const char *key_file, char *why, size_t len);
void privacy_close(struct privacy *p);

/* A flow's ends as they may be shown. */
void privacy_ends(const struct privacy *p, const struct model *m, const struct flow *f, struct in6_addr *client,
		  struct in6_addr *server);

/* The addresses of a flow's record, in place. */
void privacy_rec(const struct privacy *p, const struct model *m, const struct flow *f, struct weir_rec *r);

/* The facts of a finding that are addresses (answers to a name), in place. */
void privacy_finding(const struct privacy *p, const struct model *m, struct finding *f);

/* A name as it may be shown, in buf or name itself; NULL: not at all. */
const char *privacy_name(const struct privacy *p, const char *name, char buf[NAME_CUT]);

#endif
