/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the bench's BPF programs and its driver share. */
#ifndef BENCH_ABI_H
#define BENCH_ABI_H

/* How the packet under test is changed before each run, so that repeats are another flow's next packet. */
struct bench_walk {
	__u64 index;	/* of the next flow */
	__u64 round;	/* how often all flows were visited */
	__u64 visited;	/* flows visited in this round */
	__u32 flows;	/* a power of two */
	__u32 step;	/* odd: visits every flow once a round, in no order; 0: the same flow */
	__u32 seg;	/* TCP payload bytes: seq advances by it each round; 0 leaves seq */
	__u32 syn;	/* each packet another flow, never seen before */
	__u32 l4;	/* offset of the transport header */
	__u32 address;	/* offset of the source address's last four bytes */
};

#endif
