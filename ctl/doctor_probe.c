/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* What strangers can do: tried out, and removed again. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/clock.h"
#include "ctl/doctor.h"
#include "ctl/link_internal.h"

enum { REASONS_OF_FAILURE = 128, PROBE_MAX = 1024 };

static const char probe_payload[] = "{\"probe\":\"presencectl doctor\"}";

/* The settings of somebody who has shown no username. */
static struct settings stranger_of(const struct settings *settings)
{
	struct settings stranger = *settings;
	stranger.username = stranger.password = NULL;
	stranger.id = NULL;
	return stranger;
}

/* A round trip on our own connection, twice: by then the broker has dealt with what others had sent
 * before the first. */
static void settle(struct doctor *doctor, const char *topic)
{
	char problem[LINK_PROBLEM_MAX];
	for (int i = 0; i < 2; i++)
		(void)link_subscribe(
			&doctor->request.link, topic, doctor->settings->timeout_ms, problem);
	int64_t deadline = clock_ms() + 200, left;
	while (!doctor->probe_arrived && (left = deadline - clock_ms()) > 0)
		if (!link_wait(&doctor->request.link, NULL, 0, left))
			break;
}

/* Removes what a probe left behind; whoever could write it can clear it. */
static void clean_up(struct link *link, const struct settings *settings, const char *topic)
{
	char problem[LINK_PROBLEM_MAX];
	int code;
	(void)link_publish(link, topic, "", true, settings->timeout_ms, &code, problem);
}

static void tell(struct doctor *doctor, bool written, bool anonymous, bool will)
{
	const char *who = anonymous ? "anybody" : "this user";
	const char *what = will ? "with a last will" : "by publishing";
	if (!written) {
		doctor_say(doctor, DOCTOR_OK, will ? "wills" : "topics", NULL,
			"%s cannot write under %s/ %s", anonymous ? "a stranger" : who,
			doctor->settings->topic, what);
		return;
	}
	/* A user who shows a password may have been given more than others. */
	doctor_say(doctor, anonymous ? DOCTOR_FAIL : DOCTOR_WARN, will ? "wills" : "topics",
		will ? "plugin_opt_topic_guard defer where an acl_file or another plugin decides, "
		       "allow where none does; or an access control that refuses writing there"
		     : "is the plugin loaded, and with this topic (--topic)? Or let the access "
		       "control refuse writing there",
		"%s can write under %s/ %s", who, doctor->settings->topic, what);
}

static void probe_publish(struct doctor *doctor, const struct settings *settings, bool anonymous)
{
	char problem[LINK_PROBLEM_MAX], topic[PROBE_MAX];
	struct link link = { .version5 = true };
	int code = 0;
	enum ctl_exit end = link_open(&link, settings, problem);
	(void)snprintf(topic, sizeof(topic), "%.512s/client/%s-probe", settings->topic,
		link.id[0] ? link.id : settings->id);
	doctor->probe = topic;
	doctor->probe_arrived = false;
	(void)link_subscribe(&doctor->request.link, topic, settings->timeout_ms, problem);
	if (end == CTL_OK)
		end = link_publish(
			&link, topic, probe_payload, true, settings->timeout_ms, &code, problem);
	if (end == CTL_OK) {
		settle(doctor, topic);
		bool written = code < REASONS_OF_FAILURE || doctor->probe_arrived;
		if (written)
			clean_up(&link, settings, topic);
		tell(doctor, written, anonymous, false);
	} else {
		doctor_say(doctor, DOCTOR_WARN, "topics", "try again", "not tried: %s", problem);
	}
	doctor->probe = NULL;
	link_close(&link);
}

static void probe_will(struct doctor *doctor, const struct settings *settings, bool anonymous)
{
	char problem[LINK_PROBLEM_MAX], topic[PROBE_MAX];
	(void)snprintf(topic, sizeof(topic), "%.512s/client/presencectl-%016" PRIx64 "-will",
		settings->topic, random_number());
	const struct link_will will = { topic, probe_payload };
	struct link link = { .version5 = true, .will = &will };
	doctor->probe = topic;
	doctor->probe_arrived = false;
	if (link_subscribe(&doctor->request.link, topic, settings->timeout_ms, problem) == CTL_OK &&
		link_open(&link, settings, problem) == CTL_OK) {
		link_close_with_will(&link);
		settle(doctor, topic);
		tell(doctor, doctor->probe_arrived, anonymous, true);
	} else {
		doctor_say(doctor, DOCTOR_WARN, "wills",
			"let this user read there; the plugin publishes there", "not tried: %s",
			problem);
	}
	link_close(&link);
	/* Only another will can clear it where publishing is refused. */
	if (doctor->probe_arrived) {
		const struct link_will nothing = { topic, "" };
		struct link cleaner = { .version5 = true, .will = &nothing };
		if (link_open(&cleaner, settings, problem) == CTL_OK)
			link_close_with_will(&cleaner);
		link_close(&cleaner);
	}
	doctor->probe = NULL;
}

void doctor_probe_topics(struct doctor *doctor)
{
	char problem[LINK_PROBLEM_MAX];
	struct settings stranger = stranger_of(doctor->settings);
	struct link link = { .version5 = true };
	bool anonymous = link_open(&link, &stranger, problem) == CTL_OK;
	link_close(&link);
	if (!anonymous) {
		doctor_say(doctor, DOCTOR_OK, "login", NULL, "strangers are refused");
		stranger.username = doctor->settings->username;
		stranger.password = doctor->settings->password;
	}
	probe_publish(doctor, &stranger, anonymous);
	probe_will(doctor, &stranger, anonymous);
}

void doctor_probe_admin(struct doctor *doctor)
{
	char problem[LINK_PROBLEM_MAX], password[32];
	const char *admin = doctor->settings->admin;
	if (!admin)
		return;
	(void)snprintf(password, sizeof(password), "wrong-%016" PRIx64, random_number());
	struct settings stranger = stranger_of(doctor->settings);
	stranger.username = admin;
	stranger.password = password;
	struct link link = { .version5 = true };
	enum ctl_exit end = link_open(&link, &stranger, problem);
	if (end == CTL_OK)
		doctor_say(doctor, DOCTOR_FAIL, "admin",
			"a password_file or a plugin that asks for passwords, and "
			"plugin_opt_auth_mode defer",
			"%s comes in with any password, and may command all", admin);
	else if (end == CTL_REFUSED)
		doctor_say(doctor, DOCTOR_OK, "admin", NULL, "%s needs the right password", admin);
	else
		doctor_say(doctor, DOCTOR_WARN, "admin", "try again", "not tried: %s", problem);
	link_close(&link);
}
