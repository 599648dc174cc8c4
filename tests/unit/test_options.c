/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "options.h"

#include <sys/mount.h>

#include "image_options.h"
#include "imgcore/overlay_budget.h"
#include "support.h"
#include "values.h"

#define MAX_ARGS 32

/* What options_parse makes of the words; both are cleared by the caller. */
static int parse_for(enum program program, struct options *options,
		     struct diag *diag, const char *const *words)
{
	char *argv[MAX_ARGS + 2] = { (char *)"dirdisk" };
	int argc = 1;

	for (; *words; words++) {
		assert_true(argc <= MAX_ARGS);
		argv[argc++] = (char *)*words;
	}
	return options_parse(options, program, argc, argv, diag);
}

static int parse(struct options *options, struct diag *diag,
		 const char *const *words)
{
	return parse_for(PROGRAM_DIRDISK, options, diag, words);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

#define _cleanup_options_ _cleanup_(options_clear)

static void assert_parses(struct options *options, const char *const *words)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	if (parse(options, &diag, words) < 0)
		fail_msg("%s: %s", diag.path, diag.reason);
}

/* Refused, and the message names this. */
static void assert_refused(const char *const *words, const char *named)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct options options;

	assert_int_equal(parse(&options, &diag, words), -EINVAL);
	assert_non_null(diag.path);
	assert_string_equal(diag.path, named);
	assert_true(diag.reason && *diag.reason);
}

static void test_defaults(void **state)
{
	_cleanup_options_ struct options o = { 0 };

	assert_parses(&o, WORDS("src", "mnt"));
	assert_string_equal(o.src, "src");
	assert_string_equal(o.mnt, "mnt");
	assert_string_equal(o.name, "disk.img");
	assert_false(o.stale_serve);
	assert_false(o.no_follow);
	assert_int_equal(o.size, 0);
	assert_int_equal(o.boot_size, 0);
	assert_int_equal(o.free, 16 << 20);
	assert_true(o.overlay_limit == OVERLAY_LIMIT_FREE_SPACE);
	assert_int_equal(o.timeout, 2);
	assert_int_equal(o.order, BOOT_ORDER_VERSION);
	assert_int_equal(o.console, BOOT_CONSOLE_BOTH);
	assert_int_equal(o.owner, TREE_OWNER_KEEP);
	assert_int_equal(o.unreadable, TREE_UNREADABLE_ERROR);
	assert_int_equal(o.xattrs, TREE_XATTRS_KEEP);
	assert_false(o.foreground || o.debug || o.help || o.version);
	assert_false(o.no_grub || o.fsname);
	assert_null(o.append);
	assert_null(o.default_entry);
	assert_null(o.grub_dir);
	assert_null(o.core_image);
	assert_null(o.pidfile);
	assert_null(o.mount);
}

static void assert_all_set(const struct options *o)
{
	assert_int_equal(o->size, 1ull << 30);
	assert_int_equal(o->boot_size, 512 * 3);
	assert_int_equal(o->free, 5000);
	assert_string_equal(o->append, "quiet a=b,c");
	assert_int_equal(o->timeout, -1);
	assert_string_equal(o->default_entry, "6.1");
	assert_int_equal(o->order, BOOT_ORDER_MTIME);
	assert_int_equal(o->console, BOOT_CONSOLE_VGA);
	assert_int_equal(o->owner, TREE_OWNER_SET);
	assert_int_equal(o->uid, 4294967294u);
	assert_int_equal(o->gid, 7);
	assert_string_equal(o->pidfile, "/run/p");
	assert_int_equal(o->unreadable, TREE_UNREADABLE_SKIP);
	assert_int_equal(o->xattrs, TREE_XATTRS_USER);
	assert_string_equal(o->grub_dir, "g");
	assert_string_equal(o->core_image, "c");
	assert_true(o->no_grub);
}

static void test_long_options(void **state)
{
	_cleanup_options_ struct options o = { 0 };

	assert_parses(&o, WORDS("--size=1G", "--boot-size=1536", "--free=5000",
				"--append=quiet a=b,c", "--timeout=-1",
				"--default=6.1", "--console=vga",
				"--owner=4294967294:7", "--pidfile=/run/p",
				"--unreadable=skip", "--grub-dir=g",
				"--core-image=c", "--no-grub", "--xattrs=user",
				"--order=mtime", "src", "mnt"));
	assert_all_set(&o);
}

