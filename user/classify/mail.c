/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Protocols in which the server greets first: SMTP (RFC 5321), POP3 (1939),
 * IMAP (3501, 9051), FTP (959), and their upgrades to TLS (RFC 3207, 2595, 4217).
 */
#include "model.h"
#include "probe.h"

/* Is one of the client's first lines a command of the list? */
static bool command(struct seg s, const char *const *list)
{
	for (unsigned lines = 0; s.n && lines < 8; lines++) {
		const uint8_t *end = memchr(s.p, '\n', s.n);

		for (unsigned i = 0; list[i]; i++) {
			size_t n = strlen(list[i]);

			if (s.n >= n + 1 && !strncasecmp((const char *)s.p, list[i], n) &&
			    (s.p[n] == ' ' || s.p[n] == '\r' || s.p[n] == '\n'))
				return true;
		}
		if (!end)
			return false;
		s = seg_skip(s, (size_t)(end - s.p) + 1);
	}
	return false;
}

static const char *const smtp_commands[] = { "EHLO", "HELO", "LHLO", NULL };
static const char *const pop3_commands[] = { "CAPA", "USER", "APOP", "AUTH", "STLS", NULL };
static const char *const ftp_commands[] = { "USER", "FEAT", "SYST", "AUTH", "PASV", "EPSV",
					    "PWD",  "TYPE", "OPTS", "CWD",  NULL };

/* IMAP: a tag, then a command. */
static bool imap_command(struct seg s)
{
	static const char *const list[] = { "CAPABILITY", "LOGIN",    "STARTTLS", "AUTHENTICATE",
					    "ID",	  "NOOP",     "SELECT",	  "ENABLE",
					    "LOGOUT",	  "NAMESPACE" };
	const uint8_t *blank = memchr(s.p, ' ', s.n < 24 ? s.n : 24);

	if (!blank || blank == s.p)
		return false;
	s = seg_skip(s, (size_t)(blank - s.p) + 1);
	for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		size_t n = strlen(list[i]);

		if (s.n > n && !strncasecmp((const char *)s.p, list[i], n) &&
		    (s.p[n] == ' ' || s.p[n] == '\r' || s.p[n] == '\n'))
			return true;
	}
	return false;
}

/* A reply "220 " or "220-" by number. */
static bool code(struct seg s, const char *digits)
{
	return s.n >= 4 && !memcmp(s.p, digits, 3) && (s.p[3] == ' ' || s.p[3] == '-');
}

static bool names(struct seg s, const char *word)
{
	const uint8_t *end = memchr(s.p, '\n', s.n);
	size_t n = end ? (size_t)(end - s.p) : s.n, l = strlen(word);

	for (size_t i = 0; i + l <= n && i < 512; i++)
		if (!strncasecmp((const char *)s.p + i, word, l))
			return true;
	return false;
}

/* What both sides' first words say; UNKNOWN while it may still be one, COUNT when it is none. */
static unsigned spoken(struct seg up, struct seg down, bool full)
{
	if (down.n >= 4) {
		if (SEG_HAS(down, "+OK"))
			return up.n && !command(up, pop3_commands) && up.n > 6 && !full
				       ? WEIR_L7_UNKNOWN
				       : WEIR_L7_POP3;
		if (SEG_HAS(down, "* OK") || SEG_HAS(down, "* PREAUTH") || SEG_HAS(down, "* BYE"))
			return WEIR_L7_IMAP;
		if (code(down, "220") || code(down, "421") || code(down, "554") ||
		    code(down, "120")) {
			if (command(up, smtp_commands) || names(down, "SMTP"))
				return WEIR_L7_SMTP;
			if (command(up, ftp_commands) || names(down, "FTP"))
				return WEIR_L7_FTP;
			return full || up.n > 200 ? WEIR_L7_COUNT : WEIR_L7_UNKNOWN;
		}
		/* Midway: what the server answers to the commands below. */
	}
	if (up.n >= 4) {
		if (command(seg_head(up, 512), smtp_commands) && (!down.n || code(down, "250")))
			return WEIR_L7_SMTP;
		if (imap_command(up) && (!down.n || SEG_HAS(down, "* ")))
			return down.n || full ? WEIR_L7_IMAP : WEIR_L7_UNKNOWN;
		if (command(up, pop3_commands) && SEG_HAS(down, "+OK"))
			return WEIR_L7_POP3;
		if (command(up, ftp_commands) &&
		    (code(down, "331") || code(down, "230") || code(down, "530") ||
		     code(down, "215") || code(down, "211") || code(down, "234")))
			return WEIR_L7_FTP;
	}
	return down.n >= 4 || up.n >= 64 ? WEIR_L7_COUNT : WEIR_L7_UNKNOWN;
}

/* Where TLS begins in the client's words: right behind the line that asks for it. */
static bool upgrade(struct seg up, struct seg *tls)
{
	static const char *const asks[] = { "STARTTLS", "STLS", "AUTH TLS", "AUTH SSL" };

	for (unsigned lines = 0; up.n && lines < 16; lines++) {
		const uint8_t *end = memchr(up.p, '\n', up.n);
		size_t n;

		if (!end)
			return false;
		n = (size_t)(end - up.p);
		for (unsigned i = 0; i < 4; i++) {
			size_t l = strlen(asks[i]);

			/* Behind IMAP's tag, or at the start. */
			for (size_t at = 0; at + l <= n && at < 24; at++)
				if (!strncasecmp((const char *)up.p + at, asks[i], l)) {
					*tls = seg_skip(up, n + 1);
					return true;
				}
		}
		up = seg_skip(up, n + 1);
	}
	return false;
}

/* "220 name ESMTP ...": an SMTP server greets with its name (RFC 5321 4.2). */
static void greeting_name(struct seg down, unsigned l7, struct found *out)
{
	struct seg s = seg_skip(down, 4);
	size_t n = 0;
	bool dot = false;

	if (l7 != WEIR_L7_SMTP || !code(down, "220"))
		return;
	while (n < s.n && n < 128 && s.p[n] > 0x20 && printable(s.p[n]))
		dot |= s.p[n++] == '.';
	if (dot && n < s.n && s.p[n] <= 0x20)
		found_host(out, s.p, n);
}

enum match mail_tcp(const struct tcp_view *v, struct found *out)
{
	struct seg up = v->way[TO_SERVER], down = v->way[TO_CLIENT], rest;
	unsigned l7;

	if (!up.n && !down.n)
		return MATCH_NO;
	/* Text, both. */
	if ((up.n && (up.p[0] < 0x20 || up.p[0] > 0x7e)) ||
	    (down.n && (down.p[0] < 0x20 || down.p[0] > 0x7e)))
		return MATCH_NO;
	l7 = spoken(up, down, v->full);
	if (l7 == WEIR_L7_COUNT)
		return MATCH_NO;
	if (l7 == WEIR_L7_UNKNOWN)
		return v->full ? MATCH_NO : MATCH_MORE;
	out->l7 = (uint8_t)l7;
	greeting_name(down, l7, out);
	if (upgrade(up, &rest) && rest.n) {
		struct tcp_view t = { .way = { rest }, .first = rest, .full = v->full };
		struct found f = { 0 };

		if (tls_tcp(&t, &f) == MATCH_YES) {
			if (!f.host[0])
				memcpy(f.host, out->host, sizeof(f.host));
			*out = f;
			return MATCH_YES;
		}
	}
	return MATCH_YES;
}
