/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The commands of GRUB that load a kernel quote their arguments once more:
 * double quotes around one with a space, which the kernel takes off, and a
 * backslash before quotes and backslashes, which it does not. An argument that
 * does not fit into the kernel's command line is left out, and all behind it,
 * without a word.
 */
#include "boot/cmdline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/memstream.h"
#include "base/quote.h"
#include "base/vec.h"

/* Where the word at text ends: a space outside of double quotes. */
static const char *word_end(const char *text)
{
	bool quoted = false;

	for (; *text && (quoted || *text != ' '); text++)
		if (*text == '"')
			quoted = !quoted;
	return text;
}

/*
 * Takes the quotes off a word that has them where the kernel does: around all
 * of it, or around its value. False for quotes anywhere else.
 */
static bool word_unquote(char *word)
{
	size_t len = strlen(word);
	char *first = strchr(word, '"');
	char *equals = strchr(word, '=');

	if (!first)
		return true;
	if (first != word && (!equals || first != equals + 1))
		return false;
	if (strchr(first + 1, '"') != word + len - 1)
		return false;
	word[len - 1] = '\0';
	memmove(first, first + 1, strlen(first));
	return true;
}

/*
 * The next word, its quotes taken off; NULL in it at the end. -EINVAL: quotes
 * at other places; the word is as it stands there.
 */
static int next_word(const char **text, char **ret_word)
{
	const char *end;

	*text += strspn(*text, " ");
	*ret_word = NULL;
	if (!**text)
		return 0;
	end = word_end(*text);
	*ret_word = strndup(*text, (size_t)(end - *text));
	*text = end;
	if (!*ret_word)
		return -ENOMEM;
	return word_unquote(*ret_word) ? 0 : -EINVAL;
}

static const char *bad_character(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return "control characters cannot be handed to a "
			       "kernel; part with spaces";
		if (*text == '\'')
			return "GRUB hands no ' to a kernel; quote with \"";
		if (*text == '\\')
			return "GRUB hands no \\ to a kernel; leave it out";
	}
	return NULL;
}

int cmdline_check(const char *text, char **ret_reason)
{
	const char *bad = bad_character(text);

	*ret_reason = NULL;
	if (bad) {
		*ret_reason = strdup(bad);
		return *ret_reason ? 0 : -ENOMEM;
	}
	for (;;) {
		_cleanup_free_ char *word = NULL;
		int r = next_word(&text, &word);

		if (r == 0 && word)
			continue;
		if (r != -EINVAL)
			return r;
		if (asprintf(ret_reason,
			     "quotes stand around an argument or its value, "
			     "not as in %.64s",
			     word) >= 0)
			return 0;
		*ret_reason = NULL;
		return -ENOMEM;
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

static bool has_root(const char *text)
{
	return text && cmdline_has(text, "root=");
}

/* Of two words that say the same the kernel takes the last. */
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
	if (r == 0 && parts->root && !has_root(parts->own) &&
	    !has_root(parts->append))
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
