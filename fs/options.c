/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/mount.h>

#include <fuse_opt.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "imgcore/diag.h"
#include "imgcore/overlay_budget.h"
#include "tree/mount_type.h"
#include "values.h"

/* mount(2) takes at most a page for each of its strings, escapes included. */
#define MAX_MOUNT_NAME 1024

/*
 * One table says all there is to say about an option: whose it is, how it may
 * be given, what it does, and its line in the help.
 */
enum {
	ON_LINE = 1, /* --name */
	IN_LIST = 2, /* -o name */
	BOTH = ON_LINE | IN_LIST,
};

struct option_def {
	const char *name; /* NULL: a letter only; "x-*": all that start so */
	const char *arg; /* what the value is called; NULL: takes none */
	/*
	 * Does it: NULL, or what is wrong with the value. text is the entry
	 * of the list as it stood there, escapes resolved.
	 */
	const char *(*set)(struct options *options,
			   const struct option_def *def, const char *value,
			   const char *text);
	const char *help; /* NULL: not listed on its own */
	size_t offset; /* of the field in struct options */
	uint8_t where;
	char letter; /* or 0 */
	uint8_t programs; /* that take it on the line; 0: all */
	bool clears; /* clears the flag; otherwise sets it */
	unsigned long flag; /* of mount(2) */
};

/* What the programs say differently. */
static const struct program_def {
	enum program program;
	unsigned arguments; /* how many it takes */
	const char *head; /* of the help */
	const char *tail;
	const char *unknown; /* what is wrong, and the way out */
	const char *missing;
	const char *too_many;
} programs[] = {
	{
		.program = PROGRAM_DIRDISK,
		.arguments = 2,
		.head = "Usage: dirdisk [options] SRC MNT\n"
			"Shows the directory SRC as the bootable disk "
			"MNT/disk.img.\n\n",
		.tail = "\nSIZE: bytes, or with K, M, G, T. Every "
			"--name=value can be -o name=value.\n"
			"The end: fusermount3 -u MNT\n",
		.unknown = "unknown option; dirdisk --help lists them",
		.missing = "missing; usage: dirdisk [options] SRC MNT",
		.too_many = "one argument too many; give SRC and MNT",
	},
	{
		.program = PROGRAM_CHECK,
		.arguments = 1,
		.head = "Usage: dirdisk-check [options] SRC\n"
			"Says what a disk of the directory SRC would boot, and "
			"all it could not hold.\n\n",
		.tail = "\nSIZE: bytes, or with K, M, G, T. Every "
			"--name=value can be -o name=value.\n"
			"Exit status: 0 it boots, 1 it does not, 2 wrong "
			"usage, 3 not checked\n",
		.unknown = "unknown option; dirdisk-check --help lists them",
		.missing = "missing; usage: dirdisk-check [options] SRC",
		.too_many = "one argument too many; give SRC alone",
	},
};

static const struct program_def *program_def(enum program program)
{
	const struct program_def *def = programs;

	while (def->program != program)
		def++;
	return def;
}

static void *field_of(struct options *options, const struct option_def *def)
{
	return (char *)options + def->offset;
}

static const char *set_flag(struct options *options,
			    const struct option_def *def, const char *value,
			    const char *text)
{
	*(bool *)field_of(options, def) = true;
	return NULL;
}

static const char *set_debug(struct options *options,
			     const struct option_def *def, const char *value,
			     const char *text)
{
	options->debug = true;
	options->foreground = true;
	return NULL;
}

static const char *set_text(struct options *options,
			    const struct option_def *def, const char *value,
			    const char *text)
{
	char **field = field_of(options, def);
	char *copy;

	if (!*value)
		return "empty; give it a value";
	copy = strdup(value);
	if (!copy)
		return "out of memory";
	free(*field);
	*field = copy;
	return NULL;
}

static const char *set_line(struct options *options,
			    const struct option_def *def, const char *value,
			    const char *text)
{
	const char *wrong = value_line(value);
	char **field = field_of(options, def);

	if (wrong)
		return wrong;
	if (*value)
		return set_text(options, def, value, text);
	free(*field);
	*field = NULL;
	return NULL;
}

