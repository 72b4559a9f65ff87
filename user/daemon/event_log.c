// SPDX-License-Identifier: GPL-2.0-or-later
#include "event_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

#define BUFFER	 65536
#define TAIL	 65536 /* a torn line is not longer */
#define RETRY_NS 10000000000ULL

struct event_log {
	char path[PATH_MAX - 16];
	uint64_t max_size, size;
	unsigned files;
	int fd;
	char buffer[BUFFER];
	size_t len;
	unsigned lines; /* in the buffer */
	uint64_t lost, lost_now, failed_ns;
	bool failing, unsynced;
};

/* What follows the last newline was torn by a kill. */
static int cut_torn_line(int fd, uint64_t *size)
{
	char tail[TAIL];
	struct stat st;
	ssize_t n;
	off_t from;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*size = st.st_size;
	from = st.st_size > TAIL ? st.st_size - TAIL : 0;
	n = pread(fd, tail, sizeof(tail), from);
	if (n < 0)
		return -errno;
	while (n && tail[n - 1] != '\n')
		n--;
	if (from + n == st.st_size)
		return 0;
	if (ftruncate(fd, from + n))
		return -errno;
	*size = from + n;
	return 0;
}

static int open_file(const char *path, uint64_t *size)
{
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, 0640);
	int err;

	if (fd < 0)
		return -errno;
	err = cut_torn_line(fd, size);
	if (!err)
		return fd;
	close(fd);
	return err;
}

struct event_log *event_log_open(const struct event_log_config *cfg, char *why, size_t len)
{
	struct event_log *l = calloc(1, sizeof(*l));

	if (!l) {
		snprintf(why, len, "out of memory.");
		return NULL;
	}
	l->max_size = cfg->size ? cfg->size : 16 << 20;
	l->files = cfg->files ? cfg->files : 4;
	l->fd = -ENAMETOOLONG;
	if ((size_t)snprintf(l->path, sizeof(l->path), "%s", cfg->path) < sizeof(l->path))
		l->fd = open_file(l->path, &l->size);
	if (l->fd >= 0)
		return l;
	snprintf(why, len, "can't write the log %s: %s. Name another with --log, or [events] file.",
		 cfg->path, l->fd == -EINVAL ? "it is no regular file" : strerror(-l->fd));
	free(l);
	return NULL;
}

static void name_of(const struct event_log *l, unsigned n, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, n ? "%s.%u" : "%s", l->path, n);
}

/* FILE.2 -> FILE.3, FILE.1 -> FILE.2, FILE -> FILE.1: the last is overwritten. */
static bool rotate(struct event_log *l)
{
	char from[PATH_MAX], to[PATH_MAX];
	uint64_t size;
	int fd;

	if (l->files == 1) {
		if (ftruncate(l->fd, 0))
			return false;
		l->size = 0;
		return true;
	}
	for (unsigned n = l->files - 1; n; n--) {
		name_of(l, n - 1, from);
		name_of(l, n, to);
		if (rename(from, to) && errno != ENOENT)
			return false;
	}
	/* Fewer files than before are wanted: the surplus goes too. */
	for (unsigned n = l->files; name_of(l, n, to), !unlink(to); n++)
		;
	fd = open_file(l->path, &size);
	if (fd < 0)
		return false;
	fdatasync(l->fd);
	close(l->fd);
	l->fd = fd;
	l->size = size;
	return true;
}

static void failed(struct event_log *l, uint64_t mono_ns, int err)
{
	l->failed_ns = mono_ns;
	if (!l->failing)
		notice("%s: %s; logging paused, detection goes on. Free space there.", l->path,
		       strerror(err));
	l->failing = true;
}

static void drop_buffer(struct event_log *l)
{
	l->lost += l->lines;
	l->lost_now += l->lines;
	l->len = l->lines = 0;
}

static void write_out(struct event_log *l, uint64_t mono_ns)
{
	size_t done = 0;
	bool ok = true;

	if (!l->len || (l->failing && mono_ns && mono_ns - l->failed_ns < RETRY_NS))
		return;
	if (l->size && l->size + l->len > l->max_size)
		ok = rotate(l);
	while (ok && done < l->len) {
		ssize_t n = write(l->fd, l->buffer + done, l->len - done);

		if (n > 0)
			done += n;
		else if (n == 0 || errno != EINTR)
			ok = false;
	}
	if (!ok) {
		int err = errno;

		/* No half line stays; what was counted as there before is there. */
		if (done && ftruncate(l->fd, l->size))
			l->size += done;
		failed(l, mono_ns, err);
		return;
	}
	l->size += l->len;
	l->len = l->lines = 0;
	l->unsynced = true;
	if (l->failing)
		notice("%s: logging goes on; %llu events were lost.", l->path,
		       (unsigned long long)l->lost_now);
	l->failing = false;
	l->lost_now = 0;
}

void event_log_flush(struct event_log *l, uint64_t mono_ns)
{
	write_out(l, mono_ns);
	/* A device that can't take it says so at the next write. */
	if (l->unsynced && !l->failing)
		fdatasync(l->fd);
	l->unsynced = false;
}

void event_log_write(struct event_log *l, const char *line, size_t len)
{
	if (len > BUFFER) {
		l->lost++;
		return;
	}
	if (l->len + len > BUFFER)
		write_out(l, l->failing ? l->failed_ns : 0);
	/* Full, and the disk too: the newest is what people look for. */
	if (l->len + len > BUFFER)
		drop_buffer(l);
	/* A file's bound holds for what waits, too. */
	if (l->len && l->size + l->len + len > l->max_size && l->len + len > l->max_size)
		write_out(l, l->failing ? l->failed_ns : 0);
	memcpy(l->buffer + l->len, line, len);
	l->len += len;
	l->lines++;
}

uint64_t event_log_lost(const struct event_log *l)
{
	return l->lost;
}

void event_log_close(struct event_log *l)
{
	if (!l)
		return;
	event_log_flush(l, 0);
	close(l->fd);
	free(l);
}
