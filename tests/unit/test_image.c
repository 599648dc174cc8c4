/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The map of the disk: it covers every byte once, and says what is there. */
#include "support_image.h"

#define MIB(n) (UINT64_C(n) << 20)

static uint64_t seed;

/* ---- the map ---- */

static void check_region(const struct image *image, const struct region *r)
{
	assert_true(r->start < r->end);
	assert_non_null(r->what);
	if (r->kind == REGION_FILE || r->kind == REGION_RENDER)
		assert_true(r->partition == 1 || r->partition == 2);
	assert_true(r->kind != REGION_FILE || r->node != TREE_NONE);
	/* Each of its bytes finds it, and nothing else. */
	for (int i = 0; i < 6; i++) {
		uint64_t at =
			i == 0	 ? r->start
			: i == 1 ? r->end - 1
				 : r->start + random_below(&seed,
							   r->end - r->start);
		struct region same;

		image_region_at(image, at, &same);
		assert_int_equal(same.start, r->start);
		assert_int_equal(same.end, r->end);
		assert_int_equal(same.kind, r->kind);
		assert_int_equal(same.node, r->node);
		assert_int_equal(same.node_offset, r->node_offset);
	}
}

static void check_map(const struct image *image)
{
	uint64_t data = 0;
	uint64_t end = 0;
	unsigned partition = 0;

	while (end < image_size(image)) {
		struct region r;

		image_region_at(image, end, &r);
		assert_int_equal(r.start, end);
		check_region(image, &r);
		if (r.kind != REGION_ZERO)
			data += r.end - r.start;
		if (r.partition) {
			assert_true(r.partition >= partition);
			partition = r.partition;
		}
		end = r.end;
	}
	assert_int_equal(end, image_size(image));
	assert_int_equal(partition, 2);
	assert_int_equal(data, image_data_size(image));
}

static void regions_tile_the_disk(void **state)
{
	static const uint64_t sizes[] = {
		0,	  MIB(8), MIB(9) + 512, MIB(9) + 512 * 7, MIB(9) + 4096,
		MIB(3000)
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_image_ struct image *image = image_of(sizes[i]);

		assert_int_equal(image_size(image),
				 sizes[i] ? sizes[i] : MIB(200));
		check_map(image);
	}
}

/* Without a size the partitions grow with what must stay free. */
static void grown_disk(void **state)
{
	struct image *image = NULL;

	assert_ok(try_image(0, 0, MIB(5000), &image, NULL));
	assert_true(image_size(image) > MIB(5000));
	check_map(image);
	image_free(image);
	assert_ok(try_image(0, MIB(77), 0, &image, NULL));
	check_map(image);
	image_free(image);
}

static void partitions_are_where_the_table_says(void **state)
{
	_cleanup_image_ struct image *image = image_of(0);
	struct region r;

	image_region_at(image, 0, &r);
	assert_int_equal(r.kind, REGION_BYTES);
	assert_int_equal(r.partition, 0);
	image_region_at(image, UINT64_C(2048) * 512 - 1, &r);
	assert_int_equal(r.partition, 0);
	assert_int_equal(r.kind, REGION_ZERO);
	image_region_at(image, UINT64_C(2048) * 512, &r);
	assert_int_equal(r.partition, 1);
	assert_string_equal(r.what, "superblock");
	image_region_at(image, UINT64_C(38912) * 512 - 1, &r);
	assert_int_equal(r.partition, 1);
	image_region_at(image, UINT64_C(38912) * 512, &r);
	assert_int_equal(r.partition, 0);
	image_region_at(image, UINT64_C(40960) * 512, &r);
	assert_int_equal(r.partition, 2);
	image_region_at(image, UINT64_C(391168) * 512 - 1, &r);
	assert_int_equal(r.partition, 2);
	image_region_at(image, UINT64_C(391168) * 512, &r);
	assert_int_equal(r.partition, 0);
}

/* ---- reading ---- */

static void bounds(void **state)
{
	_cleanup_image_ struct image *image = image_of(MIB(8) + 512);
	uint64_t size = image_size(image);
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	uint8_t buf[4096];

	memset(buf, 'x', sizeof(buf));
	assert_ok(image_pread(image, buf, 0, 0, NULL));
	assert_ok(image_pread(image, buf, 0, size, NULL));
	assert_ok(image_pread(image, buf, 1, size - 1, NULL));
	assert_int_equal(image_pread(image, buf, 1, size, &diag), -EINVAL);
	assert_contains(diag.reason, "end");
	assert_int_equal(image_pread(image, buf, 0, size + 1, NULL), -EINVAL);
	assert_int_equal(image_pread(image, buf, 513, size - 512, NULL),
			 -EINVAL);
	assert_int_equal(image_pread(image, buf, 4096, UINT64_MAX - 100, NULL),
			 -EINVAL);
	assert_int_equal(image_pread(image, buf, SIZE_MAX, 1, NULL), -EINVAL);
	assert_int_equal(buf[1], 'x');
}

