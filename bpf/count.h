/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Conservation: each packet is counted where it ends up, in a flow or elsewhere, never in both. */
#ifndef WEIR_COUNT_H
#define WEIR_COUNT_H

static __always_inline u32 counters_slot(u32 ifindex, u8 egress)
{
	return (ifindex & (WEIR_IF_SLOTS - 1)) * 2 + (egress & 1);
}

static __always_inline void count_buffer(struct weir_counters *count, u32 len)
{
	weir_add(&count->buffers, 1);
	weir_add(&count->buffer_bytes, len);
}

static __always_inline void count_elsewhere(struct weir_counters *count, u32 reason, u32 segs,
					    u32 bytes)
{
	weir_add(&count->seen, segs);
	weir_add(&count->seen_bytes, bytes);
	if (reason < WEIR_ELSEWHERE) {
		weir_add(&count->elsewhere[reason], segs);
		weir_add(&count->elsewhere_bytes[reason], bytes);
	}
}

static __always_inline void count_in_flow(struct weir_counters *count, u32 segs, u32 bytes)
{
	weir_add(&count->seen, segs);
	weir_add(&count->seen_bytes, bytes);
	weir_add(&count->in_flows, segs);
	weir_add(&count->in_flow_bytes, bytes);
}

/* One direction may run on two CPUs at once; these must add up to in_flows exactly. */
static __always_inline void count_packet(struct weir_dir *d, u32 segs, u32 bytes)
{
	weir_add_shared(&d->packets, segs);
	weir_add_shared(&d->bytes, bytes);
}

#endif
