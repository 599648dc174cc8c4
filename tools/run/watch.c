/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/deadline.h"
#include "boot_set.h"
#include "child.h"

#define TICK_MS 200
/* What changed is at rest once it has been the same for so long. */
#define REST_MS 1000
/* Where a look takes long, looking shall not be all that is done. */
#define SHARE 10

struct watch {
	const char *mount_dir;
	int fd;
	int64_t since; /* when `now` was first seen */
	struct boot_set *booted;
	struct boot_set *now;
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

/*
 * Compares what was booted with what is there now. A tree that keeps changing,
 * or cannot be shown, is looked at another time.
 */
static void poll_changes(struct watch *watch)
{
	_cleanup_boot_set_ struct boot_set *set = NULL;
	_cleanup_free_ char *since_last = NULL;
	_cleanup_free_ char *text = NULL;

	if (boot_set_read(&set, watch->mount_dir) < 0 ||
	    boot_set_difference(watch->booted, set, &text) < 0)
		return;
	if (watch->now && boot_set_difference(watch->now, set, &since_last) < 0)
		return;
	if (!text || !watch->now || since_last)
		watch->since = deadline_now_ms();
	boot_set_free(watch->now);
	watch->now = take_ptr(set);
	if (!text || deadline_now_ms() - watch->since < REST_MS ||
	    !boot_set_ready(watch->booted, watch->now))
		return;
	boot_set_free(watch->booted);
	watch->booted = take_ptr(watch->now);
	tell(watch->fd, text);
}

static void watch_run(struct watch *watch)
{
	/* From before the boot: what changes while it begins is a change. */
	while (boot_set_read(&watch->booted, watch->mount_dir) < 0)
		nap(TICK_MS);
	tell(watch->fd, "");
	for (;;) {
		int64_t start = deadline_now_ms();
		int64_t took;

		poll_changes(watch);
		took = deadline_now_ms() - start;
		nap(took * SHARE > TICK_MS ? took * SHARE : TICK_MS);
	}
}

int watch_start(struct child *ret_child, int *ret_fd, const char *mount_dir,
		const sigset_t *mask)
{
	struct watch watch = { .mount_dir = mount_dir };
	int ends[2];
	int r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	r = child_fork(ret_child, mask);
	if (r == 0) {
		close(ends[0]);
		watch.fd = ends[1];
		watch_run(&watch);
	}
	close(ends[1]);
	if (r < 0)
		close(ends[0]);
	else
		*ret_fd = ends[0];
	return r < 0 ? r : 0;
}
