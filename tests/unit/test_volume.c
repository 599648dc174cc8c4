/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A volume of another kind, beside ext2, from the layout to the reads. */
#include "support.h"
#include "support_image.h"

#include "base/le.h"
#include "base/math.h"
#include "image/image-internal.h"
#include "image/layout.h"
#include "imgcore/ext2.h"

#define TINY_BLOCK 1024u
#define DISK	   (UINT64_C(16) * MEBIBYTE)

static uint64_t seed;

/*
 * Of each five blocks the last two are zero; a block of the others repeats its
 * number and that of the volume.
 */
struct tiny_volume {
	struct volume volume;
	uint8_t number;
};

static void tiny_locate(const struct volume *volume, uint64_t block,
			struct region *ret_region)
{
	uint64_t first = block / 5 * 5;
	bool zero = block % 5 >= 3;
	uint64_t start = zero ? first + 3 : first;
	uint64_t end = min_u64(zero ? first + 5 : first + 3, volume->blocks);

	*ret_region = (struct region){
		.start = start * TINY_BLOCK,
		.end = end * TINY_BLOCK,
		.kind = zero ? REGION_ZERO : REGION_RENDER,
		.what = zero ? "nothing" : "numbers",
		.node = TREE_NONE,
		.structure = 77,
		.index = (uint32_t)start,
	};
}

static void fill_numbers(uint8_t number, uint64_t block, uint8_t *buf)
{
	for (size_t i = 0; i < TINY_BLOCK; i += 4)
		put_le32(buf + i, (uint32_t)number << 24 | (uint32_t)block);
}

static void tiny_render(const struct volume *volume,
			const struct region *region, uint64_t n, uint8_t *buf)
{
	assert_int_equal(region->kind, REGION_RENDER);
	assert_int_equal(region->structure, 77);
	fill_numbers(((const struct tiny_volume *)volume)->number,
		     region->index + n, buf);
}

static uint64_t tiny_data_size(const struct volume *volume)
{
	uint64_t rest = volume->blocks % 5;

	return (volume->blocks / 5 * 3 + min_u64(rest, 3)) * TINY_BLOCK;
}

static void tiny_free(struct volume *volume)
{
	free(volume);
}

static struct volume *tiny_new(uint8_t number, uint64_t size)
{
	static const struct volume_ops ops = { tiny_locate, tiny_render,
					       tiny_data_size, tiny_free };
	struct tiny_volume *tiny = calloc(1, sizeof(*tiny));

	tiny->volume = (struct volume){ &ops, size / TINY_BLOCK, TINY_BLOCK };
	tiny->number = number;
	return &tiny->volume;
}

static struct volume *ext2_new(const struct tree *tree, uint64_t size,
			       uint64_t *ret_need)
{
	static const uint8_t zeroes[16];
	const struct ext2_options options = {
		.size = size,
		.uuid = zeroes,
		.label = "ext2",
	};
	struct volume *volume = NULL;
	struct ext2_contents *contents;

	assert_ok(ext2_contents_new(&contents, tree, zeroes, NULL, NULL));
	assert_ok(ext2_contents_size(contents, 0, ret_need, NULL));
	if (size > 0)
		assert_ok(ext2_volume_new(&volume, contents, &options, NULL));
	else
		ext2_contents_free(contents);
	return volume;
}

/* Partitions: tiny, ext2, tiny. The last one's volume does not fill it. */
static struct image *make_disk(void)
{
	struct image *image = calloc(1, sizeof(*image));
	struct layout_entry entries[3] = {
		{ .need = 7 * TINY_BLOCK },
		{ .usual = 2 * MEBIBYTE },
		{ .need = MEBIBYTE + 1 },
	};
	struct tree *tree = pattern_tree();

	assert_ok(descriptor_cache_new(&image->cache, false));
	image->trees.tree[IMAGE_PART_SYSTEM] = tree;
	image->partitions = calloc(3, sizeof(*image->partitions));
	image->n_partitions = 3;
	ext2_new(tree, 0, &entries[1].need);
	assert_ok(layout_choose(entries, 3, DISK, "test", &image->size, NULL));
	for (size_t i = 0; i < 3; i++) {
		struct partition *p = &image->partitions[i];
		uint64_t need;

		assert_true(entries[i].size >= entries[i].need);
		p->start = entries[i].start;
		p->size = entries[i].size;
		p->part = i == 1 ? IMAGE_PART_SYSTEM : IMAGE_PART_BOOT;
		p->volume = i == 0   ? tiny_new(1, p->size)
			    : i == 1 ? ext2_new(tree, p->size, &need)
				     : tiny_new(3, p->size - 3 * TINY_BLOCK);
	}
	assert_ok(table_init(&image->table, image->partitions, 3, image->size,
			     42, NULL, NULL, NULL));
	assert_ok(regions_init(&image->regions, &image->table,
			       image->partitions, 3, image->size));
	return image;
}

