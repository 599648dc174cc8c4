/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/deadline.h"
#include "base/math.h"
#include "base/stdio_null.h"
#include "channel.h"
#include "confine.h"
#include "exit_code.h"
#include "imgcore/diag.h"
#include "imgcore/source.h"
#include "log.h"
#include "mount.h"
#include "mount_dir.h"
#include "mountpoint.h"
#include "opener.h"
#include "options.h"
#include "pidfile.h"
#include "worker.h"

/* How long a worker may take to end before it is made to. */
#define PATIENCE_MS 5000
/* Interval of messages to the launcher, and of checks of the worker. */
#define TICK_MS 1000
/* Time limit for the kernel to end the opener. */
#define OPENER_MS 1000

/* What the start waits for, until the disk has been read. */
enum stage {
	STAGE_BUILD, /* the image */
	STAGE_SERVE, /* the worker, which has been given the mount */
	STAGE_SEE, /* the launcher, which reads the disk */
};

struct supervisor {
	const struct dirdisk_options *options;
	int launcher; /* channel; -1 once it has seen the disk */
	int worker; /* channel */
	int signals;
	pid_t worker_pid; /* 0 after it was reaped */
	pid_t opener_pid; /* likewise */
	sigset_t user_mask;

	char *mount_dir; /* that was made for --private */
	int mount_dir_fd;
	struct mountpoint mnt;
	struct pidfile pidfile;
	int src_fd;
	int tmp_fd;
	char *source;
	char *mount_list;

	enum stage stage;
	uint64_t entries; /* scanned, as last sent to the launcher */
	int64_t progress; /* time of the last progress */
	int64_t worker_time; /* processor time used until then; nanoseconds */
	bool ready; /* the disk has been read */
	bool stopping;
	bool forced; /* the worker was sent SIGKILL */
	int64_t stopped; /* when the worker was last told to end */
	bool failed; /* and code says how */
	enum exit_code code;
};

/* ---- errors ---- */

/* By the launcher while it is there to print. */
static void supervisor_say(struct supervisor *sup, enum message_kind kind,
			   enum exit_code code, const char *text)
{
	bool is_heard = sup->launcher >= 0 && !sup->ready &&
			channel_send(sup->launcher, kind, (int)code, text,
				     -1) == 0;

	if (!is_heard && text)
		log_line("%s", text);
}

/*
 * Only the first failure is reported: later ones follow from it. text: NULL
 * where there is nothing to say.
 */
static void supervisor_fail(struct supervisor *sup, enum exit_code code,
			    const char *text)
{
	if (sup->failed)
		return;
	sup->failed = true;
	sup->code = code;
	supervisor_say(sup, MESSAGE_FAIL, code, text);
}

static void supervisor_fail_diag(struct supervisor *sup, enum exit_code code,
				 struct diag *diag, int err)
{
	_cleanup_free_ char *text = diag_format(diag, err);

	diag_clear(diag);
	supervisor_fail(sup, code, text ? text : "out of memory");
}

/* ---- before there is a worker ---- */

static int open_signals(struct supervisor *sup)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGQUIT);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &mask, &sup->user_mask) < 0)
		return -errno;
	/* A parent that ignored it would have it reaped unseen. */
	signal(SIGCHLD, SIG_DFL);
	sup->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	return sup->signals < 0 ? -errno : 0;
}

static void warn_of_tmp(struct supervisor *sup, const char *chosen, int err,
			const char *other)
{
	struct diag diag = DIAG_INIT;
	_cleanup_free_ char *text = NULL;

	diag_set(&diag, -err, chosen,
		 "TMPDIR cannot be used: %s; what guests write is kept in %s",
		 strerror(err), other);
	text = diag_format(&diag, -err);
	diag_clear(&diag);
	supervisor_say(sup, MESSAGE_WARNING, 0, text ? text : "out of memory");
}

