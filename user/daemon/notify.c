// SPDX-License-Identifier: GPL-2.0-or-later
#include "notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int connect_to(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	const struct timeval patience = { .tv_usec = 500000 };
	int fd;

	if ((*path != '/' && *path != '@') || len < 2 || len >= sizeof(to.sun_path))
		return -1;
	memcpy(to.sun_path, path, len);
	if (*path == '@')
		to.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* The loop must not hang on a manager that does not read. */
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	/* An abstract name has no closing zero: it would be part of it. */
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to,
			       offsetof(struct sockaddr_un, sun_path) + len + (*path == '/'))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static uint64_t number(const char *text)
{
	char *end;
	unsigned long long v;

	if (!text || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	v = strtoull(text, &end, 10);
	return *end || errno ? 0 : v;
}

void notify_open(struct notify *n)
{
	const char *path = getenv("NOTIFY_SOCKET"), *pid = getenv("WATCHDOG_PID");
	uint64_t usec = number(getenv("WATCHDOG_USEC"));

	*n = (struct notify){ .fd = path ? connect_to(path) : -1 };
	if (usec && usec < UINT64_MAX / 1000 && (!pid || number(pid) == (uint64_t)getpid()))
		n->watchdog_ns = usec * 1000 / 2;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_send(const struct notify *n, const char *format, ...)
{
	char text[512];
	va_list args;
	int len;

	if (n->fd < 0)
		return;
	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len < 0)
		return;
	if ((size_t)len >= sizeof(text))
		len = sizeof(text) - 1;
	/* It waits half a second for a manager that is busy, see connect_to(). */
	send(n->fd, text, len, MSG_NOSIGNAL);
}

void notify_reloading(const struct notify *n)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	notify_send(n, "RELOADING=1\nMONOTONIC_USEC=%llu",
		    t.tv_sec * 1000000ull + t.tv_nsec / 1000);
}

void notify_alive(struct notify *n, uint64_t mono_ns)
{
	if (!n->watchdog_ns || (n->pinged_ns && mono_ns - n->pinged_ns < n->watchdog_ns))
		return;
	n->pinged_ns = mono_ns;
	notify_send(n, "WATCHDOG=1");
}

void notify_close(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}
