/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* From one connection to the next. */
#include <mosquitto.h>

#include "client-sdk/c/internal.h"

static void tell_connection(
	struct presence_client *client, enum presence_client_error error, const char *words)
{
	struct notice *notice = notice_create(TELL_CONNECTION, (const char *[4]){ words });
	if (!notice) /* without the words, then */
		notice = notice_create(TELL_CONNECTION, (const char *[4]){ "" });
	if (!notice)
		return;
	notice->error = error;
	notice->retry_ms = client->retry_ms;
	notice_add(client, notice);
}

/* Full jitter: thousands that lost the same broker come back evenly, also the first time. */
static int64_t next_retry(struct presence_client *client)
{
	int64_t limit = client->retry_min_ms;
	for (unsigned i = 0; i < client->attempts && limit < client->retry_max_ms; i++)
		limit *= 2;
	if (limit > client->retry_max_ms)
		limit = client->retry_max_ms;
	client->attempts++;
	return random_below(limit + 1);
}

/* All that a new connection is told. What finds no memory is said again with the next tick. */
static void say_all(struct presence_client *client)
{
	int err = watch_subscribe_all(client);
	if (!err)
		err = typing_subscribe_all(client);
	if (!err)
		err = watch_send_fence(client);
	if (!err)
		err = say_everything(client);
	client->say_again = err != PRESENCE_CLIENT_OK;
}

void session_begin(struct presence_client *client)
{
	client->connected = true;
	client->ended = client->leaving = client->problem_told = false;
	client->plugin_awaited |= client->plugin_seen;
	client->plugin_seen = client->answered = false;
	client->connected_ms = now_ms();
	client->retained_ms = client->connected_ms;
	client->heard_ms = wall_ms();
	client->retry_ms = 0;
	client->declared.said = false;
	client->heartbeat_due_ms = 0;
	client->audit_due_ms = client->connected_ms + AUDIT_MS;
	out_clear(client);
	tell_connection(client, PRESENCE_CLIENT_OK, "");
	say_all(client);
}

void session_end(
	struct presence_client *client, enum presence_client_error error, const char *words)
{
	if (client->ended && !client->connected)
		return;
	if (client->connected && now_ms() - client->connected_ms >= STABLE_MS)
		client->attempts = 0;
	if (client->connected)
		watch_lost(client);
	client->connected = false;
	client->ended = true;
	out_clear(client);
	answers_give_up(client, PRESENCE_CLIENT_ELOST);
	client->fence_wanted = client->fence_pending = false;
	typing_lost(client);
	client->retry_ms = client->leaving ? 0 : next_retry(client);
	if (!client->leaving)
		tell_connection(client, error, words);
}

int session_leave(struct presence_client *client)
{
	if (!client->connected)
		return PRESENCE_CLIENT_ENOTCONN;
	client->leaving = true;
	int err = client->role
		? command_send(client, command_create("leave"), FOR_ITSELF, NULL, NULL)
		: PRESENCE_CLIENT_OK;
	/* Where no plugin listens, this is the goodbye. */
	if (!err && client->with_birth && !client->plugin_seen)
		err = out_publish(client, client->own_topic, "offline", true);
	return err;
}

static void tick_connected(struct presence_client *client, int64_t now)
{
	int err = PRESENCE_CLIENT_OK;
	if (client->leaving)
		return;
	if (client->say_again)
		say_all(client);
	else
		err = say_everything(client);
	for (struct role *role = client->first_role; role && !err; role = role->next)
		if (role->recheck_ms <= now && widest(client, role, NULL))
			err = watch_recheck(client, role);
	if (!err && client->audit_due_ms <= now) {
		client->audit_due_ms = now + AUDIT_MS;
		err = watch_audit(client, NULL);
	}
	if (!err && client->fence_wanted && !client->fence_pending)
		err = watch_send_fence(client);
	typing_expire(client, now);
	(void)err; /* memory is short: all of it is still due with the next tick */
}

int64_t session_tick(struct presence_client *client)
{
	int64_t now = now_ms(), next = now + TICK_MAX_MS;
	answers_expire(client, now);
	if (client->connected)
		tick_connected(client, now);
	if (client->connected && client->heartbeat_due_ms > now && client->heartbeat_due_ms < next)
		next = client->heartbeat_due_ms;
	if (answers_next_ms(client) < next)
		next = answers_next_ms(client);
	return next > now ? next - now : 1;
}

void presence_client_on_connect(struct presence_client *client, int code)
{
	enum { LAST_OF_MQTT_3 = 5 };
	client_enter(client);
	/* The end of the last one was not handed on. */
	if (client->connected)
		session_end(client, PRESENCE_CLIENT_ELOST, "");
	if (!code) {
		session_begin(client);
	} else {
		client->ended = false;
		session_end(client, PRESENCE_CLIENT_EREFUSED,
			code <= LAST_OF_MQTT_3 ? mosquitto_connack_string(code)
					       : mosquitto_reason_string(code));
	}
	client_leave(client, true);
}

void presence_client_on_disconnect(struct presence_client *client, int code)
{
	client_enter(client);
	if (client->connected)
		session_end(client, PRESENCE_CLIENT_ELOST,
			code ? mosquitto_strerror(code) : "the program disconnected");
	client_leave(client, true);
}

int64_t presence_client_tick(struct presence_client *client)
{
	client_enter(client);
	int64_t wait_ms = session_tick(client);
	client_leave(client, true);
	return wait_ms;
}

int presence_client_leave(struct presence_client *client)
{
	if (!client)
		return PRESENCE_CLIENT_EINVAL;
	client_enter(client);
	int err = session_leave(client);
	client_leave(client, false);
	return err;
}

int64_t presence_client_retry_ms(struct presence_client *client)
{
	client_enter(client);
	int64_t retry_ms = client->retry_ms;
	client_leave(client, false);
	return retry_ms;
}
