/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Mosquitto as the plugin meets it: which events come in which order is what test_broker_log.py
 * records of the real ones. */

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>

#include "no_properties.h"
#include "plugin/plugin.h"
#include "room.h"
#include "sim.h"

enum {
	CONNECTIONS_MAX = 64,
	HOOKS_MAX = 16,
	LOOP_MS = 100,
	MESSAGES_MAX = 4096,
	INBOX_MAX = 256,
	SCAN_MS = 6000, /* 2.0.11 looks for silent clients this often */
};

enum {
	REASON_NONE = -1,
	REASON_GOODBYE = 0,
	REASON_PROTOCOL = 3,
	REASON_LOST = 7,
	REASON_AUTH = 11,
	REASON_KEEPALIVE = 19,
	REASON_TAKEOVER = 142,
	REASON_KICKED = 152
};

struct mosquitto {
	bool is_used, is_connected, is_offline; /* offline: its session is kept */
	bool is_disused;                        /* free for others from the next turn */
	bool is_alive, is_persistent, has_will, is_websocket, has_published_own;
	int client; /* -1: nobody of ours */
	const char *id, *address;
	int64_t keepalive_ms, heard_ms;
	int number; /* in records: as they appear */
};

struct message {
	char *topic, *payload;
	size_t length;
	bool retain, is_private;
};

struct hook {
	int event;
	int (*call)(int event, void *data, void *self);
	void *self;
};

struct broker {
	int numbers;
	bool is_up, was_stalled, is_closing_late;
	int64_t next_ms, last_ms, scan_ms, ticks_from_ms;
	struct mosquitto connections[CONNECTIONS_MAX];
	struct hook hooks[HOOKS_MAX];
	size_t hook_count;
	struct message messages[MESSAGES_MAX];
	size_t message_count;
	const struct op *inbox[INBOX_MAX];
	size_t inbox_count;
	struct mosquitto_opt options[40];
	int option_count;
	char values[40][64];
	void *plugin;
	struct mosquitto *closing[CONNECTIONS_MAX]; /* websockets: closed a little later */
	size_t closing_count;
	char reply[64 * 1024]; /* to the last command */
};

static bool is_2_1(const struct world *world)
{
	return world->settings.version == V2_1;
}

/* ---- what the broker gives plugins ---- */

int mosquitto_callback_register(mosquitto_plugin_id_t *identifier, int event,
	MOSQ_FUNC_generic_callback call, const void *event_data, void *self)
{
	struct broker *broker = the_world->broker;
	(void)identifier;
	(void)event_data;
	if (!is_2_1(the_world) && event > MOSQ_EVT_DISCONNECT)
		return BROKER_NOT_SUPPORTED;
	assert(broker->hook_count < HOOKS_MAX);
	broker->hooks[broker->hook_count++] = (struct hook){ event, call, self };
	return MOSQ_ERR_SUCCESS;
}

int mosquitto_callback_unregister(mosquitto_plugin_id_t *identifier, int event,
	MOSQ_FUNC_generic_callback call, const void *event_data)
{
	struct broker *broker = the_world->broker;
	(void)identifier;
	(void)event_data;
	(void)call;
	for (size_t i = 0; i < broker->hook_count; i++)
		if (broker->hooks[i].event == event)
			broker->hooks[i] = broker->hooks[--broker->hook_count];
	return MOSQ_ERR_SUCCESS;
}

const char *mosquitto_client_address(const struct mosquitto *client)
{
	return client->address;
}

const char *mosquitto_client_id(const struct mosquitto *client)
{
	return client->id;
}

int mosquitto_client_protocol(const struct mosquitto *client)
{
	(void)client;
	return mp_mqtt;
}

const char *mosquitto_client_username(const struct mosquitto *client)
{
	(void)client;
	return NULL;
}

void *mosquitto_malloc(size_t size)
{
	return malloc(size);
}

void mosquitto_free(void *room)
{
	free(room);
}

void mosquitto_log_printf(int level, const char *format, ...)
{
	char line[1100];
	va_list arguments;
	if (!the_world->is_verbose)
		return;
	va_start(arguments, format);
	(void)vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	sim_say(the_world, "log %d: %s", level, line);
}

