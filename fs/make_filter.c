/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writes seccomp_filters.h: the system calls that dirdisk's processes may make,
 * as filters of seccomp(2) for one architecture. It runs when dirdisk is built,
 * since libseccomp crashes, loops or leaves calls out when memory runs out.
 *
 *     make_filter ARCHITECTURE > seccomp_filters.h
 */
#include <errno.h>
#include <linux/filter.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/syscall.h>

#include "base/math.h"
#include "base/xattr_calls.h"

/* System calls by name: each architecture has some of them. */
static const char *const of_worker[] = {
	/* files */
	"read", "readv", "pread64", "preadv", "preadv2", "write", "writev",
	"pwrite64", "pwritev", "pwritev2", "open", "openat", "openat2", "close",
	"fstat", "fstat64", "stat", "lstat", "newfstatat", "fstatat64", "statx",
	"fstatfs", "fstatfs64", "lseek", "_llseek", "readlink", "readlinkat",
	"access", "faccessat", "faccessat2", "fcntl", "fcntl64", "dup", "dup3",
	"ftruncate", "ftruncate64", "fallocate", "fsync", "fdatasync", "unlink",
	"unlinkat", "getdents64", "fadvise64", "fadvise64_64",
	"sync_file_range", "copy_file_range", "statfs", "statfs64", "getxattr",
	"lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr",
	"memfd_create",
	/* changes */
	"inotify_init1", "inotify_add_watch", "inotify_rm_watch",
	/* memory */
	"brk", "mmap", "mmap2", "munmap", "mremap", "mprotect", "madvise",
	"mincore",
	/* threads */
	"exit", "exit_group", "futex", "futex_time64", "set_robust_list",
	"rseq", "gettid", "getpid", "getppid", "tgkill", "sched_yield",
	"sched_getaffinity", "membarrier", "restart_syscall", "set_tid_address",
	/* signals, time, identity, random numbers */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn",
	"sigaltstack", "clock_gettime", "clock_gettime64", "clock_getres",
	"clock_getres_time64", "clock_nanosleep", "clock_nanosleep_time64",
	"nanosleep", "gettimeofday", "time", "getuid", "geteuid", "getgid",
	"getegid", "getuid32", "geteuid32", "getgid32", "getegid32",
	"getrlimit", "ugetrlimit", "getrandom", "sysinfo", "uname",
	/* a child for libparted */
	"wait4", "waitpid", "alarm", "setitimer",
	/* messages to the supervisor */
	"sendmsg", "sendto", "recvmsg", "poll", "ppoll", "ppoll_time64"
};

/* What follows a link or a path, and opens what it leads to. */
static const char *const of_opener[] = {
	"open",		  "openat",	  "openat2",	"close",
	"fstat",	  "fstat64",	  "newfstatat", "fstatat64",
	"statx",	  "readlink",	  "readlinkat", "fcntl",
	"fcntl64",	  "recvmsg",	  "recvfrom",	"recv",
	"sendmsg",	  "brk",	  "mmap",	"mmap2",
	"munmap",	  "mremap",	  "getrandom",	"geteuid",
	"geteuid32",	  "getpid",	  "gettid",	"tgkill",
	"rt_sigprocmask", "rt_sigreturn", "sigreturn",	"restart_syscall",
	"exit",		  "exit_group"
};

/* The namespaces that a clone can make. */
#define NAMESPACES                                                        \
	(0x00000080 /* CLONE_NEWTIME */ | CLONE_NEWNS | CLONE_NEWCGROUP | \
	 CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |     \
	 CLONE_NEWNET)

static void fail(const char *what, int err)
{
	fprintf(stderr, "make_filter: %s: %s\n", what, strerror(-err));
	exit(1);
}

/* Only a call that the architecture does not have may be left out. */
static void allow(scmp_filter_ctx filter, const char *name, int number,
		  unsigned n, const struct scmp_arg_cmp *arguments)
{
	int r = number == __NR_SCMP_ERROR
			? 0
			: seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number,
						 n, arguments);

	if (r < 0 && r != -EDOM && r != -EINVAL)
		fail(name, r);
}

static void allow_special(scmp_filter_ctx filter, bool flags_second)
{
	/*
	 * Threads and children, but no namespaces. A filter cannot see the
	 * flags of clone3, so that is refused: the C library does without it.
	 */
	const struct scmp_arg_cmp no_namespaces =
		SCMP_CMP64(flags_second, SCMP_CMP_MASKED_EQ, NAMESPACES, 0);
	const struct scmp_arg_cmp own_files = SCMP_A0(SCMP_CMP_EQ, CLONE_FILES,
						      0);
	/* libdevmapper, which comes with libparted, says if there are none. */
	const struct scmp_arg_cmp semaphores = SCMP_A2_32(SCMP_CMP_EQ, SEM_INFO,
							  0);
	/* Its own limits may be read, but not set. */
	const struct scmp_arg_cmp own_limits[] = {
		SCMP_A0_32(SCMP_CMP_EQ, 0, 0),
		SCMP_A2(SCMP_CMP_EQ, 0, 0),
	};

	allow(filter, "clone", SCMP_SYS(clone), 1, &no_namespaces);
	allow(filter, "unshare", SCMP_SYS(unshare), 1, &own_files);
	/*
	 * Calls that libseccomp may be too old to know: by number, which it
	 * accepts only for the machine's own architecture.
	 */
	seccomp_rule_add(filter, SCMP_ACT_ALLOW, SYS_getxattrat, 0);
	seccomp_rule_add(filter, SCMP_ACT_ALLOW, SYS_listxattrat, 0);
	allow(filter, "semctl", SCMP_SYS(semctl), 1, &semaphores);
	allow(filter, "prlimit64", SCMP_SYS(prlimit64), 2, own_limits);
}

static scmp_filter_ctx make(uint32_t arch, const char *const *names, size_t n)
{
	/* ENOSYS, as on an older kernel: the C library then uses older calls.
	 */
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	uint32_t native = seccomp_arch_native();

	if (!filter)
		fail("seccomp_init", -ENOMEM);
	if (arch != native && (seccomp_arch_remove(filter, native) < 0 ||
			       seccomp_arch_add(filter, arch) < 0))
		fail("the architecture", -EINVAL);
	for (size_t i = 0; i < n; i++)
		allow(filter, names[i], seccomp_syscall_resolve_name(names[i]),
		      0, NULL);
	return filter;
}

static void print(const char *name, scmp_filter_ctx filter)
{
	struct sock_filter one;
	FILE *f = tmpfile();
	int r = f ? seccomp_export_bpf(filter, fileno(f)) : -errno;

	if (r < 0)
		fail(name, r);
	rewind(f);
	printf("static const struct sock_filter %s[] = {\n", name);
	while (fread(&one, sizeof(one), 1, f) == 1)
		printf("\t{ 0x%04x, %u, %u, 0x%08x },\n", one.code, one.jt,
		       one.jf, one.k);
	puts("};");
	fclose(f);
	seccomp_release(filter);
}

int main(int argc, char *argv[])
{
	uint32_t arch = argc == 2 ? seccomp_arch_resolve_name(argv[1]) : 0;
	scmp_filter_ctx worker;

	if (!arch)
		fail(argc == 2 ? argv[1] : "one architecture", -EINVAL);
	worker = make(arch, of_worker, ARRAY_SIZE(of_worker));
	allow_special(worker, strncmp(argv[1], "s390", 4) == 0);
	puts("#include <linux/filter.h>\n");
	print("worker_filter", worker);
	print("opener_filter", make(arch, of_opener, ARRAY_SIZE(of_opener)));
	return 0;
}
