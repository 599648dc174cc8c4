/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGCORE_TREE_H
#define IMGCORE_TREE_H

/*
 * A directory tree in memory: what the image shows of each entry, and what
 * proves that a host file is still the one that was scanned.
 *
 * Nodes are numbered from 0 (the root) in breadth-first order; the children of
 * a directory are consecutive and sorted bytewise by name, so the order in
 * which the host lists a directory never shows. Names are bytes, any but '/'
 * and NUL. A further hard link is a node of its own whose `inode` is the first.
 *
 * Errors: 0 or a negative errno with a diagnostic.
 * Ownership: a tree is immutable, and freed by tree_free.
 * Threading: any number of threads may use one tree.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct diag;
struct opener;
struct tree;
struct tree_builder;

typedef uint32_t tree_id;
#define TREE_ROOT ((tree_id)0)
#define TREE_NONE ((tree_id)UINT32_MAX)

/* The attributes that a node shows in the image. */
struct tree_attr {
	uint32_t mode; /* type and permissions, as st_mode */
	uint32_t uid;
	uint32_t gid;
	uint32_t mtime_ns;
	int64_t mtime;
	uint32_t major; /* device number of a device node */
	uint32_t minor;
};

/* A run of data in a sparse file, in bytes: [start, end). */
struct tree_extent {
	uint64_t start;
	uint64_t end;
};

/* A node. The pointers are the tree's. */
struct tree_info {
	struct tree_attr attr;
	const char *name; /* not terminated; "" for the root */
	size_t name_len;
	tree_id parent; /* of the root: the root */
	tree_id inode; /* the first node of the inode: mostly itself */
	/* Names of that inode in this tree; 1 for a directory. */
	uint32_t nlink;
	uint64_t size; /* file: bytes; symbolic link: length of the target */
	const char *target; /* symbolic link; not terminated */
	tree_id first_child; /* directory: children are first_child + 0 ... */
	uint32_t n_children; /* ... n_children - 1 */
	uint32_t n_subdirs; /* directory: how many of them are directories */
	bool reserved; /* lost+found, or another directory of the file system */
	bool sparse; /* file: only its extents are data */
	const struct tree_extent *extents;
	size_t n_extents;
	uint32_t xattrs; /* number of the set of extended attributes, or 0 */
};

/*
 * An extended attribute as ext2 keeps it. index is the namespace: 1 user., 2
 * and 3 the access and the default ACL (no name), 4 trusted., 6 security.
 */
struct tree_xattr {
	uint8_t index;
	uint8_t name_len; /* without the namespace */
	uint32_t value_len;
	const char *name; /* not terminated */
	const uint8_t *value; /* an ACL: of version 1 */
};

/* The same as Linux hands it out: with its full name, an ACL of version 2. */
struct tree_host_xattr {
	const char *name;
	const void *value;
	size_t value_len;
};

/*
 * Reads a host file for a content that is made of host files. Fills all of buf
 * (the range is within the file) or returns a negative errno.
 */
struct content_reader {
	int (*read)(const struct content_reader *reader,
		    const struct tree *tree, tree_id file, void *buf,
		    size_t len, uint64_t offset);
};

/*
 * The content of a file that is not one host file. pread fills all of buf (the
 * range is within the file) or returns a negative errno; any thread may call it
 * at any time. release is called once, when the last tree is freed.
 */
struct content {
	int (*pread)(struct content *content,
		     const struct content_reader *reader, void *buf, size_t len,
		     uint64_t offset);
	void (*release)(struct content *content);
};

/* Makes a content of a copy of these bytes. */
int content_new_bytes(struct content **ret_content, const void *bytes,
		      size_t len);

/* ---- making a tree ---- */

/*
 * A builder is a tree while it is made: a whole one (tree_build), or a set of
 * grafts that tree_scan merges with what it finds on the host.
 */
int tree_builder_new(struct tree_builder **ret_builder,
		     const struct tree_attr *root);
void tree_builder_free(struct tree_builder *builder);

typedef uint32_t builder_id; /* 0 is the root */

/*
 * Adds an entry. -EINVAL: no file system can hold the name ("", ".", "..", with
 * '/' or NUL, over 255 bytes). If a directory has two entries of one name,
 * making the tree fails: -EEXIST.
 */
int tree_builder_add(struct tree_builder *builder, builder_id parent,
		     const char *name, size_t name_len,
		     const struct tree_attr *attr, builder_id *ret_id);
/* Adds a regular file with content, which it takes over on success. */
int tree_builder_add_content(struct tree_builder *builder, builder_id parent,
			     const char *name, const struct tree_attr *attr,
			     struct content *content, uint64_t size,
			     builder_id *ret_id);