int mosquitto_broker_publish(const char *client_id, const char *topic, int length, void *payload,
	int qos, bool retain, mosquitto_property *properties)
{
	struct broker *broker = the_world->broker;
	(void)qos;
	(void)properties;
	if (client_id) {
		size_t size = (size_t)length < sizeof(broker->reply) - 1
			? (size_t)length
			: sizeof(broker->reply) - 1;
		memcpy(broker->reply, payload, size);
		broker->reply[size] = '\0';
	}
	bool is_sys = topic[0] == '$';
	if (client_id || is_sys || broker->message_count == MESSAGES_MAX) {
		if (broker->message_count == MESSAGES_MAX)
			sim_fail(the_world, "more than %d messages in one turn", MESSAGES_MAX);
		free(payload);
		return MOSQ_ERR_SUCCESS;
	}
	broker->messages[broker->message_count++] = (struct message){ .topic = text_of(topic),
		.payload = payload,
		.length = (size_t)length,
		.retain = retain };
	return MOSQ_ERR_SUCCESS;
}

/* ---- time and chance, for the plugin ---- */

int64_t clock_now_ms(void)
{
	return the_world->now_ms;
}

int64_t clock_wall_ms(void)
{
	return the_world->now_ms + the_world->wall_offset_ms;
}

int64_t clock_now_us(void)
{
	/* Who asks often has worked long. */
	the_world->us += the_world->settings.is_out_of_budget ? 20000 : 1;
	return the_world->now_ms * 1000 + the_world->us % 1000000;
}

void clock_nap(int ms)
{
	world_nap(the_world, ms);
}

/* The same each time: of the plugin's tables, and of the mailbox'. */
ssize_t getrandom(void *bytes, size_t size, unsigned flags)
{
	(void)flags;
	memset(bytes, 0x5a, size);
	return (ssize_t)size;
}

/* ---- events ---- */

/* As recorder.c writes them. */
static void record(
	struct world *world, const char *event, struct mosquitto *connection, const char *more)
{
	if (!connection->number)
		connection->number = ++world->broker->numbers;
	(void)printf("@ %s %s#%d%s%s\n", event, connection->id ? connection->id : "-",
		connection->number, *more ? " " : "", more);
}

static void record_event(struct world *world, int event, void *data)
{
	char reason[16];
	const struct mosquitto_evt_disconnect *end = data;
	if (event == MOSQ_EVT_BASIC_AUTH) {
		record(world, "auth", ((struct mosquitto_evt_basic_auth *)data)->client, "");
	} else if (event == EVENT_CONNECT) {
		record(world, "connect", ((struct event_connect *)data)->client, "");
	} else if (event == MOSQ_EVT_DISCONNECT || event == EVENT_CLIENT_OFFLINE) {
		(void)snprintf(reason, sizeof(reason), "%d", end->reason);
		record(world, event == MOSQ_EVT_DISCONNECT ? "end" : "offline", end->client,
			reason);
	} else if (event == MOSQ_EVT_ACL_CHECK) {
		const struct mosquitto_evt_acl_check *check = data;
		record(world, "write", check->client, check->topic);
	} else if (event == MOSQ_EVT_MESSAGE) {
		const struct mosquitto_evt_message *message = data;
		record(world, "message", message->client, message->topic);
	}
}

static bool is_hooked(const struct broker *broker, int event)
{
	for (size_t i = 0; i < broker->hook_count; i++)
		if (broker->hooks[i].event == event)
			return true;
	return false;
}

static int fire(struct world *world, int event, void *data)
{
	struct broker *broker = world->broker;
	if (world->is_recorded && is_hooked(broker, event))
		record_event(world, event, data);
	for (size_t i = 0; i < broker->hook_count; i++)
		if (broker->hooks[i].event == event)
			return broker->hooks[i].call(event, data, broker->hooks[i].self);
	return BROKER_PLUGIN_DEFER;
}

static void fire_end(struct world *world, struct mosquitto *connection, int reason, bool is_kept)
{
	struct mosquitto_evt_disconnect end = { .client = connection,
		.reason = is_2_1(world) ? reason : REASON_NONE };
	sim_say(world, "end of %s, reason %d", connection->id ? connection->id : "-", reason);
	truth_ended(world, connection->id ? connection->id : "");
	(void)fire(
		world, is_2_1(world) && is_kept ? EVENT_CLIENT_OFFLINE : MOSQ_EVT_DISCONNECT, &end);
}

