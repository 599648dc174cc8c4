/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "values.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include <uuid.h>

#include "base/units.h"

/* Decimal digits at *text, at least one; moves *text behind them. */
static bool take_number(const char **text, uint64_t *ret_number)
{
	const char *s = *text;
	uint64_t number = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, *s - '0', &number))
			return false;
	}
	*text = s;
	*ret_number = number;
	return true;
}

const char *value_size(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	uint64_t bytes;
	unsigned shift = 0;

	if (!take_number(&text, &bytes))
		return "not a size; give digits and at most one of K, M, G, T";
	if (*text) {
		unit = strchr(units, *text);
		if (!unit || text[1])
			return "not a size; give digits and at most one of K, M, G, T";
		shift = 10 * (unsigned)(unit - units + 1);
	}
	if (bytes > (uint64_t)INT64_MAX >> shift)
		return "too large; give less than 8388608T";
	*ret_bytes = bytes << shift;
	return NULL;
}

const char *value_sectors(const char *text, uint64_t *ret_bytes)
{
	uint64_t bytes;
	const char *wrong = value_size(text, &bytes);

	if (wrong)
		return wrong;
	if (bytes == 0)
		return "nothing fits; leave the option out for a size that does";
	if (bytes % SECTOR)
		return "not whole sectors; give a multiple of 512";
	*ret_bytes = bytes;
	return NULL;
}

const char *value_uuid(const char *text, uint8_t ret_uuid[16])
{
	uuid_t uuid;

	if (uuid_parse(text, uuid) < 0)
		return "not a UUID; give one as uuidgen prints it";
	memcpy(ret_uuid, uuid, sizeof(uuid));
	return NULL;
}

const char *value_epoch(const char *text, int64_t *ret_seconds)
{
	uint64_t seconds;

	if (!take_number(&text, &seconds) || *text || seconds > INT64_MAX)
		return "not a number of seconds since 1970; set it so, or unset it";
	*ret_seconds = (int64_t)seconds;
	return NULL;
}

const char *value_timeout(const char *text, int *ret_seconds)
{
	uint64_t seconds;

	if (strcmp(text, "-1") == 0) {
		*ret_seconds = -1;
		return NULL;
	}
	if (!take_number(&text, &seconds) || *text || seconds > INT_MAX)
		return "not a number of seconds up to 2147483647; -1 waits for ever";
	*ret_seconds = (int)seconds;
	return NULL;
}

const char *value_line(const char *text)
{
	for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
		if (*s < 0x20 || *s == 0x7f)
			return "a control character is in it; give one line of text";
	}
	return NULL;
}

const char *value_name(const char *text)
{
	if (!*text)
		return "empty; give it a value";
	if (strchr(text, '/') || strcmp(text, ".") == 0 ||
	    strcmp(text, "..") == 0)
		return "not the name of a file; give one without a directory";
	if (strlen(text) > NAME_MAX)
		return "longer than the name of a file may be (255 bytes)";
	if (strcmp(text, "info") == 0)
		return "taken by the directory beside the disk; give another name";
	return NULL;
}

const char *value_order(const char *text, enum boot_order *ret_order)
{
	if (strcmp(text, "version") == 0)
		*ret_order = BOOT_ORDER_VERSION;
	else if (strcmp(text, "mtime") == 0)
		*ret_order = BOOT_ORDER_MTIME;
	else
		return "no such order; give version or mtime";
	return NULL;
}

const char *value_console(const char *text, enum boot_console *ret_console)
{
	if (strcmp(text, "both") == 0)
		*ret_console = BOOT_CONSOLE_BOTH;
	else if (strcmp(text, "serial") == 0)
		*ret_console = BOOT_CONSOLE_SERIAL;
	else if (strcmp(text, "vga") == 0)
		*ret_console = BOOT_CONSOLE_VGA;
	else
		return "no such console; give both, serial or vga";
	return NULL;
}

const char *value_unreadable(const char *text,
			     enum tree_unreadable *ret_unreadable)
{
	if (strcmp(text, "error") == 0)
		*ret_unreadable = TREE_UNREADABLE_ERROR;
	else if (strcmp(text, "skip") == 0)
		*ret_unreadable = TREE_UNREADABLE_SKIP;
	else
		return "no such choice; give error or skip";
	return NULL;
}

const char *value_xattrs(const char *text, enum tree_xattrs *ret_xattrs)
{
	if (strcmp(text, "keep") == 0)
		*ret_xattrs = TREE_XATTRS_KEEP;
	else if (strcmp(text, "none") == 0)
		*ret_xattrs = TREE_XATTRS_NONE;
	else if (strcmp(text, "user") == 0)
		*ret_xattrs = TREE_XATTRS_USER;
	else
		return "no such choice; give keep, none or user";
	return NULL;
}

const char *value_stale(const char *text, bool *ret_serve)
{
	if (strcmp(text, "fail") == 0)
		*ret_serve = false;
	else if (strcmp(text, "serve") == 0)
		*ret_serve = true;
	else
		return "no such choice; give fail or serve";
	return NULL;
}

const char *value_watch(const char *text, bool *ret_none)
{
	if (strcmp(text, "auto") == 0)
		*ret_none = false;
	else if (strcmp(text, "none") == 0)
		*ret_none = true;
	else
		return "no such choice; give auto or none";
	return NULL;
}

/* The highest number stands for "no change" in the kernel's calls. */
static bool take_id(const char **text, uint32_t *ret_id)
{
	uint64_t id;

	if (!take_number(text, &id) || id >= UINT32_MAX)
		return false;
	*ret_id = (uint32_t)id;
	return true;
}

const char *value_owner(const char *text, enum tree_owner *ret_owner,
			uint32_t *ret_uid, uint32_t *ret_gid)
{
	uint32_t uid = 0;
	uint32_t gid = 0;

	if (strcmp(text, "keep") == 0) {
		*ret_owner = TREE_OWNER_KEEP;
		return NULL;
	}
	if (strcmp(text, "root") != 0 &&
	    (!take_id(&text, &uid) || *text++ != ':' || !take_id(&text, &gid) ||
	     *text))
		return "no such owner; give keep, root or UID:GID in numbers";
	*ret_owner = TREE_OWNER_SET;
	*ret_uid = uid;
	*ret_gid = gid;
	return NULL;
}
