/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where an option that is given twice means its last value, ours stands before
 * the user's. Where it means two things (a serial line, an accelerator), ours
 * is left out.
 *
 * The probe: /dev/kvm that opens is no proof. On a host that is a guest itself,
 * KVM may take seconds for what takes QEMU's translator a tenth of one.
 */
#include "qemu.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/quote.h"
#include "base/units.h"
#include "base/vec.h"
#include "options.h"

/* ---- words ---- */

static int put(struct qemu_line *line, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int put(struct qemu_line *line, const char *format, ...)
{
	char **slot = vec_push(line);
	va_list args;
	int n;

	if (!slot)
		return -ENOMEM;
	va_start(args, format);
	n = vasprintf(slot, format, args);
	va_end(args);
	if (n >= 0)
		return 0;
	*slot = NULL;
	return -ENOMEM;
}

static int put_all(struct qemu_line *line, const char *const *words)
{
	int r = 0;

	while (r == 0 && *words)
		r = put(line, "%s", *words++);
	return r;
}

#define PUT(line, ...) put_all(line, (const char *const[]){ __VA_ARGS__, NULL })

/* NULL behind the last, as exec wants it. */
static int end(struct qemu_line *line, int r, struct qemu_line *ret_line)
{
	if (r == 0 && !vec_push(line))
		r = -ENOMEM;
	if (r < 0)
		qemu_line_clear(line);
	else
		*ret_line = *line;
	return r;
}

void qemu_line_clear(struct qemu_line *line)
{
	for (size_t i = 0; i < line->count; i++)
		free(line->items[i]);
	vec_free(line);
}

/* ---- what the user said ---- */

/* QEMU takes one dash and two. */
static bool is_option(const char *word, const char *name)
{
	if (*word++ != '-')
		return false;
	return strcmp(word + (*word == '-'), name) == 0;
}

static bool given(const struct run_options *options, const char *name)
{
	for (char **word = options->qemu_arguments; *word; word++) {
		if (is_option(*word, name))
			return true;
	}
	return false;
}

static bool machine_has_accel(const struct run_options *options)
{
	char **word = options->qemu_arguments;

	for (; word[0] && word[1]; word++) {
		if ((is_option(*word, "machine") || is_option(*word, "M")) &&
		    strstr(word[1], "accel="))
			return true;
	}
	return false;
}

bool qemu_accel_given(const struct run_options *options)
{
	return given(options, "accel") || given(options, "enable-kvm") ||
	       machine_has_accel(options);
}

/* ---- the lines ---- */

static int put_serial(struct qemu_line *line, const struct run_options *options,
		      bool terminal)
{
	/* With -nographic it is on standard input and output anyway. */
	if (given(options, "serial") || given(options, "nographic"))
		return 0;
	return PUT(line, "-serial", terminal ? "mon:stdio" : "stdio");
}

static int put_disk(struct qemu_line *line, const char *disk, bool read_only)
{
	_cleanup_free_ char *file = quote_qemu_file(disk);
	int r = PUT(line, "-drive");

	if (!file)
		return -ENOMEM;
	/* By default, QEMU stops the machine at ENOSPC. */
	return r == 0 ? put(line,
			    "if=virtio,format=raw,werror=report,%sfile=%s",
			    read_only ? "readonly=on," : "", file)
		      : r;
}

int qemu_line_make(struct qemu_line *ret_line,
		   const struct run_options *options, const char *disk,
		   bool kvm, bool terminal)
{
	struct qemu_line line = { 0 };
	int r = PUT(&line, options->qemu);

	if (r == 0 && !qemu_accel_given(options))
		r = PUT(&line, "-accel", kvm ? "kvm" : "tcg");
	if (r == 0)
		r = PUT(&line, "-m", "1G", "-display", "none");
	if (r == 0)
		r = put_disk(&line, disk, options->read_only);
	if (r == 0)
		r = put_serial(&line, options, terminal);
	if (r == 0 && options->expect)
		r = PUT(&line, "-no-reboot");
	if (r == 0)
		r = put_all(&line,
			    (const char *const *)options->qemu_arguments);
	return end(&line, r, ret_line);
}

int qemu_line_probe(struct qemu_line *ret_line,
		    const struct run_options *options, int sector_fd)
{
	struct qemu_line line = { 0 };
	int r = PUT(&line, options->qemu, "-accel", "kvm", "-m", "16M",
		    "-nodefaults", "-no-user-config", "-display", "none",
		    "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
		    "-drive");

	if (r == 0)
		r = put(&line, "format=raw,file=/proc/self/fd/%d", sector_fd);
	return end(&line, r, ret_line);
}

int qemu_probe_sector(void)
{
	/* mov $0x10, %al; out %al, $0xf4; hlt; jmp to the hlt */
	static const uint8_t code[] = {
		0xb0, 0x10, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd
	};
	_cleanup_close_ int fd = memfd_create("boot sector", MFD_CLOEXEC);
	uint8_t sector[SECTOR] = { [510] = 0x55, [511] = 0xaa };
	int r;

	if (fd < 0)
		return -errno;
	memcpy(sector, code, sizeof(code));
	r = io_pwrite(fd, sector, sizeof(sector), 0);
	return r < 0 ? r : take_fd(&fd);
}

/* ---- for people ---- */

void qemu_line_print(const struct qemu_line *line, FILE *out)
{
	for (char **word = line->items; *word; word++) {
		if (word != line->items)
			putc(' ', out);
		quote_word(out, *word);
	}
	putc('\n', out);
}
