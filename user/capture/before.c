// SPDX-License-Identifier: GPL-2.0-or-later
#include "before.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PROGS_MAX 64 /* as many as the kernel takes on a hook */

/* Bound, or -errno: EADDRINUSE where another weir holds it. */
static int claim(uint32_t id)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int len, err;

	if (fd < 0)
		return -errno;
	len = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "weir/program/%u", id);
	if (!bind(fd, (struct sockaddr *)&a, offsetof(struct sockaddr_un, sun_path) + 1 + len))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static bool is_weirs(uint32_t id)
{
	int fd = claim(id);

	if (fd >= 0)
		close(fd);
	return fd == -EADDRINUSE;
}

void before_claim(struct before_claims *c, const struct attach_progs *p)
{
	const int progs[BEFORE_CLAIMS] = { p->tc_in, p->tc_out, p->tc_in_ip, p->tc_out_ip, p->xdp };

	c->n = 0;
	for (unsigned i = 0; i < BEFORE_CLAIMS; i++) {
		struct bpf_prog_info info = { 0 };
		uint32_t len = sizeof(info);
		int fd;

		if (progs[i] < 0 || bpf_obj_get_info_by_fd(progs[i], &info, &len))
			continue;
		fd = claim(info.id);
		if (fd >= 0)
			c->fd[c->n++] = fd;
	}
}

void before_disown(struct before_claims *c)
{
	while (c->n)
		close(c->fd[--c->n]);
}

/* The program of our link; 0: none. */
static uint32_t our_prog(int link_fd)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	return link_fd < 0 || bpf_obj_get_info_by_fd(link_fd, &info, &len) ? 0 : info.prog_id;
}

/* The first tcx program of a stranger's before ours, before all filters where ours is none of them; 0: none. */
static uint32_t tcx_first(unsigned ifindex, bool egress, uint32_t ours)
{
	uint32_t id[PROGS_MAX], n = PROGS_MAX, flags = 0;

	/* Before 6.6 there is nothing to ask. */
	if (bpf_prog_query((int)ifindex, egress ? ATTACH_TCX_EGRESS : ATTACH_TCX_INGRESS, 0, &flags, id, &n))
		return 0;
	for (uint32_t i = 0; i < n && id[i] != ours; i++)
		if (!is_weirs(id[i]))
			return id[i];
	return 0;
}

bool before_us(const struct attachment *h, const struct link *l, const struct clsact_owner *o, bool egress,
	       char *who, size_t size)
{
	enum attach_kind at = egress ? h->out : h->in;
	uint32_t id, ours = our_prog(egress ? h->out_fd : h->in_fd);

	if (at != ATTACH_TC && at != ATTACH_TCX)
		return false;
	if (!egress && l->xdp_id && !is_weirs(l->xdp_id)) {
		snprintf(who, size, "another XDP program (id %u)", l->xdp_id);
		return true;
	}
	/* A link that is still to be made goes before all others. */
	id = at == ATTACH_TCX && !ours ? 0 : tcx_first(h->ifindex, egress, ours);
	if (id)
		snprintf(who, size, "another tcx program (id %u)", id);
	else if (at == ATTACH_TC && clsact_overtaken(o, h->ifindex, egress))
		snprintf(who, size, "another filter");
	else
		return false;
	return true;
}