/* What the broker itself, or another plugin, says where presence does not decide. */
static bool may_write(
	struct world *world, struct mosquitto *connection, const char *topic, const char *payload)
{
	struct mosquitto_evt_acl_check check = { .client = connection,
		.topic = topic,
		.payload = payload,
		.payloadlen = (uint32_t)strlen(payload),
		.access = MOSQ_ACL_WRITE };
	return fire(world, MOSQ_EVT_ACL_CHECK, &check) != BROKER_ACL_DENIED;
}

static const char *own_topic(const struct mosquitto *connection)
{
	int subject = connection->client < 0 ? -1 : sim_clients[connection->client].subject_index;
	return subject < 0 ? "other/topic" : sim_subjects[subject].topic;
}

static void send_will(struct world *world, struct mosquitto *connection)
{
	const char *topic = own_topic(connection);
	if (!connection->has_will)
		return;
	connection->has_will = false;
	/* Of one who has never written there, the plugin cannot know. */
	bool is_known = world->settings.is_guarded || connection->has_published_own;
	if (may_write(world, connection, topic, "offline") && is_known)
		truth_retained(world, topic, "offline", 7, true);
}

/* ---- connections ---- */

static struct mosquitto *connection_add(struct world *world, int client, const char *id)
{
	/* The last one freed comes first, as malloc does it. */
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct mosquitto *connection = &world->broker->connections[i];
		if (connection->is_used)
			continue;
		*connection = (struct mosquitto){
			.is_used = true, .client = client, .id = id, .address = "127.0.0.1"
		};
		return connection;
	}
	sim_fail(world, "more than %d connections", CONNECTIONS_MAX);
	return &world->broker->connections[0];
}

static struct mosquitto *connection_of(struct world *world, const char *id)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct mosquitto *connection = &world->broker->connections[i];
		if (connection->is_used && !connection->is_disused && connection->id &&
			!strcmp(connection->id, id) &&
			(connection->is_connected || connection->is_offline))
			return connection;
	}
	return NULL;
}

static void connection_drop(struct mosquitto *connection)
{
	connection->is_connected = connection->is_offline = false;
	connection->is_disused = true;
}

/* How long whoever ends like this counts as there: by the documentation, not by the code. */
static int64_t grace_of(const struct world *world, int reason)
{
	const struct settings *settings = &world->settings;
	bool is_after_stall = world->truth.stalled_ms > 2500 &&
		world->truth.stall_ms == world->now_ms;
	if (reason == REASON_KICKED)
		return 0;
	if (is_2_1(world) && reason == REASON_GOODBYE)
		return 0;
	int64_t grace_ms = is_2_1(world) && reason == REASON_KEEPALIVE
		? settings->grace_keepalive_ms
		: settings->grace_ms;
	return is_after_stall && reason == REASON_KEEPALIVE && grace_ms < 3000 ? 3000 : grace_ms;
}

static void linger(struct world *world, int client, int reason)
{
	struct true_client *who = &world->truth.clients[client];
	bool was_there = who->has_been_seen && !who->is_silent && !who->has_beaten;
	who->linger_ms = was_there ? world->now_ms + grace_of(world, reason) : 0;
}

/* The end of a connection, but for takeovers: first the event, then the will. */
static void end(struct world *world, struct mosquitto *connection, int reason, bool with_will)
{
	bool is_kept = connection->is_persistent;
	if (connection->client >= 0 &&
		world->truth.clients[connection->client].connection == connection) {
		linger(world, connection->client, reason);
		truth_gone(world, connection->client);
	}
	fire_end(world, connection, reason, is_kept);
	if (with_will)
		send_will(world, connection);
	connection->has_will = false;
	connection->is_connected = false;
	if (is_kept)
		connection->is_offline = true;
	else
		connection_drop(connection);
}