int tree_builder_add_symlink(struct tree_builder *builder, builder_id parent,
			     const char *name, const struct tree_attr *attr,
			     const char *target, size_t target_len,
			     builder_id *ret_id);
/* Adds a further name of a file that is not a directory. */
int tree_builder_add_link(struct tree_builder *builder, builder_id parent,
			  const char *name, size_t name_len, builder_id file);
/* Returns the directory `path` below `parent`, made if missing; -ENOTDIR. */
int tree_builder_mkdirs(struct tree_builder *builder, builder_id parent,
			const char *path, const struct tree_attr *attr,
			builder_id *ret_id);
/* Marks a directory as the file system's own: see tree_info.reserved. */
void tree_builder_reserve(struct tree_builder *builder, builder_id dir);
/* Sets the data runs of a sparse file: sorted, apart, within its size. */
int tree_builder_set_extents(struct tree_builder *builder, builder_id file,
			     const struct tree_extent *extents, size_t n);

/*
 * Sets the extended attributes of an entry, or of the root. -EINVAL: a name of
 * another namespace than those above, a value over 64 KiB, or a malformed ACL;
 * -EEXIST: two of one name.
 */
int tree_builder_set_xattrs(struct tree_builder *builder, builder_id id,
			    const struct tree_host_xattr *xattrs, size_t n);

/* Makes the tree of a builder alone; leaves the builder empty. */
int tree_build(struct tree_builder *builder, struct tree **ret_tree,
	       struct diag *diag);

enum tree_unreadable {
	TREE_UNREADABLE_ERROR, /* the scan fails and names the path */
	TREE_UNREADABLE_SKIP, /* the entry is left out and counted */
};

enum tree_owner {
	TREE_OWNER_KEEP,
	TREE_OWNER_SET, /* every entry belongs to uid:gid */
};

/* The extended attributes that a scan takes. */
enum tree_xattrs {
	TREE_XATTRS_KEEP, /* all that are data of the file */
	TREE_XATTRS_NONE,
	TREE_XATTRS_USER, /* user.* */
};

/* The part of a host tree: it can be split into three trees. */
enum tree_part {
	TREE_PART_ALL,
	TREE_PART_SUBDIR, /* the root, and of its entries `subdir` alone */
	TREE_PART_ARCHIVES, /* the archives, and the directories above them */
	TREE_PART_WITHOUT, /* everything but `subdir` and the archives */
};

struct tree_scan_options {
	enum tree_unreadable unreadable;
	enum tree_owner owner;
	uint32_t uid;
	uint32_t gid;
	/* Times after this one, in seconds, are shown as this one. */
	bool clamp_time;
	int64_t latest_time;
	enum tree_xattrs xattrs;
	/*
	 * The whole directory, or a part of it. Archives are recognized by
	 * their names: directories in `archives_in`, a directory of the root,
	 * and in its directories that are not archives. subdir and archives_in
	 * may be NULL: there are none.
	 */
	enum tree_part part;
	const char *subdir;
	const char *archives_in;
	bool (*is_archive)(const char *name, size_t name_len);
	/*
	 * A directory of the root, by its name: a symbolic link in it that
	 * leads out of the root, belongs to the effective user and ends at a
	 * regular file is that file. NULL: links are links. Nothing on
	 * `own_dev` is ever looked at: the device of our own mount, or 0.
	 */
	const char *follow;
	uint64_t own_dev;
	/* Directories (device, inode) that are shown empty: our mount point. */
	const struct tree_identity {
		uint64_t dev;
		uint64_t ino;
	} * prune;
	size_t n_prune;
	/* Opens the files beneath the root; the tree keeps it. May be NULL. */
	struct opener *opener;
	/*
	 * Whether what is mounted below is part of the tree, except own_dev,
	 * `prune`, interfaces of the kernel, other disks of dirdisk, and a
	 * directory that is mounted somewhere below itself. mountinfo:
	 * /proc/self/mountinfo; 0: it is opened when it is needed.
	 */
	bool cross_mounts;
	int mountinfo;
	/*
	 * The previous tree of the same directory, scanned with the same
	 * options. Directories that are not in `changed` (its ids, sorted) are
	 * not read but shared with it. Those in `changed` are read, and their
	 * own attributes too. NULL: all are read.
	 */
	const struct tree *previous;
	const tree_id *changed;
	size_t n_changed;
	/*
	 * Called by several threads with a directory, before its entries are
	 * read. The directory keeps what it returns: a number from 0 on, or
	 * TREE_UNWATCHED. May be NULL.
	 */
	int32_t (*watch)(void *watch_context, int dirfd);
	void *watch_context;
	/* The largest number of threads; 0: that of the cores. */
	unsigned threads;
	/*
	 * Called for about every thousand entries, by one thread at a time, not
	 * always the caller's; may be NULL.
	 */
	void (*progress)(void *context, uint64_t entries);
	void *context;
};

