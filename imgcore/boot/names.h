/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_NAMES_H
#define BOOT_NAMES_H

/* What files in kernels/ and boot/ are, by their names. */

#include <stdbool.h>

bool name_starts(const char *name, const char *with);
bool name_ends(const char *name, const char *with);

enum name_kind {
	NAME_OTHER,
	NAME_KERNEL,
	NAME_LEFT_OVER, /* left beside kernels by packages; signatures */
	NAME_VMLINUX, /* a kernel before it is packed */
	NAME_CMDLINE, /* VMLINUZ.cmdline */
	NAME_INITRD,
	NAME_MODULES, /* an archive's */
	NAME_UNQUOTABLE, /* a kernel's that cannot be quoted for GRUB */
};

/* below: in kernels/NAME/, where `vmlinuz*` is a kernel, whatever follows. */
enum name_kind name_kind(const char *name, bool below);

/* Whether a kernel's name contains no version. */
bool name_is_unversioned(const char *name);
/* A kernel's name without `^[^0-9]*-`, never empty. */
const char *name_version(const char *name);

#endif