static void take_over(struct world *world, struct mosquitto *old, bool is_clean)
{
	if (old->is_offline) {
		fire_end(world, old, REASON_TAKEOVER, false);
		connection_drop(old);
		return;
	}
	if (old->client >= 0) {
		linger(world, old->client, REASON_TAKEOVER);
		truth_gone(world, old->client);
	}
	if (is_clean || !old->is_persistent)
		send_will(world, old);
	old->has_will = false;
	old->is_connected = false;
	if (old->is_websocket && !is_2_1(world)) {
		assert(world->broker->closing_count < CONNECTIONS_MAX);
		world->broker->closing[world->broker->closing_count++] = old;
		return;
	}
	fire_end(world, old, REASON_TAKEOVER, false);
	connection_drop(old);
}

static bool is_asked(struct world *world, struct mosquitto *connection)
{
	struct mosquitto_evt_basic_auth auth = { .client = connection };
	(void)fire(world, MOSQ_EVT_BASIC_AUTH, &auth);
	return true;
}

enum { LOOK_PERSISTENT = 1, LOOK_WILL = 2, LOOK_WEBSOCKET = 4, LOOK_KEEPALIVE = 8 };

static void connect_client(struct world *world, int client, int64_t look)
{
	static const int64_t keepalives[] = { 60000, 2000, 5000, 10000 };
	const struct sim_client *who = &sim_clients[client];
	struct mosquitto *connection = connection_add(world, client, who->id);
	connection->is_persistent = look & LOOK_PERSISTENT;
	connection->is_websocket = look & LOOK_WEBSOCKET;
	connection->keepalive_ms = keepalives[look / LOOK_KEEPALIVE & 3];
	connection->heard_ms = world->now_ms;
	connection->is_alive = true;
	(void)is_asked(world, connection);
	struct mosquitto *old = connection_of(world, who->id);
	if (old)
		take_over(world, old, !connection->is_persistent);
	connection->is_connected = true;
	truth_connected(world, client, connection);
	struct event_connect event = { .client = connection };
	if (is_2_1(world))
		(void)fire(world, EVENT_CONNECT, &event);
	connection->has_will = look & LOOK_WILL;
}

static void publish(
	struct world *world, struct mosquitto *connection, const char *topic, const char *payload)
{
	struct mosquitto_evt_message message = { .client = connection,
		.topic = scratch_text(&world->redis, topic),
		.payload = scratch_text(&world->redis, payload),
		.payloadlen = (uint32_t)strlen(payload) };
	if (!may_write(world, connection, topic, payload))
		return;
	if (fire(world, MOSQ_EVT_MESSAGE, &message) == BROKER_ACL_DENIED)
		return;
	if (subject_of_topic(topic) >= 0)
		sim_fail(world, "a client's publish on %s went through", topic);
}

/* True: done, as the answer says. */
static bool command(struct world *world, struct mosquitto *connection, const char *format, ...)
{
	char inner[512], payload[600];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(inner, sizeof(inner), format, arguments);
	va_end(arguments);
	int length = snprintf(payload, sizeof(payload), "{\"commands\":[{%s}]}", inner);
	struct mosquitto_evt_control control = { .client = connection,
		.topic = CONTROL_TOPIC,
		.payload = payload,
		.payloadlen = (uint32_t)length };
	world->broker->reply[0] = '\0';
	if (!may_write(world, connection, CONTROL_TOPIC, payload))
		return false;
	(void)fire(world, MOSQ_EVT_CONTROL, &control);
	sim_say(world, "%s asks %s: %s", connection->id, inner, world->broker->reply);
	if (!world->broker->reply[0])
		sim_fail(world, "no answer to %s", inner);
	return !strstr(world->broker->reply, "\"error\"");
}

/* ---- what clients do ---- */

static void said(struct true_client *client, enum presence_status status, const char *note)
{
	client->is_declared = client->is_declared_known = true;
	client->declared = status;
	client->is_silent = status == PRESENCE_OFFLINE;
	(void)snprintf(client->note, sizeof(client->note), "%s", note);
}

