/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The digest of a tree: all that the image shows, and nothing of the host. */
#include "support.h"

#define DIGEST 16

struct spec {
	struct tree_attr file;
	const char *name;
	const char *target;
	uint64_t size;
	struct tree_extent first[2];
	struct tree_extent second[2];
	size_t n_first;
	size_t n_second;
	bool link;
	bool plain; /* lost+found is a directory like others */
	uint32_t major;
	uint32_t minor;
};

static const struct spec usual = {
	.file = { S_IFREG | 0644, 1, 2, 3, 4, 0, 0 },
	.name = "name",
	.target = "target",
	.size = 1000000,
	.first = { { 4096, 8192 }, { 40960, 45056 } },
	.n_first = 2,
	.n_second = 0,
	.major = 8,
	.minor = 1,
};

static void digest_of(const struct spec *spec, uint8_t digest[DIGEST])
{
	_cleanup_builder_ struct tree_builder *b = NULL;
	_cleanup_tree_ struct tree *tree = NULL;
	struct tree_attr device = { .mode = S_IFCHR | 0600 };
	builder_id lost, one, two, three;

	device.major = spec->major;
	device.minor = spec->minor;
	assert_ok(tree_builder_new(&b, &dir_attr));
	lost = add_dir(b, 0, "lost+found");
	if (!spec->plain)
		tree_builder_reserve(b, lost);
	assert_ok(tree_builder_add_content(b, 0, spec->name, &spec->file,
					   &zero_content, spec->size, &three));
	one = add_file(b, 0, "sparse-1", 1 << 20);
	two = add_file(b, 0, "sparse-2", 1 << 20);
	assert_ok(tree_builder_set_extents(b, one, spec->first, spec->n_first));
	assert_ok(
		tree_builder_set_extents(b, two, spec->second, spec->n_second));
	assert_ok(tree_builder_add_symlink(b, 0, "symlink", &link_attr,
					   spec->target, strlen(spec->target),
					   NULL));
	assert_ok(tree_builder_add(b, 0, "device", 6, &device, NULL));
	if (spec->link)
		assert_ok(tree_builder_add_link(b, 0, "zz", 2, three));
	else
		assert_ok(tree_builder_add_content(b, 0, "zz", &spec->file,
						   &zero_content, spec->size,
						   NULL));
	tree = builder_tree(b);
	tree_digest(tree, digest);
}

static void assert_differs(const struct spec *spec, const char *what)
{
	uint8_t a[DIGEST], b[DIGEST];

	digest_of(&usual, a);
	digest_of(spec, b);
	if (memcmp(a, b, DIGEST) == 0)
		fail_msg("the digest does not know of %s", what);
}

static void same_twice(void **state)
{
	uint8_t a[DIGEST], b[DIGEST];

	digest_of(&usual, a);
	digest_of(&usual, b);
	assert_memory_equal(a, b, DIGEST);
}

