/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sets of extended attributes: one form for all equal ones, kept once. */
#include "support.h"

#include "tree/xattr_set.h"

static uint64_t seed;

#define XATTR(n, v)                      \
	{                                \
		(n), (v), sizeof(v) - 1, \
	}

/* A file with these attributes, alone in its tree. */
static struct tree *tree_with(const struct tree_host_xattr *xattrs, size_t n)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	builder_id id = add_file(b, 0, "file", 0);

	assert_ok(tree_builder_set_xattrs(b, id, xattrs, n));
	return builder_tree(b);
}

/* "index:name=value " for each. */
static void describe(const struct tree *tree, const char *path, char *text)
{
	struct tree_info info;
	struct tree_xattr x;
	size_t at = 0;

	get_info(tree, path, &info);
	*text = '\0';
	while (tree_next_xattr(tree, info.xattrs, &at, &x))
		text += sprintf(text, "%u:%.*s=%.*s ", x.index, (int)x.name_len,
				x.name, (int)x.value_len,
				(const char *)x.value);
}

static void sorted_by_index_length_name(void **state)
{
	static const struct tree_host_xattr xattrs[] = {
		XATTR("security.b", "1"), XATTR("user.bb", ""),
		XATTR("trusted.z", "2"),  XATTR("user.c", "3"),
		XATTR("user.a", "44"),	  XATTR("user.aaa", "5"),
	};
	uint64_t dice = seed;

	for (int trial = 0; trial < 50; trial++) {
		struct tree_host_xattr shuffled[ARRAY_SIZE(xattrs)];
		_cleanup_tree_ struct tree *tree = NULL;
		char text[200];

		memcpy(shuffled, xattrs, sizeof(xattrs));
		for (size_t i = ARRAY_SIZE(xattrs); i > 1; i--) {
			size_t j = random_below(&dice, i);
			struct tree_host_xattr x = shuffled[i - 1];

			shuffled[i - 1] = shuffled[j];
			shuffled[j] = x;
		}
		tree = tree_with(shuffled, ARRAY_SIZE(shuffled));
		describe(tree, "file", text);
		assert_string_equal(text,
				    "1:a=44 1:c=3 1:bb= 1:aaa=5 4:z=2 6:b=1 ");
	}
}

static void acls_have_no_name(void **state)
{
	static const char acl[] = "\2\0\0\0\1\0\7\0\xff\xff\xff\xff";
	const struct tree_host_xattr xattrs[] = {
		{ "system.posix_acl_default", acl, 12 },
		{ "system.posix_acl_access", acl, 12 },
	};
	_cleanup_tree_ struct tree *tree = tree_with(xattrs, 2);
	struct tree_xattr x;
	size_t at = 0;

	for (unsigned i = 2; i <= 3; i++) {
		assert_true(tree_next_xattr(tree, 1, &at, &x));
		assert_int_equal(x.index, i);
		assert_int_equal(x.name_len, 0);
		assert_int_equal(x.value_len, 8);
		assert_memory_equal(x.value, "\1\0\0\0\1\0\7\0", 8);
	}
	assert_false(tree_next_xattr(tree, 1, &at, &x));
}

static int set_error(const struct tree_host_xattr *xattrs, size_t n)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();

	return tree_builder_set_xattrs(b, 0, xattrs, n);
}

static void what_is_refused(void **state)
{
	static const char *const names[] = {
		"",	  "user",	    "user.",
		"User.x", "system.x",	    "system.posix_acl_acces",
		"com.x",  "system.nfs4_acl"
	};
	static const struct tree_host_xattr twice[] = { XATTR("user.x", "1"),
							XATTR("user.x", "2") };
	static const struct tree_host_xattr no_acl[] = { XATTR(
		"system.posix_acl_access", "what") };
	static const uint8_t large[65537];
	struct tree_host_xattr one = { "user.x", large, sizeof(large) };
	char longest[5 + 256 + 1];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct tree_host_xattr x = { names[i], "", 0 };

		assert_int_equal(set_error(&x, 1), -EINVAL);
	}
	assert_int_equal(set_error(twice, 2), -EEXIST);
	assert_int_equal(set_error(no_acl, 1), -EINVAL);
	assert_int_equal(set_error(&one, 1), -EINVAL);
	one.value_len = 65536;
	assert_int_equal(set_error(&one, 1), 0);
	memset(longest, 'n', sizeof(longest));
	memcpy(longest, "user.", 5);
	longest[5 + 256] = '\0';
	one = (struct tree_host_xattr){ longest, "", 0 };
	assert_int_equal(set_error(&one, 1), -EINVAL);
	longest[5 + 255] = '\0';
	assert_int_equal(set_error(&one, 1), 0);
}

