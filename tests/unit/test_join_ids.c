// SPDX-License-Identifier: GPL-2.0-or-later
/* The verdicts of flows that keep their name, held to a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "join_ids.h"
#include "random.h"

#define IDS 3000

static void against_an_array(void **state)
{
	static int kept[IDS];
	struct join_ids t;
	size_t n = 0;

	for (unsigned i = 0; i < IDS; i++)
		kept[i] = -1;
	assert_true(join_ids_init(&t, 2000, 12345));
	for (unsigned step = 0; step < 200000; step++) {
		unsigned i = (unsigned)(uniform() * IDS), flags = (unsigned)(uniform() * 4);
		uint64_t id = i * 0xfedcba9876543210ull; /* all bits of an id count */

		assert_int_equal(join_ids_get(&t, id), kept[i]);
		/* by turns it fills and empties */
		if (kept[i] >= 0 && uniform() < (step / 20000 % 2 ? .9 : .2)) {
			join_ids_del(&t, id);
			kept[i] = -1;
			n--;
		} else if (kept[i] < 0) {
			assert_int_equal(join_ids_add(&t, id, flags), n < 2000);
			if (n < 2000) {
				kept[i] = (int)flags;
				n++;
			}
		}
		assert_int_equal(t.n, n);
	}
	for (unsigned i = 0; i < IDS; i++) {
		assert_int_equal(join_ids_get(&t, i * 0xfedcba9876543210ull), kept[i]);
		join_ids_del(&t, i * 0xfedcba9876543210ull); /* there or not */
	}
	assert_int_equal(t.n, 0);
	join_ids_free(&t);
}

static void wide_ids(void **state)
{
	const uint64_t most = UINT64_MAX;
	struct join_ids t;

	assert_true(join_ids_init(&t, 8, 1));
	assert_true(join_ids_add(&t, most, 3));
	assert_true(join_ids_add(&t, 0, 0));
	assert_int_equal(join_ids_get(&t, most), 3);
	assert_int_equal(join_ids_get(&t, 0), 0);
	assert_int_equal(join_ids_get(&t, 1), -1);
	join_ids_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_an_array),
		cmocka_unit_test(wide_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