static void declare(
	struct world *world, struct mosquitto *connection, const struct op *op, bool is_command)
{
	struct true_client *client = &world->truth.clients[op->client];
	enum presence_status status = (enum presence_status)(op->a & 3);
	char note[16] = "", part[64] = "", payload[96];
	if (op->b)
		(void)snprintf(note, sizeof(note), "n%d", (int)op->b);
	if (op->b)
		(void)snprintf(part, sizeof(part), ",\"note\":\"%s\"", note);
	const char *word = presence_status_name(status);
	if (is_command) {
		if (command(world, connection, "\"command\":\"setStatus\",\"status\":\"%s\"%s",
			    word, part))
			said(client, status, note);
		return;
	}
	(void)snprintf(payload, sizeof(payload), "{\"status\":\"%s\"%s}", word, part);
	connection->has_published_own = true;
	publish(world, connection, own_topic(connection), op->b ? payload : word);
	said(client, status, note);
	client->birth_ms = world->now_ms;
	client->has_been_seen = false; /* with the guard, it is held until the next tick */
}

static void override(struct world *world, struct mosquitto *connection, const struct op *op)
{
	int subject = (int)(op->client == ADMIN ? op->b % SUBJECTS
						: sim_clients[op->client].subject_index);
	enum presence_override what = (enum presence_override)(1 + (op->a & 3));
	int64_t ttl_ms = op->b % 4 == 0 ? op->b : 0;
	char whom[128] = "", ttl[64] = "", note[16] = "";
	if (subject < 0)
		return;
	struct true_subject *true_subject = &world->truth.subjects[subject];
	if (op->client == ADMIN)
		(void)snprintf(whom, sizeof(whom), ",\"role\":\"%s\",\"id\":\"%s\"",
			sim_subjects[subject].role, sim_subjects[subject].id);
	if (ttl_ms)
		(void)snprintf(ttl, sizeof(ttl), ",\"ttl\":%lld.%03lld", (long long)ttl_ms / 1000,
			(long long)ttl_ms % 1000);
	if (op->b % 3 == 0)
		(void)snprintf(note, sizeof(note), "o%d", (int)(op->b % 100));
	bool is_clear = op->kind == OP_CLEAR;
	bool is_done = is_clear
		? command(world, connection, "\"command\":\"clearOverride\"%s", whom)
		: command(world, connection,
			  "\"command\":\"setOverride\",\"status\":\"%s\",\"note\":\"%s\"%s%s",
			  presence_override_name(what), note, whom, ttl);
	if (!is_done)
		return;
	/* What is said before it is known what an earlier boot had been told. */
	true_subject->is_override_known = (!is_clear && !ttl_ms) || world->boots == 1 ||
		world->now_ms - world->truth.boot_ms > 30000;
	true_subject->override = is_clear ? PRESENCE_OVERRIDE_NONE : what;
	true_subject->override_until_ms = ttl_ms && !is_clear ? clock_wall_ms() + ttl_ms : 0;
	true_subject->override_ms = world->now_ms;
	(void)snprintf(true_subject->override_note, sizeof(true_subject->override_note), "%s",
		is_clear ? "" : note);
}

static void beat(struct world *world, struct mosquitto *connection, int client)
{
	struct true_client *who = &world->truth.clients[client];
	if (!command(world, connection, "\"command\":\"heartbeat\",\"interval\":%lld.%03lld",
		    (long long)who->beat_ms / 1000, (long long)who->beat_ms % 1000))
		return;
	if (who->is_declared && who->is_declared_known && who->declared == PRESENCE_OFFLINE)
		who->is_declared_known = false;
	who->has_beaten = true;
	who->is_silent = who->is_frozen = false;
	who->next_beat_ms = world->now_ms + who->beat_ms;
}

