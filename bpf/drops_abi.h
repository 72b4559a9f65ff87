/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What drop_reasons.bpf.c and its reader share. */
#ifndef WEIR_DROPS_ABI_H
#define WEIR_DROPS_ABI_H

#include <linux/types.h>

#define DROPS_MAX 1024

struct drop_key {
	__u32 ifindex; /* 0: at interfaces that nobody watches */
	__u32 reason; /* enum skb_drop_reason of the running kernel */
};

#define DROPS_FLOWS   4096 /* flows between two readings; the rest is not told */
#define DROPS_REASONS 512

/* Whose packet it was, as it stood when it was dropped: IPv4 mapped, network order. */
struct drop_tuple {
	__u8 src[16], dst[16];
	__be16 sport, dport;
	__u8 proto;
	__u8 pad[3];
};

#endif
