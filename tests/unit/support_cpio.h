/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UNIT_SUPPORT_CPIO_H
#define UNIT_SUPPORT_CPIO_H

/* Archives: made of small trees, and read by the format's description alone. */

#include "support.h"

#include "base/math.h"
#include "imgcore/archive.h"

/* ---- reading an archive, by the format's description alone ---- */

struct reading {
	struct content_reader reader;
	unsigned calls;
	size_t longest;
	int result;
};

/* Every host file is of this. */
static inline int read_dots(const struct content_reader *reader,
			    const struct tree *tree, tree_id file, void *buf,
			    size_t len, uint64_t offset)
{
	struct reading *reading = (struct reading *)reader;

	reading->calls++;
	if (len > reading->longest)
		reading->longest = len;
	memset(buf, '.', len);
	return reading->result;
}

static inline char *read_all(const struct cpio *cpio)
{
	struct reading reading = { .reader.read = read_dots };
	char *bytes = malloc(cpio_size(cpio));

	assert_non_null(bytes);
	assert_ok(cpio_pread(cpio, &reading.reader, bytes, cpio_size(cpio), 0));
	return bytes;
}

static inline uint32_t field(const char *header, int number)
{
	char digits[9] = "";

	memcpy(digits, header + 6 + 8 * number, 8);
	assert_int_equal(strspn(digits, "0123456789ABCDEF"), 8);
	return (uint32_t)strtoul(digits, NULL, 16);
}

enum {
	INO,
	MODE,
	UID,
	GID,
	NLINK,
	MTIME,
	SIZE,
	DEV,
	DEV2,
	MAJOR,
	MINOR,
	NAME
};

/* "NAME INO MODE NLINK SIZE" of each header, to the end. */
static inline char *listed(const struct cpio *cpio)
{
	_cleanup_free_ char *bytes = read_all(cpio);
	uint64_t at = 0;
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (;;) {
		const char *header = bytes + at;
		const char *name = header + 110;
		uint32_t name_len = field(header, NAME);

		assert_memory_equal(header, "070701", 6);
		assert_int_equal(strlen(name) + 1, name_len);
		assert_int_equal(field(header, DEV) + field(header, DEV2), 0);
		at = round_up(at + 110 + name_len, 4);
		at = round_up(at + field(header, SIZE), 4);
		if (strcmp(name, "TRAILER!!!") == 0)
			break;
		fprintf(f, "%s %u %o %u %u\n", name, field(header, INO),
			field(header, MODE), field(header, NLINK),
			field(header, SIZE));
	}
	fclose(f);
	assert_int_equal(round_up(at, 512), cpio_size(cpio));
	while (at < cpio_size(cpio))
		assert_int_equal(bytes[at++], 0);
	return text;
}

/* ---- making one ---- */

static inline struct cpio *must_make(const struct tree *tree, const char *path,
				     enum cpio_layout layout)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct cpio *cpio = NULL;

	if (cpio_new(&cpio, tree, must_find(tree, path), layout, &diag) < 0)
		fail_msg("%s: %s", diag.path, diag.reason);
	return cpio;
}

static inline void assert_listed(const struct tree *tree, const char *path,
				 enum cpio_layout layout, const char *wanted)
{
	_cleanup_cpio_ struct cpio *cpio = must_make(tree, path, layout);
	_cleanup_free_ char *is = listed(cpio);

	assert_string_equal(is, wanted);
}

static inline void assert_refused(struct tree_builder *builder, const char *dir,
				  enum cpio_layout layout, int err,
				  const char *path, const char *reason)
{
	_cleanup_tree_ struct tree *tree = builder_tree(builder);
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct cpio *cpio = NULL;

	assert_int_equal(
		cpio_new(&cpio, tree, must_find(tree, dir), layout, &diag),
		err);
	assert_null(cpio);
	assert_contains(diag.path, path);
	assert_contains(diag.reason, reason);
}

static inline builder_id add_text(struct tree_builder *b, builder_id parent,
				  const char *name, const char *text)
{
	struct content *content;

	assert_ok(content_new_bytes(&content, text, strlen(text)));
	return add_content(b, parent, name, content, strlen(text));
}

static inline void add_symlink(struct tree_builder *b, builder_id parent,
			       const char *name, const char *target)
{
	assert_ok(tree_builder_add_symlink(b, parent, name, &link_attr, target,
					   strlen(target), NULL));
}

static inline void add_link(struct tree_builder *b, builder_id parent,
			    const char *name, builder_id file)
{
	assert_ok(tree_builder_add_link(b, parent, name, strlen(name), file));
}

#endif