#define DIFFERS(field, value)                     \
	do {                                      \
		struct spec changed = usual;      \
		changed.field = (value);          \
		assert_differs(&changed, #field); \
	} while (0)

static void all_that_shows(void **state)
{
	DIFFERS(file.mode, S_IFREG | 0645);
	DIFFERS(file.mode, S_IFREG | 04644);
	DIFFERS(file.uid, 0x10001);
	DIFFERS(file.gid, 0x10002);
	DIFFERS(file.mtime, INT64_C(4) + (INT64_C(1) << 33));
	DIFFERS(file.mtime, -4);
	DIFFERS(file.mtime_ns, 0);
	DIFFERS(name, "nam");
	DIFFERS(name, "name2");
	DIFFERS(target, "targeT");
	DIFFERS(size, UINT64_C(1000000) + (UINT64_C(1) << 32));
	DIFFERS(major, 9);
	DIFFERS(minor, 2);
	DIFFERS(link, true);
}

static void where_data_lies(void **state)
{
	struct spec spec = usual;

	DIFFERS(first[0].start, 0);
	DIFFERS(first[1].end, 49152);
	DIFFERS(n_first, 1);
	/* The same runs, but the other file's. */
	memcpy(spec.second, usual.first, sizeof(spec.second));
	spec.n_second = 2;
	spec.n_first = 0;
	assert_differs(&spec, "whose data it is");
	memcpy(spec.first, usual.first, sizeof(spec.second));
	memcpy(spec.second, usual.first + 1, sizeof(spec.second[0]));
	spec.n_first = spec.n_second = 1;
	assert_differs(&spec, "where the runs are divided");
}

/* lost+found is given more blocks. */
static void whose_directory(void **state)
{
	DIFFERS(plain, true);
}

static void dense_or_a_hole(void **state)
{
	uint8_t digest[2][DIGEST];

	for (int hole = 0; hole < 2; hole++) {
		_cleanup_builder_ struct tree_builder *b = builder_new();
		_cleanup_tree_ struct tree *tree = NULL;
		builder_id id = add_file(b, 0, "file", 100000);

		if (hole)
			assert_ok(tree_builder_set_extents(b, id, NULL, 0));
		tree = builder_tree(b);
		tree_digest(tree, digest[hole]);
	}
	assert_memory_not_equal(digest[0], digest[1], DIGEST);
}

/* ---- hosts ---- */

static void make_copy(int dir)
{
	static const struct timespec times[2] = { { 1, 2 }, { 1000, 5 } };

	assert_sys(mkdirat(dir, "sub", 0755));
	put_text(dir, "file", "bytes");
	assert_sys(linkat(dir, "file", dir, "sub/link", 0));
	assert_sys(symlinkat("file", dir, "symlink"));
	for (int i = 0; i < 4; i++) {
		static const char *const names[] = { "file", "symlink", "sub",
						     "." };

		assert_sys(
			utimensat(dir, names[i], times, AT_SYMLINK_NOFOLLOW));
	}
}

static void scan_digest(int dir, uint8_t digest[DIGEST])
{
	static const struct tree_scan_options options = { 0 };
	_cleanup_tree_ struct tree *tree = NULL;

	assert_ok(try_scan(dir, &options, NULL, &tree, NULL));
	tree_digest(tree, digest);
}

/* Inode numbers, access and change times, and paths have no part in it. */
static void copies_are_equal(void **state)
{
	const struct temp *t = *state;
	uint8_t digest[2][DIGEST];

	for (int i = 0; i < 2; i++) {
		_cleanup_close_ int dir = -1;
		char name[2] = { (char)('a' + i), 0 };

		assert_sys(mkdirat(t->fd, name, 0755));
		dir = openat(t->fd, name, O_RDONLY | O_DIRECTORY);
		make_copy(dir);
		scan_digest(dir, digest[i]);
	}
	assert_memory_equal(digest[0], digest[1], DIGEST);
	put_text(t->fd, "b/file", "other");
	{
		_cleanup_close_ int dir = openat(t->fd, "b", O_RDONLY);

		scan_digest(dir, digest[1]);
	}
	assert_memory_not_equal(digest[0], digest[1], DIGEST);
}

/* ---- large trees, which several threads hash ---- */

#define MANY 150000u

/* MANY files, one of them (below MANY) of another size. */
static void digest_of_many(unsigned odd, uint8_t digest[DIGEST])
{
	_cleanup_builder_ struct tree_builder *b = NULL;
	_cleanup_tree_ struct tree *tree = NULL;

	assert_ok(tree_builder_new(&b, &dir_attr));
	for (unsigned i = 0; i < MANY; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%06u", i);
		add_file(b, 0, name, i == odd ? 2 : 1);
	}
	tree = builder_tree(b);
	tree_digest(tree, digest);
}

static void every_node_of_many_counts(void **state)
{
	static const unsigned odd[] = { 0,	65534,	65535,	 65536,
					131070, 131071, MANY - 1 };
	uint8_t same[DIGEST];
	uint8_t again[DIGEST];

	digest_of_many(MANY, same);
	digest_of_many(MANY, again);
	assert_memory_equal(same, again, DIGEST);
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		digest_of_many(odd[i], again);
		assert_memory_not_equal(same, again, DIGEST);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_twice),
		cmocka_unit_test(all_that_shows),
		cmocka_unit_test(where_data_lies),
		cmocka_unit_test(whose_directory),
		cmocka_unit_test(dense_or_a_hole),
		scan_tests(copies_are_equal),
		cmocka_unit_test(every_node_of_many_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
