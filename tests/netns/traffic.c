// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tests' own traffic, inside namespaces only.
 *
 *	traffic serve ADDR PORT			answers each 4-byte request with so many bytes
 *	traffic fetch ADDR PORT CONNS BYTES [AT_ONCE]	fetches, counts what arrived
 *	traffic flood IFACE SRC DST COUNT PER_S	SYNs from COUNT different ports and addresses
 *		[resets|MAC]			(resets instead; SYNs to a neighbour that passes them
 *on) traffic reset IFACE WORD TTL COPIES [client]	on a request with WORD, resets that claim to
 *be its server's, or its client's
 *
 *	traffic tunnel pppoe|vlan|qinq|6in4 CARRIER TUN MAC	the packets of a tun device, made here, in frames of
 *		CARRIER to and from MAC
 *
 *	traffic mirror FROM TO N	frames of one interface to another, but for each Nth (0: all)
 *
 * flood and reset write Ethernet frames to IFACE; the link's other end is
 * learned from passing packets (reset) or broadcast to (flood).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_HEADER 48
#define CONNS_MAX 4096

struct conn {
	uint32_t left;
	uint8_t request[4];
	uint8_t have;
	bool open;
};

static struct conn conns[65536];
static char block[65536];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static socklen_t address(const char *text, const char *port, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (void *)out;
	struct sockaddr_in6 *v6 = (void *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(atoi(port));
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1)
		die(text);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(atoi(port));
	return sizeof(*v6);
}

static void arm(int ep, int fd, uint32_t events, int op)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	if (epoll_ctl(ep, op, fd, &ev))
		die("epoll_ctl");
}

static void serve_one(int ep, int fd)
{
	struct conn *c = &conns[fd];
	ssize_t n;

	if (c->have < 4) {
		n = read(fd, c->request + c->have, 4 - c->have);
		if (n <= 0)
			goto gone;
		c->have += n;
		if (c->have < 4)
			return;
		memcpy(&c->left, c->request, 4);
		c->left = ntohl(c->left);
		arm(ep, fd, EPOLLOUT, EPOLL_CTL_MOD);
	}
	while (c->left) {
		n = write(fd, block, c->left < sizeof(block) ? c->left : sizeof(block));
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			goto gone;
		c->left -= n;
	}
	/* The next request, or the client's FIN. */
	c->have = 0;
	arm(ep, fd, EPOLLIN, EPOLL_CTL_MOD);
	return;
gone:
	close(fd);
	memset(c, 0, sizeof(*c));
}

static void __attribute__((noreturn)) serve(char **a)
{
	struct sockaddr_storage addr;
	socklen_t len = address(a[0], a[1], &addr);
	int l = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0);
	struct epoll_event ev[64];

	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(l, (struct sockaddr *)&addr, len) || listen(l, 4096))
		die("listen");
	arm(ep, l, EPOLLIN, EPOLL_CTL_ADD);
	for (;;) {
		int n = epoll_wait(ep, ev, 64, -1);

		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;

			if (fd != l) {
				serve_one(ep, fd);
				continue;
			}
			while ((fd = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
				memset(&conns[fd], 0, sizeof(conns[fd]));
				arm(ep, fd, EPOLLIN, EPOLL_CTL_ADD);
			}
		}
	}
}

/* Opens one connection and asks; the socket, or -1. */
static int ask(const struct sockaddr_storage *addr, socklen_t len, uint32_t bytes)
{
	uint32_t request = htonl(bytes);
	int fd = socket(addr->ss_family, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)addr, len) ||
	    write(fd, &request, 4) != 4) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static int fetch(int argc, char **a)
{
	struct sockaddr_storage addr;
	socklen_t len = address(a[0], a[1], &addr);
	unsigned conns_n = atoi(a[2]), bytes = atoi(a[3]);
	unsigned at_once = argc > 4 ? (unsigned)atoi(a[4]) : 64;
	static struct pollfd p[CONNS_MAX];
	static uint32_t got[CONNS_MAX];
	unsigned done = 0, failed = 0, started = 0, n = 0;
	uint64_t total = 0;

	if (at_once > CONNS_MAX)
		at_once = CONNS_MAX;
	while (done + failed < conns_n) {
		while (n < at_once && started < conns_n) {
			int fd = ask(&addr, len, bytes);

			started++;
			if (fd < 0) {
				failed++;
				continue;
			}
			p[n] = (struct pollfd){ .fd = fd, .events = POLLIN };
			got[n++] = 0;
		}
		poll(p, n, 1000);
		for (unsigned i = 0; i < n; i++) {
			ssize_t r = 1;

			while (p[i].revents && got[i] < bytes &&
			       (r = read(p[i].fd, block, sizeof(block))) > 0) {
				got[i] += r;
				total += r;
			}
			if (got[i] < bytes && (r > 0 || (r < 0 && errno == EAGAIN)))
				continue;
			if (got[i] == bytes)
				done++;
			else
				failed++;
			close(p[i].fd);
			p[i] = p[--n];
			got[i] = got[n];
			i--;
		}
	}
	printf("done %u failed %u bytes %llu\n", done, failed, (unsigned long long)total);
	return failed ? 1 : 0;
}