static const char *set_name(struct options *options,
			    const struct option_def *def, const char *value,
			    const char *text)
{
	const char *wrong = value_name(value);

	return wrong ? wrong : set_text(options, def, value, text);
}

static const char *set_size(struct options *options,
			    const struct option_def *def, const char *value,
			    const char *text)
{
	return value_size(value, field_of(options, def));
}

static const char *set_sectors(struct options *options,
			       const struct option_def *def, const char *value,
			       const char *text)
{
	return value_sectors(value, field_of(options, def));
}

static const char *set_uuid(struct options *options,
			    const struct option_def *def, const char *value,
			    const char *text)
{
	const char *wrong = value_uuid(value, options->uuid);

	if (!wrong)
		options->has_uuid = true;
	return wrong;
}

static const char *set_timeout(struct options *options,
			       const struct option_def *def, const char *value,
			       const char *text)
{
	return value_timeout(value, &options->timeout);
}

static const char *set_start_timeout(struct options *options,
				     const struct option_def *def,
				     const char *value, const char *text)
{
	const char *wrong = value_timeout(value, &options->start_timeout);

	return !wrong && options->start_timeout == 0
		       ? "no time to start; give at least 1, or -1 for no limit"
		       : wrong;
}

static const char *set_console(struct options *options,
			       const struct option_def *def, const char *value,
			       const char *text)
{
	return value_console(value, &options->console);
}

static const char *set_order(struct options *options,
			     const struct option_def *def, const char *value,
			     const char *text)
{
	return value_order(value, &options->order);
}

static const char *set_unreadable(struct options *options,
				  const struct option_def *def,
				  const char *value, const char *text)
{
	return value_unreadable(value, &options->unreadable);
}

static const char *set_xattrs(struct options *options,
			      const struct option_def *def, const char *value,
			      const char *text)
{
	return value_xattrs(value, &options->xattrs);
}

static const char *set_stale(struct options *options,
			     const struct option_def *def, const char *value,
			     const char *text)
{
	return value_stale(value, &options->stale_serve);
}

static const char *set_watch(struct options *options,
			     const struct option_def *def, const char *value,
			     const char *text)
{
	return value_watch(value, &options->no_watch);
}

static const char *set_owner(struct options *options,
			     const struct option_def *def, const char *value,
			     const char *text)
{
	return value_owner(value, &options->owner, &options->uid,
			   &options->gid);
}

/* Hands the entry on to FUSE; offset, if any, is of a flag that says so. */
static const char *set_mount(struct options *options,
			     const struct option_def *def, const char *value,
			     const char *text)
{
	if (value && !*value)
		return "empty; give it a value";
	if (value && strlen(value) > MAX_MOUNT_NAME)
		return "longer than 1024 bytes, which is too much for mount(2); give a shorter one";
	if (fuse_opt_add_opt_escaped(&options->mount, text) < 0)
		return "out of memory";
	if (def->clears)
		options->mount_flags &= ~def->flag;
	else
		options->mount_flags |= def->flag;
	return def->offset ? set_flag(options, def, value, text) : NULL;
}

/* The type of a disk's mount is what other processes recognize it by. */
static const char *set_subtype(struct options *options,
			       const struct option_def *def, const char *value,
			       const char *text)
{
	return strcmp(value, DISK_SUBTYPE) == 0
		       ? NULL
		       : "a disk has the type fuse." DISK_SUBTYPE
			 ", by which others recognize it; leave it out";
}

/* Says something to mount(8) alone. */
static const char *set_nothing(struct options *options,
			       const struct option_def *def, const char *value,
			       const char *text)
{
	return NULL;
}

static const char *set_list(struct options *options,
			    const struct option_def *def, const char *value,
			    const char *text);

#define FIELD(f) .offset = offsetof(struct options, f)
#define TO_MOUNT(n)                                           \
	{                                                     \
		.name = n, .where = IN_LIST, .set = set_mount \
	}
#define SETS(n, f)                                                       \
	{                                                                \
		.name = n, .where = IN_LIST, .set = set_mount, .flag = f \
	}
