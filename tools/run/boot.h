/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_BOOT_H
#define RUN_BOOT_H

/* QEMU's start and end. */

struct machine;

/* Starts it once there is a disk, and an answer about KVM. */
void machine_boot(struct machine *machine);
/* Ends it, so that the next turn starts another. */
void machine_boot_again(struct machine *machine, const char *why);
/* It had its time to end. */
void machine_qemu_late(struct machine *machine);
void machine_qemu_ended(struct machine *machine, int status);

#endif
