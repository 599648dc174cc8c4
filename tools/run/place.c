/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "place.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "fs/mountpoint.h"
#include "imgcore/diag.h"
#include "leash.h"
#include "say.h"

/* How long dirdisk may take to unmount; it has patience with its own. */
#define DISK_PATIENCE_MS  8000
#define MOUNT_PATIENCE_MS 5000

static int make_below(const char *dir, char **ret_place)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *full = realpath(dir, NULL);

	if (!full)
		return -errno;
	if (asprintf(&path, "%s/dirdisk-run.XXXXXX",
		     strcmp(full, "/") == 0 ? "" : full) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(path))
		return -errno;
	*ret_place = take_ptr(path);
	return 0;
}

int place_make(char **ret_place, struct diag *diag)
{
	const char *const dirs[] = { getenv("XDG_RUNTIME_DIR"),
				     getenv("TMPDIR"), "/tmp" };
	int r = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (dirs[i] && *dirs[i])
			r = make_below(dirs[i], ret_place);
		if (r == 0)
			return 0;
	}
	return diag_set(
		diag, r, "/tmp",
		"no directory can be made there: %s; set TMPDIR to a place for it",
		strerror(-r));
}

static char *mark(const char *name, const char *place)
{
	char *text;

	return asprintf(&text, "%s=%s", name, place) < 0 ? NULL : text;
}

char *place_qemu_mark(const char *place)
{
	return mark("DIRDISK_PLACE", place);
}

char *place_disk_mark(const char *place)
{
	return mark("DIRDISK_SERVES", place);
}

static void pause_a_little(void)
{
	const struct timespec tick = { .tv_nsec = 5000000 };

	nanosleep(&tick, NULL);
}

/* Those who hold the disk first, then those who serve it. */
static void end_processes(const char *place)
{
	_cleanup_free_ char *qemu = place_qemu_mark(place);
	_cleanup_free_ char *disk = place_disk_mark(place);
	int64_t end = now_ms() + DISK_PATIENCE_MS;

	if (!qemu || !disk)
		return;
	leash_kill(qemu);
	leash_signal(disk, SIGTERM);
	while (leash_signal(disk, 0) && now_ms() < end)
		pause_a_little();
	leash_kill(disk);
}

int place_remove(const char *place, struct diag *diag)
{
	int64_t end = now_ms() + MOUNT_PATIENCE_MS;
	int r = 0;

	end_processes(place);
	/* A mount may still be on its way, by a helper that nobody can end. */
	while (rmdir(place) < 0) {
		if (errno == ENOENT)
			return 0;
		if (errno != EBUSY && errno != ENOTCONN)
			return diag_set(diag, -errno, place,
					"cannot be removed: %s; see what it is",
					strerror(errno));
		r = mountpoint_detach(place);
		if (now_ms() > end)
			return diag_set(
				diag, r < 0 ? r : -EBUSY, place,
				"cannot be unmounted; try fusermount3 -uz");
		if (r < 0)
			pause_a_little();
	}
	return 0;
}
