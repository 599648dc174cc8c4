/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/cpio_entries.h"
#include "base/search.h"
#include "imgcore/archive.h"
#include "imgcore/diag.h"

struct cpio {
	struct content content;
	struct cpio_source source;
	struct cpio_entries entries;
};

/* ---- making ---- */

void cpio_free(struct cpio *cpio)
{
	if (!cpio)
		return;
	devices_clear(&cpio->source.list);
	free(cpio->source.prefix);
	free(cpio->entries.items);
	free(cpio);
}

static bool has_dir(const struct cpio_source *source, const char *name)
{
	tree_id id = tree_child(source->tree, source->dir, name, strlen(name));
	struct tree_info info;

	if (id == TREE_NONE)
		return false;
	tree_get(source->tree, id, &info);
	return S_ISDIR(info.attr.mode);
}

/* Reads the list that a regular file of the name `devices` is. */
static int read_list(struct cpio *cpio, struct diag *diag)
{
	struct cpio_source *source = &cpio->source;
	tree_id id = tree_child(source->tree, source->dir, "devices", 7);
	struct tree_info info;

	if (id == TREE_NONE)
		return 0;
	tree_get(source->tree, id, &info);
	if (!S_ISREG(info.attr.mode))
		return 0;
	source->list_file = id;
	/* A line may have gone: only its own time shows that. */
	cpio_entries_note_time(&cpio->entries, &info.attr);
	return devices_read(&source->list, source->tree, id, diag);
}

/* Puts a directory that is a /lib/modules/V there: V from its name. */
static int set_prefix(struct cpio_source *source, const struct tree_info *dir,
		      struct diag *diag)
{
	static const char start[] = "modules-", depends[] = "modules.dep";
	const struct tree_attr attr = {
		.mode = S_IFDIR | 0755,
		.mtime = dir->attr.mtime,
		.mtime_ns = dir->attr.mtime_ns,
	};
	size_t len = dir->name_len - strlen(start);
	char *path;
	int r;

	if (has_dir(source, "lib") || has_dir(source, "usr") ||
	    dir->n_children == 0)
		return 0;
	if (dir->name_len <= strlen(start) ||
	    memcmp(dir->name, start, strlen(start)) != 0 ||
	    (len <= 2 && memcmp(dir->name + strlen(start), "..", len) == 0))
		return tree_fail(
			source->tree, source->dir, -EINVAL,
			"modules of which version? Name it modules-VERSION,"
			" or have lib/modules/VERSION in it",
			diag);
	if (asprintf(&path, "lib/modules/%.*s/", (int)len,
		     dir->name + strlen(start)) < 0)
		return -ENOMEM;
	if (diag_has_sink(diag) &&
	    tree_child(source->tree, source->dir, depends, strlen(depends)) ==
		    TREE_NONE) {
		_cleanup_free_ char *host = NULL;

		(void)tree_host_path(source->tree, source->dir, &host);
		diag_notice(diag, host,
			    "has no modules.dep: insmod takes these modules, "
			    "modprobe does not (depmod makes it)");
	}
	free(source->prefix);
	source->prefix = path;
	len = strlen(path) - 1;
	path[len] = '\0';
	r = devices_add_dirs(&source->list, path, &attr);
	path[len] = '/';
	return r;
}

int cpio_new(struct cpio **ret_cpio, const struct tree *tree, tree_id dir,
	     enum cpio_layout layout, struct diag *diag)
{
	_cleanup_cpio_ struct cpio *cpio = calloc(1, sizeof(*cpio));
	struct tree_info info;
	int r;

	if (!cpio)
		return -ENOMEM;
	cpio->source.tree = tree;
	cpio->source.dir = dir;
	cpio->source.layout = layout;
	cpio->source.list_file = TREE_NONE;
	cpio->source.prefix = strdup("");
	if (!cpio->source.prefix)
		return -ENOMEM;
	tree_get(tree, dir, &info);
	if (!S_ISDIR(info.attr.mode))
		return tree_fail(tree, dir, -ENOTDIR, "is no directory", diag);
	cpio->entries.mtime = info.attr.mtime;
	cpio->entries.mtime_ns = info.attr.mtime_ns;
	r = layout == CPIO_MODULES ? set_prefix(&cpio->source, &info, diag)
				   : read_list(cpio, diag);
	if (r == 0)
		r = cpio_entries_find(&cpio->entries, &cpio->source, diag);
	if (r == 0)
		*ret_cpio = take_ptr(cpio);
	return r;
}

uint64_t cpio_size(const struct cpio *cpio)
{
	return round_up(cpio->entries.end +
				newc_head_size(strlen(NEWC_TRAILER)),
			NEWC_BLOCK);
}

void cpio_time(const struct cpio *cpio, int64_t *ret_seconds, uint32_t *ret_ns)
{
	*ret_seconds = cpio->entries.mtime;
	*ret_ns = cpio->entries.mtime_ns;
}

/* ---- headers ---- */

/* Room for any header with its name and its padding. */
#define HEAD_MAX ((sizeof(struct newc_header) + NEWC_NAME_MAX + 1 + 3) / 4 * 4)

static void put_hex(char field[8], uint64_t value)
{
	for (int i = 7; i >= 0; i--) {
		field[i] = "0123456789ABCDEF"[value % 16];
		value /= 16;
	}
}

