/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_TEXT_H
#define BOOT_TEXT_H

#include "imgcore/tree.h"

struct diag;

/* Limit of a text in bytes: ten times the longest command line. */
#define TEXT_MAX 65536u

/*
 * A small text file, whole, terminated. 0 with either the text or a reason why
 * there is none, which the caller frees; -ESTALE with a diagnostic, -ENOMEM.
 */
int text_read(const struct tree *tree, tree_id file, char **ret_text,
	      char **ret_reason, struct diag *diag);

#endif
