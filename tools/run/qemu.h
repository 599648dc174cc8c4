/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_QEMU_H
#define RUN_QEMU_H

/*
 * QEMU's command lines, and its starts.
 *
 * Errors: negative errno.
 */

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct child;
struct run_options;

struct qemu_run {
	const char *mount_dir;
	const char *disk; /* its path */
	bool kvm;
	bool terminal; /* standard input is one */
	const sigset_t *mask; /* of signals that it starts with blocked */
	pid_t group; /* the process group */
};

/*
 * Starts QEMU with the disk; the user's own arguments come last. *ret_out: a
 * pipe that its output comes from; a read does not block.
 */
int qemu_start(struct child *ret_child, int *ret_out,
	       const struct run_options *options, const struct qemu_run *run);

/*
 * Starts a QEMU that runs a boot sector by KVM, and ends with QEMU_PROBE_STATUS
 * if that works.
 */
int qemu_probe_start(struct child *ret_child, const struct run_options *options,
		     const sigset_t *mask);
#define QEMU_PROBE_STATUS 33

/* Whether the user's arguments say how QEMU is to run: then we do not. */
bool qemu_accel_given(const struct run_options *options);

#endif
