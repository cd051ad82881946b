/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "plugin/plugin.h"
#include "plugin/properties.h"
#include "wire/record.h"
#include "wire/topic.h"

/* QoS 0: at QoS 1 the broker cuts what it sends a new subscriber of many retained messages at
 * max_queued_messages, silently. */
enum { TOLD_QOS = 0, REPLY_QOS_MAX = 1 };

static int64_t seconds_up(int64_t ms)
{
	return (ms + 999) / 1000;
}

/* MQTT 5 subscribers learn what the payload is. Properties are a nicety: without memory for them we
 * do without. */
static void say_json(mosquitto_property **properties)
{
	(void)mosquitto_property_add_string(properties, MQTT_PROP_CONTENT_TYPE, "application/json");
}

/* The broker drops what is offline by itself when it would be forgotten. */
static void let_expire(mosquitto_property **properties, int64_t after_ms)
{
	int64_t expiry_s = seconds_up(after_ms);
	if (expiry_s > 0 && expiry_s <= UINT32_MAX)
		(void)mosquitto_property_add_int32(
			properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, (uint32_t)expiry_s);
}

struct message {
	const char *client_id; /* NULL: to all */
	const char *topic;
	const char *payload;
	size_t length;
	int qos;
	bool retain;
	mosquitto_property *properties; /* taken */
};

/* The broker takes the payload, which must be from its own allocator, and the properties. */
static int publish(const struct message *message)
{
	mosquitto_property *properties = message->properties;
	void *copy = message->length ? mosquitto_malloc(message->length) : NULL;
	int err = message->length && !copy ? MOSQ_ERR_NOMEM : MOSQ_ERR_SUCCESS;
	if (copy)
		memcpy(copy, message->payload, message->length);
	if (!err)
		err = mosquitto_broker_publish(message->client_id, message->topic,
			(int)message->length, copy, message->qos, message->retain, properties);
	if (!err)
		return PRESENCE_OK;
	mosquitto_free(copy);
	mosquitto_property_free_all(&properties);
	return PRESENCE_ENOMEM;
}

int publish_told(const struct told *told)
{
	int64_t left_ms = told->until_ms ? told->until_ms - clock_now_ms() : INT64_MAX;
	mosquitto_property *properties = NULL;
	bool is_over = left_ms <= 0; /* while it was kept: the broker would have dropped it */
	if (told->is_json && !is_over)
		say_json(&properties);
	if (told->until_ms)
		let_expire(&properties, left_ms);
	return publish(&(struct message){ .topic = told->topic,
		.payload = told->payload,
		.length = is_over ? 0 : told->length,
		.qos = TOLD_QOS,
		.retain = true,
		.properties = properties });
}

static int tell(struct plugin *plugin, const struct told *told)
{
	unsaid_drop(plugin, told->topic);
	int err = publish_told(told);
	if (err && unsaid_keep(plugin, told))
		plugin->topics_unsaid = true;
	return err;
}

static int topic_of(const struct plugin *plugin, const struct presence_record *record,
	char topic[PRESENCE_TOPIC_MAX])
{
	return topic_subject(
		plugin->options->topic, record->role, record->id, topic, PRESENCE_TOPIC_MAX);
}

static bool is_json(const struct plugin *plugin)
{
	return plugin->options->payload_format == PAYLOAD_JSON;
}

/* json, of so many bytes, or the word alone. Only what is offline is forgotten after a while. */
static int tell_status(struct plugin *plugin, const char *topic,
	const struct presence_effect *effect, enum presence_status status, const char *json,
	int length)
{
	struct told told = { .topic = topic, .payload = json, .is_json = is_json(plugin) };
	if (!told.is_json) {
		told.payload = presence_status_name(status);
		length = (int)strlen(told.payload);
	}
	told.length = (size_t)length;
	if (status == PRESENCE_OFFLINE && effect->retain_ms > 0)
		told.until_ms = clock_now_ms() + effect->retain_ms;
	return tell(plugin, &told);
}

