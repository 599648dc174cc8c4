/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMAGE_WRITES_H
#define IMAGE_WRITES_H

/*
 * When files were last written, by their names: a moment is a number that grows
 * with each write. The record has a bound; what it has forgotten counts as
 * written. Threading: one thread at a time.
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
	uint64_t forgotten; /* nothing is known of what was before */
};

/* A name in the directory of a watch; "": what is watched itself. */
void writes_note(struct writes *writes, int32_t watch, const char *name,
		 size_t len);
/* Whatever happened until now is not known. */
void writes_forget(struct writes *writes);
/* Whether it is known what happened since a moment. */
static inline bool writes_known(const struct writes *writes, uint64_t since)
{
	return since >= writes->forgotten;
}
/* Whether a name was noted after a moment. */
bool writes_since(const struct writes *writes, int32_t watch, const char *name,
		  size_t len, uint64_t since);
void writes_release(struct writes *writes);

#endif
