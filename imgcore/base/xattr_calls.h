/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_XATTR_CALLS_H
#define BASE_XATTR_CALLS_H

/*
 * Numbers of system calls that C libraries may not know yet. All architectures
 * share them, but for alpha, which counts from 110 on.
 */
#include <sys/syscall.h>

#ifndef SYS_getxattrat
#ifdef __alpha__
#define SYS_getxattrat 574
#else
#define SYS_getxattrat 464
#endif
#endif
#ifndef SYS_listxattrat
#ifdef __alpha__
#define SYS_listxattrat 575
#else
#define SYS_listxattrat 465
#endif
#endif

#endif
