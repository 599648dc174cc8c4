/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The geometry against libext2fs itself, for file systems of 256 KiB to 2 TiB:
 * where groups end, who has a superblock's copy, and that ordinals count the
 * blocks that are free for data, each once.
 */
#include "support.h"

#include <ext2fs/ext2fs.h>
#include <sys/mman.h>

#include "ext2/layout.h"

static uint64_t seed;

static const uint32_t sizes[] = {
	64,	  65,	    100,       1000,	   4608,
	32767,	  32768,    32769,     32768 + 60, 32768 + 600,
	43776,	  65536,    98304,     100000,	   131072,
	262144,	  1000000,  4194304,   4194305,	   4227072,
	16777216, 33554432, 100000000, 268435456,  (1u << 29) - 1,
	1u << 29,
};

static void describe(const struct geometry *g, uint32_t blocks, uint32_t inodes)
{
	print_message("# %u blocks, %u inodes: %u groups of %u blocks\n",
		      blocks, inodes, g->n_groups, g->blocks_per_group);
}

/* A file system of that size that libext2fs makes on its own. */
static ext2_filsys make_reference(uint32_t blocks, uint32_t inodes)
{
	struct ext2_super_block param = {
		.s_log_block_size = 2,
		.s_log_cluster_size = 2,
		.s_rev_level = EXT2_DYNAMIC_REV,
		.s_inode_size = 256,
		.s_inodes_count = inodes,
		.s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE,
		.s_feature_ro_compat = EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER |
				       EXT2_FEATURE_RO_COMPAT_LARGE_FILE,
	};
	_cleanup_close_ int fd = memfd_create("reference", MFD_CLOEXEC);
	ext2_filsys fs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ext2fs_blocks_count_set(&param, blocks);
	assert_int_equal(ext2fs_initialize(path, EXT2_FLAG_64BITS, &param,
					   unix_io_manager, &fs),
			 0);
	assert_int_equal(ext2fs_allocate_tables(fs), 0);
	return fs;
}

/* Every block of the group but those it has for data is in the bitmap. */
static void check_group(ext2_filsys fs, const struct geometry *geo, uint32_t g)
{
	const struct group *group = &geo->groups[g];
	uint32_t free_blocks = group_end(geo, g) - group->data;
	int super = geometry_has_super(g);

	assert_int_equal(group->start, ext2fs_group_first_block2(fs, g));
	assert_int_equal(group_end(geo, g),
			 ext2fs_group_last_block2(fs, g) + 1);
	assert_int_equal(super, ext2fs_bg_has_super(fs, (int)g) != 0);
	assert_int_equal(group->block_bitmap, ext2fs_block_bitmap_loc(fs, g));
	assert_int_equal(group->inode_bitmap, ext2fs_inode_bitmap_loc(fs, g));
	assert_int_equal(group->inode_table, ext2fs_inode_table_loc(fs, g));
	assert_int_equal(group->data - group->start,
			 (super ? 1 + geo->desc_blocks : 0) + 2 +
				 geo->table_blocks);
	assert_int_equal(group->used_dirs, 0);
	for (uint32_t b = group->start; b < group->data; b++)
		assert_true(ext2fs_test_block_bitmap2(fs->block_map, b));
	if (free_blocks > 0) {
		assert_false(
			ext2fs_test_block_bitmap2(fs->block_map, group->data));
		assert_int_equal(
			ext2fs_test_block_bitmap_range2(
				fs->block_map, group->data, (int)free_blocks),
			1);
	}
}

static void check_against_reference(const struct geometry *geo, uint32_t inodes,
				    uint32_t blocks)
{
	ext2_filsys fs = make_reference(blocks, inodes);
	uint32_t step = geo->n_groups > 600 ? geo->n_groups / 300 : 1;

	assert_int_equal(geo->blocks, ext2fs_blocks_count(fs->super));
	assert_int_equal(geo->blocks_per_group, fs->super->s_blocks_per_group);
	assert_int_equal(geo->inodes_per_group, fs->super->s_inodes_per_group);
	assert_int_equal(geo->n_groups, fs->group_desc_count);
	assert_int_equal(geo->desc_blocks, fs->desc_blocks);
	for (uint32_t g = 0; g < geo->n_groups; g += step)
		check_group(fs, geo, g);
	for (uint32_t g = geo->n_groups > 9 ? geo->n_groups - 9 : 0;
	     g < geo->n_groups; g++)
		check_group(fs, geo, g);
	ext2fs_free(fs);
}

