/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/memstream.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/vec.h"

static ssize_t stream_write(void *cookie, const char *bytes, size_t len)
{
	struct memstream *stream = cookie;

	/* One byte more, for the NUL. */
	if (stream->failed || vec_reserve(stream, len + 1) < 0) {
		stream->failed = true;
		return 0;
	}
	memcpy(stream->items + stream->count, bytes, len);
	stream->count += len;
	return (ssize_t)len;
}

/* Only ftell uses it. */
static int stream_seek(void *cookie, off64_t *offset, int whence)
{
	const struct memstream *stream = cookie;

	if (*offset != 0 || whence != SEEK_CUR)
		return -1;
	*offset = (off64_t)stream->count;
	return 0;
}

FILE *memstream_open(struct memstream *ret_stream)
{
	const cookie_io_functions_t functions = { .write = stream_write,
						  .seek = stream_seek };

	*ret_stream = (struct memstream){ 0 };
	ret_stream->file = fopencookie(ret_stream, "w", functions);
	if (ret_stream->file)
		setvbuf(ret_stream->file, ret_stream->buffer, _IOFBF,
			sizeof(ret_stream->buffer));
	return ret_stream->file;
}

int memstream_close(struct memstream *stream, char **ret_text, size_t *ret_len)
{
	_cleanup_free_ char *text = NULL;
	bool failed = ferror(stream->file);

	if (fclose(stream->file) != 0 || stream->failed)
		failed = true;
	text = stream->items;
	if (!text && !failed)
		text = calloc(1, 1);
	if (!text || failed)
		return -ENOMEM;
	text[stream->count] = '\0';
	if (ret_len)
		*ret_len = stream->count;
	*ret_text = take_ptr(text);
	return 0;
}
