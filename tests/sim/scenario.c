/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>

#include "chance.h"
#include "room.h"
#include "sim.h"

/* What a seed stands for: settings, and a list of operations. */

enum { OPS_MAX = 120 };

static const struct kind {
	const char *word;
	enum op_group group;
} kinds[OP_KINDS] = {
#define SIM_OP(name, word, group) [OP_##name] = { word, group },
#include "ops.def"
#undef SIM_OP
};

enum op_group op_group_of(enum op_kind kind)
{
	return kinds[kind].group;
}

void settings_roll(uint64_t seed, struct settings *settings)
{
	static const int64_t graces[] = { 3000, 0, 1000 };
	uint64_t state = seed ^ 0x5e771465;
	(void)chance_below(&state, 2);
	unsigned stores = (unsigned)chance_below(&state, 8);
	*settings = (struct settings){
		.version = (enum broker_version)chance_below(&state, 3),
		.has_redis = stores != 0 && stores != 1,
		.has_file = stores == 1 || stores == 2 || stores == 3,
		.is_guarded = chance_below(&state, 3) != 0,
		.others_decide = chance_below(&state, 2),
		.device_topics = chance_below(&state, 2),
		.partitions = 1 + (unsigned)chance_below(&state, 2),
		.grace_ms = graces[chance_below(&state, 3)],
		.grace_keepalive_ms = chance_below(&state, 2) ? 0 : 2000,
		.restart_grace_ms = 1000 + (int64_t)chance_below(&state, 4000),
		.away_after_ms = chance_below(&state, 3) ? 0 : 4000,
		.lease_ms = 1000 + (int64_t)chance_below(&state, 2000),
		.ttl_ms = 9000,
		.retain_ms = chance_below(&state, 4) ? 604800000 : 6000,
		.is_out_of_budget = chance_below(&state, 4) == 0,
	};
	/* Swarm: each history knows some faults only, so that they do not hide each other. */
	settings->groups = 1u << GROUP_CLIENT;
	for (unsigned group = 1; group < GROUPS; group++)
		settings->groups |= (chance_below(&state, 2) ? 1u : 0u) << group;
	if (settings->version == V2_1)
		settings->is_guarded = true;
}

void settings_print(const struct settings *settings, char *out, size_t size)
{
	static const char *const versions[] = { "2.0.11", "2.0.21", "2.1" };
	(void)snprintf(out, size,
		"broker %s%s%s%s, partitions %u, grace %lld, grace_keepalive %lld, "
		"restart_grace %lld, away_after %lld, lease %lld, ttl %lld, retain %lld%s%s",
		versions[settings->version], settings->has_redis ? ", Redis" : "",
		settings->has_file ? ", state file" : "",
		settings->is_guarded
			? settings->others_decide ? ", guard (others decide)" : ", guard"
			: "",
		settings->partitions, (long long)settings->grace_ms,
		(long long)settings->grace_keepalive_ms, (long long)settings->restart_grace_ms,
		(long long)settings->away_after_ms, (long long)settings->lease_ms,
		(long long)settings->ttl_ms, (long long)settings->retain_ms,
		settings->device_topics ? ", device topics" : "",
		settings->is_out_of_budget ? ", short of time" : "");
}

static int64_t some_ms(uint64_t *state, int64_t most)
{
	/* Often short, sometimes long. */
	int64_t most_now = chance_below(state, 3) ? most / 8 : most;
	return 1 + (int64_t)chance_below(state, (uint64_t)(most_now > 0 ? most_now : 1));
}

