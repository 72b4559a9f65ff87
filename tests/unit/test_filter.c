// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "screen_priv.h"

static const struct filter_fields flow = {
	.flow = true, .type = "whatsapp-media", .app = "whatsapp", .l7 = "tls",
	.client = "192.168.1.20", .server = "2001:db8::7", .hint = "media.cdn.whatsapp.net",
	.state = "open", .proto = "tcp", .cport = 50096, .sport = 443,
};

static bool match(const char *text, const struct filter_fields *x)
{
	struct filter f = { 0 };

	strcpy(f.text, text);
	filter_check(&f);
	assert_true(f.valid);
	return filter_match(&f, x);
}

static void words_and_fields(void **state)
{
	static const struct {
		const char *text;
		bool matches;
	} rows[] = {
		{ "", true },		     { "media", true },
		{ "MEDIA", true },	     { "zoom", false },
		{ "type:media", true },	     { "client:192.168", true },
		{ "client:2001:db8", false },{ "server:2001:db8::7", true },
		{ "2001:db8::7", true },     { "port:443", true },
		{ "port:50096", true },	     { "port:44", false },
		{ "!port:443", false },	     { "!zoom tcp", true },
		{ "tls !client:192.168.1.20", false },
		{ "tls proto:tcp state:open hint:cdn app:whats l7:tls", true },
		{ "  tls   media  ", true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (match(rows[i].text, &flow) != rows[i].matches)
			print_message("%s\n", rows[i].text);
		assert_int_equal(match(rows[i].text, &flow), rows[i].matches);
	}
}

static void flow_fields_leave_types_alone(void **state)
{
	struct filter_fields type = { .type = "dns" };

	assert_true(match("client:192.168.1.20", &type));
	assert_true(match("type:dns port:53", &type));
	assert_false(match("type:tls", &type));
	assert_false(match("!dns", &type));
}

static void nonsense_is_said_and_filters_nothing(void **state)
{
	static const char *const rows[] = { "foo:x", "type:", "!", "port:http", "!type:" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct filter f = { 0 };

		strcpy(f.text, rows[i]);
		filter_check(&f);
		assert_false(f.valid);
		assert_true(strlen(f.why) > 0);
		assert_true(filter_match(&f, &flow));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_fields),
		cmocka_unit_test(flow_fields_leave_types_alone),
		cmocka_unit_test(nonsense_is_said_and_filters_nothing),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
