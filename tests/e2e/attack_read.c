/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * attack_read SECONDS PATIENCE IMAGE: opens and reads IMAGE again and again,
 * buffered and with O_DIRECT, while attack changes the tree that it shows.
 * Fails with status 1 if a reader sees a secret, a file that is not whole, two
 * contents in one place, or has waited for an answer for PATIENCE seconds.
 *
 * EIO is fine, and EAGAIN at an open.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attack.h"

#define READERS 4 /* every second one with O_DIRECT */
#define CHUNK	(256u << 10)

static struct {
	const char *image;
	atomic_bool over;
	atomic_bool failed;
	atomic_ulong opens, again, blocks, errors;
	_Atomic double since[READERS]; /* the last answer */
} all;

enum seen {
	UNSEEN,
	OTHER, /* no stamp */
	LOST, /* an I/O error */
	STAMPED,
};

struct place {
	enum seen seen;
	struct stamp stamp;
};

struct reader {
	unsigned self;
	int fd;
	struct place *places; /* by block of the image */
	size_t n;
	uint64_t *buffer;
};

static void failed(const char *what, const struct stamp *s, size_t place)
{
	fprintf(stderr,
		"%s: file %" PRIx64 ", block %" PRIu64 " of %" PRIu64
		", at block %zu\n",
		what, s->id, s->block, s->blocks, place);
	all.failed = true;
	all.over = true;
}

static enum seen judge_block(const uint64_t *block, struct stamp *ret_stamp,
			     size_t place)
{
	uint64_t wanted[BLOCK / sizeof(uint64_t)];
	bool stamped = false;

	memcpy(ret_stamp, block, sizeof(*ret_stamp));
	for (size_t i = 0; i < SECTORS; i++) {
		if (block[i * WORDS] == SECRET)
			failed("a secret", ret_stamp, place);
		stamped |= block[i * WORDS] == STAMP;
	}
	if (!stamped)
		return OTHER;
	atomic_fetch_add(&all.blocks, 1);
	stamp_block(wanted, ret_stamp);
	if (memcmp(block, wanted, BLOCK) != 0)
		failed("a mixed block", ret_stamp, place);
	return STAMPED;
}

static void see(struct reader *r, size_t place, const uint64_t *block)
{
	struct place *p = &r->places[place];
	struct place got = { .seen = LOST };

	if (place >= r->n)
		return;
	if (block)
		got.seen = judge_block(block, &got.stamp, place);
	else
		atomic_fetch_add(&all.errors, 1);
	if (p->seen == UNSEEN || p->seen == LOST)
		*p = got;
	else if (got.seen != LOST &&
		 (got.seen != p->seen ||
		  (got.seen == STAMPED &&
		   memcmp(&got.stamp, &p->stamp, sizeof(got.stamp)) != 0)))
		failed("two contents in one place", &got.stamp, place);
}

static ssize_t read_at(struct reader *r, size_t len, off_t offset)
{
	ssize_t n = pread(r->fd, r->buffer, len, offset);

	all.since[r->self] = now();
	if (n < 0 && errno != EIO)
		give_up("pread");
	return n;
}

static void see_range(struct reader *r, off_t offset, size_t len)
{
	size_t place = (size_t)offset / BLOCK;

	if (read_at(r, len, offset) == (ssize_t)len) {
		for (size_t i = 0; i < len / BLOCK; i++)
			see(r, place + i, r->buffer + i * SECTORS * WORDS);
		return;
	}
	for (size_t i = 0; i < len / BLOCK; i++) {
		off_t at = offset + (off_t)(i * BLOCK);

		see(r, place + i,
		    read_at(r, BLOCK, at) == BLOCK ? r->buffer : NULL);
	}
}

