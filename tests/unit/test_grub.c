/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GRUB as installed, GRUB as given, and GRUB that is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/le.h"
#include "boot/core.h"
#include "boot/grub.h"
#include "imgcore/boot.h"
#include "imgcore/diag.h"
#include "imgcore/paths.h"

/* A directory of this test's own, emptied at its end. */
struct scratch {
	char dir[64];
	int fd;
};

static int scratch_setup(void **state)
{
	struct scratch *scratch = calloc(1, sizeof(*scratch));
	const char *tmp = getenv("TMPDIR");

	if (!scratch)
		return -1;
	snprintf(scratch->dir, sizeof(scratch->dir), "%s/boot-XXXXXX",
		 tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	if (!mkdtemp(scratch->dir))
		return -1;
	scratch->fd = open(scratch->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = scratch;
	return scratch->fd < 0 ? -1 : 0;
}

static const char *const scratch_names[] = {
	"boot.img",   "core.img",     "biosdisk.mod", "part_msdos.mod",
	"ext2.mod",   "normal.mod",   "command.lst",  "modinfo.sh",
	"config.h",   "grub-mkimage", ".mod",	      "fifo",
	"kernel.img", "pad",	      "new",	      NULL,
};

static int scratch_teardown(void **state)
{
	struct scratch *scratch = *state;

	for (size_t i = 0; scratch_names[i]; i++)
		unlinkat(scratch->fd, scratch_names[i], 0);
	close(scratch->fd);
	rmdir(scratch->dir);
	free(scratch);
	return 0;
}

static void put_file(const struct scratch *scratch, const char *name,
		     const void *bytes, size_t len, mode_t mode)
{
	_cleanup_close_ int fd = openat(scratch->fd, name,
					O_WRONLY | O_CREAT | O_TRUNC, mode);

	assert_true(fd >= 0);
	assert_int_equal(io_pwrite(fd, bytes, len, 0), 0);
}

/* A boot sector of `len` bytes. */
static void put_boot(const struct scratch *scratch, size_t len)
{
	uint8_t bytes[1024] = { 0 };

	put_le16(bytes + 510, 0xaa55);
	put_file(scratch, "boot.img", bytes, len, 0644);
}

static void put_core(const struct scratch *scratch, size_t len)
{
	uint8_t *bytes = malloc(len + 1);

	memset(bytes, 0xc5, len);
	put_file(scratch, "core.img", bytes, len, 0644);
	free(bytes);
}

static const char *in(const struct scratch *scratch, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", scratch->dir, name);
	return path;
}

static void assert_refused(const struct boot_options *options, int err,
			   const char *path, const char *word)
{
	struct diag diag = DIAG_INIT;
	struct boot_grub *grub = NULL;

	assert_int_equal(boot_grub_new(&grub, options, &diag), err);
	assert_null(grub);
	assert_non_null(diag.reason);
	assert_string_equal(diag.path, path);
	if (!strstr(diag.reason, word))
		fail_msg("\"%s\" does not say \"%s\"", diag.reason, word);
	diag_clear(&diag);
}

static void as_installed(void **state)
{
	static const struct boot_options options = { 0 };
	static const struct boot_options whole = { .whole_core = true };
	_cleanup_grub_ struct boot_grub *a = NULL;
	_cleanup_grub_ struct boot_grub *b = NULL;
	_cleanup_grub_ struct boot_grub *c = NULL;

	assert_int_equal(boot_grub_new(&a, &options, NULL), 0);
	assert_int_equal(boot_grub_new(&b, &options, NULL), 0);
	assert_int_equal(a->core_size % 512, 0);
	assert_in_range(a->core_size, 20000, 50000);
	assert_int_equal(boot_grub_new(&c, &whole, NULL), 0);
	assert_in_range(c->core_size, 100000, CORE_MAX);
	/* The same bytes each time. */
	assert_int_equal(a->core_size, b->core_size);
	assert_memory_equal(a->core, b->core, a->core_size);
	assert_int_equal(get_le16(a->boot + 510), 0xaa55);
}

/* A parent without standard descriptors, signals blocked and ignored. */
static void with_nothing_inherited(void **state)
{
	static const struct boot_options options = { 0 };
	struct boot_grub *grub = NULL;
	int saved[3];
	size_t size;
	sigset_t all, before;
	int r;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 3; i++) {
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
		close(i);
	}
	r = boot_grub_new(&grub, &options, NULL);
	size = r < 0 ? 0 : grub->core_size;
	boot_grub_free(grub);
	for (int i = 0; i < 3; i++) {
		dup2(saved[i], i);
		close(saved[i]);
	}
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_int_equal(r, 0);
	assert_in_range(size, 20000, CORE_MAX);
}

static void given_images(void **state)
{
	struct scratch *scratch = *state;
	struct boot_options options = {
		.grub_dir = scratch->dir,
		.core_image = in(scratch, "core.img"),
	};
	struct boot_grub *grub;

	put_boot(scratch, 512);
	put_core(scratch, 1025);
	assert_int_equal(boot_grub_new(&grub, &options, NULL), 0);
	assert_int_equal(grub->core_size, 1536);
	assert_int_equal(grub->core[1024], 0xc5);
	assert_int_equal(grub->core[1025], 0);
	assert_int_equal(grub->core[1535], 0);
	boot_grub_free(grub);
	put_core(scratch, CORE_MAX);
	assert_int_equal(boot_grub_new(&grub, &options, NULL), 0);
	assert_int_equal(grub->core_size, CORE_MAX);
	boot_grub_free(grub);
}

static void bad_core_images(void **state)
{
	struct scratch *scratch = *state;
	const char *path = in(scratch, "core.img");
	struct boot_options options = {
		.grub_dir = scratch->dir,
		.core_image = path,
	};

	put_boot(scratch, 512);
	assert_refused(&options, -ENOENT, path, "--core-image");
	put_core(scratch, 0);
	assert_refused(&options, -EINVAL, path, "0 bytes");
	put_core(scratch, 1023);
	assert_refused(&options, -EINVAL, path, "1023 bytes");
	put_core(scratch, CORE_MAX + 1);
	assert_refused(&options, -EFBIG, path, "1048064");
	options.core_image = scratch->dir;
	assert_refused(&options, -EISDIR, scratch->dir, "directory");
	/* One that nobody writes to: it must not be waited for. */
	assert_int_equal(mkfifoat(scratch->fd, "fifo", 0600), 0);
	options.core_image = in(scratch, "fifo");
	assert_refused(&options, -EINVAL, options.core_image, "--core-image");
}

static void bad_boot_images(void **state)
{
	struct scratch *scratch = *state;
	struct boot_options options = { .grub_dir = scratch->dir };
	const char *path = in(scratch, "boot.img");

	assert_refused(&options, -ENOENT, scratch->dir, "no boot.img");
	put_boot(scratch, 0);
	assert_refused(&options, -EINVAL, path, "512");
	put_boot(scratch, 511);
	assert_refused(&options, -EINVAL, path, "512");
	put_boot(scratch, 513);
	assert_refused(&options, -EINVAL, path, "512");
	put_file(scratch, "boot.img", (uint8_t[512]){ 0 }, 512, 0644);
	assert_refused(&options, -EINVAL, path, "55 AA");
	options.grub_dir = "/nonexistent/grub";
	assert_refused(&options, -ENOENT, "/nonexistent/grub", "--grub-dir");
}

static void essential_modules(void **state)
{
	struct scratch *scratch = *state;
	struct boot_options options = { .grub_dir = scratch->dir };

	put_boot(scratch, 512);
	put_file(scratch, "biosdisk.mod", "", 0, 0644);
	assert_refused(&options, -ENOENT, scratch->dir, "part_msdos.mod");
}

static void put_modules(const struct scratch *scratch)
{
	put_boot(scratch, 512);
	put_file(scratch, "biosdisk.mod", "b", 1, 0644);
	put_file(scratch, "part_msdos.mod", "p", 1, 0644);
	put_file(scratch, "ext2.mod", "e", 1, 0644);
	put_file(scratch, "normal.mod", "n", 1, 0644);
}

/* With PATH only this test's directory. */
static char *path_set(const struct scratch *scratch)
{
	char *before = strdup(getenv("PATH"));

	setenv("PATH", scratch->dir, 1);
	return before;
}

static void path_restore(char *before)
{
	setenv("PATH", before, 1);
	free(before);
}

static void no_mkimage(void **state)
{
	struct scratch *scratch = *state;
	struct boot_options options = { .grub_dir = scratch->dir };
	char *path = path_set(scratch);

	put_modules(scratch);
	assert_refused(&options, -ENOENT, "grub-mkimage", "grub-common");
	assert_refused(&options, -ENOENT, "grub-mkimage", "--no-grub");
	path_restore(path);
}

/* What the tool says is the reason; it is passed the modules there are. */
static void mkimage_that_fails(void **state)
{
	static const char script[] = "#!/bin/sh\n"
				     "echo only half an image\n"
				     "echo \"got: $*\" >&2\n"
				     "echo second line >&2\n"
				     "exit 3\n";
	static const char killed[] = "#!/bin/sh\nkill -9 $$\n";
	static const char silent[] = "#!/bin/sh\nexit 1\n";
	struct scratch *scratch = *state;
	struct boot_options options = { .grub_dir = scratch->dir };
	char *path = path_set(scratch);

	put_modules(scratch);
	put_file(scratch, "grub-mkimage", script, strlen(script), 0755);
	assert_refused(&options, -EIO, "grub-mkimage",
		       " -p (,msdos1)/boot/grub biosdisk part_msdos ext2 "
		       "second line");
	options.whole_core = true;
	assert_refused(&options, -EIO, "grub-mkimage",
		       " -p (,msdos1)/boot/grub biosdisk part_msdos ext2 "
		       "normal second line");
	put_file(scratch, "grub-mkimage", killed, strlen(killed), 0755);
	assert_refused(&options, -EIO, "grub-mkimage", "signal 9");
	put_file(scratch, "grub-mkimage", silent, strlen(silent), 0755);
	assert_refused(&options, -EIO, "grub-mkimage", "failed");
	path_restore(path);
}

static struct tree *graft(const struct boot_options *options)
{
	static const struct tree_attr root = { .mode = S_IFDIR | 0755 };
	static const struct tree_attr attr = {
		.mode = S_IFDIR | 0755,
		.uid = 7,
		.gid = 8,
		.mtime = 9,
	};
	_cleanup_grub_ struct boot_grub *grub = NULL;
	struct tree_builder *builder;
	struct tree *tree;

	assert_int_equal(boot_grub_new(&grub, options, NULL), 0);
	assert_int_equal(tree_builder_new(&builder, &root), 0);
	assert_int_equal(boot_grub_graft(grub, builder, &attr, NULL), 0);
	assert_int_equal(tree_build(builder, &tree, NULL), 0);
	tree_builder_free(builder);
	return tree;
}

static void assert_mode(const struct tree *tree, const char *path,
			uint32_t mode)
{
	tree_id id = tree_find(tree, path);
	struct tree_info info;

	if (id == TREE_NONE)
		fail_msg("no %s", path);
	tree_get(tree, id, &info);
	assert_int_equal(info.attr.mode, mode);
}

static void grafts_as_installed(void **state)
{
	static const struct boot_options options = { 0 };
	struct tree *tree = graft(&options);

	assert_mode(tree, "boot", S_IFDIR | 0755);
	assert_mode(tree, "boot/grub", S_IFDIR | 0755);
	assert_mode(tree, "boot/grub/grub.cfg", S_IFREG | 0644);
	assert_mode(tree, "boot/grub/fonts/unicode.pf2", S_IFREG | 0644);
	assert_mode(tree, "boot/grub/i386-pc/normal.mod", S_IFREG | 0644);
	assert_mode(tree, "boot/grub/i386-pc/moddep.lst", S_IFREG | 0644);
	assert_int_equal(tree_find(tree, "boot/grub/i386-pc/boot.img"),
			 TREE_NONE);
	tree_free(tree);
}

static void grafts_as_given(void **state)
{
	struct scratch *scratch = *state;
	struct boot_options options = {
		.grub_dir = scratch->dir,
		.core_image = in(scratch, "core.img"),
	};
	struct tree_info info;
	struct tree *tree;

	put_modules(scratch);
	put_core(scratch, 2048);
	put_file(scratch, "command.lst", "list", 4, 0644);
	put_file(scratch, "modinfo.sh", "", 0, 0644);
	put_file(scratch, "config.h", "", 0, 0644);
	put_file(scratch, "kernel.img", "", 0, 0644);
	put_file(scratch, ".mod", "", 0, 0644);
	tree = graft(&options);
	tree_get(tree, tree_find(tree, "boot/grub/i386-pc"), &info);
	assert_int_equal(info.n_children, 6);
	assert_int_equal(info.attr.uid, 7);
	assert_int_equal(info.attr.gid, 8);
	assert_int_equal(info.attr.mtime, 9);
	tree_get(tree, tree_find(tree, "boot/grub/i386-pc/command.lst"), &info);
	assert_int_equal(info.size, 4);
	tree_get(tree, tree_find(tree, "boot/grub/grub.cfg"), &info);
	assert_int_equal(info.size, 0);
	assert_int_equal(info.attr.uid, 7);
	tree_free(tree);
}

/* ---- one set ---- */

/* The first byte of a module of the tree, which has one byte; 0: no module. */
static char module(const struct tree *tree, const char *path)
{
	tree_id id = tree_find(tree, path);
	char byte = 0;

	if (id != TREE_NONE)
		assert_int_equal(tree_read(tree, id, &byte, 1, 0, NULL), 0);
	return byte;
}

static struct tree *graft_of(const struct boot_grub *grub)
{
	static const struct tree_attr dir = { .mode = S_IFDIR | 0755 };
	struct tree_builder *builder;
	struct tree *tree;

	assert_int_equal(tree_builder_new(&builder, &dir), 0);
	assert_int_equal(boot_grub_graft(grub, builder, &dir, NULL), 0);
	assert_int_equal(tree_build(builder, &tree, NULL), 0);
	tree_builder_free(builder);
	return tree;
}

static void replace(const struct scratch *scratch, const char *name,
		    const char *byte)
{
	put_file(scratch, "new", byte, 1, 0644);
	assert_int_equal(renameat(scratch->fd, "new", scratch->fd, name), 0);
}

/* What happens to the directory later is without effect, old trees or new. */
static void modules_are_held(void **state)
{
	struct scratch *scratch = *state;
	struct boot_options options = {
		.grub_dir = scratch->dir,
		.core_image = in(scratch, "core.img"),
	};
	struct boot_grub *grub;
	struct tree *old, *new;
	struct stat st;

	put_modules(scratch);
	put_core(scratch, 2048);
	assert_int_equal(boot_grub_new(&grub, &options, NULL), 0);
	old = graft_of(grub);
	assert_int_equal(fstatat(scratch->fd, "ext2.mod", &st, 0), 0);
	replace(scratch, "normal.mod", "N");
	put_file(scratch, "ext2.mod", "E", 1, 0644);
	assert_int_equal(unlinkat(scratch->fd, "biosdisk.mod", 0), 0);
	put_file(scratch, "command.lst", "list", 4, 0644);
	new = graft_of(grub);
	boot_grub_free(grub);
	for (unsigned i = 0; i < 2; i++) {
		const struct tree *tree = i ? new : old;
		struct tree_info info;

		assert_int_equal(module(tree, "boot/grub/i386-pc/normal.mod"),
				 'n');
		assert_int_equal(module(tree, "boot/grub/i386-pc/ext2.mod"),
				 'e');
		assert_int_equal(module(tree, "boot/grub/i386-pc/biosdisk.mod"),
				 'b');
		assert_int_equal(
			tree_find(tree, "boot/grub/i386-pc/command.lst"),
			TREE_NONE);
		tree_get(tree, tree_find(tree, "boot/grub/i386-pc/ext2.mod"),
			 &info);
		assert_int_equal(info.attr.mtime, st.st_mtim.tv_sec);
		assert_int_equal(info.attr.mtime_ns, st.st_mtim.tv_nsec);
	}
	/* A later scan finds the same. */
	assert_true(tree_equal(old, new));
	tree_free(old);
	assert_int_equal(module(new, "boot/grub/i386-pc/normal.mod"), 'n');
	tree_free(new);
}

/* A grub-mkimage that does something to its directory when it is done. */
static void put_mkimage(const struct scratch *scratch, const char *then)
{
	char script[512];

	snprintf(script, sizeof(script),
		 "#!/bin/sh\n"
		 "cd %s\n"
		 "/bin/cat biosdisk.mod ext2.mod normal.mod pad\n"
		 "%s\n",
		 scratch->dir, then);
	put_file(scratch, "pad", (char[2048]){ 0 }, 2048, 0644);
	put_file(scratch, "grub-mkimage", script, strlen(script), 0755);
}

static void upgrade_in_the_middle(void **state)
{
	static const char *const upgrades[] = {
		"[ ! -e new ] || /bin/mv new normal.mod",
		"[ ! -e new ] || { /bin/cat new > normal.mod; /bin/rm new; }",
		("[ ! -e new ] || { /bin/rm normal.mod; /bin/mv new normal.mod;"
		 " exit 1; }"),
	};
	struct scratch *scratch = *state;
	struct boot_options options = { .grub_dir = scratch->dir };
	char *path = path_set(scratch);

	for (size_t i = 0; i < 3; i++) {
		struct boot_grub *grub = NULL;
		struct tree *tree;

		put_modules(scratch);
		put_mkimage(scratch, upgrades[i]);
		put_file(scratch, "new", "N", 1, 0644);
		assert_int_equal(boot_grub_new(&grub, &options, NULL), 0);
		tree = graft_of(grub);
		assert_memory_equal(grub->core, "beN", 3);
		assert_int_equal(module(tree, "boot/grub/i386-pc/normal.mod"),
				 'N');
		tree_free(tree);
		boot_grub_free(grub);
	}
	path_restore(path);
}

static void upgrade_without_end(void **state)
{
	struct scratch *scratch = *state;
	struct boot_options options = { .grub_dir = scratch->dir };
	char *path = path_set(scratch);

	put_modules(scratch);
	put_mkimage(scratch, "echo x >> normal.mod");
	assert_refused(&options, -EBUSY, scratch->dir, "keeps changing");
	path_restore(path);
}

/* Files of the user's where GRUB's would be. */
static void assert_check(const struct boot_grub *grub, const char *normal,
			 const char *ext2, int err)
{
	static const struct tree_attr dir = { .mode = S_IFDIR | 0755 };
	static const struct tree_attr file = { .mode = S_IFREG | 0644 };
	const struct {
		const char *name;
		const char *text;
	} files[] = {
		{ "biosdisk.mod", "b" },  { "part_msdos.mod", "p" },
		{ "normal.mod", normal }, { "ext2.mod", ext2 },
		{ "theirs.mod", "t" },
	};
	struct diag diag = DIAG_INIT;
	struct tree_builder *builder;
	struct tree *tree;
	builder_id to;

	assert_int_equal(tree_builder_new(&builder, &dir), 0);
	assert_int_equal(tree_builder_mkdirs(builder, 0,
					     boot_targets[0].modules_dir, &dir,
					     &to),
			 0);
	for (size_t i = 0; i < 5; i++) {
		const char *text = files[i].text;
		struct content *content;

		if (!text)
			continue;
		assert_int_equal(
			content_new_bytes(&content, text, strlen(text)), 0);
		assert_int_equal(tree_builder_add_content(
					 builder, to, files[i].name, &file,
					 content, strlen(text), NULL),
				 0);
	}
	assert_int_equal(tree_build(builder, &tree, NULL), 0);
	tree_builder_free(builder);
	assert_int_equal(boot_grub_check(grub, tree, &diag), err);
	if (err < 0) {
		assert_string_equal(diag.path, "boot/grub/i386-pc/normal.mod");
		assert_non_null(strstr(diag.reason, "mount it again"));
	}
	diag_clear(&diag);
	tree_free(tree);
}

static void modules_of_the_users(void **state)
{
	struct scratch *scratch = *state;
	struct boot_options options = { .grub_dir = scratch->dir };
	char *path = path_set(scratch);
	struct boot_grub *grub;
	struct tree *tree;

	put_modules(scratch);
	put_mkimage(scratch, ":");
	assert_int_equal(boot_grub_new(&grub, &options, NULL), 0);
	tree = graft_of(grub);
	assert_int_equal(boot_grub_check(grub, tree, NULL), 0);
	tree_free(tree);
	/* The same bytes are the same set, whose files they are. */
	assert_check(grub, "n", "e", 0);
	assert_check(grub, "m", "e", -EINVAL);
	assert_check(grub, "nn", "e", -EINVAL);
	assert_check(grub, NULL, "e", -EINVAL);
	boot_grub_free(grub);
	/* This core.img needs none of them. */
	options.whole_core = true;
	assert_int_equal(boot_grub_new(&grub, &options, NULL), 0);
	assert_check(grub, "m", NULL, 0);
	boot_grub_free(grub);
	path_restore(path);
}

#define TEST(f) \
	cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_installed),
		cmocka_unit_test(with_nothing_inherited),
		TEST(given_images),
		TEST(bad_core_images),
		TEST(bad_boot_images),
		TEST(essential_modules),
		TEST(no_mkimage),
		TEST(mkimage_that_fails),
		cmocka_unit_test(grafts_as_installed),
		TEST(grafts_as_given),
		TEST(modules_are_held),
		TEST(upgrade_in_the_middle),
		TEST(upgrade_without_end),
		TEST(modules_of_the_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
