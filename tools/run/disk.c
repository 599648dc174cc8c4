/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "child.h"
#include "imgcore/diag.h"
#include "options.h"
#include "place.h"

/* ---- which program ---- */

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       access(path, X_OK) == 0;
}

/* Beside ourselves, as installed, or in a build directory. */
static int find_beside(char **ret_path)
{
	static const char *const where[] = { "dirdisk", "../../fs/dirdisk" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self));

	if (n < 0 || n == sizeof(self))
		return -ENOENT;
	self[n] = '\0';
	dirname(self);
	for (size_t i = 0; i < ARRAY_SIZE(where); i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", self, where[i]) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		if (is_program(path)) {
			*ret_path = take_ptr(path);
			return 0;
		}
	}
	return -ENOENT;
}

static int find_program(const struct run_options *options, char **ret_path)
{
	const char *name = options->dirdisk && *options->dirdisk
				   ? options->dirdisk
				   : NULL;
	int r = name ? -ENOENT : find_beside(ret_path);

	if (r != -ENOENT)
		return r;
	/* PATH has it, or nobody. */
	*ret_path = strdup(name ? name : "dirdisk");
	return *ret_path ? 0 : -ENOMEM;
}

/* ---- its start ---- */

/* PROGRAM -f OPTION... -- SRC PLACE; the words belong to others. */
static char **make_line(const struct run_options *options, const char *program,
			const char *place)
{
	size_t n = 0;
	char **line;

	while (options->disk_options[n])
		n++;
	line = calloc(n + 6, sizeof(*line));
	if (!line)
		return NULL;
	line[0] = (char *)program;
	line[1] = (char *)"-f";
	memcpy(line + 2, options->disk_options, n * sizeof(*line));
	line[n + 2] = (char *)"--";
	line[n + 3] = (char *)options->src;
	line[n + 4] = (char *)place;
	return line;
}

int disk_start(pid_t *ret_pid, const struct run_options *options,
	       const char *place, const sigset_t *mask, struct diag *diag)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_free_ char *mark = place_disk_mark(place);
	_cleanup_free_ char *program = NULL;
	_cleanup_free_ char **line = NULL;
	int r = find_program(options, &program);

	if (r == 0)
		line = make_line(options, program, place);
	if (!mark || !line)
		return r < 0 ? r : -ENOMEM;
	r = child_start(ret_pid, &(struct child_options){
					 .argv = line,
					 .mark = mark,
					 .mask = mask,
					 .death_signal = SIGTERM,
					 .in = null,
					 .out = null,
					 .err = -1,
					 .keep = -1,
					 .session = true,
				 });
	if (r < 0)
		return diag_set(
			diag, r, program,
			"cannot be run: %s; say with --dirdisk=PROGRAM where dirdisk is",
			strerror(-r));
	return 0;
}
