/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Many writers and readers of one overlay, and one whose directory is full. */
#include "support_overlay.h"

#define SECTORS 8u /* of a block, each a thread's own */

static uint64_t seed;

static uint8_t mark(uint64_t block, unsigned sector)
{
	return (uint8_t)(1 + (block * 7 + sector * 31) % 255);
}

/* ---- writers of one block ---- */

/* Its own sector of every block, in an order of its own. */
static void *write_sectors(void *context)
{
	struct worker *w = context;
	uint64_t blocks = image_size(w->disk->image) / BLOCK;
	uint64_t step = 2 * random_below(&w->seed, blocks / 2) + 1;
	uint64_t block = random_below(&w->seed, blocks);

	for (uint64_t i = 0; i < blocks; i++) {
		uint8_t buf[512];
		int r;

		memset(buf, mark(block, w->number), sizeof(buf));
		r = overlay_pwrite(w->disk->overlay, buf, sizeof(buf),
				   block * BLOCK + w->number * 512, NULL);
		if (r < 0)
			w->error = r;
		/* An odd step visits all of a power of two. */
		block = (block + step) % blocks;
	}
	return NULL;
}

static void sectors_of_one_block(void **state)
{
	const struct temp *t = *state;

	for (int round = 0; round < 4; round++) {
		_cleanup_disk_ struct disk d;
		struct worker workers[SECTORS];
		uint8_t buf[BLOCK];

		disk_init(&d, MIB(8), t->fd, NULL);
		for (unsigned i = 0; i < SECTORS; i++)
			workers[i] = (struct worker){
				.disk = &d,
				.number = i,
				.seed = random_next(&seed),
			};
		run_workers(workers, SECTORS, write_sectors);
		for (uint64_t b = 0; b < MIB(8) / BLOCK; b++) {
			assert_ok(overlay_pread(d.overlay, buf, BLOCK,
						b * BLOCK, NULL));
			for (unsigned i = 0; i < BLOCK; i++)
				if (buf[i] != mark(b, i / 512))
					fail_msg("block %u, byte %u is lost",
						 (unsigned)b, i);
		}
		assert_int_equal(overlay_data_size(d.overlay), MIB(8));
	}
}

/* All but one sector of each block must stay the image's. */
static void *write_and_read_whole(void *context)
{
	struct worker *w = context;
	struct image *image = w->disk->image;
	uint64_t blocks = image_size(image) / BLOCK;

	for (int i = 0; i < 3000; i++) {
		uint64_t at = random_below(&w->seed, blocks) * BLOCK;
		uint8_t buf[BLOCK], base[BLOCK];
		int r;

		memset(buf, 0xff, 512);
		if (w->number % 2)
			r = overlay_pwrite(w->disk->overlay, buf, 512,
					   at + 1024, NULL);
		else
			r = overlay_pread(w->disk->overlay, buf, BLOCK, at,
					  NULL);
		if (r == 0)
			r = image_pread(image, base, BLOCK, at, NULL);
		if (r < 0)
			w->error = r;
		else if (!(w->number % 2) &&
			 (memcmp(buf, base, 1024) != 0 ||
			  memcmp(buf + 1536, base + 1536, BLOCK - 1536) != 0))
			w->error = -EILSEQ;
	}
	return NULL;
}

static void readers_beside_writers(void **state)
{
	const struct temp *t = *state;
	_cleanup_disk_ struct disk d;
	struct worker workers[8];

	disk_init(&d, MIB(8), t->fd, NULL);
	for (unsigned i = 0; i < 8; i++)
		workers[i] = (struct worker){ .disk = &d,
					      .number = i,
					      .seed = random_next(&seed) };
	run_workers(workers, 8, write_and_read_whole);
}

/* ---- a read while its block is written for the first time ---- */

struct progress {
	atomic_bool done;
	atomic_uint block; /* being written */
};

static void *read_block_at_hand(void *context)
{
	struct worker *w = context;
	struct progress *p = w->context;

	while (!atomic_load(&p->done)) {
		uint64_t at = (uint64_t)atomic_load(&p->block) * BLOCK + 512;
		uint8_t buf[512];
		int r = overlay_pread(w->disk->overlay, buf, sizeof(buf), at,
				      NULL);

		if (r < 0)
			w->error = r;
		if (overlay_next_data(w->disk->overlay, at) < at ||
		    overlay_next_hole(w->disk->overlay, at) < at)
			w->error = -ERANGE;
	}
	return NULL;
}

