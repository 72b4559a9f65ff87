/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rate detector's parts. rate.c takes packets and decides when to look;
 * rate_series.c keeps what a limiter did packet by packet; rate_fit.c, rate_bank.c
 * and rate_bounds.c fit token buckets, rate_shape.c the output of shapers; rate_group.c finds who shares a
 * limiter; rate_verdict.c decides what it is; rate_type.c compares types;
 * rate_ceiling.c and rate_udp.c tell a limit of UDP by what passed alone;
 * rate_limit.c tells what else held a flow back; rate_report.c writes it down.
 */
#ifndef WEIR_RATE_H
#define WEIR_RATE_H

#include "detect.h"
#include "rate_fit.h"
#include "rate_line.h"
#include "rate_series.h"
#include "rate_shape.h"

#define PATHS_MAX    8192
#define MARKS_MAX    (2 * PATHS_MAX) /* with those of paths that are gone */
#define LIMITERS_MAX 128
#define MEMBERS_MAX  256     /* paths in one group */
#define GATHER_MAX   36000   /* packets gathered of a group; the newest 12,000 are fitted */
#define TRIED_MAX    64
#define RETIRED_S    60	     /* an ended flow's series is kept so long for its group */
#define FOCUS_RECORDS 12000  /* that the engine gives of a flow once asked */
#define FOCUS_PER_S  20000   /* records a second of packet time that are asked for on average */
#define FOCUS_MOST   120000
#define WORK_PER_S   60e6    /* packet x candidate evaluations a second of packet time, about 10 % of a core */

/* What held a path back, by what was seen of the ends (research: T-RAT). */
struct path_limits {
	uint64_t first_ns, last_ns; /* payload packets */
	uint64_t idle_ns;	    /* nothing sent, nothing outstanding */
	uint64_t all_acked_ns;	    /* since when nothing is outstanding; 0: something is */
	uint32_t waits, prompt;	    /* times that the sender then sent later than it could have, and not later */
	uint32_t rounds, full_window; /* payload packets; of them sent with the window nearly full */
	uint32_t zero_windows;
	uint32_t window;	/* advertised last, bytes; 0: not known */
	uint32_t mss;		/* largest payload seen in one packet */
};

struct limiter;

/* One direction of a flow. */
struct path {
	struct series *s; /* with what each packet writes: a cache line */
	uint64_t last_ns;
	uint32_t mark; /* its place in rate.mark */
	bool awake;    /* as it says there */
	struct path_limits lim;
	struct path *prev, *next; /* rate.paths, newest first */
	struct flow *flow;	  /* NULL once it has ended */
	uint64_t flow_id, start_ns, ended_ns;
	struct in6_addr from, to;     /* sender, receiver of the data */
	struct in6_addr client, server;
	uint16_t ifindex;
	uint8_t type, way, proto;
	bool inbound, outbound; /* from outside to inside; from inside to outside */
	unsigned fitted[SIDES]; /* losses at the last fit alone */
	unsigned gaps; /* of the series, when it was last looked at */
	bool untold; /* the newest record was the last of its common packets */
	bool focused;		/* its packets were asked for one by one */
	uint64_t shaped_at[SIDES]; /* packets at the last look for a shaper */
	bool queued;		/* its round trip rose with a backlog */
	struct flow_counts count; /* the flow's, when it ended */
	struct limiter *limiter;
	uint64_t gap_ns;  /* UDP: before this one some packets gave no record; 0: all did */
	uint32_t expected; /* packets before the next one, saturating */
};

/* Who may share a limiter. Each is all paths with these things in common. */
enum group_kind {
	GROUP_PATH,	 /* one flow's direction alone */
	GROUP_PAIR,	 /* same ends */
	GROUP_HOST_TYPE, /* same inside host (or receiver) and type */
	GROUP_HOST,
	GROUP_TYPE,	 /* same direction and type */
	GROUP_ALL,	 /* same direction */
	GROUP_KINDS
};

struct group {
	enum group_kind kind;
	unsigned n;
	struct path *path[MEMBERS_MAX];
};

enum verdict { VERDICT_NONE, VERDICT_POLICER, VERDICT_QUEUE, VERDICT_SHAPER, VERDICT_UNKNOWN };

struct limiter {
	uint64_t key;
	enum group_kind kind;
	enum side side;
	enum verdict verdict;
	enum level level;
	struct path like;      /* what its paths have in common; a copy, holds nothing */
	int type;	       /* -1: not of one type */
	uint8_t ways;	       /* bit TO_SERVER, TO_CLIENT */
	struct rate_fit fit;
	struct loss_line line; /* of the same packets */
	bool by_line;	       /* fit's rate and bucket are the line's */
	struct shape shape;
	unsigned fitted;       /* losses at the last look */
	uint64_t fitted_packets;
	uint64_t start_ns, last_ns; /* first and last evidence */
	unsigned windows;      /* looks that confirmed it */
	unsigned doubts;       /* looks in a row that did not */
	uint32_t flows, nclients, nservers;
	uint64_t flow_id[FINDING_FLOWS];
	struct in6_addr clients[16], servers[16];
	bool degraded, hinted, open;
	/* The other types in the same direction at the same time. */
	unsigned control_flows;
	uint64_t control_packets;
	double own_rtt, control_rtt;   /* s above the least, median; NaN: not known */
	double own_loss, control_loss; /* shares */
	double control_rate;	       /* bytes/s: median of the flows while they sent */
	double control_best;	       /* the fastest, sixteen packets at a time */
	uint64_t others_packets;       /* of any type, outside it, in the same direction at the same time */
	double others_loss, others_rtt; /* as control's */
	bool other_type_limited;       /* paths of other types are in it */
	bool type_free;		       /* paths of its type are not in it, and go faster */
	char control_types[64];
};

