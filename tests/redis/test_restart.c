/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker.h"

/* A broker starts again, and meanwhile Redis changes too. */

enum { SUBJECTS = 100, TEXT_MAX = 256 };

static struct server server;

static int clean(void **state)
{
	(void)state;
	server_do(&server, "FLUSHALL");
	return 0;
}

static void connect_all(struct broker *broker)
{
	char client[32], id[16];
	for (uint64_t i = 0; i < SUBJECTS; i++) {
		(void)snprintf(id, sizeof(id), "u%d", (int)i);
		(void)snprintf(client, sizeof(client), "agent:%s:d", id);
		const struct presence_event event = {
			.type = PRESENCE_CONNECTED,
			.token = i + 1,
			.client_id = client,
			.role = "agent",
			.id = id,
			.device = "d",
		};
		assert_int_equal(broker_feed(broker, event), 0);
	}
	broker_settle(broker);
}

static const char *holder(char out[TEXT_MAX])
{
	return server_text(&server, out, TEXT_MAX, "HGET presence:{0}:nodes b1");
}

/* As far as it has taken its node, and not read yet what was before. */
static void register_only(struct driver *driver)
{
	char now[TEXT_MAX];
	assert_true(driver_connect(driver));
	for (int i = 0; i < 100 && !strstr(holder(now), "1|0000000000000002|"); i++) {
		driver_step(driver);
		if (!driver_execute(driver, driver->wire))
			(void)driver_answer(driver);
	}
	assert_non_null(strstr(holder(now), "1|0000000000000002|"));
	assert_true(driver_answer(driver));
}

static int online(void)
{
	char out[TEXT_MAX];
	int count = 0;
	for (int i = 0; i < SUBJECTS; i++)
		count += !strcmp(server_text(&server, out, sizeof(out),
					 "HGET presence:{0}:subject:agent/u%d status", i),
			"online");
	return count;
}

/* The start's REGISTER is lost with a failover: the next one asks for everything again, before the
 * broker has heard whom it had. They are there until restart_grace is over. */
static void test_failover(void **state)
{
	struct broker broker;
	struct store_stats stats;
	int64_t oldest_ms;
	char before[TEXT_MAX], epoch[TEXT_MAX], now[TEXT_MAX];
	(void)state;
	broker_init(&broker, &server, "b1");
	broker_start(&broker, 1);
	broker_settle(&broker);
	connect_all(&broker);
	(void)holder(before);
	(void)server_text(&server, epoch, sizeof(epoch), "HGET presence:{0}:meta epoch");
	broker_stop(&broker);
	broker_start(&broker, 2);
	register_only(&broker.driver);
	server_do(&server, "HSET presence:{0}:nodes b1 %s", before);
	server_do(&server, "HSET presence:{0}:meta epoch %s", epoch);
	server_do(&server, "DEL presence:{0}:lease:b1");
	driver_cut(&broker.driver, false);
	broker_pass(&broker, 1000);
	assert_non_null(strstr(holder(now), "1|0000000000000002|"));
	redis_writer_stats(broker.driver.writer, &stats, &oldest_ms);
	assert_int_equal(stats.resyncs, 1);
	assert_true(redis_writer_idle(broker.driver.writer));
	assert_int_equal(online(), SUBJECTS);
	broker_pass(&broker, broker.config.restart_grace_ms + 1000);
	assert_int_equal(online(), 0);
	broker_stop(&broker);
}

static int start(void **state)
{
	(void)state;
	server_init(&server);
	server_start(&server, NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	server_finish(&server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup(test_failover, clean) };
	return cmocka_run_group_tests(tests, start, stop);
}
