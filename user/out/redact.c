// SPDX-License-Identifier: GPL-2.0-or-later
#include "redact.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <nettle/aes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "format.h"

#define BLOCK AES_BLOCK_SIZE

struct redact {
	struct aes128_ctx aes;
	uint8_t pad[BLOCK];
};

struct redact *redact_new(const uint8_t key[REDACT_KEY])
{
	struct redact *r = malloc(sizeof(*r));

	if (!r)
		return NULL;
	aes128_set_encrypt_key(&r->aes, key);
	aes128_encrypt(&r->aes, BLOCK, r->pad, key + AES128_KEY_SIZE);
	return r;
}

void redact_free(struct redact *r)
{
	if (r)
		explicit_bzero(r, sizeof(*r));
	free(r);
}

/* Each bit is flipped or not by a keyed function of the bits before it, padded to a block. */
static void map_bits(const struct redact *r, uint8_t *addr, unsigned bytes)
{
	uint8_t in[BLOCK], out[BLOCK], flips[BLOCK] = { 0 };

	memcpy(in, r->pad, sizeof(in));
	for (unsigned bit = 0; bit < bytes * 8; bit++) {
		uint8_t mask = 0x80 >> (bit % 8);

		aes128_encrypt(&r->aes, BLOCK, out, in);
		if (out[0] & 0x80)
			flips[bit / 8] |= mask;
		in[bit / 8] = (in[bit / 8] & ~mask) | (addr[bit / 8] & mask);
	}
	for (unsigned i = 0; i < bytes; i++)
		addr[i] ^= flips[i];
}

static bool names_somebody(const struct in6_addr *ip)
{
	const uint8_t *v4 = &ip->s6_addr[12];

	if (IN6_IS_ADDR_V4MAPPED(ip))
		return v4[0] && v4[0] != 127 && v4[0] >> 4 != 14 && memcmp(v4, "\xff\xff\xff\xff", 4);
	return !IN6_IS_ADDR_UNSPECIFIED(ip) && !IN6_IS_ADDR_LOOPBACK(ip) && !IN6_IS_ADDR_MULTICAST(ip);
}

void redact_ip(const struct redact *r, struct in6_addr *ip)
{
	if (!names_somebody(ip))
		return;
	if (IN6_IS_ADDR_V4MAPPED(ip))
		map_bits(r, &ip->s6_addr[12], 4);
	else
		map_bits(r, ip->s6_addr, 16);
}

/* 0, or a sysexits code. Others must not be able to read it: it undoes what it does. */
static int read_key(const char *path, uint8_t key[REDACT_KEY], char *why, size_t len)
{
	FILE *file = fopen(path, "re");
	struct stat st;
	size_t n;

	if (!file) {
		snprintf(why, len, "can't read the key %s: %s. Make one: (umask 077; head -c 32 /dev/urandom > %s)", path,
			 strerror(errno), path);
		return EX_NOINPUT;
	}
	n = fread(key, 1, REDACT_KEY, file);
	if (!fstat(fileno(file), &st) && S_ISREG(st.st_mode) && st.st_mode & (S_IRGRP | S_IROTH)) {
		snprintf(why, len, "the key %s can be read by others, who could undo the redaction: chmod 600 it.", path);
		fclose(file);
		return EX_CONFIG;
	}
	fclose(file);
	if (n == REDACT_KEY)
		return 0;
	snprintf(why, len, "the key %s has %zu bytes: it needs %d. Make one: (umask 077; head -c 32 /dev/urandom > %s)",
		 path, n, REDACT_KEY, path);
	return EX_CONFIG;
}

int privacy_open(struct privacy *p, const char *key_file, char *why, size_t len)
{
	uint8_t key[REDACT_KEY];
	int code = 0;

	if (p->who == REDACT_NONE)
		return 0;
	if (key_file) {
		code = read_key(key_file, key, why, len);
	} else if (getrandom(key, sizeof(key), 0) != sizeof(key)) {
		snprintf(why, len, "can't make a key to redact by: %s.", strerror(errno));
		code = EX_OSERR;
	}
	if (!code) {
		p->map = redact_new(key);
		if (!p->map) {
			snprintf(why, len, "out of memory.");
			code = EX_OSERR;
		}
	}
	explicit_bzero(key, sizeof(key));
	return code;
}

