/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "boot/order.h"

#include <stdlib.h>
#include <string.h>

#include "boot/version.h"

static int group(const struct kernel *k)
{
	if (k->bls.id && bls_is_bad(&k->bls))
		return 5;
	if (k->on_top)
		return 1;
	if (k->bls.id && k->bls.sort_key)
		return 2;
	return k->named ? 3 : 4;
}

static int compare(const void *a, const void *b)
{
	const struct kernel *x = a;
	const struct kernel *y = b;
	int at = group(x);
	int r = at - group(y);

	if (r == 0)
		r = at == 1 || at == 3 ? version_compare(y->entry.version,
							 x->entry.version)
				       : bls_compare(&x->bls, &y->bls);
	if (r == 0)
		r = (x->entry.partition < y->entry.partition) -
		    (x->entry.partition > y->entry.partition);
	if (r == 0)
		r = strcmp(x->entry.path, y->entry.path);
	return r ? r
		 : strcmp(x->bls.id ? x->bls.id : "",
			  y->bls.id ? y->bls.id : "");
}

static int compare_times(const void *a, const void *b)
{
	const struct kernel *x = a;
	const struct kernel *y = b;
	int r = (x->mtime < y->mtime) - (x->mtime > y->mtime);

	if (r == 0)
		r = (x->mtime_ns < y->mtime_ns) - (x->mtime_ns > y->mtime_ns);
	return r ? r : compare(a, b);
}

void order_sort(struct kernels *kernels, enum boot_order order)
{
	if (kernels->count)
		qsort(kernels->items, kernels->count, sizeof(*kernels->items),
		      order == BOOT_ORDER_MTIME ? compare_times : compare);
}
