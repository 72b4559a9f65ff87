// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Traffic through a gateway under test. As a server: takes TCP and discards it, sends UDP back. As a client:
 * commands on standard input, an answer a line:
 *	flood SECONDS FLOWS PPS	64-byte UDP frames of so many flows from a packet socket, PPS 0: as fast as it goes -> sent
 *	echo N			UDP round trips, one after the other -> median microseconds
 *	bulk SECONDS		TCP -> bytes sent
 * usage: traffic server ADDR | traffic client ADDR IFACE OWN-MAC GATEWAY-MAC FLOOD-ADDR
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define BATCH 64
#define PORT  7100

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct sockaddr_in address(const char *ip)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(PORT) };

	if (inet_pton(AF_INET, ip, &a.sin_addr) != 1)
		die(ip);
	return a;
}

static void server(const char *ip)
{
	struct sockaddr_in a = address(ip), from;
	int l = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
	static char buffer[1 << 20];
	struct pollfd p[3] = { { .fd = l, .events = POLLIN }, { .fd = u, .events = POLLIN }, { .fd = -1, .events = POLLIN } };

	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(l, (struct sockaddr *)&a, sizeof(a)) || listen(l, 8) || bind(u, (struct sockaddr *)&a, sizeof(a)))
		die("server");
	for (;;) {
		if (poll(p, 3, -1) < 0)
			die("poll");
		if (p[0].revents) {
			if (p[2].fd >= 0)
				close(p[2].fd);
			p[2].fd = accept(l, NULL, NULL);
		}
		if (p[1].revents) {
			socklen_t len = sizeof(from);
			ssize_t n = recvfrom(u, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &len);

			if (n >= 0)
				sendto(u, buffer, (size_t)n, 0, (struct sockaddr *)&from, len);
		}
		if (p[2].fd >= 0 && p[2].revents && read(p[2].fd, buffer, sizeof(buffer)) <= 0) {
			close(p[2].fd);
			p[2].fd = -1;
		}
	}
}

static struct packet frame[BATCH];
static struct mmsghdr msgs[BATCH];
static struct iovec iov[BATCH];
static struct sockaddr_ll to;

static int open_flood(const char *iface, const char *own, const char *gateway, const char *dst)
{
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
	unsigned m[12];

	if (fd < 0)
		die("packet socket");
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	to = (struct sockaddr_ll){ .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(iface), .sll_halen = 6 };
	if (sscanf(gateway, "%x:%x:%x:%x:%x:%x", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6 ||
	    sscanf(own, "%x:%x:%x:%x:%x:%x", m + 6, m + 7, m + 8, m + 9, m + 10, m + 11) != 6)
		die("MAC");
	for (int i = 0; i < BATCH; i++) {
		struct in_addr a;

		udp_packet(&frame[i], 4, 18); /* 64 bytes with the FCS */
		for (int k = 0; k < 12; k++)
			frame[i].bytes[k] = (uint8_t)m[k];
		inet_pton(AF_INET, dst, &a);
		memcpy(frame[i].bytes + 30, &a, 4);
		iov[i] = (struct iovec){ frame[i].bytes, frame[i].len };
		msgs[i].msg_hdr = (struct msghdr){ .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	return fd;
}

/* RFC 1071, over the IPv4 header. */
static void checksum(uint8_t *ip)
{
	uint32_t sum = 0;

	put16(ip + 10, 0);
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	put16(ip + 10, ~sum & 0xffff);
}

static void flood(int fd, double seconds, uint32_t flows, double pps)
{
	static uint32_t flow;
	double start = now(), end = start + seconds;
	uint64_t sent = 0;

	while (now() < end) {
		int n;

		if (pps > 0 && (double)sent > (now() - start) * pps) {
			usleep(200);
			continue;
		}
		for (int i = 0; i < BATCH; i++) {
			flow = (flow + 1) % flows;
			put32(frame[i].bytes + 26, 0x0a000000 + flow);
			checksum(frame[i].bytes + 14);
		}
		n = sendmmsg(fd, msgs, BATCH, 0);
		if (n > 0)
			sent += (uint64_t)n;
	}
	printf("%llu %.6f\n", (unsigned long long)sent, now() - start);
}

static void echo(const struct sockaddr_in *a, unsigned n)
{
	double *us = calloc(n, sizeof(*us));
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct timeval patience = { .tv_sec = 1 };
	char b[32] = "";

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (!us || connect(fd, (const struct sockaddr *)a, sizeof(*a)))
		die("echo");
	for (unsigned i = 0; i < n; i++) {
		double start = now();

		if (send(fd, b, sizeof(b), 0) < 0 || recv(fd, b, sizeof(b), 0) < 0)
			die("echo");
		us[i] = (now() - start) * 1e6;
	}
	close(fd);
	printf("%.3f\n", bench_median(us, n));
	free(us);
}

static void bulk(const struct sockaddr_in *a, double seconds)
{
	static char buffer[256 << 10];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	double end, start;
	uint64_t sent = 0;

	if (connect(fd, (const struct sockaddr *)a, sizeof(*a)))
		die("bulk");
	start = now();
	end = start + seconds;
	while (now() < end) {
		ssize_t n = write(fd, buffer, sizeof(buffer));

		if (n < 0)
			die("bulk");
		sent += (uint64_t)n;
	}
	printf("%llu %.6f\n", (unsigned long long)sent, now() - start);
	close(fd);
}

int main(int argc, char **argv)
{
	struct sockaddr_in a;
	char line[128];
	int fd;

	if (argc == 3 && !strcmp(argv[1], "server"))
		server(argv[2]);
	if (argc != 7 || strcmp(argv[1], "client")) {
		fprintf(stderr, "usage: traffic server ADDR | traffic client ADDR IFACE OWN-MAC GATEWAY-MAC FLOOD-ADDR\n");
		return 64;
	}
	a = address(argv[2]);
	fd = open_flood(argv[3], argv[4], argv[5], argv[6]);
	while (fgets(line, sizeof(line), stdin)) {
		double seconds, pps;
		unsigned n;

		if (sscanf(line, "flood %lf %u %lf", &seconds, &n, &pps) == 3)
			flood(fd, seconds, n, pps);
		else if (sscanf(line, "echo %u", &n) == 1)
			echo(&a, n);
		else if (sscanf(line, "bulk %lf", &seconds) == 1)
			bulk(&a, seconds);
		fflush(stdout);
	}
	return 0;
}
