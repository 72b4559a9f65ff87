// SPDX-License-Identifier: GPL-2.0-or-later
#include "joined.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "out.h"
#include "snapshot.h"

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* SIGINT, SIGTERM, SIGHUP end it, SIGWINCH redraws. */
static int signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool told_to_stop(int fd)
{
	struct signalfd_siginfo s;
	bool stop = false;

	while (read(fd, &s, sizeof(s)) == sizeof(s))
		stop |= s.ssi_signo != SIGWINCH;
	return stop;
}

static void print(struct client *c, bool *gone)
{
	const char *line;
	size_t len;

	while ((line = client_line(c, &len, gone))) {
		/* The newline became the string's end. */
		output_write(line, len);
		output_write("\n", 1);
	}
}

int joined_lines(struct client *c, const struct options *o)
{
	double end = o->count ? seconds() + o->count * o->interval_s + 0.05 : 0;
	struct pollfd p[2] = { { c->fd, POLLIN, 0 }, { signals(), POLLIN, 0 } };
	bool gone = false, stop = false;

	signal(SIGPIPE, SIG_IGN);
	while (!gone && !stop && output_ok()) {
		double left = end ? end - seconds() : 0;

		if (end && left <= 0)
			break;
		if (poll(p, 2, end ? (int)(left * 1000) + 1 : -1) < 0 && errno != EINTR)
			break;
		print(c, &gone);
		stop = told_to_stop(p[1].fd);
	}
	close(p[1].fd);
	client_close(c);
	if (gone && !stop && output_ok())
		return fail(EX_UNAVAILABLE, "the daemon has ended, or this reader was too slow and was cut off. Try again; "
				     "if it doesn't answer, start it (systemctl start weir), or watch without it.");
	return output_code();
}

/* The newest snapshot; older ones that wait count too, for rates are differences. */
static void take_snapshots(struct client *c, struct replica *r, struct screen *s, bool *gone)
{
	struct sink_ref sink = screen_sink(s);
	struct screen_status st;
	uint64_t time_ns;
	double interval;
	const char *line;
	size_t len;

	while ((line = client_line(c, &len, gone))) {
		if (!replica_read(r, line, len))
			continue;
		replica_status(r, &st, &time_ns, &interval);
		sink.ops->stats(sink.s, replica_model(r), time_ns, interval);
	}
}

int joined_screen(struct client *c, struct screen *s, char *why, size_t len)
{
	struct pollfd p[3] = { { c->fd, POLLIN, 0 }, { signals(), POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };
	struct replica *r = replica_new();
	bool gone = false, stop = !r;
	struct screen_status st;
	uint64_t time_ns;
	double interval;

	if (r)
		screen_show(s, replica_model(r), replica_findings(r));
	while (!gone && !stop) {
		if (poll(p, 3, 1000) < 0 && errno != EINTR)
			break;
		take_snapshots(c, r, s, &gone);
		stop = told_to_stop(p[1].fd) || !screen_keys(s);
		replica_status(r, &st, &time_ns, &interval);
		if (!stop && st.source)
			screen_draw(s, &st);
	}
	close(p[1].fd);
	client_close(c);
	screen_close(s);
	replica_free(r);
	snprintf(why, len, r ? "the daemon has ended. Start it again (systemctl start weir)."
			     : "out of memory.");
	return stop && r ? EX_OK : EX_UNAVAILABLE;
}
