/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every TCP probe alone. Input: flags, port, two bytes of the client's length, both sides' bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static uint8_t *copy(const uint8_t *p, size_t n)
{
	uint8_t *q = malloc(n + !n);

	memcpy(q, p, n);
	return q;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const tcp_probe probes[] = {
		tls_tcp,	http_tcp,  ssh_tcp,  noise_tcp,	  mail_tcp,
		bittorrent_tcp, mqtt_tcp,  rdp_tcp,  smb_tcp,	  sip_tcp,
		mmtls_tcp,	stun_tcp,  dns_tcp,  ldap_tcp,	  openvpn_tcp,
		fbzero_tcp, viber_tcp,	socks_tcp, rtmp_tcp, mtproto_tcp, noisesocket_tcp,
	};
	struct tcp_view v = { 0 };
	uint8_t *up, *down;
	size_t nup;

	if (n < 4)
		return 0;
	v.full = p[0] & 1;
	v.server_port = p[1] & 1 ? 53 : 443;
	nup = (size_t)p[2] << 8 | p[3];
	p += 4;
	n -= 4;
	if (nup > n)
		nup = n;
	up = copy(p, nup);
	down = copy(p + nup, n - nup);
	v.way[0] = (struct seg){ up, nup };
	v.way[1] = (struct seg){ down, n - nup };
	v.first = seg_head(v.way[0], v.server_port == 53 ? 100 : nup);
	for (unsigned i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		struct found f = { 0 };

		probes[i](&v, &f);
		if (f.l7 >= WEIR_L7_COUNT || f.sig >= SIG_COUNT || !memchr(f.host, 0, HOST_LEN))
			abort();
	}
	free(up);
	free(down);
	return 0;
}
