/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "imgcore/option_row.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <uuid.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/units.h"
#include "imgcore/diag.h"
#include "imgcore/tree.h"

static const char no_memory[] = "out of memory";

int option_refuse(struct diag *diag, const char *prefix, const char *option,
		  const char *reason_fmt, ...)
{
	static const int most = 1000; /* bytes */
	const char *more = strlen(option) > (size_t)most ? "..." : "";
	_cleanup_free_ char *shown = NULL;
	_cleanup_free_ char *reason = NULL;
	va_list args;
	int n;

	va_start(args, reason_fmt);
	n = vasprintf(&reason, reason_fmt, args);
	va_end(args);
	if (n < 0)
		reason = NULL;
	(void)text_format(&shown, "%s%.*s%s", prefix, most, option, more);
	return reason && shown ? diag_set(diag, -EINVAL, shown, "%s", reason)
			       : -ENOMEM;
}

/* Decimal digits at *text, at least one; moves *text to their end. */
static bool parse_number(const char **text, uint64_t max, uint64_t *ret_number)
{
	const char *s = *text;
	uint64_t number = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, *s - '0', &number) ||
		    number > max)
			return false;
	}
	*text = s;
	*ret_number = number;
	return true;
}

static const char *parse_size(const char *text, bool sectors,
			      uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
	uint64_t bytes;
	unsigned shift = 0;

	if (!parse_number(&text, UINT64_MAX, &bytes))
		return "not a size; give digits and at most one of K, M, G, T";
	if (*text) {
		const char *unit = strchr(units, *text);

		if (!unit || text[1])
			return "not a size; give digits and at most one of K, M, G, T";
		shift = 10 * (unsigned)(unit - units + 1);
	}
	if (bytes > (uint64_t)INT64_MAX >> shift)
		return "too large; give less than 8388608T";
	bytes <<= shift;
	if (sectors && bytes == 0)
		return "nothing fits; leave the option out for a size that does";
	if (sectors && bytes % SECTOR)
		return "not whole sectors; give a multiple of 512";
	*ret_bytes = bytes;
	return NULL;
}

static const char *parse_seconds(const char *text, bool zero, int *ret_seconds)
{
	bool none = strcmp(text, "-1") == 0;
	uint64_t seconds;

	if (!none && (!parse_number(&text, INT_MAX, &seconds) || *text))
		return "not a number of seconds up to 2147483647; -1 waits for ever";
	if (!none && !zero && seconds == 0)
		return "no time to start; give at least 1, or -1 for no limit";
	*ret_seconds = none ? -1 : (int)seconds;
	return NULL;
}

static const char *parse_duration(const char *text, int64_t *ret_ms)
{
	static const char units[] = "smhd";
	static const double seconds[] = { 1, 60, 3600, 86400 };
	const char *unit;
	char *end;
	double time = strtod(text, &end);

	if (end == text || !isfinite(time) ||
	    strspn(text, "0123456789.") != (size_t)(end - text))
		return "not a time; give seconds, or a number with m or h";
	unit = *end ? strchr(units, *end) : units;
	if (!unit || (*end && end[1]))
		return "unknown unit; give s, m, h or d";
	time *= seconds[unit - units] * 1000;
	/* Beyond, it is no limit that anyone would see. */
	*ret_ms = time < 1e15 ? (int64_t)(time + 0.999) : 0;
	return NULL;
}

static const char *parse_file_name(const char *text, char *ret_name)
{
	if (strchr(text, '/') || strcmp(text, ".") == 0 ||
	    strcmp(text, "..") == 0)
		return "not the name of a file; give one without a directory";
	if (strlen(text) > NAME_MAX)
		return "longer than the name of a file may be (255 bytes)";
	if (strcmp(text, "info") == 0)
		return "taken by the directory beside the disk; give another name";
	strcpy(ret_name, text);
	return NULL;
}

/* Copies text that is not empty; the field's own is freed. */
static const char *copy(const char *text, char **field)
{
	char *new = *text ? strdup(text) : NULL;

	if (*text && !new)
		return no_memory;
	free(*field);
	*field = new;
	return NULL;
}

static const char *copy_line(const char *text, char **field)
{
	for (const char *s = text; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return "a control character is in it; give one line of text";
	}
	return copy(text, field);
}

