/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_BOOT_H
#define IMGCORE_BOOT_H

/*
 * The parts that make a disk boot: GRUB's boot sector and core image, GRUB's
 * files as grafts under /boot/grub, the kernels and their menu.
 *
 * Errors: 0 or a negative errno with a diagnostic.
 * Threading: no shared state.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imgcore/target.h"
#include "imgcore/tree.h"

struct diag;

enum boot_order {
	BOOT_ORDER_VERSION, /* newest version first */
	BOOT_ORDER_MTIME, /* newest file first */
};

struct boot_options {
	enum boot_target_id target;
	bool no_grub; /* a disk without a boot loader */
	const char *grub_dir; /* NULL: where GRUB is installed */
	const char *core_image; /* NULL: made with grub-mkimage */
	/* Make it with all modules: the disk's are not of this GRUB. */
	bool whole_core;
	const char *append; /* more kernel command line, or NULL */
	const char *default_entry; /* a kernel's name or version, or NULL */
	enum boot_order order;
	int timeout; /* of the menu, seconds; -1: wait for ever */
	enum boot_console console;
};

/* GRUB: its boot sector, its core image and its modules, all in memory. */
struct boot_grub;

/*
 * Finds GRUB: boot.img and the modules in grub_dir, core.img made by running
 * grub-mkimage (its output goes to memory) or read from core_image. All is of
 * one state of grub_dir: if that changes meanwhile, all is read again; -EBUSY
 * if it keeps changing. Later changes of grub_dir have no effect. -ENOENT names
 * the package if GRUB is not installed.
 */
int boot_grub_new(struct boot_grub **ret_grub,
		  const struct boot_options *options, struct diag *diag);
void boot_grub_free(struct boot_grub *grub);

/*
 * Grafts GRUB's modules, font and an empty grub.cfg under boot/grub of grafts.
 * attr gives owner and time. grub.cfg is to be filled with tree_set_content.
 */
int boot_grub_graft(const struct boot_grub *grub, struct tree_builder *grafts,
		    const struct tree_attr *attr, struct diag *diag);
/*
 * Checks that core.img finds its own modules in a tree of the first partition.
 * -EINVAL names one that a file of the user's replaces: it may be of another
 * GRUB. A core.img that was given, or made with whole_core, is not checked.
 */
int boot_grub_check(const struct boot_grub *grub, const struct tree *boot_tree,
		    struct diag *diag);

/*
 * Whether a directory of this name in kernels/ or kernels/NAME/ is one file on
 * the disk, a cpio archive: "initrd*.d", "initramfs*.d", "modules" and
 * "modules-*".
 */
bool boot_is_archive(const char *name, size_t len);

/*
 * The kernels to boot: those of boot/ in partition 1, of kernels/ and
 * kernels/NAME/ in partition 2, and the entries of the Boot Loader
 * Specification in loader/entries/ of both. Does not refer to the trees.
 */
struct boot_kernels;

/*
 * -ESTALE: a file is no longer the one that was scanned. -EINVAL names
 * --append if GRUB could not pass it on. A kernel that cannot boot is no
 * error: it is among the rejects. The caller frees the result.
 */
int boot_find(struct boot_kernels **ret_kernels, const struct tree *boot_tree,
	      const struct tree *system_tree,
	      const struct boot_options *options, struct diag *diag);
void boot_kernels_free(struct boot_kernels *kernels);

/*
 * The offsets in a text of eight digits, of root=PARTUUID=00000000-02, that the
 * disk's signature replaces.
 */
struct boot_placeholders {
	size_t *items;
	size_t count, size;
};

/*
 * One kernel of the menu. title and id are fit to be shown and no two are
 * equal; the rest are bytes as they are. Paths start at the partition's root.
 */
struct boot_entry {
	char *title;
	char *id;
	char *version;
	char *path;
	char *file; /* its name, without directories */
	char *name; /* NAME of kernels/NAME/, or NULL */
	unsigned partition; /* of path and initrds: 1 or 2 */
	char **initrds;
	size_t n_initrds;
	/*
	 * The command line as the kernel gets it, after the BOOT_IMAGE=PATH
	 * that GRUB puts first.
	 */
	char *arguments;
	struct boot_placeholders placeholders; /* in arguments */
	char *arguments_from; /* the file with the kernel's own, or NULL */
	char *bls; /* the entry of loader/entries/ it comes from, or NULL */
	bool is_default;
};

/* In the order of the menu, the default first, without "(recovery)". */
size_t boot_entries(const struct boot_kernels *kernels,
		    const struct boot_entry **ret_entries);

/* A file beside kernels that is not in the menu; sorted by path. */
struct boot_reject {
	char *path;
	const char *reason; /* one phrase */
	unsigned partition;
	bool is_kernel; /* by its name or by an entry */
};

size_t boot_rejects(const struct boot_kernels *kernels,
		    const struct boot_reject **ret_rejects);

/*
 * Makes the menu, grub.cfg; kernels keeps its placeholders. Without a kernel it
 * ends at GRUB's prompt. -EINVAL names --default if it is none of the kernels.
 * The caller frees text.
 */
int boot_menu(struct boot_kernels *kernels, const struct boot_options *options,
	      char **ret_text, size_t *ret_len, struct diag *diag);

/*
 * Write the disk's signature into the menu that boot_menu made last, and into a
 * copy of the entry's arguments. Lengths stay.
 */
void boot_menu_sign(const struct boot_kernels *kernels, char *menu,
		    uint32_t disk_signature);
void boot_entry_sign(const struct boot_entry *entry, char *arguments,
		     uint32_t disk_signature);

/*
 * Makes the tables of the kernels, in the order of the menu, and of the
 * rejects, as text; each ends after about `max` bytes with "and N more". The
 * caller frees text. 0 or -ENOMEM.
 */
int boot_kernels_table(const struct boot_kernels *kernels, size_t max,
		       char **ret_text);

/*
 * Makes the text of info/boot (dirdisk(1) has the format): what a boot reads,
 * as lines, and the menu. own_menu: menu is a grub.cfg of the user's, whose
 * files are listed in place of the kernels'. archives may be NULL. The caller
 * frees text. 0 or -ENOMEM.
 */
int boot_set_text(const struct boot_kernels *kernels,
		  const struct tree *boot_tree, const struct tree *system_tree,
		  const struct tree *archives, const char *menu, bool own_menu,
		  char **ret_text);

#endif
