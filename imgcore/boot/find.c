/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/math.h"
#include "base/vec.h"
#include "boot/cmdline.h"
#include "boot/entries.h"
#include "boot/found.h"
#include "boot/kernels.h"
#include "boot/labels.h"
#include "boot/lookup.h"
#include "boot/menu.h"
#include "boot/order.h"
#include "boot/text.h"
#include "imgcore/diag.h"
#include "imgcore/paths.h"

/*
 * Limits of a menu. GRUB reads all of it before it shows the first line: in an
 * emulated machine with 128 MiB of memory, a menu of 950 KB takes a minute, and
 * one of 3.6 MB more than three.
 */
#define MENU_KERNELS_MAX 1000u
#define MENU_SIZE_MAX	 (1u << 20)

/* GRUB's menu has a second entry for each, with one word more. */
#define RECOVERY_SIZE strlen(" single")

/* ---- command lines ---- */

/* What is behind the name is a program to the kernel that looks for it. */
static bool is_program(const struct tree *tree, const char *path)
{
	tree_id id = lookup(tree, TREE_ROOT, path, strlen(path),
			    LOOKUP_LINKS_LINUX);
	struct tree_info info;

	if (!lookup_is_file(tree, id))
		return false;
	tree_get(tree, id, &info);
	return info.attr.mode & 0111;
}

static bool has_init(const struct tree *tree)
{
	static const char *const paths[] = { "/sbin/init", "/etc/init",
					     "/bin/init" };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (is_program(tree, paths[i]))
			return true;
	return false;
}

/* Lines and tabs part words just as spaces do. */
static void flatten(char *text)
{
	for (; *text; text++)
		if (strchr("\n\r\t", *text))
			*text = ' ';
}

/* What a kernel has of its own; either may stay NULL. */
struct own_words {
	char *text;
	char *from; /* the file that they are in */
	char *reason; /* they cannot be had */
};

static void own_words_clear(struct own_words *own)
{
	free(own->text);
	free(own->from);
	free(own->reason);
}

static int words_of_file(const struct finder *finder,
			 const struct kernel *kernel, tree_id node,
			 struct own_words *own)
{
	const struct boot_entry *entry = &kernel->entry;
	const struct tree *tree = finder->trees[entry->partition - 1];
	struct tree_info info;
	tree_id file;

	if (asprintf(&own->from, "%s.cmdline", entry->path) < 0) {
		own->from = NULL;
		return -ENOMEM;
	}
	tree_get(tree, node, &info);
	file = lookup(tree, kernel->dir, info.name, info.name_len,
		      LOOKUP_LINKS_LINUX);
	if (lookup_is_file(tree, file))
		return text_read(tree, file, &own->text, &own->reason,
				 finder->diag);
	own->reason = strdup("leads to no file on its partition");
	return own->reason ? 0 : -ENOMEM;
}

static int words_of_entry(const struct kernel *kernel, struct own_words *own)
{
	if (!kernel->bls.options)
		return 0;
	own->text = strdup(kernel->bls.options);
	own->from = strdup(kernel->entry.bls);
	return own->text && own->from ? 0 : -ENOMEM;
}

static int own_words_read(const struct finder *finder,
			  const struct kernel *kernel, struct own_words *own)
{
	tree_id node;
	int r = kernel_find_cmdline(finder, kernel, &node);

	if (r == 0)
		r = node != TREE_NONE ? words_of_file(finder, kernel, node, own)
				      : words_of_entry(kernel, own);
	if (r < 0 || !own->text)
		return r;
	flatten(own->text);
	return cmdline_check(own->text, &own->reason);
}

/* Too long a line GRUB would cut without a word. */
static int check_size(const struct kernel *kernel, char **ret_reason)
{
	const struct boot_entry *entry = &kernel->entry;
	uint64_t size = cmdline_size(entry->path, entry->arguments);

	size += RECOVERY_SIZE;
	if (size <= kernel->cmdline_size)
		return 0;
	if (asprintf(
		    ret_reason,
		    "its command line has %llu bytes, with what GRUB adds, and "
		    "this kernel takes %u",
		    (unsigned long long)size, kernel->cmdline_size) >= 0)
		return 0;
	*ret_reason = NULL;
	return -ENOMEM;
}

