/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * GRUB's errors count until a kernel has said that it runs: what a program in
 * the guest writes is its own affair.
 */
#include "serial.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "imgcore/diag.h"

#define LINE_LEN    16384
#define TROUBLE_LEN 256

enum escape {
	ESCAPE_NONE,
	ESCAPE_BEGUN, /* behind ESC */
	ESCAPE_CONTROL, /* ESC [ ... up to a letter */
	ESCAPE_CHARSET, /* ESC ( and one more */
	ESCAPE_STRING, /* ESC ] ... up to BEL or ESC \ */
};

struct serial {
	regex_t expect;
	enum escape escape;
	char line[LINE_LEN + 1];
	size_t len;
	bool cut; /* the line began before */
	bool fresh; /* the line has not been looked at */
	bool kernel; /* one runs */
	char error[TROUBLE_LEN]; /* GRUB's last */
	bool seen;
	enum serial_trouble trouble;
	char trouble_line[TROUBLE_LEN];
};

int serial_new(struct serial **ret_serial, const char *expect,
	       struct diag *diag)
{
	struct serial *serial = calloc(1, sizeof(*serial));
	_cleanup_free_ char *option = NULL;
	char reason[256];
	int r;

	if (!serial)
		return -ENOMEM;
	r = regcomp(&serial->expect, expect, REG_EXTENDED | REG_NOSUB);
	if (r == 0) {
		*ret_serial = serial;
		return 0;
	}
	regerror(r, &serial->expect, reason, sizeof(reason));
	free(serial);
	if (r == REG_ESPACE || asprintf(&option, "--expect=%s", expect) < 0) {
		option = NULL;
		return -ENOMEM;
	}
	return diag_set(diag, -EINVAL, option,
			"%s; give an extended regular expression", reason);
}

void serial_free(struct serial *serial)
{
	if (!serial)
		return;
	regfree(&serial->expect);
	free(serial);
}

void serial_restart(struct serial *serial)
{
	serial->escape = ESCAPE_NONE;
	serial->len = 0;
	serial->cut = serial->fresh = serial->kernel = false;
	serial->error[0] = '\0';
	serial->trouble = SERIAL_NO_TROUBLE;
}

/* ---- lines ---- */

static void set_trouble(struct serial *serial, enum serial_trouble trouble,
			const char *line)
{
	if (serial->trouble != SERIAL_NO_TROUBLE)
		return;
	serial->trouble = trouble;
	snprintf(serial->trouble_line, TROUBLE_LEN, "%.*s", TROUBLE_LEN - 1,
		 line);
}

static bool begins(const char *line, const char *with)
{
	return strncmp(line, with, strlen(with)) == 0;
}

/* The line is this, but for spaces behind. */
static bool is_prompt(const char *line, const char *prompt)
{
	size_t len = strlen(prompt);

	return begins(line, prompt) && !line[len + strspn(line + len, " ")];
}

static void look(struct serial *serial, bool complete)
{
	int flags = (serial->cut ? REG_NOTBOL : 0) |
		    (complete ? 0 : REG_NOTEOL);
	const char *line = serial->line;
	const char *panic;

	serial->line[serial->len] = '\0';
	serial->fresh = false;
	if (!serial->seen &&
	    regexec(&serial->expect, line, 0, NULL, flags) == 0)
		serial->seen = true;
	panic = strstr(line, "Kernel panic - not syncing");
	if (panic)
		set_trouble(serial, SERIAL_PANIC, panic);
	else if (!serial->cut && is_prompt(line, " -- System halted"))
		set_trouble(serial, SERIAL_PANIC, line + 1);
	if (strstr(line, "Linux version "))
		serial->kernel = true;
	if (serial->kernel || serial->cut)
		return;
	/* At a prompt, GRUB has given up once nothing is typed there. */
	if (begins(line, "error: "))
		snprintf(serial->error, TROUBLE_LEN, "%.*s", TROUBLE_LEN - 1,
			 line);
	else if (*serial->error && begins(line, "Press any key to continue"))
		set_trouble(serial, SERIAL_GRUB, serial->error);
	else if (complete &&
		 (is_prompt(line, "grub>") || is_prompt(line, "grub rescue>")))
		set_trouble(serial, SERIAL_GRUB,
			    *serial->error ? serial->error : line);
}

static void end_line(struct serial *serial)
{
	look(serial, true);
	serial->len = 0;
	serial->cut = false;
}

static void add(struct serial *serial, char c)
{
	if (serial->len == LINE_LEN) {
		look(serial, false);
		memmove(serial->line, serial->line + LINE_LEN / 2,
			LINE_LEN / 2);
		serial->len = LINE_LEN / 2;
		serial->cut = true;
	}
	serial->line[serial->len++] = c;
	serial->fresh = true;
}

/* ---- characters ---- */

/* A printable character. */
static void feed(struct serial *serial, char c)
{
	switch (serial->escape) {
	case ESCAPE_NONE:
		add(serial, c);
		break;
	case ESCAPE_BEGUN:
		serial->escape = c == '['		   ? ESCAPE_CONTROL
				 : strchr("]PX^_", c)	   ? ESCAPE_STRING
				 : strchr(" #%()*+-./", c) ? ESCAPE_CHARSET
							   : ESCAPE_NONE;
		break;
	case ESCAPE_CONTROL:
		if (c < 0x40)
			break;
		serial->escape = ESCAPE_NONE;
		/* The cursor goes somewhere else. */
		if ((c == 'H' || c == 'f') && serial->len)
			end_line(serial);
		break;
	case ESCAPE_STRING:
		break;
	case ESCAPE_CHARSET:
		serial->escape = ESCAPE_NONE;
		break;
	}
}

void serial_feed(struct serial *serial, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = bytes[i];

		/* One that is broken off must not swallow what follows. */
		if (c == '\x1b') {
			serial->escape = ESCAPE_BEGUN;
		} else if (c == '\n' || c == '\a' || c == '\x18' ||
			   c == '\x1a') {
			serial->escape = ESCAPE_NONE;
			if (c == '\n')
				end_line(serial);
		} else if (c == '\t' && serial->escape == ESCAPE_NONE) {
			add(serial, c);
		} else if ((unsigned char)c >= 0x20 && c != 0x7f) {
			feed(serial, c);
		}
	}
	if (serial->fresh)
		look(serial, false);
}

void serial_rest(struct serial *serial)
{
	if (serial->len)
		look(serial, true);
}

bool serial_seen(const struct serial *serial)
{
	return serial->seen;
}

enum serial_trouble serial_trouble(const struct serial *serial,
				   const char **ret_line)
{
	*ret_line = serial->trouble_line;
	return serial->trouble;
}
