/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What drop_reasons.bpf.c and its reader share. */
#ifndef WEIR_DROPS_ABI_H
#define WEIR_DROPS_ABI_H

#include <linux/types.h>

#define DROPS_MAX 1024

struct drop_key {
	__u32 ifindex;
	__u32 reason; /* enum skb_drop_reason of the running kernel */
};

#endif
