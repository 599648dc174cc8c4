/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * confined SRC GRUB TMP OUTSIDE: confines itself as a worker does, and tries
 * what a worker that was taken over would. A line for each thing that went
 * otherwise than it should; exit status 1 if there is one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"

static int faults;

static void expect(const char *what, bool ok)
{
	if (ok)
		return;
	printf("%s: %s\n", what, strerror(errno));
	faults++;
}

/* Whether a file beneath a directory opens: flags as open has them. */
static bool opens(int dir, const char *path, int flags)
{
	int fd = openat(dir, path, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void *nothing(void *context)
{
	return unshare(CLONE_FILES) == 0 ? context : NULL;
}

static void *other_thread(void *outside)
{
	expect("read outside, in a thread",
	       !opens(*(int *)outside, "file", O_RDONLY));
	return NULL;
}

static int place(const char *path)
{
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void try_files(const struct confine_files *files, int outside)
{
	struct stat st;
	int place_fd;

	expect("read in SRC", opens(files->src_fd, "file", O_RDONLY));
	expect("list SRC", opens(files->src_fd, ".", O_RDONLY | O_DIRECTORY));
	expect("write in SRC", !opens(files->src_fd, "file", O_WRONLY));
	expect("make in SRC", !opens(files->src_fd, "new", O_WRONLY | O_CREAT));
	expect("read through a link in SRC",
	       !opens(files->src_fd, "link", O_RDONLY));
	expect("make in TMPDIR",
	       opens(files->tmp_fd, "new", O_RDWR | O_CREAT | O_EXCL));
	expect("remove in TMPDIR", unlinkat(files->tmp_fd, "new", 0) == 0);
	expect("a file without a name",
	       opens(files->tmp_fd, ".", O_RDWR | O_TMPFILE));
	expect("read outside", !opens(outside, "file", O_RDONLY));
	expect("list outside", !opens(outside, ".", O_RDONLY | O_DIRECTORY));
	expect("remove outside", unlinkat(outside, "file", 0) < 0);
	expect("read /etc/shadow", !opens(AT_FDCWD, "/etc/shadow", O_RDONLY));
	expect("read /proc/self/mem",
	       !opens(AT_FDCWD, "/proc/self/mem", O_RDONLY));
	expect("see outside", fstatat(outside, "file", &st, 0) == 0);
	place_fd = openat(outside, "file", O_PATH | O_CLOEXEC);
	expect("a place outside", place_fd >= 0);
	close(place_fd);
}

static void try_calls(void)
{
	const struct {
		const char *name;
		int flag;
	} namespaces[] = {
		{ "user", CLONE_NEWUSER },     { "mount", CLONE_NEWNS },
		{ "process", CLONE_NEWPID },   { "network", CLONE_NEWNET },
		{ "uts", CLONE_NEWUTS },       { "ipc", CLONE_NEWIPC },
		{ "cgroup", CLONE_NEWCGROUP },
	};
	pthread_t thread;
	void *done = NULL;

	for (size_t i = 0; i < sizeof(namespaces) / sizeof(*namespaces); i++) {
		int flag = namespaces[i].flag;
		long pid;

		expect(namespaces[i].name, unshare(flag) < 0);
		expect(namespaces[i].name, unshare(flag | CLONE_FILES) < 0);
		pid = syscall(SYS_clone, flag | SIGCHLD, NULL, NULL, NULL, 0);
		if (pid == 0)
			_exit(0);
		expect(namespaces[i].name, pid < 0);
	}
	expect("clone3", syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
	expect("setns", setns(0, 0) < 0 && errno == ENOSYS);
	expect("mount", mount("none", "/", "tmpfs", 0, NULL) < 0);
	expect("umount", umount2("/", MNT_DETACH) < 0);
	expect("ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0);
	expect("socket", socket(AF_INET, SOCK_STREAM, 0) < 0);
	expect("execve", execl("/bin/true", "true", NULL) < 0);
	expect("chmod", chmod("/", 0755) < 0);
	expect("setuid", syscall(SYS_setuid, 0) < 0);
	expect("a thread with files of its own",
	       pthread_create(&thread, NULL, nothing, &faults) == 0 &&
		       pthread_join(thread, &done) == 0 && done);
}

int main(int argc, char *argv[])
{
	pthread_t thread;
	int outside;
	struct confine_files files;

	if (argc != 4)
		return 2;
	files = (struct confine_files){
		.src_fd = place(argv[1]),
		.tmp_fd = place(argv[2]),
	};
	outside = place(argv[3]);
	confine_capabilities(false);
	confine_worker(&files);
	try_files(&files, outside);
	try_calls();
	expect("a thread",
	       pthread_create(&thread, NULL, other_thread, &outside) == 0);
	pthread_join(thread, NULL);
	return faults ? 1 : 0;
}
