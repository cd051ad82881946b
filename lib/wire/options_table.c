/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/options_table.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define YEARS (3650 * DAY)

#define FIELD(name) .offset = offsetof(struct options, name)

static const char *const payload_formats[] = {
	[PAYLOAD_JSON] = "json", [PAYLOAD_TEXT] = "text", [PAYLOAD_TEXT + 1] = NULL
};
static const char *const unmatched_policies[] = {
	[UNMATCHED_TRACK] = "track", [UNMATCHED_IGNORE] = "ignore", [UNMATCHED_IGNORE + 1] = NULL
};
static const char *const auth_modes[] = {
	[AUTH_MODE_DEFER] = "defer", [AUTH_MODE_ALLOW] = "allow", [AUTH_MODE_ALLOW + 1] = NULL
};
static const char *const topic_guards[] = {
	[TOPIC_GUARD_AUTO] = "auto",
	[TOPIC_GUARD_DEFER] = "defer",
	[TOPIC_GUARD_ALLOW] = "allow",
	[TOPIC_GUARD_OFF] = "off",
	[TOPIC_GUARD_OFF + 1] = NULL,
};

/* Rows read better in their own shape. */
/* clang-format off */
const struct option options_table[] = {
	{ .section = "This broker",
		.key = "node", .kind = OPTION_NODE, FIELD(node),
		.fallback = "the host's name",
		.example = "broker1",
		.text = "The name of this broker. It stands in every record, and in Redis it "
			"owns what this broker says: it must be unique among all brokers that "
			"share a Redis, and stay the same over restarts." },
	{ .key = "config_file", .kind = OPTION_PATH, FIELD(config_file),
		.fallback = "none",
		.example = "/etc/mosquitto/presence.conf",
		.text = "A file with more options, lines of \"key value\" without plugin_opt_, "
			"that is read again on reload signal. The broker itself never reads "
			"plugin_opt lines again, so an option that is to change while it runs "
			"must stand there. A file with a mistake in it, or a change to an "
			"option that does not reload, is refused as a whole. What stands here "
			"in the broker's configuration wins over the file." },
	{ .section = "What is published",
		.key = "topic", .kind = OPTION_TOPIC, FIELD(topic),
		.fallback = "presence",
		.text = "Records are published, retained, on <topic>/<role>/<id>. May have "
			"several levels, in 128 bytes at most; no wildcards, no $, no empty level." },
	{ .key = "typing_topic", .kind = OPTION_TOPIC, FIELD(typing_topic),
		.fallback = "typing",
		.text = "Who is typing, or recording, is published, not retained, on "
			"<typing_topic>/<conversation>/<role>/<id>." },
	{ .key = "payload_format", .kind = OPTION_WORD, FIELD(payload_format),
		.fallback = "json", .words = payload_formats,
		.text = "What a record looks like: json, or text for the bare status (online, "
			"away, dnd, offline) and nothing else." },
	{ .key = "device_topics", .kind = OPTION_BOOL, FIELD(device_topics),
		.fallback = "false",
		.text = "Also publish each device of a subject, retained, on "
			"<topic>/<role>/<id>/devices/<device>: as it is at the moment, without "
			"grace." },
	{ .key = "offline_retain_for", .kind = OPTION_DURATION, FIELD(offline_retain_for_ms),
		.fallback = "7d", .min = SECOND / 10, .max = YEARS,
		.reloads = true,
		.text = "How long the record of somebody offline is kept. After that it is "
			"removed from topic and store, and a subject nobody has a record of "
			"reads as offline." },
	{ .section = "Who a client is",
		.key = "identity", .kind = OPTION_IDENTITY,
		.fallback = "clientid {role}:{id}:{device}\nclientid {role}:{id}",
		.repeatable = true, .reloads = true,
		.text = "How to tell from a client's id (clientid) or name (username) which "
			"role, id and device it is. May stand several times; the first that "
			"matches, with a role that is one of roles, wins. A placeholder takes "
			"as little as it can and never nothing, the last one takes the rest; "
			"without {device}, the device is the client id. A client id proves "
			"nothing: where it matters who is who, use usernames, with a pattern "
			"like username {role}.{id}, since password files refuse : in a name, "
			"and / + # in it break %u in access control lists. Giving one replaces "
			"both defaults." },
	{ .key = "roles", .kind = OPTION_LIST, FIELD(roles),
		.fallback = "agent admin user device client", .min = 1, .max = OPTION_ITEMS_MAX,
		.reloads = true,
		.text = "What {role} may be; * for anything. Anything else is no role: without "
			"this rule a client id that happens to be a MAC address, "
			"00:1b:63:84:45:e6, would be one of role 00." },
	{ .key = "unmatched", .kind = OPTION_WORD, FIELD(unmatched),
		.fallback = "track", .words = unmatched_policies,
		.reloads = true,
		.text = "What becomes of a client that no identity pattern matches: track, as "
			"role client with its client id for an id, or ignore." },
	{ .key = "unmatched_retain_for", .kind = OPTION_DURATION, FIELD(unmatched_retain_for_ms),
		.fallback = "10min", .min = SECOND / 10, .max = YEARS,
		.reloads = true,
		.text = "As offline_retain_for, for clients that no identity pattern matches: "
			"their ids are often random, and would pile up." },
	{ .key = "ignore_prefixes", .kind = OPTION_LIST, FIELD(ignore_prefixes),
		.fallback = "auto- mosq- mqttjs_ presencectl-", .max = OPTION_ITEMS_MAX,
		.reloads = true,
		.text = "Client ids that start with one of these are never tracked: those that "
			"the broker and client libraries make up, and our own tool." },
	{ .section = "When somebody is offline",
		.key = "grace", .kind = OPTION_DURATION, FIELD(grace_ms),
		.fallback = "3s", .max = HOUR,
		.reloads = true,
		.text = "How long a device whose connection broke still counts as there. Back "
			"in time, nobody notices. A client that says goodbye is down at once. A "
			"2.0 broker does not tell the plugin which it was, so there every end "
			"but a declared one waits this long." },
	{ .key = "grace_keepalive", .kind = OPTION_DURATION, FIELD(grace_keepalive_ms),
		.fallback = "0", .max = HOUR,
		.reloads = true,
		.text = "The same for a connection that fell silent, once the broker gives it "
			"up: by then one and a half keepalive intervals have gone by." },
	{ .key = "restart_grace", .kind = OPTION_DURATION, FIELD(restart_grace_ms),
		.fallback = "10s", .max = HOUR,
		.text = "How long after a start of the broker those who were online before it "
			"have to come back, before they are published as offline. Needs "
			"redis_url or state_file." },
	{ .key = "heartbeat_interval", .kind = OPTION_DURATION, FIELD(heartbeat_interval_ms),
		.fallback = "20s", .min = SECOND, .max = HOUR,
		.reloads = true,
		.text = "How often a client that sends heartbeats is expected to, unless it "
			"says otherwise." },
	{ .key = "heartbeat_misses", .kind = OPTION_COUNT32, FIELD(heartbeat_misses),
		.fallback = "3", .min = 1, .max = 100,
		.reloads = true,
		.text = "After so many intervals without a heartbeat the device is down, "
			"whatever its connection looks like." },
	{ .key = "away_after", .kind = OPTION_DURATION, FIELD(away_after_ms),
		.fallback = "0", .max = 7 * DAY,
		.reloads = true,
		.text = "A device that published nothing for so long is away; 0: never. "
			"Concerns only devices that declared nothing themselves." },
	{ .section = "Who may what",
		.key = "auth_mode", .kind = OPTION_WORD, FIELD(auth_mode),
		.fallback = "defer", .words = auth_modes,
		.reloads = true,
		.text = "What the plugin answers a 2.0 broker that asks it whether a client may "
			"connect: it must be asked, to see clients at all. defer leaves the "
			"answer to password_file and other plugins. A broker that has neither, "
			"with allow_anonymous true, would then refuse clients that send a "
			"username: there, and only there, use allow, which accepts everybody, "
			"whatever their password. No effect on 2.1." },
	{ .key = "topic_guard", .kind = OPTION_WORD, FIELD(topic_guard),
		.fallback = "auto", .words = topic_guards,
		.text = "What clients publish on presence topics is refused in any case; this "
			"refuses their wills there, too. auto: on where that changes nothing "
			"else, which is 2.1; off on 2.0, where the plugin cannot stay out of the "
			"rest: there, defer if the broker has other access control (acl_file, "
			"dynamic-security; with none of that everything would be refused), allow "
			"if it has none (otherwise everything would be allowed), or off. On 2.1 "
			"defer and allow mean auto. The plugin must come before others that "
			"control access." },
	{ .key = "admin_roles", .kind = OPTION_LIST, FIELD(admin_roles),
		.fallback = "admin", .max = OPTION_ITEMS_MAX,
		.reloads = true,
		.text = "Who may command others: clients whose username, proved by a password, "
			"has one of these roles by an identity username pattern. Nobody, if "
			"there is no such pattern, or with auth_mode allow. Where a broker asks "
			"nobody for a password, anybody can take such a name." },
	{ .key = "control_open", .kind = OPTION_BOOL, FIELD(control_open),
		.fallback = "false",
		.reloads = true,
		.text = "Believe the client id where a proved username is needed. For "
			"demonstrations only." },
	{ .key = "command_rate", .kind = OPTION_RATE,
		.fallback = "10/s burst 20", .min = 1, .max = 10000,
		.reloads = true,
		.text = "How many commands a client may send a second, and at once. More are "
			"not carried out, and one a second of them is told so. Each from 1 to "
			"10000, the second not below the first." },
	{ .section = "Limits",
		.key = "subjects_max", .kind = OPTION_COUNT32, FIELD(subjects_max),
		.fallback = "100000", .min = 1, .max = 10000000,
		.reloads = true,
		.text = "How many subjects are known at most. When it is reached, the one "
			"offline longest is forgotten; if all are online, the newcomer is not "
			"tracked." },
	{ .key = "devices_max", .kind = OPTION_COUNT32, FIELD(devices_max),
		.fallback = "32", .min = 1, .max = 1000,
		.reloads = true,
		.text = "How many devices a subject may have at a time; more are not tracked." },
	{ .key = "queue_max", .kind = OPTION_COUNT64, FIELD(queue_max),
		.fallback = "65536", .min = 256, .max = 16000000,
		.text = "How many changes wait for the store at most, while it is slow or away. "
			"When it is reached, older ones of the same device give way to newer "
			"ones." },
	{ .section = "What outlives a restart",
		.key = "state_file", .kind = OPTION_PATH, FIELD(state_file),
		.fallback = "none",
		.example = "/var/lib/mosquitto/presence.db", .active = true,
		.text = "Where one broker alone remembers who was online and what is published, "
			"so that a restart corrects it. The broker's user must be able to write "
			"the file and its folder. With redis_url it is not needed, and kept all "
			"the same. With neither, those who go offline while the broker is down "
			"stay published as they were." },
	{ .key = "redis_url", .kind = OPTION_REDIS,
		.fallback = "none",
		.example = "redis://127.0.0.1:6379/0",
		.text = "Keep presence in this Redis or Valkey: "
			"redis://[user:password@]host:port/db, or unix:///path for a socket; "
			"%40 stands for an @ in a password. The broker never waits for it and "
			"works on while it is away." },
	{ .key = "redis_password_file", .kind = OPTION_PATH, .secret = true, FIELD(redis_password_file),
		.fallback = "none",
		.example = "/etc/mosquitto/redis_password",
		.text = "A file whose first line is the password for Redis, so that it need not "
			"stand in this one. The user, if any, stands in redis_url: "
			"redis://user@host:port/db." },
	{ .key = "redis_prefix", .kind = OPTION_PREFIX, FIELD(redis_prefix),
		.fallback = "presence",
		.text = "What all keys in Redis start with." },
	{ .key = "redis_partitions", .kind = OPTION_COUNT32, FIELD(redis_partitions),
		.fallback = "1", .min = 1, .max = 1024,
		.text = "Into how many parts the keys are split, each in a hash slot of its own. "
			"A Redis Cluster cannot be used yet: leave it, unless one is planned. "
			"The same for all brokers that share a Redis." },
	{ .key = "redis_ttl", .kind = OPTION_DURATION, FIELD(redis_ttl_ms),
		.fallback = "180s", .min = 3 * SECOND, .max = DAY,
		.text = "How long the keys of somebody online live in Redis unless they are "
			"refreshed: how long they outlive a broker that died. At least three "
			"times node_lease." },
	{ .key = "redis_stream_maxlen", .kind = OPTION_COUNT64, FIELD(redis_stream_maxlen),
		.fallback = "100000", .min = 1000, .max = 1000000000,
		.text = "How many of the last changes the event streams in Redis keep, over all "
			"partitions." },
	{ .key = "node_lease", .kind = OPTION_DURATION, FIELD(node_lease_ms),
		.fallback = "10s", .min = SECOND, .max = 10 * MINUTE,
		.text = "A broker that has not renewed its lease in Redis for so long counts as "
			"dead. It is renewed every third of this." },
};
/* clang-format on */

const size_t options_table_count = sizeof(options_table) / sizeof(*options_table);
