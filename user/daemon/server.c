// SPDX-License-Identifier: GPL-2.0-or-later
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "jbuf.h"
#include "outlet.h"
#include "request.h"
#include "snapshot.h"

#define WAIT_NS	   10000000000ULL /* for the request */
#define STUCK_NS   30000000000ULL /* without taking a byte, while some wait */
#define KEEP_QUEUE 65536
#define IFACES	   16

enum state { FREE, ASKING, EVENTS, SCREEN, LEAVING };

struct client {
	enum state state;
	int fd;
	char line[REQUEST_MAX];
	size_t nline;
	struct outlet outlet;
	char *queue;
	size_t from, to, size;
	uint64_t since_ns; /* asking, or stuck, since then; 0: neither */
	bool pollout;	   /* the kernel tells when there is room */
	bool doomed;	   /* its queue overflowed, or it can't be written to */
};

struct attached {
	char iface[32], hook[32];
};

struct server {
	struct sockaddr_un at;
	char lock_path[PATH_MAX];
	int lock, listener, epoll;
	struct client client[SERVER_CLIENTS];
	struct server_stats stats;
	struct server_about about;
	struct privacy privacy;
	char *ifaces[IFACES], *history;
	struct attached attached[IFACES]; /* "" free */
	const struct model *model;
	const struct findings *findings;
	struct jbuf head, snapshot;
	uint64_t now_ns;	/* of the loop */
};

/* ---- what waits for a client ---- */

static void drop_client(struct client *c)
{
	outlet_close(&c->outlet);
	close(c->fd);
	free(c->queue);
	memset(c, 0, sizeof(*c));
}

static void send_waiting(struct server *s, struct client *c)
{
	struct epoll_event ev = { .data.ptr = c };

	while (c->from < c->to) {
		ssize_t n = send(c->fd, c->queue + c->from, c->to - c->from,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n <= 0) {
			if (n < 0 && errno == EINTR)
				continue;
			c->doomed |= n < 0 && errno != EAGAIN && errno != EWOULDBLOCK;
			break;
		}
		c->from += n;
		c->since_ns = 0;
	}
	if (c->from == c->to) {
		c->from = c->to = 0;
		if (c->size > KEEP_QUEUE) {
			free(c->queue);
			c->queue = NULL;
			c->size = 0;
		}
	} else if (!c->since_ns) {
		c->since_ns = s->now_ns;
	}
	if (c->pollout != (c->from < c->to)) {
		c->pollout = c->from < c->to;
		ev.events = EPOLLRDHUP | (c->pollout ? EPOLLOUT : 0) |
			    (c->state == ASKING ? EPOLLIN : 0);
		epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &ev);
	}
}

/* Behind what waits already. Too much of it: the client does not read, and is cut off. */
static void enqueue(void *arg, const char *text, size_t len)
{
	struct client *c = arg;
	size_t waiting = c->to - c->from, size;
	char *more;

	if (c->doomed)
		return;
	if (waiting + len > SERVER_QUEUE) {
		c->doomed = true;
		return;
	}
	if (c->from && c->to + len > c->size) {
		memmove(c->queue, c->queue + c->from, waiting);
		c->from = 0;
		c->to = waiting;
	}
	if (c->to + len > c->size) {
		size = c->size ? c->size : 4096;
		while (size < c->to + len)
			size *= 2;
		more = realloc(c->queue, size);
		if (!more) {
			c->doomed = true;
			return;
		}
		c->queue = more;
		c->size = size;
	}
	memcpy(c->queue + c->to, text, len);
	c->to += len;
}

static void say_hello(struct server *s, struct client *c)
{
	struct jbuf b = { 0 };
	struct stat ns;

	jb_open(&b, NULL, '{');
	jb_u64(&b, "weir", 1);
	jb_str(&b, "version", WEIR_VERSION);
	jb_u64(&b, "pid", getpid());
	if (!stat("/proc/self/ns/net", &ns))
		jb_u64(&b, "netns", ns.st_ino);
	jb_open(&b, "interfaces", '[');
	for (unsigned i = 0; i < s->about.nifaces; i++)
		jb_str(&b, NULL, s->ifaces[i]);
	jb_close(&b, ']');
	jb_str(&b, "history", s->history);
	jb_close(&b, '}');
	jb_raw(&b, "\n", 1);
	if (!b.failed)
		enqueue(c, b.text, b.len);
	jbuf_free(&b);
}

