/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_LOG_H
#define FS_LOG_H

/*
 * The log: one sink for a process. Any thread may log. Text is taken as it is:
 * what comes from the host is escaped by diag_format.
 */

#include <stdint.h>

struct diag;

/* The sink is standard error until one of these is called. */
void log_to_syslog(void);
/* As messages to the supervisor; a line is lost if there is no room. */
void log_to_channel(int channel);

void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What diag_format says. */
void log_diag(const struct diag *diag, int err);

/*
 * From now on the last lines are kept: LOG_KEPT of them, each with the time
 * before it and cut where it is too long.
 */
#define LOG_KEPT 1000
void log_keep(void);
/* Keeps a line that was reported to the user in another way. */
void log_note(const char *text);
/* How many lines there have been. */
uint64_t log_count(void);
/* The lines kept, oldest first; the caller frees. */
int log_text(char **ret_text);

/* libfuse's messages go to the same sink; its debugging to standard error. */
void log_take_fuse(void);

#endif
