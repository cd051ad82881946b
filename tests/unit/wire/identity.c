/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/identity.h"

#include "check.h"
#include "wire/options.h"

static struct options *make(const struct option_pair *pairs, size_t count)
{
	struct options *options;
	char problem[OPTIONS_PROBLEM_MAX];
	const struct options_input input = { .pairs = pairs, .count = count, .host_name = "b1" };
	if (options_parse(&input, &options, problem))
		fail_msg("%s", problem);
	return options;
}

struct row {
	const char *client_id, *username;
	enum identity_verdict verdict;
	const char *role, *id, *device;
	bool unmatched;
};

static void check_rows(const struct options *options, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *row = &rows[i];
		struct identity got;
		enum identity_verdict verdict = identity_of(
			options, row->client_id, row->username, &got);
		if (verdict != row->verdict)
			fail_msg("row %zu: verdict %d", i, verdict);
		if (verdict != IDENTITY_TRACKED)
			continue;
		if (strcmp(got.role, row->role) || strcmp(got.id, row->id) ||
			strcmp(got.device, row->device) || got.unmatched != row->unmatched)
			fail_msg("row %zu: %s %s %s %d", i, got.role, got.id, got.device,
				got.unmatched);
	}
}

#define ID_128                                                             \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void client_ids_name_role_id_and_device(void **state)
{
	static const struct row rows[] = {
		{ "agent:u1:phone", NULL, IDENTITY_TRACKED, "agent", "u1", "phone", false },
		{ "agent:u1", NULL, IDENTITY_TRACKED, "agent", "u1", "agent:u1", false },
		{ "admin:root", "x", IDENTITY_TRACKED, "admin", "root", "admin:root", false },
		/* As little as it can, the last one the rest. */
		{ "agent:a:b:c:d", NULL, IDENTITY_TRACKED, "agent", "a", "b:c:d", false },
		{ "device:00:1b:63", NULL, IDENTITY_TRACKED, "device", "00", "1b:63", false },
		/* And never nothing: the second rule takes these. */
		{ "agent:u1:", NULL, IDENTITY_TRACKED, "agent", "u1:", "agent:u1:", false },
		{ "agent::x", NULL, IDENTITY_TRACKED, "agent", ":x", "agent::x", false },
		{ "agent:::x", NULL, IDENTITY_TRACKED, "agent", ":", "x", false },
		/* A literal inside an id is no end of it when nothing would be left. */
		{ "agent::", NULL, IDENTITY_TRACKED, "agent", ":", "agent::", false },
		/* What no rule matches. */
		{ "agent:", NULL, IDENTITY_TRACKED, "client", "agent:", "agent:", true },
		{ ":u1", NULL, IDENTITY_TRACKED, "client", ":u1", ":u1", true },
		{ ":", NULL, IDENTITY_TRACKED, "client", ":", ":", true },
		{ "agent", NULL, IDENTITY_TRACKED, "client", "agent", "agent", true },
		{ "sensor-7", NULL, IDENTITY_TRACKED, "client", "sensor-7", "sensor-7", true },
		/* A MAC address is no role, and neither is a longer or shorter word. */
		{ "00:1b:63:84:45:e6", NULL, IDENTITY_TRACKED, "client", "00:1b:63:84:45:e6",
			"00:1b:63:84:45:e6", true },
		{ "agents:u1", NULL, IDENTITY_TRACKED, "client", "agents:u1", "agents:u1", true },
		{ "agen:u1", NULL, IDENTITY_TRACKED, "client", "agen:u1", "agen:u1", true },
		{ "Agent:u1", NULL, IDENTITY_TRACKED, "client", "Agent:u1", "Agent:u1", true },
		{ "*:u1", NULL, IDENTITY_TRACKED, "client", "*:u1", "*:u1", true },
		/* Ids are raw. */
		{ "agent:a/b+#$:p", NULL, IDENTITY_TRACKED, "agent", "a/b+#$", "p", false },
		{ "agent:\xc3\xa9", NULL, IDENTITY_TRACKED, "agent", "\xc3\xa9", "agent:\xc3\xa9",
			false },
		/* The name of a user says nothing without a rule. */
		{ "x", "agent.u1", IDENTITY_TRACKED, "client", "x", "x", true },
		/* Made up by brokers and libraries. */
		{ "auto-1234", NULL, IDENTITY_IGNORED, NULL, NULL, NULL, false },
		{ "mosq-x", NULL, IDENTITY_IGNORED, NULL, NULL, NULL, false },
		{ "mqttjs_12", NULL, IDENTITY_IGNORED, NULL, NULL, NULL, false },
		{ "presencectl-1", NULL, IDENTITY_IGNORED, NULL, NULL, NULL, false },
		{ "auto-\xff", NULL, IDENTITY_IGNORED, NULL, NULL, NULL, false },
		{ "auto", NULL, IDENTITY_TRACKED, "client", "auto", "auto", true },
		{ "x-auto-", NULL, IDENTITY_TRACKED, "client", "x-auto-", "x-auto-", true },
		/* What is no id. */
		{ NULL, NULL, IDENTITY_INVALID, NULL, NULL, NULL, false },
		{ "", NULL, IDENTITY_INVALID, NULL, NULL, NULL, false },
		{ "a\nb", NULL, IDENTITY_INVALID, NULL, NULL, NULL, false },
		{ "\xff", NULL, IDENTITY_INVALID, NULL, NULL, NULL, false },
		{ "agent:u\x7f:p", NULL, IDENTITY_INVALID, NULL, NULL, NULL, false },
		{ "agent:u:\xc2\x80", NULL, IDENTITY_INVALID, NULL, NULL, NULL, false },
		{ "agent:\xc0\xaf:p", NULL, IDENTITY_INVALID, NULL, NULL, NULL, false },
		/* 128 bytes and no more; without {device} the whole client id is one. */
		{ ID_128, NULL, IDENTITY_TRACKED, "client", ID_128, ID_128, true },
		{ ID_128 "!", NULL, IDENTITY_INVALID, NULL, NULL, NULL, false },
		{ "agent:" ID_128, NULL, IDENTITY_INVALID, NULL, NULL, NULL, false },
		{ "agent:" ID_128 ":" ID_128, NULL, IDENTITY_TRACKED, "agent", ID_128, ID_128,
			false },
		{ "agent:" ID_128 "!:p", NULL, IDENTITY_INVALID, NULL, NULL, NULL, false },
		{ "agent:u1:" ID_128 "!", NULL, IDENTITY_INVALID, NULL, NULL, NULL, false },
	};
	struct options *options = make(NULL, 0);
	(void)state;
	check_rows(options, rows, COUNT_OF(rows));
	options_destroy(options);
}

