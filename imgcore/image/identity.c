/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/identity.h"

#include <string.h>

#define XXH_STATIC_LINKING_ONLY /* the size of a state */
#include <xxhash.h>

#include "base/le.h"
#include "imgcore/image.h"

void identity_init(struct identity *identity,
		   const struct image_options *options,
		   const struct tree *const *trees, size_t n)
{
	XXH128_canonical_t canonical;
	XXH3_state_t state;
	uint8_t sizes[24];

	if (options->uuid) {
		memcpy(identity->digest, options->uuid, 16);
		return;
	}
	XXH3_128bits_reset(&state);
	for (size_t i = 0; i < n; i++) {
		uint8_t digest[16];

		tree_digest(trees[i], digest);
		XXH3_128bits_update(&state, digest, sizeof(digest));
	}
	put_le64(sizes, options->size);
	put_le64(sizes + 8, options->boot_size);
	put_le64(sizes + 16, options->free);
	XXH3_128bits_update(&state, sizes, sizeof(sizes));
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
	memcpy(identity->digest, canonical.digest, 16);
}

static void derive(const struct identity *identity, uint64_t purpose,
		   uint8_t ret[16])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(
		&canonical,
		XXH3_128bits_withSeed(identity->digest, 16, purpose));
	memcpy(ret, canonical.digest, 16);
}

void identity_uuid(const struct identity *identity, uint64_t purpose,
		   uint8_t ret_uuid[16])
{
	derive(identity, purpose, ret_uuid);
	ret_uuid[6] = (ret_uuid[6] & 0x0f) | 0x80;
	ret_uuid[8] = (ret_uuid[8] & 0x3f) | 0x80;
}

uint32_t identity_signature(const struct identity *identity, uint64_t purpose)
{
	uint8_t bytes[16];

	derive(identity, purpose, bytes);
	return get_le32(bytes) | 1;
}
