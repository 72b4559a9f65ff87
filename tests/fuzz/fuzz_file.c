/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole capture file, pcap, pcapng or gzipped, through the engine, the model and every detector. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "file.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* In place of user/error.c: nearly every input is broken, and says so. */
int verbosity;

int fail(int code, const char *format, ...)
{
	return code;
}

const char *fail_text(void)
{
	return "";
}

void notice(const char *format, ...)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct pipeline_config cfg = { .sensitivity = SENSITIVITY_NORMAL };
	struct totals t;
	struct pipeline *pipe;
	uint64_t sum;
	char path[32];
	int fd = memfd_create("capture", 0);

	if (fd < 0 || write(fd, p, n) != (ssize_t)n)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	pipe = pipeline_new(&cfg);
	if (!pipe)
		abort();
	file_analyze(pipe, path, NULL, 64, 0, &t);
	sum = t.c.in_flows;
	for (int i = 0; i < WEIR_ELSEWHERE; i++)
		sum += t.c.elsewhere[i];
	if (sum != t.c.seen)
		abort();
	pipeline_finish(pipe, &t);
	pipeline_free(pipe);
	close(fd);
	return 0;
}
