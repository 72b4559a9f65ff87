/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Google's QUIC before the IETF's: its client hello is a CHLO message of tags. */
#ifndef WEIR_GQUIC_H
#define WEIR_GQUIC_H

#include "probe.h"

/* Looks for a CHLO in a packet's plain payload; takes its SNI. False: there is none. */
bool gquic_hello(struct seg s, struct found *out);

#endif
