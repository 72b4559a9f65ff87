/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the packet engine and userspace share: map keys and values, records,
 * counters. Fixed-width types and explicit padding only; both builds of the
 * engine (BPF, host) and every reader include this file.
 */
#ifndef WEIR_ABI_H
#define WEIR_ABI_H

#include <linux/types.h>

#define WEIR_ABI_VERSION 1

#define WEIR_MAX_HOLES	 32	/* missing ranges followed per direction; a power of two */
#define WEIR_MAX_SACK	 3	/* SACK blocks carried in a record */
#define WEIR_PAYLOAD_MAX 1536	/* payload bytes in one record */
#define WEIR_IF_SLOTS	 64	/* per-interface counters: ifindex & (slots - 1) */

/*
 * A flow's key, the same for both directions: the lower (address, port) pair
 * first. IPv4 keys are small because the packet path is bound by cache lines.
 * Ports are 0 where the protocol has none. ifindex tells sightings of one flow
 * on two interfaces apart; userspace joins them.
 */
struct weir_key4 {
	__be32 lo, hi;
	__u16 lo_port, hi_port; /* host order */
	__u8 proto;
	__u8 pad;
	__u16 ifindex;
};

struct weir_key6 {
	__be32 lo[4], hi[4];
	__u16 lo_port, hi_port;
	__u8 proto;
	__u8 pad;
	__u16 ifindex;
};

/* What a direction's packets write on every packet: one cache line. */
struct weir_dir {
	__u64 last_ns;
	__u64 bytes;	 /* IP bytes on the wire, GSO/GRO undone */
	__u32 packets;	 /* likewise */
	__u32 end;	 /* TCP: highest sequence end sent; UDP: unused */
	__u32 ack;	 /* TCP: highest acknowledgment sent */
	__u32 tsval;	 /* TSval being timed, on packets without payload; or that of data, not timed */
	__u32 ts_us;	 /* when it first passed (µs, wraps); 0: none */
	__u32 seq_end;	 /* end of the segment being timed */
	__u32 seq_us;	 /* when it passed; 0: none, or resent */
	__u32 seen;	 /* the peer's tsval that was sampled last */
	__u32 rtt_min_us;/* us -> sender of this direction -> us; 0: none */
	__u32 data_packets; /* with payload */
	__u16 win;	 /* as sent, unscaled */
	__u16 ipid;	 /* of the newest packet that was neither late nor a copy */
	__u8 ttl;
	__u8 quiet;	 /* WEIR_QUIET_*: of such packets the flow's other lines stay untouched */
	__u8 flags;	 /* WEIR_DIR_* */
	__u8 payload_recs; /* payload records sent, saturates */
};

enum {
	WEIR_DIR_SYN = 1,	/* sent a SYN (or SYN-ACK) */
	WEIR_DIR_FIN = 2,
	WEIR_DIR_RST = 4,
	WEIR_DIR_TS = 8,	/* its SYN has the timestamps option: used where both have it */
	WEIR_DIR_SEQ = 16,	/* end is valid */
	WEIR_DIR_ACK = 32,	/* ack is valid */
	WEIR_DIR_LOSSY = 64,	/* has an entry in the holes table */
	WEIR_DIR_DATA = 128,	/* sent payload */
};

enum {
	WEIR_QUIET_EMPTY = 1,	/* packets without payload */
	WEIR_QUIET_DATA = 2,	/* packets with payload */
};

/* The rest of a direction: touched on handshake, loss and end only. */
struct weir_dir_cold {
	__u32 isn;
	__u32 retx;	  /* retransmitted packets, all kinds */
	__u32 lost_before;/* holes filled by a retransmission: lost before us */
	__u32 lost_after; /* resends of bytes we saw, DSACKed ones taken off */
	__u16 reordered;
	__u16 duplicated; /* by the network */
	__u16 spurious;	  /* resends of acknowledged bytes */
	__u16 dsacks;	  /* DSACK blocks that this direction sent */
	__u16 keepalives;
	__u16 zero_windows;
	__u16 mss;
	__u8 wscale;	  /* 255: not offered */
	__u8 rsts;	  /* resets sent, saturates */
	__u16 payload_bytes; /* payload bytes sent up in records */
	__u16 loss_events; /* losses, collapsed within one round trip; saturates */
	__u32 loss_us;	   /* when the last of them began */
	__u32 rtt_rec_us;  /* when an RTT sample was last recorded */
	__u32 rst_us;	   /* when the last reset record was sent */
};

/* A flow. dir[0] is lo -> hi. 256 bytes: four cache lines, two of them hot. */
struct weir_flow {
	struct weir_dir dir[2];
	struct weir_dir_cold cold[2];
	__u64 id;
	__u64 start_ns;
	__u32 syn_us;	     /* newest SYN, µs, wraps; 0: none */
	__u32 handshake_us;  /* SYN to the ACK that ends the handshake; 0: none */
	__u16 focus_left;    /* packets still to be recorded one by one; WEIR_FOCUS_ALL, WEIR_FOCUS_SPARE */
	__u8 client;	     /* enum weir_client */
	__u8 recs;	     /* packet records sent, saturates */
	__u8 l7;	     /* enum weir_l7 as the engine guessed, or as set by userspace */
	__u8 type;	     /* set by userspace */
	__u8 state;	     /* WEIR_FLOW_* */
	__u8 losses;	     /* loss signs that led to focus, saturates */
};