/* A header without its name; times are clamped to 32 bits. */
static void put_header(char *head, const struct cpio_entry *entry,
		       const struct tree_attr *attr, uint64_t size)
{
	struct newc_header *header = (struct newc_header *)head;
	int64_t mtime = attr->mtime < 0 ? 0 : attr->mtime;

	memset(header, '0', sizeof(*header));
	memcpy(header->magic, "070701", sizeof(header->magic));
	put_hex(header->ino, entry->ino);
	put_hex(header->mode, attr->mode);
	put_hex(header->uid, attr->uid);
	put_hex(header->gid, attr->gid);
	put_hex(header->nlink, entry->nlink);
	put_hex(header->mtime, min_u64((uint64_t)mtime, UINT32_MAX));
	put_hex(header->size, size);
	put_hex(header->major, attr->major);
	put_hex(header->minor, attr->minor);
	put_hex(header->name_size, entry->name_len + 1u);
}

/* The name of an entry, with its NUL, from its end to its beginning. */
static void put_name(const struct cpio_source *source,
		     const struct cpio_entry *entry, bool is_dir, char *name)
{
	char *end = name + entry->name_len;
	struct tree_info info;

	*end = '\0';
	if (source->layout == CPIO_MODULES && is_dir)
		*--end = '/';
	if (entry->flags & ENTRY_LISTED) {
		const struct device *d = &source->list.items[entry->source];

		memcpy(name, d->path_len ? d->path : ".", (size_t)(end - name));
		return;
	}
	if (entry->source == source->dir) {
		*name = '.';
		return;
	}
	for (tree_id node = entry->source; node != source->dir;) {
		tree_get(source->tree, node, &info);
		end -= info.name_len;
		memcpy(end, info.name, info.name_len);
		node = info.parent;
		if (node != source->dir)
			*--end = '/';
	}
	memcpy(name, source->prefix, (size_t)(end - name));
}

/* ---- reading ---- */

/* What is still to be read. */
struct range {
	char *buf;
	size_t len;
	uint64_t offset; /* from the start of the current entry */
};

/*
 * Cuts off what lies in the next `size` bytes: the buffer, the length and the
 * offset in these bytes, or false.
 */
static bool range_take(struct range *range, uint64_t size, struct range *ret)
{
	if (range->offset >= size || range->len == 0) {
		range->offset -= min_u64(size, range->offset);
		return false;
	}
	*ret = *range;
	ret->len = (size_t)min_u64(size - range->offset, range->len);
	range->buf += ret->len;
	range->len -= ret->len;
	range->offset = 0;
	return true;
}

static int read_data(const struct tree *tree, const struct cpio_item *item,
		     const struct content_reader *reader,
		     const struct range *to)
{
	struct content *content;

	if (item->target) {
		memcpy(to->buf, item->target + to->offset, to->len);
		return 0;
	}
	content = tree_content(tree, item->file);
	if (content)
		return content->pread(content, reader, to->buf, to->len,
				      to->offset);
	return reader->read(reader, tree, item->file, to->buf, to->len,
			    to->offset);
}

static int read_entry(const struct cpio *cpio, const struct cpio_entry *entry,
		      const struct content_reader *reader, struct range *range)
{
	uint64_t size = newc_head_size(entry->name_len);
	char head[HEAD_MAX];
	struct cpio_item item;
	struct range to;
	int r = 0;

	cpio_entries_get(&cpio->source, entry, &item);
	if (range_take(range, size, &to)) {
		memset(head, 0, size);
		put_header(head, entry, &item.attr, item.size);
		put_name(&cpio->source, entry, S_ISDIR(item.attr.mode),
			 head + sizeof(struct newc_header));
		memcpy(to.buf, head + to.offset, to.len);
	}
	if (range_take(range, item.size, &to))
		r = read_data(cpio->source.tree, &item, reader, &to);
	if (r == 0 && range_take(range, -item.size % NEWC_ALIGN, &to))
		memset(to.buf, 0, to.len);
	return r;
}

/* The trailer, and zeroes up to the end of its block. */
static void read_trailer(const struct cpio *cpio, struct range *range)
{
	static const struct cpio_entry trailer = {
		.nlink = 1,
		.name_len = sizeof(NEWC_TRAILER) - 1,
	};
	static const struct tree_attr none;
	uint64_t size = newc_head_size(trailer.name_len);
	char head[sizeof(struct newc_header) + sizeof(NEWC_TRAILER) + 3] = "";
	struct range to;

	put_header(head, &trailer, &none, 0);
	memcpy(head + sizeof(struct newc_header), NEWC_TRAILER,
	       sizeof(NEWC_TRAILER));
	if (range_take(range, size, &to))
		memcpy(to.buf, head + to.offset, to.len);
	if (range_take(range, cpio_size(cpio) - cpio->entries.end - size, &to))
		memset(to.buf, 0, to.len);
}

int cpio_pread(const struct cpio *cpio, const struct content_reader *reader,
	       void *buf, size_t len, uint64_t offset)
{
	const struct cpio_entries *entries = &cpio->entries;
	struct range range = { .buf = buf, .len = len };
	size_t at = entries->count;
	int r = 0;

	/* The last entry that begins at offset or before; count: the trailer.
	 */
	if (offset < entries->end)
		at = search_first(at, i, entries->items[i].offset <= offset) -
		     1;
	range.offset = offset - (at < entries->count ? entries->items[at].offset
						     : entries->end);
	while (r == 0 && range.len > 0 && at < entries->count)
		r = read_entry(cpio, &entries->items[at++], reader, &range);
	if (r == 0 && range.len > 0)
		read_trailer(cpio, &range);
	return r;
}

/* ---- as a file's content ---- */

static int content_pread(struct content *content,
			 const struct content_reader *reader, void *buf,
			 size_t len, uint64_t offset)
{
	return cpio_pread((struct cpio *)content, reader, buf, len, offset);
}

static void content_release(struct content *content)
{
	cpio_free((struct cpio *)content);
}

struct content *cpio_content(struct cpio *cpio)
{
	cpio->content = (struct content){ content_pread, content_release };
	return &cpio->content;
}
