/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This host's own drops with the kernel's reasons: an extra that needs kernel
 * BTF, CAP_PERFMON and 5.17. Without it everything else works.
 */
#ifndef WEIR_DROPS_H
#define WEIR_DROPS_H

#include <stddef.h>
#include <stdint.h>

#include "drops_abi.h"

struct drops;

/* NULL: not to be had here; why says so in words. */
struct drops *drops_open(char *why, size_t size);
void drops_close(struct drops *d);

/* Counts drops of packets that are at, or came in by, this interface from now on. */
void drops_watch(struct drops *d, unsigned ifindex);

/*
 * Drops at ifindex (0: at all that are not watched) since the last call, of packets that would have gone on:
 * what sockets refuse is not among them. text gets the commonest reasons with
 * their numbers, "netfilter_drop 430, qdisc_drop 5".
 */
uint64_t drops_since(struct drops *d, unsigned ifindex, char *text, size_t size);

/*
 * Flows that lost packets to this host since the last call, wherever in it, each
 * under the name it had there. None where the namespace is not known.
 */
void drops_flows(struct drops *d, void (*fn)(void *arg, const struct drop_tuple *t, uint64_t packets), void *arg);

#endif
