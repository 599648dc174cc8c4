/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "random_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

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
	const char *given = getenv("DIRDISK_SEED");
	uint64_t seed;

	if (given) {
		seed = strtoull(given, NULL, 0);
	} else {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		seed = (uint64_t)now.tv_sec ^ (uint64_t)now.tv_nsec << 20;
	}
	fprintf(stderr, "# DIRDISK_SEED=%llu repeats this run\n",
		(unsigned long long)seed);
	return seed;
}

unsigned random_trials(unsigned few, unsigned many)
{
	return getenv("DIRDISK_SOAK") ? many : few;
}

/* ---- content: bytes that tell their file and their place ---- */

struct pattern {
	struct content content;
	uint64_t seed;
};

static int pattern_pread(struct content *content, void *buf, size_t len,
			 uint64_t offset)
{
	const struct pattern *p = (struct pattern *)content;
	uint8_t *bytes = buf;

	for (size_t i = 0; i < len; i++) {
		uint64_t x = ((offset + i) / 8 + p->seed) *
			     UINT64_C(0xff51afd7ed558ccd);

		x ^= x >> 33;
		bytes[i] = (uint8_t)(x >> (offset + i) % 8 * 8);
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

static struct content *pattern_new(uint64_t seed)
{
	struct pattern *p = must(malloc(sizeof(*p)));

	*p = (struct pattern){ { pattern_pread, pattern_release }, seed };
	return &p->content;
}

/* ---- what is to be in the tree ---- */

#define MAX_EXTENTS 20

struct item {
	char name[256];
	size_t name_len;
	unsigned parent; /* index of a directory, 0: the root */
	struct tree_attr attr;
	uint64_t size;
	uint64_t seed;
	char target[4096];
	int link_to; /* index of a file, or -1 */
	struct tree_extent extents[MAX_EXTENTS];
	size_t n_extents;
	bool sparse;
	builder_id id;
};

static void draw_name(struct random *r, unsigned number, struct item *item)
{
	/* The number keeps names apart; the rest makes them odd. */
	int n = snprintf(item->name, sizeof(item->name), "%u-", number);
	static const size_t lengths[] = { 0, 1, 2, 3, 5, 20, 100, 240 };
	size_t more = lengths[random_below(r, 8)];

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

	switch (random_below(r, 8)) {
	case 0:
		return 0;
	case 1: /* around the end of the direct and the indirect blocks */
		return ends[random_below(r, 5)] * 4096 + random_below(r, 3);
	case 2:
		return random_below(r, 300000);
	default:
		return random_below(r, 9000);
	}
}

static void draw_holes(struct random *r, struct item *item)
{
	uint64_t at = 0;

	item->sparse = true;
	item->size = UINT64_C(1) << (13 + random_below(r, 28));
	item->size -= random_below(r, 5000);
	while (item->n_extents < random_below(r, MAX_EXTENTS)) {
		uint64_t start = at + 1 + random_below(r, item->size / 4 + 1);
		uint64_t end = start + 1 + random_below(r, 30000);

		if (end > item->size)
			break;
		item->extents[item->n_extents++] = (struct tree_extent){ start,
									 end };
		at = end;
	}
}

static void draw_times(struct random *r, struct tree_attr *attr)
{
	/* 1901 to 2310. */
	attr->mtime = (int64_t)random_below(r, UINT64_C(3) << 32) -
		      INT64_C(2147483648);
	attr->mtime_ns = (uint32_t)random_below(r, 1000000000);
}

static void draw_type(struct random *r, struct item *item)
{
	static const uint32_t specials[] = { S_IFCHR, S_IFBLK, S_IFIFO,
					     S_IFSOCK };
	uint32_t permissions = (uint32_t)random_below(r, 010000);
	uint64_t kind = random_below(r, 20);
	size_t len;

	if (kind < 5) {
		item->attr.mode = S_IFDIR | permissions;
	} else if (kind < 7) {
		item->attr.mode = S_IFLNK | 0777;
		len = random_below(r, 3) ? 1 + random_below(r, 70)
					 : 1 + random_below(r, 4095);
		memset(item->target, 'x', len);
		item->target[len] = '\0';
		item->size = len;
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
static unsigned draw_parent(struct random *r, const unsigned *dirs, unsigned n)
{
	switch (random_below(r, 4)) {
	case 0:
		return dirs[n - 1];
	case 1:
		return 0;
	default:
		return dirs[random_below(r, n)];
	}
}

/* Items 1 ... n - 1; item 0 is the root. Parents and files come before. */
static struct item *draw_items(uint64_t seed, unsigned n)
{
	struct item *items = must(calloc(n, sizeof(*items)));
	unsigned *dirs = must(calloc(n, sizeof(*dirs)));
	unsigned *files = must(calloc(n, sizeof(*files)));
	unsigned n_dirs = 1;
	unsigned n_files = 0;
	struct random r;

	random_init(&r, seed);
	for (unsigned i = 1; i < n; i++) {
		struct item *item = &items[i];

		draw_name(&r, i, item);
		item->parent = draw_parent(&r, dirs, n_dirs);
		item->seed = random_u64(&r);
		item->link_to = -1;
		item->attr.uid = (uint32_t)random_u64(&r);
		item->attr.gid = (uint32_t)random_u64(&r);
		draw_times(&r, &item->attr);
		if (n_files > 0 && random_below(&r, 15) == 0) {
			item->link_to = (int)files[random_below(&r, n_files)];
			continue;
		}
		draw_type(&r, item);
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

static void add_lost_found(struct tree_builder *b)
{
	const struct tree_attr attr = { .mode = S_IFDIR | 0700 };
	builder_id id;

	check(tree_builder_add(b, 0, "lost+found", 10, &attr, &id));
	tree_builder_reserve(b, id);
}

struct tree *random_tree(uint64_t seed, uint64_t order, unsigned max_entries)
{
	const struct tree_attr root = { .mode = S_IFDIR | 0755 };
	unsigned n = 1 + (unsigned)(seed % (max_entries + 1));
	struct item *items = draw_items(seed, n);
	struct tree_builder *b;
	struct tree *tree;

	check(tree_builder_new(&b, &root));
	if (order % 2)
		add_lost_found(b);
	add_all(b, items, n, order);
	if (order % 2 == 0)
		add_lost_found(b);
	check(tree_build(b, &tree, NULL));
	tree_builder_free(b);
	free(items);
	return tree;
}
