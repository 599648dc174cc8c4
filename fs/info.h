/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_INFO_H
#define FS_INFO_H

/*
 * The text files of info/. At its open, a file describes the generation that an
 * open of the disk would show at that moment.
 *
 * Memory: a bounded amount for each generation, however often its files are
 * open and however large the tree is.
 *
 * Errors: 0 or a negative errno.
 * Threading: any number of threads may read one open file.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <fuse_lowlevel.h>

struct generation;
struct info;
struct info_set;

#define INFO_DIR "info"

/* The names of the files, numbered from 0; NULL after the last. */
const char *info_name(size_t file);
/* The file of that name; false if there is none. */
bool info_find(const char *name, size_t *ret_file);
/* Whether it is about a generation. */
bool info_of_generation(size_t file);

/* The files of a generation, which they hold. The last unref frees them. */
int info_set_new(struct info_set **ret_set, struct generation *generation);
void info_set_unref(struct info_set *set);

/*
 * Opens a file, which holds set (NULL for a file about no generation).
 * info_unref closes it.
 */
int info_open(struct info **ret_info, size_t file, struct info_set *set);
/* Opens a given text; takes it over, also on failure. */
int info_open_text(struct info **ret_info, char *text);
void info_unref(struct info *info);
/* Answers req, perhaps later and by another thread. */
void info_read(struct info *info, fuse_req_t req, size_t size, uint64_t offset);

#endif
