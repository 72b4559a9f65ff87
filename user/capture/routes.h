/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which interfaces lead out: those with a default route. */
#ifndef WEIR_ROUTES_H
#define WEIR_ROUTES_H

#include <stddef.h>

/* Fills ifindex with the interfaces of the main table's default routes, IPv4 and IPv6, each once.
 * How many, or -errno. */
int routes_default(unsigned *ifindex, size_t max);

#endif
