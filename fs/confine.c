/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/math.h"
#include <seccomp_filters.h> /* made by make_filter.c */

/* Sanitizers make many system calls, and write reports to files. */
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

/* Nothing restores a dropped capability, not even exec as root. */
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
	 * To read other users' files, to leave their access times unchanged
	 * (O_NOATIME), and to find out whether they have a writer
	 * (io_has_writer). The filter forbids what else the last two allow.
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

int confine_access(int fd, int mode)
{
	const uint32_t override = 1u << CAP_DAC_OVERRIDE;
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	bool drop = syscall(SYS_capget, &header, data) == 0 &&
		    (data[0].effective & override);
	int r;

	if (drop) {
		data[0].effective &= ~override;
		drop = syscall(SYS_capset, &header, data) == 0;
	}
	r = faccessat(fd, ".", mode, AT_EACCESS) < 0 ? -errno : 0;
	if (drop) {
		data[0].effective |= override;
		syscall(SYS_capset, &header, data);
	}
	return r;
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

/* The filters are made by make_filter.c when the program is built. */
static void confine_calls(const struct sock_filter *filter, size_t n)
{
	const struct sock_fprog program = {
		.len = (unsigned short)n,
		.filter = (struct sock_filter *)filter,
	};

	/* An error means that the kernel has no filters: the disk is served. */
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

void confine_worker(const struct confine_files *files)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || SANITIZED)
		return;
	confine_files(files);
	confine_calls(worker_filter, ARRAY_SIZE(worker_filter));
}

void confine_opener(void)
{
	struct rules rules;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || SANITIZED)
		return;
	rules_begin(&rules, RIGHTS_CHANGE);
	rules_end(&rules);
	confine_calls(opener_filter, ARRAY_SIZE(opener_filter));
}
