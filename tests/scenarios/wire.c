/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A cable with netem's faults, for kernels without netem: carries frames between two interfaces,
 * and does to each direction what it is told to.
 *
 *	wire A B CONTROL
 *
 * CONTROL is a FIFO; a line is "a" or "b" (frames that come from there), then netem's words:
 * delay TIME [JITTER], loss P%, loss gemodel P% R% [1-H% [1-K%]], duplicate P%, reorder P%,
 * limit N. A line without words takes all faults away. "a police RATE BURST [PORT]" drops what finds no
 * tokens at the cable's end, of TCP from that port only: bit/s and IP bytes, as act_police counts them;
 * rate 0 ends it; "a counters" prints what it did. Prints "ready" when frames pass, "set" for
 * each line understood. Its random numbers are its own: the seed is the time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto.h"

enum { FRAME = 65536 + 64, LINE = 512 };

/* What is done to frames that come in on one side. Shares of 1, nanoseconds. */
static struct side {
	int fd;
	double loss, duplicate, reorder, to_bad, to_good, lost_bad, lost_good;
	bool gilbert, bad;
	uint64_t delay, jitter;
	unsigned limit, held;
} side[2];

/* A token bucket at the end of what comes in on one side. */
static struct police {
	double rate, burst, tokens; /* bytes/s; 0: none */
	uint64_t at_ns;
	unsigned port;
	uint64_t passed, dropped;
} police[2];

/* Frames on their way, a heap by the time they are due. */
struct waiting {
	uint64_t due, nth;
	unsigned from;
	size_t n;
	uint8_t *frame;
};
static struct waiting *heap;
static size_t waiting, room;
static uint64_t count;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static bool chance(double share)
{
	return share > 0 && rnd() < share * 4294967296.0;
}

static bool before(const struct waiting *a, const struct waiting *b)
{
	return a->due != b->due ? a->due < b->due : a->nth < b->nth;
}

static void swap(size_t a, size_t b)
{
	struct waiting w = heap[a];

	heap[a] = heap[b];
	heap[b] = w;
}

static void push(unsigned from, uint64_t due, const uint8_t *frame, size_t n)
{
	size_t at = waiting;

	if (side[from].held >= side[from].limit)
		return;
	if (waiting == room) {
		struct waiting *more = realloc(heap, (room ? 2 * room : 256) * sizeof(*heap));

		if (!more)
			return;
		heap = more;
		room = room ? 2 * room : 256;
	}
	heap[at] = (struct waiting){ due, count++, from, n, malloc(n) };
	if (!heap[at].frame)
		return;
	memcpy(heap[at].frame, frame, n);
	waiting++;
	side[from].held++;
	for (; at && before(&heap[at], &heap[(at - 1) / 2]); at = (at - 1) / 2)
		swap(at, (at - 1) / 2);
}

static void pop(void)
{
	size_t at = 0;

	free(heap[0].frame);
	side[heap[0].from].held--;
	heap[0] = heap[--waiting];
	for (;;) {
		size_t least = at;

		for (size_t k = 2 * at + 1; k <= 2 * at + 2 && k < waiting; k++)
			if (before(&heap[k], &heap[least]))
				least = k;
		if (least == at)
			return;
		swap(at, least);
		at = least;
	}
}

static bool conforms(struct police *p, const uint8_t *frame, size_t n)
{
	const uint8_t *ip = frame + sizeof(struct virtio_net_hdr) + ETH_HLEN;
	double len = (double)n - sizeof(struct virtio_net_hdr) - ETH_HLEN;
	uint64_t now = now_ns();

	if (!p->rate || len < 40)
		return true;
	if (p->port) {
		const uint8_t *tcp = ip + 4 * (*ip & 15);

		if (*ip >> 4 != 4 || ip[9] != IPPROTO_TCP || tcp[0] << 8 != (int)(p->port & 0xff00) ||
		    tcp[1] != (p->port & 255))
			return true;
	}
	p->tokens += p->rate * (now - p->at_ns) * 1e-9;
	p->at_ns = now;
	if (p->tokens > p->burst)
		p->tokens = p->burst;
	if (p->tokens < len) {
		p->dropped++;
		return false;
	}
	p->tokens -= len;
	p->passed++;
	return true;
}

static void put(unsigned from, const uint8_t *frame, size_t n)
{
	if (!conforms(&police[from], frame, n))
		return;
	/* A full queue of the other end: as on any cable, the frame is gone. */
	while (send(side[!from].fd, frame, n, 0) < 0 && errno == EINTR)
		;
}

static bool lost(struct side *s)
{
	if (!s->gilbert)
		return chance(s->loss);
	if (s->bad ? chance(s->to_good) : chance(s->to_bad))
		s->bad = !s->bad;
	return chance(s->bad ? s->lost_bad : s->lost_good);
}

static void pass(unsigned from, const uint8_t *frame, size_t n)
{
	struct side *s = &side[from];
	unsigned copies = 1 + chance(s->duplicate);

	if (lost(s))
		copies--;
	while (copies--) {
		int64_t off = s->jitter ? (int64_t)((rnd() / 2147483648.0 - 1) * s->jitter) : 0;
		int64_t delay = (int64_t)s->delay + off;

		if (delay <= 0 || chance(s->reorder))
			put(from, frame, n);
		else
			push(from, now_ns() + delay, frame, n);
	}
}

static double share(const char *w)
{
	return w ? strtod(w, NULL) / 100 : 0;
}