/*
 * Scans the host directory `root_fd` (kept open, duplicated) with several
 * threads; tree and error are the same for any number of them. Symbolic links
 * are not followed, except those of options.follow. Without cross_mounts, no
 * other file system is entered: a mount point is shown as an empty directory,
 * or file. root_path is for messages only.
 *
 * If diag has a sink, each entry that cannot be read is reported; it is
 * left out, or has no extended attributes, and the scan goes on. Entries that
 * are shown otherwise than they are, are reported too.
 *
 * grafts may be NULL. An entry of the host wins over a graft of the same path;
 * directories are merged. Leaves grafts empty.
 */
int tree_scan(int root_fd, const char *root_path,
	      const struct tree_scan_options *options,
	      struct tree_builder *grafts, struct tree **ret_tree,
	      struct diag *diag);

void tree_free(struct tree *tree);

/* ---- using a tree ---- */

uint32_t tree_count(const struct tree *tree);
/* Returns how many entries TREE_UNREADABLE_SKIP has left out. */
uint64_t tree_skipped(const struct tree *tree);
/* Returns how many entries are empty because something is mounted on them. */
uint64_t tree_mounted(const struct tree *tree);
void tree_get(const struct tree *tree, tree_id id, struct tree_info *ret_info);
/* Calls visit for each node in [first, end), in order. */
void tree_walk(const struct tree *tree, tree_id first, tree_id end,
	       void (*visit)(void *context, tree_id id,
			     const struct tree_info *info),
	       void *context);
/* Returns tree_info.inode alone. */
tree_id tree_inode(const struct tree *tree, tree_id id);
/* Lists of nodes of one kind, in their order. */
enum tree_list {
	TREE_LIST_DIRS,
	TREE_LIST_LINKS, /* further names of a file */
	TREE_LIST_SPARSE,
};
#define TREE_LISTS 3
const tree_id *tree_list(const struct tree *tree, enum tree_list list,
			 size_t *ret_n);
/* The watch of a directory: what tree_scan_options.watch returned, or: */
#define TREE_UNWATCHED (-1)
#define TREE_NOT_HOST  (-2) /* grafted, mounted over, pruned */
int32_t tree_watch(const struct tree *tree, tree_id dir);
/*
 * Returns a number that is equal for two directories, of this tree or another
 * one, only if they share their entries.
 */
uintptr_t tree_shared(const struct tree *tree, tree_id dir);
/*
 * Returns the latest change time of the entries that the scan read, in
 * nanoseconds since 1970; INT64_MIN: it read none.
 */
int64_t tree_youngest(const struct tree *tree);
/*
 * Whether a link that leads out of the root leads to another file now, or to
 * one that changed, which no watch reports; *ret_dir: the link's directory.
 * mountinfo: /proc/self/mountinfo, or -1: it is opened if it is needed.
 */
bool tree_followed_changed(const struct tree *tree, uint64_t own_dev,
			   int mountinfo, tree_id *ret_dir);
/* Sets st_dev of our own mount, once it is mounted. Any thread. */
void tree_set_own_dev(struct tree *tree, uint64_t own_dev);
/* Whether a file of the host is on another file system than the root. */
bool tree_across(const struct tree *tree, tree_id file);
/* Whether two files of the host were the same one, unchanged, when scanned. */
bool tree_same_file(const struct tree *a, tree_id file, const struct tree *b,
		    tree_id other);
/*
 * Sets what proves that a host file's content is still the one that was
 * scanned. False if the node, or the one that stands for its inode, is a graft.
 */
struct tree_host_id {
	uint64_t dev;
	uint64_t ino;
	uint64_t size;
	int64_t mtime;
	int64_t ctime;
	uint32_t mtime_ns;
	uint32_t ctime_ns;
};
bool tree_host_id(const struct tree *tree, tree_id id,
		  struct tree_host_id *ret_id);
/* Whether two trees show the same, of the same host files. */
bool tree_equal(const struct tree *a, const struct tree *b);
/* Returns the child of that name, or TREE_NONE. */
tree_id tree_child(const struct tree *tree, tree_id dir, const char *name,
		   size_t name_len);
/* Returns the node of a path from the root; links are not followed. */
tree_id tree_find(const struct tree *tree, const char *path);
/*
 * Returns the path of a node, without '/' at its start ("" for the root); the
 * caller frees it.
 */