/* The entry's arguments, or why it cannot have any. */
static int make_arguments(const struct finder *finder, struct kernel *kernel,
			  const struct cmdline *common, char **ret_reason)
{
	_cleanup_(own_words_clear) struct own_words own = { 0 };
	struct cmdline parts = *common;
	int r = own_words_read(finder, kernel, &own);

	if (r < 0)
		return r;
	if (own.reason) {
		if (asprintf(ret_reason, "%s: %s", own.from, own.reason) >= 0)
			return 0;
		*ret_reason = NULL;
		return -ENOMEM;
	}
	parts.own = own.text;
	r = cmdline_make(&parts, &kernel->entry.arguments,
			 &kernel->entry.placeholders);
	if (r < 0)
		return r;
	kernel->entry.arguments_from = take_ptr(own.from);
	return check_size(kernel, ret_reason);
}

/* ---- all of them ---- */

static int finish_kernel(struct finder *finder, struct kernel *kernel,
			 const struct cmdline *common, bool *ret_keep)
{
	struct boot_entry *entry = &kernel->entry;
	struct tree_info info;
	char *reason = NULL;
	int r;

	*ret_keep = false;
	if (kernel->replaced)
		return 0;
	tree_get(finder->trees[entry->partition - 1], kernel->file, &info);
	kernel->mtime = info.attr.mtime;
	kernel->mtime_ns = info.attr.mtime_ns;
	r = make_arguments(finder, kernel, common, &reason);
	if (r == 0 && !reason)
		r = finder_take(&finder->taken_arguments,
				strlen(entry->arguments), &reason);
	if (r < 0)
		return r;
	*ret_keep = !reason;
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
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < kernels->count; i++) {
		struct kernel *kernel = &kernels->items[i];
		bool keep = true;

		if (r == 0)
			r = finish_kernel(finder, kernel, &common, &keep);
		if (keep)
			kernels->items[kept++] = *kernel;
		else
			kernel_clear(kernel);
	}
	kernels->count = kept;
	return r;
}

static int find_all(struct finder *finder, const struct boot_options *options)
{
	int r = kernels_find(finder);

	if (r == 0)
		r = entries_find(finder);
	if (r == 0)
		r = finish_kernels(finder, options);
	if (r == 0)
		r = kernels_find_unused(finder);
	if (r < 0)
		return r;
	order_sort(&finder->kernels, options->order);
	return labels_make(&finder->kernels);
}

/* ---- the default ---- */

static bool is_below(const char *name, const struct boot_entry *entry)
{
	size_t len = strlen(entry->name);

	return strncmp(name, entry->name, len) == 0 &&
	       (name[len] == '\0' ||
		(name[len] == '/' && strcmp(name + len + 1, entry->file) == 0));
}

/* Whether name says this entry and no other. */
static bool is_exactly(const struct kernel *kernel, const char *name)
{
	const struct boot_entry *entry = &kernel->entry;
	const char *bls = kernel->bls.id;

	if (strcmp(name, entry->file) == 0 ||
	    strcmp(name, entry->path + (*name != '/')) == 0 ||
	    strcmp(name, entry->id) == 0)
		return true;
	if (bls && strncmp(name, bls, strlen(bls)) == 0 &&
	    (name[strlen(bls)] == '\0' ||
	     strcmp(name + strlen(bls), ".conf") == 0))
		return true;
	return entry->name && is_below(name, entry);
}

/* Whether it is the one that has the version as its id. */
static bool is_of_version(const struct kernel *kernel, const char *name)
{
	const char *id = kernel->entry.id;

	return strncmp(id, "gnulinux-", 9) == 0 && strcmp(id + 9, name) == 0;
}

static bool has_version(const struct kernel *kernel, const char *name)
{
	return strcmp(kernel->entry.version, name) == 0;
}

