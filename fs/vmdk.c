/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vmdk.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "base/math.h"
#include "base/units.h"
#include "imgcore/diag.h"
#include "imgcore/image.h"
#include "imgcore/live.h"

#define MBR_SIGNATURE 0x1b8u

/* More than the text takes without the name, whatever the figures. */
#define MAX_WITHOUT_NAME 480u

/* What VMware gives IDE disks, and up to which size. */
#define HEADS	      16u
#define TRACK	      63u
#define MAX_CYLINDERS 16383u

/* An extent's name stands between quotes, on one line; there is no escape. */
int vmdk_name(const char *disk, char **ret_name)
{
	size_t len = strlen(disk);

	if (len >= 4 && strcmp(disk + len - 4, ".img") == 0)
		len -= 4;
	*ret_name = NULL;
	if (strpbrk(disk, "\"\r\n") || len + strlen(".vmdk") > NAME_MAX)
		return 0;
	return asprintf(ret_name, "%.*s.vmdk", (int)len, disk) < 0 ? -ENOMEM
								   : 0;
}

size_t vmdk_size(const char *disk)
{
	return round_up(strlen(disk) + MAX_WITHOUT_NAME, SECTOR);
}

/*
 * Stands for what the disk is, as far as that is known without reading its
 * files: the signature follows from the options (and the trees, unless there
 * is a UUID), the digests from the trees.
 */
static int content_id(const struct image *image, uint32_t *ret_id)
{
	struct diag diag = DIAG_INIT;
	uint8_t signature[4];
	uint8_t digest[16];
	int r;

	r = image_pread(image, signature, 4, MBR_SIGNATURE, &diag);
	diag_clear(&diag);
	if (r < 0)
		return r;
	*ret_id = get_le32(signature);
	for (unsigned i = 0; i < 2; i++) {
		tree_digest(image_tree(image, i), digest);
		*ret_id ^= get_le32(digest + 4 * i);
	}
	/* All ones: there is none. */
	if (*ret_id == UINT32_MAX)
		*ret_id = 0;
	return 0;
}

static int make_body(const char *disk, uint64_t sectors, uint32_t id,
		     char **ret_body)
{
	uint64_t cylinders = min_u64(sectors / (HEADS * TRACK), MAX_CYLINDERS);

	return asprintf(ret_body,
			"# Disk DescriptorFile\n"
			"version=1\n"
			"encoding=\"UTF-8\"\n"
			"CID=%08" PRIx32 "\n"
			"parentCID=ffffffff\n"
			"createType=\"monolithicFlat\"\n"
			"\n"
			"# Extent description\n"
			"RW %" PRIu64 " FLAT \"%s\" 0\n"
			"\n"
			"# The Disk Data Base\n"
			"#DDB\n"
			"\n"
			"ddb.virtualHWVersion = \"4\"\n"
			"ddb.geometry.cylinders = \"%" PRIu64 "\"\n"
			"ddb.geometry.heads = \"%u\"\n"
			"ddb.geometry.sectors = \"%u\"\n"
			"ddb.adapterType = \"ide\"\n",
			id, sectors, disk, cylinders, HEADS, TRACK);
}

int vmdk_text(const char *disk, struct generation *generation, char **ret_text)
{
	const struct image *image = generation_image(generation);
	_cleanup_free_ char *body = NULL;
	uint32_t id;
	int len;
	int r;

	r = content_id(image, &id);
	if (r < 0)
		return r;
	len = make_body(disk, image_size(image) / SECTOR, id, &body);
	if (len < 0) {
		body = NULL;
		return -ENOMEM;
	}
	/* A comment of blanks fills it up. */
	if (asprintf(ret_text, "%s%-*s\n", body, (int)vmdk_size(disk) - len - 1,
		     "#") < 0)
		return -ENOMEM;
	return 0;
}
