/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "boot/grub_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "base/io.h"
#include "base/math.h"
#include "base/text.h"
#include "base/vec.h"
#include "boot/lookup.h"
#include "boot/names.h"
#include "imgcore/diag.h"
#include "imgcore/paths.h"
#include "imgcore/target.h"

/* Ten times a GRUB with all its modules and fonts. */
#define FILES_MAX ((uint64_t)64 << 20)
/* Longer than any clock's tick. */
#define TICK_MAX_NS INT64_C(20000000)
#define HUGE_PAGE   ((size_t)2 << 20)

struct grub_file {
	struct content content; /* as trees have it */
	struct grub_files *files;
	char *name;
	int dir_fd;
	struct stat st; /* as it was listed */
	const uint8_t *bytes; /* NULL: not shown on the disk */
};

struct grub_files {
	atomic_uint users;
	const struct boot_target *target;
	int dir_fd;
	int font_fd;
	char *dir;
	struct stat dir_st;
	struct grub_file *items; /* sorted by name; a font is the last */
	size_t count, size;
	bool has_font;
	uint8_t *bytes; /* of all of them */
};

void grub_files_unref(struct grub_files *files)
{
	if (!files || atomic_fetch_sub(&files->users, 1) != 1)
		return;
	for (size_t i = 0; i < files->count; i++)
		free(files->items[i].name);
	vec_free(files);
	free(files->bytes);
	free(files->dir);
	free(files);
}

static int fail(const struct grub_files *files, const char *name, int err,
		const char *reason, struct diag *diag)
{
	_cleanup_free_ char *path = NULL;

	(void)text_format(&path, "%s/%s", files->dir, name);
	return reason ? diag_set(diag, err, path, "%s", reason)
		      : diag_set(diag, err, path, NULL);
}

/* ---- the list ---- */

/* Files that GRUB can load; the others are for making images. */
static bool is_loadable(const char *name)
{
	size_t len = strlen(name);

	return (len > 4 &&
		(name_ends(name, ".mod") || name_ends(name, ".lst"))) ||
	       strcmp(name, "modinfo.sh") == 0;
}

static int too_much(const struct grub_files *files, struct diag *diag)
{
	return diag_set(diag, -EFBIG, files->dir,
			"GRUB's modules and font have more than %u MiB",
			(unsigned)(FILES_MAX >> 20));
}

static int list_file(struct grub_files *files, int dir_fd, const char *name,
		     const struct stat *st)
{
	struct grub_file *file = vec_push(files);

	if (!file)
		return -ENOMEM;
	file->dir_fd = dir_fd;
	file->st = *st;
	file->name = strdup(name);
	return file->name ? 0 : -ENOMEM;
}

static void dir_closep(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int list_dir(struct grub_files *files, struct diag *diag)
{
	int fd = openat(files->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(dir_closep) DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		int err = -errno;

		base_closep(&fd);
		return diag_set(diag, err, files->dir, NULL);
	}
	for (;;) {
		struct dirent *entry;
		struct stat st;
		int r = 0;

		errno = 0;
		entry = readdir(dir);
		if (!entry)
			break;
		if (fstatat(files->dir_fd, entry->d_name, &st, 0) < 0)
			r = -errno;
		/* Before grub-mkimage reads it whole. */
		if (r == 0 && S_ISREG(st.st_mode) &&
		    is_loadable(entry->d_name) &&
		    (uint64_t)st.st_size > FILES_MAX)
			return too_much(files, diag);
		if (r == 0 && S_ISREG(st.st_mode))
			r = list_file(files, files->dir_fd, entry->d_name, &st);
		else if (!is_loadable(entry->d_name))
			r = 0;
		else if (r == 0)
			return fail(files, entry->d_name, -EINVAL,
				    "is not a regular file", diag);
		if (r < 0)
			return fail(files, entry->d_name, r, NULL, diag);
	}
	return errno ? diag_set(diag, -errno, files->dir, NULL) : 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct grub_file *)a)->name,
		      ((const struct grub_file *)b)->name);
}

static int64_t timespec_ns(const struct timespec *time)
{
	return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

static int64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return timespec_ns(&now);
}

