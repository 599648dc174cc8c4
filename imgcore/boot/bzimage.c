/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A kernel that is just being written has its header before its end: the
 * sizes in the header show whether it is whole. Bytes after that end, such as a
 * signature, are ignored.
 */
#include "boot/bzimage.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "base/math.h"
#include "base/text.h"
#include "base/units.h"
#include "imgcore/diag.h"
#include "imgcore/target.h"

/* Where the fields of the header are in the file. */
enum {
	SETUP_SECTS = 0x1f1, /* u8; 0 is 4 */
	SYSSIZE = 0x1f4, /* u32, in 16 bytes */
	BOOT_FLAG = 0x1fe, /* u16 */
	MAGIC = 0x202, /* "HdrS" */
	PROTOCOL = 0x206, /* u16, of the protocol */
	KERNEL_VERSION = 0x20e, /* u16, from 0x200 on */
	LOADFLAGS = 0x211, /* u8 */
	CMDLINE_SIZE = 0x238, /* u32, since 2.06 */
	HEADER_END = BOOT_KERNEL_HEADER,
};

#define LOADED_HIGH	0x01u
#define SETUP_SECTS_MAX 64u /* GRUB's */
#define VERSION_LEN_MAX 256u

static uint64_t setup_size(const uint8_t *header)
{
	uint64_t sects = header[SETUP_SECTS] ? header[SETUP_SECTS] : 4;

	return (sects + 1) * SECTOR;
}

int bzimage_check(const uint8_t *header, size_t len, uint64_t size,
		  char **ret_reason)
{
	unsigned protocol;
	uint64_t whole;

	*ret_reason = NULL;
	if (size == 0)
		return text_format(ret_reason, "is empty");
	if (len >= 4 && memcmp(header, "\177ELF", 4) == 0)
		return text_format(ret_reason, "is ELF: use bzImage");
	if (len >= BOOT_FLAG + 2 && get_le16(header + BOOT_FLAG) != 0xaa55)
		return text_format(ret_reason,
				   "is no bzImage: no boot flag at 0x1fe");
	if (len < HEADER_END)
		return text_format(ret_reason,
				   "truncated: %zu bytes, less than a header",
				   len);
	if (memcmp(header + MAGIC, "HdrS", 4) != 0)
		return text_format(
			ret_reason,
			"no kernel's header: it has no HdrS at 0x202");
	protocol = get_le16(header + PROTOCOL);
	if (protocol < 0x0203)
		return text_format(ret_reason,
				   "boot protocol %u.%02u: GRUB starts 2.03 "
				   "and later",
				   protocol >> 8, protocol & 0xff);
	if (!(header[LOADFLAGS] & LOADED_HIGH))
		return text_format(ret_reason, "is a zImage: use bzImage");
	if (header[SETUP_SECTS] > SETUP_SECTS_MAX)
		return text_format(ret_reason,
				   "%u sectors of set-up: GRUB starts kernels "
				   "of up to %u",
				   header[SETUP_SECTS], SETUP_SECTS_MAX);
	/* Before 2.04 syssize has two bytes, too few for such a kernel. */
	whole = setup_size(header);
	whole += protocol < 0x0204 ? 1
				   : (uint64_t)get_le32(header + SYSSIZE) * 16;
	return whole <= size ? 0
			     : text_format(ret_reason,
					   "truncated: %llu of %llu bytes",
					   (unsigned long long)size,
					   (unsigned long long)whole);
}

static int read_version(const struct tree *tree, tree_id file, uint64_t size,
			const uint8_t *header, char **ret_version,
			struct diag *diag)
{
	uint64_t offset = get_le16(header + KERNEL_VERSION) + UINT64_C(0x200);
	char text[VERSION_LEN_MAX];
	size_t len, word;
	int r;

	if (offset == 0x200 || offset >= setup_size(header))
		return 0;
	len = (size_t)min_u64(sizeof(text), size - offset);
	r = tree_read(tree, file, text, len, offset, diag);
	if (r < 0)
		return r;
	for (word = 0; word < len && text[word] && text[word] != ' ';)
		word++;
	if (word == 0 || word == len)
		return 0;
	*ret_version = strndup(text, word);
	return *ret_version ? 0 : diag_set(diag, -ENOMEM, NULL, NULL);
}

int bzimage_read(const struct tree *tree, tree_id file,
		 struct kernel_image *ret_image, char **ret_reason,
		 struct diag *diag)
{
	struct diag ignored = DIAG_INIT;
	uint8_t header[BOOT_KERNEL_HEADER];
	struct tree_info info;
	size_t len;
	int r = 0;

	*ret_image = (struct kernel_image){ 0 };
	*ret_reason = NULL;
	tree_get(tree, file, &info);
	len = (size_t)min_u64(sizeof(header), info.size);
	if (len)
		r = tree_read(tree, file, header, len, 0, &ignored);
	if (r == 0)
		r = bzimage_check(header, len, info.size, ret_reason);
	if (r == 0 && !*ret_reason) {
		/* GRUB counts 255 where the header does not say. */
		ret_image->cmdline_size =
			get_le16(header + PROTOCOL) < 0x0206
				? 255
				: (uint32_t)max_u64(
					  get_le32(header + CMDLINE_SIZE), 127);
		r = read_version(tree, file, info.size, header,
				 &ret_image->version, &ignored);
	}
	/* A file that cannot be read cannot be booted: that is a reason. */
	if (r < 0 && r != -ESTALE && r != -ENOMEM)
		r = text_format(ret_reason, "cannot be read: %s", strerror(-r));
	if (r < 0)
		diag_set(diag, r, ignored.path, "%s",
			 ignored.reason ? ignored.reason : strerror(-r));
	diag_clear(&ignored);
	return r;
}
