/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "owners.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "imgcore/image.h"

/* How a namespace shows a user, or a group, that it has no number for. */
struct hidden {
	uint32_t id;
	bool possible; /* it is no number of the namespace's own */
};

static struct hidden read_hidden(const char *overflow, const char *map)
{
	struct hidden hidden = { .id = 65534, .possible = true };
	uint64_t inside, outside, n;
	FILE *f = fopen(overflow, "re");

	if (f) {
		if (fscanf(f, "%" SCNu32, &hidden.id) != 1)
			hidden.id = 65534;
		fclose(f);
	}
	f = fopen(map, "re");
	if (!f) {
		hidden.possible = false;
		return hidden;
	}
	while (fscanf(f, "%" SCNu64 " %" SCNu64 " %" SCNu64, &inside, &outside,
		      &n) == 3)
		if (hidden.id >= inside && hidden.id - inside < n)
			hidden.possible = false;
	fclose(f);
	return hidden;
}

struct search {
	struct hidden user, group;
	bool found;
};

static void visit(void *context, tree_id id, const struct tree_info *info)
{
	struct search *s = context;

	s->found |= (s->user.possible && info->attr.uid == s->user.id) ||
		    (s->group.possible && info->attr.gid == s->group.id);
}

bool owners_are_hidden(const struct image_options *options,
		       const struct tree *tree)
{
	struct search s;

	if (options->scan.owner != TREE_OWNER_KEEP || !tree)
		return false;
	s = (struct search){
		.user = read_hidden("/proc/sys/kernel/overflowuid",
				    "/proc/self/uid_map"),
		.group = read_hidden("/proc/sys/kernel/overflowgid",
				     "/proc/self/gid_map"),
	};
	if (s.user.possible || s.group.possible)
		tree_walk(tree, 0, tree_count(tree), visit, &s);
	return s.found;
}
