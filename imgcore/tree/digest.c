/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>
#include <sys/stat.h>

#define XXH_STATIC_LINKING_ONLY /* the size of a state */
#include <xxhash.h>

#include "base/le.h"
#include "tree/dir.h"

/*
 * Each node as a fixed little-endian record with its name behind it, in the
 * order of the nodes: the same bytes on every machine. A tree's digest is that
 * of its directories' digests, made while they are scanned, and of what they do
 * not know: which names are of one inode.
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
		/* Which of the extents are its own; dense is 0. */
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

static void finish(XXH3_state_t *state, uint8_t ret_digest[16])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
	memcpy(ret_digest, canonical.digest, 16);
}

void dir_digest(struct dir *dir, const struct tree_clock *clock)
{
	uint8_t record[8];
	XXH3_state_t state;

	XXH3_128bits_reset(&state);
	put_le64(record, dir->count);
	XXH3_128bits_update(&state, record, sizeof(record));
	for (uint32_t i = 0; i < dir->count; i++)
		hash_node(&state, dir, &dir->nodes[i], clock);
	if (dir->more)
		hash_more(&state, dir->more);
	finish(&state, dir->digest);
}

void tree_digest(const struct tree *tree, uint8_t ret_digest[16])
{
	XXH3_state_t state;

	XXH3_128bits_reset(&state);
	for (size_t i = 0; i < tree->places.count; i++)
		XXH3_128bits_update(&state, tree->places.items[i].dir->digest,
				    16);
	for (size_t i = 0; i < tree->further.count; i++) {
		uint8_t record[8];

		put_le32(record, tree->further.items[i].node);
		put_le32(record + 4, tree->further.items[i].inode);
		XXH3_128bits_update(&state, record, sizeof(record));
	}
	finish(&state, ret_digest);
}
