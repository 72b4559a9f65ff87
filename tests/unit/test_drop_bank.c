// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The evidence, simulated: many hours of traffic without interference must
 * bring no claim, and a drop must be found. WEIR_SIM_TYPE_HOURS sets the type-hours
 * (default 150, so that the test takes seconds; 10000 is the full run).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>

#include <cmocka.h>

#include "drop_bank.h"
#include "random.h"

#define TYPES	  5
#define THRESHOLD 7.13 /* drop_judge.c, sensitivity normal */
#define BASE	  1000000000ull


/* A path whose loss comes in bursts (Gilbert and Elliott, in time): all types share it. */
struct path {
	double p, bad_p; /* loss in the good and in the bad state */
	double enter, leave; /* per slot */
	bool bad;
};

static double path_step(struct path *x)
{
	if (uniform() < (x->bad ? x->leave : x->enter))
		x->bad = !x->bad;
	return x->bad ? x->bad_p : x->p;
}

/* The effect gates of the judge, on one channel. */
static bool claimed(const struct drop_bank *b, unsigned type)
{
	const struct episode *e = bank_episode(b, type, CH_UP);
	double n, control, trials, failed;

	if (bank_evidence(b, type, CH_UP) < THRESHOLD || !e)
		return false;
	n = e->sum.n[STAGE_LATER];
	bank_episode_control(b, type, CH_UP, e, &trials, &failed);
	control = trials > 0 ? failed / trials : 0;
	return e->sum.lost[STAGE_LATER] / n > fmax(3 * control, control + 0.02);
}

/* One hour: each type's trials a second, loss of the path, and what is dropped of type 0 on top. */
static unsigned hour(struct drop_bank *b, uint64_t *slot, const double rate[TYPES], struct path *path,
		     double drop, unsigned slots)
{
	unsigned claims = 0;

	for (unsigned i = 0; i < slots; i++, ++*slot) {
		double p = path_step(path);

		bank_advance(b, slot_ns(*slot), false);
		for (unsigned t = 0; t < TYPES; t++) {
			struct trial x = { .time_ns = slot_ns(*slot),
					   .channel = CH_UP,
					   .stage = STAGE_LATER,
					   .thin = true };
			double want = rate[t] / 16;

			/* now and then several packets at once */
			while (want > 0 && uniform() < want) {
				x.n++;
				want -= 1;
			}
			if (x.n && uniform() < 0.2)
				x.n += 2;
			for (unsigned k = 0; k < x.n; k++)
				x.lost += uniform() < p || (!t && uniform() < drop);
			if (x.n)
				assert_true(bank_add(b, t, &x));
		}
		if (i % 16)
			continue;
		for (unsigned t = 0; t < TYPES; t++)
			if (claimed(b, t)) {
				claims++;
				bank_reset(b, t);
			}
	}
	return claims;
}

static void test_no_interference(void **state)
{
	const char *env = getenv("WEIR_SIM_TYPE_HOURS");
	unsigned type_hours = env ? atoi(env) : 150, claims = 0;

	seed = 20261123;
	for (unsigned h = 0; h < type_hours / TYPES; h++) {
		struct drop_bank *b = calloc(1, sizeof(*b));
		double rate[TYPES];
		struct path path = { .p = 0.001 * pow(50, uniform()), /* 0.1 % to 5 % */
				     .leave = 1 / (1 + 30 * uniform()) }; /* bursts to 2 s */
		uint64_t slot = BASE;

		/* in bursts a third to all is lost; in all no more than the base loss again */
		path.bad_p = 0.3 + 0.7 * uniform();
		path.enter = path.leave * path.p / path.bad_p;
		for (unsigned t = 0; t < TYPES; t++)
			rate[t] = 0.1 * pow(100, uniform()); /* 0.1 to 10 a second */
		assert_non_null(b);
		claims += hour(b, &slot, rate, &path, 0, 3600 * 16);
		bank_free(b);
		free(b);
	}
	print_message("%u type-hours without interference: %u claims\n", type_hours, claims);
	assert_in_range(claims, 0, 1);
}

/* 30 % dropped, 50 attempts of the type, beside a control at 1 % loss: found in 95 of 100. */
static void test_power(void **state)
{
	unsigned found = 0, runs = 400;

	seed = 4711;
	for (unsigned r = 0; r < runs; r++) {
		struct drop_bank *b = calloc(1, sizeof(*b));
		uint64_t slot = BASE;
		bool hit = false;
		unsigned attempts = 0;

		assert_non_null(b);
		/* five minutes undisturbed, then 50 attempts, one every other second */
		for (unsigned i = 0; i < 300 * 16 + 50 * 32 + 16 * 6; i++, slot++) {
			bool drop = i >= 300 * 16;

			bank_advance(b, slot_ns(slot), false);
			for (unsigned t = 0; t < 3; t++) {
				struct trial x = { .time_ns = slot_ns(slot),
						   .n = 1,
						   .channel = CH_UP,
						   .stage = STAGE_LATER,
						   .thin = true };

				if (t ? uniform() > 0.3 : i % 32 != 7 || attempts == 200)
					continue;
				attempts += !t;
				x.lost = uniform() < 0.01 || (!t && drop && uniform() < 0.3);
				assert_true(bank_add(b, t, &x));
			}
			if (i % 16 == 0 && claimed(b, 0))
				hit = true;
		}
		assert_int_equal(attempts, 200); /* 150 before, 50 dropped from */
		found += hit;
		bank_free(b);
		free(b);
	}
	print_message("power at 30 %% and 50 attempts: %.1f %%\n", 100.0 * found / runs);
	assert_true(found >= runs * 95 / 100);
}

