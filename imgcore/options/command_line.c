/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "imgcore/command_line.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "imgcore/diag.h"

#define LONG 256 /* getopt_long's value for every option with a key */

static const struct option_row common_rows[] = {
	{ NULL, "OPT[,OPT...]", "options of dirdisk, mount(8) and FUSE",
	  OPTION_LIST, .where = OPTION_LINE_ONLY, .letter = 'o' },
	{ "help", NULL, "show this text", OPTION_FLAG,
	  OPTION_FIELD(command_line, help), OPTION_LINE_ONLY, 'h' },
	{ "version", NULL, "show the version", OPTION_FLAG,
	  OPTION_FIELD(command_line, version), OPTION_LINE_ONLY, 'V' },
	{ 0 },
};

/* A row, and what it has from its table. */
struct entry {
	const struct option_row *row;
	void *target;
	bool hand_on;
};

struct parser {
	const struct command *command;
	struct command_line *line;
	struct diag *diag;
	char *target;
	bool hands_on; /* any of its tables */
	struct {
		struct entry *items;
		size_t count, size;
	} entries;
};

static bool may_stand(const struct command *command,
		      const struct option_row *row, bool in_list)
{
	if (row->where & OPTION_ENVIRONMENT)
		return false;
	return in_list ? !(row->where & OPTION_LINE_ONLY)
		       : command->serves || !(row->where & OPTION_SERVE);
}

/* Finds an option by its key, or by its letter where key is NULL. */
static const struct entry *find(const struct parser *parser, bool in_list,
				const char *key, size_t len, int letter,
				bool value)
{
	for (size_t i = 0; i < parser->entries.count; i++) {
		const struct entry *entry = &parser->entries.items[i];
		const struct option_row *row = entry->row;

		if (may_stand(parser->command, row, in_list) &&
		    !(value && (row->where & OPTION_BARE)) &&
		    (key ? row->key && strlen(row->key) == len &&
				     memcmp(row->key, key, len) == 0
			 : row->letter == letter))
			return entry;
	}
	return NULL;
}

/* ---- the list of -o ---- */

static bool is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' &&
	       s[2] >= '0' && s[2] <= '7';
}

/*
 * Copies up to the next comma, with escapes resolved as libfuse does: a
 * backslash takes the meaning of what follows away, or stands before three
 * octal digits. Returns the rest of the list.
 */
static const char *take_entry(const char *list, char *ret_entry)
{
	while (*list && *list != ',') {
		if (list[0] == '\\' && list[1] && is_octal(list + 1)) {
			*ret_entry++ = (char)((list[1] - '0') << 6 |
					      (list[2] - '0') << 3 |
					      (list[3] - '0'));
			list += 4;
			continue;
		}
		if (list[0] == '\\' && list[1])
			list++;
		*ret_entry++ = *list++;
	}
	*ret_entry = '\0';
	return *list ? list + 1 : list;
}

static int set_list(struct parser *parser, const char *list)
{
	const struct command *command = parser->command;
	_cleanup_free_ char *text = malloc(strlen(list) + 1);
	int r = text ? 0 : -ENOMEM;

	while (r == 0 && *list) {
		const struct entry *entry;
		const char *value;

		list = take_entry(list, text);
		if (!*text)
			continue;
		value = strchr(text, '=');
		entry = find(parser, true, text, strcspn(text, "="), 0, value);
		if (entry) {
			r = option_row_set(entry->row, entry->target, "-o ",
					   value ? value + 1 : NULL,
					   parser->diag);
			continue;
		}
		r = -ENOENT;
		for (size_t i = 0; i < command->n_tables && r == -ENOENT; i++)
			if (command->tables[i].add)
				r = command->tables[i].add(
					parser->target +
						command->tables[i].offset,
					text, parser->diag);
		if (r == -ENOENT)
			r = option_refuse(parser->diag, "-o ", text, "%s",
					  command->unknown);
	}
	return r;
}

/* ---- the line ---- */

/* Keeps a word for the other program. */
static int hand_on(struct command_line *line, const char *prefix,
		   const char *key, const char *value)
{
	char **slot = vec_push(&line->handed_on);

	if (!slot)
		return -ENOMEM;
	if (asprintf(slot, "%s%s%s%s", prefix, key, value ? "=" : "",
		     value ? value : "") >= 0)
		return 0;
	line->handed_on.count--;
	return -ENOMEM;
}

static int set_option(struct parser *parser, const struct entry *entry,
		      const char *value)
{
	const struct option_row *row = entry->row;
	const char letter[] = { row->letter, '\0' };
	int r;

	if (row->kind == OPTION_LIST) {
		r = set_list(parser, value);
		return r == 0 && parser->hands_on
			       ? hand_on(parser->line, "-o", value, NULL)
			       : r;
	}
	r = option_row_set(row, entry->target, "--", value, parser->diag);
	if (r < 0 || !entry->hand_on)
		return r;
	return row->key ? hand_on(parser->line, "--", row->key, value)
			: hand_on(parser->line, "-", letter, NULL);
}

static int add_argument(struct parser *parser, const char *argument)
{
	const struct command *command = parser->command;

	for (size_t i = 0; i < command->n_arguments; i++) {
		if (!parser->line->arguments[i]) {
			parser->line->arguments[i] = argument;
			return 0;
		}
	}
	return option_refuse(parser->diag, "", argument,
			     "one argument too many; usage: %s",
			     command->usage);
}

