/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stdint.h>

#define SECTOR	 512u
#define BLOCK	 4096u /* of ext2, of what is cached and of what is kept */
#define MEBIBYTE (UINT64_C(1) << 20)

#endif
