/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int text_format(char **ret_text, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(ret_text, format, args);
	va_end(args);
	if (n >= 0)
		return 0;
	*ret_text = NULL;
	return -ENOMEM;
}
