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

/* Answers come in the order of questions: it is the first, or soon. */
static struct out *sent_take(struct presence_client *client, int mid)
{
	struct out **link = &client->sent;
	while (*link && (*link)->mid != mid)
		link = &(*link)->next;
	struct out *out = *link;
	if (!out)
		return NULL;
	*link = out->next;
	if (!out->next)
		client->sent_end = link;
	return out;
}

/* What was not answered for so long is answered to an application that does not hand that on. The
 * last one stays, and tells whether all were: its answer comes behind all others. */
static void sent_add(struct presence_client *client, struct out *out)
{
	out->next = NULL;
	out->sent_ms = now_ms();
	*client->sent_end = out;
	client->sent_end = &out->next;
	while (client->sent->sent_ms + SENT_MS <= out->sent_ms)
		free(sent_take(client, client->sent->mid));
}

void out_clear(struct presence_client *client)
{
	for (struct out *out; (out = out_take(client));)
		free(out);
	for (struct out *out; client->sent && (out = sent_take(client, client->sent->mid));)
		free(out);
}

/* All with QoS 0: what is sent again after the connection was lost would come too late. An error
 * here is the connection's, whose end will be told. */
static void out_send(struct presence_client *client, struct out *out)
{
	switch (out->type) {
	case OUT_PUBLISH:
		(void)mosquitto_publish(client->mosquitto, NULL, out->topic, (int)out->length,
			out->payload, 0, out->retain);
		break;
	case OUT_SUBSCRIBE:
		if (mosquitto_subscribe(client->mosquitto, &out->mid, out->topic, 0))
			out->mid = 0;
		break;
	case OUT_UNSUBSCRIBE:
		(void)mosquitto_unsubscribe(client->mosquitto, NULL, out->topic);
		break;
	}
}

static void out_done(struct presence_client *client, struct out *out)
{
	client->subscribing = false;
	(void)pthread_cond_broadcast(&client->subscribed);
	if (out->mid && client->connected)
		sent_add(client, out);
	else
		free(out);
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
			out_send(client, out);
			client_enter(client);
			out_done(client, out);
		}
		client->flushing = false;
	}
	pthread_mutex_unlock(&client->lock);
}

bool presence_client_on_subscribe(
	struct presence_client *client, int mid, int count, const int *granted)
{
	enum { REFUSED = 128 };
	client_enter(client);
	/* On a thread of its own the answer may be here before the question has its number. */
	while (client->subscribing)
		(void)pthread_cond_wait(&client->subscribed, &client->lock);
	struct out *sent = sent_take(client, mid);
	bool ours = sent != NULL;
	if (ours && (count < 1 || granted[0] >= REFUSED)) {
		watch_refused(client, sent->topic);
		tell_problem(client, "subscribe",
			"the broker does not let this client read what it watches");
	}
	free(sent);
	client_leave(client, true);
	return ours;
}
