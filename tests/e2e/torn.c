/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * torn SECONDS SEED SRC STAGE IMAGE: changes files below SRC as fast as it can
 * and reads IMAGE, the disk that shows SRC, all the time. Fails with status 1
 * if a reader ever sees bytes of two moments together, and prints what it read.
 *
 * Every sector of every file tells whose it is: file, block, version, and a
 * sum over these, from which its other bytes follow. A writer changes one file
 * at a time, each file has one writer, and each write is a block. So at any
 * one moment a file is of one version throughout; or, while it is overwritten
 * in place, of the next one up to some block and of the last one from there on.
 * STAGE is on SRC's file system; new contents are made there and renamed, and
 * further names of files come and go there. Some writers set the times back
 * that a file had before, and modes change without any writing.
 *
 * Readers take I/O errors (the file has changed) and EAGAIN (it changes all the
 * time) as they come; writers pause now and then, or nobody would get a disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define BLOCK	4096u
#define SECTORS 8
#define WORDS	64 /* of a sector */
#define CHUNK	(256u << 10)

#define FILES	30
#define BLOCKS	40 /* of a file, at most */
#define WRITERS 2
#define READERS 4 /* every second one with O_DIRECT */
#define DECOY	UINT64_C(1000) /* a file outside, that links lead to */

#define MAGIC UINT64_C(0x6b636f6c62736874) /* no metadata looks like that */

enum word {
	W_MAGIC,
	W_FILE,
	W_BLOCK,
	W_VERSION,
	W_SECTOR,
	W_SUM,
	W_REST
};

static struct {
	const char *src, *stage, *image;
	atomic_bool writing; /* or pausing */
	atomic_bool over;
	atomic_bool failed;
	uint64_t seed;
	atomic_ulong changes, opens, again, files, blocks, errors;
} all;

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= UINT64_C(0x7fb5d329728ea185);
	x ^= x >> 27;
	x *= UINT64_C(0x81dadef4bc2dd44d);
	return x ^ x >> 33;
}

static uint64_t dice(uint64_t *state, uint64_t sides)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	return mix(*state) % sides;
}

static void pause_us(uint64_t us)
{
	struct timespec t = { (time_t)(us / 1000000),
			      (long)(us % 1000000) * 1000 };

	nanosleep(&t, NULL);
}

static void give_up(const char *what)
{
	perror(what);
	exit(2);
}

/* ---- stamps ---- */

static uint64_t sector_sum(const uint64_t *sector)
{
	uint64_t sum = 0;

	for (int i = W_MAGIC; i < W_SUM; i++)
		sum = mix(sum ^ sector[i]);
	return sum;
}

static void block_stamp(uint64_t *block, uint64_t file, uint64_t number,
			uint64_t version)
{
	for (uint64_t i = 0; i < SECTORS; i++, block += WORDS) {
		const uint64_t stamp[] = { MAGIC, file, number, version, i };

		memcpy(block, stamp, sizeof(stamp));
		block[W_SUM] = sector_sum(block);
		for (uint64_t j = W_REST; j < WORDS; j++)
			block[j] = block[W_SUM] + j;
	}
}

/* One of ours, at least in part? */
static bool block_is_stamped(const uint64_t *block)
{
	for (int i = 0; i < SECTORS; i++)
		if (block[i * WORDS] == MAGIC)
			return true;
	return false;
}

static bool block_is_whole(const uint64_t *block)
{
	uint64_t wanted[BLOCK / sizeof(uint64_t)];

	block_stamp(wanted, block[W_FILE], block[W_BLOCK], block[W_VERSION]);
	return memcmp(block, wanted, BLOCK) == 0;
}

/* ---- writers ---- */

struct file {
	uint64_t number;
	uint64_t version;
	uint64_t blocks; /* 0: it is not there */
	unsigned place; /* of the directories it may be in */
};

static const char *const places[] = { "kernels", "one", "two" };

static bool is_kernel(const struct file *file)
{
	return file->number % 3 == 0;
}

