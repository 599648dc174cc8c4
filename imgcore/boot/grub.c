/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * GRUB as it is installed: boot.img and the modules from its directory, beneath
 * which all files are opened, and core.img.
 *
 * The modules go to the first partition, where grub-install would put them, and
 * core.img loads most of what the menu needs from there. GRUB does not check
 * whether a module belongs to it: boot.img, core.img and modules are therefore
 * taken from one state of the directory, and held in memory from then on.
 */
#include "boot/grub.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/io.h"
#include "base/math.h"
#include "base/text.h"
#include "boot/core.h"
#include "imgcore/diag.h"
#include "imgcore/paths.h"

/* Debian and most others, then where grub is called grub2. */
static const char *const grub_dirs[] = {
	"/usr/lib/grub",    "/usr/share/grub",	   "/usr/lib/grub2",
	"/usr/share/grub2", "/usr/local/lib/grub",
};

static const char *const font_dirs[] = {
	"/usr/share/grub",
	"/usr/share/grub2",
	"/usr/local/share/grub",
};

/* An upgrade of GRUB renames its unpacked files within that time. */
#define PATIENCE_SECONDS 3
#define PAUSE_NS	 20000000

/* Reads a regular file that is small, and that may be anything at all. */
static int file_read(int dir_fd, const char *name, size_t limit,
		     uint8_t **ret_bytes, size_t *ret_len)
{
	_cleanup_close_ int fd = openat(dir_fd, name,
					O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return io_read_file(fd, limit, ret_bytes, ret_len);
}

static int dir_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/*
 * Opens a directory that contains the file: a descriptor, or -ENOENT. Any other
 * error means that this is not known.
 */
static int dir_with(const char *path, const char *name, int mode)
{
	_cleanup_close_ int fd = dir_open(path);
	int r = fd < 0 ? fd : 0;

	if (r == 0 && faccessat(fd, name, mode, 0) < 0)
		r = -errno;
	if (r < 0)
		return r == -ENOTDIR || r == -EACCES ? -ENOENT : r;
	return take_fd(&fd);
}

/*
 * Opens the directory that the user gives, otherwise the first of the usual
 * ones with a boot.img.
 */
static int grub_open_dir(struct boot_grub *grub, const char *given,
			 struct diag *diag)
{
	const struct boot_target *target = grub->target;
	char usual[64] = "";
	int r = -ENOENT;

	for (size_t i = 0; !given && i < ARRAY_SIZE(grub_dirs); i++) {
		snprintf(usual, sizeof(usual), "%s/%s", grub_dirs[i],
			 target->platform);
		r = dir_with(usual, "boot.img", F_OK);
		if (r != -ENOENT)
			break;
	}
	if (!given && r == -ENOENT) {
		snprintf(usual, sizeof(usual), "%s/%s", grub_dirs[0],
			 target->platform);
		return diag_set(diag, r, usual,
				"GRUB for %s machines is not installed; "
				"install the packages %s and grub-common, name "
				"its directory with --grub-dir, or mount with "
				"--no-grub",
				target->firmware, target->package);
	}
	if (given)
		r = dir_open(given);
	if (r < 0 && given)
		return diag_set(diag, r, given,
				"--grub-dir cannot be opened: %s",
				strerror(-r));
	if (r < 0)
		return diag_set(diag, r, usual, NULL);
	grub->dir_fd = r;
	grub->dir = strdup(given ? given : usual);
	if (!grub->dir)
		return diag_set(diag, -ENOMEM, given, NULL);
	if (faccessat(grub->dir_fd, "boot.img", F_OK, 0) < 0)
		return diag_set(diag, -errno, grub->dir,
				"no boot.img there; --grub-dir is the "
				"directory %s that the package %s installs, "
				"--no-grub mounts without",
				target->platform, target->package);
	return 0;
}

static int grub_read_boot(struct boot_grub *grub, struct diag *diag)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	_cleanup_free_ char *path = NULL;
	size_t len;
	int r;

	if (text_format(&path, "%s/boot.img", grub->dir) < 0)
		return diag_set(diag, -ENOMEM, grub->dir, NULL);
	r = file_read(grub->dir_fd, "boot.img", SECTOR, &bytes, &len);
	if (r == 0 &&
	    (len != SECTOR || bytes[510] != 0x55 || bytes[511] != 0xaa))
		r = -EFBIG;
	if (r == -EFBIG)
		return diag_set(diag, -EINVAL, path,
				"is no boot sector: that has 512 bytes, the "
				"last of them 55 AA");
	if (r < 0)
		return diag_set(diag, r, path, NULL);
	memcpy(grub->boot, bytes, SECTOR);
	return 0;
}

