/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* The commands that ask or tell the plugin one thing. */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/presence.h"
#include "ctl/print.h"
#include "ctl/request.h"
#include "ctl/subcommand.h"
#include "ctl/subject.h"

static enum ctl_exit complain(enum ctl_exit end, const char *problem)
{
	(void)fprintf(stderr, "presencectl: %s\n", problem);
	return end;
}

static bool add_text(struct json_object *fields, const char *key, const char *text)
{
	return !text || !json_object_object_add(fields, key, json_object_new_string(text));
}

static bool add_number(struct json_object *fields, const char *key, int64_t number)
{
	return !number || !json_object_object_add(fields, key, json_object_new_int64(number));
}

/* Durations are seconds, fractions allowed. */
static bool add_duration(struct json_object *fields, const char *key, int64_t ms)
{
	if (!ms)
		return true;
	struct json_object *value = ms % 1000 ? json_object_new_double((double)ms / 1000)
					      : json_object_new_int64(ms / 1000);
	return !json_object_object_add(fields, key, value);
}

typedef void printer(const struct settings *settings, struct json_object *data);

static enum ctl_exit ask(const struct settings *settings, const char *command,
	struct json_object *fields, printer *print)
{
	char problem[LINK_PROBLEM_MAX] = "";
	struct json_object *data = NULL;
	struct request request;
	enum ctl_exit end = request_open(&request, settings, problem);
	if (end == CTL_OK)
		end = request_send(&request, command, fields, settings->timeout_ms, &data, problem);
	else
		json_object_put(fields);
	request_close(&request);
	if (end != CTL_OK)
		(void)complain(end, problem);
	else if (settings->json)
		print_json(data);
	else if (print)
		print(settings, data);
	json_object_put(data);
	return end;
}

/* {"role":..,"id":..} of the first argument, or NULL. */
static struct json_object *fields_of_subject(const char *text)
{
	struct subject subject;
	if (!subject_read(text, &subject)) {
		(void)fprintf(
			stderr, "presencectl: %.64s: a subject is written as role/id\n", text);
		return NULL;
	}
	struct json_object *fields = json_object_new_object();
	if (add_text(fields, "role", subject.role) && add_text(fields, "id", subject.id))
		return fields;
	json_object_put(fields);
	return NULL;
}

enum ctl_exit run_list(const struct subcommand_call *call)
{
	const struct settings *settings = call->settings;
	/* It goes as it came, in the list before. */
	if (settings->after && !strchr(settings->after, '/'))
		return complain(CTL_USAGE, "--after needs a subject, written as role/id");
	struct json_object *fields = json_object_new_object();
	(void)add_text(fields, "role", settings->role);
	(void)add_text(fields, "status", settings->status);
	(void)add_text(fields, "after", settings->after);
	(void)add_number(fields, "count", settings->count);
	(void)add_number(fields, "offset", settings->offset);
	return ask(settings, "listPresence", fields, print_subjects);
}

enum ctl_exit run_get(const struct subcommand_call *call)
{
	struct json_object *fields = json_object_new_object(), *list = json_object_new_array();
	(void)json_object_object_add(fields, "subjects", list);
	for (size_t i = 0; i < call->count; i++) {
		struct subject subject;
		if (!subject_read(call->arguments[i], &subject)) {
			json_object_put(fields);
			(void)fprintf(stderr,
				"presencectl: %.64s: a subject is written as role/id\n",
				call->arguments[i]);
			return CTL_USAGE;
		}
		char name[PRESENCE_TOPIC_MAX];
		(void)subject_name(&subject, name);
		(void)json_object_array_add(list, json_object_new_string(name));
	}
	return ask(call->settings, "getPresence", fields, print_subjects);
}

