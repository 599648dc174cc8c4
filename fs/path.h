/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FS_PATH_H
#define FS_PATH_H

/*
 * Where an open directory is, as the kernel sees it: absolute, no link in it.
 * Without /proc it is found from the path it was opened by. The caller frees.
 */
int path_of_fd(int fd, const char *opened_by, char **ret_path);

#endif