static void arguments_roll(uint64_t *state, struct op *op)
{
	op->a = (int64_t)chance_below(state, 64);
	op->b = (int64_t)chance_below(state, 2) ? (int64_t)chance_below(state, 1000) : 0;
	switch (op->kind) {
	case OP_OVERRIDE:
		op->b = chance_below(state, 2) ? 4 * (500 + (int64_t)chance_below(state, 3000))
					       : 1 + 4 * (int64_t)chance_below(state, 500);
		break;
	case OP_BEAT:
		op->a = 1000 + (int64_t)chance_below(state, 3) * 500;
		break;
	case OP_SLOW:
		op->a = some_ms(state, 3000);
		break;
	case OP_HANG:
	case OP_OOM:
	case OP_READONLY:
	case OP_LOADING:
		op->a = some_ms(state, 8000);
		break;
	case OP_PLANT:
		op->a = (int64_t)chance_below(state, 90);
		op->b = some_ms(state, 6000);
		break;
	case OP_EVICT:
		op->a = (int64_t)chance_below(state, 1000);
		break;
	case OP_CRASH:
	case OP_STOP:
		op->a = some_ms(state, 6000);
		op->b = chance_below(state, 2) ? 0 : (int64_t)chance_below(state, 1u << CLIENTS);
		break;
	case OP_STALL:
	case OP_STALL_WORKER:
	case OP_FILE_FAIL:
		op->a = some_ms(state, 10000);
		break;
	case OP_CLOCK:
		op->a = (int64_t)chance_below(state, 2) ? -(int64_t)chance_below(state, 3600000)
							: (int64_t)chance_below(state, 3600000);
		break;
	default:
		break;
	}
}

static int rank_of(enum op_kind kind)
{
	/* Faults are rare among what clients do. */
	switch (kinds[kind].group) {
	case GROUP_CLIENT:
		return kind == OP_CONNECT ? 24 : kind == OP_KICK || kind == OP_FOREIGN ? 1 : 4;
	case GROUP_DECLARE:
	case GROUP_OVERRIDE:
		return kind == OP_FORGET ? 1 : 4;
	case GROUP_BEAT:
	case GROUP_TYPING:
		return 3;
	default:
		return 1;
	}
}

static enum op_kind kind_roll(uint64_t *state, const struct settings *settings)
{
	int total = 0;
	for (int kind = 0; kind < OP_KINDS; kind++)
		if (settings->groups >> kinds[kind].group & 1)
			total += rank_of((enum op_kind)kind);
	int chosen = (int)chance_below(state, (uint64_t)total);
	for (int kind = 0; kind < OP_KINDS; kind++) {
		if (!(settings->groups >> kinds[kind].group & 1))
			continue;
		chosen -= rank_of((enum op_kind)kind);
		if (chosen < 0)
			return (enum op_kind)kind;
	}
	return OP_CONNECT;
}

struct op *ops_roll(uint64_t seed, const struct settings *settings, size_t *count)
{
	uint64_t state = seed ^ 0x0905;
	struct op *ops = room_of(OPS_MAX * sizeof(*ops));
	int64_t at_ms = 0;
	*count = 10 + (size_t)chance_below(&state, OPS_MAX - 10);
	for (size_t i = 0; i < *count; i++) {
		/* Some at the same moment: they meet in one turn of the loop. */
		at_ms += chance_below(&state, 3) ? some_ms(&state, 2000) : 0;
		ops[i] = (struct op){ .at_ms = at_ms,
			.kind = kind_roll(&state, settings),
			.client = (int)chance_below(&state, CLIENTS) };
		if (i < 3)
			ops[i].kind = OP_CONNECT;
		arguments_roll(&state, &ops[i]);
	}
	return ops;
}

void op_print(const struct op *op, char *out, size_t size)
{
	(void)snprintf(out, size, "%lld %s %d %lld %lld", (long long)op->at_ms,
		kinds[op->kind].word, op->client, (long long)op->a, (long long)op->b);
}

bool op_parse(const char *line, struct op *op)
{
	char word[32];
	long long at_ms, a, b;
	int client;
	if (sscanf(line, "%lld %31s %d %lld %lld", &at_ms, word, &client, &a, &b) != 5 ||
		client < 0 || client >= CLIENTS)
		return false;
	for (int kind = 0; kind < OP_KINDS; kind++)
		if (!strcmp(kinds[kind].word, word)) {
			*op = (struct op){ at_ms, (enum op_kind)kind, client, a, b };
			return true;
		}
	return false;
}
