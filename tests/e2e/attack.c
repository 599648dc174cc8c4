/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * attack SECONDS SEED SRC STAGE OUTSIDE DEVICE UID LINK_UID: changes SRC as
 * somebody would who wants the daemon, which runs as UID, to show what is not
 * in it. Files are swapped for links to what is outside, fifos, sockets,
 * devices and other files, and directories for links to /etc and OUTSIDE.
 *
 * STAGE is on SRC's file system. OUTSIDE has SECRET files of the names used
 * here; a link in kernels/ to one of them belongs to LINK_UID, so that it must
 * not be followed. OUTSIDE/build and OUTSIDE/linked are made here: what links
 * of kernels/ may lead to, and what gets hard links in SRC.
 *
 * All is done beneath descriptors of SRC's own directories: nothing is ever
 * written through a link.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "attack.h"

#define CHANGERS 3
#define FORKS	 4 /* files in each of OUTSIDE's two directories */

static struct {
	const char *outside;
	dev_t device;
	uid_t uid, link_uid;
	int stage;
	atomic_bool writing; /* or pausing */
	atomic_bool over;
	atomic_ulong changes, swaps;
	atomic_ulong id;
} all;

/* A parent stands before its children; the first one is SRC. */
static struct {
	const char *path;
	unsigned parent;
	const char *name;
	int fd;
} dirs[] = {
	{ ".", 0, NULL, -1 },	     { "kernels", 0, "kernels", -1 },
	{ "boot", 0, "boot", -1 },   { "a", 0, "a", -1 },
	{ "a/b", 3, "b", -1 },	     { "a/b/c", 4, "c", -1 },
	{ "a/b/c/d", 5, "d", -1 },   { "usr", 0, "usr", -1 },
	{ "usr/lib", 7, "lib", -1 },
};
#define KERNELS 1

/* Files of a name that begins with 'c' may be cut. */
static const char *const names[] = { "shadow", "passwd", "one",	 "two",
				     "three",  "cut",	 "cut2", "bzImage" };

struct changer {
	uint64_t state;
	char tmp[32]; /* in STAGE */
	unsigned dir;
	const char *name;
};

static void write_file(int dir, const char *name, uint64_t blocks, bool cut)
{
	int fd = openat(dir, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC,
			0644);
	struct stamp stamp = {
		.id = atomic_fetch_add(&all.id, 1),
		.blocks = blocks,
		.cut = cut,
	};
	uint64_t block[BLOCK / sizeof(uint64_t)];

	if (fd < 0)
		give_up(name);
	for (; stamp.block < blocks; stamp.block++) {
		stamp_block(block, &stamp);
		if (write(fd, block, BLOCK) != BLOCK)
			give_up("write");
	}
	close(fd);
}

/* What was made in STAGE takes the place of what is there. */
static void put(const struct changer *c)
{
	if (renameat(all.stage, c->tmp, dirs[c->dir].fd, c->name) < 0)
		unlinkat(all.stage, c->tmp, 0);
	/* Two names of one inode: rename does nothing. */
	unlinkat(all.stage, c->tmp, 0);
}

static void change_file(struct changer *c)
{
	write_file(all.stage, c->tmp, 1 + dice(&c->state, BLOCKS),
		   c->name[0] == 'c');
	put(c);
}

static void put_link(struct changer *c, const char *target, uid_t uid)
{
	if (symlinkat(target, all.stage, c->tmp) < 0 ||
	    fchownat(all.stage, c->tmp, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW))
		give_up("symlink");
	put(c);
}

static void change_link(struct changer *c)
{
	char secret[4096];
	const char *targets[] = {
		"/etc/shadow",
		"../../../../../../../../../../../../etc/shadow",
		secret,
		all.outside,
	};

	snprintf(secret, sizeof(secret), "%s/%s", all.outside, c->name);
	put_link(c, targets[dice(&c->state, ARRAY_SIZE(targets))],
		 all.link_uid);
}

/* A link to a build, which is followed in kernels/. */
static void change_build(struct changer *c)
{
	char build[4096];

	c->dir = KERNELS;
	snprintf(build, sizeof(build), "%s/build/%d", all.outside,
		 (int)dice(&c->state, FORKS));
	put_link(c, build, all.uid);
}

static void change_node(struct changer *c)
{
	const struct {
		mode_t mode;
		dev_t device;
	} nodes[] = {
		{ S_IFIFO, 0 },
		{ S_IFIFO, 0 },
		{ S_IFSOCK, 0 },
		{ S_IFCHR, makedev(1, 3) },
		{ S_IFCHR, makedev(1, 5) },
		{ S_IFBLK, all.device },
	};
	uint64_t i = dice(&c->state, ARRAY_SIZE(nodes));

	if (mknodat(all.stage, c->tmp, nodes[i].mode | 0644, nodes[i].device))
		give_up("mknod");
	put(c);
}

static void change_hard_link(struct changer *c)
{
	char linked[4096];

	snprintf(linked, sizeof(linked), "%s/linked/%d", all.outside,
		 (int)dice(&c->state, FORKS));
	if (linkat(AT_FDCWD, linked, all.stage, c->tmp, 0) < 0)
		give_up("link");
	put(c);
}

static void change_unlink(struct changer *c)
{
	unlinkat(dirs[c->dir].fd, c->name, 0);
}

