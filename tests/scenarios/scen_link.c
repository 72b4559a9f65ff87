/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The watched link, wan on gw to cust on isp: where it is no veth pair: two tun devices that a
 * process joins (no Ethernet header, as ppp has none), or the VM's two virtio cards, which QEMU joins.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scen.h"

#define WAN_MAC	 "02:00:00:00:02:01"
#define CUST_MAC "02:00:00:00:02:02"

/* A tun device of that name in a namespace; its file, or -1. */
static int open_tun(const struct net *n, enum ns ns, const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd;

	if (net_enter(n, ns))
		return -1;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -1;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &r)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Packets of each to the other, until killed. */
static void join_tuns(int a, int b)
{
	struct pollfd p[2] = { { .fd = a, .events = POLLIN }, { .fd = b, .events = POLLIN } };
	static char packet[65536];

	while (poll(p, 2, -1) >= 0 || errno == EINTR)
		for (int i = 0; i < 2; i++) {
			ssize_t n;

			if (p[i].revents & (POLLERR | POLLHUP))
				return;
			while ((n = read(p[i].fd, packet, sizeof(packet))) > 0)
				if (write(p[!i].fd, packet, n) < 0 && errno != EAGAIN && errno != EIO)
					return;
		}
}

static int tun_up(struct net *n, char *why, size_t room)
{
	int ready[2];
	char ok = 0;

	if (pipe2(ready, O_CLOEXEC))
		return -1;
	n->tun = fork();
	if (!n->tun) {
		int wan = open_tun(n, NS_GW, "wan"), cust = open_tun(n, NS_ISP, "cust");

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (wan < 0 || cust < 0)
			_exit(1);
		if (write(ready[1], "y", 1) != 1)
			_exit(1);
		join_tuns(wan, cust);
		_exit(0);
	}
	close(ready[1]);
	if (n->tun < 0 || read(ready[0], &ok, 1) != 1) {
		snprintf(why, room, "no tun devices on this machine");
		close(ready[0]);
		return -1;
	}
	close(ready[0]);
	return 0;
}

static int ip(const struct net *n, int ns, const char *a, const char *b, const char *c,
	      const char *d, const char *e)
{
	char *argv[] = { "ip",	    "link",    "set",	  "dev", (char *)a, (char *)b,
			 (char *)c, (char *)d, (char *)e, NULL };

	return run_wait(n, ns, argv, NULL, NULL);
}

static int virtio_up(struct net *n, char *why, size_t room)
{
	if (access("/sys/class/net/vgw", F_OK)) {
		snprintf(why, room, "no pair of virtio cards on this machine");
		return -1;
	}
	if (n->virtio <= 0 || ip(n, -1, "vgw", "netns", n->ns[NS_GW], "name", "wan") ||
	    ip(n, -1, "visp", "netns", n->ns[NS_ISP], "name", "cust") ||
	    ip(n, NS_GW, "wan", "address", WAN_MAC, NULL, NULL) ||
	    ip(n, NS_ISP, "cust", "address", CUST_MAC, NULL, NULL)) {
		snprintf(why, room, "the virtio cards can't be had");
		return -1;
	}
	return 0;
}

void link_reserve(struct net *n, const char *kind)
{
	if (strcmp(kind, "virtio"))
		return;
	n->virtio = open("/run/virtio.lock", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (n->virtio > 0)
		flock(n->virtio, LOCK_EX);
}

int link_up(struct net *n, const char *kind, char *why, size_t room)
{
	if (!strcmp(kind, "tun"))
		return tun_up(n, why, room);
	return strcmp(kind, "virtio") ? 0 : virtio_up(n, why, room);
}

void link_down(const struct net *n)
{
	int st;

	if (n->tun > 0) {
		kill(n->tun, SIGKILL);
		waitpid(n->tun, &st, 0);
	}
	if (n->virtio > 0) {
		ip(n, NS_GW, "wan", "down", NULL, NULL, NULL);
		ip(n, NS_ISP, "cust", "down", NULL, NULL, NULL);
		ip(n, NS_GW, "wan", "netns", "1", "name", "vgw");
		ip(n, NS_ISP, "cust", "netns", "1", "name", "visp");
		flock(n->virtio, LOCK_UN);
		close(n->virtio);
	}
}
