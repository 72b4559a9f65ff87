/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the bench's BPF programs and its drivers share. */
#ifndef BENCH_ABI_H
#define BENCH_ABI_H

#define BENCH_ORDER_MAX (1u << 20)

/*
 * How the packet under test is changed before each run, so that repeats are other flows' next packets.
 * The order is a list of steps, gone through again and again.
 */
struct bench_walk {
	__u64 at;	/* the next step; when fresh, the next flow */
	__u64 pass;	/* how often the list was gone through */
	__u32 length;	/* of the list, a power of two */
	__u32 seg;	/* TCP payload bytes: seq goes on by it at each of a flow's visits; 0 leaves seq */
	__u32 base;	/* of seq */
	__u32 fresh;	/* no list: each packet another flow */
	__u32 l4;	/* offset of the transport header */
	__u32 address;	/* offset of the source address's last four bytes */
};

/* A step: the flow, which of its visits in this pass it is, and how many it has in a pass. */
#define BENCH_STEP(flow, visit, visits) ((__u64)(flow) | (__u64)(visit) << 20 | (__u64)(visits) << 42)
#define BENCH_FLOW(step)   ((__u32)(step) & 0xfffff)
#define BENCH_VISIT(step)  ((__u32)((step) >> 20) & 0x3fffff)
#define BENCH_VISITS(step) ((__u32)((step) >> 42))

#endif
