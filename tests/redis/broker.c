/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "broker.h"

#include <stdio.h>
#include <stdlib.h>

enum { RETAIN_MS = 3600000, REFRESH_MS = 60000 };

void broker_init(struct broker *broker, struct server *server, const char *node)
{
	*broker = (struct broker){
		.config = {
			.grace_ms = 3000,
			.restart_grace_ms = 10000,
			.offline_retain_ms = RETAIN_MS,
			.unmatched_retain_ms = RETAIN_MS,
			.refresh_ms = REFRESH_MS,
			.heartbeat_interval_ms = 20000,
			.heartbeat_misses = 3,
			.goodbye = PRESENCE_REASON_DISCONNECT,
			.subjects_max = 1000,
			.devices_max = 32,
		},
	};
	driver_init(&broker->driver, server, node);
}

void broker_start(struct broker *broker, uint64_t boot)
{
	struct driver *driver = &broker->driver;
	int64_t now_ms = driver->now_ms, wall_ms = driver->wall_ms;
	const struct redis_writer_config config = driver->config;
	driver_init(driver, driver->server, config.node);
	driver->config.partitions = config.partitions;
	driver->now_ms = now_ms;
	driver->wall_ms = wall_ms;
	driver_start(driver, boot);
	mailbox_beat(driver->box, now_ms);
	broker->core = presence_create(&broker->config, now_ms);
	if (!broker->core)
		abort();
}

void broker_stop(struct broker *broker)
{
	driver_stop(&broker->driver);
	presence_destroy(broker->core);
	broker->core = NULL;
}

int broker_feed(struct broker *broker, struct presence_event event)
{
	struct driver *driver = &broker->driver;
	struct presence_effects effects;
	event.now_ms = driver->now_ms;
	event.wall_ms = driver->wall_ms;
	int err = presence_step(broker->core, &event, &effects);
	for (size_t i = 0; i < effects.count; i++) {
		const struct presence_effect *effect = &effects.item[i];
		if (effect->type != PRESENCE_PUBLISH && effect->type != PRESENCE_DEVICE &&
			mailbox_put(driver->box, effect, driver->now_ms))
			abort();
	}
	return err;
}

static bool hear(struct broker *broker)
{
	bool any = false;
	struct store_message *message;
	while ((message = mailbox_take_message(broker->driver.box))) {
		/* What is asked about somebody who is gone by now is no error. */
		if (message->type == STORE_MESSAGE_EVENT)
			(void)broker_feed(broker, message->event);
		store_message_destroy(message);
		any = true;
	}
	return any;
}

bool broker_turn(struct broker *broker)
{
	bool any = hear(broker);
	while (presence_deadline(broker->core) <= broker->driver.now_ms) {
		(void)broker_feed(broker, (struct presence_event){ .type = PRESENCE_TICK });
		any = true;
	}
	return any;
}

void broker_settle(struct broker *broker)
{
	do {
		driver_settle(&broker->driver);
	} while (broker_turn(broker));
}

void broker_pass(struct broker *broker, int64_t ms)
{
	enum { TURN_MS = 500 };
	for (; ms > 0; ms -= TURN_MS) {
		int64_t step_ms = ms < TURN_MS ? ms : TURN_MS;
		broker->driver.now_ms += step_ms;
		broker->driver.wall_ms += step_ms;
		mailbox_beat(broker->driver.box, broker->driver.now_ms);
		(void)broker_feed(broker, (struct presence_event){ .type = PRESENCE_TICK });
		broker_settle(broker);
	}
}
