/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* Listeners, limits, and the order of plugins. */

#include <stdlib.h>
#include <string.h>

#include "ctl/check.h"

enum { QUEUED = 1000 }; /* max_queued_messages, unless it is set */

/* Listeners as the broker makes them: the default one exists when it is asked for, or alone. */
static size_t first_listener(const struct check *check)
{
	return check->listener[0].line || check->listener_count == 1 ? 0 : 1;
}

static void check_websockets(struct check *check)
{
	const struct check_listener *only = NULL;
	for (size_t i = first_listener(check); i < check->listener_count; i++) {
		if (!check->listener[i].websockets)
			return;
		only = &check->listener[i];
	}
	check_fix(check_note(check, CHECK_ERROR, CHECK_2_0_11, only ? only->line : NULL,
			  "there are WebSocket listeners only: the broker does not start"),
		"add a plain one as well, for example listener 1883 127.0.0.1");
}

static bool stands_under(const struct check *check, size_t listener)
{
	for (size_t i = 0; i < check->plugin_count; i++)
		if (check->plugin[i].ours &&
			(check->plugin[i].listener == listener ||
				!strcmp(check->plugin[i].line->key, "global_plugin")))
			return true;
	return false;
}

static void check_per_listener(struct check *check)
{
	const struct conf_line *line = conf_find(&check->conf, "per_listener_settings");
	if (!check->per_listener)
		return;
	check_fix(check_note(check, CHECK_ERROR, CHECK_2_0_11, line,
			  "per_listener_settings true keeps the plugin from being called between "
			  "events: it does nothing"),
		"per_listener_settings false");
	for (size_t i = first_listener(check); i < check->listener_count; i++)
		if (!stands_under(check, i))
			check_fix(check_note(check, CHECK_WARNING, CHECK_ALL & ~CHECK_2_0_11,
					  check->listener[i].line ? check->listener[i].line : line,
					  "with per_listener_settings true the plugin does not see "
					  "the "
					  "clients of this listener"),
				"repeat the plugin line and the same options under it, or "
				"per_listener_settings false");
}

static void check_delays(struct check *check)
{
	const struct conf_line *line = conf_find(&check->conf, "set_tcp_nodelay");
	const struct conf_line *keepalive = conf_find(&check->conf, "max_keepalive");
	if (!conf_is_true(line))
		check_fix(check_note(check, CHECK_WARNING, CHECK_ALL, line,
				  "set_tcp_nodelay is not true: a change can take 6 ms and more to "
				  "arrive instead of 0.1 ms"),
			"set_tcp_nodelay true");
	if (conf_number(keepalive, 0))
		check_fix(
			check_note(check, CHECK_WARNING, CHECK_2_0_21, keepalive,
				"max_keepalive throws out some clients as soon as they connect, a "
				"bug of that version: presence flaps"),
			"remove it, or use another version");
}

static void check_queues(struct check *check)
{
	const struct conf_line *upgrade = conf_find(&check->conf, "upgrade_outgoing_qos");
	const struct conf_line *queued = conf_find(&check->conf, "max_queued_messages");
	const struct conf_line *offline = conf_find(&check->conf, "queue_qos0_messages");
	long long most = conf_number(queued, QUEUED);
	char number[24];
	(void)snprintf(number, sizeof(number), "%lld", most);
	if (conf_is_true(upgrade) && most)
		check_fix(check_note(check, CHECK_WARNING, CHECK_ALL, upgrade,
				  "upgrade_outgoing_qos sends records with the QoS of the "
				  "subscription: "
				  "at QoS 1 and 2 a subscriber silently gets no more than about %s "
				  "of "
				  "the retained ones (max_queued_messages)",
				  number),
			"let watchers subscribe with QoS 0, or remove upgrade_outgoing_qos");
	if (conf_is_true(offline))
		check_fix(
			check_note(check, CHECK_WARNING, CHECK_ALL, offline,
				"queue_qos0_messages keeps every change for watchers that are "
				"away: "
				"up to %s old records each, which the retained ones have overtaken",
				most ? number : "without limit"),
			"queue_qos0_messages false, or let watchers connect with a clean session");
}

