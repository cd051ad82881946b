/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/terminal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Its own screen, no cursor, no wrapping of long lines; and back. */
static const char enter[] = "\033[?1049h\033[?25l\033[?7l";
static const char leave[] = "\033[?7h\033[?25h\033[?1049l";

void terminal_enter(struct terminal *terminal)
{
	terminal->keys = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &terminal->before);
	if (terminal->keys) {
		struct termios raw = terminal->before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 0;
		raw.c_cc[VTIME] = 0;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
	}
	(void)fputs(enter, stdout);
	(void)fflush(stdout);
	terminal->shown = true;
}

void terminal_leave(struct terminal *terminal)
{
	if (!terminal->shown)
		return;
	(void)fputs(leave, stdout);
	(void)fflush(stdout);
	if (terminal->keys)
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal->before);
	terminal->shown = false;
}

void terminal_size(size_t *columns, size_t *lines)
{
	struct winsize size = { 0 };
	bool known = !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col && size.ws_row;
	*columns = known ? size.ws_col : 80;
	*lines = known ? size.ws_row : 24;
}

enum key terminal_key(struct terminal *terminal)
{
	static const struct {
		const char *bytes;
		enum key key;
	} keys[] = {
		{ "\033[A", KEY_UP },
		{ "\033[B", KEY_DOWN },
		{ "\033[5~", KEY_PAGE_UP },
		{ "\033[6~", KEY_PAGE_DOWN },
		{ "\033[H", KEY_HOME },
		{ "q", KEY_QUIT },
		{ "k", KEY_UP },
		{ "j", KEY_DOWN },
	};
	char bytes[8] = "";
	if (!terminal->keys || read(STDIN_FILENO, bytes, 1) != 1)
		return KEY_NONE;
	/* The rest of what one key sends comes with its first byte. */
	for (size_t i = 1; bytes[0] == '\033' && i < sizeof(bytes) - 1; i++) {
		if (read(STDIN_FILENO, bytes + i, 1) != 1)
			break;
		if (i > 1 && (bytes[i] == '~' || (bytes[i] >= 'A' && bytes[i] <= 'Z')))
			break;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (!strcmp(bytes, keys[i].bytes))
			return keys[i].key;
	return terminal_key(terminal);
}

int terminal_signals(bool screen)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	if (screen) {
		(void)sigaddset(&set, SIGQUIT);
		(void)sigaddset(&set, SIGWINCH);
		(void)sigaddset(&set, SIGTSTP);
	}
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

enum signal_meaning terminal_signal(int signals)
{
	struct signalfd_siginfo info;
	if (read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return SIGNAL_NONE;
	if (info.ssi_signo == SIGWINCH)
		return SIGNAL_RESIZE;
	return info.ssi_signo == SIGTSTP ? SIGNAL_STOP : SIGNAL_END;
}

void terminal_stop(struct terminal *terminal)
{
	terminal_leave(terminal);
	(void)raise(SIGSTOP);
	terminal_enter(terminal);
}
