/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_GRUB_H
#define BOOT_GRUB_H

/*
 * What was found of GRUB: the two images that go in front of the first
 * partition, and the files that go into it.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "boot/grub_files.h"
#include "imgcore/boot.h"

#define SECTOR 512u
/* Where GRUB looks for its files, on the first partition. */
#define GRUB_MODULES "boot/grub/i386-pc"
#define GRUB_FONTS   "boot/grub/fonts"
/* The usual gap: sectors 1 to 2047. */
#define CORE_MAX (2047u * SECTOR)
/* GRUB's first sector, and at least one of what that one loads. */
#define CORE_MIN (2u * SECTOR)

struct boot_grub {
	int dir_fd; /* while GRUB is read; afterwards -1 */
	int font_fd; /* the directory of its font, likewise; -1: none */
	char *dir;
	char *core_name; /* for messages */
	uint8_t boot[SECTOR];
	uint8_t *core; /* zero padded to core_size, whole sectors */
	size_t core_size;
	/* core is the user's, or contains all modules of the menu. */
	bool self_contained;
	struct grub_files *files;
};

DEFINE_CLEANUP(struct boot_grub, boot_grub_free)
#define _cleanup_grub_ _cleanup_(boot_grub_freep)

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
int core_start(struct core_tool *tool, const char *dir, int dir_fd, bool all,
	       struct diag *diag);
int core_finish(struct core_tool *tool, uint8_t **ret_bytes, size_t *ret_len,
		struct diag *diag);
void core_tool_release(struct core_tool *tool);

#endif
