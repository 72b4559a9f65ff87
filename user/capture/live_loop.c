// SPDX-License-Identifier: GPL-2.0-or-later
/* The loop: one thread, woken by a timer, by the ring's threshold, by signals, links and keys. */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "live_impl.h"

#define POLL_NS	 50000000L  /* records wait no longer than this */
#define QUEUES_NS 1000000000ULL
#define NEIGHBOURS_NS 1000000000ULL
#define NEIGHBOURS_SHARE 200 /* of the time at most goes to reading them */
#define LOOK_NS  5000000000ULL /* between looks at what can not be seen */

static void on_signal(struct live *l, const struct live_ui *ui)
{
	struct signalfd_siginfo s;

	while (read(l->signals, &s, sizeof(s)) == sizeof(s)) {
		if (s.ssi_signo == SIGWINCH)
			l->resized = true;
		else if (s.ssi_signo == SIGHUP && ui && ui->reload)
			ui->reload(ui->reload_arg);
		else if (s.ssi_signo == SIGUSR1 && ui && ui->now)
			ui->now(ui->arg);
		else
			l->stop = true;
	}
}

/* Records that were lost since the last look make what is found now degraded. */
static void tell_losses(struct live *l)
{
	const __u64 *u = l->now.unsent;
	uint64_t lost = u[WEIR_RING_FULL] + u[WEIR_BUDGET] + u[WEIR_HOLES_FULL];

	if (lost > l->lost_told)
		pipeline_lost(l->pipeline, lost - l->lost_told);
	l->lost_told = lost;
}

static int on_timer(struct live *l)
{
	uint64_t mono = live_mono_ns(), expirations, active;
	enum sweep_pressure pressure;
	int err = 0;

	if (read(l->timer, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
		return -errno;
	/* Connections before their packets: the names must be known. */
	live_connections(l);
	live_drain(l);
	join_settled(l->join);
	/* Their flows, before anybody makes something of a loss. */
	live_own_flows(l);
	if (!l->drops && mono - l->queues_ns >= QUEUES_NS) {
		l->queues_ns = mono;
		live_own_queues(l);
	}
	live_obey(l);
	live_count(l);
	tell_losses(l);
	active = l->active_at_sweep + l->now.flows - l->flows_at_sweep;
	pressure = sweep_pressure(active, l->cfg.max_flows);
	if (mono - l->sweep_ns >= sweep_interval_ns(l->sweep_took_ns, pressure))
		err = live_sweep(l, mono, pressure);
	if (mono - l->looked_ns >= LOOK_NS) {
		live_look_around(l);
		l->looked_ns = mono;
	}
	if (mono - l->neighbours_ns >= NEIGHBOURS_NS + NEIGHBOURS_SHARE * l->neighbours_took_ns &&
	    pipeline_strangers(l->pipeline)) {
		l->neighbours_ns = live_mono_ns();
		live_neighbours(l);
		l->neighbours_took_ns = live_mono_ns() - l->neighbours_ns;
	}
	if (l->dark)
		pipeline_lost(l->pipeline, 0);
	/* Packets up to now have been handed over: those that came meanwhile come next time. */
	pipeline_tick(l->pipeline, wallclock_ns(&l->clock, mono));
	return err;
}

static int dispatch(struct live *l, int fd, const struct live_ui *ui)
{
	if (fd == l->signals)
		on_signal(l, ui);
	else if (fd == l->timer)
		return on_timer(l);
	else if (fd == l->monitor)
		live_links_changed(l);
	else if (fd == l->conntrack)
		live_connections(l);
	else if (ui && fd == ui->fd)
		l->stop |= ui->input && !ui->input(ui->arg);
	else
		live_drain(l);
	return 0;
}

static void front_end(struct live *l, const struct live_ui *ui, uint64_t *drawn_ns)
{
	uint64_t mono = live_mono_ns();

	if (l->resized && ui->input)
		l->stop |= !ui->input(ui->arg);
	if (ui->redraw && ui->redraw_ms &&
	    (l->resized || mono - *drawn_ns >= ui->redraw_ms * 1000000ULL)) {
		l->stop |= !ui->redraw(ui->arg);
		*drawn_ns = mono;
	}
	l->resized = false;
}

int live_run(struct live *l, const struct live_ui *ui)
{
	const struct itimerspec every = { { 0, POLL_NS }, { 0, POLL_NS } };
	uint64_t start = live_mono_ns(), drawn = 0;
	uint64_t run_ns = l->cfg.count * l->cfg.interval_s * 1e9;
	struct epoll_event ev[8];
	int n, err = 0;

	timerfd_settime(l->timer, 0, &every, NULL);
	if (ui && ui->fd >= 0) {
		ev[0] = (struct epoll_event){ .events = EPOLLIN, .data.fd = ui->fd };
		/* EPERM: a file as standard input; it has no keys to wait for. */
		if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, ui->fd, &ev[0]) && errno != EPERM)
			return -errno;
	}
	while (!err && !l->stop) {
		n = epoll_wait(l->epoll, ev, 8, -1);
		if (n < 0 && errno != EINTR)
			err = -errno;
		for (int i = 0; i < n && !err; i++)
			err = dispatch(l, ev[i].data.fd, ui);
		if (ui && !err)
			front_end(l, ui, &drawn);
		/* Half a poll of slack: the last interval's summary is out before the end. */
		if (run_ns && live_mono_ns() - start >= run_ns + POLL_NS / 2)
			l->stop = true;
	}
	return err;
}
