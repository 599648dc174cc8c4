/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

/*
 * The command lines of dirdisk and of the programs beside it: PROGRAM [options]
 * SRC [MNT]. Every long option that says something about the disk is all
 * programs', and can also be given as -o key=value, for fstab.
 *
 * Errors: -EINVAL with a diagnostic (the option as it was given, what is wrong
 * and what to do), -ENOMEM. src and mnt point into argv, the other strings
 * belong to the struct.
 * Threading: one thread at a time (getopt_long has globals of its own).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "imgcore/boot.h"
#include "imgcore/tree.h"

struct diag;

/* Whose command line it is: bits. */
enum program {
	PROGRAM_DIRDISK = 1,
	PROGRAM_CHECK = 2,
};

struct options {
	enum program program;
	bool help;
	bool version;
	bool foreground;
	bool debug; /* foreground is set too */
	bool json;

	const char *src; /* neither is set with help or version */
	const char *mnt; /* NULL: was not given */

	char *name; /* of the disk below mnt; always set */
	uint64_t size; /* bytes; 0: as the content needs */
	uint64_t boot_size;
	uint64_t free;
	uint64_t overlay_limit; /* or OVERLAY_LIMIT_FREE_SPACE */
	enum tree_unreadable unreadable;
	enum tree_xattrs xattrs;
	bool stale_serve; /* bytes of changed files, rather than errors */
	bool no_watch; /* the tree is read at each open */
	bool no_follow;
	bool cross_mounts;
	enum tree_owner owner;
	uint32_t uid;
	uint32_t gid;

	bool has_uuid;
	uint8_t uuid[16];
	bool clamp_time; /* SOURCE_DATE_EPOCH was set */
	int64_t latest_time;

	bool no_grub;
	char *grub_dir;
	char *core_image;
	char *append;
	char *default_entry;
	enum boot_order order;
	int timeout;
	enum boot_console console;

	int start_timeout; /* seconds without progress; -1: no limit */
	char *pidfile;
	char *mount; /* for FUSE: a list as -o takes it, escaped; or NULL */
	bool fsname; /* the list sets them */
	bool remount; /* only to set mount_flags */
	unsigned long
		mount_flags; /* of mount(2): FUSE's, changed by the list */
};

/* argv is sorted: options first. */
int options_parse(struct options *ret_options, enum program program, int argc,
		  char **argv, struct diag *diag);
void options_clear(struct options *options);

/* How an option is given on the line; one of name and letter may be missing. */
struct option_form {
	const char *name;
	char letter;
	bool value; /* it takes one */
};

/*
 * The options that a program takes on its line, from 0 on, for another that
 * hands them on; false behind the last.
 */
bool options_form(enum program program, size_t i, struct option_form *ret_form);

/* The text of --help. */
void options_help(FILE *out, enum program program);

#endif
