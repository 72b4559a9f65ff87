/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every UDP probe over datagrams. Input: port; then way, two bytes of length, the bytes; again. */
#include <stdlib.h>
#include <string.h>

#include "dns.h"
#include "probe.h"
#include "tunnel.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const udp_probe probes[] = {
		quic_udp, dtls_udp,    stun_udp,  wireguard_udp,  sip_udp,   ssdp_udp,
		dhcp_udp, ntp_udp,     gquic_udp, bittorrent_udp, ipsec_udp, smb_udp,
		dns_udp,  openvpn_udp, rdp_udp,	  ldap_udp,	  calls_udp, rtp_udp,
	};
	static const uint16_t ports[] = { 443,	53,   123,  4500, 5353, 3478,
					  8801, 4789, 6081, 2152, 3544, 546 };
	struct udp_memory mem = { 0 };
	struct udp_view v = { .mem = &mem, .client_port = 40000 };

	if (!n)
		return 0;
	v.server_port = ports[p[0] % (sizeof(ports) / sizeof(ports[0]))];
	p++;
	n--;
	while (n >= 3) {
		size_t len = (size_t)(p[1] & 7) << 8 | p[2];
		struct dns_answer a;
		uint8_t *d;

		if (len > n - 3)
			len = n - 3;
		d = malloc(len + !len);
		memcpy(d, p + 3, len);
		v.way = p[0] & 1;
		v.d = (struct seg){ d, len };
		v.len = len + (p[0] & 2 ? 100 : 0);
		for (unsigned i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
			struct found f = { 0 };

			probes[i](&v, &f);
			if (f.l7 >= WEIR_L7_COUNT || f.sig >= SIG_COUNT ||
			    !memchr(f.host, 0, HOST_LEN))
				abort();
		}
		tunnel_in_udp(v.d, v.len, v.server_port);
		if (dns_addresses(v.d, &a) && (a.n > DNS_ADDRESSES || !memchr(a.name, 0, HOST_LEN)))
			abort();
		mem.seen[v.way]++;
		free(d);
		p += 3 + len;
		n -= 3 + len;
	}
	quic_free(&mem);
	return 0;
}
