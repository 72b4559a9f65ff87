/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Selective drops: what other parts may ask of the detector, and what its own files share. */
#ifndef WEIR_DROP_H
#define WEIR_DROP_H

#include "detect.h"
#include "drop_bank.h"
#include "drop_ends.h"

/* How far a type's evidence has come: "12 of 30". */
struct drop_need {
	unsigned have; /* trials judged in the last minute, all channels */
	unsigned need; /* that a drop of a quarter needs on average; 0: no control to hold it
			  against */
};

struct drop_need drop_need(const void *detector, unsigned type);

/* ---- the detector's own ---- */

#define SENT_MAX 10
#define EARLY_MAX 6
#define LOSSY_MAX 64
#define VQ_MAX 1024
#define STOPS_MAX 16

enum sent_state {
	SENT_WAITING, /* for an acknowledgment or answer */
	SENT_RESENT,  /* a copy is on its way: presumed lost */
	SENT_CONFIRM, /* its copy was acknowledged; a DSACK may still clear it */
	SENT_TOLD,    /* its fate was told when it timed out */
};

/* A packet that went towards the far end and whose fate is open. */
struct sent {
	uint64_t ns;
	uint32_t seq, end; /* TCP; UDP: seq is the request's id, hashed */
	uint16_t n, len;   /* packets, payload bytes of one */
	uint16_t nth;	   /* which of the flow's data packets that way; 0 none */
	uint8_t state, channel, stage;
	bool thin;
};

/* Holes in RTP sequence numbers that a late packet may still close: numbers from..from+n-1, in time
 * order. */
#define GAPS_MAX 16
struct rtp_gaps {
	struct {
		uint64_t ns;
		uint16_t from, n, lost;
	} gap[GAPS_MAX];
	unsigned n;
};

/* Packets of one way, counted by round trip. */
struct pace {
	uint64_t start_ns;
	uint16_t now, before;
	uint16_t seen;	  /* weir_rec.own_pkts after the newest record */
	uint64_t counted; /* flow_counts.packets at the newest record */
	uint64_t ns;	  /* its time */
	uint16_t missed;  /* packets without a record just before it */
};

/* What a TCP packet touches comes first: three cache lines. */
struct drop_flow {
	struct flow *flow;
	struct end *at_far, *at_near;  /* where its ends were last counted; NULL not yet */
	struct sent *sent;	       /* at most SENT_MAX; a flood's flows hold one */
	bool listed, far_client, dead, answered, acked_data, quic, stuck;
	bool counted; /* UDP that sends both ways: its counters are looked at with time */
	uint8_t nsent, nearly;
	uint8_t room; /* of sent */
	bool ipid_known;
	uint16_t ipid, ipid_own;	 /* of the newest packet from the far end, with its own_pkts */
	uint32_t rtt_us;		 /* to the far end and back; 0 unknown */
	uint32_t far_packets, far_bytes; /* that came from the far end: payload */
	uint32_t out_packets;		 /* with payload, to the far end */
	uint32_t lost_row;   /* sent again, or unanswered, since the newest progress */
	uint32_t stop_packets,
		stop_bytes; /* packets both ways and bytes from the far end when progress ended */
	struct pace pace[2];
	uint32_t own_lost;   /* losses that were this host's own: flow.own_drops pays for them */
	uint32_t first_lost; /* which of these was the first to be lost; 0 none */
	uint64_t row_ns;     /* when the first of lost_row was sent again */
	struct drop_flow *next, *prev; /* flows with something open */
	struct trial early[EARLY_MAX]; /* until the type is known */
	uint64_t far_ns, out_ns,
		silent_ns; /* UDP: newest from there, newest to there, first since then */
	uint64_t ruled_ns; /* UDP: second of the newest continuity trial */
	uint64_t count_up, count_down, count_then,
		count_ns; /* UDP: counters by the newest tick; when the far end was heard last */
	bool count_silent;
	uint32_t rec_down, rec_up; /* UDP: packets from and to there after the newest record from there */
	uint32_t silent_packets, in_after_loss;
	uint32_t ssrc;
	uint16_t rtp_seq;
	uint16_t rtp_missed; /* packets from there without a record since the one with rtp_seq */
	bool rtp;
	struct rtp_gaps *gaps; /* NULL until one was seen */
};

struct vq_packet {
	double t;
	uint16_t len;
	bool lost;
};

struct vq_log {
	struct vq_packet p[VQ_MAX];
	unsigned n; /* ever */
};

/*
 * Client, server, server's port: what residual blocks are keyed on (research
 * B.6). How long one failed without a break.
 */
#define TUPLES 64
struct tuple {
	uint64_t key;		    /* hashed; 0: free */
	uint64_t first_ns, last_ns; /* of the failures in a row; 0: none */
	unsigned failures;
	unsigned openings; /* of these, first packets of flows */
	bool opened;	   /* flows opened there before the row */
};

/* A row of failures that ended: it lasted at least low, at most high. */
struct residual {
	uint64_t start_ns;
	float low_s, high_s;
};

