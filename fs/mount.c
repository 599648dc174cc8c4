/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <fuse_lowlevel.h>

#include "base/cleanup.h"
#include "imgcore/diag.h"
#include "mount_options.h"
#include "tree/mount_type.h"

/* The device's number, the same everywhere: MISC_MAJOR, FUSE_MINOR. */
#define FUSE_MAJOR 10
#define FUSE_MINOR 229

static int add_named(char **list, const char *name, const char *value)
{
	_cleanup_free_ char *option = NULL;

	if (asprintf(&option, "%s=%s", name, value) < 0)
		return -1;
	return fuse_opt_add_opt_escaped(list, option);
}

int mount_list(const struct mount_options *options, const char *source,
	       char **ret_list)
{
	_cleanup_free_ char *list = NULL;
	char max_read[16];

	snprintf(max_read, sizeof(max_read), "%u", MOUNT_MAX_READ);
	if ((options->list && fuse_opt_add_opt(&list, options->list) < 0) ||
	    fuse_opt_add_opt(&list, "default_permissions") < 0 ||
	    add_named(&list, "max_read", max_read) < 0 ||
	    (!options->fsname && add_named(&list, "fsname", source) < 0) ||
	    add_named(&list, "subtype", DISK_SUBTYPE) < 0)
		return -ENOMEM;
	*ret_list = take_ptr(list);
	return 0;
}

/* ---- why a mount failed ---- */

/*
 * libfuse and fusermount3 tell the reason to standard error only: it is a file
 * in memory for as long as they run.
 */
struct capture {
	int memory;
	int saved;
};

static void capture_begin(struct capture *capture)
{
	capture->memory = memfd_create("messages", MFD_CLOEXEC);
	capture->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (capture->memory >= 0 && capture->saved >= 0)
		dup2(capture->memory, STDERR_FILENO);
}

static void capture_end(struct capture *capture, char *ret_text, size_t size)
{
	ssize_t n = -1;

	fflush(stderr);
	if (capture->saved >= 0) {
		dup2(capture->saved, STDERR_FILENO);
		close(capture->saved);
	}
	if (capture->memory >= 0) {
		n = pread(capture->memory, ret_text, size - 1, 0);
		close(capture->memory);
	}
	ret_text[n < 0 ? 0 : n] = '\0';
}

/* The first line, without the name of the program that said it. */
static const char *first_line(char *text)
{
	static const char *const speakers[] = { "dirdisk: ", "fusermount3: ",
						"fuse: " };

	text[strcspn(text, "\n")] = '\0';
	for (size_t i = 0; i < sizeof(speakers) / sizeof(*speakers); i++) {
		if (strncmp(text, speakers[i], strlen(speakers[i])) == 0)
			text += strlen(speakers[i]);
	}
	return *text ? text : "no reason was given";
}

/*
 * The reason why mount(2) was permitted neither to this process nor to
 * fusermount3, and the way out; NULL: unknown. fusermount3 is expected where
 * libfuse and Debian install it.
 */
static const char *why_not_permitted(void)
{
	const char *const path = "/usr/bin/fusermount3";
	struct statvfs fs;
	struct stat st;

	if (geteuid() == 0)
		return "root has no CAP_SYS_ADMIN here; give the container that capability, or the user namespace a mount namespace of its own (unshare --mount)";
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return "no_new_privs is set, so fusermount3 does not become root; start dirdisk outside of this sandbox, or as root";
	if (stat(path, &st) < 0 || statvfs(path, &fs) < 0)
		return NULL;
	if (!(st.st_mode & S_ISUID) || st.st_uid != 0)
		return "/usr/bin/fusermount3 is not set-uid root; reinstall the package fuse3, or mount as root";
	if (fs.f_flag & ST_NOSUID)
		return "/usr/bin/fusermount3 is on a file system mounted nosuid; remount that with suid, or mount as root";
	return NULL;
}

static int explain(char *text, const char *path, struct diag *diag)
{
	static const struct {
		const char *sign;
		const char *way_out;
	} known[] = {
		{ "exec fusermount3", "install the package fuse3" },
		{ "modprobe fuse", "or see that /dev/fuse exists" },
		{ "/dev/fuse", "this user must be allowed to open it" },
	};
	const char *reason = strstr(text, "fusermount3: ") &&
					     strstr(text, "not permitted")
				     ? why_not_permitted()
				     : NULL;

	if (reason)
		return diag_set(diag, -EPERM, path, "cannot be mounted on: %s",
				reason);

	if (strstr(text, "user_allow_other"))
		return diag_set(
			diag, -EPERM, "-o allow_other",
			"refused to ordinary users; put the line user_allow_other into /etc/fuse.conf");
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strstr(text, known[i].sign))
			return diag_set(diag, -EIO, path,
					"cannot be mounted on: %s; %s",
					first_line(text), known[i].way_out);
	}
	return diag_set(diag, -EIO, path, "cannot be mounted on: %s",
			first_line(text));
}

/* ---- the mount ---- */

static struct fuse_session *session_new(const char *list)
{
	static const struct fuse_lowlevel_ops none;
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *session = NULL;

	if (fuse_opt_add_arg(&args, "dirdisk") == 0 &&
	    fuse_opt_add_arg(&args, "-o") == 0 &&
	    fuse_opt_add_arg(&args, list) == 0)
		session = fuse_session_new(&args, &none, sizeof(none), NULL);
	fuse_opt_free_args(&args);
	return session;
}

static bool is_fuse(int fd)
{
	struct stat st;

	/* What cannot be known may be mounted: the caller finds out. */
	if (fstat(fd, &st) < 0)
		return errno != EBADF;
	return S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(FUSE_MAJOR, FUSE_MINOR);
}

int mount_disk(const char *path, const char *list, int *ret_fd,
	       struct diag *diag)
{
	/*
	 * To end a session is to unmount, or to leak: libfuse knows no way to
	 * let go of a mount. So this one stays, without its descriptor.
	 */
	static struct fuse_session *session;
	struct capture capture;
	char text[1024];
	int r = -1;
	int fd;

	capture_begin(&capture);
	session = session_new(list);
	if (session)
		r = fuse_session_mount(session, path);
	capture_end(&capture, text, sizeof(text));
	if (r < 0)
		return explain(text, path, diag);
	/* Without memory, libfuse reports success but has not mounted. */
	fd = fuse_session_fd(session);
	if (!is_fuse(fd))
		return diag_set(diag, -ENOMEM, path, "cannot be mounted on: %s",
				first_line(text));
	*ret_fd = fd;
	return 0;
}
