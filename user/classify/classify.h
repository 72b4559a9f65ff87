/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a flow is, from its bytes (l7), and whose it is (app, type), from the
 * rules. Fed with the payload starts that the engine sends up; reassembles what
 * must be, decrypts QUIC Initials, and says when it is done.
 */
#ifndef WEIR_CLASSIFY_H
#define WEIR_CLASSIFY_H

#include "model.h"

struct classifier;
struct rules;

/* What is known so far. */
struct class_result {
	uint8_t l7;	/* enum weir_l7 */
	uint8_t source; /* enum type_source */
	uint16_t app;	/* model_app_id, 0 none */
	uint16_t type;	/* model_type_id */
	char hint[256]; /* SNI, Host, query name, "" none; printable ASCII only */
	char alpn[32];
	bool ech;  /* an encrypted ClientHello was offered */
	bool done; /* more payload won't change it */
};

/*
 * rules: NULL for the built-in ones. Names are interned in model. NULL: out of memory.
 */
struct classifier *classifier_new(struct model *m, const struct rules *rules);
void classifier_free(struct classifier *c);

/* Other rules from now on (SIGHUP); flows that are typed keep their type. Not owned. */
void classifier_rules(struct classifier *c, const struct rules *rules);

/*
 * A packet's payload start: r->caplen bytes of r->payload_len. Segments may be
 * missing, repeated, overlapping, in any order; r->seq places TCP ones (the
 * flow's ISN + 1 is the first byte where the handshake was seen; otherwise the
 * lowest seen). Makes f->classify when first called. Returns true when *out
 * changed since the last call. Bounded: at most 16 KiB a flow.
 */
bool classify_packet(struct classifier *c, struct flow *f, const struct weir_rec *r,
		     const uint8_t *payload, struct class_result *out);

/* The flow is at its end or old: the best guess without further payload (peer, port, address). */
bool classify_finish(struct classifier *c, struct flow *f, struct class_result *out);

/* Has it begun on the flow's bytes? */
bool classify_begun(const struct flow *f);

/* Frees f->classify; harmless when there is none. */
void classify_flow_free(struct classifier *c, struct flow *f);

/*
 * Rules from a file (INI; its form is described in user/classify/rules.ini) on top of the
 * built-in ones: where both match alike, the file's rule wins. path NULL: the built-in ones
 * alone. On error NULL, and "file:line: what is wrong" in err, one line without an end: what
 * `weir check --rules` prints.
 */
struct rules *rules_load(const char *path, char *err, size_t errlen);
void rules_free(struct rules *r);

#endif
