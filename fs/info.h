/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_INFO_H
#define FS_INFO_H

/*
 * The text files beside the disk: what the generation is that an open of the
 * disk gives at the time when the file is opened.
 *
 * Errors: 0 or a negative errno.
 * Threading: any number of threads may read one open file.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct generation;
struct info;

#define INFO_DIR "info"

/* The files, numbered from 0; NULL behind the last. */
const char *info_name(size_t file);
/* The file of that name; false if there is none. */
bool info_find(const char *name, size_t *ret_file);
/* Whether it is about a generation. */
bool info_of_generation(size_t file);

/*
 * Opens a file; generation (NULL where it is about none) is held. The last
 * info_unref closes it.
 */
int info_open(struct info **ret_info, size_t file,
	      struct generation *generation);
/* The same of a text that is there already; takes it over on success. */
int info_open_text(struct info **ret_info, char *text);
void info_ref(struct info *info);
void info_unref(struct info *info);
/* Bytes from offset on, at most size: they are info's. */
ssize_t info_read(struct info *info, size_t size, uint64_t offset,
		  const char **ret_bytes);

#endif