static int parse_words(struct parser *parser, int argc, char **argv)
{
	size_t n = parser->entries.count;
	_cleanup_free_ struct option *longs = calloc(n + 1, sizeof(*longs));
	_cleanup_free_ char *shorts = malloc(2 * n + 3);
	const struct command *command = parser->command;
	size_t n_longs = 0;
	char *s;
	int index;
	int r = 0;
	int c;

	if (!longs || !shorts)
		return -ENOMEM;
	/* Arguments in their order, whatever POSIXLY_CORRECT says. */
	s = stpcpy(shorts, "-:");
	/* Of two that are the same, getopt_long takes the first. */
	for (size_t i = 0; i < n; i++) {
		const struct option_row *row = parser->entries.items[i].row;

		if (!may_stand(command, row, false))
			continue;
		if (row->letter)
			s = stpcpy(s,
				   (char[]){ row->letter,
					     row->value ? ':' : '\0', '\0' });
		if (row->key)
			longs[n_longs++] = (struct option){
				.name = row->key,
				.has_arg = row->where & OPTION_BARE
						   ? optional_argument
					   : row->value ? required_argument
							: no_argument,
				.val = LONG,
			};
	}
	optind = 0; /* GNU's way to start anew */
	opterr = 0;
	while (r == 0 &&
	       (c = getopt_long(argc, argv, shorts, longs, &index)) != -1) {
		const char letter[] = { '-', (char)optopt, '\0' };
		const char *shown = optopt && optopt != LONG ? letter
							     : argv[optind - 1];
		const char *key = c == LONG ? longs[index].name : NULL;

		if (c == 1)
			r = add_argument(parser, optarg);
		else if (c == ':')
			r = option_refuse(parser->diag, "", shown,
					  "needs a value");
		else if (c == '?')
			r = option_refuse(parser->diag, "", shown, "%s",
					  optopt == LONG ? "takes no value"
							 : command->unknown);
		else
			r = set_option(parser,
				       find(parser, false, key,
					    key ? strlen(key) : 0, c, optarg),
				       optarg);
	}
	parser->line->rest = argv + optind;
	for (; r == 0 && !command->rest && optind < argc; optind++)
		r = add_argument(parser, argv[optind]);
	return r;
}

/* Lists the rows of all tables, in the order in which they are looked for. */
static int list_rows(struct parser *parser)
{
	const struct command *command = parser->command;

	for (size_t i = 0; i <= command->n_tables; i++) {
		const struct option_table *table = &command->tables[i];
		bool common = i == command->n_tables;
		const struct option_row *row = common ? common_rows
						      : table->rows;

		for (; row && row->help; row++) {
			struct entry *entry = vec_push(&parser->entries);

			if (!entry)
				return -ENOMEM;
			entry->row = row;
			entry->target = common ? (void *)parser->line
					       : parser->target + table->offset;
			entry->hand_on = !common && table->hand_on;
			parser->hands_on |= entry->hand_on;
		}
	}
	return 0;
}

int command_line_parse(const struct command *command, void *target,
		       struct command_line *ret_line, int argc, char **argv,
		       struct diag *diag)
{
	struct command_line line = { 0 };
	struct parser parser = {
		.command = command,
		.line = &line,
		.diag = diag,
		.target = target,
	};
	int r = list_rows(&parser);

	if (r == 0)
		r = parse_words(&parser, argc, argv);
	for (size_t i = 0; r == 0 && i < parser.entries.count; i++) {
		const struct entry *entry = &parser.entries.items[i];

		if ((entry->row->where & OPTION_ENVIRONMENT) &&
		    getenv(entry->row->key))
			r = option_row_set(entry->row, entry->target, "",
					   getenv(entry->row->key), diag);
	}
	if (r == 0 && !line.arguments[0] && !line.help && !line.version)
		r = option_refuse(diag, "", "SRC", "missing; usage: %s",
				  command->usage);
	vec_free(&parser.entries);
	if (r < 0)
		command_line_clear(&line);
	else
		*ret_line = line;
	return r;
}

void command_line_clear(struct command_line *line)
{
	for (size_t i = 0; i < line->handed_on.count; i++)
		free(line->handed_on.items[i]);
	vec_free(&line->handed_on);
	*line = (struct command_line){ 0 };
}

static void put_rows(FILE *out, const struct command *command,
		     const struct option_row *rows)
{
	for (; rows && rows->help; rows++) {
		char left[64];

		if (!may_stand(command, rows, false))
			continue;
		snprintf(left, sizeof(left), "%c%c%s%s%s%s%s",
			 rows->letter ? '-' : ' ',
			 rows->letter ? rows->letter : ' ',
			 rows->letter && rows->key ? ", " : "",
			 !rows->key	? ""
			 : rows->letter ? "--"
					: "  --",
			 rows->key ? rows->key : "",
			 !rows->value ? ""
			 : rows->key  ? "="
				      : " ",
			 rows->value ? rows->value : "");
		fprintf(out, "  %-29s %s\n", left, rows->help);
	}
}

void command_line_help(const struct command *command, FILE *out)
{
	fprintf(out, "Usage: %s\n%s\n\n", command->usage, command->about);
	for (size_t i = 0; i < command->n_tables; i++)
		if (!command->tables[i].hand_on)
			put_rows(out, command, command->tables[i].rows);
	put_rows(out, command, common_rows);
	fprintf(out, "\n%s\n", command->notes);
}
