/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * core.img by grub-mkimage, which writes it to a file in memory: no shell and
 * no temporary file; its messages go to the diagnostic.
 *
 * The prefix names no drive, so GRUB takes the one it was started from.
 */
#include "boot/core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/math.h"
#include "base/spawn.h"
#include "imgcore/diag.h"
#include "imgcore/paths.h"
#include "imgcore/target.h"

#define MODULES_MAX 32u /* of a target */
#define TOOL	    "grub-mkimage"

/* The tool's name where the package calls it grub, and where it is grub2. */
static const char *const tools[] = { TOOL, "grub2-mkimage" };

static int tool_missing(struct diag *diag)
{
	return diag_set(diag, -ENOENT, TOOL,
			"not installed; install the package grub-common, or "
			"mount with --no-grub");
}

/* Fails with the tool's message as one line. */
static int tool_failed(const struct core_tool *tool, int status,
		       struct diag *diag)
{
	char message[SPAWN_MESSAGE_MAX];

	spawn_message(tool->err, message);
	if (WIFSIGNALED(status))
		return diag_set(diag, -EIO, tool->name,
				"killed by signal %d %s", WTERMSIG(status),
				message);
	/* A wrapper that does not find the tool ends so. */
	if (WEXITSTATUS(status) == 127 && !*message)
		return tool_missing(diag);
	return diag_set(diag, -EIO, tool->name, "%s",
			*message ? message : "failed and does not say why");
}

/*
 * Adds the installed ones of the modules to argv, from argv[n]: all of them, or
 * those that find the others.
 */
static int modules_add(const char **argv, size_t n,
		       const struct boot_target *target, const char *dir,
		       int dir_fd, bool all, struct diag *diag)
{
	const char *const *modules = target->modules;

	for (size_t i = 0; modules[i] && (all || i < target->n_required); i++) {
		char name[64];
		struct stat st;
		int exists;

		snprintf(name, sizeof(name), "%s.mod", modules[i]);
		exists = io_stat_at(dir_fd, name, 0, &st);
		if (exists < 0)
			return diag_set(diag, exists, dir,
					"%s cannot be looked for: %s", name,
					strerror(-exists));
		if (exists && (all || i < target->n_finders))
			argv[n++] = modules[i];
		else if (!exists && i < target->n_required)
			return diag_set(diag, -ENOENT, dir,
					"has no %s, without which GRUB cannot "
					"find its menu; give another "
					"--grub-dir, or --no-grub",
					name);
	}
	argv[n] = NULL;
	return 0;
}

void core_tool_release(struct core_tool *tool)
{
	if (tool->pid > 0) {
		while (waitpid(tool->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	base_closep(&tool->out);
	base_closep(&tool->err);
	*tool = (struct core_tool)CORE_TOOL_INIT;
}

int core_start(struct core_tool *tool, const struct boot_target *target,
	       const char *dir, int dir_fd, bool all, struct diag *diag)
{
	char prefix[64];
	const char *argv[8 + MODULES_MAX] = {
		TOOL, "-O", target->platform, "-d", dir, "-p", prefix,
	};
	int r = modules_add(argv, 7, target, dir, dir_fd, all, diag);

	if (r < 0)
		return r;
	snprintf(prefix, sizeof(prefix), "(,%s1)/" PATH_GRUB,
		 target->partition_map);
	tool->out = spawn_output("core.img");
	tool->err = spawn_output("grub-mkimage's messages");
	r = tool->out < 0 ? tool->out : tool->err < 0 ? tool->err : -ENOENT;
	for (size_t i = 0; r == -ENOENT && i < ARRAY_SIZE(tools); i++) {
		argv[0] = tools[i];
		r = spawn_tool(argv, tool->out, tool->err, &tool->pid);
	}
	tool->name = argv[0];
	if (r == -ENOENT)
		return tool_missing(diag);
	return r < 0 ? diag_set(diag, r, TOOL, NULL) : 0;
}

int core_finish(struct core_tool *tool, uint8_t **ret_bytes, size_t *ret_len,
		struct diag *diag)
{
	int status;
	int r;

	while (waitpid(tool->pid, &status, 0) < 0)
		if (errno != EINTR)
			return diag_set(diag, -errno, TOOL,
					"cannot be waited for: %s",
					strerror(errno));
	tool->pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return tool_failed(tool, status, diag);
	r = io_read_file(tool->out, CORE_MAX, ret_bytes, ret_len);
	return r < 0 ? diag_set(diag, r, TOOL,
				"its core.img cannot be used: %s", strerror(-r))
		     : 0;
}
