/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "ctl/clock.h"
#include "ctl/link_internal.h"
#include "ctl/subject.h"

enum { FRAME_MS = 100, SECOND_MS = 1000, AGAIN_FIRST_MS = 500, AGAIN_MOST_MS = 10000 };
enum { FD_SIGNALS, FD_OUTPUT, FD_KEYS, FDS };

static void on_message(void *context, const struct mosquitto_message *message)
{
	watch_take(context, message);
}

static enum ctl_exit connect_and_subscribe(
	struct watch *watch, const struct subcommand_call *call, char *problem)
{
	const struct settings *settings = call->settings;
	enum ctl_exit end = link_open(&watch->link, settings, problem);
	for (size_t i = 0; end == CTL_OK && i < (call->count ? call->count : 1); i++) {
		char filter[PRESENCE_TOPIC_MAX];
		if (!subject_filter(
			    settings->topic, call->count ? call->arguments[i] : NULL, filter))
			return link_refuse(problem, CTL_USAGE,
				"%.64s is no pattern; write role/id, role, or + in place of one",
				call->arguments[i]);
		end = link_subscribe(&watch->link, filter, settings->timeout_ms, problem);
	}
	return end;
}

/* What signals and keys ask for. False: the end. */
static bool obey(struct watch *watch, struct pollfd fds[FDS])
{
	if (fds[FD_OUTPUT].revents & (POLLERR | POLLHUP | POLLNVAL))
		watch->failed = true;
	if (fds[FD_SIGNALS].revents) {
		switch (terminal_signal(fds[FD_SIGNALS].fd)) {
		case SIGNAL_END:
			return false;
		case SIGNAL_STOP:
			terminal_stop(&watch->terminal);
			watch->dirty = true;
			break;
		case SIGNAL_RESIZE:
			watch->dirty = true;
			break;
		case SIGNAL_NONE:
			break;
		}
	}
	if (fds[FD_KEYS].revents) {
		enum key key;
		while ((key = terminal_key(&watch->terminal)) != KEY_NONE) {
			if (key == KEY_QUIT)
				return false;
			watch_scroll(watch, key);
		}
		/* A terminal that is gone reads as its end for ever. */
		if (fds[FD_KEYS].revents & (POLLHUP | POLLERR))
			return false;
	}
	return true;
}

static bool over(const struct watch *watch)
{
	return watch->failed || watch->lines_left == 0;
}

/* Until the connection is lost (true) or it is the end. */
static bool run(struct watch *watch, struct pollfd fds[FDS])
{
	int64_t drawn = 0;
	while (!over(watch)) {
		int64_t now = clock_ms();
		int64_t next = drawn + (watch->dirty ? FRAME_MS : SECOND_MS);
		if (watch->screen && now >= next) {
			watch_draw(watch);
			drawn = now;
			next = now + SECOND_MS;
		}
		if (!link_wait(&watch->link, fds, FDS, watch->screen ? next - now : SECOND_MS))
			return true;
		if (!obey(watch, fds))
			return false;
	}
	return false;
}

/* Waits before the next try. False: it is the end. */
static bool pause_for(struct watch *watch, struct pollfd fds[FDS], int64_t ms)
{
	int64_t deadline = clock_ms() + ms, left;
	while ((left = deadline - clock_ms()) > 0) {
		if (watch->screen)
			watch_draw(watch);
		if (poll(fds, FDS, (int)left) > 0 && !obey(watch, fds))
			return false;
		if (over(watch))
			return false;
	}
	return true;
}

static void free_node(struct table_node *node)
{
	free(node);
}

/* Connects again, as often as it takes. False: it is the end, with *end. */
static bool reconnect(struct watch *watch, const struct subcommand_call *call,
	struct pollfd fds[FDS], enum ctl_exit *end, char *problem)
{
	watch->trouble = "connection lost, connecting again";
	if (!watch->screen)
		(void)fprintf(stderr, "presencectl: %s\n", watch->trouble);
	for (int64_t wait = AGAIN_FIRST_MS;;
		wait = wait * 2 < AGAIN_MOST_MS ? wait * 2 : AGAIN_MOST_MS) {
		link_close(&watch->link);
		if (!pause_for(watch, fds, wait))
			return false;
		/* A reader starts afresh when it subscribes again. */
		board_clear(&watch->board);
		table_clear(&watch->in_json, free_node);
		*end = connect_and_subscribe(watch, call, problem);
		if (*end != CTL_UNREACHABLE)
			break;
	}
	watch->trouble = NULL;
	return *end == CTL_OK;
}

enum ctl_exit run_watch(const struct subcommand_call *call)
{
	const struct settings *settings = call->settings;
	char problem[LINK_PROBLEM_MAX] = "";
	struct watch watch = {
		.settings = settings,
		.link = { .on_message = on_message, .context = &watch },
		.screen = isatty(STDOUT_FILENO) && !settings->json && !settings->count,
		.layout = { .subject = 16, .reason = 10, .colours = !getenv("NO_COLOR") },
		.lines_left = settings->count ? settings->count : -1,
		.dirty = true,
	};
	if (table_init(&watch.in_json))
		return CTL_TROUBLE;
	/* Without random numbers, zeros: it only has to be hard to guess. */
	(void)!getrandom(watch.hash_key, sizeof(watch.hash_key), 0);
	link_place(settings, watch.place, sizeof(watch.place));
	enum ctl_exit end = connect_and_subscribe(&watch, call, problem);
	struct pollfd fds[FDS] = {
		[FD_SIGNALS] = { .fd = -1, .events = POLLIN },
		[FD_OUTPUT] = { .fd = watch.screen ? -1 : STDOUT_FILENO },
		[FD_KEYS] = { .fd = -1, .events = POLLIN },
	};
	if (end == CTL_OK) {
		fds[FD_SIGNALS].fd = terminal_signals(watch.screen);
		if (watch.screen)
			terminal_enter(&watch.terminal);
		if (watch.terminal.keys)
			fds[FD_KEYS].fd = STDIN_FILENO;
		while (run(&watch, fds) && reconnect(&watch, call, fds, &end, problem))
			;
		terminal_leave(&watch.terminal);
		if (fds[FD_SIGNALS].fd >= 0)
			(void)close(fds[FD_SIGNALS].fd);
	}
	if (end == CTL_UNREACHABLE && watch.trouble)
		end = CTL_OK; /* ended by a person who did not want to wait */
	if (end != CTL_OK && problem[0])
		(void)fprintf(stderr, "presencectl: %s\n", problem);
	board_clear(&watch.board);
	table_clear(&watch.in_json, free_node);
	table_finish(&watch.in_json);
	link_close(&watch.link);
	return end;
}
