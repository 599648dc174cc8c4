/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A list of entries: what its lines say, and what is wrong with each. */
#include "support.h"

#include "archive/devices.h"

#define _cleanup_devices_ _cleanup_(devices_clear)

static const struct tree_attr list_attr = {
	.mode = S_IFREG | 0600,
	.uid = 5,
	.mtime = 1234,
	.mtime_ns = 56,
};

static int read_bytes(struct devices *devices, const void *bytes, size_t len,
		      struct diag *diag)
{
	_cleanup_builder_ struct tree_builder *b = builder_new();
	_cleanup_tree_ struct tree *tree = NULL;
	struct content *content;

	assert_ok(content_new_bytes(&content, bytes, len));
	assert_ok(tree_builder_add_content(b, 0, "devices", &list_attr, content,
					   len, NULL));
	tree = builder_tree(b);
	return devices_read(devices, tree, must_find(tree, "devices"), diag);
}

static int read_text(struct devices *devices, const char *text,
		     struct diag *diag)
{
	return read_bytes(devices, text, strlen(text), diag);
}

/* "PATH MODE UID:GID MAJOR:MINOR TARGET" of each, implied ones in brackets. */
static char *shown(const struct devices *devices)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	for (size_t i = 0; i < devices->count; i++) {
		const struct device *d = &devices->items[i];

		fprintf(f, d->implied ? "[%.*s]" : "%.*s", (int)d->path_len,
			d->path);
		fprintf(f, " %o %u:%u %u:%u %s\n", d->attr.mode, d->attr.uid,
			d->attr.gid, d->attr.major, d->attr.minor,
			d->target ? d->target : "-");
		assert_int_equal(d->attr.mtime, 1234);
		assert_int_equal(d->attr.mtime_ns, 56);
	}
	fclose(f);
	return text;
}

static void assert_shown(const char *text, const char *wanted)
{
	_cleanup_devices_ struct devices devices = { 0 };
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_free_ char *is = NULL;

	if (read_text(&devices, text, &diag) < 0)
		fail_msg("%s: %s", diag.path, diag.reason);
	is = shown(&devices);
	assert_string_equal(is, wanted);
}

static void every_kind(void **state)
{
	assert_shown("# a comment\n"
		     "\n"
		     " \t # another\n"
		     "nod /dev/console 0600 0 5 c 5 1\n"
		     "nod dev/sda 660 1 4294967294 b 4095 1048575\n"
		     "dir /dev 1755 0 0\r\n"
		     "\tslink\tlib  usr/lib 0777 3 4 # why\n"
		     "pipe //p/.//q/ 7777 1 1\n"
		     "sock s 0 0 0\n"
		     "dir / 0700 8 9",
		     " 40700 8:9 0:0 -\n"
		     "dev 41755 0:0 0:0 -\n"
		     "dev/console 20600 0:5 5:1 -\n"
		     "dev/sda 60660 1:4294967294 4095:1048575 -\n"
		     "lib 120777 3:4 0:0 usr/lib\n"
		     "[p] 40755 0:0 0:0 -\n"
		     "p/q 17777 1:1 0:0 -\n"
		     "s 140000 0:0 0:0 -\n");
	assert_shown("", "");
	assert_shown("\n\n#", "");
	assert_shown("dir . 0755 0 0", " 40755 0:0 0:0 -\n");
}

static void parents_come_once_and_first(void **state)
{
	assert_shown("pipe a-b/x 0600 0 0\n"
		     "pipe a/b/c/d 0600 0 0\n"
		     "pipe a/b/c2 0600 0 0\n"
		     "pipe a/b.c/e 0600 0 0\n"
		     "pipe ab/c/d 0600 0 0\n"
		     "pipe a/bc 0600 0 0\n"
		     "dir a/b/c 0700 1 1\n",
		     "[a] 40755 0:0 0:0 -\n"
		     "[a/b] 40755 0:0 0:0 -\n"
		     "a/b/c 40700 1:1 0:0 -\n"
		     "a/b/c/d 10600 0:0 0:0 -\n"
		     "a/b/c2 10600 0:0 0:0 -\n"
		     "[a/b.c] 40755 0:0 0:0 -\n"
		     "a/b.c/e 10600 0:0 0:0 -\n"
		     "a/bc 10600 0:0 0:0 -\n"
		     "[a-b] 40755 0:0 0:0 -\n"
		     "a-b/x 10600 0:0 0:0 -\n"
		     "[ab] 40755 0:0 0:0 -\n"
		     "[ab/c] 40755 0:0 0:0 -\n"
		     "ab/c/d 10600 0:0 0:0 -\n");
}

