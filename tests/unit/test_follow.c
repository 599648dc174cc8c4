/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Links that are followed by hand: as the kernel does it, but never into our
 * own mount.
 */
#include "support.h"

#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "tree/follow.h"

#define _cleanup_followed_ _cleanup_(followed_release)

static uint64_t seed;

static int try_follow(int dir, const char *name, uint64_t own_dev)
{
	_cleanup_followed_ struct followed f = FOLLOWED_INIT;

	return follow_resolve(dir, name, own_dev, -1, &f);
}

/* It leads to the file that the kernel finds at path. */
static void assert_leads(int dir, const char *name, const char *path)
{
	_cleanup_followed_ struct followed f = FOLLOWED_INIT;
	struct stat expected, is;

	assert_sys(fstatat(dir, path, &expected, 0));
	assert_ok(follow_resolve(dir, name, 0, -1, &f));
	assert_int_equal(f.stx.stx_ino, expected.st_ino);
	assert_int_equal(f.stx.stx_size, expected.st_size);
	assert_int_equal(makedev(f.stx.stx_dev_major, f.stx.stx_dev_minor),
			 expected.st_dev);
	assert_sys(fstatat(f.dirfd, f.name, &is, AT_SYMLINK_NOFOLLOW));
	assert_int_equal(is.st_ino, expected.st_ino);
	assert_int_equal(fcntl(f.dirfd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(f.dirfd, F_GETFL) & O_PATH, O_PATH);
}

static void put_link(int dir, const char *name, const char *text)
{
	assert_sys(symlinkat(text, dir, name));
}

/* ---- to a file ---- */

static void files(void **state)
{
	const struct temp *t = *state;
	char text[PATH_MAX];

	assert_sys(mkdirat(t->fd, "d", 0755));
	assert_sys(mkdirat(t->fd, "d/e", 0755));
	put_text(t->fd, "d/e/file", "some text");
	put_link(t->fd, "relative", "d/e/file");
	put_link(t->fd, "d/up", "../d/./e//file");
	put_link(t->fd, "chain", "d/up");
	put_link(t->fd, "dir", "d/e/");
	put_link(t->fd, "through", "dir/../../dir/file");
	snprintf(text, sizeof(text), "/..//%s/chain", t->path + 1);
	put_link(t->fd, "absolute", text);
	for (int i = 0; i < 6; i++)
		assert_leads(t->fd,
			     (const char *const[]){ "relative", "d/up", "chain",
						    "through", "absolute",
						    "d/e/file" }[i],
			     "d/e/file");
}

/* Forty links, as the kernel has it. */
static void chains(void **state)
{
	const struct temp *t = *state;
	char name[16], last[16] = "file";

	put_text(t->fd, "file", "text");
	for (int i = 1; i <= 41; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		put_link(t->fd, name, last);
		strcpy(last, name);
	}
	assert_leads(t->fd, "l40", "file");
	assert_int_equal(try_follow(t->fd, "l41", 0), -ELOOP);
	assert_int_equal(openat(t->fd, "l41", O_PATH), -1);
	assert_int_equal(errno, ELOOP);
}

/* What is left to go may be longer than any path that the kernel takes. */
static void long_ways(void **state)
{
	const struct temp *t = *state;
	char dots[4001] = "", text[PATH_MAX];

	for (size_t i = 0; i < sizeof(dots) - 1; i++)
		dots[i] = i % 2 ? '/' : '.';
	put_text(t->fd, "file", "text");
	snprintf(text, sizeof(text), "%s.", dots);
	put_link(t->fd, "here", text);
	snprintf(text, sizeof(text), "here/%shere/../%s/file", dots,
		 strrchr(t->path, '/') + 1);
	put_link(t->fd, "there", text);
	assert_leads(t->fd, "there", "file");
	assert_int_equal(try_follow(t->fd, "here", 0), -EISDIR);
	memset(text, 'x', 300);
	text[300] = '\0';
	put_link(t->fd, "name", text);
	assert_int_equal(try_follow(t->fd, "name", 0), -ENAMETOOLONG);
}

/* ---- to none ---- */

static void no_file(void **state)
{
	static const struct {
		const char *text;
		int err;
	} links[] = {
		{ "nothing", -ENOENT },
		{ "nothing/else", -ENOENT },
		{ "file/", -ENOTDIR },
		{ "file/.", -ENOTDIR },
		{ "file/../file", -ENOTDIR },
		{ "dir", -EISDIR },
		{ "dir/", -EISDIR },
		{ ".", -EISDIR },
		{ "..", -EISDIR },
		{ "dir/..", -EISDIR },
		{ "/", -EISDIR },
		{ "/..", -EISDIR },
		{ "fifo", -EINVAL },
		{ "/dev/null", -EINVAL },
		{ "loop", -ELOOP },
		{ "dir/back", -ELOOP },
	};
	const struct temp *t = *state;
	int next = open("/", O_PATH);

	close(next);
	put_text(t->fd, "file", "text");
	assert_sys(mkdirat(t->fd, "dir", 0755));
	assert_sys(mkfifoat(t->fd, "fifo", 0644));
	put_link(t->fd, "loop", "loop");
	put_link(t->fd, "dir/back", "../dir/back/x");
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		int r;

		put_link(t->fd, "link", links[i].text);
		r = try_follow(t->fd, "link", 0);
		if (r != links[i].err)
			fail_msg("%s: %d", links[i].text, r);
		assert_sys(unlinkat(t->fd, "link", 0));
	}
	assert_int_equal(try_follow(t->fd, "not there", 0), -ENOENT);
	/* No descriptor is left behind. */
	assert_int_equal(open("/", O_PATH), next);
	close(next);
}