static void test_list(void **state)
{
	_cleanup_options_ struct options o = { 0 };

	assert_parses(&o,
		      WORDS("src", "mnt", "-o",
			    "size=1G,boot-size=1536,free=5000,"
			    "append=quiet a=b\\,c,timeout=-1,,default=6.1,"
			    "console=vga,owner=4294967294:7",
			    "-opidfile=/run/p,unreadable=skip,grub-dir=g,"
			    "core-image=c,no-grub,xattrs=user,order=mtime"));
	assert_all_set(&o);
	assert_null(o.mount);
}

static void test_value_in_next_word(void **state)
{
	_cleanup_options_ struct options o = { 0 };

	assert_parses(&o, WORDS("--size", "1M", "--timeout", "-1", "s", "m"));
	assert_int_equal(o.size, 1 << 20);
	assert_int_equal(o.timeout, -1);
}

static void test_last_one_counts(void **state)
{
	_cleanup_options_ struct options o = { 0 };

	assert_parses(&o, WORDS("--append=a", "--append=b", "--owner=1:2",
				"--owner=keep", "--default=x",
				"--default=", "s", "m"));
	assert_string_equal(o.append, "b");
	assert_int_equal(o.owner, TREE_OWNER_KEEP);
	assert_null(o.default_entry);
}

static void test_letters(void **state)
{
	_cleanup_options_ struct options f = { 0 };
	_cleanup_options_ struct options d = { 0 };
	_cleanup_options_ struct options h = { 0 };
	_cleanup_options_ struct options v = { 0 };

	assert_parses(&f, WORDS("s", "-fo", "ro", "m"));
	assert_true(f.foreground && !f.debug);
	assert_string_equal(f.mount, "ro");
	assert_parses(&d, WORDS("-d", "s", "m"));
	assert_true(d.foreground && d.debug);
	assert_parses(&h, WORDS("-h"));
	assert_true(h.help);
	assert_parses(&v, WORDS("--version"));
	assert_true(v.version);
}

static void test_arguments(void **state)
{
	_cleanup_options_ struct options dashes = { 0 };
	_cleanup_options_ struct options alone = { 0 };

	assert_parses(&dashes, WORDS("-f", "--", "-s", "--size=x"));
	assert_string_equal(dashes.src, "-s");
	assert_string_equal(dashes.mnt, "--size=x");
	assert_parses(&alone, WORDS("src"));
	assert_null(alone.mnt);
	assert_refused(WORDS(), "SRC");
	assert_refused(WORDS("-f"), "SRC");
	assert_refused(WORDS("a", "b", "c"), "c");
	assert_refused(WORDS("a", "--", "b", "c"), "c");
}

/* Options may follow arguments whatever the environment says. */
static void test_posixly_correct(void **state)
{
	_cleanup_options_ struct options o = { 0 };

	setenv("POSIXLY_CORRECT", "1", 1);
	assert_parses(&o, WORDS("src", "mnt", "-f"));
	unsetenv("POSIXLY_CORRECT");
	assert_true(o.foreground);
}

static void test_mount_options(void **state)
{
	_cleanup_options_ struct options o = { 0 };

	assert_parses(&o, WORDS("-o", "rw,allow_other,fsname=a\\,b\\\\c",
				"-osuid,noatime", "s", "m"));
	assert_string_equal(o.mount,
			    "rw,allow_other,fsname=a\\,b\\\\c,suid,noatime");
	assert_true(o.fsname);
}

/* The last word about a flag counts; FUSE mounts are nosuid and nodev. */
static void test_mount_flags(void **state)
{
	_cleanup_options_ struct options o = { 0 };

	assert_parses(&o, WORDS("s", "m"));
	assert_int_equal(o.mount_flags, MS_NOSUID | MS_NODEV);
	assert_false(o.remount);
	options_clear(&o);
	assert_parses(&o, WORDS("-o", "remount,rw,ro,suid,noexec,fsname=a\\,rw",
				"s", "m"));
	assert_int_equal(o.mount_flags, MS_NODEV | MS_RDONLY | MS_NOEXEC);
	assert_true(o.remount);
	options_clear(&o);
	assert_parses(
		&o, WORDS("-oro,noatime,noexec", "-orw,atime,exec", "s", "m"));
	assert_int_equal(o.mount_flags, MS_NOSUID | MS_NODEV);
}

