/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "traffic.h"

/* Answers each datagram by what it carries; keeps no state. */
int serve_udp(const struct opts *o)
{
	int fd = socket(o->addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t in[2048], out[2048];
	uint16_t seq = 0;

	if (fd < 0 || bind(fd, (const void *)&o->addr, o->addrlen)) {
		perror("traffic: bind");
		return 71;
	}
	for (;;) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, in, sizeof(in), 0, (void *)&from, &len);
		struct want w;

		if (n < 20)
			continue;
		if (!(in[0] & 0xc0) && !memcmp(in + 4, "\x21\x12\xa4\x42", 4)) {
			sendto(fd, out, stun_response(out, in), 0, (void *)&from, len);
			continue;
		}
		if ((in[0] & 0xc0) ==
		    0xc0) { /* QUIC long header: Initial and Handshake in answer */
			memcpy(out, "\xc1\0\0\0\1\0\x08", 7);
			memcpy(out + 7, in + 6, 8);
			memcpy(out + 15, "\0\x44\x96", 3);
			rnd_fill(out + 18, 1182);
			sendto(fd, out, 1200, 0, (void *)&from, len);
			out[0] = 0xe1;
			rnd_fill(out + 18, 1182);
			sendto(fd, out, 1200, 0, (void *)&from, len);
			continue;
		}
		if ((in[0] & 0xc0) == 0x80 && n >= 12 + WANT_LEN && want_get(in + 12, &w)) {
			for (unsigned i = 0; i < w.reply; i++)
				sendto(fd, out,
				       rtp_packet(out, ++seq, 0x5eed, NULL,
						  i & 1 ? w.size / 4 : w.size),
				       0, (void *)&from, len);
			continue;
		}
		if ((in[0] & 0xc0) == 0x40 && n >= 9 + WANT_LEN && want_get(in + 9, &w)) {
			for (unsigned i = 0; i < w.reply; i++)
				sendto(fd, out, quic_short(out, in + 1, NULL, w.size), 0,
				       (void *)&from, len);
		}
	}
}

/* Datagrams that come within ms. */
static unsigned drain(int fd, unsigned ms, uint64_t *bytes)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t end = now_ms() + ms;
	uint8_t buf[2048];
	unsigned got = 0;

	for (;;) {
		uint64_t t = now_ms();
		ssize_t n;

		if (poll(&p, 1, t < end ? end - t : 0) <= 0)
			return got;
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			sleep_ms(1); /* an ICMP error */
		if (n >= 0) {
			got++;
			*bytes += n;
		}
		if (now_ms() >= end)
			return got;
	}
}

/* Requests until one is answered, the wait doubling (RFC 8489 6.2.1). */
static int ask(int fd, const struct opts *o, uint64_t *bytes)
{
	uint8_t buf[2048];
	unsigned wait = 500, n = 0;
	uint16_t id = rnd();

	for (unsigned i = 0; i <= o->retries; i++) {
		if (!i)
			n = o->proto == P_DNS ? dns_query(buf, id, o->name)
					      : stun_request(buf, &o->want);
		send(fd, buf, n, 0);
		if (o->proto == P_DNS)
			wait = 2000;
		for (unsigned left = wait; left; left = left > 50 ? left - 50 : 0)
			if (drain(fd, left < 50 ? left : 50, bytes)) {
				drain(fd, 200, bytes);
				return 0;
			}
		wait *= 2;
	}
	return -1;
}

int session_udp(const struct opts *o)
{
	int fd = socket(o->addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t start = now_ms(), bytes = 0, due, got = 0, sent = 0;
	uint8_t buf[2048], cid[8];
	uint16_t seq = rnd();
	uint32_t ssrc = rnd();
	struct want w = o->want;
	const char *stage = "ask";

	if (o->srclen)
		bind(fd, (const void *)&o->src, o->srclen);
	if (connect(fd, (const void *)&o->addr, o->addrlen))
		goto fail;
	if (!w.reply)
		w.reply = 1;
	if (!w.size)
		w.size = o->size;
	if (o->proto == P_DNS || o->proto == P_STUN) {
		unsigned n = o->proto == P_STUN && o->stun ? o->stun : 1;

		for (unsigned i = 0; i < n; i++) {
			if (i)
				sleep_ms(o->gap_ms ? o->gap_ms : 1000);
			if (ask(fd, o, &bytes))
				goto fail;
		}
		if (o->proto == P_DNS)
			goto done;
	}
	for (unsigned i = 0; i < (o->proto == P_RTP ? o->stun : 0); i++)
		if (ask(fd, o, &bytes))
			goto fail;
	if (o->proto == P_QUIC) {
		unsigned wait = 300, i;

		stage = "initial";
		rnd_fill(cid, 8);
		for (i = 0; i <= o->retries; i++, wait *= 2) {
			send(fd, buf, quic_initial(buf, cid, o->name), 0);
			if (drain(fd, wait, &bytes))
				break;
		}
		if (i > o->retries)
			goto fail;
	}
	if (o->proto == P_STUN)
		goto done;
	stage = "media";
	start = now_ms();
	for (due = start; due < start + o->dur_ms; sent++) {
		unsigned n = o->proto == P_QUIC ? quic_short(buf, cid, &w, o->size)
						: rtp_packet(buf, seq++, ssrc, &w, o->size);
		uint64_t t;

		send(fd, buf, n, 0);
		due = start + (sent + 1) * 1000 / o->pps;
		t = now_ms();
		got += drain(fd, due > t ? due - t : 0, &bytes);
	}
	if (!got)
		goto fail;
done:
	printf("ok %lu bytes %lu ms, %lu datagrams sent, %lu came\n", (unsigned long)bytes,
	       (unsigned long)(now_ms() - start), (unsigned long)sent, (unsigned long)got);
	close(fd);
	return 0;
fail:
	printf("failed at %s: %lu bytes %lu ms\n", stage, (unsigned long)bytes,
	       (unsigned long)(now_ms() - start));
	close(fd);
	return 1;
}
