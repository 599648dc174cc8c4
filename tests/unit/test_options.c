/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/check/options.h"

#include <sys/mount.h>

#include "imgcore/overlay_budget.h"
#include "support.h"

#define MAX_ARGS 32

/* An argv of these words; returns argc. */
static int make_argv(char **argv, const char *const *words)
{
	int argc = 1;

	argv[0] = (char *)"dirdisk";
	for (; *words; words++) {
		assert_true(argc <= MAX_ARGS);
		argv[argc++] = (char *)*words;
	}
	argv[argc] = NULL;
	return argc;
}

/* What dirdisk makes of the words; both are cleared by the caller. */
static int parse(struct dirdisk_options *options, struct diag *diag,
		 const char *const *words)
{
	char *argv[MAX_ARGS + 2];

	return dirdisk_options_parse(options, make_argv(argv, words), argv,
				     diag);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

#define _cleanup_dirdisk_ _cleanup_(dirdisk_options_clear)

static void assert_parses(struct dirdisk_options *options,
			  const char *const *words)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	if (parse(options, &diag, words) < 0)
		fail_msg("%s: %s", diag.path, diag.reason);
}

/* Refused, and the message names this. */
static void assert_refused(const char *const *words, const char *named)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct dirdisk_options options;

	assert_int_equal(parse(&options, &diag, words), -EINVAL);
	assert_non_null(diag.path);
	assert_string_equal(diag.path, named);
	assert_true(diag.reason && *diag.reason);
}

/* Set in the library, without a command line. */
static void assert_set(struct options *options, const char *key,
		       const char *value)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	if (options_set(options, key, value, &diag) < 0)
		fail_msg("%s: %s", diag.path, diag.reason);
}

/* Refused, and the message names the option and its value. */
static void assert_not_set(struct options *options, const char *key,
			   const char *value)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	char given[256];

	snprintf(given, sizeof(given), "%s%s%s", key, value ? "=" : "",
		 value ? value : "");
	if (options_set(options, key, value, &diag) != -EINVAL)
		fail_msg("%s passes", given);
	assert_string_equal(diag.path, given);
	assert_true(diag.reason && *diag.reason);
}

static void test_defaults(void **state)
{
	_cleanup_dirdisk_ struct dirdisk_options o = { 0 };

	assert_parses(&o, WORDS("src", "mnt"));
	assert_string_equal(o.src, "src");
	assert_string_equal(o.mnt, "mnt");
	assert_string_equal(o.name, "disk.img");
	assert_false(o.disk.live.image.serve_stale);
	assert_string_equal(o.disk.live.image.scan.follow, "kernels");
	assert_int_equal(o.disk.live.image.size, 0);
	assert_int_equal(o.disk.live.image.boot_size, 0);
	assert_int_equal(o.disk.live.image.free, 16 << 20);
	assert_true(o.disk.overlay_limit == OVERLAY_LIMIT_FREE_SPACE);
	assert_int_equal(o.disk.live.image.boot.timeout, 2);
	assert_int_equal(o.disk.live.image.boot.order, BOOT_ORDER_VERSION);
	assert_int_equal(o.disk.live.image.boot.console, BOOT_CONSOLE_BOTH);
	assert_int_equal(o.disk.live.image.scan.owner, TREE_OWNER_KEEP);
	assert_int_equal(o.disk.live.image.scan.unreadable,
			 TREE_UNREADABLE_ERROR);
	assert_int_equal(o.disk.live.image.scan.xattrs, TREE_XATTRS_KEEP);
	assert_false(o.foreground || o.debug || o.help || o.version);
	assert_false(o.disk.live.image.boot.no_grub || o.mount.fsname);
	assert_null(o.disk.live.image.boot.append);
	assert_null(o.disk.live.image.boot.default_entry);
	assert_null(o.disk.live.image.boot.grub_dir);
	assert_null(o.disk.live.image.boot.core_image);
	assert_null(o.pidfile);
	assert_null(o.mount.list);
}

