/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/math.h"
#include "base/text.h"
#include "base/vec.h"
#include "boot/cmdline.h"
#include "boot/entries.h"
#include "boot/kernels.h"
#include "boot/labels.h"
#include "boot/lookup.h"
#include "boot/menu.h"
#include "boot/order.h"
#include "imgcore/diag.h"
#include "imgcore/paths.h"

/*
 * Limits of a menu. GRUB reads all of it before it shows the first line: in an
 * emulated machine with 128 MiB of memory, a menu of 950 KB takes a minute, and
 * one of 3.6 MB more than three.
 */
#define MENU_KERNELS_MAX 1000u
#define MENU_SIZE_MAX	 (1u << 20)

/* The menu has a second entry for each kernel, with one word more. */
#define RECOVERY_SIZE strlen(" single")

/* ---- command lines ---- */

/* Whether the kernel would find a program to start there. */
static bool has_init(const struct tree *tree)
{
	static const char *const paths[] = { "/sbin/init", "/etc/init",
					     "/bin/init" };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		tree_id id = lookup(tree, TREE_ROOT, paths[i], strlen(paths[i]),
				    LOOKUP_LINKS_LINUX);
		struct tree_info info;

		if (!lookup_is_file(tree, id))
			continue;
		tree_get(tree, id, &info);
		if (info.attr.mode & 0111)
			return true;
	}
	return false;
}

/* A kernel's own arguments; each may be NULL. */
struct own {
	char *text;
	char *from; /* the file with them */
	char *reason; /* why they cannot be used */
};

static void own_clear(struct own *own)
{
	free(own->text);
	free(own->from);
	free(own->reason);
}

/* Reads FILE.cmdline, otherwise the options of the kernel's entry. */
static int own_read(const struct finder *finder, const struct kernel *kernel,
		    struct own *own)
{
	const struct boot_entry *entry = &kernel->entry;
	const struct tree *tree = finder->trees[entry->partition - 1];
	struct tree_info info;
	tree_id node;
	int r = kernel_find_cmdline(finder, kernel, &node);

	if (r < 0)
		return r;
	if (node != TREE_NONE) {
		if (text_format(&own->from, "%s.cmdline", entry->path) < 0)
			return -ENOMEM;
		tree_get(tree, node, &info);
		node = lookup(tree, kernel->dir, info.name, info.name_len,
			      LOOKUP_LINKS_LINUX);
		r = lookup_is_file(tree, node)
			    ? lookup_text(tree, node, &own->text, &own->reason,
					  finder->diag)
			    : text_format(&own->reason,
					  "leads to no file on its partition");
	} else if (kernel->bls.options) {
		own->text = strdup(kernel->bls.options);
		own->from = strdup(entry->bls);
		r = own->text && own->from ? 0 : -ENOMEM;
	}
	if (r < 0 || !own->text)
		return r;
	/* Lines and tabs separate words as spaces do. */
	for (char *c = own->text; *c; c++)
		if (strchr("\n\r\t", *c))
			*c = ' ';
	return cmdline_check(own->text, &own->reason);
}

/* Makes the entry's arguments, or sets a reason. */
static int make_arguments(const struct finder *finder, struct kernel *kernel,
			  const struct cmdline *common, char **ret_reason)
{
	_cleanup_(own_clear) struct own own = { 0 };
	struct boot_entry *entry = &kernel->entry;
	struct cmdline parts = *common;
	uint64_t size;
	int r = own_read(finder, kernel, &own);

	if (r < 0)
		return r;
	if (own.reason)
		return text_format(ret_reason, "%s: %s", own.from, own.reason);
	parts.own = own.text;
	r = cmdline_make(&parts, &entry->arguments, &entry->placeholders);
	if (r < 0)
		return r;
	entry->arguments_from = take_ptr(own.from);
	/* GRUB would cut a longer line without a message. */
	size = cmdline_size(entry->path, entry->arguments) + RECOVERY_SIZE;
	return size <= kernel->cmdline_size
		       ? 0
		       : text_format(ret_reason,
				     "its command line has %llu bytes, with "
				     "what GRUB adds, and this kernel takes %u",
				     (unsigned long long)size,
				     kernel->cmdline_size);
}

