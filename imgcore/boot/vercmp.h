/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BOOT_VERCMP_H
#define BOOT_VERCMP_H

/*
 * The version order of the Boot Loader Specification, which is not that of
 * kernels (boot/version.h). Source: UAPI.10, Version Format Specification.
 * Negative, zero or positive; zero for different strings too ("1" and "1_").
 */
int vercmp(const char *a, const char *b);

#endif
