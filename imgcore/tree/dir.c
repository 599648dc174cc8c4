/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/dir.h"

#include <stdlib.h>
#include <sys/stat.h>

#define XXH_STATIC_LINKING_ONLY /* the size of a state */
#include <xxhash.h>

#include "base/le.h"
#include "base/search.h"
#include "base/vec.h"
#include "tree/builder.h"

struct dir *dir_ref(struct dir *dir)
{
	atomic_fetch_add_explicit(&dir->users, 1, memory_order_relaxed);
	return dir;
}

void dir_unref(struct dir *dir)
{
	struct dir_more *more;

	if (!dir || atomic_fetch_sub(&dir->users, 1) > 1)
		return;
	more = dir->more;
	if (more) {
		for (size_t i = 0; i < more->sources.count; i++)
			content_source_unref(more->sources.items[i]);
		vec_free(&more->sources);
		vec_free(&more->extents);
		vec_free(&more->runs);
		vec_free(&more->devices);
		xattr_sets_release(&more->xattrs);
		free(more);
	}
	free(dir);
}

/* ---- the digest ---- */

/*
 * Each node is a fixed little-endian record, followed by its name: the same
 * bytes on every machine.
 */
static void hash_node(XXH3_state_t *state, const struct dir *dir,
		      const struct node *n, const struct tree_clock *clock)
{
	uint8_t record[64] = { 0 };
	uint32_t mtime_ns;
	int64_t mtime;

	put_le32(record, n->mode | (uint32_t)n->name_len << 16);
	put_le32(record + 4, n->uid);
	put_le32(record + 8, n->gid);
	node_mtime(clock, n, &mtime, &mtime_ns);
	put_le32(record + 12, mtime_ns);
	put_le64(record + 16, (uint64_t)mtime);
	put_le64(record + 24, n->size);
	if (S_ISCHR(n->mode) || S_ISBLK(n->mode)) {
		put_le32(record + 32, n->device.major);
		put_le32(record + 36, n->device.minor);
	} else if (S_ISREG(n->mode) && n->file.runs) {
		/* The number of its own extents, plus 1; 0: dense. */
		put_le64(record + 32,
			 dir->more->runs.items[n->file.runs - 1].n + 1);
	}
	put_le32(record + 40, n->flags & NODE_RESERVED);
	put_le32(record + 44, n->xattrs);
	XXH3_128bits_update(state, record, sizeof(record));
	XXH3_128bits_update(state, node_name(dir, n), n->name_len);
	if (S_ISLNK(n->mode))
		XXH3_128bits_update(state, dir->names + n->target, n->size);
}

static void hash_more(XXH3_state_t *state, const struct dir_more *more)
{
	for (size_t i = 0; i < more->extents.count; i++) {
		uint8_t record[16];

		put_le64(record, more->extents.items[i].start);
		put_le64(record + 8, more->extents.items[i].end);
		XXH3_128bits_update(state, record, sizeof(record));
	}
	for (uint32_t n = 1; n <= more->xattrs.starts.count; n++) {
		size_t len;
		const uint8_t *set = xattr_sets_get(&more->xattrs, n, &len);
		uint8_t record[8];

		put_le64(record, len);
		XXH3_128bits_update(state, record, sizeof(record));
		XXH3_128bits_update(state, set, len);
	}
}

void dir_digest(struct dir *dir, const struct tree_clock *clock)
{
	XXH128_canonical_t canonical;
	XXH3_state_t state;
	uint8_t record[8];

	XXH3_128bits_reset(&state);
	put_le64(record, dir->count);
	XXH3_128bits_update(&state, record, sizeof(record));
	for (uint32_t i = 0; i < dir->count; i++)
		hash_node(&state, dir, &dir->nodes[i], clock);
	if (dir->more)
		hash_more(&state, dir->more);
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
	memcpy(dir->digest, canonical.digest, sizeof(dir->digest));
}

/* ---- lookups and comparisons ---- */

const struct node *dir_find(const struct dir *dir, const char *name, size_t len)
{
	const struct node *nodes = dir->nodes;
	size_t at = search_first(dir->count, i,
				 name_compare(node_name(dir, &nodes[i]),
					      nodes[i].name_len, name,
					      len) < 0);

	return at < dir->count &&
			       name_compare(node_name(dir, &nodes[at]),
					    nodes[at].name_len, name, len) == 0
		       ? &nodes[at]
		       : NULL;
}

bool dir_node_same(const struct dir *dir, const struct node *node,
		   const struct dir *other_dir, const struct node *other)
{
	return node->ino == other->ino && node->size == other->size &&
	       node->mtime == other->mtime &&
	       node->mtime_ns == other->mtime_ns &&
	       node->ctime == other->ctime &&
	       node->ctime_ns == other->ctime_ns &&
	       node_device(dir, node) == node_device(other_dir, other);
}

bool dir_equal(const struct dir *a, const struct dir *b)
{
	if (a == b)
		return true;
	if (a->count != b->count ||
	    memcmp(a->digest, b->digest, sizeof(a->digest)) != 0)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (a->nodes[i].flags != b->nodes[i].flags ||
		    !dir_node_same(a, &a->nodes[i], b, &b->nodes[i]))
			return false;
	return true;
}
