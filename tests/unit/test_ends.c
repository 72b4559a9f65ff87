// SPDX-License-Identifier: GPL-2.0-or-later
/* What ends remember of packets and losses: a minute finely, half an hour coarsely, held to a plain list of all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "drop_ends.h"

#define ADDED 4000

static struct {
	uint64_t ns;
	unsigned channel, n, lost;
} added[ADDED];

static struct ends *ends;
static struct end *at;
static const struct in6_addr ip = { .s6_addr = { 0x20, 1, 0xd, 0xb8 } };

static int make(void **state)
{
	(void)state;
	ends = calloc(1, sizeof(*ends));
	at = NULL;
	return !ends;
}

static int drop(void **state)
{
	(void)state;
	free(ends);
	return 0;
}

static uint32_t draw(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 33) % n;
}

/* Of all that was added: what lies in the buckets of that width from one time to the other. */
static void by_list(unsigned n, unsigned channels, uint64_t width, uint64_t from, uint64_t to, double *sum, double *lost)
{
	*sum = *lost = 0;
	for (unsigned i = 0; i < n; i++) {
		uint64_t no = added[i].ns / width;

		if (!(channels >> added[i].channel & 1) || no < from / width || no > to / width)
			continue;
		*sum += added[i].n;
		*lost += added[i].lost;
	}
}

static void check(unsigned n, uint64_t now, uint64_t from, uint64_t to, unsigned channels)
{
	double sum, lost, sum2, lost2;
	uint64_t width = from + (END_BUCKETS - 1) * END_FINE_NS > now ? END_FINE_NS : END_COARSE_NS;

	end_count(at, channels, from, to, &sum, &lost);
	by_list(n, channels, width, from, to, &sum2, &lost2);
	assert_true(sum == sum2);
	assert_true(lost == lost2);
}

/* From time 0 on, with pauses, and some packets told late. */
static void as_a_list_has_it(void **state)
{
	uint64_t seed = 7, now = 0;

	(void)state;
	for (unsigned i = 0; i < ADDED; i++) {
		uint64_t late = draw(&seed, 20) ? 0 : draw(&seed, 30) * 1000000000ull;

		now += draw(&seed, 200) ? draw(&seed, 800) * 1000000ull : 20000000000ull;
		if (now > 28 * 60 * 1000000000ull) /* all of it is held */
			break;
		added[i].ns = late < now ? now - late : now;
		added[i].channel = draw(&seed, ENDS_KINDS);
		added[i].n = 1 + draw(&seed, 3);
		added[i].lost = draw(&seed, 10) ? 0 : 1;
		ends_add(ends, &at, &ip, 3, added[i].channel, 1, added[i].ns, added[i].n, added[i].lost);
		if (added[i].ns < now)
			ends_add(ends, &at, &ip, 3, 0, 1, now, 0, 0); /* the newest is now */
		for (unsigned k = 0; k < 3; k++) {
			uint64_t from = draw(&seed, (uint32_t)(now / 1000000 + 1)) * 1000000ull;
			uint64_t to = from + draw(&seed, 100000) * 1000000ull;

			if (k == 1)
				from = now > 20000000000ull ? now - 20000000000ull : 0;
			if (at->ok_ns == now && to >= from)
				check(i + 1, now, from, to, 1 + draw(&seed, 15));
		}
	}
	assert_true(now > 20 * 60 * 1000000000ull);
}

/* What is older than a ring is let go; it empties no newer bucket. */
static void too_old(void **state)
{
	const uint64_t hour = 3600000000000ull;
	double n, lost;

	(void)state;
	ends_add(ends, &at, &ip, 3, 1, 1, 2 * hour, 5, 1);
	ends_add(ends, &at, &ip, 3, 1, 1, 2 * hour - 64000000000ull, 7, 0); /* the same place in the fine ring */
	ends_add(ends, &at, &ip, 3, 1, 1, hour, 9, 0);
	end_count(at, 2, 2 * hour, 2 * hour, &n, &lost);
	assert_true(n == 5 && lost == 1);
	end_count(at, 2, 2 * hour - 240000000000ull, 2 * hour, &n, &lost);
	assert_true(n == 12 && lost == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(as_a_list_has_it, make, drop),
		cmocka_unit_test_setup_teardown(too_old, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
