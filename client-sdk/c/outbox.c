/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <mosquitto.h>
#include <stdlib.h>
#include <string.h>

#include "client-sdk/c/internal.h"

static int out_add(struct presence_client *client, enum out_type type, const char *topic,
	const char *payload, bool retain)
{
	if (!client->connected)
		return PRESENCE_CLIENT_OK;
	if (client->outbox_count >= OUTBOX_MAX)
		return PRESENCE_CLIENT_EFULL;
	size_t topic_size = strlen(topic) + 1, length = strlen(payload);
	struct out *out = malloc(sizeof(*out) + topic_size + length + 1);
	if (!out)
		return PRESENCE_CLIENT_ENOMEM;
	*out = (struct out){ .type = type, .retain = retain, .length = length };
	memcpy(out->topic, topic, topic_size);
	out->payload = memcpy(out->topic + topic_size, payload, length + 1);
	*client->outbox_end = out;
	client->outbox_end = &out->next;
	client->outbox_count++;
	return PRESENCE_CLIENT_OK;
}

int out_publish(struct presence_client *client, const char *topic, const char *payload, bool retain)
{
	return out_add(client, OUT_PUBLISH, topic, payload, retain);
}

int out_subscribe(struct presence_client *client, const char *filter)
{
	return out_add(client, OUT_SUBSCRIBE, filter, "", false);
}

int out_unsubscribe(struct presence_client *client, const char *filter)
{
	return out_add(client, OUT_UNSUBSCRIBE, filter, "", false);
}

static struct out *out_take(struct presence_client *client)
{
	struct out *out = client->outbox;
	if (!out)
		return NULL;
	client->outbox = out->next;
	if (!client->outbox)
		client->outbox_end = &client->outbox;
	client->outbox_count--;
	return out;
}

void out_clear(struct presence_client *client)
{
	for (struct out *out; (out = out_take(client));)
		free(out);
}

/* All with QoS 0: what is sent again after the connection was lost would come too late. An error
 * here is the connection's, whose end will be told. Returns the message id of a subscription. */
static int out_send(struct presence_client *client, const struct out *out)
{
	int mid = 0;
	switch (out->type) {
	case OUT_PUBLISH:
		(void)mosquitto_publish(client->mosquitto, NULL, out->topic, (int)out->length,
			out->payload, 0, out->retain);
		break;
	case OUT_SUBSCRIBE:
		if (mosquitto_subscribe(client->mosquitto, &mid, out->topic, 0))
			mid = 0;
		break;
	case OUT_UNSUBSCRIBE:
		(void)mosquitto_unsubscribe(client->mosquitto, NULL, out->topic);
		break;
	}
	return mid;
}

static void note_mid(struct presence_client *client, int mid)
{
	client->subscribing = false;
	(void)pthread_cond_broadcast(&client->subscribed);
	if (mid <= 0 || mid > UINT16_MAX)
		return;
	client->mids[mid / 8] |= (uint8_t)(1U << (mid % 8));
	client->unacknowledged++;
}

void out_flush(struct presence_client *client)
{
	client_enter(client);
	/* One at a time, so that the order stays; who comes meanwhile leaves it to the first. */
	if (!client->flushing) {
		client->flushing = true;
		for (struct out *out; (out = out_take(client));) {
			client->subscribing = out->type == OUT_SUBSCRIBE;
			pthread_mutex_unlock(&client->lock);
			int mid = out_send(client, out);
			free(out);
			client_enter(client);
			note_mid(client, mid);
		}
		client->flushing = false;
	}
	pthread_mutex_unlock(&client->lock);
}

static bool take_mid(struct presence_client *client, int mid)
{
	if (mid <= 0 || mid > UINT16_MAX)
		return false;
	uint8_t bit = (uint8_t)(1U << (mid % 8));
	bool ours = client->mids[mid / 8] & bit;
	if (!ours)
		return false;
	client->mids[mid / 8] &= (uint8_t)~bit;
	client->unacknowledged--;
	return true;
}

bool presence_client_on_subscribe(
	struct presence_client *client, int mid, int count, const int *granted)
{
	enum { REFUSED = 128 };
	client_enter(client);
	/* On a thread of its own the answer may be here before the question has its number. */
	while (client->subscribing)
		(void)pthread_cond_wait(&client->subscribed, &client->lock);
	bool ours = take_mid(client, mid);
	if (ours && (count < 1 || granted[0] >= REFUSED))
		tell_problem(client, "subscribe",
			"the broker does not let this client read what it watches");
	client_leave(client, true);
	return ours;
}