#define WEIR_FOCUS_ALL	 0xffff
#define WEIR_FOCUS_SPARE 0xfffe /* all, until there are more records than may be spared */

/* How many of a flow's packets are told of for a wish of so many; WEIR_FOCUS_ALL stays. */
static inline __u16 weir_focus(__u32 packets)
{
	return packets < WEIR_FOCUS_SPARE || packets == WEIR_FOCUS_ALL ? (__u16)packets : WEIR_FOCUS_SPARE - 1;
}

enum weir_client { WEIR_CLIENT_UNKNOWN, WEIR_CLIENT_LO, WEIR_CLIENT_HI };

enum {
	WEIR_FLOW_DYING = 1,   /* userspace is about to take it: count elsewhere */
	WEIR_FLOW_TYPED = 2,   /* userspace knows the type: no more payload */
	WEIR_FLOW_EARLY = 4,   /* began before we looked (no SYN) */
	WEIR_FLOW_SAMPLED = 8, /* in the unbiased, hash-sampled share */
};

/* Missing ranges of a flow that lost packets. */
struct weir_hole {
	__u32 start, end;
	__u32 us;    /* when it was opened */
	__u32 tsval; /* of the packet that opened it */
	__u32 ipid;  /* likewise; 0: none */
};

struct weir_holes {
	struct weir_hole hole[2][WEIR_MAX_HOLES]; /* start == end: free */
	__u8 next[2];	  /* the slot that is taken next, and so the oldest */
	__u8 open[2];	  /* slots in use */
	__u32 pad;
	struct weir_hole gone[2]; /* spans those that were given up for want of room */
};

/* What one TCP packet turned out to be (research C.1; RFC 9293, 2018, 2883). */
enum weir_label {
	WEIR_IN_ORDER,	   /* or no payload, or not TCP */
	WEIR_HOLE,	   /* opened a hole: something before it is missing */
	WEIR_RETX_FILL,	   /* fills a hole: lost before us */
	WEIR_RETX_SEEN,	   /* bytes that passed us already: lost after us */
	WEIR_RETX_ACKED,   /* bytes acknowledged already: not needed */
	WEIR_REORDER,	   /* fills a hole, was late */
	WEIR_DUPLICATE,	   /* the very same packet again */
	WEIR_KEEPALIVE,	   /* RFC 9293 3.8.4 */
	WEIR_LABELS
};

enum weir_rec_kind {
	WEIR_REC_PACKET = 1,
	WEIR_REC_ICMP = 2, /* an ICMP error that quotes this flow; seq: type << 8 | code, ack: quoted TTL */
	WEIR_REC_REUSE = 3,/* the five-tuple was taken by a new connection; caplen bytes: the old struct weir_flow */
};

enum {
	WEIR_REC_NEW = 1,	/* first packet of the flow */
	WEIR_REC_EGRESS = 2,	/* seen on its way out of the interface */
	WEIR_REC_DF = 4,
	WEIR_REC_TS = 8,	/* tsval, tsecr are there */
	WEIR_REC_FRAG = 16,	/* first fragment */
	WEIR_REC_IPV4 = 32,
	WEIR_REC_DSACK = 64,	/* the first SACK block is a DSACK (RFC 2883) */
	WEIR_REC_HANDSHAKE = 128, /* this packet ended the TCP handshake */
	WEIR_REC_SPARE = 256,	/* told of only because there was room */
	WEIR_REC_LAST = 512,	/* of the flow's common packets none is told of after it */
};

/*
 * One record: a packet's facts, what the engine made of it, and the flow as it
 * was just before it. caplen bytes of payload follow. Addresses and ports are
 * the packet's own: source sent it.
 */