/* A type's state beside its series. */
struct drop_type {
	uint64_t lossy_flow[LOSSY_MAX]; /* newest flows that lost packets */
	uint64_t lossy_ns[LOSSY_MAX];
	uint32_t nlossy;      /* ever */
	struct vq_log *vq[2]; /* TO_SERVER, TO_CLIENT; NULL until something was lost */
	/* flows that ended in silence: packets both ways, bytes from the far end */
	float stop_packets[STOPS_MAX], stop_bytes[STOPS_MAX];
	uint64_t stop_ns[STOPS_MAX];
	uint32_t nstops;
	uint8_t first_lost[STOPS_MAX]; /* which data packet was lost first */
	uint32_t nfirst;
	double window[2]; /* packets a round trip of its flows, TO_SERVER and TO_CLIENT, recent mean
			   */
	struct tuple tuple[TUPLES];
	struct residual residual[STOPS_MAX];
	uint32_t nresiduals;		/* ever */
	double size_n[4], size_lost[4]; /* by payload: to 200, 600, 1000, more */
	uint32_t after_loss,
		lossy; /* flows that lost; of them, those in which the far end went on */
	uint32_t stuck, stuck_lost; /* flows that lost copy after copy, and how many of these */
	uint32_t own_lost; /* packets that this host dropped itself, not counted */
	uint64_t round_ns;

	/* the finding, while one is open */
	bool open;
	uint64_t key, start_ns, last_ns, reported_ns, closed_ns;
	uint32_t episodes; /* closed before this one */
	uint8_t channels;  /* that fired, bits */
	double reported_ratio;
	double fit; /* newest drop_queue_fit() of this episode; 0 none */
	bool line;  /* drop_limit_line() held in it */
	uint16_t level_yes,
		level_no;  /* how often what passed was a constant, and not, while it lost */
	uint64_t level_at; /* slot of the newest loss by then */
	enum level level;
	uint64_t fragile_ns; /* newest loss of a flow whose records were lost */
};

struct drop {
	const struct detect_env *env;
	struct drop_bank bank;
	struct ends far,
		near; /* the ends beyond the path in question, and those on our side of it */
	struct spots spots;
	struct drop_type *type[MAX_TYPES]; /* NULL until used */
	struct drop_flow *open;		   /* list */
	uint32_t orphans;		   /* flows that ended untyped with losses, counted */
};

/* Flow state, made at the first packet. NULL: out of memory, or not a flow to look at. */
struct drop_flow *drop_flow_of(struct drop *d, struct flow *f);

/* TCP and UDP: a packet of the flow. */
void drop_tcp(struct drop *d, struct drop_flow *df, const struct weir_rec *r);
void drop_udp(struct drop *d, struct drop_flow *df, const struct weir_rec *r);

/* Time passes for the flow's open packets. */
void drop_tcp_time(struct drop *d, struct drop_flow *df, uint64_t now_ns);
void drop_udp_time(struct drop *d, struct drop_flow *df, uint64_t now_ns);

/* Notes packets of a way for drop_queue_fit(): every one that passed or was lost beyond us. */
void drop_vq(struct drop *d, const struct flow *f, unsigned way, uint64_t ns, unsigned n,
	     uint16_t len, bool lost);

/* Tells a fate. */
void drop_tell(struct drop *d, struct drop_flow *df, const struct trial *t, uint16_t len);
void drop_tell_sent(struct drop *d, struct drop_flow *df, const struct sent *s, bool lost);

/* Adds to the open list of sent packets; makes room by telling the oldest. */
void drop_sent_add(struct drop *d, struct drop_flow *df, const struct sent *s);
/* Time is told to the flow from now on. */
void drop_list(struct drop *d, struct drop_flow *df);
void drop_sent_remove(struct drop_flow *df, unsigned i);

/* Few enough packets a round trip for this one to be a trial? Counts it. */
bool drop_thin(struct drop_flow *df, unsigned way, uint64_t now_ns, unsigned packets);

/* How long an unanswered packet may wait. */
uint64_t drop_patience_ns(const struct drop_flow *df);

struct drop_type *drop_type_of(struct drop *d, unsigned type);

/* The way out (to the far end) and its channel. */
static inline unsigned drop_out(const struct drop_flow *df)
{
	return df->far_client ? TO_CLIENT : TO_SERVER;
}

static inline uint8_t drop_channel(unsigned way)
{
	return way == TO_SERVER ? CH_UP : CH_DOWN;
}

/* Judges every type; reports. `last`: the end. */
void drop_judge(struct drop *d, uint64_t now_ns, bool last);

/* How well a queue or bucket of some rate tells lost from passed packets: 0.5 not at all, 1 fully;
 * NaN: too few. */
double drop_queue_fit(const struct vq_log *log, double since_s);
/* Does as much pass between any two losses since since_s (s)? Then a limit drops: rate_line.h. */
bool drop_limit_line(const struct vq_log *log, double since_s);
/* Is what passes since since_s (s) constant, while what is offered is not? Then it is a limit. -1:
 * too little is held to tell. */
int drop_plateau(const struct vq_log *log, double since_s);

#endif
