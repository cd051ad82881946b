/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/redis_url.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/presence.h"
#include "wire/number.h"

#define PORT_DEFAULT 6379
#define DB_MAX 65535
#define HOST_MAX 255
#define UNIX_PATH_MAX 107 /* what a unix socket's address holds */

static const char host_bytes[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

static int refuse(const char **problem, const char *why)
{
	*problem = why;
	return PRESENCE_EINVAL;
}

static const char *after(const char *text, const char *start)
{
	size_t length = strlen(start);
	return strncmp(text, start, length) ? NULL : text + length;
}

static int nibble(char digit)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *found = digit ? strchr(digits, digit) : NULL;
	if (!found)
		return -1;
	return (int)(found - digits) - (found - digits > 15 ? 6 : 0);
}

/* A copy of the bytes from text to end, %XX decoded. */
static int copy_decoded(const char *text, const char *end, char **copy, const char **problem)
{
	char *to = *copy = malloc((size_t)(end - text) + 1);
	if (!to)
		return PRESENCE_ENOMEM;
	while (text < end) {
		if (*text != '%') {
			*to++ = *text++;
			continue;
		}
		int high = end - text >= 3 ? nibble(text[1]) : -1;
		int low = high >= 0 ? nibble(text[2]) : -1;
		if (low < 0 || (high == 0 && low == 0))
			return refuse(problem,
				"has a % in its user or password that starts no %XX; write %25");
		*to++ = (char)(high << 4 | low);
		text += 3;
	}
	*to = '\0';
	return PRESENCE_OK;
}

static int copy_plain(const char *text, size_t length, char **copy)
{
	*copy = strndup(text, length);
	return *copy ? PRESENCE_OK : PRESENCE_ENOMEM;
}

/* "[user][:password]" from text to end. */
static int parse_user(
	const char *text, const char *end, struct redis_url *redis, const char **problem)
{
	const char *colon = memchr(text, ':', (size_t)(end - text));
	const char *user_end = colon ? colon : end;
	int err = PRESENCE_OK;
	if (user_end > text)
		err = copy_decoded(text, user_end, &redis->user, problem);
	if (!err && colon && colon + 1 < end)
		err = copy_decoded(colon + 1, end, &redis->password, problem);
	return err;
}

/* A name or address; *rest is what comes after it. */
static int parse_host(
	const char *text, const char **rest, struct redis_url *redis, const char **problem)
{
	bool brackets = *text == '[';
	text += brackets;
	size_t length = strspn(text, brackets ? "0123456789abcdefABCDEF:." : host_bytes);
	if (length == 0 || length > HOST_MAX || (brackets && text[length] != ']'))
		return refuse(problem, "has no host that is a name or an address");
	*rest = text + length + brackets;
	return copy_plain(text, length, &redis->host);
}

/* "[:port][/db]" */
static int parse_port_and_db(const char *text, struct redis_url *redis, const char **problem)
{
	int64_t port = PORT_DEFAULT, db = 0;
	if (*text == ':') {
		text = number_read(text + 1, &port);
		if (!text || port < 1 || port > UINT16_MAX)
			return refuse(problem, "has no port from 1 to 65535 after the :");
	}
	if (*text == '/' && text[1])
		text = number_read(text + 1, &db);
	else if (*text == '/')
		text++;
	if (!text || *text || db > DB_MAX)
		return refuse(problem, "ends in something else than a database number, like /0");
	redis->port = (uint16_t)port;
	redis->db = (uint32_t)db;
	return PRESENCE_OK;
}

static int parse_tcp(const char *text, struct redis_url *redis, const char **problem)
{
	const char *slash = text + strcspn(text, "/");
	const char *at = slash;
	while (at > text && *at != '@')
		at--;
	int err = PRESENCE_OK;
	if (*at == '@') {
		err = parse_user(text, at, redis, problem);
		text = at + 1;
	} else if (strchr(slash, '@')) {
		err = refuse(problem, "has a / in its user or password; write it %2F");
	}
	if (!err)
		err = parse_host(text, &text, redis, problem);
	return err ? err : parse_port_and_db(text, redis, problem);
}

static int parse_unix(const char *text, struct redis_url *redis, const char **problem)
{
	if (*text != '/')
		return refuse(problem, "has no absolute path, as in unix:///run/redis/redis.sock");
	if (strlen(text) > UNIX_PATH_MAX)
		return refuse(problem, "has a path of more than 107 bytes, too long for a socket");
	return copy_plain(text, strlen(text), &redis->path);
}

int redis_url_parse(const char *url, struct redis_url *redis, const char **problem)
{
	const char *rest;
	*redis = (struct redis_url){ .scheme = REDIS_NONE };
	if (!strcmp(url, "none"))
		return PRESENCE_OK;
	if ((rest = after(url, "redis://"))) {
		redis->scheme = REDIS_TCP;
		return parse_tcp(rest, redis, problem);
	}
	if ((rest = after(url, "unix://"))) {
		redis->scheme = REDIS_UNIX;
		return parse_unix(rest, redis, problem);
	}
	if ((rest = after(url, "rediss://"))) {
		redis->scheme = REDIS_TLS;
		int err = parse_tcp(rest, redis, problem);
		return err ? err
			   : refuse(problem,
				     "asks for TLS with rediss://, which is not supported yet; use "
				     "a unix socket, or redis:// on a trusted network or through "
				     "stunnel");
	}
	return refuse(
		problem, "is none of redis://[user:password@]host:port/db, unix:///path, none");
}

void redis_url_finish(struct redis_url *redis)
{
	free(redis->host);
	free(redis->path);
	free(redis->user);
	free(redis->password);
	*redis = (struct redis_url){ .scheme = REDIS_NONE };
}

static void print_encoded(const char *text, FILE *out)
{
	for (; text && *text; text++)
		if (strchr(host_bytes, *text))
			fputc(*text, out);
		else
			fprintf(out, "%%%02X", (unsigned char)*text);
}

static void print_tcp(const struct redis_url *redis, bool secrets, FILE *out)
{
	fputs(redis->scheme == REDIS_TLS ? "rediss://" : "redis://", out);
	print_encoded(redis->user, out);
	if (redis->password) {
		fputc(':', out);
		if (secrets)
			print_encoded(redis->password, out);
		else
			fputs("******", out);
	}
	if (redis->user || redis->password)
		fputc('@', out);
	bool brackets = strchr(redis->host, ':');
	fprintf(out, "%s%s%s:%u/%" PRIu32, brackets ? "[" : "", redis->host, brackets ? "]" : "",
		redis->port, redis->db);
}

void redis_url_print(const struct redis_url *redis, bool secrets, FILE *out)
{
	switch (redis->scheme) {
	case REDIS_NONE:
		fputs("none", out);
		break;
	case REDIS_UNIX:
		fprintf(out, "unix://%s", redis->path);
		break;
	case REDIS_TCP:
	case REDIS_TLS:
		print_tcp(redis, secrets, out);
		break;
	}
}