static void assert_all_set(const struct dirdisk_options *o)
{
	assert_int_equal(o->disk.live.image.size, 1ull << 30);
	assert_int_equal(o->disk.live.image.boot_size, 512 * 3);
	assert_int_equal(o->disk.live.image.free, 5000);
	assert_string_equal(o->disk.live.image.boot.append, "quiet a=b,c");
	assert_int_equal(o->disk.live.image.boot.timeout, -1);
	assert_string_equal(o->disk.live.image.boot.default_entry, "6.1");
	assert_int_equal(o->disk.live.image.boot.order, BOOT_ORDER_MTIME);
	assert_int_equal(o->disk.live.image.boot.console, BOOT_CONSOLE_VGA);
	assert_int_equal(o->disk.live.image.scan.owner, TREE_OWNER_SET);
	assert_int_equal(o->disk.live.image.scan.uid, 4294967294u);
	assert_int_equal(o->disk.live.image.scan.gid, 7);
	assert_string_equal(o->pidfile, "/run/p");
	assert_int_equal(o->disk.live.image.scan.unreadable,
			 TREE_UNREADABLE_SKIP);
	assert_int_equal(o->disk.live.image.scan.xattrs, TREE_XATTRS_USER);
	assert_string_equal(o->disk.live.image.boot.grub_dir, "g");
	assert_string_equal(o->disk.live.image.boot.core_image, "c");
	assert_true(o->disk.live.image.boot.no_grub);
}

static void test_long_options(void **state)
{
	_cleanup_dirdisk_ struct dirdisk_options o = { 0 };

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
	_cleanup_dirdisk_ struct dirdisk_options o = { 0 };

	assert_parses(&o,
		      WORDS("src", "mnt", "-o",
			    "size=1G,boot-size=1536,free=5000,"
			    "append=quiet a=b\\,c,timeout=-1,,default=6.1,"
			    "console=vga,owner=4294967294:7",
			    "-opidfile=/run/p,unreadable=skip,grub-dir=g,"
			    "core-image=c,no-grub,xattrs=user,order=mtime"));
	assert_all_set(&o);
	assert_null(o.mount.list);
}

static void test_value_in_next_word(void **state)
{
	_cleanup_dirdisk_ struct dirdisk_options o = { 0 };

	assert_parses(&o, WORDS("--size", "1M", "--timeout", "-1", "s", "m"));
	assert_int_equal(o.disk.live.image.size, 1 << 20);
	assert_int_equal(o.disk.live.image.boot.timeout, -1);
}

static void test_last_one_counts(void **state)
{
	_cleanup_dirdisk_ struct dirdisk_options o = { 0 };

	assert_parses(&o, WORDS("--append=a", "--append=b", "--owner=1:2",
				"--owner=keep", "--default=x",
				"--default=", "s", "m"));
	assert_string_equal(o.disk.live.image.boot.append, "b");
	assert_int_equal(o.disk.live.image.scan.owner, TREE_OWNER_KEEP);
	assert_null(o.disk.live.image.boot.default_entry);
}

static void test_letters(void **state)
{
	_cleanup_dirdisk_ struct dirdisk_options f = { 0 };
	_cleanup_dirdisk_ struct dirdisk_options d = { 0 };
	_cleanup_dirdisk_ struct dirdisk_options h = { 0 };
	_cleanup_dirdisk_ struct dirdisk_options v = { 0 };

	assert_parses(&f, WORDS("s", "-fo", "ro", "m"));
	assert_true(f.foreground && !f.debug);
	assert_string_equal(f.mount.list, "ro");
	assert_parses(&d, WORDS("-d", "s", "m"));
	assert_true(d.foreground && d.debug);
	assert_parses(&h, WORDS("-h"));
	assert_true(h.help);
	assert_parses(&v, WORDS("--version"));
	assert_true(v.version);
}

static void test_arguments(void **state)
{
	_cleanup_dirdisk_ struct dirdisk_options dashes = { 0 };
	_cleanup_dirdisk_ struct dirdisk_options alone = { 0 };

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
	_cleanup_dirdisk_ struct dirdisk_options o = { 0 };

	setenv("POSIXLY_CORRECT", "1", 1);
	assert_parses(&o, WORDS("src", "mnt", "-f"));
	unsetenv("POSIXLY_CORRECT");
	assert_true(o.foreground);
}

