/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules: whose a flow is. Loaded from INI (see rules.ini for the form), read
 * only afterwards. An app is named by its index here; the classifier gives it
 * the model's id.
 */
#ifndef WEIR_RULES_H
#define WEIR_RULES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define APP_NAME_LEN 32

enum channel { CHANNEL_NONE, CHANNEL_TEXT, CHANNEL_MEDIA, CHANNEL_CALL, CHANNELS };

struct rules;

/* An answer: the app's index, -1 none; the channel where the rule that matched says one. */
struct rule_match {
	int app;
	enum channel channel;
};

struct rules *rules_load(const char *path, char *err, size_t errlen);
void rules_free(struct rules *r);

/* The rules that are built in, as text. */
extern const char rules_builtin[];

unsigned rules_apps(const struct rules *r);
const char *rules_app_name(const struct rules *r, unsigned app);

/* By host name (lower case): the longest suffix on label boundaries. O(length of the name). */
struct rule_match rules_host(const struct rules *r, const char *host);
/* By signature (enum signature) and by l7 (enum weir_l7). */
struct rule_match rules_signature(const struct rules *r, unsigned sig);
struct rule_match rules_l7(const struct rules *r, unsigned l7);
/* The weakest: by the server's address and port. proto: IPPROTO_TCP or _UDP. */
struct rule_match rules_endpoint(const struct rules *r, const struct in6_addr *ip, unsigned proto,
				 unsigned port);
/* The channel that an app's flows of this l7 are; CHANNEL_NONE where the rules don't say. */
enum channel rules_channel(const struct rules *r, unsigned app, unsigned l7);

const char *channel_name(enum channel c); /* "text", "media", "call"; "" for none */

#endif
