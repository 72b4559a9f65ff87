// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "options_table.h"

static const struct command analyze = { CMD_ANALYZE, "analyze", "FILE|-", "", NULL, 1, 1 };
static const struct command watch = { CMD_WATCH, "watch", "[IFACE...]", "", NULL, 0, 16 };

/* What goes to stderr is read back from here. */
static char said[4096];
static int real_stderr, capture_fd;

static int setup(void **state)
{
	char path[] = "/tmp/weir-test-XXXXXX";

	fflush(stderr);
	real_stderr = dup(2);
	capture_fd = mkstemp(path);
	unlink(path);
	dup2(capture_fd, 2);
	return 0;
}

static int teardown(void **state)
{
	fflush(stderr);
	dup2(real_stderr, 2);
	close(real_stderr);
	close(capture_fd);
	return 0;
}

static const char *words_said(void)
{
	ssize_t n;

	fflush(stderr);
	n = pread(capture_fd, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = 0;
	return said;
}

static int parse(struct options *o, const struct command *c, const char *line)
{
	static char copy[1024], *argv[64];
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s %s", c->name, line);
	for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
		argv[argc++] = p;
	argv[argc] = NULL;
	return options_parse(o, c, argc, argv);
}

static void defaults(void **state)
{
	struct options o;

	assert_int_equal(parse(&o, &analyze, "x.pcap"), 0);
	assert_string_equal(o.args[0], "x.pcap");
	assert_float_equal(o.interval_s, 1, 0);
	assert_int_equal(o.sensitivity, SENSITIVITY_NORMAL);
	assert_int_equal(options_events(&o) & EVENT_FLOW, 0);
	options_free(&o);
	assert_int_equal(parse(&o, &analyze, "-j -"), 0);
	assert_int_equal(options_events(&o), EVENT_ALL);
	assert_string_equal(o.args[0], "-");
	options_free(&o);
}

/* The contract's own lines, options after the argument too. */
static void contract_lines(void **state)
{
	struct options o;
	struct pipeline_config cfg = { 0 };

	assert_int_equal(parse(&o, &analyze,
			       "x.pcap --json --events finding,rst --local-net "
			       "10.0.0.0/8,fd00::/8 --max-flows 1000 --sensitivity high -d 0.5 -n 3"),
			 0);
	assert_true(o.json);
	assert_int_equal(options_events(&o), EVENT_FINDING | EVENT_RST);
	options_pipeline(&o, &cfg);
	assert_int_equal(cfg.nlocal, 2);
	assert_int_equal(cfg.local[0].prefix, 104);
	assert_int_equal(cfg.local[0].ip.s6_addr[12], 10);
	assert_int_equal(cfg.local[1].prefix, 8);
	assert_int_equal(cfg.max_flows, 1000);
	assert_int_equal(cfg.sensitivity, SENSITIVITY_HIGH);
	assert_float_equal(cfg.interval_s, 0.5, 0);
	assert_int_equal(o.count, 3);
	options_free(&o);

	assert_int_equal(parse(&o, &watch, "wan0 -i ppp0 --interface wan0 --hook tc"), 0);
	assert_int_equal(o.nifaces, 2);
	assert_string_equal(o.iface[0], "ppp0");
	assert_string_equal(o.iface[1], "wan0");
	assert_int_equal(o.hook, HOOK_TC);
	options_free(&o);
}

static void refusals_say_what_to_do(void **state)
{
	static const struct {
		const char *line, *says;
	} rows[] = {
		{ "--sensitivty low x", "weir: weir analyze has no option --sensitivty. Did you mean "
					"--sensitivity?" },
		{ "--print x", "has no option --print" },
		{ "-Z x", "has no option -Z" },
		{ "x --max-flows", "--max-flows needs a value" },
		{ "x --max-flows 0", "it must be from 1 to 16777216" },
		{ "x --max-flows 1.5", "not a whole number" },
		{ "x --max-flows 12x", "not a number" },
		{ "x -n nan", "not a number" },
		{ "x --sensitivity x", "it may be low, normal, high" },
		{ "x --events rst,foo", "it may be flow, rst, finding, stats, tool" },
		{ "x --local-net 300.1.1.1/8", "300.1.1.1/8 is no network" },
		{ "x --local-net 10.0.0.0/33", "the prefix length must be from 0 to 32" },
		{ "x --local-net fd00::/129", "the prefix length must be from 0 to 128" },
		{ "", "weir analyze needs an argument: weir analyze FILE|-" },
		{ "x y", "can't use \"y\": too many arguments" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct options o;

		assert_int_equal(ftruncate(capture_fd, 0), 0);
		lseek(capture_fd, 0, SEEK_SET);
		assert_int_equal(parse(&o, &analyze, rows[i].line), EX_USAGE);
		options_free(&o);
		if (!strstr(words_said(), rows[i].says))
			print_message("%s: %s\n", rows[i].line, said);
		assert_non_null(strstr(said, rows[i].says));
	}
}

static void control_bytes_never_reach_the_terminal(void **state)
{
	struct options o;

	assert_int_equal(parse(&o, &analyze, "x --sensitivity \x1b[2Jlow"), EX_USAGE);
	options_free(&o);
	assert_null(strchr(words_said(), '\x1b'));
}

static int with_config(struct options *o, const char *text, const char *flags)
{
	char path[] = "/tmp/weir-conf-XXXXXX", line[128];
	int fd = mkstemp(path), code;

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	snprintf(line, sizeof(line), "-c %s %s", path, flags);
	code = parse(o, &watch, line);
	unlink(path);
	return code;
}

static void flags_override_the_file(void **state)
{
	struct options o;
	const char *conf = "[capture]\ninterfaces = wan0 wan1\nhook = tc\nmax_flows =\n"
			   "[detect]\nsensitivity = low ; quiet\n";

	assert_int_equal(with_config(&o, conf, "--hook xdp"), 0);
	assert_int_equal(o.nifaces, 2);
	assert_int_equal(o.hook, HOOK_XDP);
	assert_int_equal(o.sensitivity, SENSITIVITY_LOW);
	assert_int_equal(o.max_flows, 0);
	options_free(&o);
	assert_int_equal(with_config(&o, conf, "ppp0"), 0);
	assert_int_equal(o.nifaces, 1);
	assert_string_equal(o.iface[0], "ppp0");
	options_free(&o);
}

static void bad_configuration_names_line_and_nearest_key(void **state)
{
	static const struct {
		const char *conf, *says;
	} rows[] = {
		{ "[capture]\n\nmax_flow = 1\n",
		  ":3: unknown key \"max_flow\" in [capture]. Did you mean \"max_flows\"?" },
		{ "[captur]\nhook = tc\n", ":2: unknown section [captur]. Did you mean [capture]?" },
		{ "[events]\nmax_sise = 1MiB\n", ":2: unknown key \"max_sise\" in [events]. Did you mean \"max_size\"?" },
		{ "[events]\nmax_size = 1 parsec\n", ":2: can't use max_size = 1 parsec: no size like 64KiB" },
		{ "[events]\nmax_size = 12\n", "it must be from 4KiB" },
		{ "[events]\nmax_files = 0\n", "it must be from 1 to 1000" },
		{ "[metrics]\nlisten = 9988\n", "it is an address and a port: 127.0.0.1:9988" },
		{ "[metrics]\nlisten = localhost:9988\n", "it is an address and a port" },
		{ "[metrics]\nlisten = [::1]:99999\n", "it must be from 1 to 65535" },
		{ "[detect]\ndisable = rate:quic\n", "it may be rate_limit, rst_injection" },
		{ "[detect]\ndisable = rate_limit:\n", "it names no type" },
		{ "[evidence]\nmode = some\n", "it may be findings, off, all-suspect" },
		{ "[detect]\nsensitivity = loud\n", ":2: can't use sensitivity = loud: it may be" },
		{ "[capture]\nnonsense\n", ":2: neither a [section] nor a key = value" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct options o;

		assert_int_equal(ftruncate(capture_fd, 0), 0);
		lseek(capture_fd, 0, SEEK_SET);
		assert_int_equal(with_config(&o, rows[i].conf, ""), EX_CONFIG);
		options_free(&o);
		if (!strstr(words_said(), rows[i].says))
			print_message("%s\n", said);
		assert_non_null(strstr(said, rows[i].says));
	}
	struct options o;

	assert_int_equal(parse(&o, &watch, "-c /nonexistent/weir.conf"), EX_NOINPUT);
	options_free(&o);
}

static void the_daemons_keys(void **state)
{
	struct options o;
	struct pipeline_config cfg = { 0 };

	assert_int_equal(with_config(&o, "[events]\nfile = /tmp/e\nmax_size = 64KiB\nmax_files = 7\n"
				     "[metrics]\ntextfile = /tmp/p\nlisten = [::1]:9988\n"
				     "[detect]\ndisable = bittorrent rate_limit:quic\nmin_flows = 5\n"
				     "[evidence]\nmax_total = 1GB\nsnaplen = 200\n[daemon]\nsocket = /tmp/s\n", ""),
			 0);
	assert_string_equal(o.log, "/tmp/e");
	assert_int_equal(o.log_size, 65536);
	assert_int_equal(o.log_files, 7);
	assert_string_equal(o.textfile, "/tmp/p");
	assert_string_equal(o.listen, "[::1]:9988");
	assert_int_equal(o.evidence_total, 1000000000);
	assert_string_equal(options_socket(&o), "/tmp/s");
	options_pipeline(&o, &cfg);
	assert_int_equal(cfg.ndisabled, 2);
	assert_string_equal(cfg.disabled[1], "rate_limit:quic");
	assert_int_equal(cfg.min_flows, 5);
	assert_false(o.own_capture || o.named_ifaces);
	options_free(&o);
}

static void who_joins_a_daemon(void **state)
{
	struct options o;

	assert_int_equal(parse(&o, &watch, "--connect /tmp/x.sock"), 0);
	assert_true(o.connect && !o.named_ifaces);
	assert_string_equal(o.connect_path, "/tmp/x.sock");
	options_free(&o);
	assert_int_equal(parse(&o, &watch, "--connect=/tmp/y.sock wan0"), 0);
	assert_true(o.connect && o.named_ifaces && !o.own_capture);
	assert_string_equal(o.connect_path, "/tmp/y.sock");
	options_free(&o);
	assert_int_equal(parse(&o, &watch, "--hook tc"), 0);
	assert_true(o.own_capture && !o.connect);
	options_free(&o);
	assert_int_equal(parse(&o, &watch, "/tmp/x.sock"), EX_USAGE);
	options_free(&o);
}

/* What --print writes is a configuration that means the same. */
static void printed_configuration_reads_back(void **state)
{
	struct options o, again;
	char *text = NULL, *text2 = NULL;
	size_t len, len2;
	FILE *f;

	assert_int_equal(parse(&o, &watch,
			       "wan0 --hook tcx --local-net 192.168.0.0/16,fd00::/8 "
			       "--events rst,tool -d 2.5 --sensitivity high --max-flows 77"),
			 0);
	f = open_memstream(&text, &len);
	options_print(f, &o);
	fclose(f);
	assert_int_equal(with_config(&again, text, ""), 0);
	f = open_memstream(&text2, &len2);
	options_print(f, &again);
	fclose(f);
	assert_string_equal(text, text2);
	assert_non_null(strstr(text, "local_net = 192.168.0.0/16 fd00::/8"));
	free(text);
	free(text2);
	options_free(&o);
	options_free(&again);
}

static void letters_and_names_are_unique(void **state)
{
	for (const struct option_row *a = option_table; a->name; a++)
		for (const struct option_row *b = a + 1; b->name; b++) {
			assert_string_not_equal(a->name, b->name);
			assert_false(a->letter && a->letter == b->letter);
		}
	assert_true(options_count() < 63);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(defaults),
		T(contract_lines),
		T(refusals_say_what_to_do),
		T(control_bytes_never_reach_the_terminal),
		T(flags_override_the_file),
		T(the_daemons_keys),
		T(who_joins_a_daemon),
		T(bad_configuration_names_line_and_nearest_key),
		T(printed_configuration_reads_back),
		T(letters_and_names_are_unique),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
