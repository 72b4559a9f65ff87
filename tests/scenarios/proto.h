/* SPDX-License-Identifier: GPL-2.0-or-later */
/* First messages and framing of the protocols that the scenarios' traffic speaks. */
#ifndef SCEN_PROTO_H
#define SCEN_PROTO_H

#include <stddef.h>
#include <stdint.h>

enum proto { P_NOISE, P_TLS, P_HTTP, P_RANDOM, P_STUN, P_RTP, P_QUIC, P_DNS, P_COUNT };

/* What the client wants of the server. Travels whitened inside the protocol's own random field. */
struct want {
	uint32_t chunk;	  /* bytes that the server sends a round */
	uint32_t upchunk; /* bytes that the client sends a round */
	uint32_t pace;	  /* bytes per second of the server, 0 as fast as it goes */
	uint16_t rounds;
	uint16_t end;	/* enum ending */
	uint16_t reply; /* UDP: datagrams in answer to each */
	uint16_t size;	/* UDP: their size */
};

/* Who ends a TCP session, and how. */
enum ending { END_FIN, END_CLIENT_RST, END_SERVER_FIN, END_SERVER_RST, END_HALF };

#define WANT_LEN 32 /* whitened, on the wire */

/* -1 if there is no such protocol. */
int proto_by_name(const char *name);
int proto_is_udp(enum proto p);
uint16_t proto_port(enum proto p);

void seed(uint64_t s);
uint32_t rnd(void);
void rnd_fill(uint8_t *p, size_t n);

/* Writes WANT_LEN bytes that look random; want_get returns 0 if they hold no want. */
void want_put(uint8_t out[WANT_LEN], const struct want *w);
int want_get(const uint8_t in[WANT_LEN], struct want *w);

/* The client's first message. name: SNI or Host. Returns its length; room for 2048 bytes. */
size_t hello_client(enum proto p, uint8_t *out, const struct want *w, const char *name);

/*
 * Reads a client's first message: its full length once it is whole, 0 while more is needed, -1 if
 * it is not of the protocol. Fills w and name (room for 256 bytes).
 */
long hello_parse(enum proto p, const uint8_t *in, size_t len, struct want *w, char *name);

/* The server's answer to it; room for 8192 bytes. */
size_t hello_server(enum proto p, uint8_t *out);
/* The client's last word of the handshake (may be 0 bytes); room for 2048 bytes. */
size_t hello_finish(enum proto p, uint8_t *out);
/* What the server's answer and the client's finish measure. */
size_t hello_server_len(enum proto p);
size_t hello_finish_len(enum proto p);

/* A header for the next n bytes of stream (n at most frame_max), 0 bytes where there is none. */
size_t frame_header(enum proto p, uint8_t *out, size_t n);
size_t frame_max(enum proto p);

/* STUN and RTP datagrams; room for 2048 bytes. */
size_t stun_request(uint8_t *out, const struct want *w);
size_t stun_response(uint8_t *out, const uint8_t *request);
size_t rtp_packet(uint8_t *out, uint16_t seq, uint32_t ssrc, const struct want *w, size_t size);
size_t quic_short(uint8_t *out, const uint8_t cid[8], const struct want *w, size_t size);
size_t dns_query(uint8_t *out, uint16_t id, const char *name);
/* A QUIC v1 Initial with a ClientHello for name, protected as RFC 9001 says: 1200 bytes. */
size_t quic_initial(uint8_t *out, const uint8_t dcid[8], const char *name);

#endif