static void of_two_lines_the_later_holds(void **state)
{
	assert_shown("pipe a 0600 0 0\n"
		     "slink a old 0777 0 0\n"
		     "dir b 0700 0 0\n"
		     "slink /a new 0777 0 0\n"
		     "pipe b 0600 0 0\n"
		     "dir b/ 0711 0 0\n"
		     "pipe b/c 0600 0 0\n",
		     "a 120777 0:0 0:0 new\n"
		     "b 40711 0:0 0:0 -\n"
		     "b/c 10600 0:0 0:0 -\n");
}

static void wrong_lines(void **state)
{
	static const struct {
		const char *line;
		const char *reason;
	} wrong[] = {
		{ "nud a 0600 0 0 c 1 3", "\"nud\" is none of dir, nod" },
		{ "Dir a 0755 0 0", "\"Dir\" is none of" },
		{ "file /init init 0755 0 0", "a file is not listed" },
		{ "dir", "too few words: dir NAME MODE UID GID" },
		{ "dir a 0755 0", "too few words: dir" },
		{ "dir a 0755 0 0 0", "too many words: dir" },
		{ "dir a b c d e f g h i j k l m", "too many words: dir" },
		{ "nod a 0600 0 0 c 1", "too few words: nod" },
		{ "nod a 0600 0 0 c 1 # 3", "too few words: nod" },
		{ "nod a 0600 0 0 c 1 3 9", "too many words: nod" },
		{ "slink a 0777 0 0", "too few words: slink" },
		{ "pipe a 0600 0 0 c", "too many words: pipe" },
		{ "sock a 0600 0", "too few words: sock" },
		{ "dir a 0855 0 0", "mode \"0855\" is no octal" },
		{ "dir a 17777 0 0", "mode \"17777\" is no octal" },
		{ "dir a 7777777777777 0 0", "is no octal" },
		{ "dir a -1 0 0", "mode \"-1\"" },
		{ "dir a rwx 0 0", "mode \"rwx\"" },
		{ "dir a 0755 root 0", "uid \"root\" is no number" },
		{ "dir a 0755 0 wheel", "gid \"wheel\" is no number" },
		{ "dir a 0755 4294967295 0", "up to 4294967294" },
		{ "dir a 0755 0 -1", "gid \"-1\"" },
		{ "dir a 0755 +1 0", "uid \"+1\"" },
		{ "dir a 0755 0x1 0", "uid \"0x1\"" },
		{ "dir a 0755 99999999999999999999 0", "is no number" },
		{ "nod a 0600 0 0 u 1 3", "\"u\" is neither c nor b" },
		{ "nod a 0600 0 0 cb 1 3", "\"cb\" is neither" },
		{ "nod a 0600 0 0 c 4096 3", "major \"4096\"" },
		{ "nod a 0600 0 0 c 1 1048576", "minor \"1048576\"" },
		{ "nod a 0600 0 0 c 1 ''", "minor \"''\"" },
		{ "nod / 0600 0 0 c 1 3", "the root is a directory" },
		{ "slink . a 0777 0 0", "the root is a directory" },
		{ "dir ../a 0755 0 0", "\"..\"" },
		{ "dir a/.. 0755 0 0", "\"..\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_cleanup_devices_ struct devices devices = { 0 };
		_cleanup_diag_ struct diag diag = DIAG_INIT;
		char text[256];

		snprintf(text, sizeof(text), "dir ok 0755 0 0\n\n%s\ndir b",
			 wrong[i].line);
		assert_int_equal(read_text(&devices, text, &diag), -EINVAL);
		assert_string_equal(diag.path, "/devices:3");
		assert_contains(diag.reason, wrong[i].reason);
	}
}

static void names_that_are_too_long(void **state)
{
	_cleanup_devices_ struct devices devices = { 0 };
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	char text[600];
	int n = snprintf(text, sizeof(text), "pipe a/%0255d 0600 0 0\n", 0);

	assert_ok(read_text(&devices, text, &diag));
	devices_clear(&devices);
	snprintf(text + n, sizeof(text) - (size_t)n, "pipe a/%0256d 0600 0 0",
		 0);
	assert_int_equal(read_text(&devices, text, &diag), -EINVAL);
	assert_string_equal(diag.path, "/devices:2");
	assert_contains(diag.reason, "256 bytes");
}

/* Whatever the order of the lines. */
static void below_what_is_no_directory(void **state)
{
	static const char *const texts[] = {
		"pipe a/b 0600 0 0\ndir x 0755 0 0\npipe a/b/c 0600 0 0\n",
		"pipe a/b/c/d 0600 0 0\ndir x 0755 0 0\n"
		"slink a/b c 0777 0 0\n",
	};
	static const char *const lines[] = { "/devices:3", "/devices:1" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_devices_ struct devices devices = { 0 };
		_cleanup_diag_ struct diag diag = DIAG_INIT;

		assert_int_equal(read_text(&devices, texts[i], &diag), -EINVAL);
		assert_string_equal(diag.path, lines[i]);
		assert_contains(diag.reason, "\"a/b\" is no directory");
		assert_contains(diag.reason, i ? "line 3" : "line 1");
	}
}

static void no_text(void **state)
{
	static const char text[] = "dir a 0755 0 0\n#\ndir b 07\0";
	_cleanup_devices_ struct devices devices = { 0 };
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	assert_int_equal(read_bytes(&devices, text, sizeof(text), &diag),
			 -EINVAL);
	assert_string_equal(diag.path, "/devices:3");
	assert_contains(diag.reason, "NUL");
}

static void a_line_without_end(void **state)
{
	_cleanup_devices_ struct devices devices = { 0 };
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	size_t len = (size_t)2 << 20;
	_cleanup_free_ char *text = malloc(len);

	memset(text, '#', len);
	text[0] = '\n';
	assert_int_equal(read_bytes(&devices, text, len, &diag), -EINVAL);
	assert_string_equal(diag.path, "/devices:2");
	assert_contains(diag.reason, "1 MiB");
}

/* Longer than what is read at once, with comments as long. */
static void a_long_list(void **state)
{
	_cleanup_devices_ struct devices devices = { 0 };
	_cleanup_free_ char *text = NULL;
	const unsigned n = 20000;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (unsigned i = 0; i < n; i++) {
		fprintf(f, "nod /d%u/n%u 0600 %u 0 c 1 %u\n", i % 100, i, i, i);
		if (i % 5000 == 0)
			fprintf(f, "#%0200000d\n", 0);
	}
	fclose(f);
	assert_ok(read_text(&devices, text, NULL));
	assert_int_equal(devices.count, n + 100);
	for (size_t i = 0; i < devices.count; i++) {
		const struct device *d = &devices.items[i];

		if (i > 0)
			assert_true(devices_compare_paths(
					    d[-1].path, d[-1].path_len, d->path,
					    d->path_len) < 0);
		assert_true(d->implied || d->attr.uid == d->attr.minor);
	}
}

/* Something that may be a list: the right words, in any order, and not. */
static size_t draw_text(uint64_t *state, char *text, size_t most)
{
	static const char *const words[] = {
		"dir",	"nod", "slink",	     "pipe", "sock", "0600",
		"0755", "0",   "0",	     "1",    "c",    "b",
		"a",	"a/b", "a/b/c",	     "/",    "../x", "a//b",
		"a-",	"#",   "9999999999", "-1",
	};
	size_t len = 0;
	size_t lines = 1 + random_below(state, 8);

	for (size_t i = 0; i < lines; i++) {
		size_t n = 1 + random_below(state, 9);

		if (random_below(state, 2)) {
			static const char *const names[] = { "a", "b", "a/b",
							     "b/a", "a/b/c" };

			len += (size_t)snprintf(
				text + len, most - len, "%s %s 0700 1 2\n",
				words[random_below(state, 2) * 3],
				names[random_below(state, 5)]);
			continue;
		}
		for (size_t k = 0; k < n; k++)
			len += (size_t)snprintf(
				text + len, most - len, "%s%c",
				words[random_below(state, ARRAY_SIZE(words))],
				k == n - 1 ? '\n' : ' ');
	}
	if (random_below(state, 8) == 0)
		text[random_below(state, len)] = (char)random_next(state);
	return len;
}

static void assert_complete(const struct devices *devices)
{
	for (size_t i = 1; i < devices->count; i++) {
		const struct device *a = &devices->items[i - 1];
		const struct device *b = &devices->items[i];
		const char *slash = memrchr(b->path, '/', b->path_len);
		size_t dir = slash ? (size_t)(slash - b->path) : 0;

		assert_true(devices_compare_paths(a->path, a->path_len, b->path,
						  b->path_len) < 0);
		/* The parent is among those before it. */
		while (dir > 0 && (a->path_len != dir ||
				   memcmp(a->path, b->path, dir) != 0))
			assert_true(--a >= devices->items);
		assert_true(dir == 0 || S_ISDIR(a->attr.mode));
	}
}

static void random_lists(void **state)
{
	uint64_t seed = random_begin();
	unsigned good = 0;

	for (int i = 0; i < 20000; i++) {
		_cleanup_devices_ struct devices devices = { 0 };
		_cleanup_diag_ struct diag diag = DIAG_INIT;
		char text[1024];
		size_t len = draw_text(&seed, text, sizeof(text));
		int r = read_bytes(&devices, text, len, &diag);

		if (r < 0) {
			assert_int_equal(r, -EINVAL);
			assert_contains(diag.path, "/devices:");
			assert_non_null(diag.reason);
			continue;
		}
		good++;
		assert_complete(&devices);
	}
	assert_in_range(good, 100, 19900);
}

static void order_of_paths(void **state)
{
	static const char *const sorted[] = {
		"",    "\1", "a",   "a/\1", "a/b",  "a/b/c",	"a/b\1",
		"a\1", "a-", "a.b", "ab",   "\x7f", "\xc3\xa4", "\xff",
	};

	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++)
		for (size_t k = 0; k < ARRAY_SIZE(sorted); k++) {
			int c = devices_compare_paths(
				sorted[i], strlen(sorted[i]), sorted[k],
				strlen(sorted[k]));

			assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
		}
}

static void directories_alone(void **state)
{
	_cleanup_devices_ struct devices devices = { 0 };
	_cleanup_free_ char *is = NULL;
	const struct tree_attr attr = {
		.mode = S_IFDIR | 0755,
		.mtime = 1234,
		.mtime_ns = 56,
	};

	assert_ok(devices_add_dirs(&devices, "lib/modules/6.9", &attr));
	is = shown(&devices);
	assert_string_equal(is, "[lib] 40755 0:0 0:0 -\n"
				"[lib/modules] 40755 0:0 0:0 -\n"
				"[lib/modules/6.9] 40755 0:0 0:0 -\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind),
		cmocka_unit_test(parents_come_once_and_first),
		cmocka_unit_test(of_two_lines_the_later_holds),
		cmocka_unit_test(wrong_lines),
		cmocka_unit_test(names_that_are_too_long),
		cmocka_unit_test(below_what_is_no_directory),
		cmocka_unit_test(no_text),
		cmocka_unit_test(a_line_without_end),
		cmocka_unit_test(a_long_list),
		cmocka_unit_test(random_lists),
		cmocka_unit_test(order_of_paths),
		cmocka_unit_test(directories_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
