/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "plugin/plugin.h"
#include "wire/record.h"
#include "wire/topic.h"

/* QoS 0: at QoS 1 the broker cuts what it sends a new subscriber of many retained messages at
 * max_queued_messages, silently. */
enum { QOS = 0, RETAIN = 1 };

static int64_t seconds_up(int64_t ms)
{
	return (ms + 999) / 1000;
}

/* MQTT 5 subscribers learn what the payload is, and the broker drops an offline record by itself
 * when it would be forgotten. Properties are a nicety: without memory for them we do without. */
static mosquitto_property *properties_of(
	const struct plugin *plugin, const struct presence_effect *effect)
{
	mosquitto_property *properties = NULL;
	if (plugin->options->payload_format == PAYLOAD_JSON)
		(void)mosquitto_property_add_string(
			&properties, MQTT_PROP_CONTENT_TYPE, "application/json");
	int64_t expiry_s = seconds_up(effect->retain_ms);
	if (effect->record.status == PRESENCE_OFFLINE && expiry_s > 0 && expiry_s <= UINT32_MAX)
		(void)mosquitto_property_add_int32(
			&properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, (uint32_t)expiry_s);
	return properties;
}

/* The broker takes the payload, which must be from its own allocator, and the properties. */
static int publish(
	const char *topic, const char *payload, size_t length, mosquitto_property *properties)
{
	void *copy = length ? mosquitto_malloc(length) : NULL;
	int err = length && !copy ? MOSQ_ERR_NOMEM : MOSQ_ERR_SUCCESS;
	if (copy)
		memcpy(copy, payload, length);
	if (!err)
		err = mosquitto_broker_publish(
			NULL, topic, (int)length, copy, QOS, RETAIN, properties);
	if (!err)
		return PRESENCE_OK;
	mosquitto_free(copy);
	mosquitto_property_free_all(&properties);
	return PRESENCE_ENOMEM;
}

static int topic_of(const struct plugin *plugin, const struct presence_record *record,
	char topic[PRESENCE_TOPIC_MAX])
{
	return topic_subject(
		plugin->options->topic, record->role, record->id, topic, PRESENCE_TOPIC_MAX);
}

int publish_record(struct plugin *plugin, const struct presence_effect *effect)
{
	char topic[PRESENCE_TOPIC_MAX], json[PRESENCE_RECORD_MAX];
	const char *payload = json;
	int length;

	if (topic_of(plugin, &effect->record, topic) < 0)
		return PRESENCE_EINVAL;
	if (plugin->options->payload_format == PAYLOAD_TEXT) {
		payload = presence_status_name(effect->record.status);
		length = (int)strlen(payload);
	} else {
		length = record_write(&effect->record, plugin->options->node, json, sizeof(json));
	}
	if (length < 0)
		return PRESENCE_EINVAL;
	int err = publish(topic, payload, (size_t)length, properties_of(plugin, effect));
	if (!err)
		digest_record(plugin, effect->record.role, topic, effect->previous_rev,
			effect->record.rev);
	return err;
}

int publish_cleared(struct plugin *plugin, const struct presence_record *record)
{
	char topic[PRESENCE_TOPIC_MAX];
	if (topic_of(plugin, record, topic) < 0)
		return PRESENCE_EINVAL;
	digest_record(plugin, record->role, topic, record->rev, 0);
	return publish(topic, NULL, 0, NULL);
}

void publish_value(const char *topic, const char *value)
{
	/* Out of memory the value stays as it was; it will change again. */
	(void)publish(topic, value, strlen(value), NULL);
}
