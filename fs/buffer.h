/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_BUFFER_H
#define FS_BUFFER_H

/* This thread's buffer of MOUNT_MAX_READ bytes. NULL: no memory. */
void *buffer_get(void);

#endif
