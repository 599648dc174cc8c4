/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_NAMES_H
#define BOOT_NAMES_H

/* What the names of files in kernels/ and boot/ say, without looking at them.
 */

#include <stdbool.h>

bool name_starts(const char *name, const char *with);
bool name_ends(const char *name, const char *with);

enum name_kind {
	NAME_OTHER,
	NAME_KERNEL,
	NAME_LEFT_OVER, /* what packages leave beside kernels, signatures */
	NAME_VMLINUX, /* what a kernel is before it is packed */
	NAME_CMDLINE, /* VMLINUZ.cmdline */
	NAME_INITRD,
	NAME_MODULES, /* an archive's */
	NAME_UNSPEAKABLE, /* a kernel's that GRUB cannot be told */
};

/* below: in kernels/NAME/, where `vmlinuz*` is a kernel, whatever follows. */
enum name_kind name_kind(const char *name, bool below);

/* Whether a kernel's name says no version. */
bool name_is_bare(const char *name);
/* What is left of a kernel's name without `^[^0-9]*-`, never nothing. */
const char *name_version(const char *name);

#endif