void privacy_close(struct privacy *p)
{
	redact_free(p->map);
	p->map = NULL;
}

/* Is the server a person's end too: somebody inside? */
static bool hides_server(const struct privacy *p, const struct model *m, const struct flow *f)
{
	return p->who == REDACT_ALL || model_is_local(m, &f->server.ip);
}

void privacy_ends(const struct privacy *p, const struct model *m, const struct flow *f, struct in6_addr *client,
		  struct in6_addr *server)
{
	*client = f->client.ip;
	*server = f->server.ip;
	if (!p || !p->map)
		return;
	redact_ip(p->map, client);
	if (hides_server(p, m, f))
		redact_ip(p->map, server);
}

void privacy_rec(const struct privacy *p, const struct model *m, const struct flow *f, struct weir_rec *r)
{
	struct in6_addr client, server;
	bool up = rec_way(f, r) == TO_SERVER;

	if (!p || !p->map)
		return;
	privacy_ends(p, m, f, &client, &server);
	memcpy(r->saddr, up ? &client : &server, sizeof(r->saddr));
	memcpy(r->daddr, up ? &server : &client, sizeof(r->daddr));
}

/* False: text is no address. */
static bool read_ip(const char *text, struct in6_addr *ip)
{
	*ip = (struct in6_addr){ .s6_addr = { [10] = 0xff, [11] = 0xff } };
	return inet_pton(AF_INET, text, &ip->s6_addr[12]) == 1 || inet_pton(AF_INET6, text, ip) == 1;
}

void privacy_finding(const struct privacy *p, const struct model *m, struct finding *f)
{
	struct facts *all[] = { &f->estimate, &f->control, &f->reasons, &f->ruled_out };
	struct in6_addr ip;
	char shown[IP_LEN];

	if (!p || !p->map)
		return;
	for (unsigned k = 0; k < 4; k++)
		for (unsigned i = 0; i < all[k]->n; i++) {
			struct fact *x = &all[k]->fact[i];

			if (!read_ip(x->text, &ip) || (p->who != REDACT_ALL && !model_is_local(m, &ip)))
				continue;
			redact_ip(p->map, &ip);
			format_ip(shown, &ip);
			snprintf(x->text, sizeof(x->text), "%s", shown);
		}
}

/* Names that stand for a country's kind of domain: example.co.uk is what example.com is elsewhere. */
static bool is_second_level(const char *label, size_t len)
{
	static const char *const known[] = { "ac", "co", "com", "edu", "gob", "gov", "gouv", "go", "mil",
					     "ne",  "net", "nom", "or",  "org", "id",  "gen", "ltd", "plc" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i]) == len && !strncasecmp(known[i], label, len))
			return true;
	return false;
}

/* Where the last n labels begin; name itself where there are no more. */
static const char *last_labels(const char *name, size_t len, unsigned n)
{
	const char *at = name + len;

	while (at > name) {
		if (at[-1] == '.' && !--n)
			return at;
		at--;
	}
	return name;
}

/* A name of letters with a domain; an address, or a single word, is no name to cut. */
static const char *suffix_of(const char *name, char buf[NAME_CUT])
{
	size_t len = strlen(name);
	const char *last, *cut;

	while (len && name[len - 1] == '.')
		len--;
	last = last_labels(name, len, 1);
	if (last == name || !isalpha((unsigned char)*last) || strchr(name, ':'))
		return NULL;
	cut = last_labels(name, len, 2);
	if ((size_t)(name + len - last) == 2 && is_second_level(cut, last - 1 - cut))
		cut = last_labels(name, len, 3);
	snprintf(buf, NAME_CUT, "%.*s", (int)(name + len - cut), cut);
	return buf;
}

const char *privacy_name(const struct privacy *p, const char *name, char buf[NAME_CUT])
{
	if (!name || !*name || (p && p->names == NAMES_NONE))
		return NULL;
	return p && p->names == NAMES_SUFFIX ? suffix_of(name, buf) : name;
}