static void usernames_may_name_them_too(void **state)
{
	static const struct option_pair pairs[] = {
		{ "identity", "username {role}.{id}" },
		{ "identity", "clientid {role}:{id}:{device}" },
	};
	static const struct row rows[] = {
		{ "phone", "agent.u1", IDENTITY_TRACKED, "agent", "u1", "phone", false },
		{ "agent:u2:pc", "agent.u1", IDENTITY_TRACKED, "agent", "u1", "agent:u2:pc",
			false },
		{ "phone", "agent.j.doe", IDENTITY_TRACKED, "agent", "j.doe", "phone", false },
		{ "phone", "agent..", IDENTITY_TRACKED, "agent", ".", "phone", false },
		/* The next rule has its turn. */
		{ "agent:u2:pc", NULL, IDENTITY_TRACKED, "agent", "u2", "pc", false },
		{ "agent:u2:pc", "", IDENTITY_TRACKED, "agent", "u2", "pc", false },
		{ "agent:u2:pc", "bob", IDENTITY_TRACKED, "agent", "u2", "pc", false },
		{ "agent:u2:pc", "robot.x", IDENTITY_TRACKED, "agent", "u2", "pc", false },
		{ "agent:u2:pc", "agent.", IDENTITY_TRACKED, "agent", "u2", "pc", false },
		{ "phone", "robot.x", IDENTITY_TRACKED, "client", "phone", "phone", true },
		/* The client id is the device, so it must do as one. */
		{ ID_128 "!", "agent.u1", IDENTITY_INVALID, NULL, NULL, NULL, false },
		{ "phone", "agent.u\t1", IDENTITY_INVALID, NULL, NULL, NULL, false },
		{ "auto-1", "agent.u1", IDENTITY_IGNORED, NULL, NULL, NULL, false },
	};
	struct options *options = make(pairs, COUNT_OF(pairs));
	(void)state;
	check_rows(options, rows, COUNT_OF(rows));
	options_destroy(options);
}