static void test_mount_options(void **state)
{
	_cleanup_dirdisk_ struct dirdisk_options o = { 0 };

	assert_parses(&o, WORDS("-o", "rw,allow_other,fsname=a\\,b\\\\c",
				"-osuid,noatime", "s", "m"));
	assert_string_equal(o.mount.list,
			    "rw,allow_other,fsname=a\\,b\\\\c,suid,noatime");
	assert_true(o.mount.fsname);
}

/* The last word about a flag counts; FUSE mounts are nosuid and nodev. */
static void test_mount_flags(void **state)
{
	_cleanup_dirdisk_ struct dirdisk_options o = { 0 };

	assert_parses(&o, WORDS("s", "m"));
	assert_int_equal(o.mount.flags, MS_NOSUID | MS_NODEV);
	assert_false(o.mount.remount);
	dirdisk_options_clear(&o);
	assert_parses(&o, WORDS("-o", "remount,rw,ro,suid,noexec,fsname=a\\,rw",
				"s", "m"));
	assert_int_equal(o.mount.flags, MS_NODEV | MS_RDONLY | MS_NOEXEC);
	assert_true(o.mount.remount);
	dirdisk_options_clear(&o);
	assert_parses(
		&o, WORDS("-oro,noatime,noexec", "-orw,atime,exec", "s", "m"));
	assert_int_equal(o.mount.flags, MS_NOSUID | MS_NODEV);
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
		_cleanup_dirdisk_ struct dirdisk_options o = { 0 };

		assert_parses(&o, WORDS("-o", (char *)words[i], "s", "m"));
		assert_null(o.mount.list);
	}
}

static void test_octal_escape(void **state)
{
	_cleanup_dirdisk_ struct dirdisk_options o = { 0 };

	assert_parses(&o, WORDS("-o", "append=a\\040b\\054c\\d", "s", "m"));
	assert_string_equal(o.disk.live.image.boot.append, "a b,cd");
}

static void test_swallowed(void **state)
{
	_cleanup_dirdisk_ struct dirdisk_options o = { 0 };

	assert_parses(&o, WORDS("-o",
				"defaults,auto,noauto,user,nouser,users,"
				"_netdev,nofail,x-systemd.automount,x-a=b,"
				"default_permissions",
				"s", "m"));
	assert_null(o.mount.list);
}

static void test_uuid(void **state)
{
	static const uint8_t want[16] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
					  0xcd, 0xef, 0xFE, 0xDC, 0xba, 0x98,
					  0x76, 0x54, 0x32, 0x10 };
	_cleanup_dirdisk_ struct dirdisk_options o = { 0 };

	assert_parses(&o, WORDS("--uuid=01234567-89ab-cdef-FEDC-ba9876543210",
				"s", "m"));
	assert_non_null(o.disk.live.image.uuid);
	assert_memory_equal(o.disk.live.image.uuid, want, sizeof(want));
}

static void test_source_date_epoch(void **state)
{
	_cleanup_dirdisk_ struct dirdisk_options o = { 0 };

	setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
	assert_parses(&o, WORDS("s", "m"));
	assert_true(o.disk.live.image.scan.clamp_time);
	assert_int_equal(o.disk.live.image.scan.latest_time, 1700000000);
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
	_cleanup_(options_clear) struct options o = { 0 };
	uint64_t *bytes = &o.live.image.free;

	*bytes = 42;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_not_set(&o, "free", bad[i]);
	assert_int_equal(*bytes, 42);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_set(&o, "free", good[i].text);
		assert_true(*bytes == good[i].bytes);
	}
}

static void test_sectors(void **state)
{
	_cleanup_(options_clear) struct options o = { 0 };
	uint64_t *bytes = &o.live.image.size;

	*bytes = 42;
	assert_not_set(&o, "size", "0");
	assert_not_set(&o, "size", "511");
	assert_not_set(&o, "size", "5000000");
	assert_int_equal(*bytes, 42);
	assert_set(&o, "size", "512");
	assert_int_equal(*bytes, 512);
	assert_set(&o, "size", "1K");
	assert_int_equal(*bytes, 1024);
}

