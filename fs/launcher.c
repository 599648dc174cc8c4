/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/deadline.h"
#include "base/io.h"
#include "base/quote.h"
#include "base/units.h"
#include "channel.h"
#include "exit_code.h"
#include "imgcore/diag.h"
#include "mount_dir.h"
#include "options.h"
#include "readahead.h"

struct launcher {
	const struct dirdisk_options *options;
	int supervisor;
	bool terminal; /* standard error is one */
	bool shown; /* a line of progress stands there */
	int64_t start;
	const char *mnt; /* "": not known yet */
	char *mount_dir; /* of --private */
	char *path; /* of the disk */
	pid_t reader;
	int reader_fd;
	int reader_error; /* why there is none; or 0 */
};

/*
 * The supervisor sends a message every second, unless a call blocks it: a file
 * system that does not answer, or fusermount3.
 */
#define SILENCE_MS 60000

static void show_progress(struct launcher *launcher, uint64_t entries)
{
	if (!launcher->terminal || !entries ||
	    deadline_now_ms() - launcher->start < 1000)
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

/* text: empty where there is nothing to say. */
static void say(struct launcher *launcher, const char *text)
{
	hide_progress(launcher);
	if (*text)
		fprintf(stderr, "dirdisk: %s\n", text);
}

/* The same of MNT, or of SRC while there is none. */
static void say_of(struct launcher *launcher, const char *reason)
{
	const struct diag diag = {
		.path = (char *)(*launcher->mnt ? launcher->mnt
						: launcher->options->src),
		.reason = (char *)reason
	};
	_cleanup_free_ char *text = diag_format(&diag, 0);

	say(launcher, text ? text : reason);
}

static int disk_path(const struct dirdisk_options *options, const char *mnt,
		     char **ret_path)
{
	size_t len = strlen(mnt);

	while (len > 1 && mnt[len - 1] == '/')
		len--;
	if (asprintf(ret_path, "%.*s/%s", (int)len, mnt, options->name) < 0)
		return -ENOMEM;
	return 0;
}

static void print_command(const struct dirdisk_options *options,
			  const char *path)
{
	bool read_only = options->mount.flags & MS_RDONLY;
	bool serial = options->disk.live.image.boot.console ==
		      BOOT_CONSOLE_SERIAL;
	_cleanup_free_ char *file = quote_qemu_file(path);
	_cleanup_free_ char *word = NULL;

	if (!isatty(STDOUT_FILENO) || !file)
		return;
	if (asprintf(&word, "file=%s", file) < 0) {
		word = NULL;
		return;
	}
	/* A disk on IDE cannot be read-only. */
	printf("qemu-system-x86_64 -drive %sformat=raw,",
	       read_only ? "if=virtio,readonly=on," : "");
	quote_word(stdout, word);
	printf(" -m 1G%s\n", serial ? " -nographic" : "");
	fflush(stdout);
}

/* As channel_receive; -ETIMEDOUT: the supervisor sends nothing any more. */
static int receive(struct launcher *launcher, struct message *ret_message)
{
	int r = channel_wait(launcher->supervisor, SILENCE_MS);

	if (r == 0)
		return -ETIMEDOUT;
	return r < 0 ? r
		     : channel_receive(launcher->supervisor, 0, ret_message,
				       NULL);
}

/*
 * Reads the first sector of the disk: 0 or a negative errno. *ret_fd is the
 * open disk. Not for the process that serves the disk: it would wait for
 * itself.
 */
static int probe(const char *disk, int *ret_fd)
{
	_cleanup_close_ int fd = open(disk, O_RDONLY | O_CLOEXEC);
	char sector[SECTOR];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = io_pread(fd, sector, sizeof(sector), 0);
	if (n != sizeof(sector))
		return n < 0 ? (int)n : -EIO;
	*ret_fd = take_fd(&fd);
	return 0;
}

static _Noreturn void reader_run(const char *path, int fd)
{
	_cleanup_close_ int disk = -1;
	char go;
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(fd, &go, sizeof(go)) != sizeof(go))
		_exit(0);
	r = probe(path, &disk);
	if (r == 0)
		readahead_raise(disk);
	/* The user may unmount the disk as soon as it is there. */
	base_closep(&disk);
	_exit(write(fd, &r, sizeof(r)) < 0);
}

/*
 * A child to read the first sector, which can be killed: a read blocks if the
 * FUSE server does not answer. A byte to *ret_fd lets it read; the result, 0 or
 * a negative errno, comes from there as an int.
 */
static int reader_start(struct launcher *launcher)
{
	int ends[2];
	int r = disk_path(launcher->options, launcher->mnt, &launcher->path);

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	launcher->reader = fork();
	r = -errno;
	if (launcher->reader == 0) {
		close(ends[0]);
		close(launcher->supervisor);
		reader_run(launcher->path, ends[1]);
	}
	close(ends[1]);
	launcher->reader_fd = ends[0];
	return launcher->reader < 0 ? r : 0;
}

