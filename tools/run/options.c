/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/vec.h"
#include "fs/options.h"
#include "imgcore/diag.h"

enum {
	OPTION_QEMU = 256,
	OPTION_DIRDISK,
	OPTION_ACCEL,
	OPTION_WATCH,
	OPTION_EXPECT,
	OPTION_TIMEOUT,
	OPTION_LOG,
	OPTION_DISK, /* and all behind it: dirdisk's */
};

static const struct option own[] = {
	{ "qemu", required_argument, NULL, OPTION_QEMU },
	{ "dirdisk", required_argument, NULL, OPTION_DIRDISK },
	{ "accel", required_argument, NULL, OPTION_ACCEL },
	/* With a value it is dirdisk's option. */
	{ "watch", optional_argument, NULL, OPTION_WATCH },
	{ "expect", required_argument, NULL, OPTION_EXPECT },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "log", required_argument, NULL, OPTION_LOG },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
};

#define N_OWN ARRAY_SIZE(own)

void run_options_help(FILE *out)
{
	fputs("Usage: dirdisk-run SRC [options] [-- QEMU arguments]\n"
	      "Boots the directory SRC in QEMU.\n\n"
	      "      --expect=REGEX     ends once the serial line has said this\n"
	      "      --timeout=TIME     ends after so many seconds (or 5m, 1h)\n"
	      "      --log=FILE         keeps what the serial line said\n"
	      "      --watch            boots again when what boots has changed\n"
	      "      --accel=HOW        auto (the default), kvm or tcg\n"
	      "      --qemu=PROGRAM     in place of qemu-system-x86_64\n"
	      "      --dirdisk=PROGRAM  in place of the one beside this\n"
	      "  -v, --verbose          show QEMU's command line\n"
	      "  -h, --help             this text\n"
	      "  -V, --version          the version\n\n"
	      "All options of dirdisk are taken too: dirdisk --help lists them. "
	      "Its --timeout,\nof the menu, is -o timeout=SECONDS here.\n"
	      "Exit status: QEMU's; with --expect 0 seen, 1 not seen, 3 kernel "
	      "panic, 4 GRUB\nerror; 2 not started, 124 timed out.\n",
	      out);
}

static int fail(struct diag *diag, const char *name, const char *value,
		const char *reason)
{
	_cleanup_free_ char *option = NULL;

	if (asprintf(&option, "%s%s", name, value) < 0) {
		option = NULL;
		return -ENOMEM;
	}
	return diag_set(diag, -EINVAL, option, "%s", reason);
}

/* ---- values ---- */

static int set_text(const char **field, const char *name, const char *value,
		    struct diag *diag)
{
	if (!*value)
		return fail(diag, name, value, "empty; give it a value");
	*field = value;
	return 0;
}

static int set_accel(struct run_options *options, const char *value,
		     struct diag *diag)
{
	static const char *const names[] = {
		[ACCEL_AUTO] = "auto",
		[ACCEL_KVM] = "kvm",
		[ACCEL_TCG] = "tcg",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(value, names[i]) == 0) {
			options->accel = (enum accel)i;
			return 0;
		}
	}
	return fail(diag, "--accel=", value, "unknown; give auto, kvm or tcg");
}

/* As timeout(1) has it: a number, or one with a unit. */
static int set_timeout(struct run_options *options, const char *value,
		       struct diag *diag)
{
	static const char units[] = "smhd";
	static const double seconds[] = { 1, 60, 3600, 86400 };
	const char *unit;
	char *end;
	double time = strtod(value, &end);

	if (end == value || !isfinite(time) || time < 0 ||
	    strspn(value, "0123456789.") != (size_t)(end - value))
		return fail(
			diag, "--timeout=", value,
			"not a time; give seconds, or a number with m or h");
	unit = *end ? strchr(units, *end) : units;
	if (!unit || (*end && end[1]))
		return fail(diag, "--timeout=", value,
			    "unknown unit; give s, m, h or d");
	time *= seconds[unit - units] * 1000;
	/* Beyond, it is no limit that anyone would see. */
	options->timeout_ms = time < 1e15 ? (int64_t)(time + 0.999) : 0;
	return 0;
}

