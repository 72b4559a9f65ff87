/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads BPF objects into the running kernel, says what the verifier made of each program, and
 * keeps its log where it refused.
 *
 *	vmprobe [-l MAX_INSNS] OBJECT...
 *
 * Exit 0: all were taken, none over the ceiling of verified instructions; 1 otherwise.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1U << 5)
#endif

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

static unsigned verified(int fd)
{
	struct bpf_prog_info info = { 0 };
	unsigned len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.verified_insns;
}

/* 0: taken. frags: with the flag that kernels before 5.18 don't know. */
static int try_object(const char *file, int frags, unsigned ceiling)
{
	struct bpf_object *obj = bpf_object__open_file(file, NULL);
	struct bpf_program *p;
	int rc;

	if (libbpf_get_error(obj))
		return -ENOENT;
	if (frags)
		bpf_object__for_each_program(p, obj) if (bpf_program__type(p) == BPF_PROG_TYPE_XDP)
			bpf_program__set_flags(p, BPF_F_XDP_HAS_FRAGS);
	rc = bpf_object__load(obj);
	if (!rc)
		bpf_object__for_each_program(p, obj)
		{
			unsigned n = verified(bpf_program__fd(p));

			printf("loaded %s %s%s: %u instructions verified\n", file,
			       bpf_program__name(p), frags ? "" : " (no frags)", n);
			if (n > ceiling) {
				printf("over the ceiling of %u\n", ceiling);
				rc = -E2BIG;
			}
		}
	bpf_object__close(obj);
	return rc;
}

int main(int argc, char **argv)
{
	unsigned ceiling = 1000000;
	int c, bad = 0;

	while ((c = getopt(argc, argv, "l:")) != -1) {
		if (c != 'l')
			return 64;
		ceiling = strtoul(optarg, NULL, 10);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	libbpf_set_print(quiet);
	for (int i = optind; i < argc; i++) {
		int rc = try_object(argv[i], 1, ceiling);

		if (rc == -EINVAL)
			rc = try_object(argv[i], 0, ceiling);
		if (rc) {
			printf("REFUSED %s: %s\n", argv[i], strerror(-rc));
			bad = 1;
		}
	}
	return bad;
}
