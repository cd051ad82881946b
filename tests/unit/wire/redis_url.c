/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/redis_url.h"

#include "check.h"
#include "core/presence.h"

static const struct {
	const char *url;
	struct {
		enum redis_scheme scheme;
		const char *host;
		uint16_t port;
		const char *path, *user, *password;
		uint32_t db;
	} redis;
	const char *printed; /* NULL: as it was written */
} good[] = {
	{ "none", { .scheme = REDIS_NONE }, NULL },
	{ "redis://127.0.0.1:6379/0", { .scheme = REDIS_TCP, .host = "127.0.0.1", .port = 6379 },
		NULL },
	{ "redis://localhost", { .scheme = REDIS_TCP, .host = "localhost", .port = 6379 },
		"redis://localhost:6379/0" },
	{ "redis://localhost/", { .scheme = REDIS_TCP, .host = "localhost", .port = 6379 },
		"redis://localhost:6379/0" },
	{ "redis://r.example.org:1/15",
		{ .scheme = REDIS_TCP, .host = "r.example.org", .port = 1, .db = 15 }, NULL },
	{ "redis://[::1]:6380/2", { .scheme = REDIS_TCP, .host = "::1", .port = 6380, .db = 2 },
		NULL },
	{ "redis://bob@h:2/3",
		{ .scheme = REDIS_TCP, .host = "h", .port = 2, .db = 3, .user = "bob" }, NULL },
	{ "redis://bob:secret@h:2/3",
		{ .scheme = REDIS_TCP,
			.host = "h",
			.port = 2,
			.db = 3,
			.user = "bob",
			.password = "secret" },
		"redis://bob:******@h:2/3" },
	{ "redis://:secret@h:2/3",
		{ .scheme = REDIS_TCP, .host = "h", .port = 2, .db = 3, .password = "secret" },
		"redis://:******@h:2/3" },
	{ "redis://b%40b:p%3a%2F%25@q@h",
		{ .scheme = REDIS_TCP,
			.host = "h",
			.port = 6379,
			.user = "b@b",
			.password = "p:/%@q" },
		"redis://b%40b:******@h:6379/0" },
	{ "unix:///run/redis/redis.sock", { .scheme = REDIS_UNIX, .path = "/run/redis/redis.sock" },
		NULL },
};

static void assert_text(const char *text, const char *expected)
{
	if (expected)
		assert_string_equal(text, expected);
	else
		assert_null(text);
}

static char *print(const struct redis_url *redis, bool secrets)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	assert_non_null(out);
	redis_url_print(redis, secrets, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void urls_are_taken_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct redis_url redis;
		const char *problem;
		if (redis_url_parse(good[i].url, &redis, &problem))
			fail_msg("%s %s", good[i].url, problem);
		assert_int_equal(redis.scheme, good[i].redis.scheme);
		assert_int_equal(redis.port, good[i].redis.port);
		assert_int_equal(redis.db, good[i].redis.db);
		assert_text(redis.host, good[i].redis.host);
		assert_text(redis.path, good[i].redis.path);
		assert_text(redis.user, good[i].redis.user);
		assert_text(redis.password, good[i].redis.password);
		char *text = print(&redis, false);
		assert_string_equal(text, good[i].printed ? good[i].printed : good[i].url);
		free(text);
		redis_url_finish(&redis);
	}
}

static void a_password_is_printed_only_when_asked_for(void **state)
{
	struct redis_url redis;
	const char *problem;
	(void)state;
	assert_int_equal(redis_url_parse("redis://:p%40s@h", &redis, &problem), PRESENCE_OK);
	char *text = print(&redis, true);
	assert_string_equal(text, "redis://:p%40s@h:6379/0");
	free(text);
	redis_url_finish(&redis);
}

