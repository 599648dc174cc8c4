/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_DEVICE_LINE_H
#define BOOT_DEVICE_LINE_H

/* One line of a list of devices. */

#include "boot/devices.h"

/*
 * Takes a line, of len bytes without a NUL among them and with one behind, to
 * pieces: 1, 0 for one that says nothing, or a negative errno. Whatever it
 * returns, ret_device is set, and device_release frees what it has.
 */
int device_parse(struct device *ret_device, char *line, char **ret_reason);
void device_release(struct device *device);

#endif
