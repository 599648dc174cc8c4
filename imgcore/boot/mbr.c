/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The disk in front of the first partition.
 *
 *     0x000 ... 0x1b7   boot.img
 *     0x1b8 ... 0x1bd   disk signature, two zero bytes
 *     0x1be ... 0x1fd   four partition entries, as libparted makes them
 *     0x1fe             55 AA
 *     sector 1 ...      core.img, zero padded to whole sectors
 *
 * boot.img has a probe for floppies where the table goes: what is kept of it
 * ends before the signature.
 *
 * libparted works on a device, so it gets a sparse file in memory as large as
 * the disk; only the entries are taken from what it writes. It runs in a child:
 * without memory it uses null pointers or aborts.
 */
#include "boot/mbr.h"

#include <fcntl.h>
#include <inttypes.h>
#include <parted/parted.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "base/isolate.h"
#include "base/le.h"
#include "boot/grub.h"
#include "imgcore/diag.h"

#define DISK "disk.img"

/*
 * Replaces libc's popen. Debian's libparted runs a shell and dmidecode when it
 * is loaded, to recognize machines that need another partition table; that
 * takes most of the time of a start. It does not check for NULL: what it gets
 * is a stream of one empty line, which needs no file and no descriptor.
 */
FILE *popen(const char *command, const char *mode)
{
	static char line[] = "\n";

	(void)command;
	(void)mode;
	return fmemopen(line, strlen(line), "r");
}

/* The child's input, and libparted's message. */
struct job {
	const char *path;
	struct boot_partition partitions[2];
	char message[256];
};

/* libparted's handler takes no context. Used only in the child. */
static struct job *child_job;

static PedExceptionOption catch_exception(PedException *ex)
{
	char *message = child_job->message;

	if (ex->type <= PED_EXCEPTION_WARNING &&
	    ex->options & PED_EXCEPTION_IGNORE)
		return PED_EXCEPTION_IGNORE;
	if (!*message && ex->message)
		snprintf(message, sizeof(child_job->message), "%s",
			 ex->message);
	return PED_EXCEPTION_UNHANDLED;
}

/* A primary Linux partition in exactly these sectors; 0 or -EINVAL. */
static int disk_add(PedDisk *disk, const struct boot_partition *where,
		    bool active)
{
	const PedFileSystemType *ext2 = ped_file_system_type_get("ext2");
	PedPartition *part;
	PedConstraint *exact;
	int ok;

	part = ped_partition_new(disk, PED_PARTITION_NORMAL, ext2,
				 (PedSector)where->first_sector,
				 (PedSector)where->last_sector);
	if (!part)
		return -EINVAL;
	exact = ped_constraint_exact(&part->geom);
	ok = exact && ped_disk_add_partition(disk, part, exact);
	if (exact)
		ped_constraint_destroy(exact);
	if (!ok) {
		ped_partition_destroy(part);
		return -EINVAL;
	}
	if (active && !ped_partition_set_flag(part, PED_PARTITION_BOOT, 1))
		return -EINVAL;
	return 0;
}

/*
 * Writes a table with these partitions to the file at path. The device is open
 * all the time, and left so: each time that libparted opens or closes one it
 * looks for 64 partitions of it by name. All goes with the child.
 */
static int disk_write(const char *path,
		      const struct boot_partition partitions[2])
{
	PedDevice *device = ped_device_get(path);
	PedDisk *disk;

	if (!device || !ped_device_open(device))
		return -EINVAL;
	disk = ped_disk_new_fresh(device, ped_disk_type_get("msdos"));
	if (!disk)
		return -EINVAL;
	if (disk_add(disk, &partitions[0], true) < 0 ||
	    disk_add(disk, &partitions[1], false) < 0)
		return -EINVAL;
	return ped_disk_commit_to_dev(disk) ? 0 : -EIO;
}

static int job_run(void *context)
{
	child_job = context;
	ped_exception_set_handler(catch_exception);
	return disk_write(child_job->path, child_job->partitions);
}

static int disk_write_apart(const char *path,
			    const struct boot_partition partitions[2],
			    struct diag *diag)
{
	struct job *job = isolate_memory(sizeof(*job));
	int r;

	if (!job)
		return diag_set(diag, -errno, DISK, NULL);
	job->path = path;
	memcpy(job->partitions, partitions, sizeof(job->partitions));
	r = isolate_run(job_run, job);
	if (r == -ECHILD)
		r = diag_set(
			diag, -ENOMEM, DISK,
			"no partition table: libparted crashed, as it does when memory runs out");
	else if (r < 0)
		r = diag_set(diag, r, DISK, "no partition table: %s",
			     *job->message ? job->message : "libparted failed");
	munmap(job, sizeof(*job));
	return r;
}