/* A frozen one does nothing any more. */
static void act(struct world *world, const struct op *op, struct mosquitto *connection)
{
	struct true_client *client = &world->truth.clients[op->client];
	if (client->is_frozen)
		return;
	switch (op->kind) {
	case OP_PUBLISH:
		publish(world, connection, "some/topic", "hello");
		break;
	case OP_FOREIGN:
		publish(world, connection, sim_subjects[op->a % SUBJECTS].topic, "nonsense");
		break;
	case OP_BIRTH:
		declare(world, connection, op, false);
		break;
	case OP_DECLARE:
		declare(world, connection, op, true);
		break;
	case OP_UNDECLARE:
		if (command(world, connection, "\"command\":\"clearStatus\"")) {
			client->is_declared_known = true;
			client->is_declared = client->is_silent = false;
			client->note[0] = '\0';
		}
		break;
	case OP_LEAVE:
		if (command(world, connection, "\"command\":\"leave\""))
			client->is_silent = true;
		break;
	case OP_OVERRIDE:
	case OP_CLEAR:
		override(world, connection, op);
		break;
	case OP_BEAT:
		client->beat_ms = op->a < 1000 ? 1000 : op->a;
		beat(world, connection, op->client);
		break;
	case OP_FREEZE:
		client->is_frozen = client->has_beaten;
		break;
	case OP_TYPE:
		(void)command(world, connection,
			"\"command\":\"typing\",\"conversation\":\"c%d\",\"active\":%s",
			(int)op->a & 1, op->b ? "true" : "false");
		break;
	case OP_KICK:
		(void)command(world, connection, "\"command\":\"kick\",\"clientid\":\"%s\"",
			sim_clients[op->a % CLIENTS].id);
		break;
	case OP_FORGET:
		(void)command(world, connection,
			"\"command\":\"forget\",\"role\":\"%s\",\"id\":\"%s\"",
			sim_subjects[op->a % SUBJECTS].role, sim_subjects[op->a % SUBJECTS].id);
		break;
	default:
		break;
	}
}

static void do_op(struct world *world, const struct op *op)
{
	struct true_client *client = &world->truth.clients[op->client];
	struct mosquitto *connection = client->connection, *other;
	switch (op->kind) {
	case OP_CONNECT:
		client->is_wanted = true;
		client->reconnect_ms = 0;
		connect_client(world, op->client, op->a);
		break;
	case OP_GOODBYE:
		client->is_wanted = false;
		client->is_declared_known = client->is_declared_known && !client->is_declared;
		if (connection && connection->is_alive)
			end(world, connection, REASON_GOODBYE, op->a == 1);
		break;
	case OP_DROP:
		client->is_wanted = false;
		if (connection)
			end(world, connection, REASON_LOST, true);
		break;
	case OP_VANISH:
		client->is_wanted = false;
		if (connection)
			connection->is_alive = false;
		client->is_frozen = client->is_frozen || client->has_beaten;
		break;
	case OP_SPOOF:
		other = connection_add(world, -1, sim_clients[op->client].id);
		(void)is_asked(world, other);
		if (world->settings.version == V2_0_11)
			other->id = NULL;
		fire_end(world, other, REASON_AUTH, false);
		connection_drop(other);
		break;
	case OP_REFUSED: /* max_keepalive: after the takeover step */
		other = connection_add(world, op->client, sim_clients[op->client].id);
		(void)is_asked(world, other);
		connection = connection_of(world, other->id);
		if (connection && world->settings.version != V2_0_11)
			take_over(world, connection, true);
		fire_end(world, other, REASON_PROTOCOL, false);
		connection_drop(other);
		break;
	default:
		if (connection && connection->is_alive)
			act(world, op, connection);
		break;
	}
}

int mosquitto_kick_client_by_clientid(const char *client_id, bool with_will)
{
	struct mosquitto *connection = connection_of(the_world, client_id);
	if (!connection || !connection->is_connected)
		return MOSQ_ERR_NOT_FOUND;
	end(the_world, connection, REASON_KICKED, with_will);
	return MOSQ_ERR_SUCCESS;
}

/* ---- the loop ---- */

static void deliver(struct world *world)
{
	struct broker *broker = world->broker;
	for (size_t i = 0; i < broker->message_count; i++) {
		struct message *message = &broker->messages[i];
		sim_trace(world, message->topic, strlen(message->topic));
		sim_trace(world, message->payload, message->length);
		sim_say(world, "%s %s: %.*s", message->retain ? "retained" : "message",
			message->topic, (int)message->length,
			message->payload ? message->payload : "");
		if (message->retain)
			truth_retained(
				world, message->topic, message->payload, message->length, false);
		else
			truth_typing(world, message->topic, message->payload, message->length);
		free(message->topic);
		free(message->payload);
	}
	broker->message_count = 0;
}

