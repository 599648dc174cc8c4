/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "boot/finder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/vec.h"

int finder_reject(struct finder *finder, unsigned partition, const char *path,
		  const char *reason, bool is_kernel)
{
	struct boot_reject *reject = vec_push(&finder->rejects);

	if (!reject)
		return -ENOMEM;
	reject->reason = reason;
	reject->partition = partition;
	reject->is_kernel = is_kernel;
	reject->path = strdup(path);
	return reject->path ? 0 : -ENOMEM;
}

int finder_reject_kernel(struct finder *finder, unsigned partition,
			 const char *path, char *reason)
{
	char **added = vec_push(&finder->rejects.reasons);

	if (!added) {
		free(reason);
		return -ENOMEM;
	}
	*added = reason;
	return finder_reject(finder, partition, path, reason, true);
}

int finder_add_size(size_t *total, size_t size, char **ret_reason)
{
	if (size > FOUND_MAX - *total)
		return text_format(
			ret_reason,
			"too much to boot: names or command lines of the kernels "
			"found before have %zu bytes, of %zu at most; remove some",
			*total, FOUND_MAX);
	*total += size;
	return 0;
}

static size_t text_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

size_t kernel_size(const struct kernel *kernel)
{
	const struct boot_entry *entry = &kernel->entry;
	const struct bls *bls = &kernel->bls;
	size_t size = sizeof(*kernel) + text_size(entry->path) +
		      text_size(entry->bls) + text_size(bls->title) +
		      text_size(bls->linux_path) + text_size(bls->options);

	for (size_t i = 0; i < entry->n_initrds; i++)
		size += text_size(entry->initrds[i]);
	for (size_t i = 0; i < bls->n_initrds; i++)
		size += text_size(bls->initrds[i]);
	return size;
}

int finder_use(struct finder *finder, unsigned partition, tree_id node)
{
	struct nodes *used = &finder->used[partition - 1];
	tree_id *id = vec_push(used);

	if (!id)
		return -ENOMEM;
	*id = node;
	return 0;
}

void boot_entry_clear(struct boot_entry *entry)
{
	free(entry->title);
	free(entry->id);
	free(entry->version);
	free(entry->path);
	free(entry->file);
	free(entry->name);
	free(entry->arguments);
	free(entry->arguments_from);
	free(entry->bls);
	for (size_t i = 0; i < entry->n_initrds; i++)
		free(entry->initrds[i]);
	free(entry->initrds);
	vec_free(&entry->placeholders);
	*entry = (struct boot_entry){ 0 };
}

int finder_add_initrd(struct boot_entry *entry, char *path)
{
	char **initrds;

	if (!path)
		return -ENOMEM;
	initrds = reallocarray(entry->initrds, entry->n_initrds + 1,
			       sizeof(*initrds));
	if (!initrds) {
		free(path);
		return -ENOMEM;
	}
	entry->initrds = initrds;
	initrds[entry->n_initrds++] = path;
	return 0;
}

void kernel_clear(struct kernel *kernel)
{
	boot_entry_clear(&kernel->entry);
	free(kernel->embedded_version);
	bls_clear(&kernel->bls);
	*kernel = (struct kernel){ 0 };
}

void rejects_clear(struct rejects *rejects)
{
	for (size_t i = 0; i < rejects->count; i++)
		free(rejects->items[i].path);
	for (size_t i = 0; i < rejects->reasons.count; i++)
		free(rejects->reasons.items[i]);
	vec_free(&rejects->reasons);
	vec_free(rejects);
}

void finder_clear(struct finder *finder)
{
	for (size_t i = 0; i < finder->kernels.count; i++)
		kernel_clear(&finder->kernels.items[i]);
	vec_free(&finder->kernels);
	rejects_clear(&finder->rejects);
	vec_free(&finder->used[0]);
	vec_free(&finder->used[1]);
}

int kernel_find_cmdline(const struct finder *finder,
			const struct kernel *kernel, tree_id *ret_node)
{
	const struct boot_entry *entry = &kernel->entry;
	const struct tree *tree = finder->trees[entry->partition - 1];
	_cleanup_free_ char *name = NULL;

	if (text_format(&name, "%s.cmdline", entry->file) < 0)
		return -ENOMEM;
	*ret_node = tree_child(tree, kernel->dir, name, strlen(name));
	return 0;
}

void boot_kernels_free(struct boot_kernels *kernels)
{
	if (!kernels)
		return;
	for (size_t i = 0; i < kernels->entries.count; i++)
		boot_entry_clear(&kernels->entries.items[i]);
	vec_free(&kernels->entries);
	rejects_clear(&kernels->rejects);
	vec_free(&kernels->placeholders);
	free(kernels);
}

size_t boot_entries(const struct boot_kernels *kernels,
		    const struct boot_entry **ret_entries)
{
	*ret_entries = kernels->entries.items;
	return kernels->entries.count;
}

size_t boot_rejects(const struct boot_kernels *kernels,
		    const struct boot_reject **ret_rejects)
{
	*ret_rejects = kernels->rejects.items;
	return kernels->rejects.count;
}
