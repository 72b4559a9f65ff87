/* SPDX-License-Identifier: GPL-2.0-or-later */
/* After start: the system calls that the loop needs, and no others for the rest of the process. */
#ifndef WEIR_SYSCALLS_H
#define WEIR_SYSCALLS_H

#include <stdbool.h>

/*
 * For the daemon, which opens files, programs and sockets again on SIGHUP. What
 * is not on the list fails with EPERM. Once is enough: further calls do nothing. 0 or -errno.
 */
int syscalls_daemon(void);

#endif
