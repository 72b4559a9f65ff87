/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which addresses are one host's, by its link-layer address: a host makes itself IPv6 addresses (RFC 4862), and new
 * ones each day (RFC 8981). Of fixed size; the longest unheard of makes room.
 */
#ifndef WEIR_HOSTS_H
#define WEIR_HOSTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct hosts;

struct hosts *hosts_new(void); /* NULL: out of memory */
void hosts_free(struct hosts *h);

/* The neighbour table has this address (IPv4 mapped) at that link-layer address on that interface. */
void hosts_note(struct hosts *h, const struct in6_addr *ip, unsigned ifindex, const uint8_t mac[6]);

/* May this be another address of a host, of which the neighbour table has not told? h may be NULL: it told nothing yet. */
bool hosts_stranger(const struct hosts *h, const struct in6_addr *ip);

/*
 * Are they one host's? Not where several IPv4 addresses are at one link-layer address, nor IPv6 ones that somebody
 * gave out (their interface identifier is a small number): a router or a bridge answers for those.
 */
bool hosts_same(const struct hosts *h, const struct in6_addr *a, const struct in6_addr *b);

#endif
