// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics.h"

static bool write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= n;
	}
	return true;
}

static bool replace(const char *path, const struct jbuf *b)
{
	char beside[PATH_MAX];
	bool ok;
	int fd, err;

	/* No .prom at its end: the collector does not look at it. */
	if (snprintf(beside, sizeof(beside), "%s.tmp", path) >= (int)sizeof(beside)) {
		errno = ENAMETOOLONG;
		return false;
	}
	unlink(beside);
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return false;
	/* Whoever runs node_exporter is not of our group. */
	ok = !fchmod(fd, 0644) && write_all(fd, b->text, b->len) && !fsync(fd);
	err = errno;
	if (close(fd) && ok) {
		ok = false;
		err = errno;
	}
	if (ok && rename(beside, path)) {
		ok = false;
		err = errno;
	}
	if (!ok)
		unlink(beside);
	errno = err;
	return ok;
}

bool metrics_textfile(struct metrics *mx, const char *path, char *why, size_t len)
{
	struct jbuf b = { 0 };
	bool ok;

	metrics_render(mx, METRICS_TEXT, &b);
	errno = ENOMEM;
	ok = !b.failed && replace(path, &b);
	if (!ok)
		snprintf(why, len, "can't write the metrics to %s: %s.", path, strerror(errno));
	jbuf_free(&b);
	return ok;
}
