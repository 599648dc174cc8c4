/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/acl.h"

#include <errno.h>
#include <stdbool.h>

#include "base/le.h"

#define HANDED_OUT  2u
#define KEPT	    1u
#define HEADER	    4u
#define LONG_ENTRY  8u
#define SHORT_ENTRY 4u

enum acl_tag {
	ACL_USER_OBJ = 0x01,
	ACL_USER = 0x02,
	ACL_GROUP_OBJ = 0x04,
	ACL_GROUP = 0x08,
	ACL_MASK = 0x10,
	ACL_OTHER = 0x20,
};

static bool is_tag(unsigned tag)
{
	return tag == ACL_USER_OBJ || tag == ACL_USER || tag == ACL_GROUP_OBJ ||
	       tag == ACL_GROUP || tag == ACL_MASK || tag == ACL_OTHER;
}

long acl_keep(const uint8_t *acl, size_t len, uint8_t *ret_kept)
{
	uint8_t *out = ret_kept;

	if (len < HEADER || (len - HEADER) % LONG_ENTRY != 0 ||
	    get_le32(acl) != HANDED_OUT)
		return -EINVAL;
	put_le32(out, KEPT);
	out += HEADER;
	for (size_t at = HEADER; at < len; at += LONG_ENTRY) {
		unsigned tag = get_le16(acl + at);
		bool has_id = tag == ACL_USER || tag == ACL_GROUP;

		if (!is_tag(tag) || get_le16(acl + at + 2) > 7)
			return -EINVAL;
		memcpy(out, acl + at, has_id ? LONG_ENTRY : SHORT_ENTRY);
		out += has_id ? LONG_ENTRY : SHORT_ENTRY;
	}
	return out - ret_kept;
}