static void check_file(const struct image *image, const char *path)
{
	const struct tree *tree = image_tree(image, 1);
	tree_id node = must_find(tree, path);
	uint8_t expected[9000], buf[9000];
	struct tree_info info;

	tree_get(tree, node, &info);
	for (int i = 0; i < 50; i++) {
		uint64_t at = random_below(&seed, info.size);
		size_t len = 1 + random_below(&seed, sizeof(buf));
		uint64_t block = at / 4096 * 4096;
		/* Up to the end of the last block: zeroes follow the bytes. */
		uint64_t end = round_up(info.size, 4096);
		size_t n = min_u64(len, end - at);
		size_t bytes = min_u64(n, info.size - at);

		assert_ok(image_pread(image, buf, n,
				      find_on_disk(image, 2, node, block) +
					      (at - block),
				      NULL));
		memset(expected, 0, sizeof(expected));
		pattern_pread(NULL, NULL, expected, bytes, at);
		assert_memory_equal(buf, expected, n);
	}
}

static void files_and_zeroes_behind_them(void **state)
{
	_cleanup_image_ struct image *image = image_of(0);

	check_file(image, "dir/small");
	check_file(image, "dir/block");
	check_file(image, "large");
}

static void holes_are_zero(void **state)
{
	_cleanup_image_ struct image *image = image_of(MIB(8));
	static uint8_t buf[1 << 20];
	struct region r;

	for (uint64_t at = 0; at < image_size(image); at = r.end) {
		uint64_t len;

		image_region_at(image, at, &r);
		if (r.kind != REGION_ZERO)
			continue;
		len = min_u64(r.end - r.start, sizeof(buf));
		memset(buf, 'x', len);
		assert_ok(image_pread(image, buf, len, r.start, NULL));
		for (size_t i = 0; i < len; i++)
			assert_int_equal(buf[i], 0);
	}
}

static void data_and_holes(void **state)
{
	_cleanup_image_ struct image *image = image_of(MIB(8) + 1024);
	uint64_t size = image_size(image);

	for (int i = 0; i < 2000; i++) {
		uint64_t at = random_below(&seed, size);
		uint64_t data = image_next_data(image, at);
		uint64_t hole = image_next_hole(image, at);
		struct region r;

		image_region_at(image, at, &r);
		assert_true(data == at || hole == at);
		assert_true(data <= size && hole <= size);
		assert_int_equal(data == at, r.kind != REGION_ZERO);
		if (data > at && data < size) {
			image_region_at(image, data, &r);
			assert_int_not_equal(r.kind, REGION_ZERO);
			image_region_at(image, data - 1, &r);
			assert_int_equal(r.kind, REGION_ZERO);
		}
		if (hole > at && hole < size) {
			image_region_at(image, hole, &r);
			assert_int_equal(r.kind, REGION_ZERO);
			image_region_at(image, hole - 1, &r);
			assert_int_not_equal(r.kind, REGION_ZERO);
		}
	}
	assert_int_equal(image_next_data(image, size), size);
	assert_int_equal(image_next_hole(image, size), size);
	assert_int_equal(image_next_data(image, UINT64_MAX), size);
	assert_int_equal(image_next_hole(image, UINT64_MAX), size);
}

static int broken_pread(struct content *content,
			const struct content_reader *reader, void *buf,
			size_t len, uint64_t offset)
{
	return -EREMOTEIO;
}

static void content_that_fails(void **state)
{
	static struct content broken = { broken_pread, zero_release };
	const struct image_options options = { .src_path = "/src",
					       .boot.no_grub = true };
	_cleanup_builder_ struct tree_builder *b = builder_new();
	struct image_trees trees = { 0 };
	_cleanup_image_ struct image *image = NULL;
	uint8_t buf[4096];
	uint64_t at;

	trees.tree[0] = builder_tree(b);
	assert_int_equal(tree_find(trees.tree[0], "broken"), TREE_NONE);
	assert_ok(tree_builder_mkdirs(b, 0, "lost+found", &dir_attr,
				      &(builder_id){ 0 }));
	add_content(b, 0, "broken", &broken, 10);
	trees.tree[1] = builder_tree(b);
	assert_ok(image_assemble(&options, NULL, &trees, NULL, &image, NULL));
	at = find_on_disk(image, 2, must_find(image_tree(image, 1), "broken"),
			  0);
	assert_int_equal(image_pread(image, buf, 10, at, NULL), -EREMOTEIO);
	assert_int_equal(image_pread(image, buf, 4096, at, NULL), -EREMOTEIO);
	/* Behind its end nobody is asked. */
	assert_ok(image_pread(image, buf, 4000, at + 10, NULL));
}