struct weir_rec {
	__u64 time_ns;
	__u64 flow_id;
	__be32 saddr[4], daddr[4]; /* IPv4: ::ffff:a.b.c.d */
	__u16 sport, dport;
	__u8 proto;
	__u8 kind;	/* enum weir_rec_kind */
	__u8 dir;	/* 0: lo -> hi */
	__u8 client;	/* enum weir_client after this packet */
	__u16 flags;	/* WEIR_REC_* */
	__u16 ifindex;
	__u32 l2_len;	/* link-layer bytes, Ethernet header in, FCS out, all segments */
	__u32 ip_len;	/* IP bytes, all segments */
	__u32 payload_len; /* of TCP or UDP, all segments */
	__u16 segs;	/* packets on the wire (GSO/GRO), >= 1 */
	__u16 caplen;
	__u32 seq, ack; /* host order */
	__u32 tsval, tsecr;
	__u16 win;
	__u16 ipid;	/* IPv6: 0 */
	__u8 ttl, tos;
	__u8 tcp_flags;	/* as RFC 9293: CWR ECE URG ACK PSH RST SYN FIN */
	__u8 tcp_reserved; /* reserved bits and NS/AE */
	__u8 label;	/* enum weir_label */
	__u8 nsack;
	__u8 l7;	/* the engine's guess */
	__u8 wscale;	/* SYN: offered scale, 255 none */
	__u16 mss;	/* SYN: offered MSS, 0 none */
	__u16 count;	/* how many like it were held back since the last (resets) */
	union {
		__u32 sack[WEIR_MAX_SACK][2];
		__u8 head[24]; /* UDP: first payload bytes (caplen may be 0) */
	};
	__u32 rtt_us;	  /* a sample that this packet gave: us -> its sender -> us; 0 none */
	__u32 rtt_min_us; /* smallest sample before this packet, same path; 0 none */
	__u32 rtt_peer_us;/* smallest on the other side, us -> its receiver -> us; 0 none */
	__u32 own_end, own_ack;	  /* highest end and ack sent by its sender before it */
	__u32 peer_end, peer_ack; /* the same of its receiver */
	__u32 peer_age_us;	  /* since its receiver's last packet passed; ~0: never or > 1 h */
	__u32 hole_age_us;	  /* WEIR_RETX_FILL, WEIR_REORDER: since the hole was opened */
	__u16 own_pkts, peer_pkts; /* packets before this one, saturating */
	__u8 own_ttl, own_dir_flags, peer_dir_flags, vlans;
	__u32 ack_age_us; /* since the segment that it acknowledges passed, where that one was timed; ~0: not known */
};

/* Where a packet that is in no flow was counted. */
enum weir_elsewhere {
	WEIR_NOT_IP,
	WEIR_MALFORMED,	 /* a header contradicts itself or the packet's length */
	WEIR_TRUNCATED,	 /* the capture, or the linear part, ends inside a header */
	WEIR_FRAGMENT,	 /* later fragments: no ports */
	WEIR_EXT_HEADERS,/* more IPv6 extension headers than we follow */
	WEIR_TABLE_FULL,
	WEIR_LATE,	 /* for a flow that was just being expired */
	WEIR_LINK,	 /* link layer not understood */
	WEIR_AGAIN,	 /* userspace: the second sighting of a flow that another interface reports */
	WEIR_ELSEWHERE
};

/* Why a record was not sent. */
enum weir_unsent {
	WEIR_RING_FULL,
	WEIR_BUDGET,
	WEIR_RST_CAPPED,
	WEIR_HOLES_FULL, /* loss of a flow could not be followed */
	WEIR_UNSENT
};

/* Per CPU, per interface slot and direction. seen = in_flows + sum(elsewhere). */
struct weir_counters {
	__u64 buffers, buffer_bytes; /* as the interface counts them */
	__u64 seen, seen_bytes;	     /* packets on the wire, IP bytes (link bytes where not IP) */
	__u64 in_flows, in_flow_bytes;
	__u64 elsewhere[WEIR_ELSEWHERE];
	__u64 elsewhere_bytes[WEIR_ELSEWHERE];
	__u64 records, record_bytes;
	__u64 unsent[WEIR_UNSENT];
	__u64 flows;		     /* flows made */
	__u64 reused, reused_packets, reused_bytes; /* flows replaced in place, with what they had counted */
};

/* Set once, before the first packet. */
struct weir_config {
	__u32 first_packets;	/* of each flow, recorded one by one */
	__u32 sample_mask;	/* a flow is sampled when !(id & mask); 0: every flow */
	__u32 focus_packets;	/* recorded one by one once a flow shows loss */
	__u32 payload_segments;	/* per direction */
	__u32 payload_bytes;	/* per direction */
	__u32 records_per_s;	/* per CPU; 0: no bound */
	__u32 spare_per_s;	/* of all CPUs: for flows that nobody asked for, from their first packet */
	__u32 wake_bytes;	/* wake the reader at each so much that waits: a power of two */
	__u32 link;		/* enum weir_link; where the interface is not asked */
};

enum weir_link { WEIR_LINK_ETHERNET, WEIR_LINK_IP, WEIR_LINK_NONE };

#define WEIR_CTL_HEAD  16 /* bytes before the first word in a test run's packet */
#define WEIR_CTL_BATCH 16 /* words in one run */

/* Userspace's word on a flow, carried by a test run of the control program. */
enum weir_ctl_op { WEIR_CTL_TYPE = 1, WEIR_CTL_FOCUS = 2, WEIR_CTL_DYING = 3 };

struct weir_ctl {
	struct weir_key6 key; /* IPv4: mapped */
	__u64 flow_id;	      /* 0: whichever flow has the key */
	__u8 op, l7, type, pad[5];
};

#ifndef __cplusplus
_Static_assert(sizeof(struct weir_key4) == 16, "key4");
_Static_assert(sizeof(struct weir_key6) == 40, "key6");
_Static_assert(sizeof(struct weir_dir) == 64, "dir is one cache line");
_Static_assert(sizeof(struct weir_dir_cold) == 48, "cold");
_Static_assert(sizeof(struct weir_flow) == 256, "flow is four cache lines");
_Static_assert(sizeof(struct weir_rec) % 8 == 0, "records stay aligned");
#endif

#endif