/* Words that mean nothing here never reach FUSE. */
static void test_words_that_mean_nothing(void **state)
{
	static const char *const words[] = {
		"relatime",    "norelatime",
		"diratime",    "nodiratime",
		"lazytime",    "nolazytime",
		"strictatime", "nostrictatime",
		"iversion",    "noiversion",
		"mand",	       "nomand",
		"silent",      "loud",
		"symfollow",   "nosymfollow",
		"group",       "nogroup",
		"nousers",     "noowner",
		"user_id=1",   "group_id=1",
		"max_read=1",  "blksize=1",
		"helper=x",    "X-mount.mkdir=1",
		"comment=x",   "auto_unmount",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		_cleanup_options_ struct options o = { 0 };

		assert_parses(&o, WORDS("-o", (char *)words[i], "s", "m"));
		assert_null(o.mount);
	}
}

static void test_octal_escape(void **state)
{
	_cleanup_options_ struct options o = { 0 };

	assert_parses(&o, WORDS("-o", "append=a\\040b\\054c\\d", "s", "m"));
	assert_string_equal(o.append, "a b,cd");
}

static void test_swallowed(void **state)
{
	_cleanup_options_ struct options o = { 0 };

	assert_parses(&o, WORDS("-o",
				"defaults,auto,noauto,user,nouser,users,"
				"_netdev,nofail,x-systemd.automount,x-a=b,"
				"default_permissions",
				"s", "m"));
	assert_null(o.mount);
}

static void test_uuid(void **state)
{
	static const uint8_t want[16] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
					  0xcd, 0xef, 0xFE, 0xDC, 0xba, 0x98,
					  0x76, 0x54, 0x32, 0x10 };
	_cleanup_options_ struct options o = { 0 };

	assert_parses(&o, WORDS("--uuid=01234567-89ab-cdef-FEDC-ba9876543210",
				"s", "m"));
	assert_true(o.has_uuid);
	assert_memory_equal(o.uuid, want, sizeof(want));
}

static void test_source_date_epoch(void **state)
{
	_cleanup_options_ struct options o = { 0 };

	setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
	assert_parses(&o, WORDS("s", "m"));
	assert_true(o.clamp_time);
	assert_int_equal(o.latest_time, 1700000000);
	setenv("SOURCE_DATE_EPOCH", "yesterday", 1);
	assert_refused(WORDS("s", "m"), "SOURCE_DATE_EPOCH=yesterday");
	setenv("SOURCE_DATE_EPOCH", "-1", 1);
	assert_refused(WORDS("s", "m"), "SOURCE_DATE_EPOCH=-1");
	unsetenv("SOURCE_DATE_EPOCH");
}

static void test_unknown(void **state)
{
	assert_refused(WORDS("--nosuch", "s", "m"), "--nosuch");
	assert_refused(WORDS("--nosuch=1", "s", "m"), "--nosuch=1");
	assert_refused(WORDS("-z", "s", "m"), "-z");
	assert_refused(WORDS("-fz", "s", "m"), "-z");
	assert_refused(WORDS("-o", "nosuch", "s", "m"), "-o nosuch");
	assert_refused(WORDS("-o", "ro,nosuch=1", "s", "m"), "-o nosuch=1");
	assert_refused(WORDS("-o", "fd=1", "s", "m"), "-o fd=1");
	assert_refused(WORDS("-o", "help", "s", "m"), "-o help");
	assert_refused(WORDS("-o", "x", "s", "m"), "-o x");
	assert_refused(WORDS("--allow_other", "s", "m"), "--allow_other");
}

static void test_value_or_none(void **state)
{
	assert_refused(WORDS("s", "m", "--size"), "--size");
	assert_refused(WORDS("s", "m", "-o"), "-o");
	assert_refused(WORDS("--no-grub=1", "s", "m"), "--no-grub=1");
	assert_refused(WORDS("-o", "no-grub=1", "s", "m"), "-o no-grub=1");
	assert_refused(WORDS("-o", "size", "s", "m"), "-o size");
	assert_refused(WORDS("-o", "ro=1", "s", "m"), "-o ro=1");
	assert_refused(WORDS("-o", "fsname=", "s", "m"), "-o fsname=");
	assert_refused(WORDS("--grub-dir=", "s", "m"), "--grub-dir=");
}

