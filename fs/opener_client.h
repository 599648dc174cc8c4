/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_OPENER_CLIENT_H
#define FS_OPENER_CLIENT_H

/*
 * The worker's side of the opener (opener.h).
 * Errors: -ETIMEDOUT after some seconds without an answer, -EPIPE if the opener
 * has ended.
 * Threading: any number of threads; they are served one at a time.
 */

#include <stdint.h>

struct opener;
struct opener_client;

/* socket stays the caller's, and must outlive the client. 0 or -ENOMEM. */
int opener_client_new(struct opener_client **ret_client, int socket);
/* To be called after the last of its openers ended. NULL is allowed. */
void opener_client_free(struct opener_client *client);

/*
 * Makes the opener for the directory that is SRC at the start: the worker opens
 * the files beneath it itself, and only asks for those that links lead to. The
 * caller unrefs it. 0 or -ENOMEM.
 */
int opener_client_first(struct opener_client *client,
			struct opener **ret_opener);
/* Finds the directory that SRC's path leads to now: see live_options.find. */
int opener_client_find(struct opener_client *client, uint64_t own_dev,
		       int *ret_fd, struct opener **ret_opener);

#endif