static uint32_t sum16(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *b = data;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += b[i] << 8 | b[i + 1];
	if (len & 1)
		sum += b[len - 1] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

static int packet_socket(const char *iface, struct sockaddr_ll *ll, uint8_t *mac)
{
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	struct ifreq r = { 0 };

	if (fd < 0)
		die("AF_PACKET");
	memset(ll, 0, sizeof(*ll));
	ll->sll_family = AF_PACKET;
	ll->sll_protocol = htons(ETH_P_ALL);
	ll->sll_ifindex = if_nametoindex(iface);
	if (!ll->sll_ifindex || bind(fd, (struct sockaddr *)ll, sizeof(*ll)))
		die(iface);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", iface);
	if (ioctl(fd, SIOCGIFHWADDR, &r))
		die("SIOCGIFHWADDR");
	memcpy(mac, r.ifr_hwaddr.sa_data, 6);
	return fd;
}

/* A TCP segment without payload behind an Ethernet header; its length. */
static size_t segment(uint8_t *f, const uint8_t *dmac, const uint8_t *smac, int family,
		      const void *src, const void *dst, uint16_t sport, uint16_t dport,
		      uint32_t seq, uint32_t ack, uint8_t flags, uint8_t ttl)
{
	bool v4 = family == AF_INET;
	struct iphdr *ip = (void *)(f + 14);
	struct ip6_hdr *ip6 = (void *)(f + 14);
	struct tcphdr *tcp = (void *)(f + 14 + (v4 ? 20 : 40));
	uint32_t sum;

	memset(f, 0, 74);
	memcpy(f, dmac, 6);
	memcpy(f + 6, smac, 6);
	f[12] = v4 ? 0x08 : 0x86;
	f[13] = v4 ? 0x00 : 0xdd;
	if (v4) {
		*ip = (struct iphdr){ .version = 4,
				      .ihl = 5,
				      .tot_len = htons(40),
				      .ttl = ttl,
				      .protocol = IPPROTO_TCP };
		memcpy(&ip->saddr, src, 4);
		memcpy(&ip->daddr, dst, 4);
		ip->check = fold(sum16(ip, 20, 0));
		sum = sum16(&ip->saddr, 8, 0);
	} else {
		ip6->ip6_flow = htonl(6u << 28);
		ip6->ip6_plen = htons(20);
		ip6->ip6_nxt = IPPROTO_TCP;
		ip6->ip6_hlim = ttl;
		memcpy(&ip6->ip6_src, src, 16);
		memcpy(&ip6->ip6_dst, dst, 16);
		sum = sum16(&ip6->ip6_src, 32, 0);
	}
	tcp->source = htons(sport);
	tcp->dest = htons(dport);
	tcp->seq = htonl(seq);
	tcp->ack_seq = htonl(ack);
	tcp->doff = 5;
	((uint8_t *)tcp)[13] = flags;
	tcp->window = htons(flags & 4 ? 0 : 64240);
	tcp->check = fold(sum16(tcp, 20, sum + IPPROTO_TCP + 20));
	return 14 + (v4 ? 20 : 40) + 20;
}

static int flood(char **a)
{
	uint8_t to[6] = { 255, 255, 255, 255, 255, 255 };
	unsigned count = atoi(a[3]), per_s = atoi(a[4]),
		 flags = a[5] && !strcmp(a[5], "resets") ? 4 : 2;
	uint8_t mac[6], src[16], dst[16], f[128];
	int family = strchr(a[1], ':') ? AF_INET6 : AF_INET;
	struct sockaddr_ll ll;
	int fd = packet_socket(a[0], &ll, mac);
	struct timespec start, now;

	if (a[5] && flags == 2 &&
	    sscanf(a[5], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", to, to + 1, to + 2, to + 3, to + 4,
		   to + 5) != 6)
		die("MAC");
	if (inet_pton(family, a[1], src) != 1 || inet_pton(family, a[2], dst) != 1)
		die("address");
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (unsigned i = 0; i < count; i++) {
		size_t len;

		/* The last 16 bits of the address and the port make every SYN a new flow. */
		src[family == AF_INET ? 2 : 14] = i / 60000 >> 8;
		src[family == AF_INET ? 3 : 15] = i / 60000 + 1;
		len = segment(f, to, mac, family, src, dst, 1024 + i % 60000, 81, i * 7919, 0,
			      flags, 64);
		while (send(fd, f, len, 0) < 0)
			if (errno != ENOBUFS)
				die("send");
		if (i % 64)
			continue;
		do
			clock_gettime(CLOCK_MONOTONIC, &now);
		while ((now.tv_sec - start.tv_sec) * 1e9 + (now.tv_nsec - start.tv_nsec) <
		       1e9 * i / per_s);
	}
	printf("sent %u\n", count);
	return 0;
}

/* Answers every TCP segment that carries word with forged resets, as its receiver's. */
static void __attribute__((noreturn)) reset(char **a)
{
	uint8_t mac[6], p[65536], f[128];
	struct sockaddr_ll ll;
	int fd = packet_socket(a[0], &ll, mac), ttl = atoi(a[2]), copies = atoi(a[3]);
	bool as_client = a[4];

	/* As seen of injectors that guess how far the true sender has come meanwhile. */
	static const uint32_t ahead[3] = { 0, 1460, 4380 };

	for (;;) {
		ssize_t n = recv(fd, p, sizeof(p), 0);
		bool v4 = n > 54 && p[12] == 8 && !p[13] && p[23] == IPPROTO_TCP;
		bool v6 = n > 74 && p[12] == 0x86 && p[13] == 0xdd && p[20] == IPPROTO_TCP;
		const struct tcphdr *t = (void *)(p + (v6 ? 54 : 34));
		size_t at = (v6 ? 54 : 34) + t->doff * 4;
		const uint8_t *src = p + (v6 ? 22 : 26), *dst = p + (v6 ? 38 : 30);
		int family = v6 ? AF_INET6 : AF_INET;
		struct timespec now;

		if ((!v4 && !v6) || at >= (size_t)n || !memmem(p + at, n - at, a[1], strlen(a[1])))
			continue;
		for (int i = 0; i < copies; i++) {
			size_t len =
				as_client
					? segment(f, p + 6, p, family, src, dst, ntohs(t->source),
						  ntohs(t->dest), ntohl(t->seq) + n - at, 0, 4, ttl)
					: segment(f, p + 6, p, family, dst, src, ntohs(t->dest),
						  ntohs(t->source),
						  ntohl(t->ack_seq) + ahead[i % 3], 0, 4, ttl);

			if (send(fd, f, len, 0) < 0)
				die("send");
		}
		clock_gettime(CLOCK_REALTIME, &now);
		printf("%lld.%06ld\n", (long long)now.tv_sec, now.tv_nsec / 1000);
		fflush(stdout);
	}
}

/* Headers of a kind before an IP packet; how many bytes. */
static size_t tunnel_header(const char *kind, bool v6, size_t len, uint8_t *h)
{
	static const uint8_t v4[20] = { 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 41, 0, 0, 198, 51, 100, 1, 198, 51, 100, 2 };
	uint8_t ip_type = v6 ? 0xdd : 0;
	uint32_t sum = 0;

	if (!strcmp(kind, "pppoe")) {
		const uint8_t p[] = { 0x88, 0x64, 0x11, 0, 0, 7, (len + 2) >> 8, len + 2, 0, v6 ? 0x57 : 0x21 };

		memcpy(h, p, sizeof(p));
		return sizeof(p);
	}
	if (!strcmp(kind, "vlan") || !strcmp(kind, "qinq")) {
		const uint8_t outer[] = { 0x88, 0xa8, 0, 9 };
		const uint8_t inner[] = { 0x81, 0, 0, 7, v6 ? 0x86 : 0x08, ip_type };
		size_t at = *kind == 'q' ? sizeof(outer) : 0;

		memcpy(h, outer, at);
		memcpy(h + at, inner, sizeof(inner));
		return at + sizeof(inner);
	}
	h[0] = 0x08;
	h[1] = 0;
	memcpy(h + 2, v4, sizeof(v4));
	h[4] = (len + 20) >> 8;
	h[5] = len + 20;
	for (int i = 0; i < 20; i += 2)
		sum += h[2 + i] << 8 | h[3 + i];
	sum = ~((sum & 0xffff) + (sum >> 16));
	h[12] = sum >> 8;
	h[13] = sum;
	return 22;
}

static void tunnel(char **argv)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) }, from;
	struct ifreq tun = { .ifr_flags = IFF_TUN | IFF_NO_PI }, card = { 0 };
	uint8_t frame[14 + MAX_HEADER + 65536], header[MAX_HEADER], mac[6];
	struct pollfd p[2] = { { .events = POLLIN }, { .events = POLLIN } };
	socklen_t len;
	ssize_t n;

	strncpy(tun.ifr_name, argv[2], IFNAMSIZ - 1);
	strncpy(card.ifr_name, argv[1], IFNAMSIZ - 1);
	p[0].fd = open("/dev/net/tun", O_RDWR);
	p[1].fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	at.sll_ifindex = if_nametoindex(argv[1]);
	if (p[0].fd < 0 || ioctl(p[0].fd, TUNSETIFF, &tun) || p[1].fd < 0 || bind(p[1].fd, (void *)&at, sizeof(at)) ||
	    ioctl(p[1].fd, SIOCGIFHWADDR, &card) ||
	    sscanf(argv[3], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) != 6)
		die("tunnel");
	while (poll(p, 2, -1) > 0) {
		if (p[0].revents) {
			size_t head;

			n = read(p[0].fd, frame + 14 + MAX_HEADER, 65536);
			if (n < 20)
				continue;
			head = tunnel_header(argv[0], frame[14 + MAX_HEADER] >> 4 == 6, n, header);
			/* The header's first two bytes are the frame's type. */
			memcpy(frame + 14 + MAX_HEADER - head, header, head);
			memcpy(frame + 2 + MAX_HEADER - head, mac, 6);
			memcpy(frame + 8 + MAX_HEADER - head, card.ifr_hwaddr.sa_data, 6);
			if (send(p[1].fd, frame + 2 + MAX_HEADER - head, 12 + head + n, 0) < 0 && errno != ENOBUFS)
				die("tunnel: send");
		}
		if (p[1].revents) {
			size_t head;

			len = sizeof(from);
			n = recvfrom(p[1].fd, frame, sizeof(frame), 0, (void *)&from, &len);
			head = 12 + tunnel_header(argv[0], false, 0, header);
			/* The kernel takes the outer tag off before we see it. */
			if (argv[0][0] == 'v' || argv[0][0] == 'q')
				head -= 4;
			if (n < (ssize_t)head + 20 || from.sll_pkttype == PACKET_OUTGOING ||
			    (argv[0][0] != 'v' && frame[12] != (argv[0][0] == 'q' ? 0x81 : header[0])))
				continue;
			/* Nobody takes it while the device is down. */
			if (write(p[0].fd, frame + head, n - head) < 0 && errno != EINVAL && errno != EIO)
				die("tunnel: write");
		}
	}
}

