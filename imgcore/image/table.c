/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     0x000 ... 0x1b7   boot.img
 *     0x1b8 ... 0x1bd   disk signature, two zero bytes
 *     0x1be ... 0x1fd   four partition entries, as libparted makes them
 *     0x1fe             55 AA
 *     sector 1 ...      core.img, zero padded to whole blocks
 *
 * libparted works on a device, so it gets a sparse file in memory as large as
 * the disk; only the entries are taken from what it writes. It runs in a child:
 * without memory it uses null pointers or aborts.
 */
#include "image/table.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <parted/parted.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "base/isolate.h"
#include "base/le.h"
#include "base/math.h"
#include "boot/grub.h"
#include "boot/mbr.h"
#include "image/partition.h"
#include "imgcore/diag.h"

#define DISK "disk.img"

/*
 * Replaces libc's popen. Debian's libparted runs a shell and dmidecode when it
 * is loaded, to recognize machines that need another partition table; that
 * takes most of the time of a start. It does not check for NULL: what it gets
 * is a stream of one empty line, which needs no file and no descriptor.
 */
__attribute__((visibility("default"))) FILE *popen(const char *command,
						   const char *mode)
{
	static char line[] = "\n";

	(void)command;
	(void)mode;
	return fmemopen(line, strlen(line), "r");
}

/* The child's input, and libparted's message. */
struct job {
	const char *path;
	const struct partition *partitions;
	size_t n;
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

/* A primary partition in exactly these sectors; 0 or -EINVAL. */
static int disk_add(PedDisk *disk, const struct partition *partition)
{
	/* libparted knows the table's type byte by the file system. */
	static const char *const types[] = { [PARTITION_LINUX] = "ext2" };
	PedPartition *part;
	PedConstraint *exact;
	int ok;

	part = ped_partition_new(
		disk, PED_PARTITION_NORMAL,
		ped_file_system_type_get(types[partition->type]),
		(PedSector)(partition->start / SECTOR),
		(PedSector)((partition->start + partition->size) / SECTOR - 1));
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
	if (partition->active &&
	    !ped_partition_set_flag(part, PED_PARTITION_BOOT, 1))
		return -EINVAL;
	return 0;
}

/*
 * Writes a table with the partitions to the file at path. The device is open
 * all the time, and left so: each time that libparted opens or closes one it
 * looks for 64 partitions of it by name. All goes with the child.
 */
static int job_run(void *context)
{
	struct job *job = context;
	PedDevice *device;
	PedDisk *disk;

	child_job = job;
	ped_exception_set_handler(catch_exception);
	device = ped_device_get(job->path);
	if (!device || !ped_device_open(device))
		return -EINVAL;
	disk = ped_disk_new_fresh(device, ped_disk_type_get("msdos"));
	if (!disk)
		return -EINVAL;
	for (size_t i = 0; i < job->n; i++)
		if (disk_add(disk, &job->partitions[i]) < 0)
			return -EINVAL;
	return ped_disk_commit_to_dev(disk) ? 0 : -EIO;
}

static int write_entries(const char *path, const struct partition *partitions,
			 size_t n, struct diag *diag)
{
	struct job *job = isolate_memory(sizeof(*job));
	int r;

	if (!job)
		return diag_set(diag, -errno, DISK, NULL);
	job->path = path;
	job->partitions = partitions;
	job->n = n;
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

static int make_entries(const struct partition *partitions, size_t n,
			uint64_t disk_size, struct boot_sector *ret_sector,
			struct diag *diag)
{
	_cleanup_close_ int fd = memfd_create("mbr", MFD_CLOEXEC);
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
	struct boot_sector sector;
	ssize_t got;
	int r;

	if (fd < 0 || ftruncate(fd, (off_t)disk_size) < 0)
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
	r = write_entries(path, partitions, n, diag);
	if (r < 0)
		return r;
	got = io_pread(fd, &sector, sizeof(sector), 0);
	if (got < 0)
		return diag_set(diag, (int)got, DISK, NULL);
	memcpy(ret_sector->entries, sector.entries, sizeof(sector.entries));
	return 0;
}

static int check(const struct partition *partitions, size_t n,
		 uint64_t disk_size, struct diag *diag)
{
	uint64_t end = SECTOR;

	if (disk_size / SECTOR > TABLE_MAX_SECTORS)
		return diag_set(diag, -EFBIG, DISK,
				"would have %" PRIu64 " sectors, and an MBR "
				"counts to %" PRIu32 " (2 TiB)",
				disk_size / SECTOR, TABLE_MAX_SECTORS);
	for (size_t i = 0; i < n; i++) {
		const struct partition *p = &partitions[i];

		if (p->start < end || p->size < SECTOR || p->size > disk_size ||
		    p->start > disk_size - p->size)
			return diag_set(diag, -EINVAL, DISK,
					"partition %zu cannot be from byte "
					"%" PRIu64 " to %" PRIu64,
					i + 1, p->start, p->start + p->size);
		end = p->start + p->size;
	}
	return 0;
}

int table_init(struct table *table, const struct partition *partitions,
	       size_t n, uint64_t disk_size, uint32_t signature,
	       const struct boot_grub *grub, const struct table *previous,
	       struct diag *diag)
{
	uint64_t room = n > 0 ? partitions[0].start : disk_size;
	_cleanup_free_ uint8_t *head = NULL;
	struct boot_sector *sector;
	size_t len = SECTOR;
	int r = check(partitions, n, disk_size, diag);

	if (r < 0)
		return r;
	if (grub)
		len += grub->core_size;
	if (len > room)
		return diag_set(diag, -EFBIG, grub->core_name,
				"has %zu sectors, and there is room for "
				"%" PRIu64 " before the first partition",
				len / SECTOR - 1, room / SECTOR - 1);
	len = round_up(len, IMAGE_BLOCK);
	head = calloc(1, len);
	if (!head)
		return diag_set(diag, -ENOMEM, DISK, NULL);
	if (grub)
		boot_embed(grub, head);
	sector = (struct boot_sector *)head;
	if (previous)
		memcpy(sector->entries,
		       ((const struct boot_sector *)previous->head)->entries,
		       sizeof(sector->entries));
	else
		r = make_entries(partitions, n, disk_size, sector, diag);
	if (r < 0)
		return r;
	put_le32(sector->signature, signature);
	put_le16(sector->magic, 0xaa55);
	*table = (struct table){ .head = take_ptr(head), .head_len = len };
	return 0;
}

void table_release(struct table *table)
{
	free(table->head);
	free(table->tail);
	*table = (struct table){ 0 };
}
