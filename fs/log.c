/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include <fuse_log.h>

#include "base/cleanup.h"
#include "base/memstream.h"
#include "channel.h"
#include "imgcore/diag.h"

static enum {
	SINK_STDERR,
	SINK_SYSLOG,
	SINK_CHANNEL,
} sink;
static int sink_channel;

/* A line that is kept; 1 MiB for all of them. */
struct kept {
	char text[1024];
};
static struct {
	pthread_mutex_t lock;
	struct kept *lines; /* NULL: none are kept */
	uint64_t count; /* of all that ever were */
} ring = { .lock = PTHREAD_MUTEX_INITIALIZER };

void log_to_syslog(void)
{
	openlog("dirdisk", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	sink = SINK_SYSLOG;
}

void log_to_channel(int channel)
{
	sink_channel = channel;
	sink = SINK_CHANNEL;
}

/* ---- what is kept ---- */

/* Memory that nobody has written to costs nothing. */
void log_keep(void)
{
	ring.lines = calloc(LOG_KEPT, sizeof(*ring.lines));
}

static void write_kept(struct kept *line, const char *text)
{
	static const char cut[] = "...";
	struct timespec now;
	struct tm utc;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	len = strftime(line->text, sizeof(line->text), "%FT%TZ ", &utc);
	if (strlen(text) < sizeof(line->text) - len) {
		strcpy(line->text + len, text);
		return;
	}
	memcpy(line->text + len, text, sizeof(line->text) - len);
	memcpy(line->text + sizeof(line->text) - sizeof(cut), cut, sizeof(cut));
}

void log_note(const char *text)
{
	if (!ring.lines)
		return;
	pthread_mutex_lock(&ring.lock);
	write_kept(&ring.lines[ring.count++ % LOG_KEPT], text);
	pthread_mutex_unlock(&ring.lock);
}

uint64_t log_count(void)
{
	uint64_t count;

	pthread_mutex_lock(&ring.lock);
	count = ring.count;
	pthread_mutex_unlock(&ring.lock);
	return count;
}

int log_text(char **ret_text)
{
	struct memstream stream;
	FILE *file = memstream_open(&stream);
	uint64_t first;

	if (!file)
		return -ENOMEM;
	pthread_mutex_lock(&ring.lock);
	first = ring.count > LOG_KEPT ? ring.count - LOG_KEPT : 0;
	for (uint64_t i = first; ring.lines && i < ring.count; i++)
		fprintf(file, "%s\n", ring.lines[i % LOG_KEPT].text);
	pthread_mutex_unlock(&ring.lock);
	return memstream_close(&stream, ret_text, NULL);
}

/* ---- where lines go ---- */

static void emit(const char *text)
{
	log_note(text);
	switch (sink) {
	case SINK_STDERR:
		fprintf(stderr, "dirdisk: %s\n", text);
		break;
	case SINK_SYSLOG:
		syslog(LOG_ERR, "%s", text);
		break;
	case SINK_CHANNEL:
		channel_try(sink_channel, MESSAGE_LOG, 0, text);
		break;
	}
}

void log_line(const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	emit(text ? text : "out of memory");
}

void log_diag(const struct diag *diag, int err)
{
	_cleanup_free_ char *text = diag_format(diag, err);

	emit(text ? text : "out of memory");
}

/* What fails is tried again and again, and libfuse says so each time. */
static bool is_repeated(const char *text)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static char last[256];
	bool is_same;

	pthread_mutex_lock(&lock);
	is_same = strncmp(last, text, sizeof(last) - 1) == 0;
	if (!is_same)
		strncpy(last, text, sizeof(last) - 1);
	pthread_mutex_unlock(&lock);
	return is_same;
}

static void log_fuse(enum fuse_log_level level, const char *format,
		     va_list args) __attribute__((format(printf, 2, 0)));

static void log_fuse(enum fuse_log_level level, const char *format,
		     va_list args)
{
	_cleanup_free_ char *text = NULL;
	int len;

	if (level >= FUSE_LOG_INFO) {
		vfprintf(stderr, format, args);
		return;
	}
	len = vasprintf(&text, format, args);
	if (len < 0) {
		text = NULL;
		return;
	}
	while (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	if (!is_repeated(text))
		emit(text);
}

void log_take_fuse(void)
{
	fuse_set_log_func(log_fuse);
}
