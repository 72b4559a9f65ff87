// SPDX-License-Identifier: GPL-2.0-or-later
/* Preloaded: a kernel without ctnetlink, whose connections nobody can read. */
#include <dlfcn.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>

ssize_t mnl_socket_sendto(const struct mnl_socket *s, const void *buf, size_t len)
{
	ssize_t (*next)(const struct mnl_socket *, const void *, size_t) = dlsym(RTLD_NEXT, "mnl_socket_sendto");
	const struct nlmsghdr *h = buf;

	if (len >= sizeof(*h) && h->nlmsg_type >> 8 == NFNL_SUBSYS_CTNETLINK) {
		errno = EPROTONOSUPPORT;
		return -1;
	}
	return next(s, buf, len);
}
