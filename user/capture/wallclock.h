/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine stamps packets with the monotonic clock. The model wants the time
 * of day, and time that neither jumps nor stands still: the offset between both
 * clocks is taken once, then follows the time of day by slewing only. A step of
 * the time of day (NTP's first answer, an operator) moves no packet.
 */
#ifndef WEIR_WALLCLOCK_H
#define WEIR_WALLCLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct wallclock {
	int64_t offset_ns;  /* monotonic + offset = time of day, as we count it */
	int64_t behind_ns;  /* the real time of day is ahead of ours by this much */
	uint64_t read_ns;   /* monotonic time of the last reading */
};

/* Both clocks in ns. */
void wallclock_start(struct wallclock *w, uint64_t mono_ns, uint64_t real_ns);

/*
 * A new reading of both. Differences are slewed at 500 ppm of the time since
 * the last one. True: the time of day stepped by over a second since then.
 */
bool wallclock_read(struct wallclock *w, uint64_t mono_ns, uint64_t real_ns);

static inline uint64_t wallclock_ns(const struct wallclock *w, uint64_t mono_ns)
{
	return mono_ns + w->offset_ns;
}

#endif