#define CLEARS(n, f)                                                      \
	{                                                                 \
		.name = n, .where = IN_LIST, .set = set_mount, .flag = f, \
		.clears = true                                            \
	}
#define SWALLOWED(n)                                            \
	{                                                       \
		.name = n, .where = IN_LIST, .set = set_nothing \
	}

/* clang-format off */
static const struct option_def table[] = {
	{ "name", "NAME", set_name, "of the disk below MNT (disk.img)",
	  FIELD(name), BOTH, .programs = PROGRAM_DIRDISK },
	{ "size", "SIZE", set_sectors, "size of the disk",
	  FIELD(size), BOTH },
	{ "boot-size", "SIZE", set_sectors, "size of partition 1",
	  FIELD(boot_size), BOTH },
	{ "free", "SIZE", set_size,
	  "room for what the guest writes (16M)", FIELD(free), BOTH },
	{ "overlay-limit", "SIZE", set_size,
	  "limit for what guests write (TMPDIR's free space, less a reserve)",
	  FIELD(overlay_limit), BOTH, .programs = PROGRAM_DIRDISK },
	{ "uuid", "UUID", set_uuid,
	  "UUID of the file system on partition 2 (computed from the tree)",
	  .where = BOTH },
	{ "append", "TEXT", set_line,
	  "more words on the kernels' command lines", FIELD(append), BOTH },
	{ "timeout", "SECONDS", set_timeout,
	  "how long the menu waits (2); -1: for ever", .where = BOTH },
	{ "default", "NAME", set_line,
	  "the kernel, by name or version, to start by itself",
	  FIELD(default_entry), BOTH },
	{ "order", "BY", set_order,
	  "of the kernels in the menu: version (the default) or mtime",
	  .where = BOTH },
	{ "console", "WHERE", set_console,
	  "both (the default), serial or vga", .where = BOTH },
	{ "owner", "WHO", set_owner,
	  "owner of all files: keep (the default), root or UID:GID",
	  .where = BOTH },
	{ "unreadable", "WHAT", set_unreadable,
	  "at files that cannot be read: error (the default) or skip",
	  .where = BOTH },
	{ "xattrs", "WHICH", set_xattrs,
	  "extended attributes and ACLs: keep (the default), none or user",
	  .where = BOTH },
	{ "stale", "WHAT", set_stale,
	  "at a file that changed while it is in use: fail (the default) or serve",
	  .where = BOTH, .programs = PROGRAM_DIRDISK },
	{ "watch", "HOW", set_watch,
	  "how changes of SRC are found: auto (the default) or none (SRC is read at each open)",
	  .where = BOTH, .programs = PROGRAM_DIRDISK },
	{ "no-follow", NULL, set_flag,
	  "links of kernels/ out of SRC stay links",
	  FIELD(no_follow), BOTH },
	{ "cross-mounts", NULL, set_flag,
	  "include what is mounted below SRC",
	  FIELD(cross_mounts), BOTH },
	{ "grub-dir", "DIR", set_text,
	  "GRUB's boot.img and modules (where GRUB is installed)",
	  FIELD(grub_dir), BOTH },
	{ "core-image", "FILE", set_text,
	  "GRUB's core.img (made by grub-mkimage)", FIELD(core_image), BOTH },
	{ "no-grub", NULL, set_flag, "a disk without a boot loader",
	  FIELD(no_grub), BOTH },
	{ "start-timeout", "SECONDS", set_start_timeout,
	  "limit for a start that makes no progress (60); -1: none",
	  .where = BOTH, .programs = PROGRAM_DIRDISK },
	{ "pidfile", "FILE", set_text,
	  "holds the process id while the disk is mounted",
	  FIELD(pidfile), BOTH, .programs = PROGRAM_DIRDISK },
	{ "json", NULL, set_flag, "the report as JSON, for programs",
	  FIELD(json), ON_LINE, .programs = PROGRAM_CHECK },
	{ NULL, "OPT[,OPT...]", set_list,
	  "the options above, and those of mount(8) and FUSE",
	  .where = ON_LINE, .letter = 'o' },
	{ NULL, NULL, set_flag, "stay in the foreground",
	  FIELD(foreground), ON_LINE, 'f', PROGRAM_DIRDISK },
	{ NULL, NULL, set_debug, "the same, and show every FUSE request",
	  .where = ON_LINE, .letter = 'd', .programs = PROGRAM_DIRDISK },
	{ "help", NULL, set_flag, "this text", FIELD(help), ON_LINE, 'h' },
	{ "version", NULL, set_flag, "the version",
	  FIELD(version), ON_LINE, 'V' },

	{ "fsname", "NAME", set_mount, NULL, FIELD(fsname), IN_LIST },
	{ "subtype", "NAME", set_subtype, NULL, .where = IN_LIST },
	TO_MOUNT("allow_other"),
	TO_MOUNT("allow_root"),
	SETS("ro", MS_RDONLY),
	CLEARS("rw", MS_RDONLY),
	CLEARS("suid", MS_NOSUID),
	SETS("nosuid", MS_NOSUID),
	CLEARS("dev", MS_NODEV),
	SETS("nodev", MS_NODEV),
	CLEARS("exec", MS_NOEXEC),
	SETS("noexec", MS_NOEXEC),
	CLEARS("async", MS_SYNCHRONOUS),
	SETS("sync", MS_SYNCHRONOUS),
	CLEARS("atime", MS_NOATIME),
	SETS("noatime", MS_NOATIME),
	SETS("dirsync", MS_DIRSYNC),
	{ "remount", NULL, set_flag, NULL, FIELD(remount), IN_LIST },

	/* Options that are always on, or have no effect on this file system. */
	SWALLOWED("auto_unmount"),
	SWALLOWED("default_permissions"),
	SWALLOWED("user_id"),
	SWALLOWED("group_id"),
	SWALLOWED("max_read"),
	SWALLOWED("blksize"),
	SWALLOWED("relatime"),
	SWALLOWED("norelatime"),
	SWALLOWED("diratime"),
	SWALLOWED("nodiratime"),
	SWALLOWED("strictatime"),
	SWALLOWED("nostrictatime"),
	SWALLOWED("lazytime"),
	SWALLOWED("nolazytime"),
	SWALLOWED("symfollow"),
	SWALLOWED("nosymfollow"),
	SWALLOWED("iversion"),
	SWALLOWED("noiversion"),
	SWALLOWED("mand"),
	SWALLOWED("nomand"),
	SWALLOWED("silent"),
	SWALLOWED("loud"),

	/* Options of fstab for mount(8) and systemd. */
	SWALLOWED("defaults"),
	SWALLOWED("auto"),
	SWALLOWED("noauto"),
	SWALLOWED("user"),
	SWALLOWED("nouser"),
	SWALLOWED("users"),
	SWALLOWED("nousers"),
	SWALLOWED("noowner"),
	SWALLOWED("group"),
	SWALLOWED("nogroup"),
	SWALLOWED("comment"),
	SWALLOWED("helper"),
	SWALLOWED("uhelper"),
	SWALLOWED("_netdev"),
	SWALLOWED("nofail"),
	SWALLOWED("x-*"),
	SWALLOWED("X-*"),
};
/* clang-format on */