static void path_of(const struct file *file, char path[4096])
{
	const char *place = places[is_kernel(file) ? 0 : 1 + file->place];

	snprintf(path, 4096, "%s/%s/%" PRIu64, all.src, place, file->number);
}

static void write_blocks(int fd, const struct file *file, uint64_t first,
			 uint64_t end)
{
	uint64_t block[BLOCK / sizeof(uint64_t)];

	for (uint64_t i = first; i < end; i++) {
		block_stamp(block, file->number, i, file->version);
		if (pwrite(fd, block, BLOCK, (off_t)(i * BLOCK)) != BLOCK)
			give_up("pwrite");
	}
}

static int open_or_give_up(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		give_up(path);
	return fd;
}

/* The lowest bit says that it is written over the one before. */
static void next_version(struct file *file, bool over)
{
	file->version = (file->version / 2 + 1) * 2 + over;
}

/* New content under the old name, or where there was none. */
static void change_replace(struct file *file, uint64_t *state)
{
	char path[4096], new[4096];
	int fd;

	path_of(file, path);
	snprintf(new, sizeof(new), "%s/%" PRIu64, all.stage, file->number);
	next_version(file, false);
	file->blocks = 1 + dice(state, BLOCKS);
	fd = open_or_give_up(new, O_CREAT | O_TRUNC | O_WRONLY);
	write_blocks(fd, file, 0, file->blocks);
	close(fd);
	if (rename(new, path) < 0)
		give_up(path);
}

static void change_rewrite(struct file *file, uint64_t *state)
{
	char path[4096];
	int fd;

	path_of(file, path);
	next_version(file, false);
	file->blocks = 1 + dice(state, BLOCKS);
	fd = open_or_give_up(path, O_TRUNC | O_WRONLY);
	write_blocks(fd, file, 0, file->blocks);
	close(fd);
}

static void change_overwrite(struct file *file, uint64_t *state)
{
	char path[4096];
	int fd;

	path_of(file, path);
	next_version(file, true);
	fd = open_or_give_up(path, O_WRONLY);
	write_blocks(fd, file, 0, file->blocks);
	close(fd);
}

/* Through whichever name: its times are as before, when it is over. */
static void overwrite_in_secret(struct file *file, const char *name)
{
	struct stat st;
	int fd = open_or_give_up(name, O_WRONLY);

	if (fstat(fd, &st) < 0)
		give_up(name);
	next_version(file, true);
	write_blocks(fd, file, 0, file->blocks);
	if (futimens(fd, (struct timespec[]){ st.st_atim, st.st_mtim }) < 0)
		give_up(name);
	close(fd);
}

static void change_in_secret(struct file *file, uint64_t *state)
{
	char path[4096];

	path_of(file, path);
	overwrite_in_secret(file, path);
}

/* The times are set back once for each block, and not only in the end. */
static void change_with_old_times(struct file *file, uint64_t *state)
{
	char path[4096];
	struct stat st;
	int fd;

	path_of(file, path);
	fd = open_or_give_up(path, O_WRONLY);
	if (fstat(fd, &st) < 0)
		give_up(path);
	next_version(file, true);
	for (uint64_t i = 0; i < file->blocks; i++) {
		write_blocks(fd, file, i, i + 1);
		if (futimens(fd,
			     (struct timespec[]){ st.st_atim, st.st_mtim }) < 0)
			give_up(path);
	}
	close(fd);
}

static void stage_name(const struct file *file, char name[4096])
{
	snprintf(name, 4096, "%s/%" PRIu64 ".link", all.stage, file->number);
}

static void change_names(struct file *file, uint64_t *state)
{
	char path[4096], name[4096];

	path_of(file, path);
	stage_name(file, name);
	if (link(path, name) < 0)
		give_up(name);
	if (dice(state, 2))
		pause_us(dice(state, 3000));
	if (unlink(name) < 0)
		give_up(name);
}

/* By a name that no directory of the tree has. */
static void change_from_elsewhere(struct file *file, uint64_t *state)
{
	char path[4096], name[4096];

	path_of(file, path);
	stage_name(file, name);
	if (link(path, name) < 0)
		give_up(name);
	overwrite_in_secret(file, name);
	if (unlink(name) < 0)
		give_up(name);
}

