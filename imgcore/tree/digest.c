/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define XXH_STATIC_LINKING_ONLY /* the size of a state */
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "base/math.h"
#include "base/threads.h"
#include "tree/node.h"

/*
 * Each node as a fixed little-endian record with its name behind it, in the
 * order of the nodes: the same bytes on every machine. The digest is that of
 * the digests of stretches of nodes, which several threads make.
 */
static void hash_node(XXH3_state_t *state, const struct tree *tree, tree_id id)
{
	const struct node *n = &tree->nodes.items[id];
	uint8_t record[64] = { 0 };
	uint32_t mtime_ns;
	int64_t mtime;

	put_le32(record, n->mode | (uint32_t)n->name_len << 16);
	put_le32(record + 4, n->uid);
	put_le32(record + 8, n->gid);
	node_mtime(tree, n, &mtime, &mtime_ns);
	put_le32(record + 12, mtime_ns);
	put_le64(record + 16, (uint64_t)mtime);
	put_le64(record + 24, n->size);
	put_le32(record + 32, n->inode);
	put_le32(record + 36, n->parent);
	if (S_ISCHR(n->mode) || S_ISBLK(n->mode)) {
		put_le32(record + 40, n->device.major);
		put_le32(record + 44, n->device.minor);
	} else if (S_ISREG(n->mode) && n->file.runs) {
		/* Which of the extents are its own; dense is 0. */
		put_le64(record + 40, tree->runs.items[n->file.runs - 1].n + 1);
	}
	put_le32(record + 48, n->flags & NODE_RESERVED);
	put_le32(record + 52, n->xattrs);
	XXH3_128bits_update(state, record, sizeof(record));
	XXH3_128bits_update(state, node_name(tree, n), n->name_len);
	if (n->inode == id && S_ISLNK(n->mode))
		XXH3_128bits_update(state, tree->names.items + n->target,
				    n->size);
}

static void hash_extents(XXH3_state_t *state, const struct tree *tree)
{
	for (size_t i = 0; i < tree->extents.count; i++) {
		uint8_t record[16];

		put_le64(record, tree->extents.items[i].start);
		put_le64(record + 8, tree->extents.items[i].end);
		XXH3_128bits_update(state, record, sizeof(record));
	}
}

static void hash_xattrs(XXH3_state_t *state, const struct tree *tree)
{
	for (uint32_t n = 1; n <= tree_xattr_sets(tree); n++) {
		size_t len;
		const uint8_t *set = xattr_sets_get(&tree->xattrs, n, &len);
		uint8_t record[8];

		put_le64(record, len);
		XXH3_128bits_update(state, record, sizeof(record));
		XXH3_128bits_update(state, set, len);
	}
}

/* So many nodes are hashed by one thread at a time. */
#define STRETCH 65536u

struct digesting {
	const struct tree *tree;
	XXH128_canonical_t *stretches;
};

static void hash_stretch(void *context, size_t i)
{
	struct digesting *d = context;
	size_t id = i * STRETCH;
	size_t end = min_u64(id + STRETCH, d->tree->nodes.count);
	XXH3_state_t state;

	XXH3_128bits_reset(&state);
	for (; id < end; id++)
		hash_node(&state, d->tree, (tree_id)id);
	XXH128_canonicalFromHash(&d->stretches[i], XXH3_128bits_digest(&state));
}

int tree_digest(const struct tree *tree, uint8_t ret_digest[16])
{
	size_t n = div_up(tree->nodes.count, STRETCH);
	_cleanup_free_ XXH128_canonical_t *stretches =
		calloc(n, sizeof(*stretches));
	struct digesting d = { tree, stretches };
	XXH128_canonical_t canonical;
	XXH3_state_t state;

	if (!stretches)
		return -ENOMEM;
	threads_share(n, hash_stretch, &d);
	XXH3_128bits_reset(&state);
	XXH3_128bits_update(&state, stretches, n * sizeof(*stretches));
	hash_extents(&state, tree);
	hash_xattrs(&state, tree);
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
	memcpy(ret_digest, canonical.digest, 16);
	return 0;
}
