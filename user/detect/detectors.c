// SPDX-License-Identifier: GPL-2.0-or-later
#include "detect.h"

/* Rate before drop: losses that a limit explains are no selective drop. */
const struct detector *const detectors[DETECTORS_MAX + 1] = {
	&detect_rst, &detect_content, &detect_dns, &detect_rate, &detect_drop, &detect_delay, &detect_opens,
};
