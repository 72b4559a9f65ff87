/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a protocol's parser sees and what it answers. One probe a protocol; each
 * is a pure function of the bytes, bounded, and says MORE only while bytes to
 * come can still decide.
 */
#ifndef WEIR_PROBE_H
#define WEIR_PROBE_H

#include "bytes.h"
#include "names.h"

enum match { MATCH_NO, MATCH_MORE, MATCH_YES };

/*
 * What the bytes say beyond the l7: rules turn these into apps (key `signature`).
 * Each stands for bytes, not for a guess.
 */
#define SIG_LIST(X)                                                                                \
	X(NONE, "none")                                                                            \
	X(WHATSAPP_NOISE, "whatsapp-noise") X(WHATSAPP_OLD, "whatsapp-old")                        \
		X(WHATSAPP_STUN, "whatsapp-stun") X(MTPROTO, "mtproto") X(MTPROTO_OBFUSCATED,      \
									  "mtproto-obfuscated")    \
			X(TELEGRAM_REFLECTOR, "telegram-reflector") X(MMTLS, "mmtls") X(           \
				MS_TURN, "ms-turn") X(ZOOM_STUN, "zoom-stun")                      \
				X(ZOOM_MEDIA, "zoom-media") X(DISCORD_VOICE, "discord-voice")      \
					X(LINE_CALL, "line-call") X(VIBER_VOICE, "viber-voice") X(VIBER_TEXT, "viber-text")    \
						X(TOR_CERT, "tor-certificate")                     \
							X(TOR_HELLO, "tor-hello")                  \
								X(BITTORRENT, "bittorrent")        \
									X(FBZERO, "facebook-zero")

enum signature {
#define X(id, name) SIG_##id,
	SIG_LIST(X)
#undef X
		SIG_COUNT
};

#define HOST_LEN 256
#define ALPN_LEN 32

struct found {
	uint8_t l7;  /* enum weir_l7 */
	uint8_t sig; /* enum signature */
	bool ech;
	bool final;	     /* with MATCH_YES: nothing more to learn from this flow */
	char host[HOST_LEN]; /* printable ASCII, "" none */
	char alpn[ALPN_LEN];
};

/* A TCP flow's payload from the start on, each way, without gaps. */
struct tcp_view {
	struct seg way[2]; /* TO_SERVER, TO_CLIENT */
	struct seg first;  /* the client's first segment alone */
	uint16_t server_port;
	bool full; /* no more will come */
};

typedef enum match (*tcp_probe)(const struct tcp_view *v, struct found *out);

/* Probes that need more than one datagram keep what they saw here, each in a slot of its own. */
enum slot {
	SLOT_WIREGUARD,
	SLOT_OPENVPN,
	SLOT_ESP,
	SLOT_UTP,
	SLOT_ZOOM,
	SLOT_LINE,
	SLOT_VIBER,
	SLOTS
};

/* What the UDP probes keep of a flow. Zero at first. */
struct udp_memory {
	struct {
		uint8_t kind;
		uint8_t b[12];
	} slot[SLOTS][2];   /* each way */
	uint8_t session[8]; /* OpenVPN: the client's session id */
	uint32_t ssrc[2];
	uint32_t rtp_ts[2];
	uint32_t rtcp_ssrc[2];
	uint16_t rtp_seq[2];
	uint8_t rtp_run[2]; /* packets in a row that fit */
	uint8_t seen[2];    /* datagrams with payload before this one, saturates */
	struct quic_state *quic;
};

/* A datagram. */
struct udp_view {
	struct seg d;
	unsigned way; /* TO_SERVER, TO_CLIENT */
	uint16_t client_port, server_port;
	size_t len; /* its length on the wire; d may be shorter (snap length) */
	struct udp_memory *mem;
};

typedef enum match (*udp_probe)(const struct udp_view *v, struct found *out);

/* Keeps a name from the wire: what is not printable becomes '?', upper case becomes lower. */
void found_host(struct found *out, const uint8_t *p, size_t n);
void found_alpn(struct found *out, const uint8_t *p, size_t n);

enum match tls_tcp(const struct tcp_view *v, struct found *out);
enum match dtls_udp(const struct udp_view *v, struct found *out);
enum match quic_udp(const struct udp_view *v, struct found *out);
void quic_free(struct udp_memory *mem);
enum match gquic_udp(const struct udp_view *v, struct found *out);
enum match fbzero_tcp(const struct tcp_view *v, struct found *out);
enum match http_tcp(const struct tcp_view *v, struct found *out);
enum match ssdp_udp(const struct udp_view *v, struct found *out);
enum match dns_tcp(const struct tcp_view *v, struct found *out);
enum match dns_udp(const struct udp_view *v, struct found *out);
enum match stun_udp(const struct udp_view *v, struct found *out);
enum match stun_tcp(const struct tcp_view *v, struct found *out);
enum match rtp_udp(const struct udp_view *v, struct found *out);
enum match noise_tcp(const struct tcp_view *v, struct found *out);
enum match noisesocket_tcp(const struct tcp_view *v, struct found *out);
enum match mtproto_tcp(const struct tcp_view *v, struct found *out);
enum match mmtls_tcp(const struct tcp_view *v, struct found *out);
enum match wireguard_udp(const struct udp_view *v, struct found *out);
enum match openvpn_udp(const struct udp_view *v, struct found *out);
enum match openvpn_tcp(const struct tcp_view *v, struct found *out);
enum match ipsec_udp(const struct udp_view *v, struct found *out);
enum match bittorrent_tcp(const struct tcp_view *v, struct found *out);
enum match bittorrent_udp(const struct udp_view *v, struct found *out);
enum match mail_tcp(const struct tcp_view *v, struct found *out);
enum match ssh_tcp(const struct tcp_view *v, struct found *out);
enum match sip_tcp(const struct tcp_view *v, struct found *out);
enum match sip_udp(const struct udp_view *v, struct found *out);
enum match rdp_tcp(const struct tcp_view *v, struct found *out);
enum match rdp_udp(const struct udp_view *v, struct found *out);
enum match mqtt_tcp(const struct tcp_view *v, struct found *out);
enum match rtmp_tcp(const struct tcp_view *v, struct found *out);
enum match smb_tcp(const struct tcp_view *v, struct found *out);
enum match smb_udp(const struct udp_view *v, struct found *out);
enum match ldap_tcp(const struct tcp_view *v, struct found *out);
enum match ldap_udp(const struct udp_view *v, struct found *out);
enum match socks_tcp(const struct tcp_view *v, struct found *out);
enum match ntp_udp(const struct udp_view *v, struct found *out);
enum match dhcp_udp(const struct udp_view *v, struct found *out);
enum match viber_tcp(const struct tcp_view *v, struct found *out);
enum match calls_udp(const struct udp_view *v, struct found *out);

/* The criteria of USENIX Security 2023 on the first payload: none of the exemptions holds. */
bool looks_random(const uint8_t *p, size_t n);

/* A head in the clear, in what looks random: its own length, or zeros. */
bool has_plain_head(const uint8_t *p, size_t n);

/* A TLS ClientHello (handshake header included), possibly cut short. False: not one. */
bool client_hello(struct seg hs, struct found *out);

#endif
