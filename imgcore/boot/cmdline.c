/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The commands of GRUB that load a kernel quote their arguments once more:
 * double quotes around one with a space, which the kernel takes off, and a
 * backslash before quotes and backslashes, which it does not. They leave out an
 * argument that does not fit into the kernel's command line, and all after it,
 * without a message.
 */
#include "boot/cmdline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/memstream.h"
#include "base/quote.h"
#include "base/text.h"
#include "base/vec.h"

/*
 * Sets the next word without its quotes; NULL at the end. The kernel takes
 * quotes off that are around all of a word, or around its value. -EINVAL for
 * quotes elsewhere, and the word is as it is up to the next space outside them.
 */
static int next_word(const char **text, char **ret_word)
{
	const char *end;
	bool quoted = false;
	char *word, *first, *equals;
	size_t len;

	*text += strspn(*text, " ");
	*ret_word = NULL;
	if (!**text)
		return 0;
	for (end = *text; *end && (quoted || *end != ' '); end++)
		if (*end == '"')
			quoted = !quoted;
	len = (size_t)(end - *text);
	*ret_word = word = strndup(*text, len);
	*text = end;
	if (!word)
		return -ENOMEM;
	first = strchr(word, '"');
	equals = strchr(word, '=');
	if (!first)
		return 0;
	if (first != word && (!equals || first != equals + 1))
		return -EINVAL;
	if (strchr(first + 1, '"') != word + len - 1)
		return -EINVAL;
	word[len - 1] = '\0';
	memmove(first, first + 1, strlen(first));
	return 0;
}

int cmdline_check(const char *text, char **ret_reason)
{
	*ret_reason = NULL;
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return text_format(ret_reason,
					   "control characters cannot be "
					   "handed to a kernel; part with "
					   "spaces");
		if (*c == '\'')
			return text_format(ret_reason,
					   "GRUB hands no ' to a kernel; quote "
					   "with \"");
		if (*c == '\\')
			return text_format(
				ret_reason,
				"GRUB hands no \\ to a kernel; leave "
				"it out");
	}
	for (;;) {
		_cleanup_free_ char *word = NULL;
		int r = next_word(&text, &word);

		if (r == -EINVAL)
			return text_format(ret_reason,
					   "quotes stand around an argument or "
					   "its value, not as in %.64s",
					   word);
		if (r < 0 || !word)
			return r;
	}
}

/*
 * The disk's name. Its signature follows from the content of both trees, which
 * the menu is a part of: so the signature is written last.
 */
#define ROOT_PREFIX "root=PARTUUID="
#define ROOT	    ROOT_PREFIX "00000000-02"

static int put_words(FILE *f, const char *text,
		     void (*put)(FILE *f, const char *word),
		     struct boot_placeholders *placeholders)
{
	for (;;) {
		_cleanup_free_ char *word = NULL;
		int r = next_word(&text, &word);

		if (r < 0 || !word)
			return r;
		fputc(' ', f);
		if (placeholders && strcmp(word, ROOT) == 0) {
			size_t *offset = vec_push(placeholders);

			if (!offset)
				return -ENOMEM;
			*offset = (size_t)ftell(f) + strlen(ROOT_PREFIX);
		}
		put(f, word);
	}
}

static void put_passed(FILE *f, const char *word)
{
	fprintf(f, strchr(word, ' ') ? "\"%s\"" : "%s", word);
}

int cmdline_put(FILE *f, const char *text,
		struct boot_placeholders *placeholders)
{
	return put_words(f, text, put_passed, placeholders);
}

int cmdline_quote(FILE *f, const char *text,
		  struct boot_placeholders *placeholders)
{
	return put_words(f, text, quote_word, placeholders);
}

void cmdline_sign(char *text, const struct boot_placeholders *placeholders,
		  uint32_t disk_signature)
{
	char digits[9];

	snprintf(digits, sizeof(digits), "%08x", disk_signature);
	for (size_t i = 0; i < placeholders->count; i++)
		memcpy(text + placeholders->items[i], digits, 8);
}

bool cmdline_has(const char *text, const char *prefix)
{
	for (;;) {
		_cleanup_free_ char *word = NULL;

		if (next_word(&text, &word) < 0 || !word)
			return false;
		if (strncmp(word, prefix, strlen(prefix)) == 0)
			return true;
	}
}

uint64_t cmdline_size(const char *path, const char *arguments)
{
	uint64_t size = strlen("BOOT_IMAGE=") + strlen(arguments);

	/* Quotes around a path with spaces, and a backslash before these. */
	if (strchr(path, ' '))
		size += 2;
	for (; *path; path++)
		size += 1 + (*path == '\'' || *path == '"' || *path == '\\');
	return size + (*arguments != '\0');
}

/* The kernel uses the last of several words with one name. */
int cmdline_make(const struct cmdline *parts, char **ret_text,
		 struct boot_placeholders *placeholders)
{
	_cleanup_free_ char *text = NULL;
	struct memstream stream;
	FILE *f = memstream_open(&stream);
	size_t len;
	int r = 0;
	int closed;

	if (!f)
		return -ENOMEM;
	r = cmdline_put(f, parts->consoles, NULL);
	if (r == 0 && parts->root &&
	    !(parts->own && cmdline_has(parts->own, "root=")) &&
	    !(parts->append && cmdline_has(parts->append, "root=")))
		r = cmdline_put(f, ROOT " rw", placeholders);
	if (r == 0 && parts->own)
		r = cmdline_put(f, parts->own, placeholders);
	if (r == 0 && parts->append)
		r = cmdline_put(f, parts->append, placeholders);
	closed = memstream_close(&stream, &text, &len);
	if (r < 0 || closed < 0)
		return r < 0 ? r : closed;
	memmove(text, text + 1, len); /* the first space */
	for (size_t i = 0; i < placeholders->count; i++)
		placeholders->items[i]--;
	*ret_text = take_ptr(text);
	return 0;
}