/* Copies frames of one interface to another, but for each Nth: a mirror port that can't keep up. */
static void mirror(char **argv)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) }, to = at;
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), out = socket(AF_PACKET, SOCK_RAW, 0);
	unsigned each = atoi(argv[2]), seen = 0;
	static uint8_t frame[65536];
	ssize_t n;

	at.sll_ifindex = if_nametoindex(argv[0]);
	to.sll_ifindex = if_nametoindex(argv[1]);
	if (fd < 0 || out < 0 || !to.sll_ifindex || bind(fd, (void *)&at, sizeof(at)))
		die("mirror");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){ 64 << 20 }, sizeof(int));
	while ((n = recv(fd, frame, sizeof(frame), 0)) > 0)
		if (!each || ++seen % each)
			while (sendto(out, frame, n, 0, (void *)&to, sizeof(to)) < 0 && errno == ENOBUFS)
				poll(NULL, 0, 1);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && !strcmp(argv[1], "serve"))
		serve(argv + 2);
	if (argc >= 6 && !strcmp(argv[1], "fetch"))
		return fetch(argc - 2, argv + 2);
	if ((argc == 7 || argc == 8) && !strcmp(argv[1], "flood"))
		return flood(argv + 2);
	if ((argc == 6 || argc == 7) && !strcmp(argv[1], "reset"))
		reset(argv + 2);
	if (argc == 5 && !strcmp(argv[1], "mirror"))
		mirror(argv + 2);
	if (argc == 6 && !strcmp(argv[1], "tunnel"))
		tunnel(argv + 2);
	fprintf(stderr, "usage: traffic tunnel|serve|fetch|flood|reset ...\n");
	return 2;
}
