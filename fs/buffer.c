/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "buffer.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/units.h"
#include "mount.h"

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
	if (pthread_key_create(&key, free) != 0)
		abort();
}

void *buffer_get(void)
{
	void *buf;

	pthread_once(&once, make_key);
	buf = pthread_getspecific(key);
	if (buf)
		return buf;
	buf = aligned_alloc(BLOCK, MOUNT_MAX_READ);
	if (buf && pthread_setspecific(key, buf) != 0) {
		free(buf);
		return NULL;
	}
	return buf;
}
