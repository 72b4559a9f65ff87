/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The protocols by name: one list for the engine, the classifiers, the outputs and the schema. */
#ifndef WEIR_L7_H
#define WEIR_L7_H

#define WEIR_L7_LIST(X)                                                                     \
	X(UNKNOWN, "unknown") X(DNS, "dns") X(DOT, "dot") X(HTTP, "http") X(TLS, "tls")     \
	X(QUIC, "quic") X(DTLS, "dtls") X(STUN, "stun") X(RTP, "rtp") X(RTCP, "rtcp")       \
	X(SSH, "ssh") X(SMTP, "smtp") X(IMAP, "imap") X(POP3, "pop3") X(FTP, "ftp")         \
	X(RDP, "rdp") X(SIP, "sip") X(MQTT, "mqtt") X(NTP, "ntp")                           \
	X(BITTORRENT, "bittorrent") X(WIREGUARD, "wireguard") X(OPENVPN, "openvpn")         \
	X(IPSEC, "ipsec") X(SOCKS, "socks") X(NOISE, "noise") X(MTPROTO, "mtproto")         \
	X(MMTLS, "mmtls") X(RTMP, "rtmp") X(SMB, "smb") X(LDAP, "ldap") X(MDNS, "mdns")     \
	X(SSDP, "ssdp") X(DHCP, "dhcp") X(ICMP, "icmp")                                     \
	X(FULLY_ENCRYPTED, "fully-encrypted")

enum weir_l7 {
#define X(id, name) WEIR_L7_##id,
	WEIR_L7_LIST(X)
#undef X
	WEIR_L7_COUNT
};

#endif
