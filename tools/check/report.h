/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CHECK_REPORT_H
#define CHECK_REPORT_H

/*
 * What a disk of a tree would be like: what boots, what does not, and all that
 * is in the way of making it. Found as dirdisk makes its disk, with a sink for
 * the diagnostics (imgcore/diag.h); nothing is read from the disk but its first
 * sector.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "findings.h"
#include "imgcore/boot.h"

struct image_options;

enum verdict {
	VERDICT_BOOTS,
	VERDICT_NOTHING_BOOTS,
	VERDICT_REFUSED, /* no disk can be made: there are problems */
};

/* Whose menu GRUB shows. */
enum menu {
	MENU_GENERATED,
	MENU_OWN, /* boot/grub/grub.cfg of the tree */
	MENU_NONE, /* no GRUB, or none that finds a menu */
};

struct report {
	const char *source; /* the options' */
	enum verdict verdict;
	enum menu menu;
	struct findings problems;
	struct findings notes; /* what is shown otherwise than it is */
	struct boot_kernels *kernels; /* NULL: none could be looked for */
	/* Unless it is refused: bytes. */
	uint64_t size;
	uint64_t partition_size[2];
	uint32_t signature;
};

/*
 * Examines the source. A negative errno with a diagnostic where that cannot be
 * done: what is wrong with the tree is no error, but what is found.
 */
int report_make(struct report *ret_report, const struct image_options *options,
		struct diag *diag);
void report_clear(struct report *report);

/* boot_entries; none where the tree could not be scanned. */
size_t report_entries(const struct report *report,
		      const struct boot_entry **ret_entries);
/* An entry's command line, with the disk's signature; the caller frees. */
char *report_arguments(const struct report *report,
		       const struct boot_entry *entry);

/* For people. 0 or -ENOMEM. */
int report_print(const struct report *report, FILE *out);
/* For programs: dirdisk-check(1) has the members. 0 or -ENOMEM. */
int report_print_json(const struct report *report, FILE *out);

#endif