static void change_attributes(struct file *file, uint64_t *state)
{
	char path[4096];

	path_of(file, path);
	if (chmod(path, dice(state, 2) ? 0644 : 0600) < 0)
		give_up(path);
}

static void change_append(struct file *file, uint64_t *state)
{
	uint64_t old = file->blocks;
	char path[4096];
	int fd;

	path_of(file, path);
	file->blocks += dice(state, BLOCKS + 1 - file->blocks);
	fd = open_or_give_up(path, O_WRONLY);
	write_blocks(fd, file, old, file->blocks);
	close(fd);
}

static void change_cut(struct file *file, uint64_t *state)
{
	char path[4096];

	path_of(file, path);
	file->blocks = 1 + dice(state, file->blocks);
	if (truncate(path, (off_t)(file->blocks * BLOCK)) < 0)
		give_up(path);
}

static void change_unlink(struct file *file, uint64_t *state)
{
	char path[4096];

	path_of(file, path);
	if (unlink(path) < 0)
		give_up(path);
	file->blocks = 0;
}

/* For a link to what is not in the tree, and back. */
static void change_link(struct file *file, uint64_t *state)
{
	char path[4096], decoy[4096];

	change_unlink(file, state);
	path_of(file, path);
	snprintf(decoy, sizeof(decoy), "%s/decoy", all.stage);
	if (symlink(decoy, path) < 0)
		give_up(path);
}

static void change_move(struct file *file, uint64_t *state)
{
	char old[4096], new[4096];

	path_of(file, old);
	file->place = !file->place;
	path_of(file, new);
	if (rename(old, new) < 0)
		give_up(new);
}

typedef void change_fn(struct file *, uint64_t *);

/*
 * A link in kernels/ would show what it leads to. What kernels/ has is kept
 * open and watched, so that it may be written by a name elsewhere as well; what
 * other directories have is known by their names.
 */
static change_fn *const kernel_changes[] = {
	change_replace,	  change_replace,	 change_unlink,
	change_names,	  change_names,		 change_attributes,
	change_in_secret, change_with_old_times, change_from_elsewhere,
};
static change_fn *const changes[] = {
	change_replace,
	change_replace,
	change_unlink,
	change_link,
	change_rewrite,
	change_append,
	change_cut,
	change_move,
	change_overwrite,
	change_names,
	change_attributes,
	change_in_secret,
	change_with_old_times,
};

static void change(struct file *file, uint64_t *state)
{
	if (file->blocks == 0)
		change_replace(file, state);
	else if (is_kernel(file))
		kernel_changes[dice(state, ARRAY_SIZE(kernel_changes))](file,
									state);
	else
		changes[dice(state, ARRAY_SIZE(changes))](file, state);
	atomic_fetch_add(&all.changes, 1);
}

static void *writer(void *context)
{
	unsigned self = *(unsigned *)context;
	uint64_t state = mix(all.seed + self);
	struct file files[FILES / WRITERS] = { 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
		files[i].number = i * WRITERS + self;
		change(&files[i], &state);
	}
	while (!all.over) {
		if (all.writing)
			change(&files[dice(&state, ARRAY_SIZE(files))], &state);
		else
			pause_us(100);
	}
	return NULL;
}

/* ---- readers ---- */

/* What one handle has shown of one file. */
struct view {
	off_t base; /* where its block 0 is or would be */
	bool any;
	uint64_t versions[BLOCKS]; /* 0: not seen */
};

struct reader {
	uint64_t state;
	int fd;
	struct view views[FILES];
	bool *lost; /* by block of the image: an I/O error */
	size_t n_lost;
	uint64_t *buffer;
};

static void failed(const char *what, const uint64_t *block, off_t offset)
{
	fprintf(stderr,
		"%s: file %" PRIu64 ", block %" PRIu64 ", version %" PRIu64
		", at %jd\n",
		what, block[W_FILE], block[W_BLOCK], block[W_VERSION],
		(intmax_t)offset);
	all.failed = true;
	all.over = true;
}

