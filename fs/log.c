/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include <fuse_log.h>

#include "base/cleanup.h"
#include "channel.h"
#include "imgcore/diag.h"

static enum {
	SINK_STDERR,
	SINK_SYSLOG,
	SINK_CHANNEL,
} sink;
static int sink_channel;

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

static void emit(const char *text)
{
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
	emit(text);
}

void log_take_fuse(void)
{
	fuse_set_log_func(log_fuse);
}
