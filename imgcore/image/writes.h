/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_WRITES_H
#define IMAGE_WRITES_H

/*
 * A bounded record of when files were last written, by their names. A moment is
 * a number that grows with each write. Files that the record has forgotten
 * count as written. Threading: one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct writes {
	struct writes_slot {
		uint64_t key; /* 0: empty */
		uint64_t moment;
	} * slots;
	size_t count;
	size_t size; /* a power of two, or 0 */
	uint64_t now;
	uint64_t forgotten; /* nothing is known before this moment */
};

/* Records a write to a name in a watched directory; "": a watched file. */
void writes_note(struct writes *writes, int32_t watch, const char *name,
		 size_t len);
/* Forgets all writes until now. */
void writes_forget(struct writes *writes);
/* Whether all writes since a moment are known. */
static inline bool writes_known(const struct writes *writes, uint64_t since)
{
	return since >= writes->forgotten;
}
/* Whether a name was noted after a moment. */
bool writes_since(const struct writes *writes, int32_t watch, const char *name,
		  size_t len, uint64_t since);
void writes_release(struct writes *writes);

#endif
