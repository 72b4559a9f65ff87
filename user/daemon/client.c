// SPDX-License-Identifier: GPL-2.0-or-later
#include "client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "error.h"

#define LINE_MAX_BYTES (16u << 20)
#define HELLO_MS       3000

static int open_socket(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	strcpy(at.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* Reads what is there. False: nothing more will come. */
static bool fill(struct client *c)
{
	ssize_t n;

	if (c->from) {
		memmove(c->buffer, c->buffer + c->from, c->to - c->from);
		c->to -= c->from;
		c->from = 0;
	}
	if (c->to == c->size) {
		size_t size = c->size ? 2 * c->size : 65536;
		char *more = size <= LINE_MAX_BYTES ? realloc(c->buffer, size) : NULL;

		if (!more)
			return false;
		c->buffer = more;
		c->size = size;
	}
	n = recv(c->fd, c->buffer + c->to, c->size - c->to, MSG_DONTWAIT);
	if (n > 0)
		c->to += n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static const char *take_line(struct client *c, size_t *len)
{
	char *line = c->buffer + c->from, *end;

	end = c->to > c->from ? memchr(line, '\n', c->to - c->from) : NULL;
	if (!end)
		return NULL;
	*len = end - line;
	*end = 0;
	c->from += *len + 1;
	return line;
}

const char *client_line(struct client *c, size_t *len, bool *gone)
{
	const char *line = take_line(c, len);

	*gone = false;
	if (line)
		return line;
	*gone = !fill(c);
	return take_line(c, len);
}

static void copy(char *to, size_t size, const json_t *o, const char *key)
{
	const char *v = json_string_value(json_object_get(o, key));

	snprintf(to, size, "%s", v ? v : "");
}

static bool has_iface(const json_t *list, const char *name)
{
	size_t n = strcspn(name, ":"); /* "wan0:wan" */

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *v = json_string_value(json_array_get(list, i));

		if (v && strlen(v) == n && !strncmp(v, name, n))
			return true;
	}
	return false;
}

/* Unasked a daemon is joined only where it sees what was asked for: this network's interfaces, no others. */
static bool fits(const json_t *hello, const struct options *o)
{
	const json_t *ifaces = json_object_get(hello, "interfaces");
	struct stat ns;

	if (stat("/proc/self/ns/net", &ns) ||
	    json_integer_value(json_object_get(hello, "netns")) != (json_int_t)ns.st_ino)
		return false;
	if (!o->named_ifaces)
		return true;
	if (json_array_size(ifaces) != o->nifaces)
		return false;
	for (unsigned i = 0; i < o->nifaces; i++)
		if (!has_iface(ifaces, o->iface[i]))
			return false;
	return true;
}

/* The daemon's first line. False: why is a sentence. */
static bool read_hello(struct client *c, const struct options *o, char *why, size_t size)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	const char *line = NULL;
	bool gone = false, ok;
	json_t *hello;
	size_t len = 0;

	while (!line && !gone) {
		int n = poll(&p, 1, HELLO_MS);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		line = client_line(c, &len, &gone);
	}
	hello = line ? json_loadb(line, len, 0, NULL) : NULL;
	ok = json_integer_value(json_object_get(hello, "weir")) == 1;
	snprintf(why, size, "%s", ok ? "" : "it does not answer as a weir daemon does");
	if (ok && json_object_get(hello, "error")) {
		copy(why, size, hello, "error");
		ok = false;
	}
	if (ok && !o->connect && !fits(hello, o)) {
		snprintf(why, size, "it watches something else");
		ok = false;
	}
	if (ok) {
		c->pid = json_integer_value(json_object_get(hello, "pid"));
		copy(c->version, sizeof(c->version), hello, "version");
		copy(c->history, sizeof(c->history), hello, "history");
	}
	json_decref(hello);
	return ok;
}

static bool try(struct client *c, const char *path, const struct options *o, const struct request *r,
		char *why, size_t size)
{
	char line[REQUEST_MAX];
	int fd = open_socket(path);

	if (fd < 0) {
		snprintf(why, size, "%s", strerror(-fd));
		return false;
	}
	*c = (struct client){ .fd = fd };
	snprintf(c->path, sizeof(c->path), "%s", path);
	request_write(r, line);
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line) &&
	    read_hello(c, o, why, size))
		return true;
	if (!*why)
		snprintf(why, size, "%s", strerror(errno));
	client_close(c);
	return false;
}

/* The usual place first, then every other socket beside it: a daemon for each interface. */
static bool search(struct client *c, const struct options *o, const struct request *r, char *why,
		   size_t size, unsigned *found)
{
	DIR *dir;
	struct dirent *e;
	bool ok = try(c, options_socket(o), o, r, why, size);

	*found = ok;
	dir = ok || o->socket ? NULL : opendir(SOCKET_DIR);
	while (dir && !ok && (e = readdir(dir))) {
		size_t n = strlen(e->d_name);
		char path[300], other[128] = "";

		if (n < 6 || strcmp(e->d_name + n - 5, ".sock") || !strcmp(e->d_name, "weir.sock"))
			continue;
		snprintf(path, sizeof(path), SOCKET_DIR "/%s", e->d_name);
		ok = try(c, path, o, r, other, sizeof(other));
		if (!ok && *other)
			snprintf(why, size, "%s", other);
	}
	if (dir)
		closedir(dir);
	return ok;
}

int client_join(struct client *c, const struct options *o, const struct request *r, int *code)
{
	const char *path = o->connect_path ? o->connect_path : options_socket(o);
	char why[128] = "";
	unsigned found;
	bool ok;

	*c = (struct client){ .fd = -1 };
	*code = 0;
	if (o->connect && o->own_capture) {
		*code = fail(EX_USAGE, "with --connect the daemon's own hook, rules, history and privacy hold: leave the options for them out.");
		return -1;
	}
	if (o->own_capture)
		return 0;
	ok = o->connect_path ? try(c, path, o, r, why, sizeof(why))
			     : search(c, o, r, why, sizeof(why), &found);
	if (ok)
		return 1;
	if (!o->connect)
		return 0;
	*code = fail(EX_UNAVAILABLE, "no daemon to join at %s: %s. Start one (systemctl start weir), "
		     "or see whether you are in the group weir.", path, why);
	return -1;
}

void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->buffer);
	*c = (struct client){ .fd = -1 };
}
