/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_SUPERVISOR_H
#define FS_SUPERVISOR_H

#include <sys/types.h>

struct dirdisk_options;

/*
 * The process that starts worker and opener, and mounts and unmounts the disk.
 * It holds no part of the disk, so it unmounts however the worker ends.
 *
 * launcher: the channel to the launcher. Runs until the disk is unmounted, and
 * returns the exit code. Until the disk has been read once, a worker that makes
 * no progress is ended.
 */
int supervisor_run(const struct dirdisk_options *options, int launcher);

#endif