static void loop_tick(struct world *world)
{
	struct mosquitto_evt_tick event = { 0 };
	(void)fire(world, MOSQ_EVT_TICK, &event);
	world->truth.tick_ms = world->now_ms;
	for (int i = 0; i < CLIENTS; i++)
		world->truth.clients[i].has_been_seen = world->truth.clients[i].connection != NULL;
}

static bool is_overdue(const struct world *world, const struct mosquitto *connection)
{
	int64_t silent_ms = world->now_ms - connection->heard_ms;
	return connection->is_used && connection->is_connected &&
		silent_ms > connection->keepalive_ms * 3 / 2 + 1000;
}

static void expire(struct world *world)
{
	struct broker *broker = world->broker;
	if (world->settings.version == V2_0_11 && world->now_ms < broker->scan_ms)
		return;
	broker->scan_ms = world->now_ms + SCAN_MS;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (is_overdue(world, &broker->connections[i]))
			end(world, &broker->connections[i], REASON_KEEPALIVE, true);
}

static void hear_pings(struct world *world)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct mosquitto *connection = &world->broker->connections[i];
		if (connection->is_used && connection->is_connected && connection->is_alive)
			connection->heard_ms = world->now_ms -
				world->now_ms % connection->keepalive_ms;
	}
}

static void hear_clients(struct world *world)
{
	struct broker *broker = world->broker;
	for (size_t i = 0; i < broker->inbox_count && broker->is_up; i++)
		do_op(world, broker->inbox[i]);
	broker->inbox_count = 0;
	for (int i = 0; i < CLIENTS; i++) {
		struct true_client *client = &world->truth.clients[i];
		if (client->reconnect_ms && client->reconnect_ms <= world->now_ms &&
			!world->is_recorded) {
			client->reconnect_ms = 0;
			connect_client(world, i, client->connects);
		}
		if (client->connection && client->connection->is_alive && client->has_beaten &&
			!client->is_frozen && client->next_beat_ms <= world->now_ms)
			beat(world, client->connection, i);
	}
	while (broker->closing_count) {
		struct mosquitto *old = broker->closing[--broker->closing_count];
		fire_end(world, old, REASON_NONE, false);
		connection_drop(old);
	}
}

void broker_turn(struct world *world)
{
	struct broker *broker = world->broker;
	bool was_stalled = broker->was_stalled;
	broker->was_stalled = false;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (broker->connections[i].is_disused)
			broker->connections[i] = (struct mosquitto){ 0 };
	deliver(world);
	if (was_stalled && !is_2_1(world))
		loop_tick(world);
	if (is_2_1(world) && !was_stalled)
		loop_tick(world);
	if (!was_stalled)
		hear_pings(world);
	expire(world);
	if (is_2_1(world) && was_stalled)
		loop_tick(world);
	hear_clients(world);
	if (!is_2_1(world))
		loop_tick(world);
	broker->last_ms = world->now_ms;
	broker->next_ms = world->now_ms + (broker->message_count ? 1 : LOOP_MS);
	truth_turned(world);
}

int64_t broker_next_ms(const struct world *world)
{
	return world->broker->is_up ? world->broker->next_ms : INT64_MAX;
}

bool broker_is_up(const struct world *world)
{
	return world->broker->is_up;
}

void broker_queue(struct world *world, const struct op *op)
{
	struct broker *broker = world->broker;
	if (!broker->is_up) {
		world->truth.clients[op->client].is_wanted = op->kind == OP_CONNECT;
		return;
	}
	if (broker->inbox_count < INBOX_MAX)
		broker->inbox[broker->inbox_count++] = op;
	if (!broker->was_stalled && broker->next_ms > world->now_ms)
		broker->next_ms = world->now_ms;
}

void broker_stall(struct world *world, int64_t ms)
{
	world->broker->was_stalled = true;
	world->broker->next_ms = world->now_ms + ms;
	world->truth.stall_ms = world->now_ms + ms;
	world->truth.stalled_ms = ms;
}

bool broker_is_connected(const struct world *world, const struct mosquitto *connection)
{
	(void)world;
	return connection && connection->is_used && connection->is_connected;
}

/* ---- beginning and end ---- */

