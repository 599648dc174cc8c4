/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_MEMSTREAM_H
#define BASE_MEMSTREAM_H

/*
 * A stream into memory that knows whether all of it is there. glibc's
 * open_memstream does not: where memory runs out it loses what was printed, and
 * neither ferror nor fclose say so.
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

/* The stream to print to; NULL: out of memory. memstream_close ends it. */
FILE *memstream_open(struct memstream *ret_stream);

/*
 * The text, with a NUL after it; the caller frees it. -ENOMEM, and no text,
 * where any of it was lost. ret_len may be NULL.
 */
int memstream_close(struct memstream *stream, char **ret_text, size_t *ret_len);

#endif