static void refuse(struct server *s, struct client *c, const char *why)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "{\"weir\":1,\"error\":\"%s\"}\n", why);

	s->stats.refused++;
	enqueue(c, text, n);
	c->state = LEAVING;
	send_waiting(s, c);
}

/* Where things stand: interfaces in use, and the findings that are open. */
static void tell_so_far(struct server *s, struct client *c)
{
	uint64_t now = s->model ? model_now(s->model) : 0;

	if (!s->model)
		return;
	outlet_skip(&c->outlet, s->model, now);
	for (unsigned i = 0; i < IFACES; i++)
		if (*s->attached[i].iface)
			outlet_sink.tool(&c->outlet, &(struct tool_event){
				.time_ns = now, .action = TOOL_ATTACH,
				.iface = s->attached[i].iface, .hook = s->attached[i].hook });
	for (unsigned i = 0; i < findings_count(s->findings); i++) {
		const struct finding *f = findings_at(s->findings, i);

		if (!f->closed)
			outlet_sink.finding(&c->outlet, s->model, f, FINDING_UPDATE, now);
	}
}

static void serve_request(struct server *s, struct client *c, size_t len)
{
	struct options how = { 0 };
	struct request r;

	if (!request_parse(c->line, len, &r)) {
		refuse(s, c, "no such request");
		return;
	}
	s->stats.served++;
	c->since_ns = 0;
	say_hello(s, c);
	switch (r.what) {
	case REQUEST_HELLO:
		c->state = LEAVING;
		break;
	case REQUEST_SCREEN:
		c->state = SCREEN;
		break;
	case REQUEST_EVENTS:
		how.json = r.json;
		how.bytes = r.bytes;
		how.events = r.events;
		how.interval_s = r.interval_s;
		how.privacy = s->privacy;
		if (!outlet_open(&c->outlet, &how, enqueue, c)) {
			c->doomed = true;
			return;
		}
		c->state = EVENTS;
		tell_so_far(s, c);
		break;
	}
	c->pollout = true; /* send_waiting() sets what to wait for anew: no more input */
	send_waiting(s, c);
	if (c->pollout) {
		c->pollout = false;
		send_waiting(s, c);
	}
}

static void read_request(struct server *s, struct client *c)
{
	ssize_t n = read(c->fd, c->line + c->nline, sizeof(c->line) - c->nline);
	char *end;

	if (n <= 0) {
		c->doomed |= n == 0 || (errno != EAGAIN && errno != EINTR);
		return;
	}
	c->nline += n;
	end = memchr(c->line, '\n', c->nline);
	if (end)
		serve_request(s, c, end - c->line);
	else if (c->nline == sizeof(c->line))
		refuse(s, c, "request too long");
}

/* Room for one more: a free place, or that of one who left meanwhile. NULL: full. */
static struct client *free_place(struct server *s)
{
	struct client *end = s->client + SERVER_CLIENTS;
	char byte;

	for (struct client *c = s->client; c < end; c++)
		if (c->state == FREE)
			return c;
	for (struct client *c = s->client; c < end; c++)
		if (!recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT)) {
			drop_client(c);
			return c;
		}
	return NULL;
}

static void accept_clients(struct server *s)
{
	struct client *c;
	int fd;

	while ((fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP };

		c = free_place(s);
		if (!c) {
			static const char full[] = "{\"weir\":1,\"error\":\"too many clients\"}\n";

			s->stats.refused++;
			send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
			close(fd);
			continue;
		}
		*c = (struct client){ .state = ASKING, .fd = fd, .since_ns = s->now_ns };
		ev.data.ptr = c;
		if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev)) {
			close(fd);
			c->state = FREE;
		}
	}
}

