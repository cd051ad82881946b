/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* A device with plain libmosquitto: no library for presence, no commands. Being connected is being
 * online, and the keepalive tells when it fell silent. Birth message and last will serve brokers
 * without the plugin, and do no harm with it. */
#include <mosquitto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEEPALIVE_S = 20, RETRY_MIN_S = 1, RETRY_MAX_S = 30 };

static int say(struct mosquitto *mosquitto, const char *topic, const char *status)
{
	return mosquitto_publish(mosquitto, NULL, topic, (int)strlen(status), status, 1, true);
}

static void on_connect(struct mosquitto *mosquitto, void *topic, int code)
{
	puts(code ? mosquitto_connack_string(code) : "connected");
	if (!code && say(mosquitto, topic, "online"))
		puts("no birth message: out of memory");
}

static void on_disconnect(struct mosquitto *mosquitto, void *topic, int code)
{
	(void)mosquitto;
	(void)topic;
	puts(mosquitto_strerror(code));
}

static int run(struct mosquitto *mosquitto, const char *topic, const char *host, int port)
{
	sigset_t ends;
	int number;
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);

	int err = mosquitto_will_set(mosquitto, topic, strlen("offline"), "offline", 1, true);
	if (!err)
		err = mosquitto_reconnect_delay_set(mosquitto, RETRY_MIN_S, RETRY_MAX_S, true);
	if (err)
		return err;
	/* Is nobody there yet, the thread tries again. */
	(void)mosquitto_connect_async(mosquitto, host, port, KEEPALIVE_S);
	err = mosquitto_loop_start(mosquitto);
	if (err)
		return err;
	sigwait(&ends, &number);
	/* Without the plugin this message says goodbye, with it the disconnection does. */
	(void)say(mosquitto, topic, "offline");
	(void)mosquitto_disconnect(mosquitto);
	return mosquitto_loop_stop(mosquitto, false);
}

int main(int argc, char **argv)
{
	char client_id[200], topic[200];
	if (argc < 2 || strlen(argv[1]) > 128 || strpbrk(argv[1], "/+#%$:{}")) {
		fprintf(stderr, "usage: device ID [HOST [PORT]]; no / + # %% $ : { } in ID\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* By the plugin's default rules: role device, and this id. */
	snprintf(client_id, sizeof(client_id), "device:%s", argv[1]);
	snprintf(topic, sizeof(topic), "presence/device/%s", argv[1]);

	mosquitto_lib_init();
	int err = MOSQ_ERR_NOMEM;
	struct mosquitto *mosquitto = mosquitto_new(client_id, true, topic);
	if (mosquitto) {
		mosquitto_connect_callback_set(mosquitto, on_connect);
		mosquitto_disconnect_callback_set(mosquitto, on_disconnect);
		err = run(mosquitto, topic, argc > 2 ? argv[2] : "localhost",
			argc > 3 ? atoi(argv[3]) : 1883);
		mosquitto_destroy(mosquitto);
	}
	mosquitto_lib_cleanup();
	if (err)
		fprintf(stderr, "%s\n", mosquitto_strerror(err));
	return err ? 1 : 0;
}
