/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "server.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { START_TRIES = 1000, ARGUMENTS_MAX = 32 };

static void fail(const char *what)
{
	(void)fprintf(stderr, "redis-server: %s\n", what);
	abort();
}

void server_init(struct server *server)
{
	*server = (struct server){ .pid = -1 };
	(void)snprintf(server->folder, sizeof(server->folder), "/tmp/presence-redis-XXXXXX");
	if (!mkdtemp(server->folder))
		fail("no temporary folder");
	(void)snprintf(server->path, sizeof(server->path), "%s/socket", server->folder);
}

static void run(struct server *server, const char *const options[])
{
	const char *arguments[ARGUMENTS_MAX] = { "redis-server", "--port", "0", "--unixsocket",
		server->path, "--dir", server->folder, "--save", "", "--appendonly", "no",
		"--logfile", "log", "--daemonize", "no", "--enable-debug-command", "yes" };
	int count = 17;
	for (int i = 0; options && options[i] && count < ARGUMENTS_MAX - 1; i++)
		arguments[count++] = options[i];
	(void)execvp(arguments[0], (char *const *)(uintptr_t)arguments);
	_exit(127);
}

void server_start(struct server *server, const char *const options[])
{
	server->pid = fork();
	if (server->pid < 0)
		fail("fork");
	if (!server->pid)
		run(server, options);
	for (int i = 0; i < START_TRIES; i++) {
		server->client = redisConnectUnix(server->path);
		if (server->client && !server->client->err)
			return;
		if (server->client)
			redisFree(server->client);
		server->client = NULL;
		const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
		(void)nanosleep(&pause, NULL);
	}
	fail("did not start");
}

void server_kill(struct server *server)
{
	if (server->client)
		redisFree(server->client);
	server->client = NULL;
	if (server->pid > 0) {
		(void)kill(server->pid, SIGKILL);
		(void)waitpid(server->pid, NULL, 0);
	}
	server->pid = -1;
	(void)unlink(server->path);
}

void server_finish(struct server *server)
{
	server_kill(server);
	static const char *const left[] = { "log", "dump.rdb", "socket" };
	char path[128];
	for (size_t i = 0; i < sizeof(left) / sizeof(*left); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", server->folder, left[i]);
		(void)unlink(path);
	}
	(void)rmdir(server->folder);
}

static redisReply *ask(struct server *server, const char *format, va_list arguments)
{
	redisReply *reply = redisvCommand(server->client, format, arguments);
	if (!reply)
		fail(server->client->errstr);
	return reply;
}

redisReply *server_ask(struct server *server, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	redisReply *reply = ask(server, format, arguments);
	va_end(arguments);
	return reply;
}

void server_do(struct server *server, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	freeReplyObject(ask(server, format, arguments));
	va_end(arguments);
}

const char *server_text(struct server *server, char *out, size_t size, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	redisReply *reply = ask(server, format, arguments);
	va_end(arguments);
	if (reply->type == REDIS_REPLY_INTEGER)
		(void)snprintf(out, size, "%lld", reply->integer);
	else
		(void)snprintf(out, size, "%s", reply->str ? reply->str : "");
	freeReplyObject(reply);
	return out;
}
