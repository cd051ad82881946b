/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Prints who comes and goes. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <presence_client.h>

static void on_transition(
	struct presence_client *client, const struct presence_client_record *record, void *context)
{
	(void)client;
	(void)context;
	printf("%s/%s %s -> %s%s%s%s%s\n", record->role, record->id,
		presence_client_status_name(record->before),
		presence_client_status_name(record->status), *record->reason ? ", " : "",
		record->reason, *record->note ? ": " : "", record->note);
}

static void on_connection(struct presence_client *client, enum presence_client_error error,
	const char *words, int64_t retry_ms, void *context)
{
	(void)client;
	(void)context;
	if (error)
		fprintf(stderr, "%s: %s; next try in %.1f s\n", presence_strerror(error), words,
			(double)retry_ms / 1000);
}

int main(int argc, char **argv)
{
	static const struct presence_client_callbacks callbacks = {
		.on_connection = on_connection,
		.on_transition = on_transition,
	};
	const struct presence_client_config config = {
		.size = sizeof(config),
		.host = argc > 1 ? argv[1] : NULL,
		.port = argc > 2 ? atoi(argv[2]) : 0,
		.callbacks = &callbacks,
	};
	const char *role = argc > 3 ? argv[3] : NULL; /* NULL: everybody */
	sigset_t ends;
	int number;
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);

	struct presence_client *client = NULL;
	int err = presence_client_create(&config, &client);
	if (!err)
		err = presence_client_watch(client, role, NULL);
	if (!err)
		err = presence_client_start(client);
	if (err)
		fprintf(stderr, "%s\n", presence_strerror(err));
	else
		sigwait(&ends, &number);
	presence_client_destroy(client);
	return err ? 1 : 0;
}
