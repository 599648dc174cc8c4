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
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/math.h"
#include "base/quote.h"
#include "base/units.h"
#include "base/vec.h"
#include "child.h"
#include "options.h"

struct qemu_line {
	char **items; /* NULL after the last */
	size_t count, size;
};

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

static void qemu_line_clear(struct qemu_line *line)
{
	for (size_t i = 0; i < line->count; i++)
		free(line->items[i]);
	vec_free(line);
}

/* ---- what the user said ---- */

/* The first word that is this option, with one dash or two; NULL: none is. */
static char **find_option(char **word, const char *name)
{
	for (; *word; word++) {
		const char *at = *word;

		if (*at++ == '-' && strcmp(at + (*at == '-'), name) == 0)
			return word;
	}
	return NULL;
}

static bool given(const struct run_options *options, const char *name)
{
	return find_option(options->qemu_arguments, name);
}

bool qemu_accel_given(const struct run_options *options)
{
	static const char *const machine[] = { "machine", "M" };

	for (size_t i = 0; i < ARRAY_SIZE(machine); i++) {
		char **word = options->qemu_arguments;

		for (; (word = find_option(word, machine[i])); word++) {
			if (word[1] && strstr(word[1], "accel="))
				return true;
		}
	}
	return given(options, "accel") || given(options, "enable-kvm");
}

/* ---- the line ---- */

static int make_line(struct qemu_line *line, const struct run_options *options,
		     const struct qemu_run *run)
{
	_cleanup_free_ char *file = quote_qemu_file(run->disk);
	int r = file ? PUT(line, options->qemu) : -ENOMEM;

	if (r == 0 && !qemu_accel_given(options))
		r = PUT(line, "-accel", run->kvm ? "kvm" : "tcg");
	if (r == 0)
		r = PUT(line, "-m", "1G", "-display", "none", "-drive");
	/* By default, QEMU stops the machine at ENOSPC. */
	if (r == 0)
		r = put(line, "if=virtio,format=raw,werror=report,%sfile=%s",
			options->read_only ? "readonly=on," : "", file);
	/* With -nographic it is on standard input and output anyway. */
	if (r == 0 && !given(options, "serial") && !given(options, "nographic"))
		r = PUT(line, "-serial", run->terminal ? "mon:stdio" : "stdio");
	if (r == 0 && options->expect)
		r = PUT(line, "-no-reboot");
	if (r == 0)
		r = put_all(line, (const char *const *)options->qemu_arguments);
	return r == 0 && !vec_push(line) ? -ENOMEM : r;
}

/* ---- their starts ---- */

int qemu_start(struct child *ret_child, int *ret_out,
	       const struct run_options *options, const struct qemu_run *run)
{
	_cleanup_(qemu_line_clear) struct qemu_line line = { 0 };
	_cleanup_free_ char *environment = NULL;
	_cleanup_close_ int out = -1;
	_cleanup_close_ int in = -1;
	int ends[2];
	int r = make_line(&line, options, run);

	if (r < 0)
		return r;
	if (asprintf(&environment, "DIRDISK_PLACE=%s", run->mount_dir) < 0) {
		environment = NULL;
		return -ENOMEM;
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	in = ends[0];
	out = ends[1];
	if (fcntl(in, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	for (char **word = line.items; options->verbose && *word; word++) {
		quote_word(stderr, *word);
		putc(word[1] ? ' ' : '\n', stderr);
	}
	r = child_start(ret_child, &(struct child_options){
					   .argv = line.items,
					   .environment = environment,
					   .mask = run->mask,
					   .death_signal = SIGKILL,
					   .in = -1,
					   .out = out,
					   .err = -1,
					   .keep = -1,
					   .group = run->group,
				   });
	if (r == 0)
		*ret_out = take_fd(&in);
	return r;
}

/* A descriptor of a boot sector that ends QEMU with QEMU_PROBE_STATUS. */
static int probe_sector(void)
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

int qemu_probe_start(struct child *ret_child, const struct run_options *options,
		     const sigset_t *mask)
{
	_cleanup_(qemu_line_clear) struct qemu_line line = { 0 };
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_close_ int sector = probe_sector();
	int r = sector;

	if (r >= 0)
		r = PUT(&line, options->qemu, "-accel", "kvm", "-m", "16M",
			"-nodefaults", "-no-user-config", "-display", "none",
			"-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
			"-drive");
	if (r == 0)
		r = put(&line, "format=raw,file=/proc/self/fd/%d", sector);
	if (r == 0 && !vec_push(&line))
		r = -ENOMEM;
	if (r < 0)
		return r;
	return child_start(ret_child, &(struct child_options){
					      .argv = line.items,
					      .mask = mask,
					      .death_signal = SIGKILL,
					      .in = null,
					      .out = null,
					      .err = null,
					      .keep = sector,
					      .session = true,
				      });
}