/* The kernel would go to the pipe itself. */
static void by_the_text_alone(void **state)
{
	const struct temp *t = *state;
	char text[64];
	int fds[2];

	assert_sys(pipe(fds));
	snprintf(text, sizeof(text), "/proc/self/fd/%d", fds[0]);
	put_link(t->fd, "link", text);
	assert_int_equal(try_follow(t->fd, "link", 0), -ENOENT);
	close(fds[0]);
	close(fds[1]);
}

static int follow_as_nobody(void *context)
{
	const struct temp *t = context;

	if (geteuid() == 0 && setuid(65534) < 0)
		return 1;
	return try_follow(t->fd, "link", 0) == -EACCES ? 0 : 2;
}

static void closed_directory(void **state)
{
	struct temp *t = *state;

	assert_sys(mkdirat(t->fd, "dir", 0755));
	put_text(t->fd, "dir/file", "text");
	put_link(t->fd, "link", "dir/file");
	assert_leads(t->fd, "link", "dir/file");
	assert_sys(fchmodat(t->fd, "dir", 0600, 0));
	assert_int_equal(run_apart(follow_as_nobody, t), 0);
	assert_sys(fchmodat(t->fd, "dir", 0755, 0));
}

/* Another's link, where everyone may leave links. */
static void planted(void **state)
{
	static const struct {
		mode_t mode;
		uid_t link;
		int err;
	} cases[] = {
		{ 01777, 0, 0 },       { 01777, 1, 0 }, /* the directory's owner
							 */
		{ 01777, 2, -EACCES }, { 01755, 2, 0 }, { 0777, 2, 0 },
	};
	const struct temp *t = *state;

	if (geteuid() != 0)
		skip(); /* nobody else's links can be made */
	put_text(t->fd, "file", "text");
	assert_sys(mkdirat(t->fd, "dir", 0755));
	assert_sys(fchownat(t->fd, "dir", 1, 1, 0));
	put_link(t->fd, "dir/link", "../file");
	put_link(t->fd, "link", "dir/link");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_sys(fchmodat(t->fd, "dir", cases[i].mode, 0));
		assert_sys(fchownat(t->fd, "dir/link", cases[i].link, 0,
				    AT_SYMLINK_NOFOLLOW));
		assert_sys(fchownat(t->fd, "file", cases[i].link, 0, 0));
		assert_int_equal(try_follow(t->fd, "link", 0), cases[i].err);
	}
}

