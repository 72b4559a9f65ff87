// SPDX-License-Identifier: GPL-2.0-or-later
#include "live_load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sysexits.h>
#include <unistd.h>

#include "rights.h"
#include "weir_tc.skel.h"
#include "weir_xdp.skel.h"

int live_fail(struct live_error *e, int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(e->text, sizeof(e->text), format, ap);
	va_end(ap);
	e->code = code;
	return code;
}

unsigned live_default_flows(void)
{
	struct sysinfo s;

	if (!sysinfo(&s) && (uint64_t)s.totalram * s.mem_unit < 256ULL << 20)
		return 8192;
	return 65536;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static int loud(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_DEBUG ? 0 : vfprintf(stderr, format, args);
}

/* major.minor of the running kernel as a number: 5.10 is 5 * 1000 + 10. */
static unsigned kernel_version(char *text, size_t size)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	if (uname(&u))
		return 0;
	sscanf(u.release, "%u.%u", &major, &minor);
	snprintf(text, size, "%u.%u", major, minor);
	return major * 1000 + minor;
}

/* "CAP_BPF and CAP_PERFMON": those of the three that have is or is not. */
static void name_rights(char *buf, size_t size, bool have)
{
	const char *names[3];
	unsigned n = 0;

	if (rights_bpf() == have)
		names[n++] = "CAP_BPF";
	if (rights_perfmon() == have)
		names[n++] = "CAP_PERFMON";
	if (rights_net() == have)
		names[n++] = "CAP_NET_ADMIN";
	snprintf(buf, size, "%s%s%s%s%s", n ? names[0] : "", n == 3 ? ", " : n == 2 ? " and " : "",
		 n > 1 ? names[1] : "", n == 3 ? " and " : "", n == 3 ? names[2] : "");
}

int live_check_rights(struct live_error *e)
{
	char version[32] = "", missing[64], there[64];
	unsigned v = kernel_version(version, sizeof(version));

	name_rights(missing, sizeof(missing), false);
	name_rights(there, sizeof(there), true);
	/* The kernel's age is the better reason: see why_not(). */
	if (!missing[0] || (v && v < 5010))
		return 0;
	if (there[0])
		return live_fail(e, EX_NOPERM, "can't load BPF programs: not permitted. %s %s missing "
				 "(%s %s there).", missing, strchr(missing, ' ') ? "are" : "is", there,
				 strchr(there, ' ') ? "are" : "is");
	if (!geteuid())
		return live_fail(e, EX_NOPERM, "can't load BPF programs: not permitted. Running as "
				 "root, but without %s in this container (docker: --cap-add BPF "
				 "--cap-add PERFMON --cap-add NET_ADMIN --network host).", missing);
	return live_fail(e, EX_NOPERM, "can't load BPF programs: not permitted. Run as root, or give "
			 "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN "
			 "(setcap cap_bpf,cap_perfmon,cap_net_admin+ep $(command -v weir)).");
}

static int why_not(struct live_error *e, int err, unsigned max_flows)
{
	char version[32] = "?";
	unsigned v = kernel_version(version, sizeof(version));

	if (err == -ENOSYS)
		return live_fail(e, EX_UNAVAILABLE, "can't load BPF programs: this kernel was built "
				 "without CONFIG_BPF_SYSCALL. \"weir analyze\" works on any kernel.");
	if (v && v < 5010)
		return live_fail(e, EX_UNAVAILABLE, "kernel %s is too old: 5.10 or newer is needed "
				 "(BPF ring buffer, CAP_BPF). \"weir analyze\" works on any kernel.",
				 version);
	if (err == -EPERM || err == -EACCES)
		return live_fail(e, EX_NOPERM, "can't load BPF programs: the kernel does not permit it "
				 "(lockdown, a security module or a container's limits). Try as root on "
				 "the host itself; \"weir check\" tells more.");
	if (err == -ENOMEM || err == -E2BIG)
		return live_fail(e, EX_OSERR, "can't make the tables: no memory for %u flows. Say a "
				 "smaller --max-flows.", max_flows);
	return live_fail(e, EX_UNAVAILABLE, "can't load BPF programs: %s. \"weir watch -v\" shows the "
			 "kernel's own words.", strerror(-err));
}

/* The XDP object works on the TC object's maps. 0 or -errno. */
static int share_maps(struct weir_xdp *x, const struct weir_tc *t)
{
	int err = bpf_map__reuse_fd(x->maps.flows4, bpf_map__fd(t->maps.flows4));

	err = err ? err : bpf_map__reuse_fd(x->maps.flows6, bpf_map__fd(t->maps.flows6));
	err = err ? err : bpf_map__reuse_fd(x->maps.holes, bpf_map__fd(t->maps.holes));
	err = err ? err : bpf_map__reuse_fd(x->maps.ring, bpf_map__fd(t->maps.ring));
	err = err ? err : bpf_map__reuse_fd(x->maps.spare, bpf_map__fd(t->maps.spare));
	return err ? err : bpf_map__reuse_fd(x->maps.counters, bpf_map__fd(t->maps.counters));
}