/* Two changes in one tick of the clock give a file the same time. */
static void wait_for_tick(const struct grub_files *files)
{
	int64_t end = now_ns(CLOCK_MONOTONIC) + TICK_MAX_NS;
	int64_t youngest = timespec_ns(&files->dir_st.st_ctim);

	for (size_t i = 0; i < files->count; i++) {
		int64_t time = timespec_ns(&files->items[i].st.st_ctim);

		youngest = time > youngest ? time : youngest;
	}
	while (now_ns(CLOCK_REALTIME_COARSE) <= youngest &&
	       now_ns(CLOCK_MONOTONIC) < end)
		nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
}

int grub_files_new(struct grub_files **ret_files,
		   const struct boot_target *target, int dir_fd,
		   const char *dir, int font_fd, struct diag *diag)
{
	_cleanup_(grub_files_unrefp) struct grub_files *files =
		calloc(1, sizeof(*files));

	if (!files)
		return diag_set(diag, -ENOMEM, dir, NULL);
	atomic_init(&files->users, 1);
	files->target = target;
	files->dir_fd = dir_fd;
	files->font_fd = font_fd;
	files->dir = strdup(dir);
	if (!files->dir)
		return diag_set(diag, -ENOMEM, dir, NULL);
	if (fstat(dir_fd, &files->dir_st) < 0)
		return diag_set(diag, -errno, dir, NULL);
	*ret_files = take_ptr(files);
	return 0;
}

int grub_files_list(struct grub_files *files, struct diag *diag)
{
	struct stat st;
	int font = 0;
	int r = list_dir(files, diag);

	if (r < 0)
		return r;
	if (files->count > 0)
		qsort(files->items, files->count, sizeof(*files->items),
		      compare_names);
	if (files->font_fd >= 0)
		font = io_stat_at(files->font_fd, GRUB_FONT, 0, &st);
	if (font < 0)
		return diag_set(diag, font, GRUB_FONT, NULL);
	if (font && S_ISREG(st.st_mode)) {
		if (list_file(files, files->font_fd, GRUB_FONT, &st) < 0)
			return diag_set(diag, -ENOMEM, GRUB_FONT, NULL);
		files->has_font = true;
	}
	wait_for_tick(files);
	return 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size &&
	       timespec_ns(&a->st_mtim) == timespec_ns(&b->st_mtim) &&
	       timespec_ns(&a->st_ctim) == timespec_ns(&b->st_ctim);
}

bool grub_files_changed(const struct grub_files *files)
{
	struct stat st;

	/* By its path, which grub-mkimage also uses. */
	if (stat(files->dir, &st) < 0 || !same_file(&st, &files->dir_st))
		return true;
	for (size_t i = 0; i < files->count; i++) {
		const struct grub_file *file = &files->items[i];

		if (fstatat(file->dir_fd, file->name, &st, 0) < 0 ||
		    !same_file(&st, &file->st))
			return true;
	}
	return false;
}

/* ---- the bytes ---- */

static bool is_font(const struct grub_files *files, size_t i)
{
	return files->has_font && i == files->count - 1;
}

static int content_pread(struct content *content,
			 const struct content_reader *reader, void *buf,
			 size_t len, uint64_t offset)
{
	memcpy(buf, ((struct grub_file *)content)->bytes + offset, len);
	return 0;
}

static void content_release(struct content *content)
{
	grub_files_unref(((struct grub_file *)content)->files);
}

