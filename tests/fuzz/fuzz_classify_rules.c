/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A rules file, and look-ups with what it says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "classify.h"
#include "rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char path[40], err[120], host[256];
	int fd = memfd_create("rules", 0);
	struct rules *r;

	if (fd < 0 || write(fd, p, n) != (ssize_t)n)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	err[0] = 0;
	r = rules_load(path, err, sizeof(err));
	close(fd);
	if (!r) {
		if (!err[0] || strchr(err, '\n'))
			abort();
		return 0;
	}
	n = n < sizeof(host) - 1 ? n : sizeof(host) - 1;
	memcpy(host, p, n);
	host[n] = 0;
	rules_host(r, host);
	for (unsigned i = 0; i < rules_apps(r); i++)
		rules_channel(r, i, i % WEIR_L7_COUNT);
	rules_free(r);
	return 0;
}
