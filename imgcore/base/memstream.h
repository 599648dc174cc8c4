/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_MEMSTREAM_H
#define BASE_MEMSTREAM_H

/*
 * A stream into memory that reports lost text. glibc's open_memstream does not:
 * when memory runs out it loses what was printed, and neither ferror nor fclose
 * reports it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct memstream {
	FILE *file;
	char *items; /* what has been written so far */
	size_t count, size;
	bool failed;
	char buffer[1024]; /* of the stream */
};

/* Opens the stream to print to; NULL: out of memory. memstream_close ends it.
 */
FILE *memstream_open(struct memstream *ret_stream);

/*
 * Returns the text, with a NUL after it; the caller frees it. -ENOMEM, and no
 * text, if any of it was lost. ret_len may be NULL.
 */
int memstream_close(struct memstream *stream, char **ret_text, size_t *ret_len);

#endif
