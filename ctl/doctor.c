/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/clock.h"
#include "ctl/show.h"
#include "ctl/subcommand.h"

enum { SETTLE_MS = 300 };

static const char sys_prefix[] = "$SYS/broker/";

static const char *result_name(enum doctor_result result)
{
	switch (result) {
	case DOCTOR_OK:
		return "ok";
	case DOCTOR_WARN:
		return "warn";
	case DOCTOR_FAIL:
		return "fail";
	}
	return "";
}

static void say_json(
	enum doctor_result result, const char *subject, const char *fix, const char *text)
{
	struct json_object *line = json_object_new_object();
	(void)json_object_object_add(line, "check", json_object_new_string(subject));
	(void)json_object_object_add(line, "result", json_object_new_string(result_name(result)));
	(void)json_object_object_add(line, "text", json_object_new_string(text));
	if (fix)
		(void)json_object_object_add(line, "fix", json_object_new_string(fix));
	(void)puts(json_object_to_json_string_ext(
		line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(line);
}

void doctor_say(struct doctor *doctor, enum doctor_result result, const char *subject,
	const char *fix, const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	doctor->failed += result == DOCTOR_FAIL;
	doctor->warned += result == DOCTOR_WARN;
	if (doctor->settings->json) {
		say_json(result, subject, fix, text);
	} else {
		(void)printf("%-5s %-8s ", result_name(result), subject);
		show_text(text, 0, stdout);
		(void)putchar('\n');
		if (fix)
			(void)printf("      %-8s fix: %s\n", "", fix);
	}
	(void)fflush(stdout);
}

static void keep_value(
	struct doctor *doctor, const char *name, const struct mosquitto_message *message)
{
	struct doctor_value *value = NULL;
	for (size_t i = 0; i < doctor->value_count && !value; i++)
		if (!strcmp(doctor->value[i].name, name))
			value = &doctor->value[i];
	if (!value && doctor->value_count < DOCTOR_VALUES_MAX &&
		strlen(name) < sizeof(value->name)) {
		value = &doctor->value[doctor->value_count++];
		strcpy(value->name, name);
	}
	if (value)
		(void)snprintf(value->text, sizeof(value->text), "%.*s", message->payloadlen,
			(const char *)message->payload);
}

static void on_message(void *context, const struct mosquitto_message *message)
{
	struct doctor *doctor = context;
	if (!strncmp(message->topic, sys_prefix, strlen(sys_prefix)))
		keep_value(doctor, message->topic + strlen(sys_prefix), message);
	else if (doctor->probe && !strcmp(message->topic, doctor->probe))
		doctor->probe_arrived = doctor->probe_arrived || message->payloadlen > 0;
}

const char *doctor_value(const struct doctor *doctor, const char *name)
{
	for (size_t i = 0; i < doctor->value_count; i++)
		if (!strcmp(doctor->value[i].name, name))
			return doctor->value[i].text;
	return NULL;
}

int64_t doctor_number(const struct doctor *doctor, const char *name)
{
	const char *text = doctor_value(doctor, name);
	return text ? strtoll(text, NULL, 10) : 0;
}

/* Replies go to the request, all else to the doctor. */
struct doctor_door {
	struct doctor *doctor;
	void (*on_reply)(void *context, const struct mosquitto_message *message);
	void *reply_context;
};

static void on_any_message(void *context, const struct mosquitto_message *message)
{
	const struct doctor_door *door = context;
	on_message(door->doctor, message);
	door->on_reply(door->reply_context, message);
}

/* What is retained under $SYS comes right behind the answer to the subscription. */
static enum ctl_exit read_sys(struct doctor *doctor, char *problem)
{
	const struct settings *settings = doctor->settings;
	struct link *link = &doctor->request.link;
	enum ctl_exit end = link_subscribe(
		link, "$SYS/broker/version", settings->timeout_ms, problem);
	if (end == CTL_OK)
		end = link_subscribe(link, "$SYS/broker/presence/#", settings->timeout_ms, problem);
	int64_t deadline = clock_ms() + SETTLE_MS, left;
	while (end == CTL_OK && (left = deadline - clock_ms()) > 0)
		if (!link_wait(link, NULL, 0, left))
			break;
	return end;
}

static enum ctl_exit examine(struct doctor *doctor)
{
	char problem[LINK_PROBLEM_MAX] = "";
	const struct settings *settings = doctor->settings;
	enum ctl_exit end = request_open(&doctor->request, settings, problem);
	struct doctor_door door = { doctor, doctor->request.link.on_message,
		doctor->request.link.context };
	if (end != CTL_OK) {
		doctor_say(doctor, DOCTOR_FAIL, "broker",
			"nothing else can be looked at without a connection", "%s", problem);
		return end;
	}
	doctor->request.link.on_message = on_any_message;
	doctor->request.link.context = &door;
	end = read_sys(doctor, problem);
	if (end == CTL_UNREACHABLE)
		doctor_say(doctor, DOCTOR_FAIL, "broker", NULL, "%s", problem);
	else if (end != CTL_OK)
		doctor_say(
			doctor, DOCTOR_WARN, "broker", "let this user read $SYS/#", "%s", problem);
	if (end == CTL_UNREACHABLE)
		return end;
	doctor_check_broker(doctor);
	doctor_check_plugin(doctor);
	doctor_check_store(doctor);
	doctor_check_pace(doctor);
	doctor_probe_topics(doctor);
	doctor_probe_admin(doctor);
	return doctor->failed ? CTL_REFUSED : CTL_OK;
}

enum ctl_exit run_doctor(const struct subcommand_call *call)
{
	struct doctor *doctor = calloc(1, sizeof(*doctor));
	if (!doctor)
		return CTL_TROUBLE;
	doctor->settings = call->settings;
	enum ctl_exit end = examine(doctor);
	if (!call->settings->json)
		(void)printf("%zu failed, %zu warned\n", doctor->failed, doctor->warned);
	request_close(&doctor->request);
	free(doctor);
	return end;
}
