/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "child.h"
#include "imgcore/diag.h"
#include "options.h"

/* By its name in PATH, unless it is beside us: installed, or as it is built. */
static int find_program(const struct run_options *options, char **ret_path)
{
	static const char *const where[] = { "dirdisk", "../../fs/dirdisk" };
	const char *name = options->dirdisk && *options->dirdisk
				   ? options->dirdisk
				   : NULL;
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct stat st;

	self[n > 0 ? n : 0] = '\0';
	dirname(self);
	for (size_t i = 0; !name && i < ARRAY_SIZE(where); i++) {
		if (asprintf(ret_path, "%s/%s", self, where[i]) < 0) {
			*ret_path = NULL;
			return -ENOMEM;
		}
		if (stat(*ret_path, &st) == 0 && S_ISREG(st.st_mode) &&
		    access(*ret_path, X_OK) == 0)
			return 0;
		free(*ret_path);
	}
	*ret_path = strdup(name ? name : "dirdisk");
	return *ret_path ? 0 : -ENOMEM;
}

int disk_start(struct child *ret_child, int *ret_out,
	       const struct run_options *options, const sigset_t *mask,
	       struct diag *diag)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_free_ char *program = NULL;
	_cleanup_free_ char **line = NULL;
	_cleanup_close_ int out = -1;
	int ends[2];
	size_t n = 0;
	int r = find_program(options, &program);

	if (r < 0)
		return r;
	while (options->disk_options[n])
		n++;
	line = calloc(n + 6, sizeof(*line));
	if (!line)
		return -ENOMEM;
	/* The words belong to others. */
	line[0] = program;
	line[1] = (char *)"-f";
	line[2] = (char *)"--private";
	memcpy(line + 3, options->disk_options, n * sizeof(*line));
	line[n + 3] = (char *)"--";
	line[n + 4] = (char *)options->src;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	out = ends[1];
	r = child_start(ret_child, &(struct child_options){
					   .argv = line,
					   .mask = mask,
					   .death_signal = SIGTERM,
					   .in = null,
					   .out = out,
					   .err = -1,
					   .keep = -1,
					   .session = true,
				   });
	if (r == 0) {
		*ret_out = ends[0];
		return 0;
	}
	close(ends[0]);
	return diag_set(
		diag, r, program,
		"cannot be run: %s; say with --dirdisk=PROGRAM where dirdisk is",
		strerror(-r));
}
