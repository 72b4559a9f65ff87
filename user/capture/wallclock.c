// SPDX-License-Identifier: GPL-2.0-or-later
#include "wallclock.h"

#define SLEW_PER_S   500000LL /* ns of slew in a second: 500 ppm, as adjtime(3) */
#define STEP_NS	     1000000000LL

void wallclock_start(struct wallclock *w, uint64_t mono_ns, uint64_t real_ns)
{
	w->offset_ns = (int64_t)(real_ns - mono_ns);
	w->behind_ns = 0;
	w->read_ns = mono_ns;
}

bool wallclock_read(struct wallclock *w, uint64_t mono_ns, uint64_t real_ns)
{
	int64_t now = (int64_t)(real_ns - mono_ns), was = w->offset_ns + w->behind_ns;
	int64_t step = now - was, most, slew;

	if (mono_ns <= w->read_ns)
		return false;
	most = (int64_t)((mono_ns - w->read_ns) / 1000) * SLEW_PER_S / 1000000;
	w->read_ns = mono_ns;
	w->behind_ns = now - w->offset_ns;
	slew = w->behind_ns > most ? most : w->behind_ns < -most ? -most : w->behind_ns;
	w->offset_ns += slew;
	w->behind_ns -= slew;
	return step > STEP_NS || step < -STEP_NS;
}
