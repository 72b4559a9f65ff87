/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every name that leaves the program, from one list each (contract: Names, Events). */
#ifndef WEIR_NAMES_H
#define WEIR_NAMES_H

#include "weir_l7.h"

#define KIND_LIST(X)                                                                     \
	X(RATE_LIMIT, "rate_limit") X(RST_INJECTION, "rst_injection")                    \
	X(CONTENT_INJECTION, "content_injection") X(DNS_INJECTION, "dns_injection")      \
	X(SELECTIVE_DROP, "selective_drop")
#define SUBKIND_LIST(X)                                                                  \
	X(UNKNOWN, "unknown") X(POLICER, "policer") X(SHAPER, "shaper") X(DELAY, "delay")\
	X(ON_PATH, "on_path") X(IN_PATH, "in_path") X(PAGE, "page") X(DATA, "data")      \
	X(FIN, "fin") X(SYN_ACK, "syn_ack") X(ALERT, "alert") X(RACE, "race")            \
	X(FORGED, "forged") X(LOSS, "loss") X(BLACKHOLE, "blackhole")                    \
	X(FREEZE, "freeze") X(RESIDUAL, "residual")
#define LEVEL_LIST(X) X(POSSIBLE, "possible") X(LIKELY, "likely") X(CORROBORATED, "corroborated")
#define DIRECTION_LIST(X) X(DOWN, "down") X(UP, "up") X(BOTH, "both")
#define SOURCE_LIST(X)                                                                   \
	X(NONE, "none") X(PORT, "port") X(PEER, "peer") X(DNS, "dns") X(SNI, "sni")      \
	X(PAYLOAD, "payload")
#define LIMIT_LIST(X)                                                                    \
	X(NONE, "none") X(APP, "app") X(RECEIVER, "receiver") X(NETWORK, "network")      \
	X(POLICER, "policer") X(SHAPER, "shaper")
#define END_LIST(X)                                                                      \
	X(OPEN, "open") X(FIN, "fin") X(RST, "rst") X(TIMEOUT, "timeout")                \
	X(EVICTED, "evicted") X(REUSED, "reused") X(STOP, "stop")

#define X(id, name) KIND_##id,
enum kind { KIND_LIST(X) KIND_COUNT };
#undef X
#define X(id, name) SUBKIND_##id,
enum subkind { SUBKIND_LIST(X) SUBKIND_COUNT };
#undef X
#define X(id, name) LEVEL_##id,
enum level { LEVEL_LIST(X) LEVEL_COUNT };
#undef X
#define X(id, name) DIRECTION_##id,
enum direction { DIRECTION_LIST(X) DIRECTION_COUNT };
#undef X
#define X(id, name) SOURCE_##id,
enum type_source { SOURCE_LIST(X) SOURCE_COUNT };
#undef X
#define X(id, name) LIMIT_##id,
enum limit { LIMIT_LIST(X) LIMIT_COUNT };
#undef X
#define X(id, name) END_##id,
enum flow_end { END_LIST(X) END_COUNT };
#undef X

/* Each returns the name, "?" when out of range. Static storage. */
const char *l7_name(unsigned id);
const char *kind_name(unsigned id);
const char *subkind_name(unsigned id);
const char *level_name(unsigned id);
const char *direction_name(unsigned id);
const char *source_name(unsigned id);
const char *limit_name(unsigned id);
const char *flow_end_name(unsigned id);
const char *elsewhere_name(unsigned id); /* enum weir_elsewhere */
const char *unsent_name(unsigned id);	 /* enum weir_unsent */

/* The id of an l7 name, -1 if there is none such. */
int l7_by_name(const char *name);

#endif
