/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The order of entries is that of GNU cpio: of a regular file with several
 * names the last one has the bytes, and the others are written right before it,
 * the latest first. Inodes are numbered from 0 in the order in which names
 * come, not in which they are written.
 */
#include "archive/cpio_entries.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/vec.h"
#include "imgcore/diag.h"

/* An entry whose inode has further names, maybe in this archive. */
struct link {
	tree_id inode;
	uint32_t entry;
};

struct search {
	const struct cpio_source *source;
	struct cpio_entries *entries;
	struct diag *diag;
	/* The entry of the directory at each depth; UINT32_MAX: none. */
	struct {
		uint32_t *items;
		size_t count, size;
	} parents;
	struct {
		struct link *items;
		size_t count, size;
	} links;
};

void cpio_entries_get(const struct cpio_source *source,
		      const struct cpio_entry *entry,
		      struct cpio_item *ret_item)
{
	struct tree_info info;

	*ret_item = (struct cpio_item){ .file = TREE_NONE };
	if (entry->flags & ENTRY_LISTED) {
		const struct device *device =
			&source->list.items[entry->source];

		ret_item->attr = device->attr;
		ret_item->size = device->target ? strlen(device->target) : 0;
		ret_item->target = device->target;
		return;
	}
	tree_get(source->tree, entry->source, &info);
	ret_item->attr = info.attr;
	if (S_ISLNK(info.attr.mode)) {
		ret_item->size = info.size;
		ret_item->target = info.target;
	} else if (S_ISREG(info.attr.mode) && !(entry->flags & ENTRY_NO_DATA)) {
		ret_item->size = info.size;
		ret_item->file = info.inode;
	} else if (S_ISDIR(info.attr.mode) && source->layout == CPIO_MODULES) {
		/* It may be the guest's own. */
		ret_item->attr.mode = S_IFDIR | 0755;
		ret_item->attr.uid = ret_item->attr.gid = 0;
	}
}

void cpio_entries_note_time(struct cpio_entries *entries,
			    const struct tree_attr *attr)
{
	if (attr->mtime < entries->mtime ||
	    (attr->mtime == entries->mtime &&
	     attr->mtime_ns <= entries->mtime_ns))
		return;
	entries->mtime = attr->mtime;
	entries->mtime_ns = attr->mtime_ns;
}

/* ---- in the order of their names ---- */

/* Why an entry cannot be in an archive, or NULL. */
static const char *entry_reason(const struct walked *at,
				const struct cpio_item *item, int *ret_err)
{
	if (S_ISREG(item->attr.mode) && item->size > UINT32_MAX) {
		*ret_err = -EFBIG;
		return "4 GiB or more: too large for an archive";
	}
	if (S_ISLNK(item->attr.mode) && item->size > NEWC_NAME_MAX) {
		*ret_err = -ENAMETOOLONG;
		return "a target of more than " NEWC_NAME_LIMIT " bytes";
	}
	if (at->path_len == strlen(NEWC_TRAILER) &&
	    memcmp(at->path, NEWC_TRAILER, at->path_len) == 0) {
		*ret_err = -EINVAL;
		return "the end of an archive has this name: use another";
	}
	return NULL;
}

/* Counts a directory among its parent's, and makes it the parent below it. */
static int add_parent(struct search *s, const struct walked *at,
		      uint32_t number)
{
	struct cpio_entry *entries = s->entries->items;
	uint32_t parent = at->depth > 0 && s->parents.count >= at->depth
				  ? s->parents.items[at->depth - 1]
				  : number;

	entries[number].nlink = 2;
	if (parent != number && parent != UINT32_MAX)
		entries[parent].nlink++;
	while (s->parents.count <= at->depth) {
		uint32_t *none = vec_push(&s->parents);

		if (!none)
			return -ENOMEM;
		*none = UINT32_MAX;
	}
	s->parents.items[at->depth] = number;
	return 0;
}

static int add_entry(struct search *s, const struct walked *at)
{
	uint32_t number = (uint32_t)s->entries->count;
	struct cpio_entry *entry = vec_push(s->entries);
	struct cpio_item item;
	struct tree_info info;
	const char *reason;
	struct link *link;
	bool is_dir;
	int err;

	if (!entry)
		return -ENOMEM;
	entry->source = at->source;
	entry->flags = at->listed ? ENTRY_LISTED : 0;
	entry->nlink = 1;
	cpio_entries_get(s->source, entry, &item);
	is_dir = S_ISDIR(item.attr.mode);
	/* "." for the archive's root; a directory of modules ends in '/'. */
	entry->name_len = (uint16_t)(at->path_len + (at->path_len == 0));
	if (at->path_len > 0 && is_dir && s->source->layout == CPIO_MODULES)
		entry->name_len++;
	cpio_entries_note_time(s->entries, &item.attr);
	reason = entry_reason(at, &item, &err);
	if (reason) {
		/* If the search goes on, its size must not count. */
		entry->flags |= ENTRY_NO_DATA;
		return cpio_walk_fail(s->source, at, err, reason, s->diag);
	}
	if (is_dir)
		return add_parent(s, at, number);
	if (at->listed)
		return 0;
	tree_get(s->source->tree, at->source, &info);
	if (info.nlink < 2)
		return 0;
	link = vec_push(&s->links);
	if (!link)
		return -ENOMEM;
	*link = (struct link){ info.inode, number };
	return 0;
}

