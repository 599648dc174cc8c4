/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>
#include <sys/stat.h>

#include "base/le.h"
#include "boot_tree.h"

uint8_t *kernel_bytes(const char *version, size_t size, size_t *ret_len)
{
	size_t setup = 5 * 512;
	size_t units = size > setup ? (size - setup + 15) / 16 : 1;
	uint8_t *bytes = calloc(1, setup + units * 16);

	assert_non_null(bytes);
	bytes[0x1f1] = 4;
	put_le32(bytes + 0x1f4, (uint32_t)units);
	put_le16(bytes + 0x1fe, 0xaa55);
	memcpy(bytes + 0x202, "HdrS", 4);
	put_le16(bytes + 0x206, 0x020f);
	bytes[0x211] = 1;
	put_le32(bytes + 0x238, 2047);
	if (version) {
		put_le16(bytes + 0x20e, 0x100);
		strcpy((char *)bytes + 0x300, version);
	}
	*ret_len = setup + units * 16;
	return bytes;
}

static void add_content(struct tree_builder *builder, builder_id parent,
			const char *name, const struct file *file)
{
	const struct tree_attr attr = {
		.mode = S_IFREG | (file->mode ? file->mode : 0755),
		.mtime = file->mtime,
	};
	const uint8_t *bytes = file->bytes;
	uint8_t *kernel = NULL;
	size_t len = file->len;
	struct content *content;

	if (file->text) {
		bytes = (const uint8_t *)file->text;
		len = strlen(file->text);
	} else if (!bytes) {
		bytes = kernel = kernel_bytes(file->version, 0, &len);
		if (file->cmdline_size)
			put_le32(kernel + 0x238, file->cmdline_size);
	}
	assert_int_equal(content_new_bytes(&content, bytes, len), 0);
	assert_int_equal(tree_builder_add_content(builder, parent, name, &attr,
						  content, len, NULL),
			 0);
	free(kernel);
}

static void add_file(struct tree_builder *builder, const struct file *file)
{
	static const struct tree_attr dir = { .mode = S_IFDIR | 0755 };
	static const struct tree_attr link = { .mode = S_IFLNK | 0777 };
	const char *slash = strrchr(file->path, '/');
	const char *name = slash ? slash + 1 : file->path;
	char *parent = strndup(file->path,
			       slash ? (size_t)(slash - file->path) : 0);
	builder_id parent_id = 0;

	assert_non_null(parent);
	if (*parent)
		assert_int_equal(tree_builder_mkdirs(builder, 0, parent, &dir,
						     &parent_id),
				 0);
	if (file->target)
		assert_int_equal(
			tree_builder_add_symlink(builder, parent_id, name,
						 &link, file->target,
						 strlen(file->target), NULL),
			0);
	else if (*name)
		add_content(builder, parent_id, name, file);
	free(parent);
}

static bool is_boot(const char *path)
{
	return strncmp(path, "boot/", 5) == 0;
}

/* All files of one partition, or all of both (part 0). */
static struct tree_builder *builder_of(const struct file *files, unsigned part)
{
	static const struct tree_attr root = { .mode = S_IFDIR | 0755 };
	struct tree_builder *builder;

	assert_int_equal(tree_builder_new(&builder, &root), 0);
	for (; files->path; files++)
		if (part == 0 || is_boot(files->path) == (part == 1))
			add_file(builder, files);
	return builder;
}

static struct tree *tree_of_part(const struct file *files, unsigned part)
{
	struct tree_builder *builder = builder_of(files, part);
	struct tree *tree;

	assert_int_equal(tree_build(builder, &tree, NULL), 0);
	tree_builder_free(builder);
	return tree;
}

struct tree *files_tree(const struct file *files)
{
	return tree_of_part(files, 0);
}

static int try_find(const struct file *files,
		    const struct boot_options *options,
		    struct boot_kernels **ret, struct diag *diag)
{
	static const struct boot_options none = { 0 };
	struct tree *boot = tree_of_part(files, 1);
	struct tree *system = tree_of_part(files, 2);
	int r = boot_find(ret, boot, system, options ? options : &none, diag);

	tree_free(boot);
	tree_free(system);
	return r;
}

struct boot_kernels *find(const struct file *files,
			  const struct boot_options *options)
{
	struct boot_kernels *kernels = NULL;

	assert_int_equal(try_find(files, options, &kernels, NULL), 0);
	return kernels;
}

int find_fails(const struct file *files, const struct boot_options *options,
	       struct diag *diag)
{
	struct boot_kernels *kernels = NULL;
	int r = try_find(files, options, &kernels, diag);

	assert_true(r < 0);
	assert_null(kernels);
	return r;
}

void assert_paths(const struct boot_kernels *kernels, const char *const *paths)
{
	const struct boot_entry *entries;
	size_t n = boot_entries(kernels, &entries);
	size_t i = 0;

	for (; i < n && paths[i]; i++)
		assert_string_equal(entries[i].path, paths[i]);
	if (i < n)
		fail_msg("one too many: %s", entries[i].path);
	if (paths[i])
		fail_msg("missing: %s", paths[i]);
}

const struct boot_entry *entry_of(const struct boot_kernels *kernels,
				  const char *path)
{
	const struct boot_entry *entries;
	size_t n = boot_entries(kernels, &entries);

	for (size_t i = 0; i < n; i++)
		if (strcmp(entries[i].path, path) == 0)
			return &entries[i];
	fail_msg("%s is not in the menu", path);
	return NULL;
}

void assert_rejected(const struct boot_kernels *kernels, const char *path,
		     const char *words)
{
	const struct boot_reject *rejects;
	size_t n = boot_rejects(kernels, &rejects);

	for (size_t i = 0; i < n; i++) {
		if (strcmp(rejects[i].path, path) != 0)
			continue;
		if (!strstr(rejects[i].reason, words))
			fail_msg("%s: \"%s\" does not say \"%s\"", path,
				 rejects[i].reason, words);
		return;
	}
	fail_msg("%s is not among the rejects", path);
}

void assert_initrds(const struct boot_entry *entry, const char *const *paths)
{
	size_t i = 0;

	for (; i < entry->n_initrds && paths[i]; i++)
		assert_string_equal(entry->initrds[i], paths[i]);
	if (i < entry->n_initrds)
		fail_msg("one too many: %s", entry->initrds[i]);
	if (paths[i])
		fail_msg("missing: %s", paths[i]);
}
