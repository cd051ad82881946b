/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/link.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/clock.h"
#include "ctl/link_internal.h"

enum {
	MISC_MS = 1000, /* the library sends its pings when asked at least so often */
	SUBACK_FAILURE = 128,
	GOODBYE_WITH_WILL = 4, /* the reason code of MQTT 5's DISCONNECT */
	CODE_BAD_PROTOCOL = 1,
	CODE_BAD_PROTOCOL_5 = 132,
};

static void on_connect(struct mosquitto *mosquitto, void *context, int code, int flags,
	const mosquitto_property *properties)
{
	struct link *link = context;
	(void)mosquitto;
	(void)flags;
	(void)properties;
	link->answered = true;
	link->connack = code;
}

static void on_disconnect(
	struct mosquitto *mosquitto, void *context, int code, const mosquitto_property *properties)
{
	struct link *link = context;
	(void)mosquitto;
	(void)code;
	(void)properties;
	link->lost = true;
}

static void on_subscribe(struct mosquitto *mosquitto, void *context, int id, int count,
	const int *granted, const mosquitto_property *properties)
{
	struct link *link = context;
	(void)mosquitto;
	(void)properties;
	link->suback_id = id;
	link->suback_code = count > 0 ? granted[0] : SUBACK_FAILURE;
}

static void on_publish(struct mosquitto *mosquitto, void *context, int id, int code,
	const mosquitto_property *properties)
{
	struct link *link = context;
	(void)mosquitto;
	(void)properties;
	link->puback_id = id;
	link->puback_code = code;
}

static void on_message(struct mosquitto *mosquitto, void *context,
	const struct mosquitto_message *message, const mosquitto_property *properties)
{
	struct link *link = context;
	(void)mosquitto;
	(void)properties;
	if (link->on_message)
		link->on_message(link->context, message);
}

static void make_id(struct link *link)
{
	(void)snprintf(link->id, sizeof(link->id), "presencectl-%016" PRIx64, random_number());
}

static enum ctl_exit refused(
	const struct link *link, const struct settings *settings, char problem[LINK_PROBLEM_MAX])
{
	bool version5 = link->version5 || settings->version == 0;
	if (link->connack == CODE_BAD_PROTOCOL || link->connack == CODE_BAD_PROTOCOL_5)
		return link_refuse(
			problem, CTL_REFUSED, "the broker does not speak this MQTT; try -V");
	return link_refuse(problem, CTL_REFUSED, "the broker refused: %s; check -u and -P",
		version5 ? mosquitto_reason_string(link->connack)
			 : mosquitto_connack_string(link->connack));
}

static enum ctl_exit wait_answer(
	struct link *link, const struct settings *settings, char problem[LINK_PROBLEM_MAX])
{
	int64_t deadline = clock_ms() + settings->timeout_ms, left;
	bool alive = true;
	char place[256];
	link_place(settings, place, sizeof(place));
	while (alive && !link->answered && (left = deadline - clock_ms()) > 0)
		alive = link_wait(link, NULL, 0, left);
	if (link->answered)
		return link->connack ? refused(link, settings, problem) : CTL_OK;
	if (!alive && link_is_tls(settings))
		return link_refuse_tls(place, link->error, problem);
	if (!alive)
		return link_refuse(problem, CTL_UNREACHABLE,
			"%s closed the connection without a word; is it an MQTT port, and one "
			"that needs TLS (--cafile)?",
			place);
	return link_refuse(problem, CTL_UNREACHABLE,
		"%s: connected, but no answer in %" PRId64 " ms; is it an MQTT broker?", place,
		settings->timeout_ms);
}

enum ctl_exit link_open(
	struct link *link, const struct settings *settings, char problem[LINK_PROBLEM_MAX])
{
	link->answered = link->lost = false;
	link->error = 0;
	link->suback_id = link->puback_id = 0;
	if (!settings->id && !link->id[0])
		make_id(link);
	/* Counted by the library; each open one is ended by link_close(). */
	if (mosquitto_lib_init())
		return link_refuse(problem, CTL_TROUBLE, "out of memory");
	link->mosquitto = mosquitto_new(link->id[0] ? link->id : settings->id, true, link);
	if (!link->mosquitto) {
		(void)mosquitto_lib_cleanup();
		return link_refuse(problem, errno == EINVAL ? CTL_USAGE : CTL_TROUBLE, "%s",
			errno == EINVAL ? "-i must be valid UTF-8" : "out of memory");
	}
	mosquitto_connect_v5_callback_set(link->mosquitto, on_connect);
	mosquitto_disconnect_v5_callback_set(link->mosquitto, on_disconnect);
	mosquitto_subscribe_v5_callback_set(link->mosquitto, on_subscribe);
	mosquitto_publish_v5_callback_set(link->mosquitto, on_publish);
	mosquitto_message_v5_callback_set(link->mosquitto, on_message);
	enum ctl_exit end = link_prepare(link, settings, problem);
	if (end == CTL_OK)
		end = link_connect(link, settings, problem);
	return end == CTL_OK ? wait_answer(link, settings, problem) : end;
}