#define N_TABLE ARRAY_SIZE(table)
#define LONG	256 /* getopt's value for table[i].name is LONG + i */

static int fail(struct diag *diag, const char *prefix, const char *text,
		const char *reason)
{
	static const int most = 1000; /* bytes */
	const char *more = strlen(text) > (size_t)most ? "..." : "";
	_cleanup_free_ char *option = NULL;

	if (asprintf(&option, "%s%.*s%s", prefix, most, text, more) < 0)
		return -ENOMEM;
	return diag_set(diag, -EINVAL, option, "%s", reason);
}

static bool is_on_line(const struct option_def *def, enum program program)
{
	return (def->where & ON_LINE) &&
	       (!def->programs || (def->programs & program));
}

/* ---- the -o list ---- */

/* A line of fstab fits every program: here the rows are all of theirs. */
static const struct option_def *find_in_list(const char *name, size_t len)
{
	for (size_t i = 0; i < N_TABLE; i++) {
		const struct option_def *def = &table[i];
		size_t def_len = def->name ? strlen(def->name) : 0;
		bool open = def_len && def->name[def_len - 1] == '*';

		if (!(def->where & IN_LIST))
			continue;
		if (open ? len >= def_len - 1 &&
				    strncmp(name, def->name, def_len - 1) == 0
			 : len == def_len && memcmp(name, def->name, len) == 0)
			return def;
	}
	return NULL;
}

