/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <xxhash.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/memstream.h"
#include "boot/bzimage.h"
#include "boot/finder.h"
#include "boot/grub_script.h"
#include "boot/lookup.h"
#include "imgcore/boot.h"
#include "imgcore/diag.h"
#include "imgcore/paths.h"
#include "imgcore/target.h"

/* Kernels outside of the menu that are listed; the menu has 1000 at most. */
#define REJECTS_MAX 1000u

struct boot_set {
	FILE *f;
	const struct tree *trees[2];
	const struct tree *archives;
	const struct boot_target *target;
	uint8_t *listed[2]; /* a bit for each name of a tree */
};

/*
 * A hash of all that an archive's directory contains. Nodes are numbered level
 * by level, so each level below a directory is one range. An archive has the
 * modes and the owners of its files in it, but not their change times.
 */
static uint64_t hash_archive(const struct tree *tree, tree_id dir,
			     struct tree_host_id *ret_newest)
{
	tree_id first = dir, end = dir + 1;
	struct tree_info info;
	uint64_t hash = 0;

	*ret_newest = (struct tree_host_id){ .ctime = INT64_MIN };
	while (first < end) {
		tree_id next = TREE_NONE, next_end = 0;

		for (tree_id id = first; id < end; id++) {
			struct tree_host_id host = { 0 };
			uint64_t fields[9];

			tree_get(tree, id, &info);
			tree_host_id(tree, id, &host);
			fields[0] = host.dev;
			fields[1] = host.ino;
			fields[2] = S_ISDIR(info.attr.mode) ? info.n_children
							    : host.size;
			fields[3] = (uint64_t)host.mtime;
			fields[4] = host.mtime_ns;
			fields[5] = info.attr.mode;
			fields[6] = info.attr.uid;
			fields[7] = info.attr.gid;
			fields[8] = (uint64_t)info.attr.major << 32 |
				    info.attr.minor;
			hash = XXH3_64bits_withSeed(fields, sizeof(fields),
						    hash);
			hash = XXH3_64bits_withSeed(info.name, info.name_len,
						    hash);
			if (host.ctime > ret_newest->ctime ||
			    (host.ctime == ret_newest->ctime &&
			     host.ctime_ns > ret_newest->ctime_ns))
				*ret_newest = host;
			if (!S_ISDIR(info.attr.mode) || !info.n_children)
				continue;
			if (next == TREE_NONE)
				next = info.first_child;
			next_end = info.first_child + info.n_children;
		}
		first = next;
		end = next_end;
	}
	return hash;
}

/* The identity of a file: "-" for one of GRUB's, which never change. */
static int put_identity(struct boot_set *set, const struct tree *tree,
			tree_id file)
{
	_cleanup_free_ char *path = NULL;
	struct tree_host_id id;
	tree_id dir;
	int r;

	if (tree_host_id(tree, file, &id)) {
		fprintf(set->f,
			"%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%" PRId64 ".%09u:",
			id.dev, id.ino, id.size, id.mtime, id.mtime_ns);
	} else {
		r = tree_path(tree, file, &path);
		if (r < 0)
			return r;
		dir = set->archives ? tree_find(set->archives, path)
				    : TREE_NONE;
		if (!lookup_is_dir(set->archives, dir)) {
			fputc('-', set->f);
			return 0;
		}
		fprintf(set->f, "archive:%016" PRIx64 ":",
			hash_archive(set->archives, dir, &id));
	}
	fprintf(set->f, "%" PRId64 ".%09u", id.ctime, id.ctime_ns);
	return 0;
}