static uint64_t duration(const char *w)
{
	char *unit;
	double v = strtod(w, &unit);

	return v * (!strcmp(unit, "s") ? 1e9 : !strcmp(unit, "us") ? 1e3 : 1e6);
}

static bool is_number(const char *w)
{
	return w && *w >= '0' && *w <= '9';
}

/* 0, or -1 for a line that is not understood; then nothing is changed. */
static int set(char *line)
{
	char *w[32], *save = NULL;
	int n = 0;
	struct side s = { .limit = 1000 };
	unsigned from;

	for (char *p = strtok_r(line, " \n", &save); p && n < 31; p = strtok_r(NULL, " \n", &save))
		w[n++] = p;
	w[n] = NULL;
	if (!n || (strcmp(w[0], "a") && strcmp(w[0], "b")))
		return -1;
	from = *w[0] == 'b';
	if (n == 2 && !strcmp(w[1], "counters")) {
		printf("passed %llu dropped %llu\n", (unsigned long long)police[from].passed,
		       (unsigned long long)police[from].dropped);
		return 0;
	}
	if (n > 1 && !strcmp(w[1], "police")) {
		if (n < 4)
			return -1;
		police[from] = (struct police){ .rate = strtod(w[2], NULL) / 8,
						.burst = strtod(w[3], NULL),
						.port = n > 4 ? atoi(w[4]) : 0,
						.at_ns = now_ns() };
		police[from].tokens = police[from].burst;
		return 0;
	}
	s.fd = side[from].fd;
	s.held = side[from].held;
	if (n == 1)
		s.limit = ~0u;
	for (int i = 1; i < n; i++) {
		const char *v = w[i + 1];

		if (!v)
			return -1;
		if (!strcmp(w[i], "delay")) {
			s.delay = duration(v);
			i++;
			if (is_number(w[i + 1]))
				s.jitter = duration(w[++i]);
		} else if (!strcmp(w[i], "loss") && !strcmp(v, "gemodel")) {
			double p[4] = { 0, 0, 1, 0 };
			int k = 0;

			for (i++; k < 4 && is_number(w[i + 1]); k++)
				p[k] = share(w[++i]);
			s.gilbert = true;
			s.to_bad = p[0];
			s.to_good = k > 1 ? p[1] : 1 - p[0];
			s.lost_bad = p[2];
			s.lost_good = p[3];
		} else if (!strcmp(w[i], "loss")) {
			s.loss = share(w[++i]);
		} else if (!strcmp(w[i], "duplicate")) {
			s.duplicate = share(w[++i]);
		} else if (!strcmp(w[i], "reorder")) {
			s.reorder = share(w[++i]);
		} else if (!strcmp(w[i], "limit")) {
			s.limit = atoi(w[++i]);
		} else {
			return -1;
		}
	}
	side[from] = s;
	return 0;
}

static void control(int fd)
{
	static char buf[LINE];
	static size_t have;
	ssize_t n = read(fd, buf + have, sizeof(buf) - 1 - have);
	char *end;

	if (n <= 0)
		return;
	have += n;
	buf[have] = 0;
	while ((end = strchr(buf, '\n'))) {
		*end = 0;
		printf("%s %s\n", set(buf) ? "what is" : "set", buf);
		have -= end + 1 - buf;
		memmove(buf, end + 1, have + 1);
	}
	if (have == sizeof(buf) - 1)
		have = 0;
}

static int open_side(const char *name)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1,
	    size = 16 << 20;

	at.sll_ifindex = if_nametoindex(name);
	/* Frames whose checksum or segmentation is still to be done keep that beside them. */
	if (fd < 0 || !at.sll_ifindex ||
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    bind(fd, (void *)&at, sizeof(at))) {
		fprintf(stderr, "wire: %s: %s\n", name, strerror(errno));
		exit(71);
	}
	return fd;
}

int main(int argc, char **argv)
{
	static uint8_t frame[FRAME];
	int ctl;

	if (argc != 4) {
		fprintf(stderr, "usage: wire A B CONTROL\n");
		return 64;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* A cable does not wait for others to have had their turn. */
	setpriority(PRIO_PROCESS, 0, -15);
	seed(now_ns());
	for (int i = 0; i < 2; i++)
		side[i] = (struct side){ .fd = open_side(argv[i + 1]), .limit = ~0u };
	ctl = open(argv[3], O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (ctl < 0) {
		perror(argv[3]);
		return 66;
	}
	printf("ready\n");
	for (;;) {
		struct pollfd p[3] = { { side[0].fd, POLLIN, 0 },
				       { side[1].fd, POLLIN, 0 },
				       { ctl, POLLIN, 0 } };
		uint64_t now = now_ns();
		struct timespec left = { 3600, 0 };

		while (waiting && heap[0].due <= now) {
			put(heap[0].from, heap[0].frame, heap[0].n);
			pop();
		}
		if (waiting) {
			left.tv_sec = (heap[0].due - now) / 1000000000;
			left.tv_nsec = (heap[0].due - now) % 1000000000;
		}
		if (ppoll(p, 3, &left, NULL) <= 0)
			continue;
		if (p[2].revents)
			control(ctl);
		for (unsigned i = 0; i < 2; i++)
			for (int k = 0; p[i].revents && k < 64; k++) {
				ssize_t n = recv(side[i].fd, frame, sizeof(frame), 0);

				if (n <= 0)
					break;
				pass(i, frame, n);
			}
	}
}
