/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_CORE_H
#define BOOT_CORE_H

/* core.img, made by grub-mkimage. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/units.h"

struct boot_target;
struct diag;

/* The usual gap: sectors 1 to 2047. */
#define CORE_MAX (2047u * SECTOR)
/* GRUB's first sector, and at least one that it loads. */
#define CORE_MIN (2u * SECTOR)

/*
 * core.img from grub-mkimage, with all of GRUB's modules that a menu needs, or
 * with those alone that find the others on the disk. dir_fd and dir are the
 * directory they are in. core_finish waits for the program that core_start
 * started; the caller frees bytes. core_tool_release must be called in any
 * case.
 */
struct core_tool {
	const char *name;
	pid_t pid; /* 0: it does not run */
	int out; /* its standard output */
	int err; /* its standard error */
};
#define CORE_TOOL_INIT               \
	{                            \
		.out = -1, .err = -1 \
	}
int core_start(struct core_tool *tool, const struct boot_target *target,
	       const char *dir, int dir_fd, bool all, struct diag *diag);
int core_finish(struct core_tool *tool, uint8_t **ret_bytes, size_t *ret_len,
		struct diag *diag);
void core_tool_release(struct core_tool *tool);

#endif
