/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "random_tree.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../support/seeds.h"

void random_init(struct random *random, uint64_t seed)
{
	random->state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	if (random->state == 0)
		random->state = 1;
	for (int i = 0; i < 4; i++)
		random_u64(random);
}

uint64_t random_u64(struct random *random)
{
	uint64_t x = random->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	random->state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

uint64_t random_below(struct random *random, uint64_t n)
{
	return (random_u64(random) >> 11) % n;
}

uint64_t random_seed(void)
{
	return seed_draw();
}

unsigned random_trials(unsigned few, unsigned many)
{
	if (getenv("DIRDISK_SOAK"))
		return many;
	return getenv("DIRDISK_BRIEF") ? (few + 9) / 10 : few;
}

/* ---- content: bytes that tell their file and their place ---- */

struct pattern {
	struct content content;
	uint64_t seed;
};

static uint64_t pattern_word(const struct pattern *p, uint64_t index)
{
	uint64_t x = (index + p->seed) * UINT64_C(0xff51afd7ed558ccd);

	return htole64(x ^ x >> 33);
}

static int pattern_pread(struct content *content,
			 const struct content_reader *reader, void *buf,
			 size_t len, uint64_t offset)
{
	const struct pattern *p = (struct pattern *)content;
	uint8_t *bytes = buf;

	while (len > 0) {
		uint64_t word = pattern_word(p, offset / 8);
		size_t skip = offset % 8;
		size_t n = len < 8 - skip ? len : 8 - skip;

		memcpy(bytes, (const uint8_t *)&word + skip, n);
		bytes += n;
		offset += n;
		len -= n;
	}
	return 0;
}

static void pattern_release(struct content *content)
{
	free(content);
}

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

struct content *pattern_new(uint64_t seed)
{
	struct pattern *p = must(malloc(sizeof(*p)));

	*p = (struct pattern){ { pattern_pread, pattern_release }, seed };
	return &p->content;
}

/* ---- what is to be in the tree ---- */

#define MAX_EXTENTS 20
#define MAX_SIZE    ((UINT64_C(1) << 41) - 1) /* the largest that there is */

/* What a tree is mostly made of. */
enum shape {
	SHAPE_MIXED,
	SHAPE_DEEP, /* a directory in a directory in a directory ... */
	SHAPE_WIDE, /* nearly all in one directory */
	SHAPE_LINKS, /* names of few inodes, everywhere */
	SHAPE_EMPTY,
};

struct item {
	char name[256];
	size_t name_len;
	unsigned parent; /* index of a directory, 0: the root */
	struct tree_attr attr;
	uint64_t size;
	uint64_t seed;
	char *target; /* or NULL */
	int link_to; /* index of a file, or -1 */
	struct tree_extent extents[MAX_EXTENTS];
	size_t n_extents;
	bool sparse;
	builder_id id;
};

static void draw_name(struct random *r, enum shape shape, unsigned number,
		      struct item *item)
{
	/* The number keeps names apart; the rest makes them odd. */
	int n = snprintf(item->name, sizeof(item->name), "%u-", number);
	static const size_t lengths[] = { 0, 1, 2, 3, 5, 20, 100, 240 };
	/* Where it gets deep, short enough for a path to be said at once. */
	size_t more = lengths[random_below(r, shape == SHAPE_DEEP ? 5 : 8)];

	for (size_t i = 0; i < more; i++) {
		uint8_t c = random_below(r, 4) ? (uint8_t)('a' + i % 26)
					       : (uint8_t)random_u64(r);

		item->name[n++] = c == 0 || c == '/' ? '-' : (char)c;
	}
	/* Any beginning, so that numbers do not give the order away. */
	for (int i = 0; i < n / 2; i++) {
		char c = item->name[i];

		item->name[i] = item->name[n - 1 - i];
		item->name[n - 1 - i] = c;
	}
	item->name_len = (size_t)n;
}

static uint64_t draw_size(struct random *r)
{
	static const uint64_t ends[] = { 0, 1, 12, 12 + 1024, 12 + 2048 };

	switch (random_below(r, 16)) {
	case 0:
	case 1:
		return 0;
	case 2: /* around the end of the direct and the indirect blocks */
		return ends[random_below(r, 5)] * 4096 + random_below(r, 3);
	case 3:
		return random_below(r, 300000);
	default:
		return random_below(r, 9000);
	}
}

static uint64_t draw_sparse_size(struct random *r)
{
	uint64_t size = UINT64_C(1) << (13 + random_below(r, 29));

	if (size > MAX_SIZE)
		size = MAX_SIZE;
	return size - random_below(r, 5000);
}

static void draw_holes(struct random *r, struct item *item)
{
	/* The last byte, or what may lie anywhere before it. */
	bool at_end = random_below(r, 3) == 0;
	uint64_t most = random_below(r, MAX_EXTENTS);
	uint64_t at = 0;

	item->sparse = true;
	item->size = draw_sparse_size(r);
	while (item->n_extents < most) {
		uint64_t start = at + 1 + random_below(r, item->size / 4 + 1);
		uint64_t end = start + 1 + random_below(r, 30000);

		if (end >= item->size)
			break;
		item->extents[item->n_extents++] = (struct tree_extent){ start,
									 end };
		at = end;
	}
	if (at_end && at + 1 < item->size)
		item->extents[item->n_extents++] =
			(struct tree_extent){ item->size - 1, item->size };
}

static void draw_times(struct random *r, struct tree_attr *attr)
{
	/* 1901 to 2310. */
	attr->mtime = (int64_t)random_below(r, UINT64_C(3) << 32) -
		      INT64_C(2147483648);
	attr->mtime_ns = (uint32_t)random_below(r, 1000000000);
}

static void draw_target(struct random *r, struct item *item)
{
	size_t len = random_below(r, 3) ? 1 + random_below(r, 70)
					: 1 + random_below(r, 4095);

	item->target = must(malloc(len + 1));
	memset(item->target, 'x', len);
	item->target[len] = '\0';
	item->size = len;
}

/* Half of what goes deep are directories, and a fourth elsewhere. */
static uint64_t draw_kind(struct random *r, enum shape shape)
{
	if (shape == SHAPE_DEEP && random_below(r, 3) == 0)
		return 0;
	return random_below(r, 20);
}

static void draw_type(struct random *r, enum shape shape, struct item *item)
{
	static const uint32_t specials[] = { S_IFCHR, S_IFBLK, S_IFIFO,
					     S_IFSOCK };
	uint32_t permissions = (uint32_t)random_below(r, 010000);
	uint64_t kind = draw_kind(r, shape);

	if (kind < 5) {
		item->attr.mode = S_IFDIR | permissions;
	} else if (kind < 7) {
		item->attr.mode = S_IFLNK | 0777;
		draw_target(r, item);
	} else if (kind < 9) {
		item->attr.mode = specials[random_below(r, 4)] | permissions;
		item->attr.major = (uint32_t)random_below(r, 4096);
		item->attr.minor = (uint32_t)random_below(r, 1 << 20);
	} else {
		item->attr.mode = S_IFREG | permissions;
		item->size = draw_size(r);
		if (kind == 9)
			draw_holes(r, item);
	}
}

/* Some earlier directory: the last one now and then, so that trees get deep. */
static unsigned draw_parent(struct random *r, enum shape shape,
			    const unsigned *dirs, unsigned n)
{
	uint64_t luck = random_below(r, 20);

	if (shape == SHAPE_DEEP && luck < 15)
		return dirs[n - 1];
	if (shape == SHAPE_WIDE && luck < 18)
		return n > 1 ? dirs[1] : 0;
	switch (luck % 4) {
	case 0:
		return dirs[n - 1];
	case 1:
		return 0;
	default:
		return dirs[random_below(r, n)];
	}
}

/* One entry in so many is a further name of a file before it. */
static unsigned link_rarity(enum shape shape)
{
	return shape == SHAPE_LINKS ? 2 : 15;
}

/* Items 1 ... n - 1; item 0 is the root. Parents and files come before. */
static struct item *draw_items(struct random *r, enum shape shape, unsigned n)
{
	struct item *items = must(calloc(n, sizeof(*items)));
	unsigned *dirs = must(calloc(n, sizeof(*dirs)));
	unsigned *files = must(calloc(n, sizeof(*files)));
	unsigned n_dirs = 1;
	unsigned n_files = 0;

	for (unsigned i = 1; i < n; i++) {
		struct item *item = &items[i];

		draw_name(r, shape, i, item);
		item->parent = draw_parent(r, shape, dirs, n_dirs);
		item->seed = random_u64(r);
		item->link_to = -1;
		if (n_files > 0 && random_below(r, link_rarity(shape)) == 0) {
			item->link_to = (int)files[random_below(r, n_files)];
			continue;
		}
		item->attr.uid = (uint32_t)random_u64(r);
		item->attr.gid = (uint32_t)random_u64(r);
		draw_times(r, &item->attr);
		draw_type(r, shape, item);
		if (S_ISDIR(item->attr.mode))
			dirs[n_dirs++] = i;
		else
			files[n_files++] = i;
	}
	free(dirs);
	free(files);
	return items;
}

/* ---- into a builder ---- */

static void check(int result)
{
	if (result < 0)
		abort();
}

static void add_item(struct tree_builder *b, struct item *items, unsigned i)
{
	struct item *item = &items[i];
	builder_id parent = items[item->parent].id;

	if (item->link_to >= 0) {
		check(tree_builder_add_link(b, parent, item->name,
					    item->name_len,
					    items[item->link_to].id));
	} else if (S_ISREG(item->attr.mode)) {
		check(tree_builder_add_content(
			b, parent, item->name, &item->attr,
			pattern_new(item->seed), item->size, &item->id));
		if (item->sparse)
			check(tree_builder_set_extents(
				b, item->id, item->extents, item->n_extents));
	} else if (S_ISLNK(item->attr.mode)) {
		item->id = 0;
		check(tree_builder_add_symlink(b, parent, item->name,
					       &item->attr, item->target,
					       item->size, &item->id));
	} else {
		check(tree_builder_add(b, parent, item->name, item->name_len,
				       &item->attr, &item->id));
	}
	if (item->link_to < 0)
		random_xattrs(b, item->id, item->seed);
}

/* Whether an item can be added: what it leans on is there. */
static bool is_ready(const struct item *items, const bool *added, unsigned i)
{
	return !added[i] && added[items[i].parent] &&
	       (items[i].link_to < 0 || added[items[i].link_to]);
}

static void add_all(struct tree_builder *b, struct item *items, unsigned n,
		    uint64_t order)
{
	bool *added = must(calloc(n, sizeof(*added)));
	struct random r;
	unsigned left = n - 1;

	random_init(&r, order);
	added[0] = true;
	while (left > 0) {
		unsigned i = 1 + (unsigned)random_below(&r, n - 1);

		while (!is_ready(items, added, i))
			i = i + 1 < n ? i + 1 : 1;
		add_item(b, items, i);
		added[i] = true;
		left--;
	}
	free(added);
}

void add_lost_found(struct tree_builder *b)
{
	const struct tree_attr attr = { .mode = S_IFDIR | 0700 };
	builder_id id;

	check(tree_builder_add(b, 0, "lost+found", 10, &attr, &id));
	tree_builder_reserve(b, id);
}

static enum shape draw_shape(struct random *r)
{
	static const enum shape shapes[16] = {
		[0] = SHAPE_DEEP,  [1] = SHAPE_DEEP,  [2] = SHAPE_WIDE,
		[3] = SHAPE_WIDE,  [4] = SHAPE_LINKS, [5] = SHAPE_LINKS,
		[6] = SHAPE_EMPTY, [7] = SHAPE_MIXED,
	};

	return shapes[random_below(r, 16)];
}

static unsigned draw_count(struct random *r, enum shape shape, unsigned most)
{
	if (shape == SHAPE_EMPTY)
		return 1;
	/* Some are wide enough for a directory of a hundred blocks. */
	if (shape == SHAPE_WIDE && random_below(r, 4) == 0)
		most *= 10;
	return 1 + (unsigned)random_below(r, most + 1);
}

static void free_items(struct item *items, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free(items[i].target);
	free(items);
}

struct tree *random_tree(uint64_t seed, uint64_t order, unsigned max_entries)
{
	const struct tree_attr root = { .mode = S_IFDIR | 0755 };
	struct tree_builder *b;
	struct random r;
	struct item *items;
	struct tree *tree;
	enum shape shape;
	unsigned n;

	random_init(&r, seed);
	shape = draw_shape(&r);
	n = draw_count(&r, shape, max_entries);
	items = draw_items(&r, shape, n);
	check(tree_builder_new(&b, &root));
	if (order % 2)
		add_lost_found(b);
	add_all(b, items, n, order);
	if (order % 2 == 0)
		add_lost_found(b);
	check(tree_build(b, &tree, NULL));
	tree_builder_free(b);
	free_items(items, n);
	return tree;
}

struct tree *random_large_tree(uint64_t seed)
{
	const struct tree_attr root = { .mode = S_IFDIR | 0755 };
	const struct tree_attr attr = { .mode = S_IFREG | 0644 };
	struct tree_builder *b;
	struct random r;
	struct tree *tree;
	unsigned n;

	random_init(&r, seed);
	n = 1 + (unsigned)random_below(&r, 20);
	check(tree_builder_new(&b, &root));
	add_lost_found(b);
	for (unsigned i = 0; i < n; i++) {
		uint64_t size =
			random_below(&r, UINT64_C(1) << random_below(&r, 37));
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		check(tree_builder_add_content(b, 0, name, &attr,
					       pattern_new(random_u64(&r)),
					       size, NULL));
	}
	check(tree_build(b, &tree, NULL));
	tree_builder_free(b);
	return tree;
}