static void classes(void **state)
{
	static const struct {
		const char *name;
		enum xattr_class keep, user;
	} of[] = {
		{ "user.x", XATTR_TAKEN, XATTR_TAKEN },
		{ "user.", XATTR_UNKNOWN, XATTR_LEFT_OUT },
		{ "trusted.x", XATTR_TAKEN, XATTR_LEFT_OUT },
		{ "security.selinux", XATTR_TAKEN, XATTR_LEFT_OUT },
		{ "system.posix_acl_access", XATTR_TAKEN, XATTR_LEFT_OUT },
		{ "system.posix_acl_accessible", XATTR_LEFT_OUT,
		  XATTR_LEFT_OUT },
		{ "system.nfs4_acl", XATTR_LEFT_OUT, XATTR_LEFT_OUT },
		{ "btrfs.compression", XATTR_LEFT_OUT, XATTR_LEFT_OUT },
		{ "osx.com.apple.quarantine", XATTR_UNKNOWN, XATTR_LEFT_OUT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(of); i++) {
		const char *rest;
		uint8_t index;

		assert_int_equal(xattr_set_classify(of[i].name,
						    TREE_XATTRS_KEEP, &index,
						    &rest),
				 of[i].keep);
		assert_int_equal(xattr_set_classify(of[i].name,
						    TREE_XATTRS_USER, &index,
						    &rest),
				 of[i].user);
	}
}

/* ---- sharing ---- */

/* Thousands of sets, each several times: equal ones have one number. */
static void equal_sets_are_one(void **state)
{
	_cleanup_(xattr_sets_release) struct xattr_sets sets = { 0 };
	_cleanup_(xattr_index_release) struct xattr_index index = { 0 };
	uint64_t dice = seed;
	uint32_t numbers[3000] = { 0 };
	uint32_t n_numbers = 0;

	for (int i = 0; i < 20000; i++) {
		uint64_t which = random_below(&dice, ARRAY_SIZE(numbers));
		char set[20];
		int len = snprintf(set, sizeof(set), "set %llu",
				   (unsigned long long)which * which);
		uint32_t number;

		assert_ok(xattr_sets_intern(&sets, &index, (uint8_t *)set,
					    (size_t)len, &number));
		if (numbers[which] == 0)
			numbers[which] = ++n_numbers;
		assert_int_equal(number, numbers[which]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		char set[20];
		size_t len;
		int want = snprintf(set, sizeof(set), "set %llu",
				    (unsigned long long)i * i);

		if (numbers[i] == 0)
			continue;
		assert_memory_equal(xattr_sets_get(&sets, numbers[i], &len),
				    set, (size_t)want);
		assert_int_equal(len, want);
	}
}

static void of_a_tree(void **state)
{
	static const struct tree_host_xattr a[] = { XATTR("user.a", "1") };
	static const struct tree_host_xattr b[] = { XATTR("user.b", "1") };
	_cleanup_builder_ struct tree_builder *builder = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	builder_id dir = add_dir(builder, 0, "dir");
	builder_id one = add_file(builder, dir, "one", 0);
	builder_id two = add_file(builder, dir, "two", 0);
	struct tree_info info;

	add_file(builder, dir, "zero", 0);
	assert_ok(tree_builder_add_link(builder, 0, "link", 4, two));
	assert_ok(tree_builder_set_xattrs(builder, two, b, 1));
	assert_ok(tree_builder_set_xattrs(builder, dir, b, 1));
	assert_ok(tree_builder_set_xattrs(builder, dir, a, 1)); /* instead */
	assert_ok(tree_builder_set_xattrs(builder, one, a, 1));
	assert_ok(tree_builder_set_xattrs(builder, 0, b, 1));
	tree = builder_tree(builder);
	assert_int_equal(tree_xattr_sets(tree), 2);
	tree_get(tree, TREE_ROOT, &info);
	assert_int_equal(info.xattrs, 1);
	get_info(tree, "dir", &info);
	assert_int_equal(info.xattrs, 2);
	get_info(tree, "dir/one", &info);
	assert_int_equal(info.xattrs, 2);
	get_info(tree, "dir/two", &info);
	assert_int_equal(info.xattrs, 1);
	get_info(tree, "link", &info);
	assert_int_equal(info.xattrs, 1);
	get_info(tree, "dir/zero", &info);
	assert_int_equal(info.xattrs, 0);
}

/* ---- digest ---- */

static void digest_of(const char *name, const char *value, bool on_other,
		      uint8_t digest[16])
{
	const struct tree_host_xattr x = { name, value, strlen(value) };
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	builder_id one = add_file(b, 0, "one", 0);
	builder_id two = add_file(b, 0, "two", 0);

	assert_ok(tree_builder_set_xattrs(b, on_other ? two : one, &x, 1));
	tree = builder_tree(b);
	tree_digest(tree, digest);
}

static void digest_covers_them(void **state)
{
	uint8_t digest[6][16];

	digest_of("user.ab", "c", false, digest[0]);
	digest_of("user.ab", "d", false, digest[1]);
	digest_of("user.a", "bc", false, digest[2]);
	digest_of("trusted.ab", "c", false, digest[3]);
	digest_of("user.ab", "c", true, digest[4]);
	digest_of("user.ab", "c", false, digest[5]);
	for (int i = 1; i < 5; i++)
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(digest[i], digest[j], 16);
	assert_memory_equal(digest[0], digest[5], 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorted_by_index_length_name),
		cmocka_unit_test(acls_have_no_name),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(classes),
		cmocka_unit_test(equal_sets_are_one),
		cmocka_unit_test(of_a_tree),
		cmocka_unit_test(digest_covers_them),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
