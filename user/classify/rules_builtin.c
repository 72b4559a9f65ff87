/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rules.h"

/* Made from rules.ini: one string per line. */
const char rules_builtin[] =
#include "rules_builtin.inc"
	;
