/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A regular file's bytes, looked at where the kernel holds them: of a packet that is not looked into, only the
 * headers come into the cache. A file that is cut while it is mapped would kill its reader by SIGBUS: what is gone
 * reads as zeros instead, and mapped_torn() says so.
 */
#ifndef WEIR_MAPPED_H
#define WEIR_MAPPED_H

#include <stdbool.h>
#include <stdint.h>

#define MAPPED_WINDOW (1024 * 1024) /* bytes at least, where the file has as many */

struct mapped;

/* Takes fd over, unless NULL comes back: it is no regular file, or memory is out. */
struct mapped *mapped_open(int fd);
void mapped_close(struct mapped *m);

/*
 * The bytes from `pos` on, *n of them. Those of the call before stay, older ones are given back. NULL: there are none,
 * or *err is an errno.
 */
const uint8_t *mapped_from(struct mapped *m, uint64_t pos, uint32_t *n, int *err);

/* Was something gone, or unreadable, that had been there when it was mapped? */
bool mapped_torn(const struct mapped *m);

#endif
