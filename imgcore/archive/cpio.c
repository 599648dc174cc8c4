/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "imgcore/archive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/cpio-internal.h"
#include "base/math.h"
#include "imgcore/diag.h"

/* ---- making ---- */

void cpio_free(struct cpio *cpio)
{
	if (!cpio)
		return;
	devices_clear(&cpio->list);
	free(cpio->prefix);
	free(cpio->entries.items);
	free(cpio);
}

/* Whether the directory has one of that name. */
static bool has_dir(const struct cpio *cpio, const char *name)
{
	tree_id id = tree_child(cpio->tree, cpio->dir, name, strlen(name));
	struct tree_info info;

	if (id == TREE_NONE)
		return false;
	tree_get(cpio->tree, id, &info);
	return S_ISDIR(info.attr.mode);
}

static int read_list(struct cpio *cpio, struct diag *diag)
{
	tree_id id = tree_child(cpio->tree, cpio->dir, "devices", 7);
	struct tree_info info;

	if (id == TREE_NONE)
		return 0;
	tree_get(cpio->tree, id, &info);
	if (!S_ISREG(info.attr.mode))
		return 0;
	cpio->list_file = id;
	/* A line may have gone: only its own time tells. */
	cpio_note_time(cpio, &info.attr);
	return devices_read(&cpio->list, cpio->tree, id, diag);
}

/* V of modules-V, or NULL; not terminated. */
static const char *modules_version(const struct tree_info *dir, size_t *ret_len)
{
	static const char before[] = "modules-";
	size_t len = sizeof(before) - 1;
	const char *version = dir->name + len;

	if (dir->name_len <= len || memcmp(dir->name, before, len) != 0)
		return NULL;
	*ret_len = dir->name_len - len;
	if (*ret_len <= 2 && memcmp(version, "..", *ret_len) == 0)
		return NULL;
	return version;
}

/* What of them modprobe would not find. */
static void note_no_list(const struct cpio *cpio, struct diag *diag)
{
	static const char name[] = "modules.dep";
	_cleanup_free_ char *path = NULL;

	if (!diag_has_sink(diag) ||
	    tree_child(cpio->tree, cpio->dir, name, strlen(name)) != TREE_NONE)
		return;
	(void)tree_host_path(cpio->tree, cpio->dir, &path);
	diag_notice(diag, path,
		    "has no modules.dep: insmod takes these modules, "
		    "modprobe does not (depmod makes it)");
}

/* Where a directory that is a /lib/modules/V goes. */
static int set_prefix(struct cpio *cpio, const struct tree_info *dir,
		      struct diag *diag)
{
	const struct tree_attr attr = {
		.mode = S_IFDIR | 0755,
		.mtime = dir->attr.mtime,
		.mtime_ns = dir->attr.mtime_ns,
	};
	const char *version;
	char *path;
	size_t len;
	int r;

	if (has_dir(cpio, "lib") || has_dir(cpio, "usr") ||
	    dir->n_children == 0)
		return 0;
	version = modules_version(dir, &len);
	if (!version)
		return tree_fail(
			cpio->tree, cpio->dir, -EINVAL,
			"modules of which version? Name it modules-VERSION,"
			" or have lib/modules/VERSION in it",
			diag);
	if (asprintf(&path, "lib/modules/%.*s/", (int)len, version) < 0)
		return -ENOMEM;
	note_no_list(cpio, diag);
	free(cpio->prefix);
	cpio->prefix = path;
	len = strlen(path) - 1;
	path[len] = '\0';
	r = devices_add_dirs(&cpio->list, path, &attr);
	path[len] = '/';
	return r;
}

static int fill(struct cpio *cpio, struct diag *diag)
{
	struct tree_info dir;
	int r;

	tree_get(cpio->tree, cpio->dir, &dir);
	if (!S_ISDIR(dir.attr.mode))
		return tree_fail(cpio->tree, cpio->dir, -ENOTDIR,
				 "is no directory", diag);
	cpio->mtime = dir.attr.mtime;
	cpio->mtime_ns = dir.attr.mtime_ns;
	if (cpio->layout == CPIO_MODULES)
		r = set_prefix(cpio, &dir, diag);
	else
		r = read_list(cpio, diag);
	return r < 0 ? r : cpio_map(cpio, diag);
}

