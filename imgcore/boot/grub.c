/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * GRUB as it is installed: boot.img and the modules from its directory, which
 * everything is opened beneath, and core.img.
 *
 * The modules go to the first partition, as grub-install would put them, where
 * core.img loads most of what the menu needs. GRUB does not check whether a
 * module belongs to it: boot.img, core.img and modules are therefore taken from
 * one state of the directory, and held in memory from then on.
 */
#include "boot/grub.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/io.h"
#include "base/math.h"
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

#define FONT "unicode.pf2"

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
 * The directory, if it has that file: a descriptor, or -ENOENT. Any other error
 * kept us from looking.
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

/* Takes over fd, the directory's, or an error instead. */
static int grub_set_dir(struct boot_grub *grub, int fd, const char *path)
{
	if (fd < 0)
		return fd;
	grub->dir_fd = fd;
	grub->dir = strdup(path);
	return grub->dir ? 0 : -ENOMEM;
}

/* The first of the usual directories that has a boot.img. */
static int grub_find_dir(struct boot_grub *grub, struct diag *diag)
{
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(grub_dirs); i++) {
		int fd;
		int r;

		snprintf(path, sizeof(path), "%s/%s", grub_dirs[i],
			 grub->target->platform);
		fd = dir_with(path, "boot.img", F_OK);
		if (fd == -ENOENT)
			continue;
		r = grub_set_dir(grub, fd, path);
		return r < 0 ? diag_set(diag, r, path, NULL) : 0;
	}
	snprintf(path, sizeof(path), "%s/%s", grub_dirs[0],
		 grub->target->platform);
	return diag_set(diag, -ENOENT, path,
			"GRUB for %s machines is not installed; install the "
			"packages %s and grub-common, name its directory with "
			"--grub-dir, or mount with --no-grub",
			grub->target->firmware, grub->target->package);
}

static int grub_open_dir(struct boot_grub *grub, const char *path,
			 struct diag *diag)
{
	int r;

	if (!path)
		return grub_find_dir(grub, diag);
	r = grub_set_dir(grub, dir_open(path), path);
	if (r < 0)
		return diag_set(diag, r, path,
				"--grub-dir cannot be opened: %s",
				strerror(-r));
	if (faccessat(grub->dir_fd, "boot.img", F_OK, 0) < 0)
		return diag_set(diag, -errno, path,
				"no boot.img there; --grub-dir is the "
				"directory %s that the package %s installs, "
				"--no-grub mounts without",
				grub->target->platform, grub->target->package);
	return 0;
}

static int grub_read_boot(struct boot_grub *grub, struct diag *diag)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	_cleanup_free_ char *path = NULL;
	size_t len;
	int r;

	if (asprintf(&path, "%s/boot.img", grub->dir) < 0) {
		path = NULL;
		return diag_set(diag, -ENOMEM, grub->dir, NULL);
	}
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

/* Takes over bytes, of which there are some: pads them to whole sectors. */
static int grub_set_core(struct boot_grub *grub, uint8_t *bytes, size_t len)
{
	size_t size = (size_t)round_up(len, SECTOR);
	uint8_t *padded = realloc(bytes, size);

	if (!padded) {
		free(bytes);
		return -ENOMEM;
	}
	memset(padded + len, 0, size - len);
	grub->core = padded;
	grub->core_size = size;
	return 0;
}

/* A core.img that the user gives. */
static int core_read(const char *path, uint8_t **ret_bytes, size_t *ret_len,
		     struct diag *diag)
{
	int r = file_read(AT_FDCWD, path, CORE_MAX, ret_bytes, ret_len);

	if (r == -EFBIG)
		return diag_set(diag, r, path,
				"has more than the %u bytes that fit before "
				"the first partition: no core.img",
				CORE_MAX);
	if (r < 0)
		return diag_set(diag, r, path,
				"--core-image cannot be read: %s",
				strerror(-r));
	return 0;
}

/* core.img, and the modules while grub-mkimage makes it. */
static int grub_read_core(struct boot_grub *grub,
			  const struct boot_options *options, struct diag *diag)
{
	_cleanup_(core_tool_release) struct core_tool tool = CORE_TOOL_INIT;
	const char *path = options->core_image;
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t len;
	int r;

	r = path ? core_read(path, &bytes, &len, diag)
		 : core_start(&tool, grub->target, grub->dir, grub->dir_fd,
			      options->whole_core, diag);
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
	r = grub_set_core(grub, take_ptr(bytes), len);
	return r < 0 ? diag_set(diag, r, grub->core_name, NULL) : 0;
}

/* GRUB's menu does without a font: none installed, none grafted. */
static int grub_find_font(struct boot_grub *grub, struct diag *diag)
{
	for (size_t i = 0; i < ARRAY_SIZE(font_dirs); i++) {
		int fd = dir_with(font_dirs[i], FONT, R_OK);

		if (fd == -ENOENT)
			continue;
		if (fd < 0)
			return diag_set(diag, fd, font_dirs[i], NULL);
		grub->font_fd = fd;
		break;
	}
	return 0;
}

/* Reads all of GRUB once, although its directory may change meanwhile. */
static int grub_read(struct boot_grub *grub, const struct boot_options *options,
		     struct diag *diag)
{
	int r = grub_find_font(grub, diag);

	if (r == 0)
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

static int graft_config(struct tree_builder *grafts, builder_id to,
			const struct tree_attr *attr, struct diag *diag)
{
	struct tree_attr file = *attr;
	struct content *content;
	builder_id id;
	int r = content_new_bytes(&content, "", 0);

	file.mode = S_IFREG | 0644;
	if (r == 0) {
		r = tree_builder_add_content(grafts, to,
					     strrchr(PATH_MENU, '/') + 1, &file,
					     content, 0, &id);
		if (r < 0)
			content->release(content);
	}
	return r < 0 ? diag_set(diag, r, PATH_MENU, NULL) : 0;
}

int boot_grub_graft(const struct boot_grub *grub, struct tree_builder *grafts,
		    const struct tree_attr *attr, struct diag *diag)
{
	struct tree_attr dir = *attr;
	builder_id grub_id;
	builder_id modules_id;
	int r;

	dir.mode = S_IFDIR | 0755;
	r = tree_builder_mkdirs(grafts, 0, PATH_GRUB, &dir, &grub_id);
	if (r == 0)
		r = tree_builder_mkdirs(grafts, grub_id, grub->target->platform,
					&dir, &modules_id);
	if (r < 0)
		return diag_set(diag, r, grub->target->modules_dir, NULL);
	r = grub_files_graft(grub->files, grafts, modules_id, &dir, diag);
	if (r == 0)
		r = graft_config(grafts, grub_id, attr, diag);
	return r;
}

int boot_grub_check(const struct boot_grub *grub, const struct tree *boot_tree,
		    struct diag *diag)
{
	return grub->self_contained
		       ? 0
		       : grub_files_check(grub->files, boot_tree, diag);
}