enum ctl_exit run_override(const struct subcommand_call *call)
{
	enum presence_override override;
	if (presence_override_parse(call->arguments[1], &override))
		return complain(CTL_USAGE, "the status is one of online, away, dnd and invisible");
	struct json_object *fields = fields_of_subject(call->arguments[0]);
	if (!fields)
		return CTL_USAGE;
	(void)add_text(fields, "status", call->arguments[1]);
	(void)add_text(fields, "note", call->settings->note);
	(void)add_duration(fields, "ttl", call->settings->ttl_ms);
	return ask(call->settings, "setOverride", fields, print_done);
}

static enum ctl_exit about_subject(const struct subcommand_call *call, const char *command)
{
	struct json_object *fields = fields_of_subject(call->arguments[0]);
	return fields ? ask(call->settings, command, fields, print_done) : CTL_USAGE;
}

enum ctl_exit run_clear(const struct subcommand_call *call)
{
	return about_subject(call, "clearOverride");
}

enum ctl_exit run_forget(const struct subcommand_call *call)
{
	return about_subject(call, "forget");
}

enum ctl_exit run_kick(const struct subcommand_call *call)
{
	struct json_object *fields = json_object_new_object();
	(void)add_text(fields, "clientid", call->arguments[0]);
	return ask(call->settings, "kick", fields, print_done);
}

enum ctl_exit run_stats(const struct subcommand_call *call)
{
	return ask(call->settings, "getStats", json_object_new_object(), print_tree);
}

enum ctl_exit run_nodes(const struct subcommand_call *call)
{
	return ask(call->settings, "listNodes", json_object_new_object(), print_tree);
}

/* From here on the signals that end us are read from the fd; -1: they cannot be. */
static int take_signals(void)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Keeps the connection until a signal to end, or its loss. */
static enum ctl_exit stay(struct request *request, int signals_fd)
{
	struct pollfd signals = { .fd = signals_fd, .events = POLLIN };
	bool alive = true;
	while (alive && !signals.revents)
		alive = link_wait(&request->link, &signals, 1, INT64_MAX);
	return alive ? CTL_OK
		     : complain(CTL_UNREACHABLE,
			       "the broker closed the connection; was it "
			       "kicked, or does another client have this id?");
}

/* Who reads that it holds may send a signal at once. */
static enum ctl_exit hold(struct request *request, const struct settings *settings,
	const char *status, struct json_object *data)
{
	int signals_fd = take_signals();
	if (signals_fd < 0)
		return complain(CTL_TROUBLE, "signals cannot be waited for");
	if (settings->json)
		print_json(data);
	else
		(void)printf("%s, until Ctrl-C\n", status);
	(void)fflush(stdout);
	enum ctl_exit end = stay(request, signals_fd);
	(void)close(signals_fd);
	return end;
}

enum ctl_exit run_set(const struct subcommand_call *call)
{
	const struct settings *settings = call->settings;
	char problem[LINK_PROBLEM_MAX] = "";
	struct json_object *data = NULL;
	struct request request;
	enum presence_status status;
	if (presence_status_parse(call->arguments[0], &status))
		return complain(CTL_USAGE, "the status is one of online, away, dnd and offline");
	if (!settings->id)
		return complain(CTL_USAGE, "set needs -i: which device is it?");
	struct json_object *fields = json_object_new_object();
	(void)add_text(fields, "status", call->arguments[0]);
	(void)add_text(fields, "note", settings->note);
	enum ctl_exit end = request_open(&request, settings, problem);
	if (end == CTL_OK)
		end = request_send(
			&request, "setStatus", fields, settings->timeout_ms, &data, problem);
	else
		json_object_put(fields);
	if (end != CTL_OK) {
		(void)complain(end, problem);
	} else {
		end = hold(&request, settings, call->arguments[0], data);
		/* Mosquitto 2.0 cannot tell a goodbye from a loss: this can. */
		json_object_put(data);
		data = NULL;
		if (end == CTL_OK)
			(void)request_send(&request, "leave", json_object_new_object(),
				settings->timeout_ms, &data, problem);
	}
	json_object_put(data);
	request_close(&request);
	return end;
}
