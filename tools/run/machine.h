/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_MACHINE_H
#define RUN_MACHINE_H

/*
 * What dirdisk-run does: a disk, a machine that boots it, and the end of both.
 */

struct run_options;

/* The exit status. */
int machine_run(const struct run_options *options);

#endif