int cpio_new(struct cpio **ret_cpio, const struct tree *tree, tree_id dir,
	     enum cpio_layout layout, struct diag *diag)
{
	_cleanup_cpio_ struct cpio *cpio = calloc(1, sizeof(*cpio));
	int r;

	if (!cpio)
		return -ENOMEM;
	cpio->tree = tree;
	cpio->dir = dir;
	cpio->layout = layout;
	cpio->list_file = TREE_NONE;
	cpio->prefix = strdup("");
	if (!cpio->prefix)
		return -ENOMEM;
	r = fill(cpio, diag);
	if (r < 0)
		return r;
	*ret_cpio = take_ptr(cpio);
	return 0;
}

uint64_t cpio_size(const struct cpio *cpio)
{
	return round_up(cpio->trailer + cpio_head_size(strlen(NEWC_TRAILER)),
			NEWC_BLOCK);
}

void cpio_time(const struct cpio *cpio, int64_t *ret_seconds, uint32_t *ret_ns)
{
	*ret_seconds = cpio->mtime;
	*ret_ns = cpio->mtime_ns;
}

/* ---- headers ---- */

/* Room for any header with its name and what pads it. */
#define HEAD_MAX ((sizeof(struct newc_header) + NEWC_NAME_MAX + 1 + 3) / 4 * 4)

static void put_hex(char field[8], uint64_t value)
{
	for (int i = 7; i >= 0; i--) {
		field[i] = "0123456789ABCDEF"[value % 16];
		value /= 16;
	}
}

static uint64_t clamp_time(int64_t seconds)
{
	return seconds < 0 ? 0 : min_u64((uint64_t)seconds, UINT32_MAX);
}

static void put_header(struct newc_header *header, const struct tree_attr *attr,
		       uint32_t ino, uint32_t nlink, uint64_t size,
		       size_t name_len)
{
	memset(header, '0', sizeof(*header));
	memcpy(header->magic, "070701", sizeof(header->magic));
	put_hex(header->ino, ino);
	put_hex(header->mode, attr->mode);
	put_hex(header->uid, attr->uid);
	put_hex(header->gid, attr->gid);
	put_hex(header->nlink, nlink);
	put_hex(header->mtime, clamp_time(attr->mtime));
	put_hex(header->size, size);
	put_hex(header->major, attr->major);
	put_hex(header->minor, attr->minor);
	put_hex(header->name_size, name_len + 1);
}

/* The names from the archive's directory down to a node, at their end. */
static void put_node_path(const struct cpio *cpio, tree_id node, char *end)
{
	struct tree_info info;

	while (node != cpio->dir) {
		tree_get(cpio->tree, node, &info);
		end -= info.name_len;
		memcpy(end, info.name, info.name_len);
		node = info.parent;
		if (node != cpio->dir)
			*--end = '/';
	}
	end -= strlen(cpio->prefix);
	memcpy(end, cpio->prefix, strlen(cpio->prefix));
}

static void put_name(const struct cpio *cpio, const struct cpio_entry *entry,
		     bool is_dir, char *name)
{
	char *end = name + entry->name_len;

	*end = '\0';
	if (cpio->layout == CPIO_MODULES && is_dir)
		*--end = '/';
	if (entry->flags & ENTRY_LISTED) {
		const struct device *d = &cpio->list.items[entry->source];

		memcpy(name, d->path_len ? d->path : ".", (size_t)(end - name));
	} else if (entry->source == cpio->dir) {
		*name = '.';
	} else {
		put_node_path(cpio, entry->source, end);
	}
}

static void put_head(const struct cpio *cpio, const struct cpio_entry *entry,
		     const struct cpio_item *item, char head[HEAD_MAX])
{
	memset(head, 0, cpio_head_size(entry->name_len));
	put_header((struct newc_header *)head, &item->attr, entry->ino,
		   entry->nlink, item->size, entry->name_len);
	put_name(cpio, entry, S_ISDIR(item->attr.mode),
		 head + sizeof(struct newc_header));
}