/* On 2.0, and there only: what waits to be written to a WebSocket counts, too, and whoever
 * published something that is refused is thrown out as soon as as much waits as may: with 0 always.
 */
static void check_snapshot(struct check *check)
{
	enum { ENOUGH = 200000 };
	const struct conf_line *queued = conf_find(&check->conf, "max_queued_messages");
	long long most = conf_number(queued, QUEUED);
	const struct conf_line *websockets = NULL;
	for (size_t i = first_listener(check); i < check->listener_count && !websockets; i++)
		if (check->listener[i].websockets)
			websockets = check->listener[i].line;
	long long subjects = check->options ? check->options->subjects_max : 0;
	if (!most)
		check_fix(check_note(check, CHECK_WARNING, CHECK_2_0, queued,
				  "with max_queued_messages 0 a client is disconnected when "
				  "something it publishes is refused"),
			"max_queued_messages %d", ENOUGH);
	else if (websockets && most <= subjects)
		check_fix(check_note(check, CHECK_WARNING, CHECK_2_0, queued ? queued : websockets,
				  "a watcher over WebSocket gets no more than %lld of the records "
				  "when it subscribes (max_queued_messages), and up to %lld are "
				  "possible (subjects_max)",
				  most, subjects),
			"max_queued_messages %lld; not 0, with which a client is disconnected when "
			"something it publishes is refused",
			subjects < ENOUGH ? ENOUGH : 2 * subjects);
}

void check_listeners(struct check *check)
{
	check_websockets(check);
	check_per_listener(check);
	check_delays(check);
	check_queues(check);
	check_snapshot(check);
}

/* Plugins that have no say in who may connect. */
static bool is_harmless(const char *path)
{
	static const char *const names[] = { "mosquitto_persist_sqlite.so",
		"mosquitto_sparkplug_aware.so", "mosquitto_presence.so" };
	const char *base = strrchr(path, '/');
	base = base ? base + 1 : path;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(base, names[i]))
			return true;
	return false;
}

static bool same_options(
	const struct check *check, const struct check_plugin *a, const struct check_plugin *b)
{
	if (a->option_count != b->option_count)
		return false;
	for (size_t i = 0; i < a->option_count; i++) {
		const struct option_pair *left = &check->option[a->first_option + i].pair;
		const struct option_pair *right = &check->option[b->first_option + i].pair;
		if (strcmp(left->key, right->key) || strcmp(left->value, right->value))
			return false;
	}
	return true;
}

void check_order(struct check *check)
{
	for (size_t i = 0; i < check->plugin_count; i++) {
		const struct check_plugin *plugin = &check->plugin[i];
		if (plugin->ours && plugin != check->ours &&
			!same_options(check, plugin, check->ours))
			check_fix(check_note(check, CHECK_ERROR, CHECK_ALL, plugin->line,
					  "the plugin is loaded again with other options than in "
					  "%s:%zu: "
					  "the broker does not start",
					  check->ours->line->file, check->ours->line->line),
				"give both the same options, or remove one");
		if (plugin->ours && plugin != check->ours && !check->per_listener)
			check_fix(check_note(check, CHECK_WARNING, CHECK_ALL, plugin->line,
					  "the plugin is loaded twice, for nothing"),
				"remove one of the plugin lines");
		for (size_t before = 0; plugin->ours && before < i; before++) {
			const struct check_plugin *other = &check->plugin[before];
			if (is_harmless(other->path) ||
				(check->per_listener && other->listener != plugin->listener))
				continue;
			check_fix(check_note(check, CHECK_ERROR, CHECK_2_0, plugin->line,
					  "the plugin stands behind another one (%s:%zu): whoever "
					  "that "
					  "one lets in is not seen",
					  other->line->file, other->line->line),
				"move this plugin line and its options before it");
			break;
		}
	}
}