static void test_bad_values_are_named(void **state)
{
	static const char *const bad[] = {
		"uuid=",
		"uuid=01234567-89ab-cdef-FEDC-ba987654321",
		"uuid=01234567-89ab-cdef-FEDC-ba987654321g",
		"uuid=0123456789ab-cdef-FEDC-ba987654321000",
		"size=-1",
		"size=abc",
		"size=9E",
		"size=",
		"size=5000000",
		"size=0",
		"size=1 M",
		"boot-size=1",
		"free=-0",
		"timeout=-2",
		"timeout=1.5",
		"console=tty",
		"order=time",
		"order=",
		"owner=me",
		"unreadable=maybe",
		"append=a\nb",
		"xattrs=all",
		"name=",
		"name=.",
		"name=..",
		"name=a/b",
		"name=/disk.img",
		"name=info",
		"overlay-limit=",
		"overlay-limit=-1",
		"overlay-limit=5%",
		"stale=yes",
		"stale=",
		"watch=",
		"watch=yes",
		"start-timeout=0",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char on_line[64];
		char in_list[64];

		snprintf(on_line, sizeof(on_line), "--%s", bad[i]);
		snprintf(in_list, sizeof(in_list), "-o %s", bad[i]);
		assert_refused(WORDS(on_line, "s", "m"), on_line);
		assert_refused(WORDS("-o", bad[i], "s", "m"), in_list);
	}
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },
		{ "1", 1 },
		{ "007", 7 },
		{ "1K", 1 << 10 },
		{ "3M", 3 << 20 },
		{ "2G", 2ull << 30 },
		{ "8T", 8ull << 40 },
		{ "9223372036854775807", INT64_MAX },
		{ "8388607T", 8388607ull << 40 },
	};
	static const char *const bad[] = {
		"",
		"K",
		"-1",
		"+1",
		" 1",
		"1 ",
		"1k",
		"1KB",
		"1KiB",
		"1.5G",
		"0x10",
		"1P",
		"1E",
		"9E",
		"1e3",
		"abc",
		"1M1",
		"1KK",
		"\xc2\xb2",
		"8388608T",
		"9223372036854775808",
		"18446744073709551615",
		"18446744073709551616",
		"99999999999999999999999999",
	};
	uint64_t bytes = 42;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (!value_size(bad[i], &bytes))
			fail_msg("\"%s\" passes for a size", bad[i]);
		assert_int_equal(bytes, 42);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_null(value_size(good[i].text, &bytes));
		assert_true(bytes == good[i].bytes);
	}
}

static void test_sectors(void **state)
{
	uint64_t bytes = 42;

	assert_non_null(value_sectors("0", &bytes));
	assert_non_null(value_sectors("511", &bytes));
	assert_non_null(value_sectors("5000000", &bytes));
	assert_int_equal(bytes, 42);
	assert_null(value_sectors("512", &bytes));
	assert_int_equal(bytes, 512);
	assert_null(value_sectors("1K", &bytes));
	assert_int_equal(bytes, 1024);
}

static void test_timeouts(void **state)
{
	int seconds = 42;

	assert_non_null(value_timeout("", &seconds));
	assert_non_null(value_timeout("-2", &seconds));
	assert_non_null(value_timeout("-1 ", &seconds));
	assert_non_null(value_timeout("2147483648", &seconds));
	assert_non_null(value_timeout("1s", &seconds));
	assert_int_equal(seconds, 42);
	assert_null(value_timeout("2147483647", &seconds));
	assert_int_equal(seconds, INT32_MAX);
	assert_null(value_timeout("-1", &seconds));
	assert_int_equal(seconds, -1);
}

