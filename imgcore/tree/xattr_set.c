/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/xattr_set.h"

#include <errno.h>
#include <string.h>

#include <xxhash.h>

#include "base/le.h"
#include "base/math.h"
#include "base/vec.h"

/* Source: the kernel's Documentation/filesystems/ext4/attributes.rst. */
enum {
	INDEX_USER = 1,
	INDEX_ACL_ACCESS = 2,
	INDEX_ACL_DEFAULT = 3,
	INDEX_TRUSTED = 4,
	INDEX_SECURITY = 6,
};

static const struct {
	const char *prefix; /* a whole name where it does not end in '.' */
	enum xattr_class class;
	uint8_t index;
} namespaces[] = {
	{ "user.", XATTR_TAKEN, INDEX_USER },
	{ "trusted.", XATTR_TAKEN, INDEX_TRUSTED },
	{ "security.", XATTR_TAKEN, INDEX_SECURITY },
	{ "system.posix_acl_access", XATTR_TAKEN, INDEX_ACL_ACCESS },
	{ "system.posix_acl_default", XATTR_TAKEN, INDEX_ACL_DEFAULT },
	{ "system.", XATTR_LEFT_OUT },
	{ "btrfs.", XATTR_LEFT_OUT },
	{ "bcachefs.", XATTR_LEFT_OUT },
	{ "bcachefs_effective.", XATTR_LEFT_OUT },
	{ "ceph.", XATTR_LEFT_OUT },
	{ "lustre.", XATTR_LEFT_OUT },
};

enum xattr_class xattr_set_classify(const char *name, enum tree_xattrs which,
				    uint8_t *ret_index, const char **ret_rest)
{
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
		const char *prefix = namespaces[i].prefix;
		size_t len = strlen(prefix);
		uint8_t index = namespaces[i].index;

		if (strncmp(name, prefix, len) != 0 ||
		    (prefix[len - 1] == '.') == (name[len] == '\0'))
			continue;
		if (which == TREE_XATTRS_USER && index != INDEX_USER)
			return XATTR_LEFT_OUT;
		*ret_index = index;
		*ret_rest = name + len;
		return namespaces[i].class;
	}
	return which == TREE_XATTRS_KEEP ? XATTR_UNKNOWN : XATTR_LEFT_OUT;
}

/* ---- access control lists ---- */

#define ACL_HANDED_OUT 2u
#define ACL_KEPT       1u
#define ACL_HEADER     4u
#define ACL_LONG       8u
#define ACL_SHORT      4u

/* The tags are single bits up to ACL_OTHER. */
enum acl_tag {
	ACL_USER = 0x02,
	ACL_GROUP = 0x08,
	ACL_OTHER = 0x20,
};

long xattr_set_keep_acl(const uint8_t *acl, size_t len, uint8_t *ret_kept)
{
	uint8_t *out = ret_kept;

	if (len < ACL_HEADER || (len - ACL_HEADER) % ACL_LONG != 0 ||
	    get_le32(acl) != ACL_HANDED_OUT)
		return -EINVAL;
	put_le32(out, ACL_KEPT);
	out += ACL_HEADER;
	for (size_t at = ACL_HEADER; at < len; at += ACL_LONG) {
		unsigned tag = get_le16(acl + at);
		bool has_id = tag == ACL_USER || tag == ACL_GROUP;

		if (tag == 0 || tag > ACL_OTHER || (tag & (tag - 1)) != 0 ||
		    get_le16(acl + at + 2) > 7)
			return -EINVAL;
		memcpy(out, acl + at, has_id ? ACL_LONG : ACL_SHORT);
		out += has_id ? ACL_LONG : ACL_SHORT;
	}
	return out - ret_kept;
}

/* ---- one set ---- */

void xattr_list_clear(struct xattr_list *list)
{
	list->attrs.count = 0;
	list->bytes.count = 0;
}

void xattr_list_release(struct xattr_list *list)
{
	vec_free(&list->attrs);
	vec_free(&list->bytes);
}