static int add_entries(struct search *s)
{
	struct cpio_walk walk;
	struct walked at;
	int r;

	cpio_walk_begin(&walk, s->source);
	do {
		r = cpio_walk_next(&walk, &at, s->diag);
		if (r == 0)
			break;
		if (r > 0)
			r = add_entry(s, &at);
		r = diag_report(s->diag, r);
	} while (r >= 0);
	cpio_walk_end(&walk);
	return r;
}

/* ---- hard links ---- */

static int compare_links(const void *a, const void *b)
{
	const struct link *x = a;
	const struct link *y = b;

	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return (x->entry > y->entry) - (x->entry < y->entry);
}

static bool is_regular(const struct search *s, const struct cpio_entry *entry)
{
	struct cpio_item item;

	cpio_entries_get(s->source, entry, &item);
	return S_ISREG(item.attr.mode);
}

/*
 * Marks the names that share an inode, and numbers the inodes. Returns whether
 * any name has to wait for another.
 */
static bool number_inodes(struct search *s)
{
	struct cpio_entry *entries = s->entries->items;
	const struct link *links = s->links.items;
	bool waiting = false;
	uint32_t next = 0;

	if (s->links.count > 0)
		qsort(s->links.items, s->links.count, sizeof(*links),
		      compare_links);
	for (size_t i = 0, n; i < s->links.count; i += n) {
		bool regular = is_regular(s, &entries[links[i].entry]);

		for (n = 1; i + n < s->links.count &&
			    links[i + n].inode == links[i].inode;)
			n++;
		for (size_t k = 0; n > 1 && k < n; k++) {
			struct cpio_entry *entry = &entries[links[i + k].entry];

			entry->nlink = (uint32_t)n;
			entry->flags |= ENTRY_LINKED;
			entry->ino = links[i].entry; /* for now: its first */
			if (regular && k < n - 1)
				entry->flags |= ENTRY_NO_DATA;
			waiting = true;
		}
	}
	for (uint32_t i = 0; i < s->entries->count; i++) {
		struct cpio_entry *entry = &entries[i];

		if ((entry->flags & ENTRY_LINKED) && entry->ino != i)
			entry->ino = entries[entry->ino].ino;
		else
			entry->ino = next++;
	}
	return waiting;
}

/* Puts the names that wait before the one that they wait for. */
static int order_entries(struct search *s)
{
	const struct cpio_entry *from = s->entries->items;
	size_t count = s->entries->count;
	struct cpio_entry *to = calloc(count, sizeof(*to));
	size_t n = 0;

	if (!to)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		bool linked = from[i].flags & ENTRY_LINKED;

		if (linked && (from[i].flags & ENTRY_NO_DATA))
			continue;
		if (linked && is_regular(s, &from[i])) {
			const struct link key = {
				tree_inode(s->source->tree, from[i].source), i
			};
			const struct link *last =
				bsearch(&key, s->links.items, s->links.count,
					sizeof(key), compare_links);

			for (uint32_t k = 1; k < from[i].nlink; k++)
				to[n++] = from[(last - k)->entry];
		}
		to[n++] = from[i];
	}
	assert(n == count);
	free(s->entries->items);
	s->entries->items = to;
	s->entries->size = count;
	return 0;
}

int cpio_entries_find(struct cpio_entries *entries,
		      const struct cpio_source *source, struct diag *diag)
{
	struct search s = {
		.source = source,
		.entries = entries,
		.diag = diag,
	};
	int r = add_entries(&s);

	if (r == 0 && number_inodes(&s))
		r = order_entries(&s);
	else
		vec_shrink(entries);
	for (size_t i = 0; i < entries->count; i++) {
		struct cpio_entry *entry = &entries->items[i];
		struct cpio_item item;

		cpio_entries_get(source, entry, &item);
		entry->offset = entries->end;
		entries->end += newc_head_size(entry->name_len) +
				round_up(item.size, NEWC_ALIGN);
	}
	vec_free(&s.parents);
	vec_free(&s.links);
	return r;
}
