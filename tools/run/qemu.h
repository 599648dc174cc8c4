/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_QEMU_H
#define RUN_QEMU_H

/*
 * QEMU's command lines.
 *
 * Errors: negative errno.
 */

#include <stdbool.h>
#include <stdio.h>

struct run_options;

struct qemu_line {
	char **items; /* NULL behind the last */
	size_t count, size;
};

/* What boots the disk; the user's own arguments come last. */
int qemu_line_make(struct qemu_line *ret_line,
		   const struct run_options *options, const char *disk,
		   bool kvm, bool terminal);
/* What runs a boot sector by KVM; it is read from a descriptor. */
int qemu_line_probe(struct qemu_line *ret_line,
		    const struct run_options *options, int sector_fd);
void qemu_line_clear(struct qemu_line *line);

/* As a shell takes it. */
void qemu_line_print(const struct qemu_line *line, FILE *out);

/* Whether the user's arguments say how QEMU is to run: then we do not. */
bool qemu_accel_given(const struct run_options *options);

/* A descriptor of a boot sector that ends QEMU with QEMU_PROBE_STATUS. */
int qemu_probe_sector(void);
#define QEMU_PROBE_STATUS 33

#endif
