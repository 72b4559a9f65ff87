/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Encapsulations: what is inside is not looked at, but it is counted as what it is. */
#ifndef WEIR_TUNNEL_H
#define WEIR_TUNNEL_H

#include "bytes.h"

/* The encapsulation that an IP protocol number is, NULL: none. */
const char *tunnel_by_proto(unsigned proto);

/* Likewise of a datagram of len bytes on the wire to or from the port; d may be shorter. */
const char *tunnel_in_udp(struct seg d, size_t len, uint16_t port);

#endif
