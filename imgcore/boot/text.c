/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "boot/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "imgcore/diag.h"

static int reason_is(const char *reason, char **ret_reason)
{
	*ret_reason = strdup(reason);
	return *ret_reason ? 0 : -ENOMEM;
}

int text_read(const struct tree *tree, tree_id file, char **ret_text,
	      char **ret_reason, struct diag *diag)
{
	struct diag ignored = DIAG_INIT;
	_cleanup_free_ char *text = NULL;
	struct tree_info info;
	int r = 0;

	*ret_text = *ret_reason = NULL;
	tree_get(tree, file, &info);
	if (info.size > TEXT_MAX) {
		if (asprintf(ret_reason, "has %llu bytes: %u at most",
			     (unsigned long long)info.size, TEXT_MAX) >= 0)
			return 0;
		*ret_reason = NULL;
		return -ENOMEM;
	}
	text = calloc(1, (size_t)info.size + 1);
	if (!text)
		return -ENOMEM;
	if (info.size)
		r = tree_read(tree, file, text, (size_t)info.size, 0, &ignored);
	if (r == -ESTALE)
		diag_set(diag, r, ignored.path, "%s",
			 ignored.reason ? ignored.reason : strerror(-r));
	diag_clear(&ignored);
	if (r == -ESTALE || r == -ENOMEM)
		return r;
	if (r < 0)
		return reason_is("cannot be read", ret_reason);
	if (strlen(text) != info.size)
		return reason_is("is no text: it has a zero byte", ret_reason);
	*ret_text = take_ptr(text);
	return 0;
}
