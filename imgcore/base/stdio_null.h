/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_STDIO_NULL_H
#define BASE_STDIO_NULL_H

/* Standard input, output and error. */

/* Opens those that are closed on /dev/null, so that no file takes their place.
 */
int stdio_null_fill(void);
/* Lets go of the terminal, pipe or file that they are. */
int stdio_null_redirect(void);

#endif
