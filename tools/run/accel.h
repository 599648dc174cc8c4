/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_ACCEL_H
#define RUN_ACCEL_H

/* Which accelerator QEMU takes. */

struct machine;

int accel_begin(struct machine *machine);
void accel_ended(struct machine *machine, int status);
/* KVM had its time. */
void accel_late(struct machine *machine);

#endif