/* ---- all of them ---- */

static int finish_kernel(struct finder *finder, struct kernel *kernel,
			 const struct cmdline *common, bool *ret_complete)
{
	struct boot_entry *entry = &kernel->entry;
	struct tree_info info;
	char *reason = NULL;
	int r;

	*ret_complete = false;
	if (kernel->replaced)
		return 0;
	tree_get(finder->trees[entry->partition - 1], kernel->file, &info);
	kernel->mtime = info.attr.mtime;
	kernel->mtime_ns = info.attr.mtime_ns;
	r = make_arguments(finder, kernel, common, &reason);
	if (r == 0 && !reason)
		r = finder_add_size(&finder->arguments_size,
				    strlen(entry->arguments), &reason);
	if (r < 0)
		return r;
	*ret_complete = !reason;
	return reason ? finder_reject_kernel(
				finder, entry->partition,
				entry->bls ? entry->bls : entry->path, reason)
		      : 0;
}

/* Drops kernels that entries stand for, and those without a command line. */
static int finish_kernels(struct finder *finder,
			  const struct boot_options *options)
{
	const struct cmdline common = {
		.consoles = finder->target->consoles[options->console],
		.root = has_init(finder->trees[1]),
		.append = options->append,
	};
	struct kernels *kernels = &finder->kernels;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < kernels->count; i++) {
		struct kernel *kernel = &kernels->items[i];
		bool complete = true;

		if (r == 0)
			r = finish_kernel(finder, kernel, &common, &complete);
		if (complete)
			kernels->items[n++] = *kernel;
		else
			kernel_clear(kernel);
	}
	kernels->count = n;
	return r;
}

/* ---- the default ---- */

/* Whether name is this entry's alone. */
static bool is_exactly(const struct kernel *kernel, const char *name)
{
	const struct boot_entry *entry = &kernel->entry;
	const char *bls = kernel->bls.id;
	size_t len;

	if (strcmp(name, entry->file) == 0 ||
	    strcmp(name, entry->path + (*name != '/')) == 0 ||
	    strcmp(name, entry->id) == 0)
		return true;
	if (bls && strncmp(name, bls, strlen(bls)) == 0 &&
	    (name[strlen(bls)] == '\0' ||
	     strcmp(name + strlen(bls), ".conf") == 0))
		return true;
	/* NAME or NAME/FILE of kernels/NAME/FILE. */
	if (!entry->name)
		return false;
	len = strlen(entry->name);
	return strncmp(name, entry->name, len) == 0 &&
	       (name[len] == '\0' ||
		(name[len] == '/' && strcmp(name + len + 1, entry->file) == 0));
}

/* Whether the entry's id contains this version. */
static bool has_id(const struct kernel *kernel, const char *name)
{
	const char *id = kernel->entry.id;

	return strncmp(id, "gnulinux-", 9) == 0 && strcmp(id + 9, name) == 0;
}

static bool has_version(const struct kernel *kernel, const char *name)
{
	return strcmp(kernel->entry.version, name) == 0;
}

/* Returns the number of the entry of that name, or their count. */
static size_t find_default(const struct kernels *kernels, const char *name)
{
	bool (*const ways[])(const struct kernel *kernel, const char *name) = {
		is_exactly,
		has_id,
		has_version,
	};

	for (size_t way = 0; name && way < ARRAY_SIZE(ways); way++)
		for (size_t i = 0; i < kernels->count; i++)
			if (ways[way](&kernels->items[i], name))
				return i;
	return kernels->count;
}

/* ---- the result ---- */

static int compare_rejects(const void *a, const void *b)
{
	const struct boot_reject *x = a;
	const struct boot_reject *y = b;
	int r = strcmp(x->path, y->path);

	return r ? r : (int)x->partition - (int)y->partition;
}