static void literals_stand_anywhere(void **state)
{
	static const struct option_pair pairs[] = {
		{ "identity", "clientid app/{device}--{role}[{id}]" },
		{ "identity", "clientid \xc3\xa9{id}@{role}" },
		{ "roles", "*" },
		{ "unmatched", "ignore" },
		{ "ignore_prefixes", "none" },
	};
	static const struct row rows[] = {
		{ "app/tab--user[u1]", NULL, IDENTITY_TRACKED, "user", "u1", "tab", false },
		{ "app/tab-1--user[u[1]]", NULL, IDENTITY_TRACKED, "user", "u[1]", "tab-1", false },
		{ "app/--tab--user[u1]", NULL, IDENTITY_TRACKED, "user", "u1", "--tab", false },
		{ "app/tab--user[u1", NULL, IDENTITY_IGNORED, NULL, NULL, NULL, false },
		{ "app/tab--user[]", NULL, IDENTITY_IGNORED, NULL, NULL, NULL, false },
		{ "app/tab--user]", NULL, IDENTITY_IGNORED, NULL, NULL, NULL, false },
		{ "app/tab-user[u1]", NULL, IDENTITY_IGNORED, NULL, NULL, NULL, false },
		{ "App/tab--user[u1]", NULL, IDENTITY_IGNORED, NULL, NULL, NULL, false },
		{ "app/", NULL, IDENTITY_IGNORED, NULL, NULL, NULL, false },
		{ "app/-", NULL, IDENTITY_IGNORED, NULL, NULL, NULL, false },
		{ "\xc3\xa9u@h@any role", NULL, IDENTITY_TRACKED, "h@any role", "u",
			"\xc3\xa9u@h@any role", false },
		{ "auto-1", NULL, IDENTITY_IGNORED, NULL, NULL, NULL, false },
	};
	struct options *options = make(pairs, COUNT_OF(pairs));
	(void)state;
	check_rows(options, rows, COUNT_OF(rows));
	options_destroy(options);
}

