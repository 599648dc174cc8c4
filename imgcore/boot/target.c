/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "imgcore/target.h"

#include "boot/bzimage.h"
#include "imgcore/paths.h"

/*
 * The first three find all others on the first partition: an image of these
 * alone is made in a tenth of the time, which is most of what it takes to
 * start. The fourth reads the menu; the rest are for a menu and a prompt.
 */
static const char *const pc_modules[] = {
	"biosdisk",  "part_msdos", "ext2",     "normal", "configfile", "linux",
	"multiboot", "serial",	   "terminal", "search", "echo",       "ls",
	"cat",	     "test",	   "true",     "boot",	 "halt",       "reboot",
	"regexp",    "memrw",	   NULL,
};

/* A PC has 32 or 64 bits, as the kernel needs. */
static const char *const pc_architectures[] = { "x64", "ia32", NULL };

#define SERIAL_KERNEL "console=ttyS0,115200"
#define SERIAL_GRUB   "if serial --unit=0 --speed=115200; then\n"

const struct boot_target boot_targets[BOOT_TARGETS] = {
	[BOOT_I386_PC] = {
		.architectures = pc_architectures,
		.firmware = "BIOS",
		.platform = "i386-pc",
		.package = "grub-pc-bin",
		.modules_dir = PATH_GRUB "/i386-pc",
		.partition_map = "msdos",
		.modules = pc_modules,
		.n_finders = 3,
		.n_required = 4,
		/*
		 * A machine without a serial port keeps the console it has.
		 *
		 * A BIOS may have its screen on the serial line already, as
		 * QEMU's with -nographic: with GRUB there too, each character
		 * would be seen twice, and some of the keys lost between them.
		 * Its interrupt 0x10 is then not in a VGA's ROM, at c000, but
		 * in its own or in a later one. The same is true without a VGA.
		 */
		.terminals = {
			[BOOT_CONSOLE_BOTH] = SERIAL_GRUB
				"\t# Not twice, where the BIOS has its screen "
				"there too.\n"
				"\tread_word -v segment 0x42\n"
				"\tif regexp '^(f000|c[89a-f]..|d...)$' "
				"\"$segment\"; then\n"
				"\t\tterminal_input serial\n"
				"\t\tterminal_output serial\n"
				"\telse\n"
				"\t\tterminal_input serial console\n"
				"\t\tterminal_output serial console\n"
				"\tfi\n"
				"fi\n",
			[BOOT_CONSOLE_SERIAL] = SERIAL_GRUB
				"\tterminal_input serial\n"
				"\tterminal_output serial\n"
				"fi\n",
			[BOOT_CONSOLE_VGA] = "terminal_input console\n"
					     "terminal_output console\n",
		},
		.consoles = {
			[BOOT_CONSOLE_BOTH] = "console=tty0 " SERIAL_KERNEL,
			[BOOT_CONSOLE_SERIAL] = SERIAL_KERNEL,
			[BOOT_CONSOLE_VGA] = "console=tty0",
		},
		.check_kernel = bzimage_check,
		.read_kernel = bzimage_read,
	},
};