/* ---- what cannot be built ---- */

static uint64_t needed(const char *reason)
{
	const char *p = strstr(reason, " are needed");

	assert_non_null(p);
	while (p > reason && p[-1] >= '0' && p[-1] <= '9')
		p--;
	return strtoull(p, NULL, 10);
}

/* The size that the message names is enough. */
static void too_small(void **state)
{
	for (int i = 0; i < 100; i++) {
		_cleanup_diag_ struct diag diag = DIAG_INIT;
		struct image *image = NULL;
		uint64_t free = random_below(
			&seed, UINT64_C(1) << random_below(&seed, 37));
		uint64_t enough;

		assert_int_equal(try_image(MIB(2), 0, free, &image, &diag),
				 -ENOSPC);
		assert_null(image);
		assert_string_equal(diag.path, "--size");
		enough = needed(diag.reason);
		assert_ok(try_image(enough, 0, free, &image, &diag));
		assert_int_equal(image_size(image), enough);
		image_free(image);
		assert_int_equal(
			try_image(enough - 512, 0, free, &image, &diag),
			-ENOSPC);
	}
}

static void boot_too_small(void **state)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct image *image = NULL;

	assert_int_equal(try_image(0, 512, 0, &image, &diag), -ENOSPC);
	assert_string_equal(diag.path, "--boot-size");
	assert_ok(try_image(0, needed(diag.reason), 0, &image, &diag));
	check_map(image);
	image_free(image);
}

static void too_large(void **state)
{
	static const struct {
		uint64_t size, boot_size, free;
		const char *path;
	} cases[] = {
		{ UINT64_C(1) << 41, 0, 0, "--size" },
		{ UINT64_MAX / 512 * 512, 0, 0, "--size" },
		{ 0, UINT64_C(1) << 41, 0, "--boot-size" },
		{ 0, UINT64_MAX / 512 * 512, 0, "--boot-size" },
		{ 0, 0, UINT64_C(1) << 41, "--free" },
		{ 0, 0, UINT64_MAX, "--free" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_diag_ struct diag diag = DIAG_INIT;
		struct image *image = NULL;

		assert_int_equal(try_image(cases[i].size, cases[i].boot_size,
					   cases[i].free, &image, &diag),
				 -EFBIG);
		assert_null(image);
		assert_string_equal(diag.path, cases[i].path);
	}
}

/* ---- from a directory of the host ---- */

static void host_directory(void **state)
{
	const struct temp *t = *state;
	_cleanup_image_ struct image *image = NULL;
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	uint8_t buf[8192];
	uint64_t a, b;

	assert_sys(mkdirat(t->fd, "boot", 0755));
	put_text(t->fd, "boot/config", "boot's");
	put_text(t->fd, "a", "bytes of a");
	put_text(t->fd, "b", "bytes of b");
	image = image_of_host(t->fd);
	check_map(image);
	assert_int_equal(tree_find(image_tree(image, 0), "a"), TREE_NONE);
	assert_int_equal(tree_find(image_tree(image, 1), "boot"), TREE_NONE);
	a = find_on_disk(image, 1,
			 must_find(image_tree(image, 0), "boot/config"), 0);
	assert_ok(image_pread(image, buf, 6, a, NULL));
	assert_memory_equal(buf, "boot's", 6);
	a = find_on_disk(image, 2, must_find(image_tree(image, 1), "a"), 0);
	b = find_on_disk(image, 2, must_find(image_tree(image, 1), "b"), 0);
	assert_int_equal(b, a + 4096);
	put_text(t->fd, "a", "BYTES OF A!");
	assert_int_equal(image_pread(image, buf, 1, a, &diag), -ESTALE);
	assert_string_equal(diag.path, "/src/a");
	assert_int_equal(image_pread(image, buf, 8192, a, NULL), -ESTALE);
	assert_int_equal(image_pread(image, buf, 2, b - 1, NULL), 0);
	assert_ok(image_pread(image, buf, 10, b, NULL));
	assert_memory_equal(buf, "bytes of b", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(regions_tile_the_disk),
		cmocka_unit_test(grown_disk),
		cmocka_unit_test(partitions_are_where_the_table_says),
		cmocka_unit_test(bounds),
		cmocka_unit_test(files_and_zeroes_behind_them),
		cmocka_unit_test(holes_are_zero),
		cmocka_unit_test(data_and_holes),
		cmocka_unit_test(content_that_fails),
		cmocka_unit_test(too_small),
		cmocka_unit_test(boot_too_small),
		cmocka_unit_test(too_large),
		temp_test(host_directory),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
