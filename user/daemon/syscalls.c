// SPDX-License-Identifier: GPL-2.0-or-later
#include "syscalls.h"

#include <errno.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define CALL(name) SCMP_SYS(name)

static const int allowed[] = {
	/* the loop */
	CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_ctl), CALL(epoll_create1), CALL(poll),
	CALL(ppoll), CALL(read), CALL(readv), CALL(write), CALL(writev), CALL(close),
	CALL(timerfd_create), CALL(timerfd_settime), CALL(signalfd4), CALL(clock_gettime),
	CALL(clock_nanosleep), CALL(gettimeofday), CALL(time), CALL(rt_sigprocmask), CALL(rt_sigaction),
	CALL(rt_sigreturn), CALL(sigreturn), CALL(restart_syscall), CALL(bpf), CALL(membarrier),
	CALL(eventfd2),
	/* memory */
	CALL(brk), CALL(munmap), CALL(mremap), CALL(madvise), CALL(futex), CALL(getrandom),
	/* log, history, evidence, metrics */
	CALL(open), CALL(openat), CALL(pread64), CALL(pwrite64), CALL(lseek), CALL(_llseek),
	CALL(fstat), CALL(fstat64), CALL(stat), CALL(stat64), CALL(lstat), CALL(lstat64),
	CALL(newfstatat), CALL(fstatat64), CALL(statx), CALL(statfs), CALL(fstatfs), CALL(access),
	CALL(faccessat), CALL(faccessat2), CALL(getcwd), CALL(readlink), CALL(readlinkat),
	CALL(ftruncate), CALL(ftruncate64), CALL(fallocate), CALL(fsync), CALL(fdatasync), CALL(flock),
	CALL(fcntl), CALL(fcntl64), CALL(rename), CALL(renameat), CALL(renameat2), CALL(unlink),
	CALL(unlinkat), CALL(mkdir), CALL(mkdirat), CALL(getdents64), CALL(fchmod), CALL(umask),
	CALL(dup), CALL(dup3), CALL(pipe2), CALL(utimensat), CALL(fadvise64),
	/* clients, scrapers, netlink */
	CALL(bind), CALL(listen), CALL(accept4), CALL(connect), CALL(getsockname), CALL(getpeername),
	CALL(setsockopt), CALL(getsockopt), CALL(sendto), CALL(sendmsg), CALL(recvfrom),
	CALL(recvmsg), CALL(shutdown), CALL(sendfile), CALL(sendfile64),
	/* who and where we are; rights once more after a reload can only get fewer */
	CALL(getpid), CALL(gettid), CALL(getuid), CALL(geteuid), CALL(getgid), CALL(getegid),
	CALL(uname), CALL(sysinfo), CALL(getrusage), CALL(prlimit64), CALL(getrlimit),
	CALL(ugetrlimit), CALL(capget), CALL(capset), CALL(sched_getaffinity), CALL(sched_yield),
	/* the end */
	CALL(exit), CALL(exit_group), CALL(tgkill),
};

/* Sockets of these families only; none of them sees packets. */
static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };

static int allow_some(scmp_filter_ctx f)
{
	int err = 0;

	for (unsigned i = 0; !err && i < sizeof(families) / sizeof(*families); i++)
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				       SCMP_A0(SCMP_CMP_EQ, families[i]));
	/* Maps of the ring and of files, never code. */
	if (!err)
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!err)
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap2), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!err)
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* rights_drop(): no_new_privs, the bounding and the ambient set. */
	for (int op = 0; !err && op < 4; op++) {
		static const int ops[] = { PR_SET_NO_NEW_PRIVS, PR_CAPBSET_READ, PR_CAPBSET_DROP,
					   PR_CAP_AMBIENT };

		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				       SCMP_A0(SCMP_CMP_EQ, ops[op]));
	}
	/* Is it a terminal; how much waits. */
	for (int op = 0; !err && op < 3; op++) {
		static const unsigned ops[] = { TCGETS, FIONREAD, FIONBIO };

		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, ops[op]));
	}
	return err;
}

int syscalls_daemon(void)
{
	static bool done;
	scmp_filter_ctx f;
	int err = 0;

	if (done)
		return 0;
	f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!f)
		return -ENOMEM;
	for (unsigned i = 0; !err && i < sizeof(allowed) / sizeof(*allowed); i++) {
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
		/* Of another architecture. */
		if (err == -EDOM || err == -EINVAL)
			err = 0;
	}
	if (!err)
		err = allow_some(f);
	if (!err)
		err = seccomp_load(f);
	seccomp_release(f);
	done = !err;
	return err;
}
