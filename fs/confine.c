/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/apart.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/math.h"
#include "base/xattr_calls.h"

/* Sanitizers make calls of all kinds, and write reports into files. */
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

/* ---- capabilities ---- */

/* Nothing gives back what is dropped, not even another program of root's. */
#define SECURE_BITS                                                       \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED | \
	 SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |         \
	 SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

void confine_capabilities(bool trusted)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	/*
	 * To read files of others, not to touch their access times (O_NOATIME),
	 * and to know whether somebody can write to them (io_has_writer). What
	 * else the last two allow, the system calls that are left do not.
	 */
	const uint64_t keep = 1ULL << CAP_DAC_READ_SEARCH | 1ULL << CAP_FOWNER |
			      1ULL << CAP_LEASE |
			      (trusted ? 1ULL << CAP_SYS_ADMIN : 0);
	struct __user_cap_data_struct data[2];

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap);
	prctl(PR_SET_SECUREBITS, SECURE_BITS);
	if (syscall(SYS_capget, &header, data) < 0)
		return;
	for (unsigned i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(keep >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	syscall(SYS_capset, &header, data);
}

/* ---- Landlock: what may be read and changed, and where ---- */

/* Rights that headers may not know yet, by the version that brought them. */
#define RIGHT_REFER    (1ULL << 13) /* 2 */
#define RIGHT_TRUNCATE (1ULL << 14) /* 3 */

#define RIGHTS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RIGHTS_FILE                                                     \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
	 RIGHT_TRUNCATE)
/* A file without a name, or one that is removed at once. */
#define RIGHTS_TMP                                                 \
	(RIGHTS_READ | RIGHTS_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define RIGHTS_CHANGE                                                   \
	(RIGHT_REFER | RIGHT_TRUNCATE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
	 LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_FILE |  \
	 LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |  \
	 LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |   \
	 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |  \
	 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

struct rules {
	int fd; /* -1: this kernel has none */
	uint64_t handled;
};

static void rules_begin(struct rules *rules, uint64_t rights)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = rights & ~(version < 2 ? RIGHT_REFER : 0) &
				     ~(version < 3 ? RIGHT_TRUNCATE : 0),
	};

	*rules = (struct rules){
		.fd = version < 1 ? -1
				  : (int)syscall(SYS_landlock_create_ruleset,
						 &attr, sizeof(attr), 0),
		.handled = attr.handled_access_fs,
	};
}

static void rules_allow(const struct rules *rules, int fd, uint64_t rights)
{
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = rights & rules->handled,
		.parent_fd = fd,
	};

	if (rules->fd >= 0 && fd >= 0)
		syscall(SYS_landlock_add_rule, rules->fd,
			LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
}

static void rules_end(struct rules *rules)
{
	if (rules->fd >= 0)
		syscall(SYS_landlock_restrict_self, rules->fd, 0);
	base_closep(&rules->fd);
}

static void confine_files(const struct confine_files *files)
{
	struct rules rules;

	rules_begin(&rules, RIGHTS_READ | RIGHTS_CHANGE);
	rules_allow(&rules, files->src_fd, RIGHTS_READ);
	rules_allow(&rules, files->tmp_fd, RIGHTS_TMP);
	rules_end(&rules);
}

/* ---- seccomp: system calls ---- */

/* Of bytes; the kernel takes 4096 instructions of 8. */
#define MAX_FILTER 32768u

/* By name: each architecture has its own selection. */
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
	/* signals, time, identity, chance */
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

/* All that a clone may bring into being in place of the caller's. */
#define NAMESPACES                                                        \
	(0x00000080 /* CLONE_NEWTIME */ | CLONE_NEWNS | CLONE_NEWCGROUP | \
	 CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |     \
	 CLONE_NEWNET)
#ifdef __s390__
#define CLONE_FLAGS SCMP_A1
#else
#define CLONE_FLAGS SCMP_A0
#endif

/* The calls that a filter allows, and where to it is written. */
struct filter {
	const char *const *allowed;
	size_t n;
	bool special; /* allows some more, with certain arguments */
	int fd;
};

/* A call that this architecture does not have is left out, no other. */
static int allow(scmp_filter_ctx filter, int number, unsigned n,
		 const struct scmp_arg_cmp *arguments)
{
	int r = number == __NR_SCMP_ERROR
			? 0
			: seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number,
						 n, arguments);

	return r == -ENOMEM || r == -EFAULT ? r : 0;
}

