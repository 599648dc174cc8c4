/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_BLS_H
#define BOOT_BLS_H

/*
 * An entry of the Boot Loader Specification, type 1: a file in loader/entries/.
 * Source: UAPI.1, https://uapi-group.org/specifications/.
 */

#include <stdbool.h>
#include <stddef.h>

struct boot_target;

/* Bytes of a title or path, and of a sort key; lines "initrd". */
#define BLS_VALUE_MAX	4095
#define BLS_KEY_MAX	255
#define BLS_INITRDS_MAX 100

struct bls {
	char *id; /* its name without ".conf"; NULL: there is no entry */
	/* Values, NULL where the key is missing. */
	char *title;
	char *version;
	char *machine_id;
	char *sort_key;
	char *linux_path;
	char *options; /* all of them, a space between two */
	char *architecture;
	char **initrds;
	size_t n_initrds; /* BLS_INITRDS_MAX + 1: there are more */
	bool efi;
};

/* Takes the keys and values out of text, which it changes. 0 or -ENOMEM. */
int bls_parse(struct bls *bls, const char *id, char *text);
void bls_clear(struct bls *bls);

/*
 * The reason why a disk for this target cannot offer it, before any file is
 * looked for, or NULL.
 */
const char *bls_unsupported(const struct bls *bls,
			    const struct boot_target *target);

/* Whether its boots are counted, and none is left. */
bool bls_is_bad(const struct bls *bls);

/*
 * The order of versions (UAPI.10, Version Format Specification), which is not
 * that of kernels (boot/version.h). Negative, zero or positive; zero for
 * different strings too ("1" and "1_").
 */
int bls_compare_versions(const char *a, const char *b);

/* The order of the menu: negative if a is above b. */
int bls_compare(const struct bls *a, const struct bls *b);

#endif