void server_serve(struct server *s, uint64_t mono_ns)
{
	struct epoll_event ev[SERVER_CLIENTS + 1];
	int n = epoll_wait(s->epoll, ev, SERVER_CLIENTS + 1, 0);
	bool knock = false;

	s->now_ns = mono_ns;
	for (int i = 0; i < n; i++) {
		struct client *c = ev[i].data.ptr;

		if (!c)
			knock = true;
		else if (c->state == ASKING && ev[i].events & EPOLLIN)
			read_request(s, c);
		else if (ev[i].events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
			c->doomed = true;
	}
	for (struct client *c = s->client; c < s->client + SERVER_CLIENTS; c++) {
		bool hung;

		if (c->state == FREE)
			continue;
		if (c->to > c->from && !c->doomed)
			send_waiting(s, c);
		hung = c->since_ns && mono_ns - c->since_ns > (c->state == ASKING ? WAIT_NS : STUCK_NS);
		/* Cut off with something waiting: it did not read. */
		if (hung || c->doomed)
			s->stats.cut += hung || c->to - c->from > SERVER_QUEUE / 2;
		if (hung || c->doomed || (c->state == LEAVING && c->from == c->to))
			drop_client(c);
	}
	/* Once those that left have made room. */
	if (knock)
		accept_clients(s);
}

/* ---- the pipeline's side ---- */

#define EACH_LISTENER(s, c)                                                                        \
	for (struct client *c = (s)->client; c < (s)->client + SERVER_CLIENTS; c++)                \
		if (c->state == EVENTS && !c->doomed)

static void note_attached(struct server *s, const struct tool_event *e)
{
	struct attached *at = NULL;

	if (!e->iface || (e->action != TOOL_ATTACH && e->action != TOOL_DETACH))
		return;
	for (unsigned i = 0; i < IFACES && !at; i++)
		if (!strcmp(s->attached[i].iface, e->iface))
			at = &s->attached[i];
	for (unsigned i = 0; i < IFACES && !at; i++)
		if (!*s->attached[i].iface)
			at = &s->attached[i];
	if (!at)
		return;
	memset(at, 0, sizeof(*at));
	if (e->action != TOOL_ATTACH)
		return;
	snprintf(at->iface, sizeof(at->iface), "%s", e->iface);
	snprintf(at->hook, sizeof(at->hook), "%s", e->hook ? e->hook : "");
}

static void on_tool(void *arg, const struct tool_event *e)
{
	struct server *s = arg;

	note_attached(s, e);
	EACH_LISTENER(s, c)
		outlet_sink.tool(&c->outlet, e);
}

static void on_flow(void *arg, const struct model *m, const struct flow *f)
{
	struct server *s = arg;

	EACH_LISTENER(s, c)
		outlet_sink.flow(&c->outlet, m, f);
}

static void on_rst(void *arg, const struct model *m, const struct rst_event *e)
{
	struct server *s = arg;

	EACH_LISTENER(s, c)
		outlet_sink.rst(&c->outlet, m, e);
}

static void on_finding(void *arg, const struct model *m, const struct finding *f,
		       enum finding_action action, uint64_t time_ns)
{
	struct server *s = arg;

	EACH_LISTENER(s, c)
		outlet_sink.finding(&c->outlet, m, f, action, time_ns);
}

static void on_stats(void *arg, const struct model *m, uint64_t time_ns, double interval_s)
{
	struct server *s = arg;
	bool any = false;

	EACH_LISTENER(s, c)
		outlet_sink.stats(&c->outlet, m, time_ns, interval_s);
	for (struct client *c = s->client; c < s->client + SERVER_CLIENTS; c++)
		any |= c->state == SCREEN && !c->doomed;
	if (!any || !s->findings)
		return;
	snapshot_write(&s->snapshot, &s->head, m, s->findings, &s->privacy, time_ns, interval_s);
	for (struct client *c = s->client; c < s->client + SERVER_CLIENTS; c++)
		if (c->state == SCREEN && !s->snapshot.failed)
			enqueue(c, s->snapshot.text, s->snapshot.len);
}

struct sink_ref server_sink(struct server *s)
{
	static const struct sink ops = { .tool = on_tool, .flow = on_flow, .rst = on_rst,
					 .finding = on_finding, .stats = on_stats };

	return (struct sink_ref){ &ops, s };
}

void server_show(struct server *s, const struct model *m, const struct findings *f)
{
	s->model = m;
	s->findings = f;
}

void server_head(struct server *s, const char *source, const char *problem, uint64_t packets,
		 uint64_t lost, unsigned max_flows, double uptime_s, uint64_t now_ns)
{
	struct jbuf *b = &s->head;

	b->len = 0;
	jb_str(b, "source", source);
	jb_str(b, "problem", problem);
	jb_u64(b, "packets", packets);
	jb_u64(b, "lost", lost);
	jb_u64(b, "max_flows", max_flows);
	jb_num(b, "uptime_s", uptime_s, 3);
	jb_u64(b, "now_ns", now_ns);
}

int server_fd(const struct server *s)
{
	return s->epoll;
}

void server_stats(const struct server *s, struct server_stats *st)
{
	*st = s->stats;
	st->clients = 0;
	for (unsigned i = 0; i < SERVER_CLIENTS; i++)
		st->clients += s->client[i].state != FREE;
}

/* ---- opening and closing ---- */

static int say(struct server_error *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int say(struct server_error *e, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	e->code = code;
	return -1;
}

/* The lock goes with the process; the file stays, for whoever unlinks it may take another's. */
static int take_lock(struct server *s, const char *path, struct server_error *e)
{
	char pid[16] = "";
	ssize_t n;

	snprintf(s->lock_path, sizeof(s->lock_path), "%s.lock", path);
	s->lock = open(s->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	if (s->lock < 0)
		return say(e, EX_CANTCREAT, "can't make %s: %s. Name another socket with --socket.",
			   s->lock_path, strerror(errno));
	if (flock(s->lock, LOCK_EX | LOCK_NB)) {
		n = read(s->lock, pid, sizeof(pid) - 1);
		pid[n > 0 ? strspn(pid, "0123456789") : 0] = 0;
		return say(e, EX_UNAVAILABLE, "a daemon already runs at %s (pid %s). Use weir live to see what it sees, or name another socket with --socket.",
			   path, *pid ? pid : "?");
	}
	n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(s->lock, 0) || write(s->lock, pid, n) != n)
		n = 0; /* a full disk: the lock holds all the same */
	return 0;
}

static int listen_at(struct server *s, const char *path, struct server_error *e)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct group *g;
	mode_t old;
	int err;

	s->at.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(s->at.sun_path))
		return say(e, EX_USAGE, "the socket's path %s is too long. At most %zu bytes.", path,
			   sizeof(s->at.sun_path) - 1);
	strcpy(s->at.sun_path, path);
	if (take_lock(s, path, e))
		return -1;
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	unlink(path); /* of a daemon that was killed: the lock is ours */
	old = umask(0117);
	err = s->listener < 0 || s->epoll < 0 ||
	      bind(s->listener, (struct sockaddr *)&s->at, sizeof(s->at)) ||
	      listen(s->listener, 128) ||
	      epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &ev);
	umask(old);
	if (err)
		return say(e, EX_CANTCREAT, "can't listen at %s: %s. Name another socket with --socket.",
			   path, strerror(errno));
	g = getgrnam("weir");
	if (g && g->gr_gid != getegid() && chown(path, -1, g->gr_gid))
		return 0; /* not root, and not of that group: then it is our own group's */
	return 0;
}

