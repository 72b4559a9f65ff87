// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "findings.h"

static struct {
	unsigned n;
	enum finding_action action[64];
	uint32_t id[64];
	struct finding last;
} told;

static void note(void *arg, const struct finding *f, enum finding_action action)
{
	assert_ptr_equal(arg, &told);
	assert_true(told.n < 64);
	told.action[told.n] = action;
	told.id[told.n++] = f->id;
	told.last = *f;
}

static struct finding make(uint64_t key, enum level level)
{
	struct finding f = { .key = key, .level = level, .confidence = 0.5, .type = -1 };

	fact_num(&f.reasons, "ttl_jump", 63);
	fact_text(&f.ruled_out, "congestion", "rtt_rise_ms %d", 1);
	return f;
}

static int setup(void **state)
{
	memset(&told, 0, sizeof(told));
	*state = findings_new(4, note, &told);
	return !*state;
}

static int teardown(void **state)
{
	findings_free(*state);
	return 0;
}

static void opens_updates_closes_under_one_id(void **state)
{
	struct finding f = make(7, LEVEL_POSSIBLE);

	assert_int_equal(findings_report(*state, &f), 1);
	f.flows = 3;
	assert_int_equal(findings_report(*state, &f), 1);
	assert_int_equal(told.n, 1); /* an update waits for the flush */
	findings_flush(*state);
	assert_int_equal(told.n, 2);
	assert_int_equal(told.last.flows, 3);
	findings_flush(*state);
	assert_int_equal(told.n, 2);
	assert_true(findings_close(*state, 7, 99));
	assert_false(findings_close(*state, 7, 99));
	assert_int_equal(told.n, 3);
	assert_int_equal(told.action[0], FINDING_OPEN);
	assert_int_equal(told.action[1], FINDING_UPDATE);
	assert_int_equal(told.action[2], FINDING_CLOSE);
	assert_int_equal(told.last.end_ns, 99);
	assert_true(told.last.closed);
}

static void level_never_falls(void **state)
{
	struct finding f = make(7, LEVEL_POSSIBLE);

	findings_report(*state, &f);
	f.level = LEVEL_LIKELY;
	f.confidence = 0.9;
	findings_report(*state, &f);
	assert_int_equal(told.n, 2); /* a rise is told at once */
	f.level = LEVEL_POSSIBLE;
	f.confidence = 0.2;
	findings_report(*state, &f);
	assert_int_equal(findings_by_key(*state, 7)->level, LEVEL_LIKELY);
	assert_float_equal(findings_by_key(*state, 7)->confidence, 0.9, 1e-9);
}

static void refuses_a_verdict_without_both(void **state)
{
	struct finding f = make(1, LEVEL_LIKELY);

	f.ruled_out.n = 0;
	assert_int_equal(findings_report(*state, &f), -1);
	f = make(1, LEVEL_LIKELY);
	f.reasons.n = 0;
	assert_int_equal(findings_report(*state, &f), -1);
	assert_int_equal(findings_count(*state), 0);
	assert_int_equal(findings_refused(*state), 2);
	assert_int_equal(told.n, 0);
}

static void a_remark_is_no_reason_of_its_own(void **state)
{
	struct finding f = make(1, LEVEL_LIKELY), bare = make(2, LEVEL_LIKELY);

	findings_remark(*state, "clients are not known");
	assert_int_equal(findings_report(*state, &f), 1);
	assert_int_equal(told.last.reasons.n, 2);
	assert_string_equal(told.last.reasons.fact[1].name, "clients_hidden");
	assert_string_equal(told.last.reasons.fact[1].text, "clients are not known");
	bare.reasons.n = 0;
	assert_int_equal(findings_report(*state, &bare), -1);
}

/* What rests on losses is no claim while this host drops packets of nobody knows whom; what is forged is. */
static void own_drops_of_unknown_flows_deny_a_claim(void **state)
{
	const enum kind lossy[] = { KIND_RATE_LIMIT, KIND_SELECTIVE_DROP };
	struct finding f;

	for (unsigned i = 0; i < 2; i++) {
		f = make(1 + i, LEVEL_LIKELY);
		f.kind = lossy[i];
		f.start_ns = 5000;
		f.confidence = .99;
		findings_own_drops(*state, 5000);
		findings_report(*state, &f);
		assert_int_equal(told.last.level, LEVEL_POSSIBLE);
		assert_true(told.last.confidence < .7);
		assert_true(told.last.degraded);
		assert_string_equal(told.last.reasons.fact[1].name, "own_drops");
		f.start_ns = 5001; /* after the last of them */
		findings_report(*state, &f);
		assert_int_equal(told.last.level, LEVEL_LIKELY);
		assert_int_equal(told.last.reasons.n, 1);
	}
	f = make(3, LEVEL_LIKELY);
	f.kind = KIND_RST_INJECTION;
	findings_own_drops(*state, UINT64_MAX);
	findings_report(*state, &f);
	assert_int_equal(told.last.level, LEVEL_LIKELY);
}