static void *write_blocks_in_order(void *context)
{
	struct worker *w = context;
	struct progress *p = w->context;
	uint64_t blocks = image_size(w->disk->image) / BLOCK;

	for (unsigned b = 0; b < blocks; b++) {
		uint8_t buf[BLOCK] = { 0 };
		int r;

		atomic_store(&p->block, b);
		r = overlay_pwrite(w->disk->overlay, buf, BLOCK,
				   (uint64_t)b * BLOCK, NULL);
		if (r < 0)
			w->error = r;
	}
	atomic_store(&p->done, true);
	return NULL;
}

static void *read_or_write(void *context)
{
	struct worker *w = context;

	return w->number == 0 ? write_blocks_in_order(w)
			      : read_block_at_hand(w);
}

static void read_of_a_block_that_is_being_written(void **state)
{
	const struct temp *t = *state;

	for (int round = 0; round < 4; round++) {
		_cleanup_disk_ struct disk d;
		struct progress progress = { 0 };
		struct worker workers[3];

		disk_init(&d, MIB(64), t->fd, NULL);
		for (unsigned i = 0; i < 3; i++)
			workers[i] = (struct worker){ .disk = &d,
						      .number = i,
						      .context = &progress };
		run_workers(workers, 3, read_or_write);
	}
}

/* ---- the first write ---- */

/* All threads at once: one file, and no write is lost. */
static void *write_first(void *context)
{
	struct worker *w = context;
	uint8_t c = (uint8_t)(w->number + 1);

	w->error = overlay_pwrite(w->disk->overlay, &c, 1,
				  (uint64_t)w->number * 511, NULL);
	return NULL;
}

static void first_write_of_many(void **state)
{
	const struct temp *t = *state;

	for (int round = 0; round < 50; round++) {
		_cleanup_disk_ struct disk d;
		struct worker workers[16];

		disk_init(&d, MIB(6), t->fd, NULL);
		for (unsigned i = 0; i < 16; i++)
			workers[i] = (struct worker){ .disk = &d, .number = i };
		run_workers(workers, 16, write_first);
		for (unsigned i = 0; i < 16; i++) {
			uint8_t c;

			assert_ok(overlay_pread(d.overlay, &c, 1,
						(uint64_t)i * 511, NULL));
			assert_int_equal(c, i + 1);
		}
	}
}

/* ---- a full directory ---- */

/* Writes until there is no room. */
static int fill_up(struct disk *d, struct diag *diag)
{
	uint8_t buf[BLOCK], block[BLOCK], base[BLOCK];
	uint64_t at = MIB(1);
	int r;

	memset(block, 'w', sizeof(block));
	for (;; at += BLOCK) {
		CHECK(at < MIB(2));
		r = overlay_pwrite(d->overlay, block, BLOCK, at, diag);
		if (r < 0)
			break;
	}
	CHECK(r == -ENOSPC && at > MIB(1));
	CHECK(diag->path && strcmp(diag->path, "TMPDIR") == 0);
	/* What was not written reads as before, and what was stays. */
	CHECK(overlay_data_size(d->overlay) == at - MIB(1));
	CHECK(overlay_pread(d->overlay, buf, BLOCK, at, NULL) == 0);
	CHECK(image_pread(d->image, base, BLOCK, at, NULL) == 0);
	CHECK(memcmp(buf, base, BLOCK) == 0);
	CHECK(overlay_pwrite(d->overlay, "x", 1, at + 5, NULL) == -ENOSPC);
	CHECK(overlay_pwrite(d->overlay, "x", 1, MIB(1) + 5, NULL) == 0);
	block[5] = 'x';
	CHECK(overlay_pread(d->overlay, buf, BLOCK, MIB(1), NULL) == 0);
	CHECK(memcmp(buf, block, BLOCK) == 0);
	CHECK(overlay_flush(d->overlay, NULL) == 0);
	CHECK(overlay_next_hole(d->overlay, MIB(1)) >= at);
	return 0;
}

static int write_to_little_room(void *context)
{
	const struct temp *t = context;
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_disk_ struct disk d;
	_cleanup_close_ int fd = -1;

	CHECK(private_mounts());
	CHECK(mount("none", t->path, "tmpfs", 0, "size=64k") == 0);
	fd = open(t->path, O_RDONLY | O_DIRECTORY);
	disk_init(&d, MIB(8), fd, NULL);
	return fill_up(&d, &diag);
}

static void full_directory(void **state)
{
	struct temp *t = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(run_apart(write_to_little_room, t), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		temp_test(sectors_of_one_block),
		temp_test(readers_beside_writers),
		temp_test(read_of_a_block_that_is_being_written),
		temp_test(first_write_of_many),
		temp_test(full_directory),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
