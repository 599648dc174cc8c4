/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "boot/grub_script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/math.h"

/* The end of a command rather than a word, and not a character of one. */
static bool ends_command(char c)
{
	return c == '\n' || c == ';' || c == '{' || c == '}' || c == '&' ||
	       c == '|';
}

static const char *take_single(const char *s, char **to)
{
	while (*s && *s != '\'')
		*(*to)++ = *s++;
	return *s ? s + 1 : s;
}

static const char *take_double(const char *s, char **to)
{
	while (*s && *s != '"') {
		if (*s == '\\' && s[1])
			s++;
		*(*to)++ = *s++;
	}
	return *s ? s + 1 : s;
}

/* Into word, which has room for all of s. What is behind it. */
static const char *take_word(const char *s, char *word)
{
	while (*s && *s != ' ' && *s != '\t' && !ends_command(*s)) {
		char c = *s++;

		if (c == '\'')
			s = take_single(s, &word);
		else if (c == '"')
			s = take_double(s, &word);
		else if (c == '\\' && *s)
			*word++ = *s++;
		else
			*word++ = c;
	}
	*word = '\0';
	return s;
}

struct reader {
	int (*found)(void *context, const char *path, bool kernel);
	void *context;
};

/* What follows as arguments is... */
enum role {
	ROLE_NONE,
	ROLE_KERNEL, /* a kernel, then its command line */
	ROLE_INITRDS,
};

static enum role role_of(const char *command)
{
	if (strcmp(command, "linux") == 0 || strcmp(command, "linux16") == 0)
		return ROLE_KERNEL;
	if (strcmp(command, "initrd") == 0 || strcmp(command, "initrd16") == 0)
		return ROLE_INITRDS;
	return ROLE_NONE;
}

/* "(hd0,msdos2)/kernels/a" and "/kernels/a" are both kernels/a. */
static int take_file(const struct reader *reader, const char *word,
		     enum role role)
{
	const char *path = *word == '(' ? strchr(word, ')') : NULL;

	path = path ? path + 1 : word;
	if (*path != '/')
		return 0;
	path += strspn(path, "/");
	if (!*path)
		return 0;
	return reader->found(reader->context, path, role == ROLE_KERNEL);
}

/* A command follows it. */
static bool is_keyword(const char *word)
{
	static const char *const keywords[] = { "if",	"then",	 "elif",
						"else", "while", "until",
						"do",	"!" };

	for (size_t i = 0; i < ARRAY_SIZE(keywords); i++) {
		if (strcmp(word, keywords[i]) == 0)
			return true;
	}
	return false;
}

int grub_script_files(const char *text,
		      int (*found)(void *context, const char *path,
				   bool kernel),
		      void *context)
{
	const struct reader reader = { found, context };
	_cleanup_free_ char *word = malloc(strlen(text) + 1);
	enum role role = ROLE_NONE;
	bool command = true;
	int r = word ? 0 : -ENOMEM;

	while (r == 0 && *text) {
		if (*text == ' ' || *text == '\t') {
			text++;
		} else if (ends_command(*text)) {
			text++;
			command = true;
		} else if (*text == '#') {
			text += strcspn(text, "\n");
		} else {
			text = take_word(text, word);
			if (command && is_keyword(word))
				continue;
			if (command)
				role = role_of(word);
			else if (role != ROLE_NONE && *word != '-')
				r = take_file(&reader, word, role);
			/* What follows a kernel is its command line. */
			if (!command && role == ROLE_KERNEL && *word != '-')
				role = ROLE_NONE;
			command = false;
		}
	}
	return r;
}