static int allow_special(scmp_filter_ctx filter)
{
	/*
	 * Threads and children, and no namespaces. What clone3 is asked for
	 * cannot be seen from here: the C library does without it.
	 */
	const struct scmp_arg_cmp no_namespaces =
		CLONE_FLAGS(SCMP_CMP_MASKED_EQ, NAMESPACES, 0);
	const struct scmp_arg_cmp own_files = SCMP_A0(SCMP_CMP_EQ, CLONE_FILES);
	/* libdevmapper, which comes with libparted, says if there are none. */
	const struct scmp_arg_cmp semaphores = SCMP_A2_32(SCMP_CMP_EQ,
							  SEM_INFO);
	/* Limits of its own may be read, none set. */
	const struct scmp_arg_cmp own_limits[] = {
		SCMP_A0_32(SCMP_CMP_EQ, 0),
		SCMP_A2(SCMP_CMP_EQ, 0),
	};
	const struct {
		int number;
		unsigned n;
		const struct scmp_arg_cmp *arguments;
	} calls[] = {
		{ SCMP_SYS(clone), 1, &no_namespaces },
		{ SCMP_SYS(unshare), 1, &own_files },
		/* Of newer kernels than libseccomp may know. */
		{ SYS_getxattrat, 0, NULL },
		{ SYS_listxattrat, 0, NULL },
		{ SCMP_SYS(semctl), 1, &semaphores },
		{ SCMP_SYS(prlimit64), 2, own_limits },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(calls); i++)
		r = allow(filter, calls[i].number, calls[i].n,
			  calls[i].arguments);
	return r;
}

/*
 * In a child: where libseccomp is short of memory it crashes, loops, or writes
 * a filter with gaps and says that all is well.
 */
static int filter_write(void *context)
{
	const struct filter *f = context;
	/* What a newer C library tries first looks like an older kernel. */
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r = filter ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < f->n; i++)
		r = allow(filter, seccomp_syscall_resolve_name(f->allowed[i]),
			  0, NULL);
	if (r == 0 && f->special)
		r = allow_special(filter);
	return r < 0 ? r : seccomp_export_bpf(filter, f->fd);
}

/* Whether every call that is allowed is compared with somewhere. */
static bool filter_is_whole(const struct filter *f,
			    const struct sock_fprog *program)
{
	for (size_t i = 0; i < f->n; i++) {
		int number = seccomp_syscall_resolve_name(f->allowed[i]);
		unsigned at = 0;

		/* Negative: of another architecture. */
		while (number >= 0 && at < program->len &&
		       (program->filter[at].code !=
				(BPF_JMP | BPF_JEQ | BPF_K) ||
			program->filter[at].k != (uint32_t)number))
			at++;
		if (number >= 0 && at == program->len)
			return false;
	}
	return true;
}

static int confine_calls(const char *const *allowed, size_t n, bool special)
{
	_cleanup_close_ int fd = memfd_create("filter", MFD_CLOEXEC);
	struct filter f = { allowed, n, special, fd };
	_cleanup_free_ uint8_t *bytes = NULL;
	struct sock_fprog program;
	size_t len;
	int r = fd < 0 ? -errno : apart_run(filter_write, &f);

	if (r == 0)
		r = io_read_file(fd, MAX_FILTER, &bytes, &len);
	if (r < 0)
		return r == -ECHILD ? -ENOMEM : r;
	program.len = (unsigned short)(len / sizeof(struct sock_filter));
	program.filter = (struct sock_filter *)bytes;
	if (!filter_is_whole(&f, &program))
		return -ENOMEM;
	/* A kernel without filters: as good as it can be. */
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
	return 0;
}

int confine_worker(const struct confine_files *files)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 0;
	if (SANITIZED)
		return 0;
	confine_files(files);
	return confine_calls(of_worker, ARRAY_SIZE(of_worker), true);
}

int confine_opener(void)
{
	struct rules rules;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 0;
	if (SANITIZED)
		return 0;
	rules_begin(&rules, RIGHTS_CHANGE);
	rules_end(&rules);
	return confine_calls(of_opener, ARRAY_SIZE(of_opener), false);
}