/* One entry of a list, escapes resolved: what is wrong, or NULL. */
static const char *set_entry(struct options *options, const char *entry)
{
	size_t len = strcspn(entry, "=");
	const char *value = entry[len] ? entry + len + 1 : NULL;
	const struct option_def *def = find_in_list(entry, len);

	if (!def)
		return program_def(options->program)->unknown;
	if (def->set == set_nothing)
		return NULL;
	if (def->arg && !value)
		return "needs a value; give it as name=value";
	if (!def->arg && value)
		return "takes no value; leave the '=' out";
	return def->set(options, def, value, entry);
}

static bool is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' &&
	       s[2] >= '0' && s[2] <= '7';
}

/*
 * Up to the next comma, escapes resolved as libfuse does: a backslash takes
 * the meaning of what follows away, or stands before three octal digits.
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

static int parse_list(struct options *options, const char *list,
		      struct diag *diag)
{
	_cleanup_free_ char *entry = malloc(strlen(list) + 1);

	if (!entry)
		return -ENOMEM;
	while (*list) {
		const char *wrong;

		list = take_entry(list, entry);
		if (!*entry)
			continue;
		wrong = set_entry(options, entry);
		if (wrong)
			return fail(diag, "-o ", entry, wrong);
	}
	return 0;
}

/* Marks the row of -o; parse_one hands its value to parse_list. */
static const char *set_list(struct options *options,
			    const struct option_def *def, const char *value,
			    const char *text)
{
	return NULL;
}

/* ---- the line ---- */

static int parse_one(struct options *options, const struct option_def *def,
		     const char *value, struct diag *diag)
{
	_cleanup_free_ char *given = NULL;
	const char *wrong;

	if (def->set == set_list)
		return parse_list(options, value, diag);
	wrong = def->set(options, def, value, NULL);
	if (!wrong)
		return 0;
	if (asprintf(&given, "%s=%s", def->name, value) < 0)
		return -ENOMEM;
	return fail(diag, "--", given, wrong);
}

static int parse_argument(struct options *options, const char *argument,
			  struct diag *diag)
{
	const struct program_def *def = program_def(options->program);

	if (!options->src)
		options->src = argument;
	else if (!options->mnt && def->arguments > 1)
		options->mnt = argument;
	else
		return fail(diag, "", argument, def->too_many);
	return 0;
}

/* The row that a value of getopt's stands for. */
static const struct option_def *find_on_line(const struct options *options,
					     int value)
{
	if (value >= LONG && value < LONG + (int)N_TABLE)
		return &table[value - LONG];
	for (size_t i = 0; i < N_TABLE; i++) {
		if (value && table[i].letter == value &&
		    is_on_line(&table[i], options->program))
			return &table[i];
	}
	return NULL;
}

static int parse_failed(const struct options *options, int what, int value,
			const char *word, struct diag *diag)
{
	const struct option_def *def = find_on_line(options, value);
	char letter[] = { '-', (char)value, '\0' };
	const char *shown = value && value < LONG ? letter : word;

	if (what == ':')
		return fail(diag, "", shown, "needs a value");
	if (def)
		return fail(diag, "", shown, "takes no value");
	return fail(diag, "", shown, program_def(options->program)->unknown);
}

struct syntax {
	struct option longs[N_TABLE + 1];
	char shorts[2 * N_TABLE + 3];
};

