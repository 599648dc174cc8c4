/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RUN_LOG_H
#define RUN_LOG_H

/* dirdisk-run's lines on standard error, and the times that it goes by. */

#include "base/deadline.h"

struct diag;

/* One line; what terminals would take as a command is written as \xNN. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Path and reason; clears diag. */
void log_diag(struct diag *diag, int err);

#endif