static const struct {
	const char *url, *problem;
} bad[] = {
	{ "", "is none of redis://[user:password@]host:port/db, unix:///path, none" },
	{ "localhost:6379", "is none of redis://[user:password@]host:port/db, unix:///path, none" },
	{ "http://h", "is none of redis://[user:password@]host:port/db, unix:///path, none" },
	{ "redis:/h", "is none of redis://[user:password@]host:port/db, unix:///path, none" },
	{ "redis://", "has no host that is a name or an address" },
	{ "redis:///0", "has no host that is a name or an address" },
	{ "redis://:6379/0", "has no host that is a name or an address" },
	{ "redis://user:@", "has no host that is a name or an address" },
	{ "redis://[::1", "has no host that is a name or an address" },
	{ "redis://[]", "has no host that is a name or an address" },
	{ "redis://[host]", "has no host that is a name or an address" },
	{ "redis://h:", "has no port from 1 to 65535 after the :" },
	{ "redis://h:x", "has no port from 1 to 65535 after the :" },
	{ "redis://h:0", "has no port from 1 to 65535 after the :" },
	{ "redis://h:65536", "has no port from 1 to 65535 after the :" },
	{ "redis://h:99999999999999999999", "has no port from 1 to 65535 after the :" },
	{ "redis://h/x", "ends in something else than a database number, like /0" },
	{ "redis://h/0/", "ends in something else than a database number, like /0" },
	{ "redis://h/-1", "ends in something else than a database number, like /0" },
	{ "redis://h/65536", "ends in something else than a database number, like /0" },
	{ "redis://h:1?db=2", "ends in something else than a database number, like /0" },
	{ "redis://h h", "ends in something else than a database number, like /0" },
	{ "redis://u:a/b@h", "has a / in its user or password; write it %2F" },
	{ "redis://u:a%b@h", "has a % in its user or password that starts no %XX; write %25" },
	{ "redis://u:a%2@h", "has a % in its user or password that starts no %XX; write %25" },
	{ "redis://u:a%zz@h", "has a % in its user or password that starts no %XX; write %25" },
	{ "redis://u:a%00@h", "has a % in its user or password that starts no %XX; write %25" },
	{ "redis://%", "has no host that is a name or an address" },
	{ "unix://", "has no absolute path, as in unix:///run/redis/redis.sock" },
	{ "unix://run/redis.sock", "has no absolute path, as in unix:///run/redis/redis.sock" },
	{ "rediss://h:6379/0",
		"asks for TLS with rediss://, which is not supported yet; use a unix socket, or "
		"redis:// "
		"on "
		"a trusted network or through stunnel" },
	{ "rediss://", "has no host that is a name or an address" },
};

static void what_is_no_url_is_explained(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct redis_url redis;
		const char *problem = NULL;
		if (redis_url_parse(bad[i].url, &redis, &problem) != PRESENCE_EINVAL)
			fail_msg("%s is taken", bad[i].url);
		if (strcmp(problem, bad[i].problem))
			fail_msg("%s: %s", bad[i].url, problem);
		redis_url_finish(&redis);
	}
}

static void a_socket_has_107_bytes(void **state)
{
	char url[sizeof("unix://") + 108] = "unix://";
	struct redis_url redis;
	const char *problem;
	(void)state;
	memset(url + 7, '/', 108);
	assert_int_equal(redis_url_parse(url, &redis, &problem), PRESENCE_EINVAL);
	assert_string_equal(problem, "has a path of more than 107 bytes, too long for a socket");
	redis_url_finish(&redis);
	url[7 + 107] = '\0';
	assert_int_equal(redis_url_parse(url, &redis, &problem), PRESENCE_OK);
	redis_url_finish(&redis);
}

static void a_host_has_255_bytes(void **state)
{
	char url[sizeof("redis://") + 256] = "redis://";
	struct redis_url redis;
	const char *problem;
	(void)state;
	memset(url + 8, 'h', 256);
	assert_int_equal(redis_url_parse(url, &redis, &problem), PRESENCE_EINVAL);
	assert_string_equal(problem, "has no host that is a name or an address");
	redis_url_finish(&redis);
	url[8 + 255] = '\0';
	assert_int_equal(redis_url_parse(url, &redis, &problem), PRESENCE_OK);
	redis_url_finish(&redis);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_are_taken_apart),
		cmocka_unit_test(a_password_is_printed_only_when_asked_for),
		cmocka_unit_test(what_is_no_url_is_explained),
		cmocka_unit_test(a_socket_has_107_bytes),
		cmocka_unit_test(a_host_has_255_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
