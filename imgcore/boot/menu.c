/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * grub.cfg: consoles, timeout, one entry a kernel. The entries name partitions
 * of the disk that grub.cfg itself was read from, whatever the BIOS calls it:
 * with several disks it need not be hd0.
 *
 * The default is set by its number, as a title or an id with a '>' in it would
 * be read as a way into a submenu.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "boot/kernels.h"
#include "boot/quote.h"
#include "imgcore/boot.h"
#include "imgcore/diag.h"

#define ID_PREFIX "gnulinux-"

/*
 * What an entry is called: the version, and of the second of a version the path
 * as well. Versions have no '/', so no two entries are called the same.
 */
static char *entry_label(const struct kernels *kernels, size_t i)
{
	const struct kernel *kernel = &kernels->items[i];
	_cleanup_free_ char *version = quote_shown(kernel->version);
	_cleanup_free_ char *path = quote_shown(kernel->path);
	char *label;

	if (!version || !path)
		return NULL;
	/* Sorted: the same versions stand together. */
	if (i == 0 || strcmp(kernel[-1].version, kernel->version) != 0)
		return take_ptr(version);
	if (asprintf(&label, "%s (partition %u: %s)", version,
		     kernel->partition, path) < 0)
		return NULL;
	return label;
}

/* Whether name is a way to say this entry: version, file, path, id. */
static bool entry_is(const struct kernel *kernel, const char *label,
		     const char *name)
{
	size_t prefix = strlen(ID_PREFIX);

	if (strcmp(name, kernel->version) == 0 ||
	    strcmp(name, kernel->file) == 0 ||
	    strcmp(name, kernel->path + (*name != '/')) == 0)
		return true;
	return strncmp(name, ID_PREFIX, prefix) == 0 &&
	       (strcmp(name + prefix, label) == 0 ||
		strcmp(name + prefix, kernel->version) == 0);
}

