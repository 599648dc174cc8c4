/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <fuse_lowlevel.h>

#include "base/cleanup.h"
#include "base/stdio_null.h"
#include "channel.h"
#include "confine.h"
#include "disks.h"
#include "exit_code.h"
#include "imgcore/diag.h"
#include "imgcore/live.h"
#include "imgcore/opener.h"
#include "imgcore/overlay_budget.h"
#include "imgcore/owners.h"
#include "log.h"
#include "opener_client.h"
#include "operations.h"
#include "options.h"
#include "session.h"
#include "updates.h"
#include "vmdk.h"

/* Tells the supervisor why this is the end. */
static int worker_fail(const struct worker *worker, struct diag *diag, int err,
		       enum exit_code code)
{
	_cleanup_free_ char *text = diag_format(diag, err);

	channel_send(worker->channel, MESSAGE_FAIL, (int)code,
		     text ? text : "out of memory", -1);
	diag_clear(diag);
	return (int)code;
}

/* SIGTERM ends it at once, everything else that a terminal sends does not. */
static int worker_bind(const struct worker *worker)
{
	sigset_t term;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	/* It may have died before that. */
	if (getppid() != worker->supervisor)
		return -ESRCH;
	prctl(PR_SET_NAME, "dirdisk-worker");
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_UNBLOCK, &term, NULL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	/* A full file system is an error to report, not a signal. */
	signal(SIGXFSZ, SIG_IGN);
	return 0;
}

/* A generation keeps files open: as many as it may. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- the disk ---- */

struct progress {
	int channel;
	struct timespec last;
	atomic_bool over; /* nobody waits any more */
};

static void send_progress(void *context, uint64_t entries)
{
	struct progress *progress = context;
	struct timespec now;
	int64_t ms;

	if (atomic_load_explicit(&progress->over, memory_order_relaxed))
		return;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	ms = (int64_t)(now.tv_sec - progress->last.tv_sec) * 1000 +
	     (now.tv_nsec - progress->last.tv_nsec) / 1000000;
	if (ms < 100)
		return;
	progress->last = now;
	channel_try(progress->channel, MESSAGE_PROGRESS, entries, NULL);
}

/* Sends a warning about the source as a whole. */
static void warn(const struct worker *worker, const char *reason)
{
	const struct diag diag = { .path = (char *)worker->source,
				   .reason = (char *)reason };
	_cleanup_free_ char *text = diag_format(&diag, 0);

	if (!text)
		return;
	log_note(text);
	channel_send(worker->channel, MESSAGE_WARNING, 0, text, -1);
}

/* Warns of what the disk shows differently from the source. */
static void warn_of_image(const struct worker *worker,
			  const struct owners *owners,
			  const struct image_options *options,
			  const struct image *image)
{
	uint64_t skipped = 0;
	uint64_t mounted = 0;
	bool hidden = false;
	char text[160];

	for (unsigned i = 0; i < IMAGE_PARTS; i++) {
		const struct tree *tree = image_tree(image, i);

		skipped += tree_skipped(tree);
		mounted += tree_mounted(tree);
		hidden = hidden ||
			 owners_are_hidden(owners, &options->scan, tree);
	}
	if (skipped) {
		snprintf(text, sizeof(text),
			 "%" PRIu64
			 " unreadable %s left out; dirdisk-check names them",
			 skipped, skipped == 1 ? "entry is" : "entries are");
		warn(worker, text);
	}
	if (mounted) {
		snprintf(text, sizeof(text),
			 "%" PRIu64 " %s below it %s empty on the disk; %s",
			 mounted, mounted == 1 ? "mount" : "mounts",
			 mounted == 1 ? "is" : "are",
			 options->scan.cross_mounts
				 ? "dirdisk-check says why"
				 : "--cross-mounts includes what is mounted");
		warn(worker, text);
	}
	if (hidden)
		warn(worker, OWNERS_HIDDEN);
}

static void notice(void *context, const struct diag *diag, int err)
{
	log_diag(diag, err);
}

/* What is served, and what it is made of. */
struct service {
	const struct worker *worker;
	struct progress progress;
	struct opener_client *client;
	struct opener *opener; /* of the first directory */
	struct live *live;
	struct overlay_budget *budget; /* of what guests write */
	struct disks *disks;
	struct updates *updates;
};

static void service_clear(struct service *service)
{
	updates_free(service->updates);
	disks_free(service->disks);
	overlay_budget_free(service->budget);
	live_free(service->live);
	opener_unref(service->opener);
	opener_client_free(service->client);
}

static int find_source(void *context, uint64_t own_dev, int *ret_fd,
		       struct opener **ret_opener)
{
	const struct service *service = context;

	return opener_client_find(service->client, own_dev, ret_fd, ret_opener);
}