static void test_timeouts(void **state)
{
	_cleanup_(options_clear) struct options o = { 0 };
	int *seconds = &o.live.image.boot.timeout;

	*seconds = 42;
	assert_not_set(&o, "timeout", "");
	assert_not_set(&o, "timeout", "-2");
	assert_not_set(&o, "timeout", "-1 ");
	assert_not_set(&o, "timeout", "2147483648");
	assert_not_set(&o, "timeout", "1s");
	assert_int_equal(*seconds, 42);
	assert_set(&o, "timeout", "2147483647");
	assert_int_equal(*seconds, INT32_MAX);
	assert_set(&o, "timeout", "-1");
	assert_int_equal(*seconds, -1);
}

static void test_owners(void **state)
{
	static const char *const bad[] = {
		"",	 ":",	 "1",	      "1:",	      ":1",
		"1:2:3", "-1:0", "root:root", "4294967295:0", "0:4294967296",
	};
	_cleanup_(options_clear) struct options o = { 0 };
	struct tree_scan_options *scan = &o.live.image.scan;

	scan->uid = 42;
	scan->gid = 43;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_not_set(&o, "owner", bad[i]);
	assert_int_equal(scan->owner, TREE_OWNER_KEEP);
	assert_int_equal(scan->uid, 42);
	assert_int_equal(scan->gid, 43);
	assert_set(&o, "owner", "1:4294967294");
	assert_int_equal(scan->owner, TREE_OWNER_SET);
	assert_int_equal(scan->uid, 1);
	assert_int_equal(scan->gid, 4294967294u);
	assert_set(&o, "owner", "root");
	assert_int_equal(scan->uid, 0);
	assert_int_equal(scan->gid, 0);
}

static void test_names(void **state)
{
	_cleanup_dirdisk_ struct dirdisk_options o = { 0 };
	char longest[NAME_MAX + 2];
	const char *const good[] = { "a name, \xff and \n", "info.img",
				     longest };
	char word[sizeof("--name=") + NAME_MAX + 1];

	memset(longest, 'x', sizeof(longest));
	longest[NAME_MAX] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		dirdisk_options_clear(&o);
		snprintf(word, sizeof(word), "--name=%s", good[i]);
		assert_parses(&o, WORDS(word, "s", "m"));
		assert_string_equal(o.name, good[i]);
	}
	longest[NAME_MAX] = 'x';
	longest[NAME_MAX + 1] = '\0';
	snprintf(word, sizeof(word), "--name=%s", longest);
	assert_refused(WORDS(word, "s", "m"), word);
	dirdisk_options_clear(&o);
	assert_parses(&o, WORDS("--name=a", "-o", "name=b\\,c", "s", "m"));
	assert_string_equal(o.name, "b,c");
}

static void test_changes(void **state)
{
	_cleanup_dirdisk_ struct dirdisk_options line = { 0 };
	_cleanup_dirdisk_ struct dirdisk_options list = { 0 };
	_cleanup_dirdisk_ struct dirdisk_options back = { 0 };

	assert_parses(&line, WORDS("--stale=serve", "--no-follow",
				   "--cross-mounts", "--watch=none", "s", "m"));
	assert_true(line.disk.live.image.serve_stale &&
		    !line.disk.live.image.scan.follow &&
		    line.disk.live.image.scan.cross_mounts &&
		    line.disk.live.no_watch);
	assert_parses(&list,
		      WORDS("-ostale=serve,no-follow,cross-mounts,watch=none",
			    "s", "m"));
	assert_true(list.disk.live.image.serve_stale &&
		    !list.disk.live.image.scan.follow &&
		    list.disk.live.image.scan.cross_mounts &&
		    list.disk.live.no_watch);
	assert_parses(&back, WORDS("--stale=serve", "--stale=fail",
				   "--watch=none", "--watch=auto", "s", "m"));
	assert_false(back.disk.live.image.serve_stale ||
		     back.disk.live.no_watch);
}

