/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Entries of the Boot Loader Specification, type 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "boot/bls.h"
#include "boot_tree.h"

#define ID "6a9857a393724b7a981ebb5b8495b9ea"
#define V  "3.8.0-2.fc19.x86_64"

/* The example of the document, on each of the partitions. */
static void example_of_the_document(void **state)
{
	static const char text[] = "# /boot/loader/entries/" ID "-" V ".conf\n"
				   "title        Fedora 19 (Rawhide)\n"
				   "sort-key     fedora\n"
				   "machine-id   " ID "\n"
				   "version      " V "\n"
				   "options      root=UUID=6d3376e4-fc93-4509-"
				   "95ec-a21d68011da2 quiet\n"
				   "architecture x64\n"
				   "linux        /" ID "/" V "/linux\n"
				   "initrd       /" ID "/" V "/initrd\n";
	static const struct file boot[] = {
		{ "boot/loader/entries/" ID "-" V ".conf", .text = text },
		{ "boot/" ID "/" V "/linux", .version = "3.8.0-2 x" },
		{ "boot/" ID "/" V "/initrd" },
		{ "sbin/init" },
		{ NULL },
	};
	static const struct file system[] = {
		{ "loader/entries/" ID "-" V ".conf", .text = text },
		{ ID "/" V "/linux", .version = "3.8.0-2 x" },
		{ ID "/" V "/initrd" },
		{ "sbin/init" },
		{ NULL },
	};

	for (unsigned partition = 1; partition <= 2; partition++) {
		_cleanup_boot_ struct boot_kernels *kernels =
			find(partition == 1 ? boot : system, NULL);
		const char *path = partition == 1 ? "/boot/" ID "/" V "/linux"
						  : "/" ID "/" V "/linux";
		const struct boot_entry *entry = entry_of(kernels, path);
		const struct boot_entry *entries;

		assert_int_equal(boot_entries(kernels, &entries), 1);
		assert_string_equal(entry->title, "Fedora 19 (Rawhide)");
		assert_string_equal(entry->version, V);
		assert_string_equal(entry->id, "gnulinux-" V);
		assert_string_equal(entry->arguments,
				    "console=tty0 console=ttyS0,115200 root="
				    "UUID=6d3376e4-fc93-4509-95ec-a21d68011da2 "
				    "quiet");
		assert_int_equal(entry->n_initrds, 1);
		assert_int_equal(entry->partition, partition);
		assert_string_equal(strrchr(entry->initrds[0], '/'), "/initrd");
		assert_string_equal(entry->bls,
				    partition == 1 ? "/boot/loader/entries/" ID
						     "-" V ".conf"
						   : "/loader/entries/" ID "-" V
						     ".conf");
	}
}

/*
 * The rules of the document for the order, each with an entry that only it puts
 * where it is; keys and names are those of its examples. `bootctl list` of
 * systemd 252 gives the same.
 */