struct server *server_open(const char *path, struct server_error *e)
{
	struct server *s = calloc(1, sizeof(*s));
	char copy[PATH_MAX];

	if (!s) {
		say(e, EX_OSERR, "out of memory.");
		return NULL;
	}
	s->lock = s->listener = s->epoll = -1;
	snprintf(copy, sizeof(copy), "%s", path);
	mkdir(dirname(copy), 0755); /* where it can't be, the lock says why */
	if (!listen_at(s, path, e))
		return s;
	if (s->lock >= 0)
		close(s->lock);
	if (s->listener >= 0)
		close(s->listener);
	if (s->epoll >= 0)
		close(s->epoll);
	free(s);
	return NULL;
}

static void forget_about(struct server *s)
{
	for (unsigned i = 0; i < IFACES; i++) {
		free(s->ifaces[i]);
		s->ifaces[i] = NULL;
	}
	free(s->history);
	s->history = NULL;
}

void server_about(struct server *s, const struct server_about *about)
{
	forget_about(s);
	s->about.nifaces = 0;
	for (unsigned i = 0; i < about->nifaces && i < IFACES; i++) {
		s->ifaces[i] = strdup(about->ifaces[i]);
		if (s->ifaces[i])
			s->about.nifaces = i + 1;
	}
	if (about->history)
		s->history = strdup(about->history);
}

void server_privacy(struct server *s, const struct privacy *p)
{
	s->privacy = *p;
	for (struct client *c = s->client; c < s->client + SERVER_CLIENTS; c++)
		if (c->state == EVENTS)
			outlet_privacy(&c->outlet, p);
}

void server_close(struct server *s)
{
	if (!s)
		return;
	for (struct client *c = s->client; c < s->client + SERVER_CLIENTS; c++) {
		if (c->state == FREE)
			continue;
		send_waiting(s, c);
		drop_client(c);
	}
	unlink(s->at.sun_path);
	close(s->listener);
	close(s->epoll);
	close(s->lock);
	jbuf_free(&s->head);
	jbuf_free(&s->snapshot);
	forget_about(s);
	free(s);
}
