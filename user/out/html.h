/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pieces of an HTML page that is well-formed XML too. Whatever may come from
 * the wire or the command line goes through html_text(); only the program's own
 * markup is printed as it is.
 */
#ifndef WEIR_HTML_H
#define WEIR_HTML_H

#include <stdint.h>
#include <stdio.h>

/*
 * Text for an element or a quoted attribute. Bytes that are no UTF-8, control
 * characters, what XML forbids and what turns the reading direction become
 * U+FFFD. "://" gets its colon as a reference: no reader makes a link of it.
 */
void html_text(FILE *to, const char *text);

/* The same, and every IPv4 or IPv6 address in it becomes "[address]". */
void html_text_redacted(FILE *to, const char *text);

/* The same in place; what no longer fits is cut. */
void html_redact(char *text, size_t size);

/* Three digits with an SI prefix and the unit: "1.53 Mbit/s". */
void html_si(FILE *to, double v, const char *unit);

/* A share as a percentage, two digits; "less than" where it would read 0. */
void html_percent(FILE *to, double share);

/* Time of day, UTC, whole seconds, with the date before it. */
void html_time(FILE *to, uint64_t ns);

#endif
