/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_LEASH_H
#define RUN_LEASH_H

/*
 * Processes by a mark in their environment: a program that was started for us,
 * and all that it started in turn, whoever is their parent now.
 */

#include <stddef.h>

/* Sends a signal (0: none) to all that have "NAME=VALUE"; how many there are.
 */
size_t leash_signal(const char *mark, int signal);

/* Ends them by force; gives up on those that do not end for some seconds. */
void leash_kill(const char *mark);

#endif