/* Ordinals 0 ... usable - 1 are the groups' free blocks in their order. */
static void check_ordinals(const struct geometry *geo)
{
	uint32_t next = 0;

	for (uint32_t g = 0; g < geo->n_groups; g++) {
		const struct group *group = &geo->groups[g];
		uint32_t n = group_end(geo, g) - group->data;

		assert_int_equal(group->first_ordinal, next);
		if (n == 0)
			continue;
		assert_int_equal(geometry_block(geo, next), group->data);
		assert_int_equal(geometry_block(geo, next + n - 1),
				 group_end(geo, g) - 1);
		next += n;
	}
	assert_int_equal(next, geo->usable);
}

static void check_samples(const struct geometry *geo)
{
	for (int i = 0; i < 200 && geo->usable > 1; i++) {
		uint32_t a = (uint32_t)random_below(&seed, geo->usable - 1);
		uint32_t block = geometry_block(geo, a);
		uint32_t g = block / geo->blocks_per_group;
		const struct group *group = &geo->groups[g];

		assert_true(block < geo->blocks);
		assert_true(block >= group->data);
		assert_int_equal(group->first_ordinal + block - group->data, a);
		assert_true(geometry_block(geo, a + 1) > block);
	}
}

static void check(uint32_t blocks, uint32_t inodes)
{
	struct geometry geo;
	int r = geometry_init(&geo, blocks, inodes, NULL);

	if (r == -ENOSPC)
		return;
	assert_ok(r);
	if (geo.blocks > blocks ||
	    geo.blocks + 2000u + geo.table_blocks < blocks)
		describe(&geo, blocks, inodes);
	assert_true(geo.blocks <= blocks);
	assert_true((uint64_t)geo.inodes_per_group * geo.n_groups >= inodes);
	assert_int_equal(geo.inodes_per_group % 16, 0);
	assert_true(geo.inodes_per_group <= 32768);
	check_ordinals(&geo);
	check_samples(&geo);
	check_against_reference(&geo, inodes, blocks);
	geometry_release(&geo);
	assert_null(geo.groups);
}

static void usual_sizes(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct geometry geo;

		check(sizes[i], sizes[i] / 4 + 11);
		check(sizes[i], 27);
		assert_ok(geometry_init(&geo, sizes[i], 27, NULL));
		geometry_release(&geo);
	}
}

static void random_sizes(void **state)
{
	for (int i = 0; i < 150; i++) {
		unsigned bits = 6 + (unsigned)random_below(&seed, 18);
		uint32_t blocks = (1u << bits) +
				  (uint32_t)random_below(&seed, 1u << bits);

		check(blocks,
		      12 + (uint32_t)random_below(&seed, (uint64_t)blocks * 2));
	}
}

/* More inodes than fit into groups of the usual size. */
static void many_inodes(void **state)
{
	for (uint32_t i = 1; i < 16; i++) {
		check(9000 * i, 100000 * i);
		check(40000, 40000 * i);
	}
}

static void too_small(void **state)
{
	struct geometry geo;

	assert_int_equal(geometry_init(&geo, 0, 16, NULL), -ENOSPC);
	assert_int_equal(geometry_init(&geo, 1, 16, NULL), -ENOSPC);
	assert_int_equal(geometry_init(&geo, 64, 100000, NULL), -ENOSPC);
	assert_null(geo.groups);
	assert_int_equal(geometry_init(&geo, 1000, UINT32_MAX, NULL), -ENOSPC);
}

/* Of sparse_super, by hand. */
static void who_has_a_superblock(void **state)
{
	static const uint32_t with[] = { 0,   1,    3,	  5,	7,    9,    25,
					 27,  49,   81,	  125,	243,  343,  625,
					 729, 2187, 2401, 3125, 6561, 15625 };
	size_t k = 0;

	for (uint32_t g = 0; g < 16384; g++) {
		bool expected = k < ARRAY_SIZE(with) && with[k] == g;

		assert_int_equal(geometry_has_super(g), expected);
		k += expected;
	}
	assert_int_equal(k, ARRAY_SIZE(with));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual_sizes),
		cmocka_unit_test(random_sizes),
		cmocka_unit_test(many_inodes),
		cmocka_unit_test(too_small),
		cmocka_unit_test(who_has_a_superblock),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