/* ---- reading ---- */

/* What is still to be read. */
struct range {
	char *buf;
	size_t len;
	uint64_t offset; /* from where the current entry stands */
};

/*
 * Cuts off what lies in the next `size` bytes: where to put it, how much of it
 * and from where on, or false.
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

static int read_data(const struct cpio *cpio, const struct cpio_item *item,
		     const struct content_reader *reader,
		     const struct range *to)
{
	struct content *content;

	if (item->target) {
		memcpy(to->buf, item->target + to->offset, to->len);
		return 0;
	}
	content = tree_content(cpio->tree, item->file);
	if (content)
		return content->pread(content, reader, to->buf, to->len,
				      to->offset);
	return reader->read(reader, cpio->tree, item->file, to->buf, to->len,
			    to->offset);
}

static int read_entry(const struct cpio *cpio, const struct cpio_entry *entry,
		      const struct content_reader *reader, struct range *range)
{
	char head[HEAD_MAX];
	struct cpio_item item;
	struct range to;

	cpio_get(cpio, entry, &item);
	if (range_take(range, cpio_head_size(entry->name_len), &to)) {
		put_head(cpio, entry, &item, head);
		memcpy(to.buf, head + to.offset, to.len);
	}
	if (range_take(range, item.size, &to)) {
		int r = read_data(cpio, &item, reader, &to);

		if (r < 0)
			return r;
	}
	if (range_take(range, -item.size % NEWC_ALIGN, &to))
		memset(to.buf, 0, to.len);
	return 0;
}

/* The trailer, and zeroes up to the end of its block. */
static void read_trailer(const struct cpio *cpio, struct range *range)
{
	static const struct tree_attr none;
	uint64_t size = cpio_head_size(strlen(NEWC_TRAILER));
	char head[sizeof(struct newc_header) + sizeof(NEWC_TRAILER) + 3] = "";
	struct range to;

	put_header((struct newc_header *)head, &none, 0, 1, 0,
		   strlen(NEWC_TRAILER));
	memcpy(head + sizeof(struct newc_header), NEWC_TRAILER,
	       sizeof(NEWC_TRAILER));
	if (range_take(range, size, &to))
		memcpy(to.buf, head + to.offset, to.len);
	if (range_take(range, cpio_size(cpio) - cpio->trailer - size, &to))
		memset(to.buf, 0, to.len);
}

/* The last entry that begins at offset or before; count: the trailer. */
static size_t find_entry(const struct cpio *cpio, uint64_t offset)
{
	size_t lo = 0;
	size_t hi = cpio->entries.count;

	if (offset >= cpio->trailer)
		return hi;
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (cpio->entries.items[mid].offset <= offset)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

int cpio_pread(const struct cpio *cpio, const struct content_reader *reader,
	       void *buf, size_t len, uint64_t offset)
{
	size_t at = find_entry(cpio, offset);
	struct range range = { .buf = buf, .len = len, .offset = offset };

	range.offset -= at < cpio->entries.count
				? cpio->entries.items[at].offset
				: cpio->trailer;
	while (range.len > 0 && at < cpio->entries.count) {
		int r = read_entry(cpio, &cpio->entries.items[at++], reader,
				   &range);

		if (r < 0)
			return r;
	}
	if (range.len > 0)
		read_trailer(cpio, &range);
	return 0;
}

/* ---- as a file's content ---- */

struct cpio_file {
	struct content content;
	struct cpio *cpio;
};

static int file_pread(struct content *content,
		      const struct content_reader *reader, void *buf,
		      size_t len, uint64_t offset)
{
	return cpio_pread(((struct cpio_file *)content)->cpio, reader, buf, len,
			  offset);
}

static void file_release(struct content *content)
{
	struct cpio_file *file = (struct cpio_file *)content;

	cpio_free(file->cpio);
	free(file);
}

int cpio_content(struct cpio *cpio, struct content **ret_content)
{
	struct cpio_file *file = malloc(sizeof(*file));

	if (!file)
		return -ENOMEM;
	*file = (struct cpio_file){ { file_pread, file_release }, cpio };
	*ret_content = &file->content;
	return 0;
}
