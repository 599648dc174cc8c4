/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The order of entries is that of GNU cpio: of a regular file with several
 * names the last one has the bytes, and those before wait for it, to be written
 * right in front of it, the latest first. Inodes are numbered from 0 in the
 * order in which names come, not in which they are written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/cpio_walk.h"
#include "base/math.h"
#include "base/vec.h"
#include "imgcore/diag.h"

/* An entry whose inode has further names, maybe in this archive. */
struct link {
	tree_id inode;
	uint32_t entry;
};

struct mapping {
	struct cpio *cpio;
	struct diag *diag;
	struct cpio_walk walk;
	/* The directory entry at each depth that the walk is in. */
	struct {
		uint32_t *items;
		size_t count, size;
	} parents;
	struct {
		struct link *items;
		size_t count, size;
	} links;
};

uint64_t cpio_head_size(size_t name_len)
{
	return round_up(sizeof(struct newc_header) + name_len + 1, NEWC_ALIGN);
}

static void get_listed(const struct device *device, struct cpio_item *item)
{
	*item = (struct cpio_item){
		.attr = device->attr,
		.size = device->target ? strlen(device->target) : 0,
		.target = device->target,
		.file = TREE_NONE,
	};
}

void cpio_get(const struct cpio *cpio, const struct cpio_entry *entry,
	      struct cpio_item *ret_item)
{
	struct tree_info info;

	if (entry->flags & ENTRY_LISTED) {
		get_listed(&cpio->list.items[entry->source], ret_item);
		return;
	}
	tree_get(cpio->tree, entry->source, &info);
	*ret_item = (struct cpio_item){ .attr = info.attr, .file = TREE_NONE };
	if (S_ISLNK(info.attr.mode)) {
		ret_item->size = info.size;
		ret_item->target = info.target;
	} else if (S_ISREG(info.attr.mode) && !(entry->flags & ENTRY_NO_DATA)) {
		ret_item->size = info.size;
		ret_item->file = info.inode;
	} else if (S_ISDIR(info.attr.mode) && cpio->layout == CPIO_MODULES) {
		/* It may be the guest's own. */
		ret_item->attr.mode = S_IFDIR | 0755;
		ret_item->attr.uid = ret_item->attr.gid = 0;
	}
}

void cpio_note_time(struct cpio *cpio, const struct tree_attr *attr)
{
	if (attr->mtime < cpio->mtime ||
	    (attr->mtime == cpio->mtime && attr->mtime_ns <= cpio->mtime_ns))
		return;
	cpio->mtime = attr->mtime;
	cpio->mtime_ns = attr->mtime_ns;
}

/* ---- the entries, in the order of their names ---- */

static int check_item(const struct cpio *cpio, const struct walked *at,
		      const struct cpio_item *item, struct diag *diag)
{
	if (S_ISREG(item->attr.mode) && item->size > UINT32_MAX)
		return cpio_fail(cpio, at, -EFBIG,
				 "4 GiB or more: too large for an archive",
				 diag);
	if (S_ISLNK(item->attr.mode) && item->size > NEWC_NAME_MAX)
		return cpio_fail(cpio, at, -ENAMETOOLONG,
				 "a target of more than " NEWC_NAME_LIMIT
				 " bytes",
				 diag);
	if (at->path_len == strlen(NEWC_TRAILER) &&
	    memcmp(at->path, NEWC_TRAILER, at->path_len) == 0)
		return cpio_fail(cpio, at, -EINVAL,
				 "the end of an archive has this name: "
				 "use another",
				 diag);
	return 0;
}

/* Counts a directory among its parent's, and what comes next below it. */
static int enter(struct mapping *m, const struct walked *at, uint32_t number)
{
	struct cpio_entry *entries = m->cpio->entries.items;
	uint32_t *parent;

	entries[number].nlink = 2;
	if (at->depth > 0 && m->parents.count >= at->depth) {
		number = m->parents.items[at->depth - 1];
		if (number != UINT32_MAX)
			entries[number].nlink++;
	}
	while (m->parents.count <= at->depth) {
		parent = vec_push(&m->parents);
		if (!parent)
			return -ENOMEM;
		*parent = UINT32_MAX;
	}
	m->parents.items[at->depth] = (uint32_t)(m->cpio->entries.count - 1);
	return 0;
}

static int add_link(struct mapping *m, const struct walked *at, uint32_t number)
{
	struct tree_info info;
	struct link *link;

	if (at->listed)
		return 0;
	tree_get(m->cpio->tree, at->source, &info);
	if (info.nlink < 2)
		return 0;
	link = vec_push(&m->links);
	if (!link)
		return -ENOMEM;
	*link = (struct link){ info.inode, number };
	return 0;
}

/* "." where it has none, and a '/' behind a directory of modules. */
static size_t name_len(const struct cpio *cpio, const struct walked *at,
		       bool is_dir)
{
	if (at->path_len == 0)
		return 1;
	return at->path_len + (cpio->layout == CPIO_MODULES && is_dir);
}

