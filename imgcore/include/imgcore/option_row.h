/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_OPTION_ROW_H
#define IMGCORE_OPTION_ROW_H

/*
 * An option is a row of a table: its key, the kind of its value, the field that
 * it sets, and its line in the help. Values are parsed strictly: no sign, no
 * space, nothing after the end, no overflow.
 *
 * Errors: -EINVAL with a diagnostic (the option as it was given, what is wrong
 * and what to give), -ENOMEM. The field is then unchanged.
 * Threading: any number of threads, each with its own target.
 */

#include <stddef.h>
#include <stdint.h>

struct diag;

enum option_kind {
	/* Without a value: */
	OPTION_FLAG, /* bool: becomes true */
	OPTION_NULL, /* const char *: becomes NULL */
	/* With one: */
	OPTION_ARGUMENT, /* const char *: the value itself, not a copy */
	OPTION_TEXT, /* char *: a copy */
	OPTION_LINE, /* char *: a copy of one line of text; empty: NULL */
	OPTION_FILE_NAME, /* char[NAME_MAX + 1]: that can stand beside info/ */
	OPTION_SIZE, /* uint64_t: bytes, with K, M, G or T in powers of 1024 */
	OPTION_SECTORS, /* uint64_t: the same, a positive multiple of 512 */
	OPTION_SECONDS, /* int; -1: no limit */
	OPTION_LIMIT, /* int: the same, not 0 */
	OPTION_DURATION, /* int64_t: milliseconds, given as for timeout(1) */
	OPTION_CHOICE, /* an enum or a bool: the number of the word in `value`
			*/
	OPTION_OWNER, /* struct tree_scan_options: owner, uid, gid */
	OPTION_EPOCH, /* struct tree_scan_options: clamp_time, latest_time */
	OPTION_UUID, /* uint8_t *: 16 bytes, allocated */
	OPTION_LIST, /* more options; for the command line alone */
};

enum {
	OPTION_SERVE = 1, /* on the line of programs that serve a disk only */
	OPTION_LINE_ONLY = 2, /* not in the list of -o */
	OPTION_BARE = 4, /* with a value, it is another table's option */
	OPTION_ENVIRONMENT = 8, /* a variable, neither on the line nor listed */
};

struct option_row {
	const char *key; /* NULL: only a letter */
	/* Of the value: its name, or all words of a choice: "both|vga". */
	const char *value;
	const char *help;
	enum option_kind kind;
	size_t offset; /* of the field in the target */
	size_t size; /* of the field */
	unsigned where; /* OPTION_SERVE and so on */
	char letter; /* or 0 */
};

#define OPTION_FIELD(type, field)               \
	.offset = offsetof(struct type, field), \
	.size = sizeof(((struct type *)0)->field)

/*
 * Sets the field of a row. value: NULL for none. prefix: what stands before the
 * key in the diagnostic, such as "--".
 */
int option_row_set(const struct option_row *row, void *target,
		   const char *prefix, const char *value, struct diag *diag);
/* Frees what the rows have allocated. */
void option_rows_clear(const struct option_row *rows, void *target);

/* Says what is wrong with an option, which is cut if it is long: -EINVAL. */
int option_refuse(struct diag *diag, const char *prefix, const char *option,
		  const char *reason_fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
