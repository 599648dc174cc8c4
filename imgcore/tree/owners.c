/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "imgcore/owners.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "imgcore/tree.h"

static struct hidden_id read_hidden(const char *overflow, const char *map)
{
	struct hidden_id hidden = { .id = 65534, .possible = true };
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

void owners_read(struct owners *ret_owners)
{
	*ret_owners = (struct owners){
		.user = read_hidden("/proc/sys/kernel/overflowuid",
				    "/proc/self/uid_map"),
		.group = read_hidden("/proc/sys/kernel/overflowgid",
				     "/proc/self/gid_map"),
	};
}

struct search {
	const struct owners *owners;
	bool found;
};

static void visit(void *context, tree_id id, const struct tree_info *info)
{
	struct search *s = context;
	const struct owners *o = s->owners;

	s->found |= (o->user.possible && info->attr.uid == o->user.id) ||
		    (o->group.possible && info->attr.gid == o->group.id);
}

bool owners_are_hidden(const struct owners *owners,
		       const struct tree_scan_options *options,
		       const struct tree *tree)
{
	struct search s = { .owners = owners };

	if (options->owner != TREE_OWNER_KEEP || !tree)
		return false;
	if (owners->user.possible || owners->group.possible)
		tree_walk(tree, 0, tree_count(tree), visit, &s);
	return s.found;
}