static void option(struct broker *broker, const char *key, const char *format, ...)
{
	va_list arguments;
	char *value = broker->values[broker->option_count];
	va_start(arguments, format);
	(void)vsnprintf(value, sizeof(broker->values[0]), format, arguments);
	va_end(arguments);
	broker->options[broker->option_count++] = (struct mosquitto_opt){
		.key = scratch_text(&the_world->redis, key), .value = value
	};
}

static void set_options(struct world *world)
{
	const struct settings *settings = &world->settings;
	struct broker *broker = world->broker;
	broker->option_count = 0;
	option(broker, "node", "b1");
	option(broker, "control_open", "true");
	option(broker, "command_rate", "10000/s burst 10000");
	option(broker, "grace", "%lldms", (long long)settings->grace_ms);
	option(broker, "grace_keepalive", "%lldms", (long long)settings->grace_keepalive_ms);
	option(broker, "restart_grace", "%lldms", (long long)settings->restart_grace_ms);
	option(broker, "away_after", "%lldms", (long long)settings->away_after_ms);
	option(broker, "heartbeat_misses", "2");
	option(broker, "device_topics", settings->device_topics ? "true" : "false");
	option(broker, "offline_retain_for", "%lldms", (long long)settings->retain_ms);
	option(broker, "unmatched_retain_for", "%lldms", (long long)settings->retain_ms);
	if (settings->is_guarded && settings->version != V2_1)
		option(broker, "topic_guard", settings->others_decide ? "defer" : "allow");
	if (settings->has_file)
		option(broker, "state_file", "/simulated/presence.db");
	if (!settings->has_redis)
		return;
	option(broker, "redis_url", "redis://simulated:6379/0");
	option(broker, "redis_partitions", "%u", settings->partitions);
	option(broker, "redis_ttl", "%lldms", (long long)settings->ttl_ms);
	option(broker, "node_lease", "%lldms", (long long)settings->lease_ms);
	option(broker, "queue_max", "256");
}

void broker_create(struct world *world)
{
	world->broker = room_of(sizeof(*world->broker));
	memset(world->broker, 0, sizeof(*world->broker));
}

void broker_destroy(struct world *world)
{
	if (world->broker->is_up)
		broker_crash(world);
	free(world->broker);
}

void broker_start(struct world *world)
{
	struct broker *broker = world->broker;
	broker->is_up = true;
	broker->was_stalled = false;
	broker->next_ms = broker->last_ms = world->now_ms;
	broker->scan_ms = world->now_ms + SCAN_MS;
	world->boots++;
	set_options(world);
	truth_started(world);
	if (mosquitto_plugin_init((mosquitto_plugin_id_t *)(void *)broker, &broker->plugin,
		    broker->options, broker->option_count)) {
		sim_fail(world, "the plugin does not start");
		broker->is_up = false;
	}
}

static void forget_messages(struct broker *broker)
{
	while (broker->message_count) {
		struct message *message = &broker->messages[--broker->message_count];
		free(message->topic);
		free(message->payload);
	}
}

/* After its end nobody is connected, and what was to be said is not. */
static void over(struct world *world)
{
	struct broker *broker = world->broker;
	(void)mosquitto_plugin_cleanup(broker->plugin, broker->options, broker->option_count);
	forget_messages(broker);
	broker->is_up = false;
	broker->hook_count = broker->inbox_count = broker->closing_count = 0;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct mosquitto *connection = &broker->connections[i];
		bool is_restored = connection->is_used && !connection->is_disused &&
			connection->is_persistent &&
			(connection->is_connected || connection->is_offline);
		if (is_restored)
			*connection = (struct mosquitto){ .is_used = true,
				.is_offline = true,
				.is_persistent = true,
				.id = connection->id,
				.client = -1 };
		else
			*connection = (struct mosquitto){ 0 };
	}
}

void broker_crash(struct world *world)
{
	if (!world->broker->is_up)
		return;
	truth_crashed(world);
	worker_kill(world);
	over(world);
}

/* SIGTERM: wills, and no events. */
void broker_stop(struct world *world)
{
	if (!world->broker->is_up)
		return;
	deliver(world);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (world->broker->connections[i].is_connected)
			send_will(world, &world->broker->connections[i]);
	truth_crashed(world);
	over(world);
}
