/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capabilities: which are there, and giving up those that are not needed. */
#ifndef WEIR_RIGHTS_H
#define WEIR_RIGHTS_H

#include <stdbool.h>
#include <stdint.h>

/* Is CAP_* effective? Without CAP_BPF (before 5.8) CAP_SYS_ADMIN stands for it: see rights_bpf. */
bool rights_have(unsigned cap);
bool rights_bpf(void); /* may load programs and read maps */
/* May have packet bounds taken on trust: without it the verifier refuses any parser with variable offsets. */
bool rights_perfmon(void);
bool rights_net(void); /* may attach them: CAP_NET_ADMIN or CAP_SYS_ADMIN */

/*
 * After attach: keeps CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON of what we hold
 * (needed to sweep maps and to attach again when an interface comes back),
 * gives up all else for good, no_new_privs included. 0 or -errno.
 */
int rights_drop(void);

#endif