static void test_owners(void **state)
{
	static const char *const bad[] = {
		"",	 ":",	 "1",	      "1:",	      ":1",
		"1:2:3", "-1:0", "root:root", "4294967295:0", "0:4294967296",
	};
	enum tree_owner owner = TREE_OWNER_KEEP;
	uint32_t uid = 42;
	uint32_t gid = 43;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_non_null(value_owner(bad[i], &owner, &uid, &gid));
	assert_int_equal(owner, TREE_OWNER_KEEP);
	assert_int_equal(uid, 42);
	assert_int_equal(gid, 43);
	assert_null(value_owner("1:4294967294", &owner, &uid, &gid));
	assert_int_equal(owner, TREE_OWNER_SET);
	assert_int_equal(uid, 1);
	assert_int_equal(gid, 4294967294u);
	assert_null(value_owner("root", &owner, &uid, &gid));
	assert_int_equal(uid, 0);
	assert_int_equal(gid, 0);
}

/* Every long option is in the help; nothing that only -o takes is. */
static void test_names(void **state)
{
	char longest[NAME_MAX + 2];
	_cleanup_options_ struct options o = { 0 };

	assert_null(value_name("a name, \xff and \n"));
	assert_null(value_name("info.img"));
	memset(longest, 'x', sizeof(longest));
	longest[NAME_MAX] = '\0';
	assert_null(value_name(longest));
	longest[NAME_MAX] = 'x';
	longest[NAME_MAX + 1] = '\0';
	assert_non_null(value_name(longest));
	assert_parses(&o, WORDS("--name=a", "-o", "name=b\\,c", "s", "m"));
	assert_string_equal(o.name, "b,c");
}

static void test_changes(void **state)
{
	_cleanup_options_ struct options line = { 0 };
	_cleanup_options_ struct options list = { 0 };
	_cleanup_options_ struct options back = { 0 };

	assert_parses(&line, WORDS("--stale=serve", "--no-follow",
				   "--cross-mounts", "--watch=none", "s", "m"));
	assert_true(line.stale_serve && line.no_follow && line.cross_mounts &&
		    line.no_watch);
	assert_parses(&list,
		      WORDS("-ostale=serve,no-follow,cross-mounts,watch=none",
			    "s", "m"));
	assert_true(list.stale_serve && list.no_follow && list.cross_mounts &&
		    list.no_watch);
	assert_parses(&back, WORDS("--stale=serve", "--stale=fail",
				   "--watch=none", "--watch=auto", "s", "m"));
	assert_false(back.stale_serve || back.no_watch);
}

static void test_overlay_limit(void **state)
{
	_cleanup_options_ struct options line = { 0 };
	_cleanup_options_ struct options list = { 0 };

	assert_parses(&line, WORDS("--overlay-limit=3G", "s", "m"));
	assert_true(line.overlay_limit == UINT64_C(3) << 30);
	assert_parses(&list, WORDS("-o", "overlay-limit=0", "s", "m"));
	assert_int_equal(list.overlay_limit, 0);
}

static void test_help(void **state)
{
	static const char *const listed[] = {
		"--name=NAME",
		"--stale=",
		"--no-follow",
		"--cross-mounts",
		"--watch=",
		"--size=SIZE",
		"--boot-size=SIZE",
		"--free=SIZE",
		"--overlay-limit=SIZE",
		"--append=TEXT",
		"--timeout=SECONDS",
		"--default=NAME",
		"--order=",
		"--console=",
		"--owner=",
		"--pidfile=FILE",
		"--unreadable=",
		"--xattrs=",
		"--grub-dir=DIR",
		"--core-image=FILE",
		"--no-grub",
		"--help",
		"--version",
		"-f ",
		"-d ",
		"-h",
		"-V",
		"-o ",
	};
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	assert_non_null(file);
	options_help(file, PROGRAM_DIRDISK);
	assert_int_equal(fclose(file), 0);
	for (size_t i = 0; i < ARRAY_SIZE(listed); i++)
		assert_contains(text, listed[i]);
	assert_null(strstr(text, "nofail"));
}

static void check_refuses(const char *const *words, const char *named,
			  const char *reason)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct options options;

	assert_int_equal(parse_for(PROGRAM_CHECK, &options, &diag, words),
			 -EINVAL);
	assert_string_equal(diag.path, named);
	assert_contains(diag.reason, reason);
}

