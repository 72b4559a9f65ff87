// SPDX-License-Identifier: GPL-2.0-or-later
/* weir check: the kernel and our rights. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "check.h"
#include "live_load.h"
#include "rights.h"
#include "weir_abi.h"

#define FLOW_MEMORY 340ULL /* bytes in the kernel per flow of the table: key, value, bucket */

/* The first line of a file; "" if it can't be read. */
static void first_line(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");

	buf[0] = 0;
	if (!f)
		return;
	if (fgets(buf, size, f))
		buf[strcspn(buf, "\n")] = 0;
	fclose(f);
}

static bool check_kernel(struct check *c)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	if (uname(&u))
		return false;
	sscanf(u.release, "%u.%u", &major, &minor);
	if (major > 5 || (major == 5 && minor >= 10)) {
		check_line(c, &(struct check_line){ CHECK_OK, "kernel", u.release, NULL, NULL });
		return true;
	}
	check_failed(c, &(struct check_line){ CHECK_FAIL, "kernel", u.release, "live capture can't run",
					      "5.10 or newer; weir analyze works on any" }, false);
	return false;
}

static bool check_rights(struct check *c)
{
	bool bpf = rights_bpf(), perfmon = rights_perfmon(), net = rights_net();
	char found[64];

	snprintf(found, sizeof(found), "%s%s%s%s", bpf ? "CAP_BPF " : "", perfmon ? "CAP_PERFMON " : "",
		 net ? "CAP_NET_ADMIN" : "", bpf || perfmon || net ? "" : "none");
	if (bpf && perfmon && net) {
		check_line(c, &(struct check_line){ CHECK_OK, "rights", found, NULL, NULL });
		return true;
	}
	check_failed(c, &(struct check_line){ CHECK_FAIL, "rights", found, "live capture can't start",
					      "run as root, or: setcap cap_bpf,cap_perfmon,cap_net_admin+ep "
					      "$(command -v weir)" }, true);
	return false;
}

static bool check_programs(struct check *c, bool *tcx)
{
	const struct live_load_options opt = { .max_flows = 64, .ethernet = true, .headless = true,
					       .xdp = true };
	struct live_objects o;
	struct live_error e = { 0 };

	if (live_load(&o, &opt, &e)) {
		check_failed(c, &(struct check_line){ CHECK_FAIL, "programs", "refused",
						      "live capture can't run", e.text }, e.code == 77);
		return false;
	}
	check_line(c, &(struct check_line){ CHECK_OK, "programs", "load and verify", NULL, NULL });
	*tcx = attach_have_tcx(o.progs.any);
	check_line(c, &(struct check_line){
			      CHECK_OK, "TC hook", *tcx ? "tcx (links, 6.6 and later)" : "clsact (filters)",
			      *tcx ? NULL : "after kill -9 a filter stays until the next start", NULL });
	if (o.xdp)
		check_line(c, &(struct check_line){ CHECK_OK, "XDP program", "loads", NULL, NULL });
	else
		check_line(c, &(struct check_line){ CHECK_WARN, "XDP program", "refused",
						    "ingress of hardware goes through TC, too", NULL });
	live_unload(&o);
	return true;
}

static void check_memory(struct check *c)
{
	unsigned flows = live_default_flows();
	uint64_t need = 2 * flows * FLOW_MEMORY; /* IPv6 takes its half only as flows come */
	struct sysinfo s;
	char found[96];

	if (sysinfo(&s))
		return;
	snprintf(found, sizeof(found), "%llu MB free; %u flows take up to %llu MB",
		 (unsigned long long)s.freeram * s.mem_unit >> 20, flows,
		 (unsigned long long)need >> 20);
	if ((uint64_t)(s.freeram + s.bufferram) * s.mem_unit > 2 * need)
		check_line(c, &(struct check_line){ CHECK_OK, "memory", found, NULL, NULL });
	else
		check_line(c, &(struct check_line){ CHECK_WARN, "memory", found, "tables may not fit",
						    "a smaller --max-flows" });
}

static void check_extras(struct check *c, bool *btf)
{
	char word[128];

	*btf = !access("/sys/kernel/btf/vmlinux", R_OK);
	if (*btf)
		check_line(c, &(struct check_line){ CHECK_OK, "kernel BTF", "yes", NULL, NULL });
	else
		check_line(c, &(struct check_line){ CHECK_WARN, "kernel BTF", "none",
						    "the kernel's own drop reasons are off, all else works",
						    "a kernel with CONFIG_DEBUG_INFO_BTF" });
	first_line("/proc/sys/net/core/bpf_jit_enable", word, sizeof(word));
	if (!strcmp(word, "0"))
		check_line(c, &(struct check_line){ CHECK_WARN, "BPF compiler", "off",
						    "packets cost several times as much",
						    "sysctl net.core.bpf_jit_enable=1" });
	first_line("/proc/sys/kernel/bpf_stats_enabled", word, sizeof(word));
	if (!strcmp(word, "1"))
		check_line(c, &(struct check_line){ CHECK_WARN, "BPF statistics", "on",
						    "each program run costs some 40 ns more",
						    "sysctl kernel.bpf_stats_enabled=0" });
	first_line("/sys/kernel/security/lockdown", word, sizeof(word));
	if (strstr(word, "[confidentiality]"))
		check_line(c, &(struct check_line){ CHECK_WARN, "lockdown", "confidentiality",
						    "the kernel's own drop reasons are off, all else works",
						    NULL });
}

bool check_machine(struct check *c, bool *btf, bool *tcx)
{
	bool can = check_kernel(c);

	*tcx = false;
	can &= check_rights(c);
	if (can)
		can &= check_programs(c, tcx);
	check_memory(c);
	check_extras(c, btf);
	return can;
}
