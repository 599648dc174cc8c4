/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names are those of grub-mkconfig's 10_linux: VERSION is the file's name
 * without `^[^0-9]*-`.
 */
#include "boot/names.h"

#include <string.h>

#include "imgcore/boot.h"

bool name_starts(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

bool name_ends(const char *name, const char *with)
{
	size_t len = strlen(name);
	size_t with_len = strlen(with);

	return len >= with_len && strcmp(name + len - with_len, with) == 0;
}

static bool is_kernel(const char *name, bool below)
{
	if (strcmp(name, "bzImage") == 0 || strcmp(name, "vmlinuz") == 0)
		return true;
	if (below)
		return name_starts(name, "vmlinuz");
	return name_starts(name, "vmlinuz-") || name_starts(name, "kernel-");
}

enum name_kind name_kind(const char *name, bool below)
{
	size_t len = strlen(name);

	if (name_ends(name, ".cmdline"))
		return NAME_CMDLINE;
	if (is_kernel(name, below)) {
		if (strstr(name, ".dpkg-") || name_ends(name, ".rpmsave") ||
		    name_ends(name, ".rpmnew") || name_ends(name, ".sig"))
			return NAME_LEFT_OVER;
		/* GRUB drops carriage returns from every line of a menu. */
		return strchr(name, '\r') ? NAME_UNQUOTABLE : NAME_KERNEL;
	}
	if (strcmp(name, "vmlinux") == 0 || name_starts(name, "vmlinux-"))
		return NAME_VMLINUX;
	if (name_starts(name, "initrd") || name_starts(name, "initramfs"))
		return NAME_INITRD;
	return boot_is_archive(name, len) ? NAME_MODULES : NAME_OTHER;
}

bool name_is_unversioned(const char *name)
{
	return !name_starts(name, "vmlinuz-") && !name_starts(name, "kernel-");
}

const char *name_version(const char *name)
{
	const char *version = name;

	for (const char *p = name; *p && (*p < '0' || *p > '9'); p++)
		if (*p == '-')
			version = p + 1;
	return *version ? version : name;
}

static bool starts(const char *name, size_t len, const char *with)
{
	size_t with_len = strlen(with);

	return len >= with_len && memcmp(name, with, with_len) == 0;
}

bool boot_is_archive(const char *name, size_t len)
{
	if (starts(name, len, "modules-") ||
	    (len == 7 && starts(name, len, "modules")))
		return true;
	return len > 2 && memcmp(name + len - 2, ".d", 2) == 0 &&
	       (starts(name, len, "initrd") || starts(name, len, "initramfs"));
}