/* A program has rows of its own, and shares those that are about the disk. */
static void test_programs(void **state)
{
	_cleanup_options_ struct options o = { 0 };
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	assert_int_equal(
		parse_for(PROGRAM_CHECK, &o, &diag,
			  WORDS("--json", "--size=1M", "-o",
				"free=2M,allow_other,nofail,pidfile=p", "s")),
		0);
	assert_true(o.json);
	assert_int_equal(o.size, 1 << 20);
	assert_int_equal(o.free, 2 << 20);
	assert_string_equal(o.src, "s");
	assert_null(o.mnt);
	check_refuses(WORDS("s", "m"), "m", "give SRC alone");
	check_refuses(WORDS("--pidfile=p", "s"), "--pidfile=p",
		      "dirdisk-check --help");
	check_refuses(WORDS("-f", "s"), "-f", "dirdisk-check --help");
	check_refuses(WORDS("-o", "json", "s"), "-o json", "unknown");
	check_refuses(WORDS("--json"), "SRC", "usage: dirdisk-check");
	assert_refused(WORDS("--json", "s", "m"), "--json");
}

static void test_programs_help(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	assert_non_null(file);
	options_help(file, PROGRAM_CHECK);
	assert_int_equal(fclose(file), 0);
	assert_contains(text, "Usage: dirdisk-check");
	assert_contains(text, "--json");
	assert_contains(text, "--boot-size=SIZE");
	assert_null(strstr(text, "--pidfile"));
	assert_null(strstr(text, "-f "));
}

/* The same disk for whoever asks. */
static void test_image_options(void **state)
{
	_cleanup_options_ struct options o = { 0 };
	struct image_options image;

	assert_parses(&o, WORDS("--size=8M", "--owner=7:8", "--no-follow",
				"--xattrs=none", "--unreadable=skip",
				"--append=a b", "--console=vga",
				"--stale=serve", "s", "m"));
	image_options_fill(&image, &o);
	assert_int_equal(image.size, 8 << 20);
	assert_int_equal(image.scan.owner, TREE_OWNER_SET);
	assert_int_equal(image.scan.uid, 7);
	assert_int_equal(image.scan.gid, 8);
	assert_null(image.scan.follow);
	assert_int_equal(image.scan.xattrs, TREE_XATTRS_NONE);
	assert_int_equal(image.scan.unreadable, TREE_UNREADABLE_SKIP);
	assert_string_equal(image.boot.append, "a b");
	assert_int_equal(image.boot.console, BOOT_CONSOLE_VGA);
	assert_true(image.serve_stale);
	assert_null(image.uuid);
}

/* Every option of the line, once, with whether it has a value. */
static void test_forms(void **state)
{
	struct option_form form;
	size_t names = 0;
	size_t letters = 0;

	for (size_t i = 0; options_form(PROGRAM_DIRDISK, i, &form); i++) {
		char word[64];
		struct options options;
		const char *reason;
		_cleanup_diag_ struct diag diag = DIAG_INIT;

		assert_true(form.name || form.letter);
		names += form.name ? 1 : 0;
		letters += form.letter ? 1 : 0;
		if (!form.name)
			continue;
		/* The wrong way round, each is refused for that. */
		snprintf(word, sizeof(word), "--%s%s", form.name,
			 form.value ? "" : "=x");
		assert_int_equal(parse(&options, &diag, WORDS(word)), -EINVAL);
		reason = form.value ? "needs a value" : "takes no value";
		assert_string_equal(diag.reason, reason);
	}
	assert_true(names > 10);
	assert_int_equal(letters, strlen("ofdhV"));
	assert_true(options_form(PROGRAM_CHECK, 0, &form));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_long_options),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_value_in_next_word),
		cmocka_unit_test(test_last_one_counts),
		cmocka_unit_test(test_letters),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_posixly_correct),
		cmocka_unit_test(test_mount_options),
		cmocka_unit_test(test_mount_flags),
		cmocka_unit_test(test_words_that_mean_nothing),
		cmocka_unit_test(test_octal_escape),
		cmocka_unit_test(test_swallowed),
		cmocka_unit_test(test_uuid),
		cmocka_unit_test(test_source_date_epoch),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_value_or_none),
		cmocka_unit_test(test_bad_values_are_named),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_sectors),
		cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_overlay_limit),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_programs),
		cmocka_unit_test(test_programs_help),
		cmocka_unit_test(test_image_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
