/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The path of nearly every packet: a TCP segment of a flow that is under way, of
 * which nothing is to be said. Here nothing of it is written down but what the
 * flow keeps; anything else than the expected leaves the packet, untouched, to
 * the long way (engine.h), which comes to the same for it.
 */
#ifndef WEIR_QUICK_H
#define WEIR_QUICK_H

#define unlikely(x) __builtin_expect(!!(x), 0)
#define ACK_ALONE(word) (((word) >> 16 & (TCP_ACK | TCP_SYN | TCP_FIN | TCP_RST)) == TCP_ACK)

/*
 * Ethernet, IPv4 without options or fragments, TCP with no option but
 * timestamps. 1: counted, done. 0: for the long way, with its flow where it was
 * looked up.
 */
static __always_inline int weir_quick(const struct weir_view *v, u64 now, u32 ifindex, u8 egress,
				      struct weir_flow **flow)
{
	const u8 *c = v->data;
	u32 word, header, total, payload, seq, ack, saddr, daddr, ports, straight, swap, dir, segs,
		ip_len, tsval = 0, tsecr = 0;
	union {
		struct weir_key4 key;
		u32 word[4];
	} k;
	struct weir_counters *count;
	struct weir_flow *f;
	struct weir_dir *d, *o;
	int has_ts = 0, acks;

	if (unlikely(c + 54 > v->end))
		return 0;
	word = ld32(c + 46); /* header length, flags, window */
	header = word >> 26 & 0x3c;
	if (unlikely(ldraw16(c + 12) != RAW16(P_IP) || c[14] != 0x45 || c[23] != PROTO_TCP ||
		     (ldraw16(c + 20) & RAW16(0x3fff)) || !ACK_ALONE(word) || !(word & 0xffff)))
		return 0;
	if (header != 20) {
		if (unlikely(header != 32 || c + 66 > v->end ||
			     ldraw32(c + 54) != RAW32(0x0101080a)))
			return 0;
		has_ts = 1;
		tsval = ld32(c + 58);
		tsecr = ld32(c + 62);
	}
	total = ld16(c + 16);
	if (unlikely(total < 20 + header || total + 14 > v->len))
		return 0;
	payload = total - 20 - header;
	seq = ld32(c + 38);
	ack = ld32(c + 42);

	saddr = ldraw32(c + 26);
	daddr = ldraw32(c + 30);
	ports = ld32(c + 34);
	if (unlikely(saddr == daddr))
		return 0;
	/* As set_key4(), without a branch that is as often taken as not. */
	swap = (u32)(((u64)daddr - saddr) >> 32); /* all ones: the source is the higher end */
	dir = swap & 1;
	k.word[0] = saddr ^ ((saddr ^ daddr) & swap);
	k.word[1] = daddr ^ ((saddr ^ daddr) & swap);
	straight = TWO16(ports >> 16, ports & 0xffff);
	k.word[2] = straight ^ ((straight ^ TWO16(ports & 0xffff, ports >> 16)) & swap);
	k.word[3] = TWO16(FIRST8(PROTO_TCP), ifindex & 0xffff);
	f = weir_lookup4(&k.key);
	*flow = f;
	if (unlikely(!f))
		return 0;
	d = &f->dir[dir];
	o = &f->dir[!dir];
	__asm__ volatile("" : "+r"(d), "+r"(o)); /* or each use works them out anew */
	if (unlikely(!(d->quiet & (payload ? WEIR_QUIET_DATA : WEIR_QUIET_EMPTY)) ||
		     !(d->flags & WEIR_DIR_SEQ)))
		return 0;
	if (payload) {
		if (unlikely(seq != d->end || d->data_packets < GUESSED))
			return 0;
	} else if (seq_after(seq, d->end) || seq + 1 == d->end) {
		return 0;
	}
	acks = (o->flags & WEIR_DIR_SEQ) && !seq_after(ack, o->end) &&
	       (!(d->flags & WEIR_DIR_ACK) || seq_after(ack, d->ack));
	if (unlikely((o->flags & WEIR_DIR_SEQ) &&
		     (acks_timed(d, o, ack) || echoes_timed(d, o, has_ts && payload, tsecr))))
		return 0;
	count = weir_counters(counters_slot(ifindex, egress));
	if (unlikely(!count))
		return 0;

	segs = v->segs > 1 && v->segs < 0xffff ? v->segs : 1;
	ip_len = total + (segs - 1) * (20 + header);
	count_buffer(count, v->len);
	count_in_flow(count, segs, ip_len);
	if (acks) {
		d->ack = ack;
		d->flags |= WEIR_DIR_ACK;
	}
	if (payload) {
		d->end = seq + payload;
		d->data_packets += segs;
		time_data(d, o, now, seq + payload, tsval);
	} else if (has_ts) {
		time_empty(d, now, tsval);
	}
	count_packet(d, segs, ip_len);
	d->last_ns = now;
	d->win = word;
	d->ipid = ld16(c + 18);
	d->ttl = c[22];
	return 1;
}

#endif