/* A ceiling of one type's UDP. */
struct udp_limit {
	bool open;
	double rate; /* bytes/s, by the newest look; 0: none */
	uint64_t newest_ns; /* packet of a flow that may matter */
	uint64_t key, next_ns, seen_ns, start_ns, last_ns, reported_ns;
};

/* A group that was tried in vain, and with how many losses. */
struct tried {
	struct path like;
	enum group_kind kind;
	enum side side;
	unsigned lost;
	uint64_t used;
};

/* What a tick must know of a path, all of them in a row: most have nothing to be looked at, second after second. */
struct path_mark {
	struct path *path; /* NULL: it is gone */
	uint64_t ended_ns; /* 0: its flow goes on */
	bool awake;	   /* it had a packet, or there is something to do for it without */
	uint8_t type, way; /* the path's */
};

struct rate {
	struct detect_env env;
	struct path *paths; /* newest first */
	unsigned npaths;
	struct path_mark *mark; /* MARKS_MAX, oldest first */
	unsigned marks;
	struct series_budget budget;
	struct fit_work *work;
	struct fit_packet *packets, *room; /* GATHER_MAX */
	struct fit_rtt *rtts;	    /* FIT_RTTS_MAX */
	struct limiter limiter[LIMITERS_MAX];
	unsigned limiters;
	double credit;	    /* evaluations that may be spent now */
	double focus;	    /* records that may be asked for now */
	uint64_t tick_ns;
	struct group group, other; /* room to work in */
	struct tried tried[TRIED_MAX];
	uint64_t tries;
	uint64_t refused;   /* paths and groups not looked into: no room or no credit */
	uint64_t keys;	    /* given to limiters */
	struct udp_limit udp[MAX_TYPES];
	uint64_t udp_ns;    /* of the newest look at UDP */
};

/*
 * rate_tried.c: was this group looked into in vain with about as many losses, so that fewer than growth times as many
 * add nothing? Losses of flows that are gone are taken off: a limiter that comes and goes is looked for each time,
 * however large the first. False notes the look. Bounded: of TRIED_MAX groups the oldest is forgotten.
 */
bool rate_tried(struct rate *r, const struct path *p, enum group_kind kind, enum side side,
		unsigned lost, double growth);

/* rate_group.c */
/* All paths that share kind's things with the one that is given. */
void group_of(const struct rate *r, const struct path *like, enum group_kind kind, struct group *g);
bool group_has(const struct path *p, const struct path *like, enum group_kind kind);
/*
 * The group's packets for a limiter on that side into r->packets, sorted, and
 * what their round trips were above the least into r->rtts. *origin_ns is time 0.
 * acked: instead of what passed us, what the receivers acknowledged.
 */
void group_gather(struct rate *r, const struct group *g, enum side side, bool acked,
		  struct fit_input *in, uint64_t *origin_ns);
uint64_t group_packets(const struct group *g);
unsigned group_losses(const struct group *g, enum side side, unsigned *lossy);

/* rate_verdict.c */
/* Of a group's fit, with the input that it was made of. */
enum verdict verdict_of(const struct fit_input *in, const struct rate_fit *f, enum side side);
/* The same by the line of the losses alone, where no bucket could be fitted well. */
enum verdict verdict_of_line(const struct fit_input *in, const struct rate_fit *f, const struct loss_line *l);

/* rate_limit.c */
void limits_packet(struct path *p, const struct weir_rec *r, unsigned rtt_us);
void limits_reverse(struct path *p, const struct weir_rec *r, unsigned wscale);
/* Is the receiver's window what holds it? */
bool limits_window(const struct path *p);
/* Does the application give out a few packets at a time, each time when all before was acknowledged? */
bool limits_paced(const struct path *p);
enum limit limits_of(const struct path *p);

/* rate_report.c */
/* "2.02 Mbit/s" or "302 kbit/s". */
void rate_text(char *out, size_t n, double bps);
void rate_report(struct rate *r, const struct limiter *l);
void rate_close(struct rate *r, struct limiter *l);

/* rate_type.c */
/* Fills in what other types did beside the limiter. */
void type_compare(struct rate *r, struct limiter *l);
/* Does the limit, compared, hold its type and no other? */
bool type_only(const struct limiter *l);
/* Do others wait about as long as those behind its queue? */
bool others_queue(const struct limiter *l);
/* Do others lose about as much, and wait as long as its bucket would have them wait, were it a queue? */
bool others_share(const struct limiter *l);

/* rate_udp.c */
/* A packet of a UDP path: were there some before it that gave no record? Is its type worth a look? */
void udp_packet(struct rate *rate, struct path *p, const struct weir_rec *r);
/* Now and then looks whether a type's UDP has a ceiling of its own. */
void udp_tick(struct rate *r, uint64_t now_ns);
void udp_close(struct rate *r, struct udp_limit *l);

#endif