static void order_of_the_document(void **state)
{
	static const struct {
		const char *id;
		const char *text;
	} entries[] = {
		/* sort-key, A to Z, whatever the title and the version say. */
		{ "z", "title Z\nsort-key centos\nversion 1" },
		{ "y", "title A\nsort-key debian\nversion 6.1" },
		/* Then the machine, none at first. */
		{ "x1", "sort-key fedora\nversion 1" },
		{ "x2", "sort-key fedora\nversion 1\n"
			"machine-id 4098b3f648d74c13b1f04ccfba7798e8" },
		/* Then the version, newest first, as the document orders them.
		 */
		{ "a1", "sort-key fedora\nversion 3.10.0-1.fc19.x86_64\n"
			"machine-id " ID },
		{ "a2", "sort-key fedora\nversion " V "\nmachine-id " ID },
		{ "a3",
		  "sort-key fedora\nversion 3.8.0-2~rc1\nmachine-id " ID },
		{ "a4", "sort-key fedora\nversion 3.7.2-201.fc18.x86_64\n"
			"machine-id " ID },
		{ "a5", "sort-key fedora\nmachine-id " ID },
		/* Then the file's name, newest first. */
		{ "b-10", "sort-key fedora2\nversion 1" },
		{ "b-9", "sort-key fedora2\nversion 1" },
		/* Without a sort-key: by the name alone, behind all others. */
		{ ID "-3.10", "version 1" },
		{ ID "-3.9+1-2", "version 2" },
		{ ID "-3.8", "version 3" },
		/* Boots counted and used up: the last. */
		{ "q+0-3", "sort-key a" },
		{ "p+00", "sort-key b" },
		{ "z+0", "version 9" },
	};
	static struct bls parsed[32];
	size_t n = sizeof(entries) / sizeof(entries[0]);

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *text = strdup(entries[i].text);

		assert_int_equal(bls_parse(&parsed[i], entries[i].id, text), 0);
	}
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++) {
			int r = bls_compare(&parsed[i], &parsed[k]);

			if ((r > 0) - (r < 0) != (i > k) - (i < k))
				fail_msg("%s and %s: %d", entries[i].id,
					 entries[k].id, r);
		}
	for (size_t i = 0; i < n; i++)
		bls_clear(&parsed[i]);
}