static void failed_mixed(const uint64_t *block, off_t offset)
{
	uint64_t wanted[BLOCK / sizeof(uint64_t)];

	failed("a mixed block", block, offset);
	block_stamp(wanted, block[W_FILE], block[W_BLOCK], block[W_VERSION]);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		bool first = i == 0 || block[i - 1] == wanted[i - 1];

		if (first && block[i] != wanted[i])
			fprintf(stderr, "  from byte %zu on: %" PRIx64 "\n",
				i * 8, block[i]);
	}
}

static void see_block(struct reader *r, const uint64_t *block, off_t offset)
{
	struct view *view;
	off_t base;

	if (!block_is_stamped(block))
		return;
	atomic_fetch_add(&all.blocks, 1);
	if (!block_is_whole(block)) {
		failed_mixed(block, offset);
		return;
	}
	if (block[W_FILE] >= FILES || block[W_BLOCK] >= BLOCKS) {
		failed("a block from outside", block, offset);
		return;
	}
	view = &r->views[block[W_FILE]];
	base = offset - (off_t)(block[W_BLOCK] * BLOCK);
	if (view->any && view->base != base)
		failed("a file in two places", block, offset);
	if (!view->any)
		atomic_fetch_add(&all.files, 1);
	view->any = true;
	view->base = base;
	view->versions[block[W_BLOCK]] = block[W_VERSION];
}

/* Each block by itself, when not all of them can be read. */
static void see_singly(struct reader *r, off_t offset, size_t len)
{
	for (size_t i = 0; i < len; i += BLOCK) {
		size_t place = ((size_t)offset + i) / BLOCK;

		if (pread(r->fd, r->buffer, BLOCK, offset + (off_t)i) > 0) {
			see_block(r, r->buffer, offset + (off_t)i);
		} else if (errno == EIO) {
			atomic_fetch_add(&all.errors, 1);
			if (place < r->n_lost)
				r->lost[place] = true;
		} else {
			give_up("pread");
		}
	}
}

static void see_range(struct reader *r, off_t offset, size_t len)
{
	ssize_t n = pread(r->fd, r->buffer, len, offset);

	if (n < 0 && errno != EIO)
		give_up("pread");
	if (n < (ssize_t)len) {
		see_singly(r, offset, len);
		return;
	}
	for (size_t i = 0; i < len; i += BLOCK)
		see_block(r, r->buffer + i / sizeof(uint64_t),
			  offset + (off_t)i);
}

/* Half of the chunks on the way there, the others on the way back. */
static void see_extents(struct reader *r, bool odd)
{
	off_t begin, end = 0;

	for (;;) {
		begin = lseek(r->fd, end, SEEK_DATA);
		if (begin < 0)
			break;
		end = lseek(r->fd, begin, SEEK_HOLE);
		begin -= begin % BLOCK;
		for (off_t at = begin; at < end && !all.over; at += CHUNK) {
			size_t left = (size_t)(end - at + BLOCK - 1);

			if ((at / CHUNK % 2 == 1) == odd)
				see_range(r, at,
					  left < CHUNK ? left - left % BLOCK
						       : CHUNK);
		}
	}
}

/* Nothing but an I/O error may stand between two blocks of a file. */
static void judge_gaps(const struct reader *r, uint64_t file, uint64_t last)
{
	const struct view *view = &r->views[file];

	for (uint64_t i = 0; i < last; i++) {
		size_t place = (size_t)view->base / BLOCK + i;
		const uint64_t shown[] = { MAGIC, file, i, 0 };

		if (!view->versions[i] && !r->lost[place])
			failed("a block is missing", shown,
			       view->base + (off_t)(i * BLOCK));
	}
}

/* Whether a block may have this version behind one that has the other. */
static bool may_follow(uint64_t version, uint64_t before)
{
	bool over = before & 1;

	return version == before || (over && version / 2 + 1 == before / 2);
}