static void is_bounded_and_forgets_closed_ones_first(void **state)
{
	struct finding f;

	for (uint64_t key = 1; key <= 4; key++) {
		f = make(key, LEVEL_POSSIBLE);
		assert_int_equal(findings_report(*state, &f), key);
	}
	f = make(5, LEVEL_POSSIBLE);
	assert_int_equal(findings_report(*state, &f), -1);
	assert_int_equal(findings_refused(*state), 1);
	findings_close(*state, 2, 50);
	assert_int_equal(findings_report(*state, &f), 5);
	assert_int_equal(findings_count(*state), 4);
	assert_null(findings_by_key(*state, 2));
	/* the others are still found under their keys, oldest first */
	assert_int_equal(findings_by_key(*state, 1)->id, 1);
	assert_int_equal(findings_by_key(*state, 3)->id, 3);
	assert_int_equal(findings_by_key(*state, 4)->id, 4);
	assert_int_equal(findings_by_key(*state, 5)->id, 5);
	assert_int_equal(findings_at(*state, 0)->id, 1);
	assert_int_equal(findings_at(*state, 3)->id, 5);
	assert_null(findings_at(*state, 4));
}

static void a_closed_key_comes_back_as_another(void **state)
{
	struct finding f = make(7, LEVEL_LIKELY);

	assert_int_equal(findings_report(*state, &f), 1);
	findings_close(*state, 7, 10);
	f.closed = true; /* its last word */
	assert_int_equal(findings_report(*state, &f), 1);
	f = make(7, LEVEL_POSSIBLE);
	assert_int_equal(findings_report(*state, &f), 2);
	assert_int_equal(findings_by_key(*state, 7)->id, 2);
	assert_int_equal(findings_by_key(*state, 7)->level, LEVEL_POSSIBLE);
	assert_int_equal(findings_count(*state), 2);
}

static void finish_closes_what_is_open_once(void **state)
{
	struct finding f = make(1, LEVEL_LIKELY);

	findings_report(*state, &f);
	f = make(2, LEVEL_LIKELY);
	f.closed = true;
	f.end_ns = 5;
	findings_report(*state, &f);
	assert_int_equal(told.n, 3); /* open 1, open 2, close 2 */
	findings_finish(*state);
	assert_int_equal(told.n, 4);
	assert_int_equal(told.id[3], 1);
	assert_int_equal(told.action[3], FINDING_CLOSE);
	assert_int_equal(told.last.end_ns, 0);
	findings_finish(*state);
	assert_int_equal(told.n, 4);
}

static void facts_are_cut_and_bounded(void **state)
{
	struct facts s = { 0 };
	char longer[200];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	assert_true(fact_text(&s, longer, "%s", longer));
	assert_int_equal(strlen(s.fact[0].name), 31);
	assert_int_equal(strlen(s.fact[0].text), 95);
	for (int i = 1; i < FINDING_REASONS; i++)
		assert_true(fact_vs(&s, "a", i, 2));
	assert_false(fact_num(&s, "a", 1));
	assert_false(fact_text(&s, "a", "b"));
	assert_int_equal(s.n, FINDING_REASONS);
}

static void flows_are_counted_once_among_the_kept(void **state)
{
	struct finding f = { 0 };
	struct flow flow = { .id = 1 };

	finding_add_flow(&f, &flow);
	finding_add_flow(&f, &flow);
	assert_int_equal(f.flows, 1);
	for (flow.id = 2; flow.id <= 100; flow.id++)
		finding_add_flow(&f, &flow);
	assert_int_equal(f.flows, 100);
	assert_int_equal(f.flow_id[63], 64);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(opens_updates_closes_under_one_id),
		T(level_never_falls),
		T(refuses_a_verdict_without_both),
		T(a_remark_is_no_reason_of_its_own),
		T(own_drops_of_unknown_flows_deny_a_claim),
		T(is_bounded_and_forgets_closed_ones_first),
		T(a_closed_key_comes_back_as_another),
		T(finish_closes_what_is_open_once),
		T(facts_are_cut_and_bounded),
		T(flows_are_counted_once_among_the_kept),
	};

	return cmocka_run_group_tests_name("findings", tests, NULL, NULL);
}
