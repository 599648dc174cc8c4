/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "boot/found.h"

#include <stdlib.h>

#include "base/vec.h"

void boot_kernels_free(struct boot_kernels *kernels)
{
	if (!kernels)
		return;
	for (size_t i = 0; i < kernels->entries.count; i++)
		boot_entry_clear(&kernels->entries.items[i]);
	vec_free(&kernels->entries);
	rejects_clear(&kernels->rejects);
	vec_free(&kernels->placeholders);
	free(kernels);
}

size_t boot_entries(const struct boot_kernels *kernels,
		    const struct boot_entry **ret_entries)
{
	*ret_entries = kernels->entries.items;
	return kernels->entries.count;
}

size_t boot_rejects(const struct boot_kernels *kernels,
		    const struct boot_reject **ret_rejects)
{
	*ret_rejects = kernels->rejects.items;
	return kernels->rejects.count;
}