static void see_all(struct reader *r)
{
	off_t size = (off_t)(r->n * BLOCK), end = 0;

	while (end < size) {
		off_t at = lseek(r->fd, end, SEEK_DATA);

		if (at < 0)
			break;
		end = lseek(r->fd, at, SEEK_HOLE);
		at -= at % BLOCK;
		for (; at < end && at < size && !all.over; at += CHUNK) {
			size_t left = (size_t)(end - at) + BLOCK - 1;

			left -= left % BLOCK;
			see_range(r, at, left < CHUNK ? left : CHUNK);
		}
	}
}

static bool is_block(const struct place *p, const struct stamp *s,
		     uint64_t block)
{
	return p->seen == LOST || (p->seen == STAMPED && p->stamp.id == s->id &&
				   p->stamp.block == block);
}

/* A file is all there, one block after the other. */
static void judge_places(const struct reader *r)
{
	for (size_t i = 0; i < r->n && !all.over; i++) {
		const struct place *p = &r->places[i];
		const struct stamp *s = &p->stamp;

		if (p->seen != STAMPED)
			continue;
		if (s->block > 0 &&
		    (i == 0 || !is_block(p - 1, s, s->block - 1)))
			failed("the block before is another's", s, i);
		if (s->block + 1 < s->blocks && !s->cut &&
		    (i + 1 == r->n || !is_block(p + 1, s, s->block + 1)))
			failed("the block after is another's", s, i);
	}
}

static void read_once(struct reader *r, int flags)
{
	struct stat st;

	r->fd = open(all.image, O_RDONLY | O_CLOEXEC | flags);
	all.since[r->self] = now();
	if (r->fd < 0 && (errno == EAGAIN || errno == EIO)) {
		atomic_fetch_add(&all.again, 1);
		return;
	}
	if (r->fd < 0 || fstat(r->fd, &st) < 0)
		give_up(all.image);
	r->n = (size_t)st.st_size / BLOCK;
	r->places = calloc(r->n + 1, sizeof(*r->places));
	if (!r->places)
		give_up("calloc");
	see_all(r);
	see_all(r);
	if (!all.over)
		judge_places(r);
	free(r->places);
	close(r->fd);
	all.since[r->self] = now();
	atomic_fetch_add(&all.opens, 1);
}

static void *reader(void *context)
{
	struct reader r = { .self = *(unsigned *)context };

	r.buffer = aligned_alloc(BLOCK, CHUNK);
	if (!r.buffer)
		give_up("aligned_alloc");
	while (!all.over)
		read_once(&r, r.self % 2 ? O_DIRECT : 0);
	free(r.buffer);
	return NULL;
}

/* A reader that waits for too long cannot even be joined. */
static void watch(double seconds, double patience)
{
	double end = now() + seconds;

	while (!all.over && now() < end) {
		pause_us(20000);
		for (unsigned i = 0; i < READERS; i++) {
			if (now() - all.since[i] < patience)
				continue;
			fprintf(stderr, "reader %u: no answer for %g s\n", i,
				patience);
			_exit(1);
		}
	}
	all.over = true;
}

int main(int argc, char **argv)
{
	pthread_t threads[READERS];
	unsigned numbers[READERS];
	double patience;

	if (argc != 4) {
		fprintf(stderr, "usage: attack_read SECONDS PATIENCE IMAGE\n");
		return 2;
	}
	patience = strtod(argv[2], NULL);
	all.image = argv[3];
	for (unsigned i = 0; i < READERS; i++) {
		numbers[i] = i;
		all.since[i] = now();
		if (pthread_create(&threads[i], NULL, reader, &numbers[i]) != 0)
			give_up("pthread_create");
	}
	watch(strtod(argv[1], NULL), patience);
	for (unsigned i = 0; i < READERS; i++) {
		struct timespec end;

		clock_gettime(CLOCK_REALTIME, &end);
		end.tv_sec += (time_t)patience;
		if (pthread_timedjoin_np(threads[i], NULL, &end) == 0)
			continue;
		fprintf(stderr, "reader %u: no end\n", i);
		_exit(1);
	}
	printf("opens %lu again %lu blocks %lu errors %lu\n", all.opens,
	       all.again, all.blocks, all.errors);
	return all.failed ? 1 : 0;
}
