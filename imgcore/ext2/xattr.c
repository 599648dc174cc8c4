/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ext2/xattr.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ext2fs/ext2fs.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "base/math.h"
#include "base/vec.h"
#include "ext2/layout.h"
#include "imgcore/diag.h"

/*
 * A block of extended attributes: a header, an entry for each attribute with
 * its name behind it, four zero bytes; the values fill the block from its end
 * down. Inodes of equal sets share a block, up to 1024 of them; further ones
 * get a copy of it, as Linux does.
 *
 * Source: the kernel's Documentation/filesystems/ext4/attributes.rst, and
 * fs/ext2/xattr.c, the stricter of the two drivers on the order of entries.
 */

#define MAGIC	  0xea020000u
#define MAX_USERS 1024u
#define END_MARK  4u /* bytes */

static_assert(sizeof(struct ext2_ext_attr_header) == 32, "a header");
static_assert(sizeof(struct ext2_ext_attr_entry) == 16, "an entry");

static size_t entry_size(const struct tree_xattr *x)
{
	return sizeof(struct ext2_ext_attr_entry) + round_up(x->name_len, 4);
}

/* ---- places ---- */

static bool fits_block(const struct tree *tree, uint32_t set)
{
	size_t need = sizeof(struct ext2_ext_attr_header) + END_MARK;
	struct tree_xattr x;
	size_t at = 0;

	while (tree_next_xattr(tree, set, &at, &x))
		need += entry_size(&x) + round_up(x.value_len, 4);
	return need <= EXT2_BLOCK;
}

static int fail_too_large(const struct ext2_contents *d, tree_id node,
			  struct diag *diag)
{
	return tree_fail(
		d->tree, node, -E2BIG,
		"more extended attributes than the 4096 bytes of a block hold; leave them out with --xattrs=none",
		diag);
}

/* The block for one more user of a set; `open` has the last of each set. */
static int add_user(struct ext2_contents *d, tree_id node, uint32_t set,
		    uint32_t *open, struct diag *diag)
{
	struct xattr_block *block;

	if (open[set] == 0 && !fits_block(d->tree, set))
		return diag_report(diag, fail_too_large(d, node, diag));
	if (open[set] == 0 ||
	    d->xattr_blocks.items[open[set] - 1].users == MAX_USERS) {
		block = vec_push(&d->xattr_blocks);
		if (!block)
			return diag_set(diag, -ENOMEM, NULL, NULL);
		block->set = set;
		open[set] = (uint32_t)d->xattr_blocks.count;
	}
	d->xattr_blocks.items[open[set] - 1].users++;
	return 0;
}

int xattr_place(struct ext2_contents *contents, struct diag *diag)
{
	uint32_t sets = tree_xattr_sets(contents->tree);
	_cleanup_free_ uint32_t *open = NULL;

	if (sets == 0)
		return 0;
	open = calloc((size_t)sets + 1, sizeof(*open));
	contents->xattr_block = calloc(contents->inodes,
				       sizeof(*contents->xattr_block));
	if (!open || !contents->xattr_block)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	for (uint32_t s = 0; s < contents->inodes; s++) {
		tree_id node = contents_node(contents, s);
		struct tree_info info;
		int r;

		tree_get(contents->tree, node, &info);
		if (info.xattrs == 0)
			continue;
		r = add_user(contents, node, info.xattrs, open, diag);
		if (r < 0)
			return r;
		contents->xattr_block[s] = open[info.xattrs];
	}
	return 0;
}

/* ---- a block ---- */

static uint32_t rotate(uint32_t hash, unsigned bits)
{
	return hash << bits | hash >> (32 - bits);
}

/*
 * By bytes of the name, then by words of the value, padded with zeroes. Names
 * count as unsigned, as they do in all architectures' kernels since 6.2.
 */
static uint32_t hash_xattr(const struct tree_xattr *x, const uint8_t *value)
{
	uint32_t hash = 0;

	for (unsigned i = 0; i < x->name_len; i++)
		hash = rotate(hash, 5) ^ (uint8_t)x->name[i];
	for (uint32_t i = 0; i < x->value_len; i += 4)
		hash = rotate(hash, 16) ^ get_le32(value + i);
	return hash;
}

/* Writes the entry at `at` and the value so that it ends at *end. */
static uint32_t put_xattr(uint8_t *buf, size_t at, size_t *end,
			  const struct tree_xattr *x)
{
	struct ext2_ext_attr_entry entry = {
		.e_name_len = x->name_len,
		.e_name_index = x->index,
		.e_value_size = htole32(x->value_len),
	};
	uint32_t hash;

	*end -= round_up(x->value_len, 4);
	memcpy(buf + *end, x->value, x->value_len);
	if (x->value_len > 0)
		entry.e_value_offs = htole16((uint16_t)*end);
	hash = hash_xattr(x, buf + *end);
	entry.e_hash = htole32(hash);
	memcpy(buf + at, &entry, sizeof(entry));
	memcpy(buf + at + sizeof(entry), x->name, x->name_len);
	return hash;
}

void xattr_render(const struct ext2_layout *layout, uint32_t index,
		  uint8_t *buf)
{
	const struct xattr_block *block =
		&layout->contents->xattr_blocks.items[index];
	struct ext2_ext_attr_header header = {
		.h_magic = htole32(MAGIC),
		.h_refcount = htole32(block->users),
		.h_blocks = htole32(1),
	};
	size_t at = sizeof(header);
	size_t end = EXT2_BLOCK;
	uint32_t sum = 0;
	bool shared =
		true; /* an attribute of hash 0: drivers do not share it */
	struct tree_xattr x;
	size_t i = 0;

	memset(buf, 0, EXT2_BLOCK);
	while (tree_next_xattr(layout->contents->tree, block->set, &i, &x)) {
		uint32_t hash = put_xattr(buf, at, &end, &x);

		shared &= hash != 0;
		sum = rotate(sum, 16) ^ hash;
		at += entry_size(&x);
	}
	header.h_hash = htole32(shared ? sum : 0);
	memcpy(buf, &header, sizeof(header));
}
