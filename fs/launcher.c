/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "launcher.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/quote.h"
#include "channel.h"
#include "exit_code.h"
#include "first_sector.h"
#include "imgcore/diag.h"
#include "options.h"
#include "readahead.h"
#include "words.h"

struct launcher {
	const struct options *options;
	int supervisor;
	bool terminal; /* standard error is one */
	bool shown; /* a line of progress stands there */
	time_t start;
};

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void show_progress(struct launcher *launcher, uint64_t entries)
{
	if (!launcher->terminal || seconds() - launcher->start < 1)
		return;
	fprintf(stderr, "\rdirdisk: %" PRIu64 " entries scanned", entries);
	fflush(stderr);
	launcher->shown = true;
}

static void hide_progress(struct launcher *launcher)
{
	if (launcher->shown)
		fputs("\r\033[K", stderr);
	launcher->shown = false;
}

static void say(struct launcher *launcher, const char *text)
{
	hide_progress(launcher);
	fprintf(stderr, "dirdisk: %s\n", text);
}

static int disk_path(const struct options *options, char **ret_path)
{
	const char *mnt = options->mnt;
	size_t len = strlen(mnt);

	while (len > 1 && mnt[len - 1] == '/')
		len--;
	if (asprintf(ret_path, "%.*s/%s", (int)len, mnt, options->name) < 0)
		return -ENOMEM;
	return 0;
}

static void print_command(const char *path)
{
	_cleanup_free_ char *file = words_qemu_file(path);
	_cleanup_free_ char *word = NULL;

	if (!isatty(STDOUT_FILENO) || !file)
		return;
	if (asprintf(&word, "file=%s", file) < 0) {
		word = NULL;
		return;
	}
	fputs("qemu-system-x86_64 -drive format=raw,", stdout);
	quote_word(stdout, word);
	puts(" -m 1G");
	fflush(stdout);
}

/*
 * The disk could not be seen. If the supervisor ended it, by a signal, that is
 * the reason, and has been said already; otherwise ours is.
 */
static int last_words(struct launcher *launcher, const char *text)
{
	struct message message;

	while (channel_receive(launcher->supervisor, 0, &message, NULL) > 0) {
		if (message.kind == MESSAGE_FAIL) {
			say(launcher, message.text);
			return message.code;
		}
	}
	say(launcher, text);
	return EXIT_RUN;
}

static int see_disk(struct launcher *launcher)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *text = NULL;
	struct diag diag = DIAG_INIT;
	_cleanup_close_ int fd = -1;
	int r = disk_path(launcher->options, &path);

	if (r == 0)
		r = first_sector_read(path, &fd);
	if (r == 0) {
		readahead_raise(fd);
		/* Whoever is told that the disk is there may unmount it. */
		base_closep(&fd);
		fd = -1;
		channel_send(launcher->supervisor, MESSAGE_SEEN, 0, NULL, -1);
		print_command(path);
		return EXIT_OK;
	}
	diag_set(&diag, r, path, "mounted, but cannot be read: %s",
		 strerror(-r));
	text = diag_format(&diag, r);
	diag_clear(&diag);
	channel_send(launcher->supervisor, MESSAGE_FAIL, EXIT_RUN, NULL, -1);
	return last_words(launcher, text ? text : "out of memory");
}

int launcher_wait(const struct options *options, int supervisor)
{
	struct launcher launcher = {
		.options = options,
		.supervisor = supervisor,
		.terminal = isatty(STDERR_FILENO),
		.start = seconds(),
	};
	struct message message;
	int code = -1;

	while (code < 0) {
		if (channel_receive(supervisor, 0, &message, NULL) <= 0) {
			say(&launcher,
			    "ended before the disk was ready, and cannot say why");
			code = EXIT_RUN;
			break;
		}
		if (message.kind == MESSAGE_PROGRESS) {
			show_progress(&launcher, message.value);
		} else if (message.kind == MESSAGE_WARNING) {
			say(&launcher, message.text);
		} else if (message.kind == MESSAGE_FAIL) {
			say(&launcher, message.text);
			code = message.code;
		} else if (message.kind == MESSAGE_READY) {
			hide_progress(&launcher);
			code = see_disk(&launcher);
		}
	}
	close(supervisor);
	return code;
}
