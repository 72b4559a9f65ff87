// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int netlink_ask(int bus, struct nlmsghdr *request, mnl_cb_t cb, void *arg)
{
	char buf[65536] __attribute__((aligned(8)));
	struct mnl_socket *s = mnl_socket_open2(bus, SOCK_CLOEXEC);
	int more = -1;
	ssize_t n;

	if (!s)
		return -errno;
	/* A socket of its own: nobody else's answers can come. */
	request->nlmsg_seq = 1;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) >= 0 &&
	    mnl_socket_sendto(s, request, request->nlmsg_len) >= 0)
		do {
			n = mnl_socket_recvfrom(s, buf, sizeof(buf));
			more = n < 0 ? -1 : mnl_cb_run(buf, n, 1, mnl_socket_get_portid(s), cb, arg);
		} while (more > MNL_CB_STOP);
	more = more < 0 ? -errno : 0;
	mnl_socket_close(s);
	return more;
}

bool netlink_ip(const struct nlattr *a, unsigned char family, struct in6_addr *ip)
{
	memset(ip, 0, sizeof(*ip));
	if (family == AF_INET && mnl_attr_get_payload_len(a) == 4) {
		ip->s6_addr[10] = ip->s6_addr[11] = 0xff;
		memcpy(&ip->s6_addr[12], mnl_attr_get_payload(a), 4);
	} else if (family == AF_INET6 && mnl_attr_get_payload_len(a) == 16) {
		memcpy(ip, mnl_attr_get_payload(a), 16);
	} else {
		return false;
	}
	return true;
}