static void judge_view(const struct reader *r, uint64_t file)
{
	const struct view *view = &r->views[file];
	uint64_t before = 0, last = 0;
	bool changed = false;

	for (uint64_t i = 0; i < BLOCKS; i++) {
		const uint64_t shown[] = { MAGIC, file, i, view->versions[i] };

		if (!view->versions[i])
			continue;
		last = i;
		before = before ? before : view->versions[i];
		if ((changed && view->versions[i] != before) ||
		    !may_follow(view->versions[i], before))
			failed("versions of two moments", shown,
			       view->base + (off_t)(i * BLOCK));
		changed |= view->versions[i] != before;
		before = view->versions[i];
	}
	if (view->any)
		judge_gaps(r, file, last);
}

static void read_once(struct reader *r, int flags)
{
	struct stat st;

	r->fd = open(all.image, O_RDONLY | O_CLOEXEC | flags);
	if (r->fd < 0 && errno == EAGAIN) {
		atomic_fetch_add(&all.again, 1);
		return;
	}
	if (r->fd < 0 || fstat(r->fd, &st) < 0)
		give_up(all.image);
	atomic_fetch_add(&all.opens, 1);
	memset(r->views, 0, sizeof(r->views));
	r->n_lost = (size_t)st.st_size / BLOCK;
	r->lost = calloc(r->n_lost, sizeof(*r->lost));
	if (!r->lost)
		give_up("calloc");
	see_extents(r, dice(&r->state, 2));
	pause_us(dice(&r->state, 30000));
	see_extents(r, false);
	see_extents(r, true);
	for (uint64_t i = 0; i < FILES && !all.over; i++)
		judge_view(r, i);
	free(r->lost);
	close(r->fd);
}

static void *reader(void *context)
{
	unsigned self = *(unsigned *)context;
	struct reader r = { .state = mix(all.seed ^ ~self) };

	r.buffer = aligned_alloc(BLOCK, CHUNK);
	if (!r.buffer)
		give_up("aligned_alloc");
	while (!all.over)
		read_once(&r, self % 2 ? O_DIRECT : 0);
	free(r.buffer);
	return NULL;
}

/* ---- all of them ---- */

static void prepare(void)
{
	struct file decoy = { .number = DECOY, .version = 2 };
	char path[4096];
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(path, sizeof(path), "%s/%s", all.src, places[i]);
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			give_up(path);
	}
	snprintf(path, sizeof(path), "%s/decoy", all.stage);
	fd = open_or_give_up(path, O_CREAT | O_WRONLY);
	write_blocks(fd, &decoy, 0, BLOCKS);
	close(fd);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Lets writers write and pause until the time is over. */
static void conduct(double seconds)
{
	uint64_t state = mix(all.seed);
	double end = now() + seconds;

	while (!all.over && now() < end) {
		all.writing = true;
		pause_us(1000 + dice(&state, 15000));
		all.writing = false;
		pause_us(dice(&state, 40000));
	}
	all.over = true;
}

int main(int argc, char **argv)
{
	pthread_t threads[WRITERS + READERS];
	unsigned numbers[WRITERS + READERS];

	if (argc != 6) {
		fprintf(stderr, "usage: torn SECONDS SEED SRC STAGE IMAGE\n");
		return 2;
	}
	all.seed = strtoull(argv[2], NULL, 10);
	all.src = argv[3];
	all.stage = argv[4];
	all.image = argv[5];
	prepare();
	for (unsigned i = 0; i < WRITERS + READERS; i++) {
		bool writes = i < WRITERS;

		numbers[i] = writes ? i : i - WRITERS;
		if (pthread_create(&threads[i], NULL, writes ? writer : reader,
				   &numbers[i]) != 0)
			give_up("pthread_create");
	}
	conduct(strtod(argv[1], NULL));
	for (unsigned i = 0; i < WRITERS + READERS; i++)
		pthread_join(threads[i], NULL);
	printf("changes %lu opens %lu again %lu files %lu blocks %lu "
	       "errors %lu\n",
	       all.changes, all.opens, all.again, all.files, all.blocks,
	       all.errors);
	return all.failed ? 1 : 0;
}