/* ---- the line ---- */

struct parser {
	struct run_options *options;
	struct diag *diag;
	struct {
		char **items;
		size_t count, size;
	} disk; /* dirdisk's words: ours to free */
	struct {
		struct option *items;
		size_t count, size;
	} longs;
	struct {
		char *items;
		size_t count, size;
	} shorts;
};

static int put_short(struct parser *parser, const char *s)
{
	for (; *s; s++) {
		char *c = vec_push(&parser->shorts);

		if (!c)
			return -ENOMEM;
		*c = *s;
	}
	return 0;
}

static int put_long(struct parser *parser, const struct option *option)
{
	struct option *slot = vec_push(&parser->longs);

	if (!slot)
		return -ENOMEM;
	*slot = *option;
	return 0;
}

static bool is_own(const char *name)
{
	for (size_t i = 0; i < N_OWN; i++) {
		if (strcmp(own[i].name, name) == 0)
			return true;
	}
	return false;
}

static int put_form(struct parser *parser, const struct option_form *form,
		    size_t i)
{
	const char letter[] = { form->letter, form->value ? ':' : '\0', '\0' };
	const struct option option = {
		.name = form->name,
		.has_arg = form->value ? required_argument : no_argument,
		.val = OPTION_DISK + (int)i,
	};
	int r = 0;

	if (form->letter && !strchr("hVv", form->letter))
		r = put_short(parser, letter);
	if (r == 0 && form->name && !is_own(form->name))
		r = put_long(parser, &option);
	return r;
}

/* Ours and dirdisk's; in the order of the line, whatever POSIXLY_CORRECT says.
 */
static int fill_syntax(struct parser *parser)
{
	const struct option none = { 0 };
	struct option_form form;
	int r = put_short(parser, "-:hVv");

	for (size_t i = 0; r == 0 && i < N_OWN; i++)
		r = put_long(parser, &own[i]);
	for (size_t i = 0; r == 0 && options_form(PROGRAM_DIRDISK, i, &form);
	     i++)
		r = put_form(parser, &form, i);
	if (r == 0)
		r = put_long(parser, &none);
	return r == 0 && !vec_push(&parser->shorts) ? -ENOMEM : r;
}

static int put_disk(struct parser *parser, char *word)
{
	char **slot = vec_push(&parser->disk);

	if (!slot)
		return -ENOMEM;
	*slot = word;
	return 0;
}

/* A word that is made here; it lasts as long as the options do. */
static int put_disk_made(struct parser *parser, const char *dashes,
			 const char *name, const char *value)
{
	char *word;
	int r;

	if (asprintf(&word, "%s%s%s%s", dashes, name, value ? "=" : "",
		     value ? value : "") < 0)
		return -ENOMEM;
	r = put_disk(parser, word);
	if (r < 0)
		free(word);
	return r;
}

/* Hands an option on: under its whole name, however it was given. */
static int take_disk(struct parser *parser, int value, const char *argument)
{
	struct option_form form;
	char letter[2] = { 0 };
	int r;

	if (value >= OPTION_DISK) {
		options_form(PROGRAM_DIRDISK, (size_t)(value - OPTION_DISK),
			     &form);
		return put_disk_made(parser, "--", form.name, argument);
	}
	letter[0] = (char)value;
	r = put_disk_made(parser, "-", letter, NULL);
	return r < 0 || !argument ? r
				  : put_disk_made(parser, "", argument, NULL);
}

static int take_argument(struct parser *parser, const char *argument)
{
	if (parser->options->src)
		return fail(parser->diag, "", argument,
			    "one argument too many; QEMU's go behind --");
	return set_text(&parser->options->src, "SRC", argument, parser->diag);
}

