/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/xattr_calls.h"

/* ---- Landlock: what may be changed, and where ---- */

/* Rights that headers may not know yet, by the version that brought them. */
#define RIGHT_REFER    (1ULL << 13) /* 2 */
#define RIGHT_TRUNCATE (1ULL << 14) /* 3 */

#define RIGHTS_FILE (LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_TRUNCATE)
/* A file without a name, or one that is removed at once. */
#define RIGHTS_TMP                                   \
	(RIGHTS_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define RIGHTS_ALL                                                      \
	(RIGHTS_TMP | RIGHT_REFER | LANDLOCK_ACCESS_FS_EXECUTE |        \
	 LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK |   \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | \
	 LANDLOCK_ACCESS_FS_MAKE_SYM)

static void allow_beneath(int rules, int fd, uint64_t rights)
{
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = rights,
		.parent_fd = fd,
	};

	syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH,
		&beneath, 0);
}

static void confine_files(int tmp_fd)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION);
	uint64_t known = ~(version < 2 ? RIGHT_REFER : 0) &
			 ~(version < 3 ? RIGHT_TRUNCATE : 0);
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = RIGHTS_ALL & known,
	};
	_cleanup_close_ int fuse = open("/dev/fuse", O_PATH | O_CLOEXEC);
	_cleanup_close_ int rules = -1;

	if (version < 1)
		return;
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr),
			     0);
	if (rules < 0)
		return;
	if (tmp_fd >= 0)
		allow_beneath(rules, tmp_fd, RIGHTS_TMP & known);
	/* Threads open it for channels of their own. */
	if (fuse >= 0)
		allow_beneath(rules, fuse, RIGHTS_FILE & known);
	syscall(SYS_landlock_restrict_self, rules, 0);
}

/* ---- seccomp: system calls ---- */

/* By name: each architecture has its own selection. */
static const char *const allowed[] = {
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
	"clone", "clone3", "exit", "exit_group", "futex", "futex_time64",
	"set_robust_list", "rseq", "gettid", "getpid", "getppid", "tgkill",
	"sched_yield", "sched_getaffinity", "membarrier", "restart_syscall",
	"set_tid_address",
	/* signals, time, identity, chance */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn",
	"sigaltstack", "clock_gettime", "clock_gettime64", "clock_getres",
	"clock_getres_time64", "clock_nanosleep", "clock_nanosleep_time64",
	"nanosleep", "gettimeofday", "time", "getuid", "geteuid", "getgid",
	"getegid", "getuid32", "geteuid32", "getgid32", "getegid32",
	"getrlimit", "ugetrlimit", "getrandom", "sysinfo", "uname",
	/* messages to the supervisor */
	"sendmsg", "sendto", "recvmsg", "poll", "ppoll", "ppoll_time64"
};

static void allow_special(scmp_filter_ctx filter)
{
	/* Of newer kernels than libseccomp may know. */
	seccomp_rule_add(filter, SCMP_ACT_ALLOW, SYS_getxattrat, 0);
	seccomp_rule_add(filter, SCMP_ACT_ALLOW, SYS_listxattrat, 0);
	/* libfuse's threads ask for a channel of their own. */
	seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			 SCMP_A1_32(SCMP_CMP_EQ, FUSE_DEV_IOC_CLONE));
	/* Limits of its own may be read, none set. */
	seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
			 SCMP_A0_32(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
}

static void confine_calls(void)
{
	/* What a newer C library tries first looks like an older kernel. */
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));

	if (!filter)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		int number = seccomp_syscall_resolve_name(allowed[i]);

		if (number != __NR_SCMP_ERROR)
			seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
	}
	allow_special(filter);
	seccomp_load(filter);
	seccomp_release(filter);
}

/* Sanitizers look into the process with calls of all kinds. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

void confine_worker(int tmp_fd)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return;
	confine_files(tmp_fd);
	if (!SANITIZED)
		confine_calls();
}