/* Reads or makes core.img; reads the modules while grub-mkimage makes it. */
static int grub_read_core(struct boot_grub *grub,
			  const struct boot_options *options, struct diag *diag)
{
	_cleanup_(core_tool_release) struct core_tool tool = CORE_TOOL_INIT;
	const char *path = options->core_image;
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t len = 0;
	int r;

	if (path) {
		r = file_read(AT_FDCWD, path, CORE_MAX, &bytes, &len);
		if (r == -EFBIG)
			return diag_set(diag, r, path,
					"has more than the %u bytes that fit "
					"before the first partition: no "
					"core.img",
					CORE_MAX);
		if (r < 0)
			return diag_set(diag, r, path,
					"--core-image cannot be read: %s",
					strerror(-r));
	} else {
		r = core_start(&tool, grub->target, grub->dir, grub->dir_fd,
			       options->whole_core, diag);
	}
	if (r == 0)
		r = grub_files_read(grub->files, diag);
	if (r == 0 && !path)
		r = core_finish(&tool, &bytes, &len, diag);
	if (r < 0)
		return r;
	grub->core_name = strdup(path ? path : "core.img");
	if (!grub->core_name)
		return diag_set(diag, -ENOMEM, path, NULL);
	if (len < CORE_MIN)
		return diag_set(diag, -EINVAL, grub->core_name,
				"has %zu bytes: no core.img, which has at "
				"least %u",
				len, CORE_MIN);
	grub->core_size = (size_t)round_up(len, SECTOR);
	grub->core = calloc(1, grub->core_size);
	if (!grub->core)
		return diag_set(diag, -ENOMEM, grub->core_name, NULL);
	memcpy(grub->core, bytes, len);
	return 0;
}

/* Reads all of GRUB once, although its directory may change meanwhile. */
static int grub_read(struct boot_grub *grub, const struct boot_options *options,
		     struct diag *diag)
{
	int r;

	/* GRUB's menu works without a font. */
	for (size_t i = 0; i < ARRAY_SIZE(font_dirs) && grub->font_fd < 0;
	     i++) {
		int fd = dir_with(font_dirs[i], GRUB_FONT, R_OK);

		if (fd < 0 && fd != -ENOENT)
			return diag_set(diag, fd, font_dirs[i], NULL);
		grub->font_fd = fd < 0 ? -1 : fd;
	}
	r = grub_open_dir(grub, options->grub_dir, diag);
	if (r == 0)
		r = grub_files_new(&grub->files, grub->target, grub->dir_fd,
				   grub->dir, grub->font_fd, diag);
	if (r == 0)
		r = grub_files_list(grub->files, diag);
	if (r == 0)
		r = grub_read_boot(grub, diag);
	return r < 0 ? r : grub_read_core(grub, options, diag);
}

int boot_grub_new(struct boot_grub **ret_grub,
		  const struct boot_options *options, struct diag *diag)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		_cleanup_grub_ struct boot_grub *grub = calloc(1,
							       sizeof(*grub));
		bool changed;
		int r;

		if (!grub)
			return diag_set(diag, -ENOMEM, NULL, NULL);
		grub->target = &boot_targets[options->target];
		grub->dir_fd = -1;
		grub->font_fd = -1;
		grub->self_contained = options->whole_core ||
				       options->core_image;
		r = grub_read(grub, options, diag);
		changed = grub->files && grub_files_changed(grub->files);
		if (r < 0 && !changed)
			return r;
		if (!changed) {
			base_closep(&grub->dir_fd);
			base_closep(&grub->font_fd);
			*ret_grub = take_ptr(grub);
			return 0;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec > PATIENCE_SECONDS)
			return diag_set(diag, -EBUSY, grub->dir,
					"keeps changing while it is read; "
					"mount again when the upgrade of GRUB "
					"is over");
		diag_clear(diag);
		nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
	}
}

void boot_grub_free(struct boot_grub *grub)
{
	if (!grub)
		return;
	base_closep(&grub->dir_fd);
	base_closep(&grub->font_fd);
	grub_files_unref(grub->files);
	free(grub->dir);
	free(grub->core_name);
	free(grub->core);
	free(grub);
}

int boot_grub_graft(const struct boot_grub *grub, struct tree_builder *grafts,
		    const struct tree_attr *attr, struct diag *diag)
{
	struct tree_attr dir = *attr;
	struct tree_attr file = *attr;
	struct content *menu;
	builder_id grub_id;
	builder_id modules_id;
	int r;

	dir.mode = S_IFDIR | 0755;
	file.mode = S_IFREG | 0644;
	r = tree_builder_mkdirs(grafts, 0, PATH_GRUB, &dir, &grub_id);
	if (r == 0)
		r = tree_builder_mkdirs(grafts, grub_id, grub->target->platform,
					&dir, &modules_id);
	if (r < 0)
		return diag_set(diag, r, grub->target->modules_dir, NULL);
	r = grub_files_graft(grub->files, grafts, modules_id, &dir, diag);
	if (r < 0)
		return r;
	r = content_new_bytes(&menu, "", 0);
	if (r == 0) {
		r = tree_builder_add_content(grafts, grub_id,
					     strrchr(PATH_MENU, '/') + 1, &file,
					     menu, 0, &(builder_id){ 0 });
		if (r < 0)
			menu->release(menu);
	}
	return r < 0 ? diag_set(diag, r, PATH_MENU, NULL) : 0;
}

int boot_grub_check(const struct boot_grub *grub, const struct tree *boot_tree,
		    struct diag *diag)
{
	return grub->self_contained
		       ? 0
		       : grub_files_check(grub->files, boot_tree, diag);
}