/* A loss of all types alike is nobody's. */
static void test_common_loss(void **state)
{
	struct drop_bank *b = calloc(1, sizeof(*b));
	const double rate[TYPES] = { 5, 5, 5, 5, 5 };
	struct path path = { .p = 0.3 };
	uint64_t slot = BASE;

	seed = 99;
	assert_non_null(b);
	assert_int_equal(hour(b, &slot, rate, &path, 0, 600 * 16), 0);
	bank_free(b);
	free(b);
}

/* Without control nothing is said, however much is lost. */
static void test_no_control(void **state)
{
	struct drop_bank *b = calloc(1, sizeof(*b));
	const double rate[TYPES] = { 5, 0, 0, 0, 0 };
	struct path path = { .p = 0.01 };
	uint64_t slot = BASE;

	seed = 7;
	assert_non_null(b);
	assert_int_equal(hour(b, &slot, rate, &path, 1, 600 * 16), 0);
	assert_true(bank_p0(b, 0, CH_UP) == 1);
	bank_free(b);
	free(b);
}

/*
 * Blocked from 22 to 4 o'clock, fine by day: after two days the nights stand out,
 * and what is usual stays what the days are. A type that always fails a fifth is
 * not held to less.
 */
static void test_hours(void **state)
{
	struct drop_bank *b = calloc(1, sizeof(*b));
	uint64_t start = BASE - BASE % (86400 * 16);
	uint32_t night = 1 << 22 | 1 << 23 | 1 | 1 << 1 | 1 << 2 | 1 << 3;

	seed = 12;
	assert_non_null(b);
	for (uint64_t i = 0; i < 2 * 86400; i += 6) {
		unsigned hour = i / 3600 % 24;

		bank_advance(b, slot_ns(start + i * 16), false);
		for (unsigned t = 0; t < 3; t++) {
			double p = t == 1 ? 0.2 : !t && night & 1 << hour ? 0.6 : 0.002;
			struct trial x = { .time_ns = slot_ns(start + i * 16),
					   .n = 1,
					   .lost = uniform() < p,
					   .channel = CH_UP,
					   .stage = STAGE_LATER,
					   .thin = true };

			assert_true(bank_add(b, t, &x));
		}
	}
	assert_int_equal(bank_bad_hours(b, 0, CH_UP), night);
	assert_int_equal(bank_bad_hours(b, 1, CH_UP), 0);
	assert_int_equal(bank_bad_hours(b, 9, CH_UP), 0);
	assert_true(b->series[0][CH_UP]->usual < 0.01);
	assert_true(bank_p0(b, 1, CH_UP) > 0.17);
	bank_free(b);
	free(b);
}

/* Onset, newest failure and first success after it, to the slot. */
static void test_episode_times(void **state)
{
	struct drop_bank *b = calloc(1, sizeof(*b));
	const struct episode *e;

	assert_non_null(b);
	for (uint64_t i = 0; i < 60 * 16; i++) {
		bool out = i >= 500 && i < 600;

		bank_advance(b, slot_ns(BASE + i), false);
		for (unsigned t = 0; t < 3; t++) {
			struct trial x = { .time_ns = slot_ns(BASE + i),
					   .n = 2,
					   .lost = out && !t ? 2 : 0,
					   .channel = CH_UP,
					   .stage = STAGE_LATER,
					   .thin = true };

			if (i % 3 == t)
				assert_true(bank_add(b, t, &x));
		}
	}
	e = bank_episode(b, 0, CH_UP);
	assert_non_null(e);
	assert_int_equal(e->first, BASE + 501);
	assert_int_equal(e->last, BASE + 597);
	assert_int_equal(e->after, BASE + 600);
	assert_true(e->sum.n[STAGE_LATER] == 66 && e->sum.lost[STAGE_LATER] == 66);
	/* nothing for an hour: the control is forgotten, the ring holds nothing old */
	bank_advance(b, slot_ns(BASE + 3600 * 16), false);
	assert_true(bank_p0(b, 0, CH_UP) == 1);
	bank_advance(b, slot_ns(BASE + 3600 * 16), true);
	bank_free(b);
	free(b);
}

/* That it gets through again shows without anybody else sending. */
static void test_recovery_needs_no_control(void **state)
{
	struct drop_bank *b = calloc(1, sizeof(*b));
	const struct episode *e;

	assert_non_null(b);
	for (uint64_t i = 0; i < 60 * 16; i++) {
		bank_advance(b, slot_ns(BASE + i), false);
		for (unsigned t = 0; t < 3; t++) {
			struct trial x = { .time_ns = slot_ns(BASE + i),
					   .n = 1,
					   .lost = i >= 500 && i < 600 && !t,
					   .channel = CH_OPEN,
					   .stage = STAGE_FIRST,
					   .thin = true };

			if (i % 3 == t && (!t || i < 600))
				assert_true(bank_add(b, t, &x));
		}
	}
	bank_advance(b, slot_ns(BASE + 60 * 16), true);
	e = bank_episode(b, 0, CH_OPEN);
	assert_non_null(e);
	assert_int_equal(e->after, BASE + 600);
	assert_true(e->tail_trials == 120);
	bank_free(b);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_interference), cmocka_unit_test(test_power),
		cmocka_unit_test(test_common_loss),	cmocka_unit_test(test_no_control),
		cmocka_unit_test(test_episode_times),	cmocka_unit_test(test_hours),
		cmocka_unit_test(test_recovery_needs_no_control),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
