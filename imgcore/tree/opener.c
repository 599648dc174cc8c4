/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "imgcore/opener.h"

#include <stddef.h>

#include "tree/host.h"

struct opener *opener_ref(struct opener *opener)
{
	if (opener)
		atomic_fetch_add_explicit(&opener->users, 1,
					  memory_order_relaxed);
	return opener;
}

void opener_unref(struct opener *opener)
{
	if (opener && atomic_fetch_sub(&opener->users, 1) == 1)
		opener->release(opener);
}

int opener_open(struct opener *opener, int root_fd, const char *path,
		bool cross_mounts, uint64_t own_dev, int flags)
{
	if (opener && opener->open)
		return opener->open(opener, path, own_dev, flags);
	return cross_mounts ? host_open_across(root_fd, path, own_dev, flags)
			    : host_open_beneath(root_fd, path, flags);
}

int opener_open_link(struct opener *opener, int root_fd, const char *path,
		     uint64_t own_dev, int flags)
{
	if (opener && opener->open_link)
		return opener->open_link(opener, path, own_dev, flags);
	return host_open_link(root_fd, path, own_dev, flags);
}