static void test_overlay_limit(void **state)
{
	_cleanup_dirdisk_ struct dirdisk_options line = { 0 };
	_cleanup_dirdisk_ struct dirdisk_options list = { 0 };

	assert_parses(&line, WORDS("--overlay-limit=3G", "s", "m"));
	assert_true(line.disk.overlay_limit == UINT64_C(3) << 30);
	assert_parses(&list, WORDS("-o", "overlay-limit=0", "s", "m"));
	assert_int_equal(list.disk.overlay_limit, 0);
}

/* Every option of the line is in the help; nothing that only -o takes is. */
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
	command_line_help(&dirdisk_command, file);
	assert_int_equal(fclose(file), 0);
	for (size_t i = 0; i < ARRAY_SIZE(listed); i++)
		assert_contains(text, listed[i]);
	assert_null(strstr(text, "nofail"));
}

static int check_parse(struct check_options *options, struct diag *diag,
		       const char *const *words)
{
	struct command_line line = { 0 };
	char *argv[MAX_ARGS + 2];
	int argc = make_argv(argv, words);
	int r;

	dirdisk_options_init(&options->dirdisk);
	r = command_line_parse(&check_command, options, &line, argc, argv,
			       diag);
	if (r == 0)
		assert_string_equal(line.arguments[0], "s");
	command_line_clear(&line);
	return r;
}

static void check_refuses(const char *const *words, const char *named,
			  const char *reason)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct check_options o = { 0 };

	assert_int_equal(check_parse(&o, &diag, words), -EINVAL);
	dirdisk_options_clear(&o.dirdisk);
	assert_string_equal(diag.path, named);
	assert_contains(diag.reason, reason);
}

/* A program has rows of its own, and shares those that are about the disk. */
static void test_programs(void **state)
{
	struct check_options o = { 0 };
	const struct image_options *image = &o.dirdisk.disk.live.image;
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	assert_int_equal(
		check_parse(&o, &diag,
			    WORDS("--json", "--size=1M", "-o",
				  "free=2M,allow_other,nofail,pidfile=p", "s")),
		0);
	assert_true(o.json);
	assert_int_equal(image->size, 1 << 20);
	assert_int_equal(image->free, 2 << 20);
	dirdisk_options_clear(&o.dirdisk);
	check_refuses(WORDS("s", "m"), "m",
		      "usage: dirdisk-check [options] SRC");
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
	command_line_help(&check_command, file);
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
	_cleanup_dirdisk_ struct dirdisk_options o = { 0 };
	const struct image_options *image = &o.disk.live.image;

	assert_parses(&o, WORDS("--size=8M", "--owner=7:8", "--no-follow",
				"--xattrs=none", "--unreadable=skip",
				"--append=a b", "--console=vga",
				"--stale=serve", "s", "m"));
	assert_int_equal(image->size, 8 << 20);
	assert_int_equal(image->scan.owner, TREE_OWNER_SET);
	assert_int_equal(image->scan.uid, 7);
	assert_int_equal(image->scan.gid, 8);
	assert_null(image->scan.follow);
	assert_int_equal(image->scan.xattrs, TREE_XATTRS_NONE);
	assert_int_equal(image->scan.unreadable, TREE_UNREADABLE_SKIP);
	assert_string_equal(image->boot.append, "a b");
	assert_int_equal(image->boot.console, BOOT_CONSOLE_VGA);
	assert_true(image->serve_stale);
	assert_null(image->uuid);
}