/* With a fifo put in its place at once. */
static void change_fifo(struct changer *c)
{
	change_unlink(c);
	mkfifoat(dirs[c->dir].fd, c->name, 0644);
}

static void change_cut(struct changer *c)
{
	struct stamp stamp;
	struct stat st;
	int fd;

	c->name = dice(&c->state, 2) ? "cut" : "cut2";
	fd = openat(dirs[c->dir].fd, c->name,
		    O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return;
	/* A hard link may have brought the name to a file that is not. */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	    pread(fd, &stamp, sizeof(stamp), 0) == sizeof(stamp) && stamp.cut &&
	    ftruncate(fd, (off_t)dice(&c->state, (uint64_t)st.st_size / BLOCK) *
				  BLOCK) < 0)
		give_up("ftruncate");
	close(fd);
}

static void change_exchange(struct changer *c)
{
	unsigned to = (unsigned)dice(&c->state, ARRAY_SIZE(dirs));

	renameat2(dirs[c->dir].fd, c->name, dirs[to].fd, c->name,
		  dice(&c->state, 2) ? RENAME_EXCHANGE : 0);
}

typedef void change_fn(struct changer *);

static change_fn *const changes[] = {
	change_file,	  change_file,	 change_file, change_link,
	change_link,	  change_build,	 change_node, change_node,
	change_hard_link, change_unlink, change_fifo, change_cut,
	change_exchange,
};

static void *changer(void *context)
{
	unsigned self = *(unsigned *)context;
	struct changer c = { .state = mix(all.id + self) };

	snprintf(c.tmp, sizeof(c.tmp), "tmp-%u", self);
	while (!all.over) {
		if (!all.writing) {
			pause_us(100);
			continue;
		}
		c.dir = (unsigned)dice(&c.state, ARRAY_SIZE(dirs));
		c.name = names[dice(&c.state, ARRAY_SIZE(names))];
		changes[dice(&c.state, ARRAY_SIZE(changes))](&c);
		atomic_fetch_add(&all.changes, 1);
	}
	return NULL;
}

/* Swaps a directory for something else, for a moment or for a while. */
static void *swapper(void *context)
{
	uint64_t state = mix(all.id + *(unsigned *)context);

	while (!all.over) {
		unsigned i = 1 + (unsigned)dice(&state, ARRAY_SIZE(dirs) - 1);
		int parent = dirs[dirs[i].parent].fd;
		const char *target = dice(&state, 2) ? "/etc" : all.outside;

		if (renameat(parent, dirs[i].name, all.stage, "dir") < 0)
			give_up("rename");
		if (dice(&state, 4) ? symlinkat(target, parent, dirs[i].name)
				    : mkfifoat(parent, dirs[i].name, 0644))
			give_up("symlink");
		pause_us(dice(&state, 4) ? dice(&state, 300)
					 : dice(&state, 50000));
		if (unlinkat(parent, dirs[i].name, 0) < 0 ||
		    renameat(all.stage, "dir", parent, dirs[i].name) < 0)
			give_up("rename");
		atomic_fetch_add(&all.swaps, 1);
		do
			pause_us(dice(&state, 20000));
		while (!all.writing && !all.over);
	}
	return NULL;
}

static void make_forks(const char *dir)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", all.outside, dir);
	if (mkdir(path, 0755) < 0)
		give_up(path);
	for (int i = 0; i < FORKS; i++) {
		snprintf(path, sizeof(path), "%s/%s/%d", all.outside, dir, i);
		write_file(AT_FDCWD, path, BLOCKS, false);
	}
}

static void prepare(const char *src)
{
	int top = open(src, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (i > 0 && mkdirat(top, dirs[i].path, 0755) < 0 &&
		    errno != EEXIST)
			give_up(dirs[i].path);
		dirs[i].fd = openat(top, dirs[i].path,
				    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dirs[i].fd < 0)
			give_up(dirs[i].path);
	}
	make_forks("build");
	make_forks("linked");
}

/* Changes and pauses, or nobody would get a disk. */
static void conduct(double seconds, uint64_t state)
{
	double end = now() + seconds;

	while (now() < end) {
		all.writing = true;
		pause_us(1000 + dice(&state, 15000));
		all.writing = false;
		pause_us(dice(&state, 40000));
	}
	all.over = true;
}

int main(int argc, char **argv)
{
	pthread_t threads[CHANGERS + 1];
	unsigned numbers[CHANGERS + 1];
	struct stat st;

	if (argc != 9) {
		fprintf(stderr,
			"usage: attack SECONDS SEED SRC STAGE OUTSIDE DEVICE "
			"UID LINK_UID\n");
		return 2;
	}
	umask(0);
	all.id = mix(strtoull(argv[2], NULL, 10)) >> 32 << 24;
	all.stage = open(argv[4], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	all.outside = argv[5];
	if (all.stage < 0 || stat(argv[6], &st) < 0)
		give_up("open");
	all.device = st.st_rdev;
	all.uid = (uid_t)strtoul(argv[7], NULL, 10);
	all.link_uid = (uid_t)strtoul(argv[8], NULL, 10);
	prepare(argv[3]);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
		numbers[i] = i;
		if (pthread_create(&threads[i], NULL,
				   i < CHANGERS ? changer : swapper,
				   &numbers[i]) != 0)
			give_up("pthread_create");
	}
	conduct(strtod(argv[1], NULL), all.id);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	printf("changes %lu swaps %lu\n", all.changes, all.swaps);
	return 0;
}
