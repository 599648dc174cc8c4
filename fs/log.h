/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_LOG_H
#define FS_LOG_H

/*
 * Where lines for the person go: one sink for a process, any thread may log.
 * Text is taken as it is: what comes from the host is escaped by diag_format.
 */

struct diag;

/* The sink is standard error until one of these is called. */
void log_to_syslog(void);
/* As messages to the supervisor; a line is lost rather than waited for. */
void log_to_channel(int channel);

void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What diag_format says. */
void log_diag(const struct diag *diag, int err);

/* libfuse's messages go to the same sink; its debugging to standard error. */
void log_take_fuse(void);

#endif
