/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is on the links of this host, as its kernel knows them by ARP and neighbour discovery (RFC 826, 4861). */
#ifndef WEIR_NEIGHBOURS_H
#define WEIR_NEIGHBOURS_H

#include <netinet/in.h>
#include <stdint.h>

#define NEIGHBOURS_MAX 8192 /* of each family; of more the rest is not read */

/* Calls fn for each that has a link-layer address of six bytes; IPv4 mapped. How many, or -errno. */
int neighbours_each(void (*fn)(void *arg, const struct in6_addr *ip, unsigned ifindex, const uint8_t mac[6]), void *arg);

#endif
