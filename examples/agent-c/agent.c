/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* An agent who is present while this runs, and says with a word what they are doing. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <presence_client.h>

static void on_connection(struct presence_client *client, enum presence_client_error error,
	const char *words, int64_t retry_ms, void *context)
{
	(void)client;
	(void)context;
	if (!error)
		puts("connected");
	else
		printf("%s: %s; next try in %.1f s\n", presence_strerror(error), words,
			(double)retry_ms / 1000);
}

static void on_problem(
	struct presence_client *client, const char *what, const char *words, void *context)
{
	(void)client;
	(void)context;
	printf("%s: %s\n", what, words);
}

static void said(struct presence_client *client, enum presence_client_error error,
	const char *words, const char *data, void *context)
{
	(void)client;
	(void)data;
	(void)context;
	puts(error ? words : "said");
}

/* "dnd in a call" */
static void say(struct presence_client *client, char *line)
{
	line[strcspn(line, "\n")] = '\0';
	char *note = strchr(line, ' ');
	if (note)
		*note++ = '\0';
	for (int status = PRESENCE_CLIENT_OFFLINE; status <= PRESENCE_CLIENT_DND; status++) {
		if (strcmp(line, presence_client_status_name((enum presence_client_status)status)))
			continue;
		int err = presence_client_set_status(
			client, (enum presence_client_status)status, note, said, NULL);
		if (err)
			puts(presence_strerror(err));
		return;
	}
	puts("online, away, dnd or offline, and perhaps a note");
}

int main(int argc, char **argv)
{
	static const struct presence_client_callbacks callbacks = {
		.on_connection = on_connection,
		.on_problem = on_problem,
	};
	if (argc < 2) {
		fprintf(stderr, "usage: agent ID [HOST [PORT]]\n");
		return 2;
	}
	struct presence_client_config config = {
		.size = sizeof(config),
		.role = "agent",
		.id = argv[1],
		.device = "example",
		.host = argc > 2 ? argv[2] : NULL,
		.port = argc > 3 ? atoi(argv[3]) : 0,
		.callbacks = &callbacks,
	};
	/* Ctrl-C says goodbye, rather than ending in the middle of something. */
	sigset_t ends;
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	struct pollfd inputs[2] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = signalfd(-1, &ends, SFD_CLOEXEC), .events = POLLIN },
	};
	setvbuf(stdout, NULL, _IOLBF, 0);

	struct presence_client *client;
	int err = presence_client_create(&config, &client);
	if (!err)
		err = presence_client_start(client);
	if (err) {
		fprintf(stderr, "%s\n", presence_strerror(err));
		return 1;
	}
	char line[512];
	while (poll(inputs, 2, -1) > 0 && !inputs[1].revents && fgets(line, sizeof(line), stdin))
		say(client, line);
	presence_client_destroy(client);
	return 0;
}
