/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

void terminal_save(struct terminal *ret_terminal)
{
	struct terminal terminal = { 0 };

	terminal.is_one = tcgetattr(STDIN_FILENO, &terminal.settings) == 0;
	terminal.flags = fcntl(STDIN_FILENO, F_GETFL);
	*ret_terminal = terminal;
}

void terminal_restore(const struct terminal *terminal)
{
	sigset_t stop, old;

	if (terminal->flags >= 0 &&
	    fcntl(STDIN_FILENO, F_GETFL) != terminal->flags)
		fcntl(STDIN_FILENO, F_SETFL, terminal->flags);
	if (!terminal->is_one)
		return;
	/* From the background it would stop us. */
	sigemptyset(&stop);
	sigaddset(&stop, SIGTTOU);
	sigprocmask(SIG_BLOCK, &stop, &old);
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal->settings);
	sigprocmask(SIG_SETMASK, &old, NULL);
}