int tree_path(const struct tree *tree, tree_id id, char **ret_path);
/* Returns the path on the host, for messages. */
int tree_host_path(const struct tree *tree, tree_id id, char **ret_path);
/* Sets diag: that path and reason (NULL: err's own). Returns err. */
int tree_fail(const struct tree *tree, tree_id id, int err, const char *reason,
	      struct diag *diag);
/* Returns the number of sets of extended attributes: they count from 1. */
uint32_t tree_xattr_sets(const struct tree *tree);
/*
 * Returns the attributes of a set one after the other, sorted by index, length
 * of the name and name. *at is 0 at first. false: there are no more.
 */
bool tree_next_xattr(const struct tree *tree, uint32_t set, size_t *at,
		     struct tree_xattr *ret_xattr);
/*
 * Replaces the content of a file from tree_builder_add_content, before the tree
 * is used: grub.cfg can only be written when the kernels are known. Takes over
 * content on success.
 */
int tree_set_content(struct tree *tree, tree_id id, struct content *content,
		     uint64_t size);
/* Returns the content of a file; NULL: it is a host file. */
struct content *tree_content(const struct tree *tree, tree_id id);

/*
 * Opens the host file of a regular file for reading, beneath the root. The
 * caller closes it. -ESTALE with a diagnostic: there is none any more. It may
 * be another file than the one that was scanned: bytes that were read from it
 * are valid only if tree_verify_host succeeds afterwards.
 *
 * dir (may be NULL) makes it cheap to open many files of one directory: it
 * holds a descriptor of the last directory. It is for one thread. The caller
 * releases it soon: while it is held, files are found in the directory wherever
 * that has been moved to.
 */
struct tree_dir {
	const struct tree *tree;
	tree_id node;
	int fd; /* -1: only the number is known */
};
#define TREE_DIR_INIT                       \
	{                                   \
		.node = TREE_NONE, .fd = -1 \
	}
int tree_open_host_in(const struct tree *tree, tree_id id, struct tree_dir *dir,
		      int *ret_fd, struct diag *diag);
void tree_dir_release(struct tree_dir *dir);
/*
 * Fills all of buf with bytes of a regular file; the range is within the file.
 * -ESTALE: it is no longer the host file that was scanned.
 */
int tree_read(const struct tree *tree, tree_id id, void *buf, size_t len,
	      uint64_t offset, struct diag *diag);
/* The same, but host files are read by reader. */
int tree_read_through(const struct tree *tree, tree_id id,
		      const struct content_reader *reader, void *buf,
		      size_t len, uint64_t offset, struct diag *diag);
/* How a read of a host file is checked; the first member of such a thing. */
struct tree_check {
	/* 0, -ESTALE or another negative errno, as tree_verify_host. */
	int (*verify)(const struct tree_check *check, const struct tree *tree,
		      tree_id id, int fd, struct diag *diag);
	/* A file that is stale gives what it has, and zeroes after its end. */
	bool serve_stale;
};
/*
 * Fills buf from the open host file of a regular file, and checks it after
 * that: by check, or, if it is NULL, by tree_verify_host. 1: the bytes are
 * those of a stale file. -EIO: it has fewer bytes than it should.
 */
int tree_read_opened(const struct tree *tree, tree_id id, int fd,
		     const struct tree_check *check, void *buf, size_t len,
		     uint64_t offset, struct diag *diag);
/* Checks that fd is the file that was scanned, unchanged: 0 or -ESTALE. */
int tree_verify_host(const struct tree *tree, tree_id id, int fd,
		     struct diag *diag);
/* As tree_verify_host, but without the change time. */
bool tree_same_but_ctime(const struct tree *tree, tree_id id, int fd);
/*
 * Returns the watch of the directory that reports all writes to a file, and the
 * file's name in it (without a NUL). false: the file had several names when it
 * was scanned, or is not beneath the root.
 */
bool tree_watched_name(const struct tree *tree, tree_id id, int32_t *ret_watch,
		       const char **ret_name, size_t *ret_len);
/*
 * Returns the first regular file of the host from id on that had several names,
 * anywhere on the host, when it was scanned; TREE_NONE: there are no more.
 */
tree_id tree_next_linked(const struct tree *tree, tree_id id);

/*
 * Returns a 128-bit digest of everything that the image shows of the tree,
 * except the files' bytes: names, attributes (extended ones too), sizes, links,
 * targets. Host inode numbers and change times are not part of it.
 */
void tree_digest(const struct tree *tree, uint8_t ret_digest[16]);

#endif