static int add_entry(struct mapping *m, const struct walked *at)
{
	struct cpio *cpio = m->cpio;
	uint32_t number = (uint32_t)cpio->entries.count;
	struct cpio_entry *entry = vec_push(&cpio->entries);
	struct cpio_item item;
	bool is_dir;
	int r;

	if (!entry)
		return -ENOMEM;
	entry->source = at->source;
	entry->flags = at->listed ? ENTRY_LISTED : 0;
	entry->nlink = 1;
	cpio_get(cpio, entry, &item);
	is_dir = S_ISDIR(item.attr.mode);
	entry->name_len = (uint16_t)name_len(cpio, at, is_dir);
	cpio_note_time(cpio, &item.attr);
	r = check_item(cpio, at, &item, m->diag);
	if (r < 0) {
		/* For who goes on after that, such a size is not to count. */
		entry->flags |= ENTRY_NO_DATA;
		return r;
	}
	return is_dir ? enter(m, at, number) : add_link(m, at, number);
}

static int add_entries(struct mapping *m)
{
	struct walked at;
	int r;

	cpio_walk_begin(&m->walk, m->cpio);
	do {
		r = cpio_walk_next(&m->walk, &at, m->diag);
		if (r == 0)
			break;
		if (r > 0)
			r = add_entry(m, &at);
		r = diag_report(m->diag, r);
	} while (r >= 0);
	cpio_walk_end(&m->walk);
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

static bool is_regular(const struct mapping *m, const struct cpio_entry *entry)
{
	struct cpio_item item;

	cpio_get(m->cpio, entry, &item);
	return S_ISREG(item.attr.mode);
}

/* Marks the names of one inode: n of them from `link` on. */
static void mark_links(struct mapping *m, const struct link *link, size_t n)
{
	struct cpio_entry *entries = m->cpio->entries.items;
	bool regular = is_regular(m, &entries[link->entry]);

	for (size_t i = 0; i < n; i++) {
		struct cpio_entry *entry = &entries[link[i].entry];

		entry->nlink = (uint32_t)n;
		entry->flags |= ENTRY_LINKED;
		/* For now, where its first name is. */
		entry->ino = link->entry;
		if (regular && i < n - 1)
			entry->flags |= ENTRY_NO_DATA;
	}
}

/* How many links from here on are of one inode. */
static size_t run_length(const struct mapping *m, size_t at)
{
	const struct link *links = m->links.items;
	size_t n = 1;

	while (at + n < m->links.count &&
	       links[at + n].inode == links[at].inode)
		n++;
	return n;
}

/* Whether any name has to wait for another. */
static bool find_links(struct mapping *m)
{
	bool waiting = false;

	if (m->links.count > 0)
		qsort(m->links.items, m->links.count, sizeof(*m->links.items),
		      compare_links);
	for (size_t i = 0, n; i < m->links.count; i += n) {
		n = run_length(m, i);
		if (n > 1) {
			mark_links(m, &m->links.items[i], n);
			waiting = true;
		}
	}
	return waiting;
}

static void number_inodes(struct cpio *cpio)
{
	struct cpio_entry *entries = cpio->entries.items;
	uint32_t next = 0;

	for (uint32_t i = 0; i < cpio->entries.count; i++) {
		struct cpio_entry *entry = &entries[i];

		if ((entry->flags & ENTRY_LINKED) && entry->ino != i)
			entry->ino = entries[entry->ino].ino;
		else
			entry->ino = next++;
	}
}

/* The link of an entry that is known to be one. */
static const struct link *link_of(const struct mapping *m, uint32_t number)
{
	const struct cpio_entry *entry = &m->cpio->entries.items[number];
	const struct link key = { tree_inode(m->cpio->tree, entry->source),
				  number };

	return bsearch(&key, m->links.items, m->links.count, sizeof(key),
		       compare_links);
}

/* Puts those that wait before the one that they wait for. */
static int order_entries(struct mapping *m)
{
	const struct cpio_entry *from = m->cpio->entries.items;
	size_t count = m->cpio->entries.count;
	struct cpio_entry *to = calloc(count, sizeof(*to));
	size_t n = 0;

	if (!to)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		bool linked = from[i].flags & ENTRY_LINKED;

		if (linked && (from[i].flags & ENTRY_NO_DATA))
			continue;
		if (linked && is_regular(m, &from[i])) {
			const struct link *link = link_of(m, i);

			for (uint32_t k = 1; k < from[i].nlink; k++)
				to[n++] = from[(link - k)->entry];
		}
		to[n++] = from[i];
	}
	assert(n == count);
	free(m->cpio->entries.items);
	m->cpio->entries.items = to;
	m->cpio->entries.size = count;
	return 0;
}

/* ---- where they stand ---- */

static void place_entries(struct cpio *cpio)
{
	uint64_t at = 0;

	for (size_t i = 0; i < cpio->entries.count; i++) {
		struct cpio_entry *entry = &cpio->entries.items[i];
		struct cpio_item item;

		cpio_get(cpio, entry, &item);
		entry->offset = at;
		at += cpio_head_size(entry->name_len) +
		      round_up(item.size, NEWC_ALIGN);
	}
	cpio->trailer = at;
}

static int map(struct mapping *m)
{
	int r = add_entries(m);
	bool waiting;

	if (r < 0)
		return r;
	waiting = find_links(m);
	number_inodes(m->cpio);
	if (waiting) {
		r = order_entries(m);
		if (r < 0)
			return r;
	} else {
		vec_shrink(&m->cpio->entries);
	}
	place_entries(m->cpio);
	return 0;
}

int cpio_map(struct cpio *cpio, struct diag *diag)
{
	struct mapping *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->cpio = cpio;
	m->diag = diag;
	r = map(m);
	vec_free(&m->parents);
	vec_free(&m->links);
	free(m);
	return r;
}
