/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "random_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"

#define MAX_XATTRS 5
#define MAX_VALUE  700 /* that many of these fit into a block */

struct drawn {
	char names[MAX_XATTRS][260];
	uint8_t values[MAX_XATTRS][MAX_VALUE];
	struct tree_host_xattr xattrs[MAX_XATTRS];
};

static size_t draw_acl(struct random *r, uint8_t *acl)
{
	static const uint16_t tags[] = { 1, 2, 2, 2, 4, 8, 8, 16, 32 };
	size_t len = 4;

	put_le32(acl, 2);
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		bool has_id = tags[i] == 2 || tags[i] == 8;

		put_le16(acl + len, tags[i]);
		put_le16(acl + len + 2, (uint16_t)random_below(r, 8));
		put_le32(acl + len + 4,
			 has_id ? (uint32_t)random_below(r, 99999)
				: UINT32_MAX);
		len += 8;
	}
	return len;
}

static size_t draw_value(struct random *r, uint8_t *value)
{
	size_t len = random_below(r, 3) ? random_below(r, 30)
					: random_below(r, MAX_VALUE);

	for (size_t i = 0; i < len; i++)
		value[i] = (uint8_t)random_u64(r);
	return len;
}

/* The number at the end keeps names apart. */
static void draw_name(struct random *r, unsigned number, char *name)
{
	static const char *const spaces[] = { "user.", "trusted.",
					      "security." };
	char *p = stpcpy(name, spaces[random_below(r, 3)]);
	size_t len = random_below(r, 4) ? random_below(r, 12)
					: random_below(r, 230);

	while (len-- > 0)
		*p++ = (char)(1 + random_below(r, 255));
	sprintf(p, "%u", number);
}

static void draw(struct random *r, unsigned i, struct drawn *drawn)
{
	struct tree_host_xattr *x = &drawn->xattrs[i];

	x->name = drawn->names[i];
	x->value = drawn->values[i];
	if (i < 2 && random_below(r, 3) == 0) {
		strcpy(drawn->names[i], i == 0 ? "system.posix_acl_access"
					       : "system.posix_acl_default");
		x->value_len = draw_acl(r, drawn->values[i]);
		return;
	}
	draw_name(r, i, drawn->names[i]);
	x->value_len = draw_value(r, drawn->values[i]);
}

void random_xattrs(struct tree_builder *builder, builder_id id, uint64_t seed)
{
	static struct drawn drawn;
	struct random r;
	unsigned n;

	random_init(&r, seed);
	if (random_below(&r, 4) != 0)
		return;
	/* Half of them from a few sets, so that blocks are shared. */
	if (random_below(&r, 2) == 0)
		random_init(&r, random_below(&r, 5));
	n = 1 + (unsigned)random_below(&r, MAX_XATTRS);
	for (unsigned i = 0; i < n; i++)
		draw(&r, i, &drawn);
	if (tree_builder_set_xattrs(builder, id, drawn.xattrs, n) < 0)
		abort();
}