/* "6.9.0, 6.8.0, ..." for a message. */
static char *entries_listed(const struct kernels *kernels)
{
	const size_t most = 10;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	for (size_t i = 0; i < kernels->count && i < most; i++)
		fprintf(f, "%s%s", i ? ", " : "", kernels->items[i].version);
	if (kernels->count > most)
		fputs(", ...", f);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static int default_unknown(const struct kernels *kernels, const char *name,
			   struct diag *diag)
{
	_cleanup_free_ char *listed = NULL;
	_cleanup_free_ char *option = NULL;

	if (asprintf(&option, "--default=%s", name) < 0)
		option = NULL;
	if (kernels->count == 0)
		return diag_set(diag, -EINVAL, option,
				"there is no kernel at all in kernels/ or "
				"boot/; leave the option out");
	listed = entries_listed(kernels);
	return diag_set(diag, -EINVAL, option,
			"no kernel of that name or version; there is %s",
			listed ? listed : "another");
}

/* Sets the number of the entry asked for; none asked for: left alone. */
static int default_find(const struct kernels *kernels, const char *name,
			size_t *ret_default, struct diag *diag)
{
	if (!name)
		return 0;
	for (size_t i = 0; i < kernels->count; i++) {
		_cleanup_free_ char *label = entry_label(kernels, i);

		if (!label)
			return diag_set(diag, -ENOMEM, NULL, NULL);
		if (entry_is(&kernels->items[i], label, name)) {
			*ret_default = i;
			return 0;
		}
	}
	return default_unknown(kernels, name, diag);
}

/*
 * A machine without a serial port keeps the console it has.
 *
 * A BIOS may have its screen on the serial line already, as QEMU's with
 * -nographic: with GRUB there too, each character would be seen twice, and some
 * of the keys lost between them. Its interrupt 0x10 is then not in a VGA's ROM,
 * at c000, but in its own or in a later one. With no VGA it is so as well.
 */
static void put_terminals(FILE *f, enum boot_console console)
{
	static const char both[] =
		"if serial --unit=0 --speed=115200; then\n"
		"\t# Not twice, where the BIOS has its screen there too.\n"
		"\tread_word -v segment 0x42\n"
		"\tif regexp '^(f000|c[89a-f]..|d...)$' \"$segment\"; then\n"
		"\t\tterminal_input serial\n"
		"\t\tterminal_output serial\n"
		"\telse\n"
		"\t\tterminal_input serial console\n"
		"\t\tterminal_output serial console\n"
		"\tfi\n"
		"fi\n";
	static const char serial[] = "if serial --unit=0 --speed=115200; then\n"
				     "\tterminal_input serial\n"
				     "\tterminal_output serial\n"
				     "fi\n";
	static const char vga[] = "terminal_input console\n"
				  "terminal_output console\n";

	fputs(console == BOOT_CONSOLE_VGA      ? vga
	      : console == BOOT_CONSOLE_SERIAL ? serial
					       : both,
	      f);
}

static void put_menu_settings(FILE *f, int timeout, size_t default_entry)
{
	fprintf(f,
		"set timeout=%d\n"
		"set default=%zu\n"
		"# The disk that this file is on.\n"
		"set drive=hd0\n"
		"regexp --set=1:drive '^[(]([^,)]*)' \"$config_directory\"\n",
		timeout < 0 ? -1 : timeout, default_entry);
}

static const char *console_arguments(enum boot_console console)
{
	switch (console) {
	case BOOT_CONSOLE_SERIAL:
		return " console=ttyS0,115200";
	case BOOT_CONSOLE_VGA:
		return " console=tty0";
	case BOOT_CONSOLE_BOTH:
		break;
	}
	return " console=tty0 console=ttyS0,115200";
}

/* What follows a kernel's name: consoles, then the user's, which win. */
static int arguments_make(const struct boot_options *options,
			  char **ret_arguments, struct diag *diag)
{
	_cleanup_free_ char *arguments = NULL;
	size_t len;
	FILE *f = open_memstream(&arguments, &len);
	int r = 0;

	if (!f)
		return diag_set(diag, -ENOMEM, NULL, NULL);
	fputs(console_arguments(options->console), f);
	if (options->append)
		r = quote_arguments(f, options->append, diag);
	if (fclose(f) != 0 && r == 0)
		r = diag_set(diag, -ENOMEM, NULL, NULL);
	if (r == 0)
		*ret_arguments = take_ptr(arguments);
	return r;
}

static int put_entry(FILE *f, const struct kernel *kernel, const char *label,
		     const char *arguments)
{
	_cleanup_free_ char *title = NULL;
	_cleanup_free_ char *id = NULL;

	if (asprintf(&title, "Linux %s", label) < 0) {
		title = NULL;
		return -ENOMEM;
	}
	if (asprintf(&id, ID_PREFIX "%s", label) < 0) {
		id = NULL;
		return -ENOMEM;
	}
	fputs("menuentry ", f);
	quote_word(f, title);
	fputs(" --id ", f);
	quote_word(f, id);
	fprintf(f, " {\n\tset root=\"$drive,msdos%u\"\n\tlinux ",
		kernel->partition);
	quote_word(f, kernel->path);
	fputs(arguments, f);
	if (kernel->initrd) {
		fputs("\n\tinitrd ", f);
		quote_word(f, kernel->initrd);
	}
	fputs("\n}\n", f);
	return 0;
}

struct menu {
	struct kernels kernels;
	size_t default_entry;
	char *arguments;
};

static void menu_clear(struct menu *menu)
{
	kernels_clear(&menu->kernels);
	free(menu->arguments);
}

static int menu_put(FILE *f, const struct menu *menu,
		    const struct boot_options *options)
{
	const struct kernels *kernels = &menu->kernels;

	put_terminals(f, options->console);
	if (kernels->count == 0) {
		fputs("# No kernel in kernels/ or boot/: the prompt.\n", f);
		return 0;
	}
	put_menu_settings(f, options->timeout, menu->default_entry);
	for (size_t i = 0; i < kernels->count; i++) {
		_cleanup_free_ char *label = entry_label(kernels, i);
		int r = -ENOMEM;

		if (label)
			r = put_entry(f, &kernels->items[i], label,
				      menu->arguments);
		if (r < 0)
			return r;
	}
	return 0;
}

static int menu_text(const struct menu *menu,
		     const struct boot_options *options, char **ret_text,
		     size_t *ret_len)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int r;

	if (!f)
		return -ENOMEM;
	r = menu_put(f, menu, options);
	if (fclose(f) != 0 || r < 0)
		return -ENOMEM;
	*ret_text = take_ptr(text);
	*ret_len = len;
	return 0;
}

int boot_menu(const struct tree *boot_tree, const struct tree *system_tree,
	      const struct boot_options *options, char **ret_text,
	      size_t *ret_len, struct diag *diag)
{
	_cleanup_(menu_clear) struct menu menu = { 0 };
	int r = kernels_find(&menu.kernels, boot_tree, "boot", 1);

	if (r == 0)
		r = kernels_find(&menu.kernels, system_tree, "kernels", 2);
	if (r < 0)
		return diag_set(diag, r, "kernels", NULL);
	kernels_sort(&menu.kernels);
	r = default_find(&menu.kernels, options->default_entry,
			 &menu.default_entry, diag);
	if (r < 0)
		return r;
	r = arguments_make(options, &menu.arguments, diag);
	if (r < 0)
		return r;
	r = menu_text(&menu, options, ret_text, ret_len);
	return r < 0 ? diag_set(diag, r, "grub.cfg", NULL) : 0;
}
