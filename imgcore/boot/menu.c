/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * grub.cfg: consoles, timeout, two entries a kernel. The entries name
 * partitions of the disk that grub.cfg itself was read from, whatever the
 * firmware calls it: with several disks it need not be hd0.
 *
 * The default, which is the first, is set by its number: GRUB would read a
 * title or an id with a '>' in it as a path into a submenu.
 */
#include "boot/menu.h"

#include <errno.h>
#include <stdio.h>

#include "base/escape.h"
#include "base/memstream.h"
#include "base/quote.h"
#include "base/text.h"
#include "base/vec.h"
#include "boot/cmdline.h"
#include "boot/finder.h"
#include "imgcore/diag.h"
#include "imgcore/paths.h"

static int default_unknown(const struct boot_kernels *kernels, const char *name,
			   struct diag *diag)
{
	const size_t most = 10;
	_cleanup_free_ char *listed = NULL;
	_cleanup_free_ char *option = NULL;
	const struct boot_entry *entries;
	size_t n = boot_entries(kernels, &entries);
	struct memstream stream;
	FILE *f;

	(void)text_format(&option, "--default=%s", name);
	if (n == 0)
		return diag_set(diag, -EINVAL, option,
				"there is no kernel at all in kernels/ or "
				"boot/; leave the option out");
	/* "6.9.0, 6.8.0, ..." */
	f = memstream_open(&stream);
	for (size_t i = 0; f && i < n && i < most; i++)
		fprintf(f, "%s%s", i ? ", " : "", entries[i].version);
	if (f && n > most)
		fputs(", ...", f);
	if (f)
		(void)memstream_close(&stream, &listed, NULL);
	return diag_set(diag, -EINVAL, option,
			"no kernel of that name or version; there is %s",
			listed ? listed : "another");
}

/* One entry, with a suffix at its title and id and one at its command line. */
static int put_variant(FILE *f, const struct boot_entry *entry,
		       const struct boot_target *target,
		       const char *title_suffix, const char *id_suffix,
		       const char *arguments,
		       struct boot_placeholders *placeholders)
{
	_cleanup_free_ char *title = NULL;
	_cleanup_free_ char *id = NULL;
	_cleanup_free_ char *version = escape_text(entry->version, ESCAPE_ALL);
	_cleanup_free_ char *loading = NULL;
	int r;

	if (!version ||
	    text_format(&loading, "Loading Linux %s ...", version) < 0 ||
	    text_format(&title, "%s%s", entry->title, title_suffix) < 0 ||
	    text_format(&id, "%s%s", entry->id, id_suffix) < 0)
		return -ENOMEM;
	fputs("menuentry ", f);
	quote_text(f, title);
	fputs(" --id ", f);
	quote_word(f, id);
	fputs(" {\n\techo ", f);
	quote_text(f, loading);
	fprintf(f, "\n\tset root=\"$drive,%s%u\"\n\tlinux ",
		target->partition_map, entry->partition);
	quote_word(f, entry->path);
	r = cmdline_quote(f, entry->arguments, placeholders);
	fputs(arguments, f);
	for (size_t i = 0; i < entry->n_initrds; i++) {
		fputs(i ? " " : "\n\tinitrd ", f);
		quote_word(f, entry->initrds[i]);
	}
	fputs("\n}\n", f);
	return r;
}

static int put_entry(FILE *f, const struct boot_entry *entry,
		     const struct boot_target *target,
		     struct boot_placeholders *placeholders)
{
	int r = put_variant(f, entry, target, "", "", "", placeholders);

	return r < 0 ? r
		     : put_variant(f, entry, target, " (recovery)", "-recovery",
				   " single", placeholders);
}

int menu_entry_size(const struct boot_entry *entry,
		    const struct boot_target *target, size_t *ret_size)
{
	_cleanup_free_ char *text = NULL;
	FILE *f = open_memstream(&text, ret_size);
	int r = f ? put_entry(f, entry, target, NULL) : -ENOMEM;

	if (f && fclose(f) != 0)
		r = -ENOMEM;
	return r;
}

int boot_menu(struct boot_kernels *kernels, const struct boot_options *options,
	      char **ret_text, size_t *ret_len, struct diag *diag)
{
	const struct boot_target *target = &boot_targets[options->target];
	_cleanup_free_ char *text = NULL;
	const struct boot_entry *entries;
	size_t n = boot_entries(kernels, &entries);
	struct memstream stream;
	size_t len;
	FILE *f;
	int r = 0;

	if (kernels->no_default)
		return default_unknown(kernels, options->default_entry, diag);
	f = memstream_open(&stream);
	if (!f)
		return diag_set(diag, -ENOMEM, PATH_MENU, NULL);
	vec_free(&kernels->placeholders);
	fputs(target->terminals[options->console], f);
	if (n == 0)
		fputs("# No kernel in kernels/ or boot/: the prompt.\n", f);
	else
		fprintf(f, "set timeout=%d\nset default=0\n",
			options->timeout < 0 ? -1 : options->timeout);
	fputs("# The disk that this file is on.\n"
	      "set drive=hd0\n"
	      "regexp --set=1:drive '^[(]([^,)]*)' \"$config_directory\"\n",
	      f);
	for (size_t i = 0; i < n && r == 0; i++)
		r = put_entry(f, &entries[i], target, &kernels->placeholders);
	/* The user's own entries, as grub-mkconfig's 41_custom has them. */
	fputs("if [ -f \"$config_directory/custom.cfg\" ]; then\n"
	      "\tsource \"$config_directory/custom.cfg\"\n"
	      "elif [ -z \"$config_directory\" -a -f "
	      "\"$prefix/custom.cfg\" ]; then\n"
	      "\tsource \"$prefix/custom.cfg\"\n"
	      "fi\n",
	      f);
	if (memstream_close(&stream, &text, &len) < 0 || r < 0)
		return diag_set(diag, -ENOMEM, PATH_MENU, NULL);
	*ret_text = take_ptr(text);
	*ret_len = len;
	return 0;
}

void boot_menu_sign(const struct boot_kernels *kernels, char *menu,
		    uint32_t disk_signature)
{
	cmdline_sign(menu, &kernels->placeholders, disk_signature);
}

void boot_entry_sign(const struct boot_entry *entry, char *arguments,
		     uint32_t disk_signature)
{
	cmdline_sign(arguments, &entry->placeholders, disk_signature);
}
