/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/redis/problem.h"

#include <inttypes.h>
#include <string.h>

enum { SAY_AGAIN_MS = 10000, SLOW_MS = 30000 };

const struct redis_problem redis_unreachable = { "", STORE_WARNING, 0,
	"not reachable; presence goes on in MQTT and is written when Redis is back" };
const struct redis_problem redis_no_answer = { "", STORE_WARNING, 0,
	"does not answer; presence goes on in MQTT and is written when Redis is back" };
const struct redis_problem redis_not_redis = { "", STORE_ERROR, SLOW_MS,
	"what answers does not speak Redis; check redis_url" };
const struct redis_problem redis_no_memory = { "", STORE_ERROR, 0,
	"the broker's machine is out of memory; presence is written when there is some" };
const struct redis_problem redis_scripts_unknown = { "NOSCRIPT", STORE_ERROR, SLOW_MS,
	"does not keep scripts; a proxy in between may be the cause" };
const struct redis_problem redis_held_by_other = { "", STORE_ERROR, 0,
	"CRITICAL: another broker runs under the same node name; this one does not write until "
	"the other's lease ends. Give each broker its own `node`" };
const struct redis_problem redis_mismatch = { "", STORE_ERROR, SLOW_MS,
	"was set up differently; this broker does not write" };
const struct redis_problem redis_wrong_type = { "", STORE_ERROR, SLOW_MS / 3,
	"a key that presence needs is not presence's: delete it, or choose another redis_prefix" };

const struct redis_problem redis_unexpected = { "", STORE_ERROR, 0,
	"answers with an error that was not expected" };

static const char no_rights[] =
	"does not let its user do what presence needs; see the ACL in the documentation";

static const struct redis_problem problems[] = {
	{ "LOADING", STORE_WARNING, 0, "is loading its data; presence is written after that" },
	{ "BUSY", STORE_WARNING, 0,
		"runs a script that does not end; SCRIPT KILL or FUNCTION KILL ends it" },
	{ "READONLY", STORE_ERROR, 0, "is a read-only replica; redis_url must name the primary" },
	{ "OOM", STORE_ERROR, 0, "is out of memory; raise maxmemory or remove other data" },
	{ "NOAUTH", STORE_ERROR, SLOW_MS,
		"wants a password; set redis_password_file, or put it into redis_url" },
	{ "WRONGPASS", STORE_ERROR, SLOW_MS,
		"refuses the user or password; check redis_url and redis_password_file" },
	{ "ERR AUTH", STORE_ERROR, SLOW_MS,
		"has no password for this user; check redis_url and redis_password_file" },
	{ "ERR invalid password", STORE_ERROR, SLOW_MS,
		"refuses the password; check redis_url and redis_password_file" },
	{ "ERR Client sent AUTH", STORE_ERROR, SLOW_MS,
		"has no password; take it out of redis_url and redis_password_file" },
	{ "NOPERM", STORE_ERROR, SLOW_MS, no_rights },
	/* Of a command in a script: Redis 7.0, 6.2, and 7.2 and later, which Valkey is too. */
	{ "ERR The user executing the script", STORE_ERROR, SLOW_MS, no_rights },
	{ "The user executing the script", STORE_ERROR, SLOW_MS, no_rights },
	{ "ERR ACL failure in script", STORE_ERROR, SLOW_MS, no_rights },
	{ "ERR DB index", STORE_ERROR, SLOW_MS, "has no such database; check redis_url" },
	{ "MASTERDOWN", STORE_ERROR, 0,
		"is a replica without its primary; redis_url must name the primary" },
	{ "MISCONF", STORE_ERROR, 0,
		"cannot save to disk and refuses to write; look into its log" },
	{ "NOREPLICAS", STORE_WARNING, 0, "has too few replicas to write" },
	{ "MOVED", STORE_ERROR, SLOW_MS, "is a cluster; presence needs a single primary" },
	{ "CLUSTERDOWN", STORE_ERROR, SLOW_MS, "is a cluster; presence needs a single primary" },
};

static const struct redis_problem *known(const char *error)
{
	for (size_t i = 0; i < sizeof(problems) / sizeof(*problems); i++)
		if (!strncmp(error, problems[i].error, strlen(problems[i].error)))
			return &problems[i];
	return NULL;
}

const struct redis_problem *redis_problem_of(const char *error)
{
	/* What Redis 6.2 puts before the errors that a script raises; "<where>: -OOM ..." follows.
	 */
	static const char wrapped[] = "ERR Error running script";
	const struct redis_problem *problem = known(error);
	if (strncmp(error, wrapped, sizeof(wrapped) - 1) != 0)
		return problem ? problem : &redis_unexpected;
	for (const char *at = error; !problem && (at = strstr(at, ": "));) {
		at += 2;
		problem = known(*at == '-' ? at + 1 : at);
	}
	return problem ? problem : &redis_unexpected;
}

void redis_detail_write(const char *error, char out[REDIS_DETAIL_MAX])
{
	size_t i = 0;
	for (; i < REDIS_DETAIL_MAX - 1 && error[i]; i++)
		out[i] = '!' <= error[i] && error[i] <= '~' ? error[i] : ' ';
	out[i] = '\0';
}

void redis_say_problem(struct redis_said *said, struct mailbox *box, const char *where,
	const struct redis_problem *problem, const char *detail, int64_t now_ms)
{
	bool recently = now_ms - said->said_ms < SAY_AGAIN_MS;
	if (said->problem == problem && (!said->recovered || recently))
		return;
	said->problem = problem;
	said->said_ms = now_ms;
	said->recovered = said->connected = false;
	mailbox_log(box, problem->level, "Redis at %s: %s%s%s%s", where, problem->text,
		detail ? " (" : "", detail ? detail : "", detail ? ")" : "");
}

void redis_say_connected(struct redis_said *said, struct mailbox *box, const char *where,
	const char *node, int64_t epoch)
{
	said->recovered = true;
	if (said->connected)
		return;
	said->connected = true;
	mailbox_log(box, STORE_NOTICE, "Redis at %s: node %s writes, epoch %" PRId64, where, node,
		epoch);
}