/* A directory that files may be made in: a descriptor or a negative errno. */
static int open_writable(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	int r = fd < 0 ? -errno : confine_access(fd, W_OK | X_OK);

	return r < 0 ? r : take_fd(&fd);
}

/* Where the overlay's file will be, should the guest write. */
static void open_tmp(struct supervisor *sup)
{
	static const char *const others[] = { "/tmp", "/var/tmp", "/" };
	const char *named = getenv("TMPDIR");
	const char *chosen = named && *named ? named : others[0];
	int err = open_writable(chosen);

	sup->tmp_fd = err;
	for (size_t i = 0; sup->tmp_fd < 0 && i < ARRAY_SIZE(others); i++) {
		sup->tmp_fd = open_writable(others[i]);
		if (sup->tmp_fd >= 0)
			warn_of_tmp(sup, chosen, -err, others[i]);
	}
	/* Nothing can be written, then: no file can be made there. */
	if (sup->tmp_fd < 0)
		sup->tmp_fd = open("/proc/self/fdinfo",
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int check_apart(struct supervisor *sup, const char *mnt,
		       struct diag *diag)
{
	struct stat st;

	if (fstat(sup->src_fd, &st) < 0)
		return diag_set(diag, -errno, sup->options->src, NULL);
	if (st.st_dev == sup->mnt.dev && st.st_ino == sup->mnt.ino)
		return diag_set(diag, -EINVAL, mnt,
				"is SRC itself; give another directory");
	return mountpoint_claim(&sup->mnt, mnt, diag);
}

/* Everything that is named by the user is opened here, before any mount. */
static int supervisor_open(struct supervisor *sup, struct diag *diag,
			   enum exit_code *ret_code)
{
	const char *mnt = sup->options->mnt;
	int r;

	*ret_code = EXIT_SIGNALS;
	r = open_signals(sup);
	if (r < 0)
		return r;
	*ret_code = EXIT_MOUNT_POINT;
	if (sup->options->private_mnt) {
		r = mount_dir_make(&sup->mount_dir, &sup->mount_dir_fd, diag);
		mnt = sup->mount_dir;
		if (r == 0)
			r = channel_send(sup->launcher, MESSAGE_MOUNT_DIR, 0,
					 mnt, -1);
		if (r < 0)
			return r;
	}
	r = mountpoint_open(&sup->mnt, mnt, diag);
	if (r < 0)
		return r;
	*ret_code = EXIT_SETUP;
	r = source_open(sup->options->src, &sup->src_fd, &sup->source, diag);
	if (r < 0)
		return r;
	*ret_code = EXIT_MOUNT_POINT;
	r = check_apart(sup, mnt, diag);
	if (r < 0)
		return r;
	*ret_code = EXIT_SETUP;
	open_tmp(sup);
	r = pidfile_open(&sup->pidfile, sup->options->pidfile, diag);
	if (r < 0)
		return r;
	return mount_list(&sup->options->mount, sup->source, &sup->mount_list);
}

/* ---- the worker ---- */

/* What a child has no use for, and should not keep open. */
static void close_in_child(struct supervisor *sup)
{
	/* An open copy of a channel's end would hide the end of its process. */
	close(sup->launcher);
	base_closep(&sup->worker);
	close(sup->signals);
	base_closep(&sup->pidfile.dir_fd);
	base_closep(&sup->mnt.lock_fd);
	base_closep(&sup->mount_dir_fd);
	sigprocmask(SIG_SETMASK, &sup->user_mask, NULL);
}

static int opener_main(struct supervisor *sup, int socket, pid_t supervisor)
{
	const struct image_options *image = &sup->options->disk.live.image;
	const struct opener_process process = {
		.supervisor = supervisor,
		.socket = socket,
		.src_fd = sup->src_fd,
		.path = sup->source,
		.follow = image->scan.follow,
		.cross_mounts = image->scan.cross_mounts,
		.trusted = image->scan.xattrs == TREE_XATTRS_KEEP,
		.foreground = sup->options->foreground,
	};

	close_in_child(sup);
	base_closep(&sup->tmp_fd);
	return opener_run(&process);
}

static int worker_main(struct supervisor *sup, int channel, int opener,
		       pid_t supervisor)
{
	struct worker worker = {
		.options = sup->options,
		.supervisor = supervisor,
		.channel = channel,
		.opener = opener,
		.src_fd = sup->src_fd,
		.source = sup->source,
		.tmp_fd = sup->tmp_fd,
		.mnt = { .dev = sup->mnt.dev, .ino = sup->mnt.ino },
		.mount_list = sup->mount_list,
	};

	/* mnt.dir_fd stays open: the scan knows MNT by its inode number. */
	close_in_child(sup);
	return worker_run(&worker);
}

/* Starts worker and opener. Each has its own end of a channel only. */
static int start_worker(struct supervisor *sup)
{
	pid_t self = getpid();
	int channel[2] = { -1, -1 };
	int opener[2] = { -1, -1 }; /* the worker's end, and its own */
	int r = channel_pair(channel);
	pid_t pid;

	if (r == 0)
		r = channel_pair(opener);
	sup->worker = channel[0];
	fflush(NULL);
	/* The worker first: the opener can wait, the disk cannot. */
	pid = r < 0 ? -1 : fork();
	if (pid == 0) {
		close(opener[1]);
		exit(worker_main(sup, channel[1], opener[0], self));
	}
	base_closep(&channel[1]);
	base_closep(&opener[0]);
	sup->worker_pid = pid > 0 ? pid : 0;
	if (pid > 0)
		pid = fork();
	if (pid == 0)
		exit(opener_main(sup, opener[1], self));
	if (r == 0 && pid < 0)
		r = -errno;
	base_closep(&opener[1]);
	sup->opener_pid = pid > 0 ? pid : 0;
	/* Descriptors that only they need would keep file systems busy. */
	base_closep(&sup->src_fd);
	base_closep(&sup->tmp_fd);
	base_closep(&sup->mnt.dir_fd);
	sup->src_fd = sup->tmp_fd = sup->mnt.dir_fd = -1;
	if (r < 0)
		return r;
	return chdir("/") < 0 ? -errno : 0;
}

/* Unmounts first: then nobody can begin to wait for a dying worker. */
static void supervisor_stop(struct supervisor *sup)
{
	struct diag diag = DIAG_INIT;

	/* It is tried again at the end, which also says what is wrong. */
	mountpoint_unmount(&sup->mnt, &diag);
	diag_clear(&diag);
	if (sup->worker_pid)
		kill(sup->worker_pid, SIGTERM);
	sup->stopping = true;
	sup->stopped = deadline_now_ms();
}

static void worker_killed(struct supervisor *sup, int status)
{
	_cleanup_free_ char *text = NULL;
	int r;

	if (WIFSIGNALED(status))
		r = asprintf(
			&text,
			"%s: the process that serves it was killed by signal %d (%s); mount it again",
			sup->mnt.path, WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	else
		r = asprintf(
			&text,
			"%s: the process that serves it ended with status %d; mount it again",
			sup->mnt.path, WEXITSTATUS(status));
	if (r < 0)
		text = NULL;
	/* A crash is reported even after another failure. */
	if (sup->failed)
		supervisor_say(sup, MESSAGE_WARNING, 0,
			       text ? text : "out of memory");
	supervisor_fail(sup, EXIT_RUN, text ? text : "out of memory");
}

static void worker_ended(struct supervisor *sup, int status)
{
	bool wanted = (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
		      (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	bool crashed = WIFSIGNALED(status) && !wanted && !sup->forced;

	sup->worker_pid = 0;
	if ((sup->stopping || sup->failed) && !crashed)
		return;
	/* The mount is gone, or everybody was asked to end: an ordinary end. */
	if (!wanted)
		worker_killed(sup, status);
	else if (!sup->ready)
		supervisor_fail(
			sup, EXIT_RUN,
			"unmounted before the disk was ready; mount it again");
}

/* Without the opener, the worker cannot open all files of the disk. */
static void opener_ended(struct supervisor *sup, int status)
{
	_cleanup_free_ char *text = NULL;

	sup->opener_pid = 0;
	/* It saw the worker end before we did. */
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	if (!sup->worker_pid || sup->stopping)
		return;
	if (asprintf(
		    &text,
		    "%s: the process that opens its files has ended; mount it again",
		    sup->mnt.path) < 0)
		text = NULL;
	supervisor_fail(sup, EXIT_RUN, text ? text : "out of memory");
	supervisor_stop(sup);
}

/* Ends the opener; one that waits for a file system is not waited for. */
static void end_opener(struct supervisor *sup)
{
	int status;

	if (!sup->opener_pid)
		return;
	kill(sup->opener_pid, SIGKILL);
	deadline_wait_child(sup->opener_pid, OPENER_MS, &status);
	sup->opener_pid = 0;
}

/* ---- progress ---- */

static void supervisor_progress(struct supervisor *sup)
{
	sup->progress = deadline_now_ms();
}

/* A worker that lays out a large tree sends nothing, but uses time. */
static bool worker_was_busy(struct supervisor *sup)
{
	struct timespec used;
	clockid_t clock;
	int64_t ns;

	if (clock_getcpuclockid(sup->worker_pid, &clock) != 0 ||
	    clock_gettime(clock, &used) < 0)
		return false;
	ns = (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
	if (ns == sup->worker_time)
		return false;
	sup->worker_time = ns;
	return true;
}

/* After the worker was asked to end; false: SIGKILL does not end it. */
static bool supervisor_force(struct supervisor *sup)
{
	if (sup->forced) {
		log_line(
			"%s: process %ld does not end: it waits for a file system of this host; it ends when that answers",
			sup->mnt.path, (long)sup->worker_pid);
		return false;
	}
	sup->forced = true;
	mountpoint_abort(&sup->mnt);
	kill(sup->worker_pid, SIGKILL);
	sup->stopped = deadline_now_ms();
	return true;
}

/* No progress for too long: requests to the disk fail, and the start ends. */
static void supervisor_no_progress(struct supervisor *sup)
{
	static const struct {
		enum exit_code code;
		const char *reason;
	} late[] = {
		[STAGE_BUILD] = { EXIT_SETUP,
				  "nothing more was read of the tree" },
		[STAGE_SERVE] = { EXIT_MOUNT, "the disk was not served" },
		[STAGE_SEE] = { EXIT_RUN,
				"the disk did not answer the first read" },
	};
	const char *reason = late[sup->stage].reason;
	struct diag diag = DIAG_INIT;

	if (sup->stage == STAGE_BUILD && !sup->entries &&
	    !sup->options->disk.live.image.boot.no_grub)
		reason =
			"grub-mkimage has not ended, or nothing was read of the tree";
	diag_set(
		&diag, -ETIMEDOUT,
		sup->stage == STAGE_BUILD ? sup->source : sup->mnt.path,
		"%s for %d s; find what hangs, or give a longer --start-timeout=SECONDS",
		reason, sup->options->start_timeout);
	supervisor_fail_diag(sup, late[sup->stage].code, &diag, -ETIMEDOUT);
	supervisor_stop(sup);
	supervisor_force(sup);
}

/* Every second until the disk has been seen. */
static void supervisor_tick(struct supervisor *sup)
{
	int64_t limit = (int64_t)sup->options->start_timeout * 1000;

	if (worker_was_busy(sup))
		supervisor_progress(sup);
	if (sup->launcher >= 0)
		channel_try(sup->launcher, MESSAGE_PROGRESS, sup->entries,
			    NULL);
	if (limit >= 0 && deadline_now_ms() - sup->progress >= limit)
		supervisor_no_progress(sup);
}

/* ---- the mount ---- */

static void supervisor_mount(struct supervisor *sup)
{
	struct mountpoint *mnt = &sup->mnt;
	struct diag diag = DIAG_INIT;
	int r = 0;

	if (sup->launcher >= 0)
		r = channel_send(sup->launcher, MESSAGE_BUILT, 0, NULL, -1);
	if (r == 0)
		r = mount_disk(mnt->path, sup->mount_list, &mnt->connection,
			       &diag);
	if (r == 0)
		r = mountpoint_adopt(mnt, &diag);
	if (r == 0)
		r = channel_send_mount(sup->worker,
				       makedev(mnt->major, mnt->minor),
				       mnt->connection);
	supervisor_progress(sup);
	sup->stage = STAGE_SERVE;
	if (r == 0) {
		mountpoint_served(mnt);
		return;
	}
	supervisor_fail_diag(sup, EXIT_MOUNT, &diag, r);
	supervisor_stop(sup);
}

static void supervisor_serving(struct supervisor *sup)
{
	struct diag diag = DIAG_INIT;
	int r = pidfile_write(&sup->pidfile, &diag);

	sup->stage = STAGE_SEE;
	if (r == 0 && sup->launcher >= 0)
		r = channel_send(sup->launcher, MESSAGE_READY, 0, NULL, -1);
	if (r < 0) {
		supervisor_fail_diag(sup, EXIT_SETUP, &diag, r);
		supervisor_stop(sup);
	}
}

/* ---- events ---- */

static void on_worker_message(struct supervisor *sup,
			      const struct message *message)
{
	supervisor_progress(sup);
	switch (message->kind) {
	case MESSAGE_PROGRESS:
		sup->entries = message->value;
		if (sup->launcher >= 0)
			channel_try(sup->launcher, MESSAGE_PROGRESS,
				    sup->entries, NULL);
		break;
	case MESSAGE_WARNING:
		supervisor_say(sup, MESSAGE_WARNING, 0, message->text);
		break;
	case MESSAGE_FAIL:
		if (!sup->stopping)
			supervisor_fail(sup, (enum exit_code)message->code,
					message->text);
		break;
	case MESSAGE_BUILT:
		if (!sup->stopping)
			supervisor_mount(sup);
		break;
	case MESSAGE_SERVING:
		if (!sup->stopping)
			supervisor_serving(sup);
		break;
	case MESSAGE_LOG:
		log_line("%s", message->text);
		break;
	}
}

/* Everything that has come from the worker. */
static void on_worker(struct supervisor *sup)
{
	struct message message;
	int r;

	while ((r = channel_receive(sup->worker, MSG_DONTWAIT, &message,
				    NULL)) > 0)
		on_worker_message(sup, &message);
	if (r == 0) {
		close(sup->worker);
		sup->worker = -1;
	}
}

/* From now on there is nobody to talk to but the system's log. */
static void supervisor_detach(struct supervisor *sup)
{
	sup->ready = true;
	if (sup->options->foreground)
		return;
	log_to_syslog();
	stdio_null_redirect();
}

/* The launcher gave up, and has said why if there is anything to say. */
static void launcher_failed(struct supervisor *sup, enum exit_code code)
{
	if (sup->ready || sup->stopping)
		return;
	sup->failed = true;
	sup->code = code;
	supervisor_stop(sup);
}

static void on_launcher(struct supervisor *sup)
{
	struct message message;
	int r = channel_receive(sup->launcher, MSG_DONTWAIT, &message, NULL);

	if (r > 0 && message.kind == MESSAGE_SEEN)
		supervisor_detach(sup);
	else if (r > 0 && message.kind == MESSAGE_FAIL)
		launcher_failed(sup, (enum exit_code)message.code);
	if (r != 0)
		return;
	close(sup->launcher);
	sup->launcher = -1;
	/* Interrupted, then. */
	launcher_failed(sup, EXIT_SIGNALS);
}

static void reap(struct supervisor *sup)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == sup->opener_pid)
			opener_ended(sup, status);
		if (pid != sup->worker_pid)
			continue;
		/* Its last words come before its end. */
		if (sup->worker >= 0)
			on_worker(sup);
		worker_ended(sup, status);
	}
}

/* In the foreground the user sent the signal: nothing is printed. */
static void start_interrupted(struct supervisor *sup)
{
	static const char text[] =
		"ended by a signal before the disk was ready; mount it again";

	supervisor_fail(sup, EXIT_SIGNALS,
			sup->options->foreground ? NULL : text);
}

static void on_signal(struct supervisor *sup)
{
	struct signalfd_siginfo info;

	while (read(sup->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			reap(sup);
			continue;
		}
		if (sup->stopping)
			continue;
		if (!sup->ready)
			start_interrupted(sup);
		supervisor_stop(sup);
	}
}

/*
 * Once the disk is ready, it waits without a limit for the end of the worker or
 * for a signal.
 */
static void supervisor_loop(struct supervisor *sup)
{
	supervisor_progress(sup);
	while (sup->worker_pid) {
		struct pollfd fds[] = {
			{ .fd = sup->signals, .events = POLLIN },
			{ .fd = sup->worker, .events = POLLIN },
			{ .fd = sup->launcher, .events = POLLIN },
		};
		bool waits = sup->stopping || !sup->ready;
		int n = poll(fds, 3, waits ? TICK_MS : -1);

		if (sup->stopping &&
		    deadline_now_ms() - sup->stopped >= PATIENCE_MS) {
			if (!supervisor_force(sup))
				return;
		} else if (n == 0 && !sup->stopping) {
			supervisor_tick(sup);
		}
		if (n <= 0)
			continue;
		if (fds[1].revents)
			on_worker(sup);
		if (fds[2].revents)
			on_launcher(sup);
		if (fds[0].revents)
			on_signal(sup);
	}
}

/* ---- the whole ---- */

static void supervisor_end(struct supervisor *sup)
{
	struct diag diag = DIAG_INIT;
	int r = mountpoint_unmount(&sup->mnt, &diag);

	if (r == 0 && sup->mount_dir)
		r = mount_dir_remove(sup->mount_dir, sup->mount_dir_fd, &diag);
	/* A mount that stays is reported even after another failure. */
	if (r < 0 && sup->failed)
		log_diag(&diag, r);
	else if (r < 0)
		supervisor_fail_diag(sup, EXIT_RUN, &diag, r);
	diag_clear(&diag);
	pidfile_end(&sup->pidfile);
	mountpoint_clear(&sup->mnt);
	base_closep(&sup->src_fd);
	base_closep(&sup->tmp_fd);
	base_closep(&sup->signals);
	base_closep(&sup->worker);
	base_closep(&sup->launcher);
	base_closep(&sup->mount_dir_fd);
	free(sup->mount_dir);
	free(sup->source);
	free(sup->mount_list);
}

int supervisor_run(const struct dirdisk_options *options, int launcher)
{
	struct supervisor sup = {
		.options = options,
		.launcher = launcher,
		.worker = -1,
		.signals = -1,
		.mount_dir_fd = -1,
		.src_fd = -1,
		.tmp_fd = -1,
		.mnt = MOUNTPOINT_INIT,
		.pidfile = PIDFILE_INIT,
	};
	struct diag diag = DIAG_INIT;
	enum exit_code code;
	int r;

	signal(SIGPIPE, SIG_IGN);
	r = supervisor_open(&sup, &diag, &code);
	if (r == 0) {
		code = EXIT_DAEMON;
		r = start_worker(&sup);
	}
	if (r < 0) {
		supervisor_fail_diag(&sup, code, &diag, r);
		if (sup.worker_pid)
			supervisor_stop(&sup);
	}
	supervisor_loop(&sup);
	end_opener(&sup);
	supervisor_end(&sup);
	return sup.failed ? (int)sup.code : EXIT_OK;
}
