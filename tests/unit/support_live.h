/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UNIT_SUPPORT_LIVE_H
#define UNIT_SUPPORT_LIVE_H

/* A directory that changes, and its generations. */

#include "support_image.h"

#include <stdatomic.h>

#include "imgcore/live.h"

DEFINE_CLEANUP(struct live, live_free)
#define _cleanup_live_ _cleanup_(live_freep)

static inline void unrefp(struct generation **generation)
{
	generation_unref(*generation);
}
#define _cleanup_generation_ _cleanup_(unrefp)

struct notices {
	atomic_uint n;
	char last[512];
};

static inline void count_notice(void *context, const struct diag *diag, int err)
{
	struct notices *notices = context;
	_cleanup_free_ char *text = diag_format(diag, err);

	atomic_fetch_add(&notices->n, 1);
	snprintf(notices->last, sizeof(notices->last), "%s", text);
}

static inline struct live *live_of(int fd, struct notices *notices)
{
	const struct live_options options = {
		.image = {
			.src_fd = fd,
			.src_path = "/src",
			.boot.no_grub = true,
		},
		.notice = notices ? count_notice : NULL,
		.context = notices,
	};
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct live *live;

	if (live_new(&live, &options, &diag) < 0)
		fail_msg("%s: %s", diag.path, diag.reason);
	live_start_thread(live);
	return live;
}

static inline struct generation *newest(struct live *live)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct generation *g;

	if (live_newest(live, &g, &diag) < 0)
		fail_msg("%s: %s", diag.path, diag.reason);
	return g;
}

static inline const struct tree *tree_of(struct generation *g)
{
	return image_tree(generation_image(g), 1);
}

static inline void make_dirs(int fd)
{
	assert_sys(mkdirat(fd, "kernels", 0755));
	assert_sys(mkdirat(fd, "kernels/sub", 0755));
	assert_sys(mkdirat(fd, "other", 0755));
	put_text(fd, "kernels/a", "one");
	put_text(fd, "kernels/b", "two");
	put_text(fd, "kernels/sub/c", "three");
	put_text(fd, "other/d", "four");
	assert_sys(symlinkat("a", fd, "kernels/link"));
}

/* The newest generation's trees are those that a scan from scratch finds. */
static inline void assert_is_now(struct generation *g, int fd)
{
	struct tree_scan_options options = { .part = TREE_PART_WITHOUT,
					     .subdir = "boot" };
	_cleanup_tree_ struct tree *tree = scan(fd, &options, NULL);
	const struct tree *is = tree_of(g);
	unsigned found = 0;

	for (tree_id id = 0; id < tree_count(tree); id++) {
		_cleanup_free_ char *path = NULL;
		struct tree_info want, info;
		tree_id at;

		assert_ok(tree_path(tree, id, &path));
		at = must_find(is, path);
		tree_get(tree, id, &want);
		tree_get(is, at, &info);
		found++;
		assert_int_equal(info.size, want.size);
		assert_int_equal(info.nlink, want.nlink);
		assert_memory_equal(&info.attr, &want.attr, sizeof(info.attr));
		assert_int_equal(info.xattrs != 0, want.xattrs != 0);
		if (S_ISREG(want.attr.mode)) {
			_cleanup_close_ int file = -1;
			_cleanup_diag_ struct diag diag = DIAG_INIT;

			if (open_host(is, at, &file, &diag) < 0)
				fail_msg("%s: %s", diag.path, diag.reason);
		}
	}
	/* lost+found is ours. */
	assert_int_equal(tree_count(is), found + 1);
}

#endif
