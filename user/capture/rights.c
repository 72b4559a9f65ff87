// SPDX-License-Identifier: GPL-2.0-or-later
#include "rights.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct caps {
	uint64_t effective, permitted, inheritable;
};

static int caps_get(struct caps *c)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };

	if (syscall(SYS_capget, &h, d))
		return -errno;
	c->effective = d[0].effective | (uint64_t)d[1].effective << 32;
	c->permitted = d[0].permitted | (uint64_t)d[1].permitted << 32;
	c->inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32;
	return 0;
}

static int caps_set(const struct caps *c)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = {
		{ (uint32_t)c->effective, (uint32_t)c->permitted, (uint32_t)c->inheritable },
		{ c->effective >> 32, c->permitted >> 32, c->inheritable >> 32 },
	};

	return syscall(SYS_capset, &h, d) ? -errno : 0;
}

bool rights_have(unsigned cap)
{
	struct caps c;

	return !caps_get(&c) && (c.effective & 1ULL << cap);
}

bool rights_bpf(void)
{
	return rights_have(CAP_BPF) || rights_have(CAP_SYS_ADMIN);
}

bool rights_perfmon(void)
{
	return rights_have(CAP_PERFMON) || rights_have(CAP_SYS_ADMIN);
}

bool rights_net(void)
{
	return rights_have(CAP_NET_ADMIN) || rights_have(CAP_SYS_ADMIN);
}

int rights_drop(void)
{
	uint64_t keep = 1ULL << CAP_BPF | 1ULL << CAP_NET_ADMIN | 1ULL << CAP_PERFMON;
	struct caps c;
	int err = caps_get(&c);

	if (err)
		return err;
	/* A kernel or container that gave SYS_ADMIN in place of CAP_BPF leaves no smaller set. */
	if (!(c.permitted & 1ULL << CAP_BPF))
		keep |= 1ULL << CAP_SYS_ADMIN;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	/* The bounding set needs CAP_SETPCAP: an unprivileged start never had it to lose. */
	if (c.effective & 1ULL << CAP_SETPCAP)
		for (unsigned cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
			if (!(keep & 1ULL << cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
				return -errno;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	c.permitted &= keep;
	c.effective = c.permitted;
	c.inheritable = 0;
	return caps_set(&c);
}