/* flags: BPF_F_XDP_HAS_FRAGS, or 0 for kernels before 5.18, which refuse it. NULL: not to be had. */
static struct weir_xdp *try_xdp(const struct weir_tc *t, unsigned flags)
{
	struct weir_xdp *x = weir_xdp__open();

	if (!x)
		return NULL;
	bpf_program__set_flags(x->progs.weir_xdp, flags);
	x->rodata->weir_cfg = t->rodata->weir_cfg;
	x->rodata->weir_xdp_load = !!flags; /* bpf_xdp_load_bytes came with the flag */
	if (!share_maps(x, t) && !weir_xdp__load(x))
		return x;
	weir_xdp__destroy(x);
	return NULL;
}

/* Without it everything goes through TC, and attach says so. */
static void load_xdp(struct live_objects *o)
{
	o->xdp = try_xdp(o->tc, BPF_F_XDP_HAS_FRAGS);
	if (!o->xdp)
		o->xdp = try_xdp(o->tc, 0);
	if (o->xdp)
		o->progs.xdp = bpf_program__fd(o->xdp->progs.weir_xdp);
}

/*
 * WEIR_RING_BYTES: for memory that is scarce, and for tests of a ring that is full. 0: as it is; -EINVAL: not
 * a power of two of at least a page.
 */
static int ring_bytes(struct weir_tc *t)
{
	const char *text = getenv("WEIR_RING_BYTES");
	char *end;
	unsigned long n;

	if (!text || !*text)
		return 0;
	n = strtoul(text, &end, 10);
	if (*end || n < (unsigned long)sysconf(_SC_PAGESIZE) || n > 1ul << 30 || n & (n - 1))
		return -EINVAL;
	return bpf_map__set_max_entries(t->maps.ring, (uint32_t)n);
}

int live_load(struct live_objects *o, const struct live_load_options *opt, struct live_error *e)
{
	struct weir_tc *t;
	int err;

	*o = (struct live_objects){ .progs.xdp = -1 };
	if (!opt->ethernet && !opt->headless)
		return live_fail(e, EX_SOFTWARE, "no interface to load programs for.");
	libbpf_set_print(opt->verbose ? loud : quiet);
	t = weir_tc__open();
	if (!t)
		return why_not(e, -errno, opt->max_flows);
	o->tc = t;
	if (ring_bytes(t)) {
		weir_tc__destroy(t);
		o->tc = NULL;
		return live_fail(e, EX_USAGE, "WEIR_RING_BYTES: not a power of two from a page to 1073741824.");
	}
	err = bpf_map__set_max_entries(t->maps.flows4, opt->max_flows);
	err = err ? err : bpf_map__set_max_entries(t->maps.flows6, opt->max_flows);
	/* Programs that no interface needs cost start-up time for nothing. */
	bpf_program__set_autoload(t->progs.weir_tc_in, opt->ethernet);
	bpf_program__set_autoload(t->progs.weir_tc_out, opt->ethernet);
	bpf_program__set_autoload(t->progs.weir_tc_in_ip, opt->headless);
	bpf_program__set_autoload(t->progs.weir_tc_out_ip, opt->headless);
	err = err ? err : weir_tc__load(t);
	if (err) {
		live_unload(o);
		return why_not(e, err, opt->max_flows);
	}
	o->progs.tc_in = bpf_program__fd(t->progs.weir_tc_in);
	o->progs.tc_out = bpf_program__fd(t->progs.weir_tc_out);
	o->progs.tc_in_ip = bpf_program__fd(t->progs.weir_tc_in_ip);
	o->progs.tc_out_ip = bpf_program__fd(t->progs.weir_tc_out_ip);
	o->progs.any = opt->ethernet ? o->progs.tc_in : o->progs.tc_in_ip;
	o->ctl = bpf_program__fd(t->progs.weir_ctl);
	o->flows4 = bpf_map__fd(t->maps.flows4);
	o->flows6 = bpf_map__fd(t->maps.flows6);
	o->holes = bpf_map__fd(t->maps.holes);
	o->ring = bpf_map__fd(t->maps.ring);
	o->counters = bpf_map__fd(t->maps.counters);
	if (opt->xdp)
		load_xdp(o);
	return 0;
}

void live_unload(struct live_objects *o)
{
	weir_xdp__destroy(o->xdp);
	weir_tc__destroy(o->tc);
	o->xdp = NULL;
	o->tc = NULL;
}