static const struct {
	const char *value, *text, *problem;
} rules[] = {
	{ "clientid {role}:{id}", "clientid {role}:{id}", NULL },
	{ "  username \t {role}.{id} ", "username {role}.{id}", NULL },
	{ "clientid {id}/{role}", "clientid {id}/{role}", NULL },
	{ "clientid x{device}y{role}z{id}w", "clientid x{device}y{role}z{id}w", NULL },
	{ "", NULL, "is not clientid or username, then a pattern, like clientid {role}:{id}" },
	{ "clientid", NULL,
		"is not clientid or username, then a pattern, like clientid {role}:{id}" },
	{ "clientid{role}:{id}", NULL,
		"is not clientid or username, then a pattern, like clientid {role}:{id}" },
	{ "{role}:{id}", NULL,
		"is not clientid or username, then a pattern, like clientid {role}:{id}" },
	{ "ClientId {role}:{id}", NULL,
		"is not clientid or username, then a pattern, like clientid {role}:{id}" },
	{ "clientid ", NULL, "needs a pattern, like clientid {role}:{id}" },
	{ "clientid {role}", NULL, "needs both {role} and {id}" },
	{ "clientid {id}", NULL, "needs both {role} and {id}" },
	{ "clientid agent", NULL, "needs both {role} and {id}" },
	{ "clientid {device}:{id}", NULL, "needs both {role} and {id}" },
	{ "clientid {role}{id}", NULL,
		"needs something between two placeholders, to tell where one ends" },
	{ "clientid {role}:{id}{device}", NULL,
		"needs something between two placeholders, to tell where one ends" },
	{ "clientid {role}:{id}:{role}", NULL, "has a placeholder twice" },
	{ "clientid {role}:{user}", NULL,
		"has an unknown placeholder; there are {role}, {id} and {device}" },
	{ "clientid {Role}:{id}", NULL,
		"has an unknown placeholder; there are {role}, {id} and {device}" },
	{ "clientid {role}:{id", NULL,
		"has an unknown placeholder; there are {role}, {id} and {device}" },
	{ "clientid {role}:{id}}", NULL,
		"has an unknown placeholder; there are {role}, {id} and {device}" },
	{ "clientid {role}:{}:{id}", NULL,
		"has an unknown placeholder; there are {role}, {id} and {device}" },
	{ "clientid {role}:{id} # all", NULL, "has a blank in its pattern" },
	{ "clientid {role} {id}", NULL, "has a blank in its pattern" },
	{ "clientid {role}\x01{id}", NULL, "has characters in its pattern that no id can have" },
	{ "clientid {role}\xff{id}", NULL, "has characters in its pattern that no id can have" },
	{ "clientid {role}:{id}" ID_128, NULL, "has a pattern of more than 128 bytes" },
};

static void a_rule_that_makes_no_sense_is_explained(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		struct identity_rule *rule;
		const char *problem;
		int err = identity_rule_create(rules[i].value, &rule, &problem);
		if (rules[i].problem) {
			assert_int_equal(err, PRESENCE_EINVAL);
			assert_null(rule);
			assert_string_equal(problem, rules[i].problem);
			continue;
		}
		assert_int_equal(err, PRESENCE_OK);
		assert_string_equal(identity_rule_text(rule), rules[i].text);
		assert_int_equal(identity_rule_source(rule),
			rules[i].text[0] == 'u' ? IDENTITY_USERNAME : IDENTITY_CLIENTID);
		identity_rule_destroy(rule);
	}
}

/* Whatever strangers call themselves, what comes out qualifies, and says where it came from. */
static void any_client_id_has_a_verdict(void **state)
{
	uint64_t seed = seed_of_test();
	struct options *options = make(NULL, 0);
	unsigned seen[IDENTITY_INVALID + 1] = { 0 };
	(void)state;
	for (int i = 0; i < 50000; i++) {
		static const char *const pieces[] = { "agent", "user", ":", ":", "a", "\xc3\xa9",
			"\xff", "\n", "0123456789abcdef0123456789abcdef", "auto-" };
		char client_id[512] = "";
		for (uint32_t n = random_below(&seed, 10); n > 0; n--)
			strcat(client_id, pieces[random_below(&seed, COUNT_OF(pieces))]);
		struct identity got;
		enum identity_verdict verdict = identity_of(options, client_id, NULL, &got);
		seen[verdict]++;
		if (verdict != IDENTITY_TRACKED)
			continue;
		assert_true(topic_id_valid(got.role));
		assert_true(topic_id_valid(got.id));
		assert_true(topic_id_valid(got.device));
		char again[3 * PRESENCE_ID_MAX + 3];
		strcpy(again, got.unmatched ? "" : got.role);
		strcat(strcat(again, got.unmatched ? "" : ":"), got.id);
		if (strcmp(got.device, client_id))
			strcat(strcat(again, ":"), got.device);
		assert_string_equal(again, client_id);
	}
	for (size_t i = 0; i < COUNT_OF(seen); i++)
		assert_true(seen[i] > 0);
	options_destroy(options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client_ids_name_role_id_and_device),
		cmocka_unit_test(usernames_may_name_them_too),
		cmocka_unit_test(literals_stand_anywhere),
		cmocka_unit_test(a_rule_that_makes_no_sense_is_explained),
		cmocka_unit_test(any_client_id_has_a_verdict),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