/* No program is run from here on. */
static int confine(void *context, struct diag *diag)
{
	const struct service *service = context;
	const struct worker *worker = service->worker;
	struct confine_files files = {
		.src_fd = worker->src_fd,
		.tmp_fd = worker->tmp_fd,
	};
	int r;

	/* From here on no path is looked up from the working directory. */
	r = chdir("/") < 0 ? -errno : 0;
	if (r == 0 && !worker->options->foreground)
		r = stdio_null_redirect();
	if (r < 0)
		return diag_set(diag, r, worker->source, NULL);
	confine_capabilities(worker->options->disk.live.image.scan.xattrs ==
			     TREE_XATTRS_KEEP);
	confine_worker(&files);
	return 0;
}

/* The first generation. */
static int build_disk(const struct worker *worker, struct service *service,
		      struct diag *diag)
{
	struct live_options options = worker->options->disk.live;
	struct tree_scan_options *scan = &options.image.scan;
	struct disk *disk;
	struct owners owners;
	int r = opener_client_new(&service->client, worker->opener);

	owners_read(&owners);
	if (r == 0)
		r = opener_client_first(service->client, &service->opener);
	if (r < 0)
		return diag_set(diag, r, worker->source, NULL);
	options.path = worker->source;
	options.find = find_source;
	options.begin = confine;
	options.notice = notice;
	options.context = service;
	options.image.src_fd = worker->src_fd;
	options.image.src_path = worker->source;
	scan->prune = &worker->mnt;
	scan->n_prune = 1;
	scan->progress = send_progress;
	scan->context = &service->progress;
	scan->opener = service->opener;
	r = live_new(&service->live, &options, diag);
	if (r < 0)
		return r;
	atomic_store(&service->progress.over, true);
	r = overlay_budget_new(&service->budget, worker->tmp_fd,
			       worker->options->disk.overlay_limit);
	if (r < 0)
		return r;
	/* live holds the directory itself, and later maybe another one. */
	close(worker->src_fd);
	r = disks_new(&service->disks, service->live, worker->tmp_fd,
		      service->budget, diag);
	if (r < 0)
		return r;
	disk = disks_newest(service->disks);
	warn_of_image(worker, &owners, &options.image,
		      generation_image(disk_generation(disk)));
	disk_put(disk);
	return updates_new(&service->updates, service->disks);
}

/* ---- the mount ---- */

/* Waits for it; -EPIPE if there will be none. */
static int receive_mount(const struct worker *worker, uint64_t *ret_dev,
			 int *ret_fd)
{
	_cleanup_free_ struct message *message = malloc(sizeof(*message));
	_cleanup_close_ int fd = -1;
	int r;

	if (!message)
		return -ENOMEM;
	r = channel_receive(worker->channel, 0, message, &fd);
	if (r < 0)
		return r;
	if (r == 0 || message->kind != MESSAGE_MOUNTED || fd < 0)
		return -EPIPE;
	*ret_dev = message->value;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int serve(const struct worker *worker, const struct service *service,
		 int fd)
{
	struct fs_context context = {
		.name = worker->options->name,
		.disks = service->disks,
		.updates = service->updates,
	};
	_cleanup_free_ char *vmdk = NULL;
	struct fuse_session *session;
	struct diag diag = DIAG_INIT;
	int r;

	r = vmdk_name(context.name, &vmdk);
	if (r < 0)
		return worker_fail(worker, &diag, r, EXIT_MOUNT);
	context.vmdk = vmdk;
	clock_gettime(CLOCK_REALTIME, &context.start);
	r = session_new(&session, &context, worker->mount_list,
			worker->options->debug, fd);
	if (r < 0)
		return worker_fail(worker, &diag, r, EXIT_MOUNT);
	live_start_thread(service->live);
	r = channel_send(worker->channel, MESSAGE_SERVING, 0, NULL, -1);
	if (r < 0)
		_exit(worker_fail(worker, &diag, r, EXIT_MOUNT));
	r = session_serve(session);
	if (r < 0) {
		diag_set(
			&diag, r, "/dev/fuse",
			"the connection to the kernel failed: %s; mount the disk again",
			strerror(-r));
		/* Other threads may still be serving a request. */
		_exit(worker_fail(worker, &diag, r, EXIT_RUN));
	}
	fuse_session_destroy(session);
	return EXIT_OK;
}

int worker_run(const struct worker *worker)
{
	_cleanup_(service_clear) struct service service = {
		.worker = worker,
		.progress = { .channel = worker->channel },
	};
	_cleanup_(diag_clear) struct diag diag = DIAG_INIT;
	uint64_t dev = 0;
	int fd = -1;
	int r;

	r = worker_bind(worker);
	if (r < 0)
		return worker_fail(worker, &diag, r, EXIT_SIGNALS);
	log_to_channel(worker->channel);
	log_keep();
	log_take_fuse();
	raise_limit();
	r = build_disk(worker, &service, &diag);
	if (r < 0)
		return worker_fail(worker, &diag, r, EXIT_SETUP);
	r = channel_send(worker->channel, MESSAGE_BUILT, 0, NULL, -1);
	if (r == 0)
		r = receive_mount(worker, &dev, &fd);
	if (r < 0)
		return worker_fail(worker, &diag, r, EXIT_RUN);
	live_set_own_dev(service.live, dev);
	return serve(worker, &service, fd);
}
