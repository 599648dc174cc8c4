/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_OPENER_CLIENT_H
#define FS_OPENER_CLIENT_H

/*
 * The worker's side of the opener (opener.h). No request waits longer than some
 * seconds: -ETIMEDOUT; -EPIPE: the opener has died.
 * Threading: any number of threads; one of them is served at a time.
 */

#include <stdint.h>

struct opener;
struct opener_client;

/* socket stays the caller's, and open as long as the client is. -ENOMEM. */
int opener_client_new(struct opener_client **ret_client, int socket);
/* After the last of its openers. NULL is allowed. */
void opener_client_free(struct opener_client *client);

/*
 * For the directory that is SRC at the start: the worker opens what is beneath
 * it, only links lead elsewhere. The caller unrefs it. -ENOMEM.
 */
int opener_client_first(struct opener_client *client,
			struct opener **ret_opener);
/* For the directory that SRC's path leads to now: see live_options.find. */
int opener_client_find(struct opener_client *client, uint64_t own_dev,
		       int *ret_fd, struct opener **ret_opener);

#endif