/* Lists the file at path, unless it is there already or there is none. */
static int put_file(struct boot_set *set, const char *entry, const char *kind,
		    unsigned partition, const char *path)
{
	const struct tree *tree = set->trees[partition - 1];
	uint8_t *listed = set->listed[partition - 1];
	_cleanup_free_ char *shown = NULL;
	struct lookup_file found;
	int r;

	path += strspn(path, "/");
	if (!lookup_file(tree, path, &found) ||
	    listed[found.name / 8] & 1u << found.name % 8)
		return 0;
	listed[found.name / 8] |= (uint8_t)(1u << found.name % 8);
	fprintf(set->f, "%s\t%s\t", entry, kind);
	r = put_identity(set, tree, found.file);
	shown = escape_text(path, ESCAPE_BACKSLASH);
	if (!shown)
		return -ENOMEM;
	fprintf(set->f, "\t%s\n", shown);
	return r;
}

static int put_kernels(struct boot_set *set, const struct boot_kernels *kernels)
{
	const struct boot_entry *entries;
	size_t n = boot_entries(kernels, &entries);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct boot_entry *entry = &entries[i];
		const char *which = entry->is_default ? "default" : "other";

		r = put_file(set, which, "kernel", entry->partition,
			     entry->path);
		for (size_t k = 0; r == 0 && k < entry->n_initrds; k++)
			r = put_file(set, which, "initrd", entry->partition,
				     entry->initrds[k]);
	}
	return r;
}

/* A kernel that is being copied is none yet. */
static int put_rejects(struct boot_set *set, const struct boot_kernels *kernels)
{
	const struct boot_reject *rejects;
	size_t n = boot_rejects(kernels, &rejects);
	size_t listed = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n && listed < REJECTS_MAX; i++) {
		if (!rejects[i].is_kernel)
			continue;
		listed++;
		r = put_file(set, "none", "kernel", rejects[i].partition,
			     rejects[i].path);
	}
	return r;
}

/* A file that a menu of the user's names, on whichever partition has it. */
static int put_named(void *context, const char *path, bool kernel)
{
	struct boot_set *set = context;
	struct diag diag = DIAG_INIT;
	_cleanup_free_ char *reason = NULL;
	struct kernel_image image = { 0 };
	struct lookup_file found;
	unsigned partition = 2;
	int r = 0;

	if (!lookup_file(set->trees[1], path, &found)) {
		partition = 1;
		if (!lookup_file(set->trees[0], path, &found))
			return 0;
	}
	if (kernel) {
		r = set->target->read_kernel(set->trees[partition - 1],
					     found.file, &image, &reason,
					     &diag);
		free(image.version);
		diag_clear(&diag);
		if (r == -ENOMEM)
			return r;
	}
	return put_file(set, r < 0 || reason ? "none" : "other",
			kernel ? "kernel" : "initrd", partition, path);
}

int boot_set_text(const struct boot_kernels *kernels,
		  const struct tree *boot_tree, const struct tree *system_tree,
		  const struct tree *archives, const char *menu, bool own_menu,
		  char **ret_text)
{
	_cleanup_free_ uint8_t *boot_listed =
		calloc(1, tree_count(boot_tree) / 8 + 1);
	_cleanup_free_ uint8_t *system_listed =
		calloc(1, tree_count(system_tree) / 8 + 1);
	_cleanup_free_ char *text = NULL;
	struct boot_set set = {
		.trees = { boot_tree, system_tree },
		.archives = archives,
		.target = kernels->target,
		.listed = { boot_listed, system_listed },
	};
	struct memstream stream;
	int closed;
	int r;

	if (!boot_listed || !system_listed)
		return -ENOMEM;
	set.f = memstream_open(&stream);
	if (!set.f)
		return -ENOMEM;
	if (own_menu) {
		r = put_file(&set, "all", "menu", 1, PATH_MENU);
		if (r == 0)
			r = grub_script_files(menu, put_named, &set);
	} else {
		r = put_kernels(&set, kernels);
		if (r == 0)
			r = put_rejects(&set, kernels);
	}
	if (r == 0)
		r = put_file(&set, "all", "menu", 1, PATH_CUSTOM);
	fprintf(set.f, "\n%s", menu);
	closed = memstream_close(&stream, &text, NULL);
	if (r == 0)
		r = closed;
	if (r == 0)
		*ret_text = take_ptr(text);
	return r;
}