int xattr_list_add(struct xattr_list *list, uint8_t index, const char *rest,
		   const void *value, size_t len)
{
	size_t name_len = strlen(rest);
	struct xattr_item *item;
	uint8_t *record;
	uint8_t *data;

	if (name_len > UINT8_MAX || len > UINT16_MAX + UINT64_C(1))
		return -EINVAL;
	if (vec_reserve(&list->bytes, XATTR_RECORD + name_len + len) < 0 ||
	    vec_reserve(&list->attrs, 1) < 0)
		return -ENOMEM;
	record = list->bytes.items + list->bytes.count;
	data = record + XATTR_RECORD + name_len;
	if (index == INDEX_ACL_ACCESS || index == INDEX_ACL_DEFAULT) {
		long kept = xattr_set_keep_acl(value, len, data);

		if (kept < 0)
			return (int)kept;
		len = (size_t)kept;
	} else if (len > 0) {
		memcpy(data, value, len);
	}
	record[0] = index;
	record[1] = (uint8_t)name_len;
	put_le32(record + 2, (uint32_t)len);
	memcpy(record + XATTR_RECORD, rest, name_len);
	item = vec_push(&list->attrs);
	item->start = list->bytes.count;
	item->len = XATTR_RECORD + name_len + len;
	list->bytes.count += item->len;
	return 0;
}

/* By index, length of the name, name. */
static int item_compare(const void *pa, const void *pb, void *bytes)
{
	const struct xattr_item *a = pa;
	const struct xattr_item *b = pb;
	const uint8_t *x = (const uint8_t *)bytes + a->start;
	const uint8_t *y = (const uint8_t *)bytes + b->start;

	if (x[0] != y[0])
		return x[0] - y[0];
	if (x[1] != y[1])
		return x[1] - y[1];
	return memcmp(x + XATTR_RECORD, y + XATTR_RECORD, x[1]);
}

int xattr_list_finish(struct xattr_list *list, uint8_t *ret_set)
{
	const struct xattr_item *items = list->attrs.items;
	size_t n = list->attrs.count;

	if (n > 1)
		qsort_r(list->attrs.items, n, sizeof(*items), item_compare,
			list->bytes.items);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && item_compare(&items[i - 1], &items[i],
					  list->bytes.items) == 0)
			return -EEXIST;
		memcpy(ret_set, list->bytes.items + items[i].start,
		       items[i].len);
		ret_set += items[i].len;
	}
	return 0;
}

/* ---- all sets ---- */

static uint32_t *find_slot(const struct xattr_sets *sets,
			   const struct xattr_index *index, const uint8_t *set,
			   size_t len)
{
	size_t i = (size_t)XXH3_64bits(set, len) & (index->size - 1);

	while (index->slots[i] != 0) {
		size_t other_len;
		const uint8_t *other = xattr_sets_get(sets, index->slots[i],
						      &other_len);

		if (other_len == len && memcmp(other, set, len) == 0)
			break;
		i = (i + 1) & (index->size - 1);
	}
	return &index->slots[i];
}

static int grow(const struct xattr_sets *sets, struct xattr_index *index)
{
	struct xattr_index bigger = { .size = index->size ? index->size * 2
							  : 64 };

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (uint32_t n = 1; n <= sets->starts.count; n++) {
		size_t len;
		const uint8_t *set = xattr_sets_get(sets, n, &len);

		*find_slot(sets, &bigger, set, len) = n;
	}
	xattr_index_release(index);
	*index = bigger;
	return 0;
}

int xattr_sets_intern(struct xattr_sets *sets, struct xattr_index *index,
		      const uint8_t *set, size_t len, uint32_t *ret_number)
{
	uint32_t *slot;

	if (len == 0) {
		*ret_number = 0;
		return 0;
	}
	if (sets->starts.count * 2 >= index->size) {
		int r = grow(sets, index);

		if (r < 0)
			return r;
	}
	slot = find_slot(sets, index, set, len);
	if (*slot == 0) {
		size_t *start = vec_reserve(&sets->bytes, len) < 0
					? NULL
					: vec_push(&sets->starts);

		if (!start)
			return -ENOMEM;
		*start = sets->bytes.count;
		memcpy(sets->bytes.items + sets->bytes.count, set, len);
		sets->bytes.count += len;
		*slot = (uint32_t)sets->starts.count;
	}
	*ret_number = *slot;
	return 0;
}

void xattr_index_release(struct xattr_index *index)
{
	free(index->slots);
	*index = (struct xattr_index){ 0 };
}

void xattr_sets_release(struct xattr_sets *sets)
{
	vec_free(&sets->bytes);
	vec_free(&sets->starts);
}