/* The table as getopt_long wants it. */
static void fill_syntax(struct syntax *syntax, enum program program)
{
	struct option *next = syntax->longs;
	/* Arguments in their order, whatever POSIXLY_CORRECT says. */
	char *s = stpcpy(syntax->shorts, "-:");

	for (size_t i = 0; i < N_TABLE; i++) {
		const struct option_def *def = &table[i];

		if (!is_on_line(def, program))
			continue;
		if (def->name)
			*next++ = (struct option){
				.name = def->name,
				.has_arg = def->arg ? required_argument
						    : no_argument,
				.val = LONG + (int)i,
			};
		if (def->letter) {
			*s++ = def->letter;
			if (def->arg)
				*s++ = ':';
		}
	}
	*next = (struct option){ 0 };
	*s = '\0';
}

static int parse_line(struct options *options, int argc, char **argv,
		      struct diag *diag)
{
	struct syntax syntax;
	int r = 0;
	int c;

	fill_syntax(&syntax, options->program);
	optind = 0; /* GNU's way to start anew */
	opterr = 0;
	while (r == 0 && (c = getopt_long(argc, argv, syntax.shorts,
					  syntax.longs, NULL)) != -1) {
		if (c == '?' || c == ':')
			r = parse_failed(options, c, optopt, argv[optind - 1],
					 diag);
		else if (c == 1)
			r = parse_argument(options, optarg, diag);
		else
			r = parse_one(options, find_on_line(options, c), optarg,
				      diag);
	}
	for (; r == 0 && optind < argc; optind++)
		r = parse_argument(options, argv[optind], diag);
	return r;
}

/* https://reproducible-builds.org/specs/source-date-epoch/ */
static int parse_environment(struct options *options, struct diag *diag)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	const char *wrong;

	if (!epoch)
		return 0;
	wrong = value_epoch(epoch, &options->latest_time);
	if (wrong)
		return fail(diag, "SOURCE_DATE_EPOCH=", epoch, wrong);
	options->clamp_time = true;
	return 0;
}

int options_parse(struct options *ret_options, enum program program, int argc,
		  char **argv, struct diag *diag)
{
	struct options options = {
		.program = program,
		.free = 16u << 20,
		.overlay_limit = OVERLAY_LIMIT_FREE_SPACE,
		.timeout = 2,
		.start_timeout = 60,
		.console = BOOT_CONSOLE_BOTH,
		.mount_flags = MS_NOSUID | MS_NODEV,
	};
	int r = parse_line(&options, argc, argv, diag);

	if (r == 0 && !options.name && !(options.name = strdup("disk.img")))
		r = -ENOMEM;
	if (r == 0)
		r = parse_environment(&options, diag);
	if (r == 0 && !options.src && !options.help && !options.version)
		r = fail(diag, "", "SRC", program_def(program)->missing);
	if (r < 0) {
		options_clear(&options);
		return r;
	}
	*ret_options = options;
	return 0;
}

bool options_form(enum program program, size_t i, struct option_form *ret_form)
{
	for (size_t row = 0; row < N_TABLE; row++) {
		const struct option_def *def = &table[row];

		if (!is_on_line(def, program) || i--)
			continue;
		*ret_form = (struct option_form){
			.name = def->name,
			.letter = def->letter,
			.value = def->arg,
		};
		return true;
	}
	return false;
}

void options_clear(struct options *options)
{
	free(options->name);
	free(options->grub_dir);
	free(options->core_image);
	free(options->append);
	free(options->default_entry);
	free(options->pidfile);
	free(options->mount);
	*options = (struct options){ 0 };
}

static void put_help(FILE *out, const struct option_def *def)
{
	char left[64];

	snprintf(left, sizeof(left), "%s%c%s%s%s%s%s", def->letter ? "-" : "  ",
		 def->letter ? def->letter : ' ',
		 def->letter && def->name ? ", " : "",
		 def->name ? def->letter ? "--" : " --" : "",
		 def->name ? def->name : "",
		 !def->arg   ? ""
		 : def->name ? "="
			     : " ",
		 def->arg ? def->arg : "");
	fprintf(out, "  %-24s %s\n", left, def->help);
}

void options_help(FILE *out, enum program program)
{
	fputs(program_def(program)->head, out);
	for (size_t i = 0; i < N_TABLE; i++)
		if (table[i].help && is_on_line(&table[i], program))
			put_help(out, &table[i]);
	fputs(program_def(program)->tail, out);
}
