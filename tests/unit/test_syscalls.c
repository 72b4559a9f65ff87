// SPDX-License-Identifier: GPL-2.0-or-later
/* The daemon's filter of system calls: what it forbids is forbidden, what the loop does goes on. Each in a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "syscalls.h"

static bool refused(long result)
{
	return result < 0 && errno == EPERM;
}

static bool runs_nothing(void)
{
	char *argv[] = { "/bin/true", NULL };

	return refused(execve(*argv, argv, argv + 1)) && refused(syscall(SYS_fork)) && refused(syscall(SYS_vfork));
}

static bool looks_at_nobody(void)
{
	return refused(ptrace(PTRACE_TRACEME, 0, 0, 0)) && refused(kill(getpid(), 0)) &&
	       refused(syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0)) &&
	       refused(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0));
}

static bool hears_no_packets(void)
{
	int fd;

	if (!refused(socket(AF_PACKET, SOCK_RAW, 0)) || !refused(socket(AF_VSOCK, SOCK_STREAM, 0)))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	return fd >= 0 && !close(fd);
}

static bool makes_no_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED && refused(mprotect(p, 4096, PROT_READ | PROT_EXEC)) &&
	       refused((long)mmap(NULL, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static bool becomes_nobody_else(void)
{
	return refused(syscall(SYS_setuid, 0)) && refused(syscall(SYS_mount, 0, 0, 0, 0, 0)) &&
	       refused(syscall(SYS_unshare, 0)) && refused(syscall(SYS_setns, 0, 0)) &&
	       refused(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static bool files_go_on(void)
{
	char byte;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, &byte, 1) == 1 && !close(fd) && !syscalls_daemon();
}

static void under_the_filter(bool (*test)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscalls_daemon())
			syscall(SYS_exit_group, 2);
		/* Not _exit(): the sanitizer would make system calls of its own before it. */
		syscall(SYS_exit_group, test() ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 2)
		skip(); /* a kernel without seccomp filters */
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define UNDER(name)                                                                                \
	static void name##_test(void **state)                                                      \
	{                                                                                          \
		under_the_filter(name);                                                            \
	}
UNDER(runs_nothing)
UNDER(looks_at_nobody)
UNDER(hears_no_packets)
UNDER(makes_no_code)
UNDER(becomes_nobody_else)
UNDER(files_go_on)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_nothing_test), cmocka_unit_test(looks_at_nobody_test),
		cmocka_unit_test(hears_no_packets_test), cmocka_unit_test(makes_no_code_test),
		cmocka_unit_test(becomes_nobody_else_test), cmocka_unit_test(files_go_on_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