/* Another's link shows what is his, not what only we may read. */
static void owners_on_the_way(void **state)
{
	static const struct {
		uid_t first, second, file;
		int err;
	} cases[] = {
		{ 0, 0, 0, 0 },	      { 0, 0, 1, 0 },
		{ 0, 1, 1, 0 },	      { 1, 0, 1, 0 },
		{ 1, 1, 1, 0 },	      { 0, 1, 0, -EACCES },
		{ 1, 0, 0, -EACCES }, { 1, 2, 2, -EACCES },
		{ 1, 2, 1, -EACCES }, { 0, 1, 2, -EACCES },
	};
	const struct temp *t = *state;

	if (geteuid() != 0)
		skip(); /* nobody else's links can be made */
	put_text(t->fd, "file", "text");
	assert_sys(mkdirat(t->fd, "dir", 0755));
	put_link(t->fd, "way", "dir");
	put_link(t->fd, "dir/next", "../file");
	put_link(t->fd, "link", "way/next");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_sys(fchownat(t->fd, "way", cases[i].first, 0,
				    AT_SYMLINK_NOFOLLOW));
		assert_sys(fchownat(t->fd, "dir/next", cases[i].second, 0,
				    AT_SYMLINK_NOFOLLOW));
		assert_sys(fchownat(t->fd, "file", cases[i].file, 0, 0));
		assert_int_equal(try_follow(t->fd, "link", 0), cases[i].err);
	}
}

/* ---- our own mount: /proc stands for it ---- */

static void own_mount(void **state)
{
	static const char *const texts[] = {
		"/proc",
		"/proc/",
		"/proc/version",
		"/proc/nothing",
		"/proc/../proc/self",
		"elsewhere",
		"inside/version",
	};
	const struct temp *t = *state;
	_cleanup_close_ int proc = open("/proc", O_PATH);
	struct stat st;
	char text[PATH_MAX];

	assert_sys(fstat(proc, &st));
	put_text(t->fd, "file", "text");
	put_link(t->fd, "elsewhere", "/proc/version");
	put_link(t->fd, "inside", "/proc");
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		put_link(t->fd, "link", texts[i]);
		assert_int_equal(try_follow(t->fd, "link", st.st_dev), -EXDEV);
		assert_sys(unlinkat(t->fd, "link", 0));
	}
	assert_int_equal(try_follow(proc, "version", st.st_dev), -EXDEV);
	assert_leads(t->fd, "elsewhere", "/proc/version");
	/* Even where the way leads out of it again. */
	snprintf(text, sizeof(text), "/proc/..%s/file", t->path);
	put_link(t->fd, "link", text);
	assert_leads(t->fd, "link", "file");
	assert_int_equal(try_follow(t->fd, "link", st.st_dev), -EXDEV);
}

/* ---- out of the root ---- */

static bool out(const struct temp *t, const char *text)
{
	bool r;

	put_link(t->fd, "kernels/link", text);
	r = follow_leads_out(t->fd, "kernels", "link", 0, -1);
	assert_sys(unlinkat(t->fd, "kernels/link", 0));
	return r;
}

static void leads_out(void **state)
{
	const struct temp *t = *state;

	assert_sys(mkdirat(t->fd, "kernels", 0755));
	put_text(t->fd, "kernels/file", "text");
	put_link(t->fd, "away", "..");
	put_link(t->fd, "loop", "loop");
	put_link(t->fd, "in", "kernels/../kernels/file");
	assert_false(out(t, "file"));
	assert_false(out(t, "nothing"));
	assert_false(out(t, ".."));
	assert_false(out(t, "../nothing/at/all"));
	assert_false(out(t, "../loop"));
	assert_false(out(t, "../in"));
	assert_false(out(t, "../kernels/../kernels/.."));
	assert_true(out(t, "/"));
	assert_true(out(t, t->path));
	assert_true(out(t, "../.."));
	assert_true(out(t, "../../nothing"));
	assert_true(out(t, "../away"));
	assert_true(out(t, "../away/nothing"));
	assert_true(out(t, "../kernels/../.."));
	assert_true(follow_leads_out(t->fd, "", "away", 0, -1));
	assert_false(follow_leads_out(t->fd, "", "in", 0, -1));
	assert_false(follow_leads_out(t->fd, "", "not there", 0, -1));
}

/* What is mounted below the root belongs to it, but for ourselves. */
static void own_mount_inside(void **state)
{
	_cleanup_close_ int root = open("/", O_PATH);
	_cleanup_close_ int proc = open("/proc", O_PATH);
	struct stat st;

	assert_sys(fstat(proc, &st));
	assert_false(follow_leads_out(root, "proc", "version", st.st_dev, -1));
	assert_false(follow_leads_out(root, "proc/self", "exe", st.st_dev, -1));
	assert_true(follow_leads_out(root, "proc/self", "exe", 0, -1));
}

/* ---- the kernel as the judge ---- */

