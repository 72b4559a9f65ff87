// SPDX-License-Identifier: GPL-2.0-or-later
#include "drops.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drop_reasons.skel.h"
#include "drops_abi.h"

#define REASONS	    DROPS_REASONS
#define REASON_LEN  40
#define PREFIX	    "SKB_DROP_REASON_"
#define FLOWS_READ  512 /* at a time: a flood that the firewall drops must not keep us busy */
#define TOLD	    4 /* reasons named at a time */

struct drops {
	struct drop_reasons *skel;
	char name[REASONS][REASON_LEN]; /* by reason; "" none */
	struct {
		struct drop_key key;
		uint64_t n;
	} last[DROPS_MAX];
	unsigned nlast;
	bool flows_wait;	/* not all were read then */
	uint64_t flows_told; /* packets of flows at the last drops_flows() */
};

/* Reasons of the end host's sockets, and those that say nothing: not this gateway dropping traffic. */
static const char *const not_ours[] = {
	"not_specified", "tcp_", "socket_", "no_socket", "udp_csum", "proto_mem", "unhandled_proto",
	"otherhost", "packet_sock_error", "unicast_in_l2_multicast", "consumed", "not_dropped_yet",
	"ip_inhdr", "ipv6_nd", "icmp", "ipv6disabled", "duplicate",
};

static int is_ours(const char *name)
{
	for (size_t i = 0; i < sizeof(not_ours) / sizeof(not_ours[0]); i++)
		if (!strncmp(name, not_ours[i], strlen(not_ours[i])))
			return 0;
	return name[0] != 0;
}

/* The running kernel's own names: the numbers differ from version to version. */
static int read_names(struct drops *d)
{
	struct btf *btf = btf__load_vmlinux_btf();
	const struct btf_type *t;
	const struct btf_enum *e;
	int id;

	if (!btf)
		return -errno;
	id = btf__find_by_name_kind(btf, "skb_drop_reason", BTF_KIND_ENUM);
	if (id < 0) {
		btf__free(btf);
		return id;
	}
	t = btf__type_by_id(btf, id);
	e = btf_enum(t);
	for (int i = 0; i < btf_vlen(t); i++, e++) {
		const char *name = btf__name_by_offset(btf, e->name_off);
		char *to;

		if (!name || e->val < 0 || e->val >= REASONS || strncmp(name, PREFIX, strlen(PREFIX)))
			continue;
		to = d->name[e->val];
		snprintf(to, REASON_LEN, "%s", name + strlen(PREFIX));
		for (; *to; to++)
			*to = tolower((unsigned char)*to);
	}
	btf__free(btf);
	return 0;
}

/* The number that the kernel knows our network namespace by; 0: unknown. */
static uint32_t our_net(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) ? 0 : (uint32_t)st.st_ino;
}

struct drops *drops_open(char *why, size_t size)
{
	struct drops *d;
	int err;

	if (access("/sys/kernel/btf/vmlinux", R_OK)) {
		snprintf(why, size, "kernel has no BTF: drop reasons are off. Everything else works.");
		return NULL;
	}
	d = calloc(1, sizeof(*d));
	if (!d) {
		snprintf(why, size, "out of memory: drop reasons are off.");
		return NULL;
	}
	err = read_names(d);
	d->skel = err ? NULL : drop_reasons__open();
	if (!err && !d->skel)
		err = -errno;
	if (!err) {
		d->skel->rodata->our_net = our_net();
		for (unsigned i = 0; i < REASONS; i++)
			d->skel->rodata->ours[i] = is_ours(d->name[i]);
		err = drop_reasons__load(d->skel);
	}
	if (!err)
		err = drop_reasons__attach(d->skel);
	if (!err)
		return d;
	if (err == -EPERM)
		snprintf(why, size, "kernel lockdown, or no CAP_PERFMON: drop reasons are off. Packet "
			 "analysis works.");
	else
		snprintf(why, size, "drop reasons are off (%s; they came with kernel 5.17, and a locked down "
			 "kernel refuses them). Packet analysis works.", strerror(-err));
	drops_close(d);
	return NULL;
}

void drops_close(struct drops *d)
{
	if (!d)
		return;
	drop_reasons__destroy(d->skel);
	free(d);
}

void drops_watch(struct drops *d, unsigned ifindex)
{
	uint8_t one = 1;

	bpf_map_update_elem(bpf_map__fd(d->skel->maps.watched), &ifindex, &one, BPF_ANY);
}

/* How many more than at the last call; remembers them. */
static uint64_t more(struct drops *d, const struct drop_key *key, uint64_t n)
{
	uint64_t was;

	for (unsigned i = 0; i < d->nlast; i++)
		if (!memcmp(&d->last[i].key, key, sizeof(*key))) {
			was = d->last[i].n;
			d->last[i].n = n;
			return n - was;
		}
	if (d->nlast == DROPS_MAX)
		return 0;
	d->last[d->nlast].key = *key;
	d->last[d->nlast++].n = n;
	return n;
}

struct count {
	const char *name;
	uint64_t n;
};

static int by_number(const void *a, const void *b)
{
	const struct count *x = a, *y = b;

	return (x->n < y->n) - (x->n > y->n);
}

uint64_t drops_since(struct drops *d, unsigned ifindex, char *text, size_t size)
{
	int fd = bpf_map__fd(d->skel->maps.dropped);
	struct drop_key key, next, *at = NULL;
	struct count found[64];
	uint64_t n, sum = 0;
	unsigned nfound = 0;
	size_t len = 0;

	for (; !bpf_map_get_next_key(fd, at, &next); at = &key) {
		key = next;
		if (key.ifindex != ifindex || key.reason >= REASONS || !is_ours(d->name[key.reason]) ||
		    bpf_map_lookup_elem(fd, &key, &n))
			continue;
		n = more(d, &key, n);
		sum += n;
		if (n && nfound < 64)
			found[nfound++] = (struct count){ d->name[key.reason], n };
	}
	qsort(found, nfound, sizeof(found[0]), by_number);
	text[0] = 0;
	for (unsigned i = 0; i < nfound && i < TOLD && len < size; i++)
		len += snprintf(text + len, size - len, "%s%s %llu", i ? ", " : "", found[i].name,
				(unsigned long long)found[i].n);
	return sum;
}

void drops_flows(struct drops *d, void (*fn)(void *arg, const struct drop_tuple *t, uint64_t packets), void *arg)
{
	uint64_t now = __atomic_load_n(&d->skel->bss->flow_drops, __ATOMIC_RELAXED), n[FLOWS_READ];
	struct drop_tuple t[FLOWS_READ];
	uint32_t from, count = FLOWS_READ;
	int err;

	if (now == d->flows_told && !d->flows_wait)
		return;
	d->flows_told = now;
	err = bpf_map_lookup_and_delete_batch(bpf_map__fd(d->skel->maps.flows), NULL, &from, t, n, &count, NULL);
	/* ENOENT: these were all. */
	d->flows_wait = !err;
	if (err && err != -ENOENT)
		return;
	for (uint32_t i = 0; i < count; i++)
		fn(arg, &t[i], n[i]);
}