static void counted_boots(void **state)
{
	static const struct {
		const char *id;
		bool bad;
	} cases[] = {
		{ "a+0", true },     { "a+0-5", true },	 { "a+00-05", true },
		{ "a+1", false },    { "a+1-0", false }, { "a+10", false },
		{ "a+0-", false },   { "a+0-x", false }, { "a+", false },
		{ "a+0x", false },   { "a-0", false },	 { "a", false },
		{ "a+0-1x", false }, { "a+0+1", false }, { "a+1+0", true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct bls bls = { .id = (char *)cases[i].id };

		if (bls_is_bad(&bls) != cases[i].bad)
			fail_msg("%s", cases[i].id);
	}
}

/* Blanks, comments, keys that are given twice, or that nobody knows. */
static void syntax(void **state)
{
	char text[] = "# title of nothing\n"
		      "\n"
		      "title \t one  two \t \n"
		      "  version 6.9\r\n"
		      "options a b\r\n"
		      "options   c=\"d  e\"\n"
		      "options\n"
		      "initrd /x y\n"
		      "initrd z\n"
		      "linux\t/k\n"
		      "linuxx /no\n"
		      "grub_class kernel\n"
		      "linux /l";
	struct bls bls = { 0 };

	assert_int_equal(bls_parse(&bls, "id", text), 0);
	assert_string_equal(bls.title, "one  two");
	assert_string_equal(bls.version, "6.9");
	assert_string_equal(bls.options, "a b c=\"d  e\"");
	assert_int_equal(bls.n_initrds, 2);
	assert_string_equal(bls.initrds[0], "/x y");
	assert_string_equal(bls.initrds[1], "z");
	assert_string_equal(bls.linux_path, "/l");
	assert_null(bls.sort_key);
	bls_clear(&bls);
}

/* An entry of a kernel that is there by its name: one entry, with both. */
static void kernels_of_both(void **state)
{
	static const struct file files[] = {
		{ "kernels/vmlinuz-6.1" },
		{ "kernels/initrd.img-6.1" },
		{ "kernels/vmlinuz-6.2" },
		{ "kernels/initrd.img-6.2" },
		{ "other" },
		{ "kernels/mine/bzImage", .version = "5.0 x" },
		{ "loader/entries/a.conf",
		  .text = "title Mine\nlinux /kernels/vmlinuz-6.1\noptions a" },
		{ "loader/entries/b.conf",
		  .text = "linux //kernels/./vmlinuz-6.2\ninitrd other\n"
			  "version seven" },
		{ "loader/entries/c.conf",
		  .text = "linux kernels/mine/bzImage" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);
	const struct boot_entry *entries;
	const struct boot_entry *entry;

	assert_int_equal(boot_entries(kernels, &entries), 3);
	entry = entry_of(kernels, "/kernels/vmlinuz-6.1");
	assert_string_equal(entry->title, "Mine");
	assert_string_equal(entry->id, "gnulinux-6.1");
	assert_initrds(entry, PATHS("/kernels/initrd.img-6.1"));
	entry = entry_of(kernels, "/kernels/./vmlinuz-6.2");
	assert_string_equal(entry->title, "Linux seven");
	assert_initrds(entry, PATHS("/other"));
	entry = entry_of(kernels, "/kernels/mine/bzImage");
	assert_string_equal(entry->title, "Linux 5.0 (mine/bzImage)");
	assert_string_equal(entry->name, "mine");
}

/* Several entries of one kernel are several; their titles are told apart. */
static void several_of_one(void **state)
{
	static const struct file files[] = {
		{ "kernels/vmlinuz-6.1" },
		{ "loader/entries/a.conf",
		  .text = "title T\nlinux /kernels/vmlinuz-6.1\noptions a" },
		{ "loader/entries/b.conf",
		  .text = "title T\nlinux /kernels/vmlinuz-6.1\noptions b" },
		{ "boot/loader/entries/b.conf",
		  .text = "title T\nlinux /kernels/vmlinuz-6.1\noptions b" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);
	const struct boot_entry *entries;

	assert_int_equal(boot_entries(kernels, &entries), 2);
	assert_string_equal(entries[0].title, "T");
	assert_string_equal(entries[1].title,
			    "T (partition 2: /loader/entries/b.conf)");
	assert_string_equal(entries[0].id, "gnulinux-6.1");
	assert_string_equal(entries[1].id,
			    "gnulinux-6.1 (partition 2: /loader/entries/"
			    "b.conf)");
	/* The same partition: not that of the kernel. */
	assert_rejected(kernels, "/boot/loader/entries/b.conf",
			"kernels/vmlinuz-6.1: no such file");
}

/* Of boot/, where a distribution had mounted a partition, and from the root. */
static void paths_of_partition_1(void **state)
{
	static const struct file files[] = {
		{ "boot/linux-1" },
		{ "boot/initrd-1" },
		{ "boot/boot/linux-2" },
		{ "boot/loader/entries/a.conf",
		  .text = "linux /linux-1\ninitrd /boot/initrd-1" },
		{ "boot/loader/entries/b.conf", .text = "linux /boot/linux-2" },
		{ "boot/loader/entries/c.conf", .text = "linux boot/linux-1" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);
	const struct boot_entry *entries;

	assert_int_equal(boot_entries(kernels, &entries), 3);
	assert_initrds(entry_of(kernels, "/boot/linux-1"), NO_PATHS);
	assert_string_equal(entry_of(kernels, "/boot/boot/linux-2")->path,
			    "/boot/boot/linux-2");
}

static void rejected(void **state)
{
	static const struct {
		const char *name;
		const char *text;
		const char *words;
	} cases[] = {
		{ "a", "title x", "no line \"linux\"" },
		{ "b", "efi /x.efi", "EFI" },
		{ "c", "linux /nowhere", "nowhere: no such file" },
		{ "d", "linux /k\ninitrd /nowhere", "nowhere: no such file" },
		{ "e", "linux /k\narchitecture aa64", "another architecture" },
		{ "f", "linux /elf", "/elf: is ELF" },
		{ "g", "linux /dir", "dir: no such file" },
		{ "h", "linux /k\noptions a'b", "no '" },
		{ "i", "linux /k\roptions", "no such file" },
		{ "j", "linux /", "no such file" },
		{ "k", "linux /k/", "no such file" },
		{ "l", "linux /../k", NULL },
		{ "m", "linux /k\narchitecture X64", NULL },
		{ "n", "linux /k\narchitecture ia32", NULL },
		{ "o", "linux /link", NULL },
		{ "p", "", "no line" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char path[64];
		const struct file files[] = {
			{ path + 1, .text = cases[i].text },
			{ "k" },
			{ "elf", .text = "\177ELF" },
			{ "dir/x" },
			{ "link", "k" },
			{ NULL },
		};
		_cleanup_boot_ struct boot_kernels *kernels = NULL;
		const struct boot_entry *entries;

		snprintf(path, sizeof(path), "/loader/entries/%s.conf",
			 cases[i].name);
		kernels = find(files, NULL);
		assert_int_equal(boot_entries(kernels, &entries),
				 !cases[i].words);
		if (cases[i].words)
			assert_rejected(kernels, path, cases[i].words);
	}
}

/* A rejected entry leaves the kernel that was found by its name. */
static void found_stays(void **state)
{
	static const struct file files[] = {
		{ "kernels/vmlinuz-6.1" },
		{ "loader/entries/a.conf",
		  .text = "linux /kernels/vmlinuz-6.1\ninitrd /nowhere" },
		{ "loader/entries/b.txt", .text = "x" },
		{ "loader/entries/.conf", .text = "x" },
		{ "loader/entries/c.conf", "nowhere" },
		{ "loader/entries/d.conf/" },
		{ "loader/entries/d.conf/x" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);
	const struct boot_reject *rejects;

	assert_paths(kernels, PATHS("/kernels/vmlinuz-6.1"));
	assert_rejected(kernels, "/loader/entries/a.conf", "nowhere");
	assert_rejected(kernels, "/loader/entries/c.conf", "leads to no file");
	assert_rejected(kernels, "/loader/entries/d.conf", "leads to no file");
	assert_int_equal(boot_rejects(kernels, &rejects), 3);
}

/* Beside what is found by its name: with a sort-key above, without below. */
static void order_of_both(void **state)
{
	static const struct file files[] = {
		{ "kernels/bzImage", .version = "1 x" },
		{ "kernels/vmlinuz-6.1" },
		{ "kernels/vmlinuz-6.3" },
		{ "x/1" },
		{ "x/2" },
		{ "x/3" },
		{ "loader/entries/a.conf", .text = "linux x/1" },
		{ "loader/entries/b.conf", .text = "linux x/2\nversion 99" },
		{ "loader/entries/c.conf", .text = "linux x/3\nsort-key k" },
		{ "loader/entries/d.conf",
		  .text = "linux kernels/vmlinuz-6.1\nversion 6.2" },
		{ "loader/entries/e+0.conf",
		  .text = "linux x/3\nsort-key a\nversion 9" },
		{ NULL },
	};
	_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);

	assert_paths(kernels,
		     PATHS("/kernels/bzImage", "/x/3", "/kernels/vmlinuz-6.3",
			   "/kernels/vmlinuz-6.1", "/x/2", "/x/1", "/x/3"));
}

static void marker(void **state)
{
	static const struct {
		const char *text;
		bool ours;
	} cases[] = {
		{ "type1\n", true },
		{ "type1", false },
		{ "type2\n", false },
		{ "", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct file files[] = {
			{ "k" },
			{ "loader/entries/a.conf", .text = "linux k" },
			{ "loader/entries.srel", .text = cases[i].text },
			{ NULL },
		};
		_cleanup_boot_ struct boot_kernels *kernels = find(files, NULL);
		const struct boot_entry *entries;

		assert_int_equal(boot_entries(kernels, &entries),
				 cases[i].ours);
		if (!cases[i].ours)
			assert_rejected(kernels, "/loader/entries.srel",
					"type 1");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(example_of_the_document),
		cmocka_unit_test(order_of_the_document),
		cmocka_unit_test(counted_boots),
		cmocka_unit_test(syntax),
		cmocka_unit_test(kernels_of_both),
		cmocka_unit_test(several_of_one),
		cmocka_unit_test(paths_of_partition_1),
		cmocka_unit_test(rejected),
		cmocka_unit_test(found_stays),
		cmocka_unit_test(order_of_both),
		cmocka_unit_test(marker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