/* The disk as it must be: each block of each volume by itself. */
static uint8_t *expected_disk(const struct image *image)
{
	uint8_t *disk = calloc(1, image->size);
	struct region r;

	memcpy(disk, image->table.head, image->table.head_len);
	for (size_t i = 0; i < 3; i++) {
		const struct partition *p = &image->partitions[i];
		const struct volume *v = p->volume;

		for (uint64_t b = 0; b < v->blocks; b++) {
			uint8_t *at = disk + p->start + b * v->block_size;

			if (i != 1) {
				if (b % 5 < 3)
					fill_numbers((uint8_t)(i + 1), b, at);
				continue;
			}
			v->ops->locate(v, b, &r);
			if (r.kind == REGION_RENDER)
				v->ops->render(v, &r,
					       b - r.start / v->block_size, at);
			for (uint32_t k = 0;
			     r.kind == REGION_FILE && k < v->block_size; k++) {
				uint64_t in_file = r.node_offset +
						   b * v->block_size + k -
						   r.start;
				struct tree_info info;

				tree_get(image_tree(image, IMAGE_PART_SYSTEM),
					 r.node, &info);
				if (in_file < info.size)
					at[k] = (uint8_t)(1 + in_file % 251);
			}
		}
	}
	return disk;
}

static void partition_table(void **state)
{
	_cleanup_image_ struct image *image = make_disk();
	const uint8_t *entry = image->table.head + 0x1be;

	for (size_t i = 0; i < 3; i++, entry += 16) {
		const struct partition *p = &image->partitions[i];

		assert_int_equal(entry[4], 0x83);
		assert_int_equal(get_le32(entry + 8), p->start / SECTOR);
		assert_int_equal(get_le32(entry + 12), p->size / SECTOR);
	}
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(entry[i], 0);
	/* The last one takes the rest. */
	assert_int_equal(image->partitions[2].start + image->partitions[2].size,
			 DISK);
}

static void regions_tile(void **state)
{
	_cleanup_image_ struct image *image = make_disk();
	uint64_t data = 0;
	struct region r;

	for (uint64_t at = 0; at < image->size; at = r.end) {
		const struct partition *p;

		image_region_at(image, at, &r);
		assert_int_equal(r.start, at);
		assert_true(r.end > r.start && r.end <= image->size);
		if (r.kind != REGION_ZERO)
			data += r.end - r.start;
		if (r.node != TREE_NONE)
			assert_int_equal(r.part, IMAGE_PART_SYSTEM);
		if (r.partition == 0)
			continue;
		p = &image->partitions[r.partition - 1];
		assert_true(r.start >= p->start && r.end <= p->start + p->size);
	}
	assert_int_equal(data, image_data_size(image));
}

static void every_byte(void **state)
{
	_cleanup_image_ struct image *image = make_disk();
	_cleanup_free_ uint8_t *expected = expected_disk(image);
	_cleanup_free_ uint8_t *buf = malloc(image->size);

	assert_ok(image_pread(image, buf, image->size, 0, NULL));
	assert_memory_equal(buf, expected, image->size);
	for (int i = 0; i < 3000; i++) {
		size_t len = 1 + random_below(&seed, i % 2 ? 3000 : 100000);
		uint64_t at = random_below(&seed, image->size - len);
		uint64_t near = image->partitions[i % 3].start;

		/* Half of them around the start of a partition. */
		if (i % 4 < 2)
			at = near - random_below(&seed, min_u64(len, near));
		memset(buf, 0xee, len);
		assert_ok(image_pread(image, buf, len, at, NULL));
		assert_memory_equal(buf, expected + at, len);
	}
}

static void holes(void **state)
{
	_cleanup_image_ struct image *image = make_disk();
	_cleanup_free_ uint8_t *expected = expected_disk(image);
	uint64_t at = 0;

	while (at < image->size) {
		uint64_t data = image_next_data(image, at);
		uint64_t hole = image_next_hole(image, data);

		for (; at < data; at++)
			assert_int_equal(expected[at], 0);
		assert_true(hole > data || data == image->size);
		at = hole;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(partition_table),
		cmocka_unit_test(regions_tile),
		cmocka_unit_test(every_byte),
		cmocka_unit_test(holes),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