static void close_with(struct link *link, int reason)
{
	if (!link->mosquitto)
		return;
	if (link->answered && !link->connack && !link->lost)
		(void)mosquitto_disconnect_v5(link->mosquitto, reason, NULL);
	mosquitto_destroy(link->mosquitto);
	link->mosquitto = NULL;
	(void)mosquitto_lib_cleanup();
}

void link_close(struct link *link)
{
	close_with(link, 0);
}

void link_close_with_will(struct link *link)
{
	close_with(link, GOODBYE_WITH_WILL);
}

bool link_wait(struct link *link, struct pollfd *others, nfds_t count, int64_t timeout_ms)
{
	enum { OTHERS_MAX = 4 };
	struct pollfd all[OTHERS_MAX + 1] = { { .fd = mosquitto_socket(link->mosquitto) } };
	int err = MOSQ_ERR_SUCCESS;
	if (all[0].fd < 0 || count > OTHERS_MAX)
		return false;
	if (count)
		memcpy(all + 1, others, count * sizeof(*others));
	all[0].events = mosquitto_want_write(link->mosquitto) ? POLLIN | POLLOUT : POLLIN;
	if (timeout_ms > MISC_MS)
		timeout_ms = MISC_MS;
	if (poll(all, count + 1, timeout_ms < 0 ? 0 : (int)timeout_ms) < 0)
		return errno == EINTR;
	if (count)
		memcpy(others, all + 1, count * sizeof(*others));
	if (all[0].revents & (POLLIN | POLLERR | POLLHUP))
		err = mosquitto_loop_read(link->mosquitto, 1);
	if (!err && all[0].revents & POLLOUT)
		err = mosquitto_loop_write(link->mosquitto, 1);
	if (!err)
		err = mosquitto_loop_misc(link->mosquitto);
	if (err) {
		link->lost = true;
		link->error = err;
	}
	return !link->lost;
}

/* Waits until *id is the one awaited. */
static enum ctl_exit wait_id(
	struct link *link, const int *id, int awaited, int64_t timeout_ms, char *problem)
{
	int64_t deadline = clock_ms() + timeout_ms, left;
	while (*id != awaited && (left = deadline - clock_ms()) > 0)
		if (!link_wait(link, NULL, 0, left))
			return link_refuse(
				problem, CTL_UNREACHABLE, "the broker closed the connection");
	if (*id != awaited)
		return link_refuse(problem, CTL_UNREACHABLE,
			"the broker did not answer in %" PRId64 " ms", timeout_ms);
	return CTL_OK;
}

enum ctl_exit link_subscribe(
	struct link *link, const char *filter, int64_t timeout_ms, char problem[LINK_PROBLEM_MAX])
{
	int id = 0;
	int err = mosquitto_subscribe_v5(link->mosquitto, &id, filter, 0, 0, NULL);
	if (err)
		return link_refuse(problem, err == MOSQ_ERR_INVAL ? CTL_USAGE : CTL_UNREACHABLE,
			"%s: %s", filter, mosquitto_strerror(err));
	enum ctl_exit end = wait_id(link, &link->suback_id, id, timeout_ms, problem);
	if (end == CTL_OK && link->suback_code >= SUBACK_FAILURE)
		return link_refuse(problem, CTL_REFUSED,
			"the broker does not let this user subscribe to %s; let its access control "
			"allow it to read there",
			filter);
	return end;
}

enum ctl_exit link_publish(struct link *link, const char *topic, const char *payload, bool retain,
	int64_t timeout_ms, int *code, char problem[LINK_PROBLEM_MAX])
{
	int id = 0;
	int err = mosquitto_publish_v5(
		link->mosquitto, &id, topic, (int)strlen(payload), payload, 1, retain, NULL);
	if (err)
		return link_refuse(
			problem, CTL_UNREACHABLE, "%s: %s", topic, mosquitto_strerror(err));
	enum ctl_exit end = wait_id(link, &link->puback_id, id, timeout_ms, problem);
	*code = end == CTL_OK ? link->puback_code : 0;
	return end;
}