int publish_record(struct plugin *plugin, const struct presence_effect *effect)
{
	char topic[PRESENCE_TOPIC_MAX], json[PRESENCE_RECORD_MAX];
	const struct presence_record *record = &effect->record;
	int length = 0;
	if (is_json(plugin))
		length = record_write(record, plugin->options->node, json, sizeof(json));
	if (length < 0 || topic_of(plugin, record, topic) < 0)
		return PRESENCE_EINVAL;
	digest_record(plugin, record->role, topic, effect->previous_rev, record->rev);
	return tell_status(plugin, topic, effect, record->status, json, length);
}

int publish_cleared(struct plugin *plugin, const struct presence_record *record)
{
	char topic[PRESENCE_TOPIC_MAX];
	if (topic_of(plugin, record, topic) < 0)
		return PRESENCE_EINVAL;
	digest_record(plugin, record->role, topic, record->rev, 0);
	return tell(plugin, &(struct told){ .topic = topic });
}

int publish_value(const char *topic, const char *value)
{
	return publish_told(
		&(struct told){ .topic = topic, .payload = value, .length = strlen(value) });
}

int publish_device(struct plugin *plugin, const struct presence_effect *effect)
{
	char topic[PRESENCE_TOPIC_MAX], json[PRESENCE_RECORD_MAX];
	const struct presence_record *record = &effect->record;
	int length = is_json(plugin) ? device_write(effect, json, sizeof(json)) : 0;
	if (length < 0 ||
		topic_device(plugin->options->topic, record->role, record->id, effect->device,
			topic, sizeof(topic)) < 0)
		return PRESENCE_EINVAL;
	return tell_status(plugin, topic, effect, effect->rank, json, length);
}

int publish_activity(struct plugin *plugin, const struct presence_effect *effect)
{
	char topic[PRESENCE_TOPIC_MAX], json[PRESENCE_RECORD_MAX];
	mosquitto_property *properties = NULL;
	int length = activity_write(effect, json, sizeof(json));
	if (length < 0 ||
		topic_activity(plugin->options->typing_topic, effect->conversation,
			effect->record.role, effect->record.id, topic, sizeof(topic)) < 0)
		return PRESENCE_EINVAL;
	say_json(&properties);
	return publish(&(struct message){ .topic = topic,
		.payload = json,
		.length = (size_t)length,
		.qos = TOLD_QOS,
		.properties = properties });
}

/* A response topic is anybody's word: it must be a topic, and none on which others are believed. */
static bool may_reply_on(const struct options *options, const char *topic)
{
	if (!topic || !topic[0] || strpbrk(topic, "+#"))
		return false;
	return !topic_under(topic, options->topic) && !topic_under(topic, options->typing_topic) &&
		!topic_under(topic, "$SYS") && !topic_under(topic, "$CONTROL") &&
		!topic_under(topic, "$share");
}

int publish_reply(const struct plugin *plugin, const struct mosquitto_evt_control *event,
	const char *json, size_t length)
{
	uint16_t length_of_topic = 0, length_of_correlation = 0;
	mosquitto_property *properties = NULL;
	char *topic = property_copy(event->properties, MQTT_PROP_RESPONSE_TOPIC, &length_of_topic);
	char *correlation = property_copy(
		event->properties, MQTT_PROP_CORRELATION_DATA, &length_of_correlation);

	say_json(&properties);
	if (correlation)
		(void)mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA,
			correlation, length_of_correlation);
	int err = publish(&(struct message){
		.client_id = mosquitto_client_id(event->client),
		.topic = may_reply_on(plugin->options, topic) ? topic : CONTROL_TOPIC "/response",
		.payload = json,
		.length = length,
		.qos = event->qos < REPLY_QOS_MAX ? event->qos : REPLY_QOS_MAX,
		.properties = properties,
	});
	free(topic);
	free(correlation);
	return err;
}
