/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image_options.h"

#include "imgcore/paths.h"
#include "options.h"

const char *image_options_follow(const struct options *options)
{
	return options->no_follow ? NULL : PATH_KERNELS;
}

void image_options_fill(struct image_options *ret_image,
			const struct options *options)
{
	*ret_image = (struct image_options){
		.src_fd = -1,
		.scan = {
			.unreadable = options->unreadable,
			.xattrs = options->xattrs,
			.follow = image_options_follow(options),
			.cross_mounts = options->cross_mounts,
			.owner = options->owner,
			.uid = options->uid,
			.gid = options->gid,
			.clamp_time = options->clamp_time,
			.latest_time = options->latest_time,
		},
		.uuid = options->has_uuid ? options->uuid : NULL,
		.size = options->size,
		.boot_size = options->boot_size,
		.free = options->free,
		.serve_stale = options->stale_serve,
		.boot = {
			.no_grub = options->no_grub,
			.grub_dir = options->grub_dir,
			.core_image = options->core_image,
			.append = options->append,
			.default_entry = options->default_entry,
			.order = options->order,
			.timeout = options->timeout,
			.console = options->console,
		},
	};
}
