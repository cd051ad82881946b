/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "client-sdk/c/internal.h"

struct notice *notice_create(enum notice_type type, const char *const text[4])
{
	size_t sizes[4], all = 0;
	for (int i = 0; i < 4; i++)
		all += sizes[i] = text[i] ? strlen(text[i]) + 1 : 0;
	struct notice *notice = malloc(sizeof(*notice) + all);
	if (!notice)
		return NULL;
	*notice = (struct notice){ .type = type };
	char *at = notice->bytes;
	for (int i = 0; i < 4; i++) {
		notice->text[i] = sizes[i] ? memcpy(at, text[i], sizes[i]) : NULL;
		at += sizes[i];
	}
	return notice;
}

void notice_add(struct presence_client *client, struct notice *notice)
{
	*client->notices_end = notice;
	client->notices_end = &notice->next;
}

static struct notice *notice_take(struct presence_client *client)
{
	struct notice *notice = client->notices;
	if (!notice)
		return NULL;
	client->notices = notice->next;
	if (!client->notices)
		client->notices_end = &client->notices;
	return notice;
}

static void tell(struct presence_client *client, const struct notice *notice)
{
	const struct presence_client_callbacks *callbacks = &client->callbacks;
	const char *const *text = notice->text;
	switch (notice->type) {
	case TELL_CONNECTION:
		if (callbacks->on_connection)
			callbacks->on_connection(
				client, notice->error, text[0], notice->retry_ms, client->context);
		break;
	case TELL_TRANSITION:
		if (callbacks->on_transition)
			callbacks->on_transition(client, &notice->record, client->context);
		break;
	case TELL_TYPING:
		if (callbacks->on_typing)
			callbacks->on_typing(client, text[0], text[1], text[2], text[3],
				notice->active, client->context);
		break;
	case TELL_PROBLEM:
		if (callbacks->on_problem)
			callbacks->on_problem(client, text[0], text[1], client->context);
		break;
	case TELL_DONE:
		notice->done(
			client, notice->error, text[0], text[1] ? text[1] : "{}", notice->context);
		break;
	}
}

void notices_deliver(struct presence_client *client)
{
	client_enter(client);
	if (!client->delivering) {
		client->delivering = true;
		for (struct notice *notice; (notice = notice_take(client));) {
			pthread_mutex_unlock(&client->lock);
			tell(client, notice);
			free(notice);
			client_enter(client);
		}
		client->delivering = false;
	}
	bool waits = client->outbox;
	pthread_mutex_unlock(&client->lock);
	/* What was said in the callbacks. */
	if (waits)
		out_flush(client);
}

void notices_clear(struct presence_client *client)
{
	for (struct notice *notice; (notice = notice_take(client));)
		free(notice);
}

void tell_problem(struct presence_client *client, const char *what, const char *words)
{
	struct notice *notice = client->problem_told
		? NULL
		: notice_create(TELL_PROBLEM, (const char *[4]){ what, words });
	if (!notice)
		return;
	client->problem_told = true;
	notice_add(client, notice);
}
