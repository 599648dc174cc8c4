/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "boots.h"
#include "child.h"
#include "fs/first_sector.h"
#include "keeper.h"
#include "options.h"
#include "say.h"

#define READY_TICK_MS 10
#define TICK_MS	      200
/* What changed is at rest once it has been the same for so long. */
#define REST_MS 1000
/* Where a look takes long, looking shall not be all that is done. */
#define SHARE 10

struct watch {
	const char *src;
	const char *place;
	int fd;
	uint64_t number; /* of the generation that was looked at */
	bool changing;
	int64_t since; /* when `now` was first seen */
	struct boots *booted;
	struct boots *now;
};

static void nap(int64_t ms)
{
	const struct timespec time = { .tv_sec = ms / 1000,
				       .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

/* In one piece, or not at all: a reader sees no half of it. */
static void tell(int fd, const char *text)
{
	char message[WATCH_TEXT_LEN] = { 0 };

	strncpy(message, text, sizeof(message) - 1);
	if (write(fd, message, strlen(message) + 1) < 0)
		_exit(1);
}

/* The newest generation's, which is brought up to date by that. */
static int read_number(const struct watch *watch, uint64_t *ret_number)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	char text[64] = "";
	ssize_t n;

	if (asprintf(&path, "%s/info/generation", watch->place) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = io_pread(fd, text, sizeof(text) - 1, 0);
	if (n < 0)
		return (int)n;
	return sscanf(text, "number: %" SCNu64, ret_number) == 1 ? 0 : -EIO;
}

/* Takes `boots` for what is there now, since now if it is new. */
static void take_boots(struct watch *watch, struct boots *boots)
{
	_cleanup_free_ char *text = NULL;

	if (watch->changing &&
	    boots_difference(watch->now, boots, &text) == 0 && !text) {
		boots_free(boots);
		return;
	}
	boots_free(watch->now);
	watch->now = boots;
	watch->since = now_ms();
}

/*
 * Whether a second look finds the same. The menu is read before the files are:
 * a kernel whose last bytes came in between would seem whole, and gone.
 */
static bool is_still(const struct watch *watch)
{
	_cleanup_boots_ struct boots *boots = NULL;
	_cleanup_free_ char *text = NULL;

	return boots_read(&boots, watch->src, watch->place) == 0 &&
	       boots_difference(watch->now, boots, &text) == 0 && !text;
}

/* What was booted last is not what is there. */
static void compare(struct watch *watch)
{
	_cleanup_free_ char *text = NULL;

	if (boots_difference(watch->booted, watch->now, &text) < 0)
		return;
	watch->changing = text;
	if (!text || now_ms() - watch->since < REST_MS ||
	    !boots_ready(watch->booted, watch->now) || !is_still(watch))
		return;
	boots_free(watch->booted);
	watch->booted = take_ptr(watch->now);
	watch->changing = false;
	tell(watch->fd, text);
}

static void look(struct watch *watch)
{
	struct boots *boots;
	uint64_t number;

	/* A tree that is not at rest, or cannot be shown: another time. */
	if (read_number(watch, &number) < 0 ||
	    (number == watch->number && !watch->changing) ||
	    boots_read(&boots, watch->src, watch->place) < 0)
		return;
	watch->number = number;
	take_boots(watch, boots);
	compare(watch);
}

static void watch_for_ever(struct watch *watch)
{
	for (;;) {
		int64_t start = now_ms();
		int64_t took;

		look(watch);
		took = now_ms() - start;
		nap(took * SHARE > TICK_MS ? took * SHARE : TICK_MS);
	}
}

/* From before the boot: what changes while it begins is a change. */
static void watch_begin(struct watch *watch)
{
	while (read_number(watch, &watch->number) < 0 ||
	       boots_read(&watch->booted, watch->src, watch->place) < 0)
		nap(TICK_MS);
}

static void watch_main(struct watch *watch, const char *disk, bool changes)
{
	while (first_sector_read(disk, NULL) < 0)
		nap(READY_TICK_MS);
	if (changes)
		watch_begin(watch);
	tell(watch->fd, "");
	if (changes)
		watch_for_ever(watch);
}

pid_t watch_start(const struct run_options *options, struct keeper *keeper,
		  const char *disk, const sigset_t *mask, int *ret_fd)
{
	struct watch watch = { .src = options->src, .place = keeper->place };
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = child_fork(mask);
	if (pid == 0) {
		/* Others wait for its end: our parent's, or ours with it. */
		keeper_forget(keeper);
		close(ends[0]);
		watch.fd = ends[1];
		watch_main(&watch, disk, options->watch);
		_exit(0);
	}
	close(ends[1]);
	if (pid < 0)
		close(ends[0]);
	else
		*ret_fd = ends[0];
	return pid;
}