static const char *const words[] = { "a",  "b",	  "c",	 "a",	"b",
				     "..", "../", "a/.", "..//" };

static void random_text(const struct temp *t, char text[PATH_MAX])
{
	size_t n = 1 + random_below(&seed, 4);
	bool absolute = random_below(&seed, 12) == 0;

	strcpy(text, absolute ? t->path : "");
	for (size_t i = 0; i < n; i++) {
		if (i > 0 || absolute)
			strcat(text, "/");
		strcat(text, words[random_below(
				     &seed, sizeof(words) / sizeof(*words))]);
	}
	if (random_below(&seed, 10) == 0)
		strcat(text, "/");
}

/* Directories a, b and c in each other, with files and links. */
static void put_random(const struct temp *t, int dir, int depth)
{
	for (int i = 0; i < 3; i++) {
		const char name[2] = { (char)('a' + i), 0 };
		unsigned kind = (unsigned)random_below(&seed, 10);
		_cleanup_close_ int sub = -1;
		char text[PATH_MAX];

		random_text(t, text);
		if (kind < 4 && depth > 0) {
			assert_sys(mkdirat(dir, name, 0755));
			sub = openat(dir, name, O_RDONLY | O_DIRECTORY);
			put_random(t, sub, depth - 1);
		} else if (kind < 6) {
			put_text(dir, name, "text");
		} else if (kind < 9) {
			put_link(dir, name, text);
		}
	}
}

/* What follow_resolve should say, by the kernel. */
static int kernel_says(int dir, const char *name, struct stat *st)
{
	_cleanup_close_ int fd = openat(dir, name, O_PATH);

	if (fd < 0)
		return -errno;
	assert_sys(fstat(fd, st));
	if (S_ISDIR(st->st_mode))
		return -EISDIR;
	return S_ISREG(st->st_mode) ? 0 : -EINVAL;
}

static bool kernel_says_out(int root, const char *name)
{
	struct open_how how = { .flags = O_PATH, .resolve = RESOLVE_BENEATH };
	_cleanup_close_ int fd = -1;

	/* EAGAIN: somebody else renamed or mounted while it looked at "..". */
	do
		fd = (int)syscall(SYS_openat2, root, name, &how, sizeof(how));
	while (fd < 0 && errno == EAGAIN);
	return fd < 0 && errno == EXDEV;
}

static void compare(int root, const char *text, unsigned *found,
		    unsigned *outside)
{
	_cleanup_followed_ struct followed f = FOLLOWED_INIT;
	struct stat st;
	int expected, r;
	bool is_out;

	put_link(root, "link", text);
	expected = kernel_says(root, "link", &st);
	r = follow_resolve(root, "link", 0, -1, &f);
	if (r != expected || (r == 0 && f.stx.stx_ino != st.st_ino))
		fail_msg("%s: %d, not %d", text, r, expected);
	*found += r == 0;
	is_out = kernel_says_out(root, "link");
	if (follow_leads_out(root, "", "link", 0, -1) != is_out)
		fail_msg("%s leads %s", text, is_out ? "out" : "nowhere else");
	*outside += is_out;
	assert_sys(unlinkat(root, "link", 0));
}

static void as_the_kernel(void **state)
{
	const struct temp *t = *state;
	unsigned found = 0, outside = 0;

	for (int tree = 0; tree < 40 || found <= 50 || outside <= 50; tree++) {
		_cleanup_close_ int root = -1;
		char name[16], text[PATH_MAX];

		/* Few trees in which next to nothing is found are no fault. */
		assert_true(tree < 1000);
		snprintf(name, sizeof(name), "t%d", tree);
		assert_sys(mkdirat(t->fd, name, 0755));
		root = openat(t->fd, name, O_RDONLY | O_DIRECTORY);
		put_random(t, root, 3);
		for (int i = 0; i < 50; i++) {
			random_text(t, text);
			compare(root, text, &found, &outside);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		temp_test(files),
		temp_test(chains),
		temp_test(long_ways),
		temp_test(no_file),
		temp_test(by_the_text_alone),
		temp_test(closed_directory),
		temp_test(planted),
		temp_test(owners_on_the_way),
		temp_test(own_mount),
		temp_test(leads_out),
		cmocka_unit_test(own_mount_inside),
		temp_test(as_the_kernel),
	};

	seed = random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