/* Each row of a table with and without a value: one of them is wrong. */
static void test_forms(void **state)
{
	static const struct option_row *const tables[] = { options_rows,
							   dirdisk_rows };
	size_t names = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		for (const struct option_row *row = tables[i]; row->help;
		     row++) {
			struct dirdisk_options options;
			_cleanup_diag_ struct diag diag = DIAG_INIT;
			const char *reason = row->value ? "needs a value"
							: "takes no value";
			char word[64];

			assert_true(row->key || row->letter);
			if (!row->key || (row->where & OPTION_ENVIRONMENT))
				continue;
			names++;
			snprintf(word, sizeof(word), "--%s%s", row->key,
				 row->value ? "" : "=x");
			assert_int_equal(parse(&options, &diag, WORDS(word)),
					 -EINVAL);
			assert_string_equal(diag.path, word);
			assert_string_equal(diag.reason, reason);
			diag_clear(&diag);
			snprintf(word, sizeof(word), "-o%s%s", row->key,
				 row->value ? "" : "=x");
			assert_int_equal(parse(&options, &diag, WORDS(word)),
					 -EINVAL);
			assert_string_equal(
				diag.reason,
				row->where & OPTION_LINE_ONLY
					? "unknown option; dirdisk --help lists them"
					: reason);
		}
	}
	assert_int_equal(names, 24);
}

/* A good and a bad value of every row of the library. */
static void test_set(void **state)
{
	static const struct {
		const char *key, *good, *bad;
	} cases[] = {
		{ "size", "1M", "1" },
		{ "boot-size", "512", "0" },
		{ "free", "0", "x" },
		{ "overlay-limit", "5G", "5%" },
		{ "uuid", "01234567-89ab-cdef-fedc-ba9876543210", "0123" },
		{ "append", "quiet", "a\nb" },
		{ "timeout", "-1", "-2" },
		{ "default", "6.1", "\x7f" },
		{ "order", "mtime", "time" },
		{ "console", "vga", "tty" },
		{ "owner", "1:2", "me" },
		{ "unreadable", "skip", "ski" },
		{ "xattrs", "user", "keep|none" },
		{ "stale", "serve", "" },
		{ "watch", "none", "nonesuch" },
		{ "no-follow", NULL, "1" },
		{ "cross-mounts", NULL, "" },
		{ "grub-dir", "g", "" },
		{ "core-image", "c", NULL },
		{ "no-grub", NULL, "no" },
		{ "SOURCE_DATE_EPOCH", "1700000000", "-1" },
	};
	_cleanup_(options_clear) struct options o;
	const struct option_row *row = options_rows;

	options_init(&o);
	assert_not_set(&o, "nosuch", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++, row++) {
		struct options before = o;

		assert_string_equal(row->key, cases[i].key);
		assert_not_set(&o, cases[i].key, cases[i].bad);
		assert_memory_equal(&o, &before, sizeof(o));
		assert_set(&o, cases[i].key, cases[i].good);
		assert_memory_not_equal(&o, &before, sizeof(o));
	}
	assert_null(row->help);
	assert_int_equal(o.live.image.boot.order, BOOT_ORDER_MTIME);
	assert_int_equal(o.live.image.boot.console, BOOT_CONSOLE_VGA);
	assert_int_equal(o.live.image.scan.unreadable, TREE_UNREADABLE_SKIP);
	assert_int_equal(o.live.image.scan.xattrs, TREE_XATTRS_USER);
	assert_true(o.live.image.serve_stale && o.live.no_watch);
}

/* Each word of a choice has the value of its place. */
static void test_choices(void **state)
{
	_cleanup_(options_clear) struct options o = { 0 };
	const struct image_options *image = &o.live.image;
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	assert_set(&o, "order", "mtime");
	assert_set(&o, "order", "version");
	assert_int_equal(image->boot.order, BOOT_ORDER_VERSION);
	assert_set(&o, "console", "serial");
	assert_int_equal(image->boot.console, BOOT_CONSOLE_SERIAL);
	assert_set(&o, "console", "both");
	assert_int_equal(image->boot.console, BOOT_CONSOLE_BOTH);
	assert_set(&o, "xattrs", "none");
	assert_int_equal(image->scan.xattrs, TREE_XATTRS_NONE);
	assert_set(&o, "xattrs", "keep");
	assert_int_equal(image->scan.xattrs, TREE_XATTRS_KEEP);
	assert_set(&o, "unreadable", "error");
	assert_int_equal(image->scan.unreadable, TREE_UNREADABLE_ERROR);
	assert_int_equal(options_set(&o, "console", "tty", &diag), -EINVAL);
	assert_string_equal(diag.reason, "unknown; give both|serial|vga");
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
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_choices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