static const char *parse_uuid(const char *text, uint8_t **field)
{
	uint8_t uuid[16];

	if (uuid_parse(text, uuid) < 0)
		return "not a UUID; give one as uuidgen prints it";
	if (!*field && !(*field = malloc(sizeof(uuid))))
		return no_memory;
	memcpy(*field, uuid, sizeof(uuid));
	return NULL;
}

/* The highest number stands for "no change" in the kernel's calls. */
static bool parse_owner(const char *text, struct tree_scan_options *scan)
{
	uint64_t uid = 0;
	uint64_t gid = 0;

	if (strcmp(text, "keep") == 0) {
		scan->owner = TREE_OWNER_KEEP;
		return true;
	}
	if (strcmp(text, "root") != 0 &&
	    (!parse_number(&text, UINT32_MAX - 1, &uid) || *text++ != ':' ||
	     !parse_number(&text, UINT32_MAX - 1, &gid) || *text))
		return false;
	scan->owner = TREE_OWNER_SET;
	scan->uid = (uint32_t)uid;
	scan->gid = (uint32_t)gid;
	return true;
}

/* https://reproducible-builds.org/specs/source-date-epoch/ */
static const char *parse_epoch(const char *text, struct tree_scan_options *scan)
{
	uint64_t seconds;

	if (!parse_number(&text, INT64_MAX, &seconds) || *text)
		return "not a number of seconds since 1970; set it so, or unset it";
	scan->latest_time = (int64_t)seconds;
	scan->clamp_time = true;
	return NULL;
}

static bool parse_choice(const char *text, const struct option_row *row,
			 void *field)
{
	const char *word = row->value;
	unsigned number = 0;
	size_t len;

	while ((len = strcspn(word, "|")) != strlen(text) ||
	       memcmp(word, text, len) != 0) {
		if (!word[len])
			return false;
		word += len + 1;
		number++;
	}
	if (row->size == sizeof(bool))
		*(bool *)field = number;
	else
		*(unsigned *)field = number;
	return true;
}

/* Sets the field; returns NULL or what is wrong with the value. */
static const char *set_field(const struct option_row *row, void *field,
			     const char *value)
{
	if (value && !*value && row->kind != OPTION_LINE)
		return "empty; give it a value";
	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return NULL;
	case OPTION_NULL:
	case OPTION_ARGUMENT:
		*(const char **)field = value;
		return NULL;
	case OPTION_TEXT:
		return copy(value, field);
	case OPTION_LINE:
		return copy_line(value, field);
	case OPTION_FILE_NAME:
		return parse_file_name(value, field);
	case OPTION_SIZE:
	case OPTION_SECTORS:
		return parse_size(value, row->kind == OPTION_SECTORS, field);
	case OPTION_SECONDS:
	case OPTION_LIMIT:
		return parse_seconds(value, row->kind == OPTION_SECONDS, field);
	case OPTION_DURATION:
		return parse_duration(value, field);
	case OPTION_CHOICE:
		return parse_choice(value, row, field) ? NULL : row->value;
	case OPTION_OWNER:
		return parse_owner(value, field) ? NULL : row->value;
	case OPTION_EPOCH:
		return parse_epoch(value, field);
	case OPTION_UUID:
		return parse_uuid(value, field);
	case OPTION_LIST:
		break;
	}
	return "cannot be given here";
}

int option_row_set(const struct option_row *row, void *target,
		   const char *prefix, const char *value, struct diag *diag)
{
	_cleanup_free_ char *option = NULL;
	const char *wrong;

	if (!row->value != !value)
		wrong = value ? "takes no value" : "needs a value";
	else
		wrong = set_field(row, (char *)target + row->offset, value);
	if (!wrong || wrong == no_memory)
		return wrong ? -ENOMEM : 0;
	if (text_format(&option, "%s%s%s", row->key, value ? "=" : "",
			value ? value : "") < 0)
		return -ENOMEM;
	return option_refuse(diag, prefix, option, "%s%s",
			     wrong == row->value ? "unknown; give " : "",
			     wrong);
}

void option_rows_clear(const struct option_row *rows, void *target)
{
	for (; rows->help; rows++) {
		char **field = (void *)((char *)target + rows->offset);

		if (rows->kind == OPTION_TEXT || rows->kind == OPTION_LINE ||
		    rows->kind == OPTION_UUID) {
			free(*field);
			*field = NULL;
		}
	}
}