/* The number of the entry of that name; their count: there is none. */
static size_t find_default(const struct kernels *kernels, const char *name)
{
	bool (*const ways[])(const struct kernel *kernel, const char *name) = {
		is_exactly,
		is_of_version,
		has_version,
	};

	for (size_t way = 0; name && way < ARRAY_SIZE(ways); way++)
		for (size_t i = 0; i < kernels->count; i++)
			if (ways[way](&kernels->items[i], name))
				return i;
	return kernels->count;
}

/* ---- the result ---- */

static void push_entry(struct boot_kernels *kernels, struct kernel *kernel)
{
	struct boot_entry *entry = vec_push(&kernels->entries);

	*entry = kernel->entry;
	entry->is_default = kernels->entries.count == 1;
	kernel->entry = (struct boot_entry){ 0 };
}

static int compare_rejects(const void *a, const void *b)
{
	const struct boot_reject *x = a;
	const struct boot_reject *y = b;
	int r = strcmp(x->path, y->path);

	return r ? r : (int)x->partition - (int)y->partition;
}

/*
 * Whether the menu has room for one more. GRUB reads all of it before it shows
 * the first line.
 */
static int menu_room(struct finder *finder, const struct boot_kernels *kernels,
		     const struct kernel *kernel, size_t *menu_size,
		     bool *ret_room)
{
	const struct boot_entry *entry = &kernel->entry;
	char *reason = NULL;
	size_t size = 0;
	int r = menu_entry_size(entry, finder->target, &size);
	int n;

	if (r < 0)
		return r;
	*ret_room = true;
	if (kernels->entries.count >= MENU_KERNELS_MAX)
		n = asprintf(&reason,
			     "no room in the menu: it has %u kernels; remove "
			     "some",
			     MENU_KERNELS_MAX);
	else if (size > MENU_SIZE_MAX - *menu_size)
		n = asprintf(&reason,
			     "no room in the menu: its entry has %zu bytes, "
			     "and %zu of %u are left; remove some kernels",
			     size, MENU_SIZE_MAX - *menu_size, MENU_SIZE_MAX);
	else {
		*menu_size += size;
		return 0;
	}
	*ret_room = false;
	return n < 0 ? -ENOMEM
		     : finder_reject_kernel(
			       finder, entry->partition,
			       entry->bls ? entry->bls : entry->path, reason);
}

/* Moves what was found into what is kept: the default first. */
static int hand_over(struct finder *finder, const char *default_entry,
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
		bool room;
		int r;

		if (at == found->count || (i > 0 && at == first))
			continue;
		r = menu_room(finder, kernels, &found->items[at], &menu_size,
			      &room);
		if (r < 0)
			return r;
		if (room)
			push_entry(kernels, &found->items[at]);
	}
	vec_shrink(&finder->rejects);
	kernels->rejects = finder->rejects;
	finder->rejects = (struct rejects){ 0 };
	if (kernels->rejects.count)
		qsort(kernels->rejects.items, kernels->rejects.count,
		      sizeof(*kernels->rejects.items), compare_rejects);
	return 0;
}

static int check_append(const struct boot_options *options, struct diag *diag)
{
	_cleanup_free_ char *reason = NULL;
	int r;

	if (!options->append)
		return 0;
	r = cmdline_check(options->append, &reason);
	if (r == 0 && !reason)
		return 0;
	return diag_set(diag, r < 0 ? r : -EINVAL, "--append", "%s",
			reason ? reason : strerror(-r));
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
	struct boot_kernels *kernels;
	int r = check_append(options, diag);

	if (r < 0)
		return r;
	kernels = calloc(1, sizeof(*kernels));
	r = kernels ? find_all(&finder, options) : -ENOMEM;
	if (r == 0)
		r = hand_over(&finder, options->default_entry, kernels);
	if (r == 0) {
		*ret_kernels = kernels;
		return 0;
	}
	boot_kernels_free(kernels);
	return r == -ENOMEM ? diag_set(diag, r, PATH_KERNELS, NULL) : r;
}
