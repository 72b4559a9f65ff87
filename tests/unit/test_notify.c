// SPDX-License-Identifier: GPL-2.0-or-later
/* What the service manager hears: paths, abstract names, the watchdog's pace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "notify.h"

/* A manager's socket; name as in $NOTIFY_SOCKET. */
static int manager(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	strcpy(at.sun_path, name);
	if (*name == '@')
		at.sun_path[0] = 0;
	else
		unlink(name);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, offsetof(struct sockaddr_un, sun_path) + strlen(name)), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static const char *heard(int fd)
{
	static char text[1024];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = 0;
	return text;
}

static void says_what_it_does(const char *name)
{
	int fd = manager(name);
	unsigned long long usec;
	struct notify n;

	notify_open(&n);
	assert_true(n.fd >= 0);
	assert_null(getenv("NOTIFY_SOCKET"));
	notify_send(&n, "READY=1\nSTATUS=%s", "watching");
	assert_string_equal(heard(fd), "READY=1\nSTATUS=watching");
	notify_reloading(&n);
	assert_int_equal(sscanf(heard(fd), "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
	assert_true(usec > 0);
	close(fd);
	notify_send(&n, "STOPPING=1"); /* nobody listens any more */
	notify_close(&n);
}

static void by_path_and_abstract(void **state)
{
	char name[64];

	snprintf(name, sizeof(name), "/tmp/weir-notify-%d", (int)getpid());
	says_what_it_does(name);
	unlink(name);
	snprintf(name, sizeof(name), "@weir-notify-%d", (int)getpid());
	says_what_it_does(name);
}

static void nobody_wants_to_know(void **state)
{
	static char long_name[200];
	const char *names[] = { "", "/", "@", "relative", "vsock:2:1", "/tmp/none/such", long_name };
	struct notify n;

	memset(long_name, '/', sizeof(long_name) - 1);
	unsetenv("NOTIFY_SOCKET");
	notify_open(&n);
	assert_int_equal(n.fd, -1);
	notify_send(&n, "READY=1");
	notify_alive(&n, 1);
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		notify_open(&n);
		assert_int_equal(n.fd, -1);
	}
}

static void signs_of_life_at_half_the_time(void **state)
{
	char name[64], pid[16];
	struct notify n;
	int fd;

	snprintf(name, sizeof(name), "@weir-watchdog-%d", (int)getpid());
	fd = manager(name);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	notify_open(&n);
	assert_int_equal(n.watchdog_ns, 15000000000ULL);
	notify_alive(&n, 1000);
	assert_string_equal(heard(fd), "WATCHDOG=1");
	notify_alive(&n, 1000 + 14999999999ULL);
	assert_string_equal(heard(fd), "");
	notify_alive(&n, 1000 + 15000000000ULL);
	assert_string_equal(heard(fd), "WATCHDOG=1");
	notify_close(&n);
	close(fd);
}

static void watchdog_of_another_or_none(void **state)
{
	const char *bad[] = { "", "0", "-5", "12x", "99999999999999999999999" };
	struct notify n;

	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	notify_open(&n);
	assert_int_equal(n.watchdog_ns, 0);
	assert_null(getenv("WATCHDOG_PID"));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		setenv("WATCHDOG_USEC", bad[i], 1);
		notify_open(&n);
		assert_int_equal(n.watchdog_ns, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_path_and_abstract), cmocka_unit_test(nobody_wants_to_know),
		cmocka_unit_test(signs_of_life_at_half_the_time), cmocka_unit_test(watchdog_of_another_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