/* It is not waited for: the kernel may not let it go before the unmount. */
static void reader_end(struct launcher *launcher)
{
	if (launcher->reader > 0)
		kill(launcher->reader, SIGKILL);
	base_closep(&launcher->reader_fd);
}

/*
 * Waits for the reader, or for a failure that the supervisor reports: then
 * *ret_code is its exit code, and its message has been printed; otherwise
 * *ret_code is untouched.
 */
static int reader_wait(struct launcher *launcher, int *ret_code)
{
	const int fd = launcher->reader_fd;
	struct message message;
	int n;
	int r;

	if (send(fd, "", 1, MSG_NOSIGNAL) < 0)
		return -errno;

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = fd, .events = POLLIN },
			{ .fd = launcher->supervisor, .events = POLLIN },
		};

		n = poll(fds, 2, SILENCE_MS);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ETIMEDOUT;
		if (fds[0].revents)
			return read(fd, &r, sizeof(r)) == sizeof(r) ? r : -EIO;
		r = channel_receive(launcher->supervisor, MSG_DONTWAIT,
				    &message, NULL);
		if (r == 0 || (r < 0 && r != -EAGAIN))
			return r < 0 ? r : -ENOTCONN;
		if (r > 0 && message.kind == MESSAGE_FAIL) {
			say(launcher, message.text);
			*ret_code = message.code;
			return 0;
		}
		if (r > 0 && message.kind == MESSAGE_WARNING)
			say(launcher, message.text);
	}
}

/*
 * The disk could not be seen. If the supervisor ended it, by a signal, that is
 * the reason, and has been said already; otherwise ours is.
 */
static int last_words(struct launcher *launcher, const char *text)
{
	struct message message;

	while (receive(launcher, &message) > 0) {
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
	_cleanup_free_ char *text = NULL;
	struct diag diag = DIAG_INIT;
	int code = -1;
	int r = launcher->reader_error;

	if (r == 0)
		r = reader_wait(launcher, &code);
	if (code >= 0)
		return code;
	if (r == 0)
		r = channel_send(launcher->supervisor, MESSAGE_SEEN, 0, NULL,
				 -1);
	if (r == 0) {
		if (launcher->mount_dir) {
			printf("%s\n", launcher->mount_dir);
			fflush(stdout);
		}
		print_command(launcher->options, launcher->path);
		return EXIT_OK;
	}
	diag_set(&diag, r, launcher->path, "mounted, but cannot be read: %s",
		 strerror(-r));
	text = diag_format(&diag, r);
	diag_clear(&diag);
	channel_send(launcher->supervisor, MESSAGE_FAIL, EXIT_RUN, NULL, -1);
	return last_words(launcher, text ? text : "out of memory");
}

static int wait_for_disk(struct launcher *launcher)
{
	struct message message;

	for (;;) {
		int r = receive(launcher, &message);

		if (r == -ETIMEDOUT)
			say_of(launcher,
			       "mounting does not end: a file system, or fusermount3, hangs; make sure that SRC, MNT and TMPDIR can be reached");
		else if (r < 0)
			say_of(launcher, strerror(-r));
		else if (r == 0)
			say_of(launcher,
			       "the process that mounts was killed before the disk was ready; see the kernel's log, where memory ran out, and mount again");
		if (r <= 0)
			return EXIT_RUN;
		if (message.kind == MESSAGE_MOUNT_DIR) {
			free(launcher->mount_dir);
			launcher->mount_dir = strdup(message.text);
			if (!launcher->mount_dir)
				return EXIT_RUN;
			launcher->mnt = launcher->mount_dir;
		} else if (message.kind == MESSAGE_PROGRESS) {
			show_progress(launcher, message.value);
		} else if (message.kind == MESSAGE_WARNING) {
			say(launcher, message.text);
		} else if (message.kind == MESSAGE_FAIL) {
			say(launcher, message.text);
			return message.code;
		} else if (message.kind == MESSAGE_BUILT) {
			/* While it is mounted, so that nobody waits for it. */
			launcher->reader_error = reader_start(launcher);
		} else if (message.kind == MESSAGE_READY) {
			hide_progress(launcher);
			return see_disk(launcher);
		}
	}
}

int launcher_wait(const struct dirdisk_options *options, int supervisor)
{
	struct launcher launcher = {
		.options = options,
		.mnt = options->mnt ? options->mnt : "",
		.supervisor = supervisor,
		.terminal = isatty(STDERR_FILENO),
		.start = deadline_now_ms(),
		.reader_fd = -1,
	};
	struct diag diag = DIAG_INIT;
	struct message message;
	int code = wait_for_disk(&launcher);

	reader_end(&launcher);
	/* The supervisor removes it, unless it was killed. */
	if (code != EXIT_OK && launcher.mount_dir &&
	    channel_receive(supervisor, MSG_DONTWAIT, &message, NULL) == 0)
		mount_dir_remove(launcher.mount_dir, -1, &diag);
	diag_clear(&diag);
	close(supervisor);
	free(launcher.path);
	free(launcher.mount_dir);
	return code;
}