static int take(struct parser *parser, int value, const char *argument)
{
	struct run_options *options = parser->options;
	struct diag *diag = parser->diag;

	switch (value) {
	case 1:
		return take_argument(parser, argument);
	case 'h':
		options->help = true;
		return 0;
	case 'V':
		options->version = true;
		return 0;
	case 'v':
		options->verbose = true;
		return 0;
	case OPTION_WATCH:
		if (argument)
			return put_disk_made(parser, "--", "watch", argument);
		options->watch = true;
		return 0;
	case OPTION_QEMU:
		return set_text(&options->qemu, "--qemu=", argument, diag);
	case OPTION_DIRDISK:
		return set_text(&options->dirdisk, "--dirdisk=", argument,
				diag);
	case OPTION_EXPECT:
		return set_text(&options->expect, "--expect=", argument, diag);
	case OPTION_LOG:
		return set_text(&options->log, "--log=", argument, diag);
	case OPTION_ACCEL:
		return set_accel(options, argument, diag);
	case OPTION_TIMEOUT:
		return set_timeout(options, argument, diag);
	}
	return take_disk(parser, value, argument);
}

static int refuse(struct parser *parser, int what, int value, const char *word)
{
	const char letter[] = { '-', (char)value, '\0' };
	const char *shown = value && value < OPTION_QEMU ? letter : word;

	if (what == ':')
		return fail(parser->diag, "", shown, "needs a value");
	if (value >= OPTION_QEMU)
		return fail(parser->diag, "", shown, "takes no value");
	return fail(
		parser->diag, "", shown,
		"unknown option; dirdisk-run --help lists them, and QEMU's go behind --");
}

static int parse_line(struct parser *parser, int argc, char **argv)
{
	int r = fill_syntax(parser);
	int c;

	optind = 0; /* GNU's way to start anew */
	opterr = 0;
	while (r == 0 && (c = getopt_long(argc, argv, parser->shorts.items,
					  parser->longs.items, NULL)) != -1) {
		if (c == '?' || c == ':')
			r = refuse(parser, c, optopt, argv[optind - 1]);
		else
			r = take(parser, c, optarg);
	}
	parser->options->qemu_arguments = argv + optind;
	return r;
}

/* What dirdisk would refuse is refused at once; and what it calls the disk. */
static int check_disk(struct parser *parser)
{
	size_t n = parser->disk.count;
	_cleanup_free_ char **argv = calloc(n + 4, sizeof(*argv));
	struct options options = { 0 };
	int r;

	if (!argv)
		return -ENOMEM;
	argv[0] = (char *)"dirdisk";
	if (n)
		memcpy(argv + 1, parser->disk.items, n * sizeof(*argv));
	argv[n + 1] = (char *)".";
	argv[n + 2] = (char *)".";
	r = options_parse(&options, PROGRAM_DIRDISK, (int)n + 3, argv,
			  parser->diag);
	if (r == 0)
		parser->options->name = take_ptr(options.name);
	parser->options->read_only = options.mount_flags & MS_RDONLY;
	options_clear(&options);
	return r;
}

static int check(struct parser *parser)
{
	struct run_options *options = parser->options;

	if (options->help || options->version)
		return 0;
	if (!options->src)
		return fail(
			parser->diag, "", "SRC",
			"missing; usage: dirdisk-run SRC [options] [-- QEMU arguments]");
	return check_disk(parser);
}

int run_options_parse(struct run_options *ret_options, int argc, char **argv,
		      struct diag *diag)
{
	struct run_options options = {
		.qemu = "qemu-system-x86_64",
		.dirdisk = getenv("DIRDISK"),
	};
	struct parser parser = { .options = &options, .diag = diag };
	int r = parse_line(&parser, argc, argv);

	if (r == 0)
		r = check(&parser);
	if (vec_push(&parser.disk))
		options.disk_options = parser.disk.items;
	else if (r == 0)
		r = -ENOMEM;
	vec_free(&parser.longs);
	vec_free(&parser.shorts);
	if (r < 0)
		run_options_clear(&options);
	else
		*ret_options = options;
	return r;
}

void run_options_clear(struct run_options *options)
{
	for (char **word = options->disk_options; word && *word; word++)
		free(*word);
	free(options->disk_options);
	free(options->name);
	*options = (struct run_options){ 0 };
}