static int read_file(struct grub_file *file, uint8_t *bytes, struct diag *diag)
{
	_cleanup_close_ int fd = openat(file->dir_fd, file->name,
					O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t len = (size_t)file->st.st_size;
	ssize_t n = fd < 0 ? -errno : io_pread(fd, bytes, len, 0);

	if (n < 0)
		return fail(file->files, file->name, (int)n, NULL, diag);
	if ((size_t)n < len)
		return fail(file->files, file->name, -EIO,
			    "gives fewer bytes than its size says", diag);
	/* An upgrade was interrupted; grub-mkimage would use it. */
	if (n == 0 && name_ends(file->name, ".mod")) {
		_cleanup_free_ char *path = NULL;

		(void)text_format(&path, "%s/%s", file->files->dir, file->name);
		return diag_set(diag, -EINVAL, path,
				"is empty; install the package %s again",
				file->files->target->package);
	}
	file->content = (struct content){ content_pread, content_release };
	file->bytes = bytes;
	return 0;
}

/*
 * Memory that is written at once: its pages are asked for in one call and,
 * where the machine has them, as large ones. A fault for each of a thousand
 * pages would take longer than grub-mkimage does.
 */
static uint8_t *memory_new(size_t len)
{
	uint8_t *bytes = aligned_alloc(HUGE_PAGE,
				       (size_t)round_up(len, HUGE_PAGE));

	if (bytes && len > 0) {
		madvise(bytes, len, MADV_HUGEPAGE);
		madvise(bytes, len, MADV_POPULATE_WRITE);
	}
	return bytes;
}

int grub_files_read(struct grub_files *files, struct diag *diag)
{
	uint64_t total = 0;
	uint8_t *at;

	for (size_t i = 0; i < files->count && total <= FILES_MAX; i++)
		if (is_font(files, i) || is_loadable(files->items[i].name))
			total += min_u64((uint64_t)files->items[i].st.st_size,
					 FILES_MAX + 1);
	if (total > FILES_MAX)
		return too_much(files, diag);
	files->bytes = at = memory_new((size_t)total + 1);
	if (!at)
		return diag_set(diag, -ENOMEM, files->dir, NULL);
	for (size_t i = 0; i < files->count; i++) {
		struct grub_file *file = &files->items[i];
		int r;

		file->files = files;
		if (!is_font(files, i) && !is_loadable(file->name))
			continue;
		r = read_file(file, at, diag);
		if (r < 0)
			return r;
		at += file->st.st_size;
	}
	return 0;
}

/* ---- on the disk ---- */

static int graft_file(struct grub_file *file, struct tree_builder *grafts,
		      builder_id to)
{
	const struct tree_attr attr = {
		.mode = file->st.st_mode,
		.uid = file->st.st_uid,
		.gid = file->st.st_gid,
		.mtime = file->st.st_mtim.tv_sec,
		.mtime_ns = (uint32_t)file->st.st_mtim.tv_nsec,
	};
	int r = tree_builder_add_content(grafts, to, file->name, &attr,
					 &file->content,
					 (uint64_t)file->st.st_size, NULL);

	if (r == 0)
		atomic_fetch_add(&file->files->users, 1);
	return r;
}

int grub_files_graft(struct grub_files *files, struct tree_builder *grafts,
		     builder_id to, const struct tree_attr *attr,
		     struct diag *diag)
{
	for (size_t i = 0; i < files->count; i++) {
		struct grub_file *file = &files->items[i];
		int r = 0;

		if (!file->bytes)
			continue;
		if (is_font(files, i))
			r = tree_builder_mkdirs(grafts, 0, PATH_FONTS, attr,
						&to);
		if (r == 0)
			r = graft_file(file, grafts, to);
		if (r < 0)
			return fail(files, file->name, r, NULL, diag);
	}
	return 0;
}

/* Whether a file of the tree has these bytes; it may be any size. */
static int compare_bytes(const struct grub_file *file, const struct tree *tree,
			 tree_id id, bool *ret_same, struct diag *diag)
{
	uint64_t size = (uint64_t)file->st.st_size;
	_cleanup_free_ uint8_t *bytes = NULL;
	struct tree_info info;
	int r = 0;

	*ret_same = tree_content(tree, id) == &file->content;
	tree_get(tree, id, &info);
	if (*ret_same || info.size != size)
		return 0;
	bytes = malloc((size_t)size + 1);
	if (!bytes)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	if (size > 0)
		r = tree_read(tree, id, bytes, (size_t)size, 0, diag);
	*ret_same = r == 0 && memcmp(bytes, file->bytes, (size_t)size) == 0;
	return r;
}

int grub_files_check(const struct grub_files *files, const struct tree *tree,
		     struct diag *diag)
{
	const char *modules = files->target->modules_dir;
	tree_id dir = lookup(tree, TREE_ROOT, modules, strlen(modules),
			     LOOKUP_LINKS_GRUB);

	for (size_t i = 0; i < files->count; i++) {
		const struct grub_file *file = &files->items[i];
		tree_id id = TREE_NONE;
		bool same = false;

		if (!file->bytes || is_font(files, i))
			continue;
		if (dir != TREE_NONE)
			id = lookup(tree, dir, file->name, strlen(file->name),
				    LOOKUP_LINKS_GRUB);
		if (lookup_is_file(tree, id)) {
			int r = compare_bytes(file, tree, id, &same, diag);

			if (r < 0)
				return r;
		}
		if (!same) {
			_cleanup_free_ char *path = NULL;

			(void)text_format(&path, "%s/%s", modules, file->name);
			return diag_set(diag, -EINVAL, path,
					"is not of the GRUB that the disk was "
					"mounted with; mount it again, or "
					"remove the file");
		}
	}
	return 0;
}
