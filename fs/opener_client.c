/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "opener_client.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "imgcore/opener.h"
#include "opener_message.h"

#define PATIENCE_MS 5000

struct opener_client {
	int socket;
	pthread_mutex_t lock; /* from a request to its reply */
	uint32_t last; /* id of a request */
};

/* A root that the opener holds. */
struct remote {
	struct opener opener; /* the first member, for casts */
	struct opener_client *client;
	uint64_t root;
};

static int64_t deadline_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for the reply to a request; late replies to others are dropped. */
static int await(struct opener_client *client, uint32_t id, uint64_t *ret_root)
{
	int64_t end = deadline_now_ms() + PATIENCE_MS;

	for (;;) {
		struct pollfd pollfd = { client->socket, POLLIN, 0 };
		int64_t left = end - deadline_now_ms();
		_cleanup_close_ int fd = -1;
		struct opener_reply reply;
		ssize_t n;

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&pollfd, 1, (int)left) < 0 && errno != EINTR)
			return -errno;
		n = opener_receive(client->socket, &reply, sizeof(reply),
				   MSG_DONTWAIT, &fd);
		if (n == -EAGAIN)
			continue;
		if (n < 0)
			return (int)n;
		if (n < (ssize_t)sizeof(reply))
			return -EPIPE;
		if (reply.id != id)
			continue;
		*ret_root = reply.root;
		if (reply.error < 0)
			return reply.error;
		/* No descriptor came: this process has too many. */
		return fd < 0 ? -EMFILE : take_fd(&fd);
	}
}

/* A descriptor or a negative errno. */
static int request(struct opener_client *client, enum opener_request_kind kind,
		   uint64_t root, const char *path, uint64_t own_dev, int flags,
		   uint64_t *ret_root)
{
	struct opener_request head = {
		.kind = kind,
		.root = root,
		.own_dev = own_dev,
		.flags = flags,
	};
	int r;

	pthread_mutex_lock(&client->lock);
	head.id = ++client->last;
	r = opener_send(client->socket, &head, sizeof(head), path, strlen(path),
			-1, MSG_DONTWAIT);
	if (r == -EMSGSIZE)
		r = -ENAMETOOLONG;
	if (r == -EAGAIN) /* the opener has not read earlier requests */
		r = -ETIMEDOUT;
	if (r == 0 && kind != OPENER_FORGET)
		r = await(client, head.id, ret_root);
	pthread_mutex_unlock(&client->lock);
	return r;
}

static int remote_open(struct opener *opener, const char *path,
		       uint64_t own_dev, int flags)
{
	struct remote *remote = (struct remote *)opener;
	uint64_t root;

	return request(remote->client, OPENER_OPEN, remote->root, path, own_dev,
		       flags, &root);
}

static int remote_open_link(struct opener *opener, const char *path,
			    uint64_t own_dev, int flags)
{
	struct remote *remote = (struct remote *)opener;
	uint64_t root;

	return request(remote->client, OPENER_LINK, remote->root, path, own_dev,
		       flags, &root);
}

static void forget(struct opener_client *client, uint64_t root)
{
	(void)request(client, OPENER_FORGET, root, "", 0, 0, NULL);
}

static void remote_release(struct opener *opener)
{
	struct remote *remote = (struct remote *)opener;

	forget(remote->client, remote->root);
	free(remote);
}

static int remote_new(struct opener_client *client, uint64_t root,
		      struct opener **ret_opener)
{
	struct remote *remote = malloc(sizeof(*remote));

	if (!remote)
		return -ENOMEM;
	*remote = (struct remote){
		.opener = {
			.open = root == OPENER_FIRST_ROOT ? NULL : remote_open,
			.open_link = remote_open_link,
			.release = remote_release,
		},
		.client = client,
		.root = root,
	};
	atomic_init(&remote->opener.users, 1);
	*ret_opener = &remote->opener;
	return 0;
}

int opener_client_first(struct opener_client *client,
			struct opener **ret_opener)
{
	return remote_new(client, OPENER_FIRST_ROOT, ret_opener);
}

int opener_client_find(struct opener_client *client, uint64_t own_dev,
		       int *ret_fd, struct opener **ret_opener)
{
	uint64_t root;
	_cleanup_close_ int fd = request(client, OPENER_FIND, 0, "", own_dev, 0,
					 &root);
	int r;

	if (fd < 0)
		return fd;
	r = remote_new(client, root, ret_opener);
	if (r < 0) {
		forget(client, root);
		return r;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

int opener_client_new(struct opener_client **ret_client, int socket)
{
	struct opener_client *client = malloc(sizeof(*client));

	if (!client)
		return -ENOMEM;
	*client = (struct opener_client){ .socket = socket };
	pthread_mutex_init(&client->lock, NULL);
	*ret_client = client;
	return 0;
}

void opener_client_free(struct opener_client *client)
{
	if (!client)
		return;
	pthread_mutex_destroy(&client->lock);
	free(client);
}
