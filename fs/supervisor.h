/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_SUPERVISOR_H
#define FS_SUPERVISOR_H

#include <sys/types.h>

struct options;

/*
 * The process that mounts and unmounts, and does nothing else: it holds no part
 * of the disk, so it is there to tidy up however the worker ends.
 *
 * launcher is the channel to the process that talks to the user. Runs until the
 * disk is unmounted; the exit code. Until the disk has been read once, a worker
 * that makes no progress is ended.
 */
int supervisor_run(const struct options *options, int launcher);

#endif