static int table_make(const struct boot_partition partitions[2],
		      uint64_t disk_sectors, struct boot_sector *ret_sector,
		      struct diag *diag)
{
	_cleanup_close_ int fd = memfd_create("mbr", MFD_CLOEXEC);
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
	struct boot_sector sector;
	ssize_t n;
	int r;

	if (fd < 0 || ftruncate(fd, (off_t)(disk_sectors * SECTOR)) < 0)
		return diag_set(
			diag, -errno, DISK,
			errno == EFBIG
				? "larger than files may be here; raise ulimit -f"
				: "no memory for a partition table");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (access(path, F_OK) < 0)
		return diag_set(
			diag, -errno, "/proc",
			"cannot be used, and the partition table is made through it; mount proc there");
	r = disk_write_apart(path, partitions, diag);
	if (r < 0)
		return r;
	n = io_pread(fd, &sector, sizeof(sector), 0);
	if (n < 0)
		return diag_set(diag, (int)n, DISK, NULL);
	memcpy(ret_sector->entries, sector.entries, sizeof(sector.entries));
	return 0;
}

static int table_check(const struct boot_partition partitions[2],
		       uint64_t disk_sectors, struct diag *diag)
{
	if (disk_sectors > UINT32_MAX)
		return diag_set(diag, -EFBIG, DISK,
				"would have %" PRIu64 " sectors, and an MBR "
				"counts to %" PRIu32 " (2 TiB)",
				disk_sectors, UINT32_MAX);
	for (unsigned i = 0; i < 2; i++) {
		const struct boot_partition *p = &partitions[i];
		uint64_t least = i ? partitions[0].last_sector + 1 : 1;

		if (p->first_sector < least ||
		    p->last_sector < p->first_sector ||
		    p->last_sector >= disk_sectors)
			return diag_set(diag, -EINVAL, DISK,
					"partition %u cannot be from sector "
					"%" PRIu64 " to %" PRIu64,
					i + 1, p->first_sector, p->last_sector);
	}
	return 0;
}

/* boot.img, told where core.img is; its table still to be filled. */
static void sector_set_code(struct boot_sector *sector,
			    const struct boot_grub *grub)
{
	memcpy(sector, grub->boot, offsetof(struct boot_sector, signature));
	put_le64(sector->core_sector, 1);
	sector->drive = 0xff;
	memset(sector->drive_check, 0x90, sizeof(sector->drive_check));
}

/* core.img behind it, told where its own second sector is. */
static void core_place(uint8_t *bytes, const struct boot_grub *grub)
{
	struct core_sector *first = (struct core_sector *)(bytes + SECTOR);

	memcpy(bytes + SECTOR, grub->core, grub->core_size);
	put_le64(first->start, 2);
	put_le16(first->sectors, (uint16_t)(grub->core_size / SECTOR - 1));
	put_le16(first->segment, CORE_SEGMENT);
}

int boot_mbr(const struct boot_grub *grub,
	     const struct boot_partition partitions[2], uint64_t disk_sectors,
	     uint32_t signature, const uint8_t *earlier, uint8_t **ret_bytes,
	     size_t *ret_len, struct diag *diag)
{
	size_t len = SECTOR + (grub ? grub->core_size : 0);
	_cleanup_free_ uint8_t *bytes = NULL;
	struct boot_sector *sector;
	int r = table_check(partitions, disk_sectors, diag);

	if (r < 0)
		return r;
	if (len / SECTOR > partitions[0].first_sector)
		return diag_set(diag, -EFBIG, grub->core_name,
				"has %zu sectors, and there is room for "
				"%" PRIu64 " before the first partition",
				grub->core_size / SECTOR,
				partitions[0].first_sector - 1);
	bytes = calloc(1, len);
	if (!bytes)
		return diag_set(diag, -ENOMEM, DISK, NULL);
	sector = (struct boot_sector *)bytes;
	if (grub) {
		sector_set_code(sector, grub);
		core_place(bytes, grub);
	}
	if (earlier)
		memcpy(sector->entries,
		       ((const struct boot_sector *)earlier)->entries,
		       sizeof(sector->entries));
	else
		r = table_make(partitions, disk_sectors, sector, diag);
	if (r < 0)
		return r;
	put_le32(sector->signature, signature);
	put_le16(sector->magic, 0xaa55);
	*ret_bytes = take_ptr(bytes);
	*ret_len = len;
	return 0;
}
