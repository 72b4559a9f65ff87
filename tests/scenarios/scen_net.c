/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network of every scenario:
 *
 *	cli eth0 --- lan gw wan --- cust isp core --- eth0 srv
 *	10.10.0.0/24     10.20.0.0/30          10.30.0.0/24     (fd10::, fd20::, fd30::)
 *
 * The monitor is on gw's wan. Delay comes from netem on srv (the far side) and cli (the near one);
 * rates and drops are the scenario's own, on other devices, so that delay never reorders. Where the
 * kernel has no netem, cables of our own stand between the namespaces: see scen_wire.c.
 */
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scen.h"

double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

double unix_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int net_enter(const struct net *n, enum ns ns)
{
	char path[96];
	int fd, rc;

	snprintf(path, sizeof(path), "/run/netns/%s", n->ns[ns]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = setns(fd, CLONE_NEWNET);
	close(fd);
	return rc;
}

int run_wait(const struct net *n, int ns, char *const argv[], const char *input, const char *log)
{
	int in[2], st;
	pid_t pid;

	if (pipe2(in, O_CLOEXEC))
		return 127;
	pid = fork();
	if (!pid) {
		int out = open(log ? log : "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0644);

		dup2(in[0], 0);
		dup2(out, 1);
		dup2(out, 2);
		if (ns >= 0 && net_enter(n, ns))
			_exit(126);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(in[0]);
	if (input && write(in[1], input, strlen(input)) < 0)
		perror("scenario: write");
	close(in[1]);
	if (pid < 0 || waitpid(pid, &st, 0) != pid)
		return 127;
	return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}

static void set_sysctl(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		fprintf(stderr, "scenario: %s: not set to %s\n", name, value);
	close(fd);
}

static void sysctls(const struct net *n, enum ns ns)
{
	int st;
	pid_t pid = fork();

	if (!pid) {
		if (net_enter(n, ns))
			_exit(1);
		if (ns == NS_CABLES) {
			set_sysctl("ipv6/conf/all/disable_ipv6", "1");
			set_sysctl("ipv6/conf/default/disable_ipv6", "1");
			_exit(0);
		}
		set_sysctl("ipv6/conf/all/accept_dad", "0");
		set_sysctl("ipv6/conf/default/accept_dad", "0");
		set_sysctl("ipv4/tcp_no_metrics_save", "1");
		set_sysctl("ipv4/ip_forward", "1");
		set_sysctl("ipv6/conf/all/forwarding", "1");
		set_sysctl("ipv4/conf/all/rp_filter", "0");
		set_sysctl("ipv4/conf/default/rp_filter", "0");
		set_sysctl("ipv4/icmp_ratelimit", "0");
		_exit(0);
	}
	waitpid(pid, &st, 0);
}

#define BATCH 4096

static int batch(const struct net *n, int ns, const char *program, const char *input,
		 const char *what, char *why, size_t room)
{
	char log[] = "/tmp/scen-XXXXXX";
	char *ip[] = { "ip", "-batch", "-", NULL }, *tc[] = { "tc", "-batch", "-", NULL },
	     *nft[] = { "nft", "-f", "-", NULL };
	char **argv = *program == 'i' ? ip : *program == 't' ? tc : nft;
	int fd = mkstemp(log), rc;
	ssize_t k;

	rc = run_wait(n, ns, argv, input, log);
	if (rc) {
		size_t at = snprintf(why, room, "%s (%s exits %d): ", what, program, rc);

		if (at < room) {
			k = read(fd, why + at, room - at - 1);
			why[at + (k > 0 ? k : 0)] = 0;
			for (char *p = why; *p; p++)
				if ((unsigned char)*p < 32)
					*p = ' ';
		}
	}
	close(fd);
	unlink(log);
	return rc ? -1 : 0;
}

static bool uses_netem(const struct scenario *s)
{
	for (int i = 0; i < s->steps; i++)
		for (int k = 0; k < s->step[i].words; k++)
			if (!strcmp(s->step[i].word[k], "netem"))
				return true;
	return s->rtt_ms || s->lan_rtt_ms;
}

/* What ethtool -K DEV tso off gso off gro off tx off does, without a program of its own. */
static int offloads_off(const struct net *n, enum ns ns, const char *name)
{
	static const struct {
		unsigned get, set;
	} offload[] = {
		{ ETHTOOL_GTSO, ETHTOOL_STSO },
		{ ETHTOOL_GGSO, ETHTOOL_SGSO },
		{ ETHTOOL_GGRO, ETHTOOL_SGRO },
		{ ETHTOOL_GTXCSUM, ETHTOOL_STXCSUM },
	};
	int st;
	pid_t pid = fork();

	if (!pid) {
		struct ethtool_value v;
		struct ifreq r = { .ifr_data = (void *)&v };
		int fd = net_enter(n, ns) ? -1 : socket(AF_INET, SOCK_DGRAM, 0);

		snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
		for (size_t i = 0; i < sizeof(offload) / sizeof(*offload); i++) {
			v = (struct ethtool_value){ .cmd = offload[i].get };
			if (ioctl(fd, SIOCETHTOOL, &r))
				_exit(1);
			if (!v.data)
				continue;
			v = (struct ethtool_value){ .cmd = offload[i].set };
			if (ioctl(fd, SIOCETHTOOL, &r))
				_exit(1);
		}
		_exit(0);
	}
	return waitpid(pid, &st, 0) != pid || !WIFEXITED(st) || WEXITSTATUS(st);
}

int net_up(struct net *n, const struct scenario *s, unsigned long tag, char *why, size_t room)
{
	char b[BATCH], *p = b;
	static const struct {
		enum ns a, b;
		const char *a_dev, *b_dev, *a_mac, *b_mac;
	} pair[CABLES] = {
		{ NS_CLI, NS_GW, "eth0", "lan", "02", "01" },
		{ NS_GW, NS_ISP, "wan", "cust", "01", "02" },
		{ NS_ISP, NS_SRV, "core", "eth0", "01", "02" },
	};
	static const struct {
		enum ns ns;
		const char *name;
	} dev[] = {
		{ NS_CLI, "eth0" }, { NS_GW, "lan" },	{ NS_GW, "wan" },
		{ NS_ISP, "cust" }, { NS_ISP, "core" }, { NS_SRV, "eth0" },
	};

	for (int i = 0; i < NS_COUNT; i++) {
		snprintf(n->ns[i], sizeof(n->ns[i]), "weirvm%lu-%s", tag, ns_name(i));
		p += sprintf(p, "netns add %s\n", n->ns[i]);
	}
	if (batch(n, -1, "ip", b, "namespaces can't be made", why, room))
		return -1;
	for (int i = 0; i < NS_COUNT; i++)
		sysctls(n, i);
	n->wired = uses_netem(s) && wire_needed(n);
	p = b;
	for (int i = 0; i < CABLES; i++) {
		const char *far_ns = n->ns[pair[i].b], *far = pair[i].b_dev;
		char mac[24];

		if (pair[i].a == NS_GW && strcmp(s->link, "veth"))
			continue; /* link_up() makes it */
		snprintf(mac, sizeof(mac), "02:00:00:00:0%d:%s", i + 1, pair[i].b_mac);
		if (n->wired) {
			p += sprintf(
				p, "link add %s netns %s type veth peer name %s netns %s addr %s\n",
				wire_end(i, true), n->ns[NS_CABLES], far, far_ns, mac);
			far_ns = n->ns[NS_CABLES];
			far = wire_end(i, false);
			*mac = 0;
		}
		p += sprintf(p,
			     "link add %s netns %s addr 02:00:00:00:0%d:%s type veth peer name %s "
			     "netns %s%s%s\n",
			     pair[i].a_dev, n->ns[pair[i].a], i + 1, pair[i].a_mac, far, far_ns,
			     *mac ? " addr " : "", mac);
	}
	if (n->wired && strcmp(s->link, "veth")) {
		snprintf(why, room, "the kernel has no netem: there are only cables, no %s",
			 s->link);
		return -1;
	}
	if (batch(n, -1, "ip", b, "veth pairs can't be made", why, room) ||
	    link_up(n, s->link, why, room))
		return -1;
	p = b + sprintf(b, "link set lo up\nlink set eth0 up\n");
	for (int i = 2; i < 10; i++)
		p += sprintf(
			p, "addr add 10.10.0.%d/24 dev eth0\naddr add fd10::%d/64 dev eth0 nodad\n",
			i, i);
	sprintf(p, "route add default via 10.10.0.1\nroute add default via fd10::1\n");
	if (batch(n, NS_CLI, "ip", b, "client's addresses", why, room))
		return -1;
	p = b + sprintf(b, "link set lo up\nlink set eth0 up\n");
	for (int i = 2; i < 10; i++)
		p += sprintf(
			p, "addr add 10.30.0.%d/24 dev eth0\naddr add fd30::%d/64 dev eth0 nodad\n",
			i, i);
	sprintf(p, "route add default via 10.30.0.1\nroute add default via fd30::1\n");
	if (batch(n, NS_SRV, "ip", b, "server's addresses", why, room))
		return -1;
	/* A tun's queue is short, and no part of any scenario. */
	if (!strcmp(s->link, "tun") &&
	    (batch(n, NS_GW, "ip", "link set wan txqueuelen 5000\n", "tun", why, room) ||
	     batch(n, NS_ISP, "ip", "link set cust txqueuelen 5000\n", "tun", why, room)))
		return -1;
	if (batch(n, NS_GW, "ip",
		  "link set lo up\nlink set lan up\nlink set wan up\n"
		  "addr add 10.10.0.1/24 dev lan\naddr add fd10::1/64 dev lan nodad\n"
		  "addr add 10.20.0.1/30 dev wan\naddr add fd20::1/64 dev wan nodad\n"
		  "route add default via 10.20.0.2\nroute add default via fd20::2\n",
		  "gateway's addresses", why, room) ||
	    batch(n, NS_ISP, "ip",
		  "link set lo up\nlink set cust up\nlink set core up\n"
		  "addr add 10.20.0.2/30 dev cust\naddr add fd20::2/64 dev cust nodad\n"
		  "addr add 10.30.0.1/24 dev core\naddr add fd30::1/64 dev core nodad\n"
		  "route add 10.10.0.0/24 via 10.20.0.1\nroute add fd10::/64 via fd20::1\n",
		  "isp's addresses", why, room))
		return -1;
	for (size_t i = 0; i < sizeof(dev) / sizeof(*dev) && !s->offloads; i++)
		if (offloads_off(n, dev[i].ns, dev[i].name) && strcmp(s->link, "tun")) {
			snprintf(why, room, "offloads of %s can't be switched off", dev[i].name);
			return -1;
		}
	if (batch(n, NS_ISP, "nft",
		  "add table inet w\nadd chain inet w f { type filter hook forward priority 0; }\n",
		  "no nftables", why, room))
		return -1;
	if (n->wired) {
		p = b;
		for (int i = 0; i < 2 * CABLES; i++)
			p += sprintf(p, "link set %s arp off up\n", wire_end(i / 2, i & 1));
		return batch(n, NS_CABLES, "ip", b, "cables", why, room);
	}
	if (s->rtt_ms) {
		p = b + sprintf(b, "qdisc add dev eth0 root netem delay %gms", s->rtt_ms);
		if (s->jitter_ms)
			p += sprintf(p, " %gms", s->jitter_ms);
		sprintf(p, " limit 100000\n");
		if (batch(n, NS_SRV, "tc", b, "the kernel has no netem", why, room))
			return -1;
	}
	if (s->lan_rtt_ms) {
		sprintf(b, "qdisc add dev eth0 root netem delay %gms limit 100000\n",
			s->lan_rtt_ms);
		if (batch(n, NS_CLI, "tc", b, "the kernel has no netem", why, room))
			return -1;
	}
	return 0;
}

void net_down(const struct net *n)
{
	char b[NS_COUNT * 64], *p = b;
	char *argv[] = { "ip", "-force", "-batch", "-", NULL };

	link_down(n);
	/* -force: one that is gone does not keep the others. */
	for (int i = 0; i < NS_COUNT; i++)
		if (n->ns[i][0])
			p += sprintf(p, "netns del %s\n", n->ns[i]);
	if (p > b)
		run_wait(n, -1, argv, b, NULL);
}
