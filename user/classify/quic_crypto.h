/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys of QUIC Initial packets and their removal (RFC 9001 5, RFC 9369, the drafts before them). */
#ifndef WEIR_QUIC_CRYPTO_H
#define WEIR_QUIC_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nettle/aes.h>
#include <nettle/gcm.h>

/* The longest header that is looked at: a token can fill most of a datagram. */
#define QUIC_HEAD_MAX 1536

/* Which salt and labels a version has. */
enum quic_salt {
	SALT_V1,
	SALT_V2,
	SALT_DRAFT_29,
	SALT_DRAFT_23,
	SALT_DRAFT_22,
	SALT_V2_DRAFT,
	SALT_Q050,
	SALT_T050,
	SALT_T051,
	SALT_COUNT,
	SALT_UNKNOWN = SALT_COUNT
};

struct quic_keys {
	struct gcm_aes128_ctx gcm;
	struct aes128_ctx hp;
	uint8_t iv[12];
};

/* SALT_UNKNOWN for a version that none is known of. */
enum quic_salt quic_version_salt(uint32_t version);

/* The client's Initial keys for a destination connection id of n bytes. */
void quic_derive(struct quic_keys *k, enum quic_salt salt, const uint8_t *dcid, size_t n);

/*
 * Opens a packet: head bytes up to the packet number, then `length` bytes of
 * number, payload and tag. The plain payload goes to out (room >= length);
 * returns its length, 0 when the tag does not fit. The packet stays as it is.
 */
size_t quic_open(struct quic_keys *k, const uint8_t *packet, size_t head, size_t length,
		 uint8_t *out);

#endif