/*
 * Sets a reason if the menu has no room for one more kernel. GRUB reads all of
 * it before it shows the first line.
 */
static int check_room(const struct finder *finder, size_t n,
		      const struct boot_entry *entry, size_t *menu_size,
		      char **ret_reason)
{
	size_t size = 0;
	int r = menu_entry_size(entry, finder->target, &size);

	*ret_reason = NULL;
	if (r < 0)
		return r;
	if (n >= MENU_KERNELS_MAX)
		return text_format(ret_reason,
				   "no room in the menu: it has %u kernels; "
				   "remove some",
				   MENU_KERNELS_MAX);
	if (size > MENU_SIZE_MAX - *menu_size)
		return text_format(ret_reason,
				   "no room in the menu: its entry has %zu "
				   "bytes, and %zu of %u are left; remove some "
				   "kernels",
				   size, MENU_SIZE_MAX - *menu_size,
				   MENU_SIZE_MAX);
	*menu_size += size;
	return 0;
}

/* Moves what was found into the result, the default first. */
static int move_found(struct finder *finder, const char *default_entry,
		      struct boot_kernels *kernels)
{
	struct kernels *found = &finder->kernels;
	size_t first = find_default(found, default_entry);
	size_t menu_size = 0;

	if (found->count && vec_reserve(&kernels->entries, found->count) < 0)
		return -ENOMEM;
	kernels->no_default = default_entry && first == found->count;
	for (size_t i = 0; i <= found->count; i++) {
		size_t at = i == 0 ? first : i - 1;
		struct boot_entry *entry;
		char *reason;
		int r;

		if (at == found->count || (i > 0 && at == first))
			continue;
		entry = &found->items[at].entry;
		r = check_room(finder, kernels->entries.count, entry,
			       &menu_size, &reason);
		if (r == 0 && reason)
			r = finder_reject_kernel(
				finder, entry->partition,
				entry->bls ? entry->bls : entry->path, reason);
		else if (r == 0) {
			entry->is_default = kernels->entries.count == 0;
			/* It has room for all of them. */
			*vec_push(&kernels->entries) = *entry;
			*entry = (struct boot_entry){ 0 };
		}
		if (r < 0)
			return r;
	}
	vec_shrink(&finder->rejects);
	kernels->rejects = finder->rejects;
	finder->rejects = (struct rejects){ 0 };
	if (kernels->rejects.count)
		qsort(kernels->rejects.items, kernels->rejects.count,
		      sizeof(*kernels->rejects.items), compare_rejects);
	return 0;
}

int boot_find(struct boot_kernels **ret_kernels, const struct tree *boot_tree,
	      const struct tree *system_tree,
	      const struct boot_options *options, struct diag *diag)
{
	_cleanup_(finder_clear) struct finder finder = {
		.target = &boot_targets[options->target],
		.trees = { boot_tree, system_tree },
		.diag = diag,
	};
	_cleanup_free_ char *reason = NULL;
	struct boot_kernels *kernels;
	int r = 0;

	if (options->append)
		r = cmdline_check(options->append, &reason);
	if (r < 0 || reason)
		return diag_set(diag, r < 0 ? r : -EINVAL, "--append", "%s",
				reason ? reason : strerror(-r));
	kernels = calloc(1, sizeof(*kernels));
	if (kernels)
		kernels->target = finder.target;
	r = kernels ? kernels_find(&finder) : -ENOMEM;
	if (r == 0)
		r = entries_find(&finder);
	if (r == 0)
		r = finish_kernels(&finder, options);
	if (r == 0)
		r = kernels_find_unused(&finder);
	if (r == 0) {
		order_sort(&finder.kernels, options->order);
		r = labels_make(&finder.kernels);
	}
	if (r == 0)
		r = move_found(&finder, options->default_entry, kernels);
	if (r == 0) {
		*ret_kernels = kernels;
		return 0;
	}
	boot_kernels_free(kernels);
	return r == -ENOMEM ? diag_set(diag, r, PATH_KERNELS, NULL) : r;
}
