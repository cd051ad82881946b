/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* redis_url: what is taken is printed so that it reads the same, and without its password. */

#include "wire/redis_url.h"

#include "core/presence.h"
#include "fuzz.h"
#include "wire/number.h"

static char *printed(const struct redis_url *redis, bool secrets)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	MUST(out);
	redis_url_print(redis, secrets, out);
	MUST(!fclose(out) && strlen(text) == length);
	return text;
}

static void check_same(const struct redis_url *one, const struct redis_url *other)
{
	MUST(one->scheme == other->scheme && one->port == other->port && one->db == other->db);
	MUST(same_text(one->host, other->host) && same_text(one->path, other->path));
	MUST(same_text(one->user, other->user) && same_text(one->password, other->password));
}

static void check_read_again(const struct redis_url *redis)
{
	struct redis_url again;
	const char *problem;
	char *text = printed(redis, true);
	MUST(!redis_url_parse(text, &again, &problem));
	check_same(redis, &again);
	redis_url_finish(&again);
	free(text);
}

/* Another password prints the same. */
static void check_secret(struct redis_url *redis)
{
	if (!redis->password)
		return;
	char *text = printed(redis, false), *password = redis->password;
	char other[] = "another";
	redis->password = other;
	char *again = printed(redis, false);
	redis->password = password;
	MUST(!strcmp(text, again));
	free(again);
	free(text);
}

static void check_numbers(const char *text)
{
	int64_t number;
	char written[NUMBER_TEXT_MAX];
	if (duration_read(text, &number) == NUMBER_OK) {
		int64_t again;
		MUST(number >= 0);
		MUST(duration_read(number_text(number, true, written), &again) == NUMBER_OK);
		MUST(number == again);
	}
	if (count_read(text, &number) == NUMBER_OK)
		MUST(number >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *url = copy_text(data, size);
	struct redis_url redis;
	const char *problem = NULL;
	int err = redis_url_parse(url, &redis, &problem);
	MUST(err == PRESENCE_OK || (err == PRESENCE_EINVAL && problem));
	if (!err) {
		check_read_again(&redis);
		check_secret(&redis);
	}
	redis_url_finish(&redis);
	check_numbers(url);
	free(url);
	return 0;
}
