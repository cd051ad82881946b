/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* Commands as clients send them: each shape and each mistake, and what is answered. */

#include <stdio.h>

#include "check.h"
#include "wire/command.h"
#include "wire/replies.h"

static struct commands *parse_bytes(const char *bytes, size_t length)
{
	struct commands *commands = NULL;
	/* In a block of its own, so that a byte too far is noticed. */
	char *block = malloc(length ? length : 1);
	assert_non_null(block);
	memcpy(block, bytes, length);
	assert_int_equal(commands_parse(block, length, &commands), PRESENCE_OK);
	assert_non_null(commands);
	assert_true(commands->count <= COMMANDS_MAX);
	assert_int_equal(commands->count == 0, commands->problem[0] != '\0');
	free(block);
	return commands;
}

static struct commands *parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

/* Everything that was read, in words. */
static void describe(const struct command *command, char *out, size_t size)
{
	size_t length = 0;
#define SAY(...) length += (size_t)snprintf(out + length, size - length, __VA_ARGS__)
	if (command->problem[0]) {
		SAY("! %s", command->problem);
		return;
	}
	SAY("%s", command_name(command->type));
	if (command->correlation)
		SAY(" correlation=%s", command->correlation);
	if (command->interval_ms)
		SAY(" interval=%lld", (long long)command->interval_ms);
	if (command->has_status && command->type == COMMAND_SET_OVERRIDE)
		SAY(" override=%s", presence_override_name(command->override));
	else if (command->has_status)
		SAY(" status=%s", presence_status_name(command->status));
	if (command->note)
		SAY(" note=%s", command->note);
	if (command->ttl_ms)
		SAY(" ttl=%lld", (long long)command->ttl_ms);
	if (command->role)
		SAY(" role=%s", command->role);
	if (command->id)
		SAY(" id=%s", command->id);
	for (size_t i = 0; i < command->subject_count; i++) {
		struct subject_name name;
		command_subject(command, i, &name);
		SAY(" [%s|%s]", name.role, name.id);
	}
	if (command->type == COMMAND_LIST_PRESENCE)
		SAY(" count=%u offset=%u", command->count, command->offset);
	if (command->after)
		SAY(" after=%s", command->after);
	if (command->client_id)
		SAY(" clientid=%s", command->client_id);
	if (command->conversation)
		SAY(" conversation=%s %s %d", command->conversation,
			presence_activity_name(command->activity), command->active);
#undef SAY
	assert_true(length < size);
}

static const struct {
	const char *command, *read;
} cases[] = {
	/* Each command in full, and with as little as it takes. */
	{ "\"command\":\"heartbeat\"", "heartbeat" },
	{ "\"command\":\"heartbeat\",\"interval\":1.5,\"status\":\"dnd\",\"note\":\"in a call\"",
		"heartbeat interval=1500 status=dnd note=in a call" },
	{ "\"interval\":3600,\"command\":\"heartbeat\"", "heartbeat interval=3600000" },
	{ "\"command\":\"setStatus\",\"status\":\"offline\"", "setStatus status=offline" },
	{ "\"command\":\"setStatus\",\"status\":\"away\",\"note\":\"\"",
		"setStatus status=away note=" },
	{ "\"command\":\"clearStatus\",\"correlationData\":\"c 1\"",
		"clearStatus correlation=c 1" },
	{ "\"command\":\"leave\"", "leave" },
	{ "\"command\":\"typing\",\"conversation\":\"c/1\",\"active\":true",
		"typing conversation=c/1 typing 1" },
	{ "\"command\":\"typing\",\"conversation\":\"c1\",\"kind\":\"recording\",\"active\":false",
		"typing conversation=c1 recording 0" },
	{ "\"command\":\"setOverride\",\"status\":\"invisible\"",
		"setOverride override=invisible" },
	{ "\"command\":\"setOverride\",\"status\":\"away\",\"note\":\"lunch\",\"ttl\":1800,"
	  "\"role\":\"agent\",\"id\":\"a b\"",
		"setOverride override=away note=lunch ttl=1800000 role=agent id=a b" },
	{ "\"command\":\"setOverride\",\"status\":\"online\",\"ttl\":0.0001",
		"setOverride override=online ttl=1" },
	{ "\"command\":\"setOverride\",\"status\":\"online\",\"ttl\":31536000",
		"setOverride override=online ttl=31536000000" },
	{ "\"command\":\"clearOverride\"", "clearOverride" },
	{ "\"command\":\"clearOverride\",\"role\":\"r\",\"id\":\"i\"",
		"clearOverride role=r id=i" },
	{ "\"command\":\"getPresence\",\"subjects\":[]", "getPresence" },
	{ "\"command\":\"getPresence\",\"subjects\":[\"agent/u1\",\"client/a%2Fb\",\"client/a:b\","
	  "\"client/a/b\",\"r/50%25\"]",
		"getPresence [agent|u1] [client|a/b] [client|a:b] [client|a/b] [r|50%]" },
	{ "\"command\":\"listPresence\"", "listPresence count=100 offset=0" },
	{ "\"command\":\"listPresence\",\"role\":\"agent\",\"status\":\"away\",\"count\":1000,"
	  "\"offset\":7,\"after\":\"agent/u1\"",
		"listPresence status=away role=agent count=1000 offset=7 after=agent/u1" },
	{ "\"command\":\"getStats\"", "getStats" },
	{ "\"command\":\"listNodes\"", "listNodes" },
	{ "\"command\":\"kick\",\"clientid\":\"a\\u0001b\"", "kick clientid=a\001b" },
	{ "\"command\":\"forget\",\"role\":\"agent\",\"id\":\"u1\"", "forget role=agent id=u1" },

	/* No command, or an unknown one. */
	{ "", "! \"command\" is missing; it takes the name of a command, like \"leave\"" },
	{ "\"command\":7", "! \"command\" is 7; it takes the name of a command" },
	{ "\"command\":\"setStaus\"",
		"! unknown command \"setStaus\"; did you mean \"setStatus\"?" },
	{ "\"command\":\"heartbeat\\u0000\"",
		"! unknown command \"heartbeat\"; did you mean \"heartbeat\"?" },
	{ "\"command\":\"Leave\"", "! unknown command \"Leave\"; did you mean \"leave\"?" },
	{ "\"command\":\"createClient\"",
		"! unknown command \"createClient\"; docs/PROTOCOL.md of the plugin lists all "
		"there are" },
	{ "\"command\":\"\\u001b[2J\\\"\"",
		"! unknown command \"?[2J?\"; docs/PROTOCOL.md of the "
		"plugin lists all there are" },

	/* Keys. */
	{ "\"command\":\"setOverride\",\"status\":\"away\",\"tll\":5",
		"! unknown key \"tll\"; did you mean \"ttl\"?" },
	{ "\"command\":\"setStatus\",\"status\":\"away\",\"ttl\":5",
		"! unknown key \"ttl\"; setStatus takes status, note" },
	{ "\"command\":\"heartbeat\",\"role\":\"agent\"",
		"! unknown key \"role\"; heartbeat takes interval, status, note" },
	{ "\"command\":\"getStats\",\"verbose\":true",
		"! unknown key \"verbose\"; getStats takes none" },
	{ "\"command\":\"kick\",\"\":\"x\"", "! unknown key \"\"; kick takes clientid" },
	{ "\"command\":\"leave\",\"commands\":[]", "! unknown key \"commands\"; leave takes none" },
	{ "\"command\":\"setStatus\"",
		"! \"status\" is missing; it takes one of online, away, dnd, offline" },
	{ "\"command\":\"setOverride\",\"role\":\"a\",\"id\":\"b\"",
		"! \"status\" is missing; it takes one of online, away, dnd, invisible" },
	{ "\"command\":\"typing\",\"conversation\":\"c\"",
		"! \"active\" is missing; it takes true or false" },
	{ "\"command\":\"getPresence\"",
		"! \"subjects\" is missing; it takes a list of at most 256 names like "
		"\"agent/u1\"" },
	{ "\"command\":\"kick\"", "! \"clientid\" is missing; it takes the id of a client" },
	{ "\"command\":\"forget\",\"id\":\"u1\"",
		"! \"role\" is missing; it takes 1 to 128 bytes of text without control "
		"characters" },
	{ "\"command\":\"setOverride\",\"status\":\"away\",\"role\":\"agent\"",
		"! \"role\" and \"id\" name a subject together; give both, or none for your own" },
	{ "\"command\":\"clearOverride\",\"id\":\"u1\"",
		"! \"role\" and \"id\" name a subject together; give both, or none for your own" },
	{ "\"command\":\"heartbeat\",\"note\":\"x\"",
		"! \"note\" goes with a status; give \"status\" too, or use setStatus" },

	/* Values. */
	{ "\"command\":\"leave\",\"correlationData\":7",
		"! \"correlationData\" is 7; it takes a string" },
	{ "\"command\":\"heartbeat\",\"interval\":0.5",
		"! \"interval\" is 0.5; it takes seconds, from 1 to 3600" },
	{ "\"command\":\"heartbeat\",\"interval\":3601",
		"! \"interval\" is 3601; it takes seconds, from 1 to 3600" },
	{ "\"command\":\"heartbeat\",\"interval\":-2",
		"! \"interval\" is -2; it takes seconds, from 1 to 3600" },
	{ "\"command\":\"heartbeat\",\"interval\":1e999",
		"! \"interval\" is 1e999; it takes seconds, from 1 to 3600" },
	{ "\"command\":\"heartbeat\",\"interval\":NaN",
		"! \"interval\" is NaN; it takes seconds, from 1 to 3600" },
	{ "\"command\":\"heartbeat\",\"interval\":99999999999999999999999999",
		"! \"interval\" is 18446744073709551615; it takes seconds, from 1 to 3600" },
	{ "\"command\":\"heartbeat\",\"interval\":\"5\"",
		"! \"interval\" is \"5\"; it takes seconds, from 1 to 3600" },
	{ "\"command\":\"heartbeat\",\"interval\":null",
		"! \"interval\" is null; it takes seconds, from 1 to 3600" },
	{ "\"command\":\"heartbeat\",\"status\":\"offline\"",
		"! \"status\" is \"offline\"; it takes one of online, away, dnd" },
	{ "\"command\":\"setStatus\",\"status\":\"busy\"",
		"! \"status\" is \"busy\"; it takes one of online, away, dnd, offline" },
	{ "\"command\":\"setStatus\",\"status\":\"invisible\"",
		"! \"status\" is \"invisible\"; it takes one of online, away, dnd, offline" },
	{ "\"command\":\"setStatus\",\"status\":[\"away\"]",
		"! \"status\" is a list; it takes one of online, away, dnd, offline" },
	{ "\"command\":\"setStatus\",\"status\":\"away\\u0000\"",
		"! \"status\" is \"away?\"; it takes one of online, away, dnd, offline" },
	{ "\"command\":\"setOverride\",\"status\":\"offline\"",
		"! \"status\" is \"offline\"; it takes one of online, away, dnd, invisible" },
	{ "\"command\":\"setOverride\",\"status\":\"none\"",
		"! \"status\" is \"none\"; it takes one of online, away, dnd, invisible" },
	{ "\"command\":\"setStatus\",\"status\":\"away\",\"note\":\"a\\nb\"",
		"! \"note\" is \"a?b\"; it takes at most 128 bytes of text without control "
		"characters" },
	{ "\"command\":\"setStatus\",\"status\":\"away\",\"note\":{}",
		"! \"note\" is an object; it takes at most 128 bytes of text without control "
		"characters" },
	{ "\"command\":\"setOverride\",\"status\":\"away\",\"ttl\":0",
		"! \"ttl\" is 0; it takes seconds, more than 0 and up to a year; without it, until "
		"cleared" },
	{ "\"command\":\"setOverride\",\"status\":\"away\",\"ttl\":31536001",
		"! \"ttl\" is 31536001; it takes seconds, more than 0 and up to a year; without "
		"it, "
		"until cleared" },
	{ "\"command\":\"forget\",\"role\":\"\",\"id\":\"u1\"",
		"! \"role\" is \"\"; it takes 1 to 128 bytes of text without control characters" },
	{ "\"command\":\"forget\",\"role\":\"agent\",\"id\":\"u\\u0085\"",
		"! \"id\" is \"u?\"; it takes 1 to 128 bytes of text without control characters" },
	{ "\"command\":\"getPresence\",\"subjects\":\"agent/u1\"",
		"! \"subjects\" is \"agent/u1\"; it takes a list of at most 256 names like "
		"\"agent/u1\"" },
	{ "\"command\":\"getPresence\",\"subjects\":[\"agent/u1\",\"agent\"]",
		"! \"subjects\" has \"agent\" in it; a subject is written like \"agent/u1\", with "
		"% "
		"as %25" },
	{ "\"command\":\"getPresence\",\"subjects\":[\"agent/50%\"]",
		"! \"subjects\" has \"agent/50%\" in it; a subject is written like \"agent/u1\", "
		"with "
		"% as %25" },
	{ "\"command\":\"getPresence\",\"subjects\":[null]",
		"! \"subjects\" has null in it; a subject is written like \"agent/u1\", with % as "
		"%25" },
	{ "\"command\":\"listPresence\",\"count\":0",
		"! \"count\" is 0; it takes a whole number from 1 to 1000" },
	{ "\"command\":\"listPresence\",\"count\":1001",
		"! \"count\" is 1001; it takes a whole number from 1 to 1000" },
	{ "\"command\":\"listPresence\",\"count\":1.0",
		"! \"count\" is 1.0; it takes a whole number from 1 to 1000" },
	{ "\"command\":\"listPresence\",\"offset\":-1",
		"! \"offset\" is -1; it takes a whole number from 0 to 2147483647" },
	{ "\"command\":\"listPresence\",\"after\":\"/u1\"",
		"! \"after\" is \"/u1\"; it takes a name like \"agent/u1\", with % as %25" },
	{ "\"command\":\"kick\",\"clientid\":\"\"",
		"! \"clientid\" is \"\"; it takes the id of a client" },
	{ "\"command\":\"typing\",\"conversation\":\"\",\"active\":true",
		"! \"conversation\" is \"\"; it takes 1 to 128 bytes of text without control "
		"characters" },
	{ "\"command\":\"typing\",\"conversation\":\"c\",\"kind\":\"sleeping\",\"active\":true",
		"! \"kind\" is \"sleeping\"; it takes typing or recording" },
	{ "\"command\":\"typing\",\"conversation\":\"c\",\"active\":1",
		"! \"active\" is 1; it takes true or false" },
	{ "\"command\":\"setStatus\",\"status\":"
	  "\"0123456789012345678901234567890123456789\"",
		"! \"status\" is \"01234567890123456789012345678901..\"; it takes one of online, "
		"away, dnd, offline" },
};

static void commands_are_read_or_told_what_is_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[1024], read[1024];
		(void)snprintf(
			text, sizeof(text), " {\"commands\" : [ {%s} ] }\r\n", cases[i].command);
		struct commands *commands = parse(text);
		assert_int_equal(commands->count, 1);
		describe(&commands->item[0], read, sizeof(read));
		if (strcmp(read, cases[i].read) != 0)
			fail_msg("%s\n  reads %s\n  not   %s", cases[i].command, read,
				cases[i].read);
		commands_destroy(commands);
	}
}

static void each_command_is_read_somewhere(void **state)
{
	(void)state;
	for (int type = 0; type < COMMAND_TYPES; type++) {
		const char *name = command_name((enum command_type)type);
		size_t i = 0;
		while (i < COUNT_OF(cases) &&
			(cases[i].read[0] == '!' ||
				strncmp(cases[i].read, name, strlen(name)) != 0))
			i++;
		assert_true(i < COUNT_OF(cases));
	}
}

#define EXAMPLE "send {\"commands\":[{\"command\":\"leave\"}]}"

static const struct {
	const char *message, *problem;
} messages[] = {
	{ "", "the message is cut off, or empty; " EXAMPLE },
	{ "  ", "the message is cut off, or empty; " EXAMPLE },
	{ "{", "the message is cut off, or empty; " EXAMPLE },
	{ "online", "the message is no JSON from byte 1 on; " EXAMPLE },
	{ "{commands:[]}", "the message is no JSON from byte 2 on; " EXAMPLE },
	{ "{\"commands\":[{\"command\":\"leave\"}]}x",
		"the message is no JSON from byte 35 on; " EXAMPLE },
	{ "{\"commands\":[{\"command\":\"leave\"},]}",
		"the message is no JSON from byte 34 on; " EXAMPLE },
	{ "null ", "the message is null; " EXAMPLE },
	{ "[]", "the message is a list; " EXAMPLE },
	{ "\"leave\"", "the message is \"leave\"; " EXAMPLE },
	{ "{}", "\"commands\" is missing, empty or no list; " EXAMPLE },
	{ "{\"commands\":[]}", "\"commands\" is missing, empty or no list; " EXAMPLE },
	{ "{\"commands\":{}}", "\"commands\" is missing, empty or no list; " EXAMPLE },
	{ "{\"command\":\"leave\"}", "unknown key \"command\" beside \"commands\"; " EXAMPLE },
	{ "{\"commands\":[{\"command\":[[[[[[[[]]]]]]]]}]}",
		"the message is nested too deep, 8 levels at most; " EXAMPLE },
};

static void messages_that_are_none_say_why(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(messages); i++) {
		struct commands *commands = parse(messages[i].message);
		if (commands->count || strcmp(commands->problem, messages[i].problem) != 0)
			fail_msg("%s\n  is   %s\n  not  %s", messages[i].message, commands->problem,
				messages[i].problem);
		commands_destroy(commands);
	}
}

static void a_zero_byte_ends_no_message(void **state)
{
	static const char text[] = "{\"commands\":[{\"command\":\"leave\"}]}\0 ";
	(void)state;
	struct commands *commands = parse_bytes(text, sizeof(text) - 1);
	assert_int_equal(commands->count, 0);
	commands_destroy(commands);
}

static void no_command_is_an_object_only(void **state)
{
	(void)state;
	struct commands *commands = parse(
		"{\"commands\":[7,null,\"leave\",{\"command\":\"leave\"}]}");
	assert_int_equal(commands->count, 4);
	assert_string_equal(commands->item[0].problem,
		"a command is 7; it takes an object, like {\"command\":\"leave\"}");
	assert_string_equal(commands->item[0].name, "");
	assert_string_equal(commands->item[3].problem, "");
	commands_destroy(commands);
}

/* Writes count commands, and no more than size bytes. */
static size_t write_many(char *out, size_t size, size_t count)
{
	size_t length = (size_t)snprintf(out, size, "{\"commands\":[");
	for (size_t i = 0; i < count; i++)
		length += (size_t)snprintf(out + length, size - length,
			"%s{\"command\":\"leave\",\"correlationData\":\"%zu\"}", i ? "," : "", i);
	length += (size_t)snprintf(out + length, size - length, "]}");
	assert_true(length < size);
	return length;
}

static void so_many_commands_and_no_more(void **state)
{
	static char text[8192];
	(void)state;
	struct commands *commands = parse_bytes(text, write_many(text, sizeof(text), 64));
	assert_int_equal(commands->count, 64);
	assert_string_equal(commands->item[63].correlation, "63");
	commands_destroy(commands);
	commands = parse_bytes(text, write_many(text, sizeof(text), 65));
	assert_int_equal(commands->count, 0);
	assert_string_equal(
		commands->problem, "65 commands in a message, 64 at most; send them in several");
	commands_destroy(commands);
}

static void so_many_bytes_and_no_more(void **state)
{
	static char text[COMMANDS_BYTES_MAX + 1];
	(void)state;
	memset(text, ' ', sizeof(text));
	memcpy(text, "{\"commands\":[{\"command\":\"leave\"}]}", 34);
	struct commands *commands = parse_bytes(text, COMMANDS_BYTES_MAX);
	assert_int_equal(commands->count, 1);
	commands_destroy(commands);
	commands = parse_bytes(text, COMMANDS_BYTES_MAX + 1);
	assert_int_equal(commands->count, 0);
	assert_string_equal(commands->problem,
		"65537 bytes in a message, 65536 at most; send the commands in several");
	commands_destroy(commands);
}

static void so_many_subjects_and_no_more(void **state)
{
	static char text[8192];
	(void)state;
	for (size_t count = 256; count <= 257; count++) {
		size_t length = (size_t)snprintf(text, sizeof(text),
			"{\"commands\":[{\"command\":\"getPresence\",\"subjects\":[");
		for (size_t i = 0; i < count; i++)
			length += (size_t)snprintf(text + length, sizeof(text) - length,
				"%s\"agent/u%zu\"", i ? "," : "", i);
		(void)snprintf(text + length, sizeof(text) - length, "]}]}");
		struct commands *commands = parse(text);
		assert_int_equal(commands->count, 1);
		if (count == 256) {
			struct subject_name name;
			assert_int_equal(commands->item[0].subject_count, 256);
			command_subject(&commands->item[0], 255, &name);
			assert_string_equal(name.id, "u255");
		} else {
			assert_string_equal(commands->item[0].problem,
				"\"subjects\" has 257 names, 256 at most; ask for the others in "
				"another command");
		}
		commands_destroy(commands);
	}
}

static void notes_and_ids_have_128_bytes(void **state)
{
	(void)state;
	for (int length = 128; length <= 129; length++) {
		char text[1024], value[130];
		memset(value, 'n', sizeof(value));
		(void)snprintf(text, sizeof(text),
			"{\"commands\":[{\"command\":\"setStatus\",\"status\":\"dnd\",\"note\":\"%."
			"*s\"},"
			"{\"command\":\"forget\",\"role\":\"agent\",\"id\":\"%.*s\"}]}",
			length, value, length, value);
		struct commands *commands = parse(text);
		assert_int_equal(commands->item[0].problem[0] != '\0', length > 128);
		assert_int_equal(commands->item[1].problem[0] != '\0', length > 128);
		commands_destroy(commands);
	}
}

static const char whole[] =
	"{\"commands\":[{\"command\":\"setOverride\",\"status\":\"away\",\"ttl\":1.5e2,\"note\":"
	"\"\\u00fcber \xc3\xa4\",\"role\":\"agent\",\"id\":\"u1\",\"correlationData\":\"x\"},"
	"{\"command\":\"getPresence\",\"subjects\":[\"agent/u1\"]}]}";

static void cut_anywhere_it_is_none(void **state)
{
	(void)state;
	for (size_t length = 0; length < sizeof(whole) - 1; length++) {
		struct commands *commands = parse_bytes(whole, length);
		assert_int_equal(commands->count, 0);
		commands_destroy(commands);
	}
	struct commands *commands = parse(whole);
	assert_int_equal(commands->count, 2);
	assert_string_equal(commands->item[0].problem, "");
	assert_string_equal(commands->item[1].problem, "");
	commands_destroy(commands);
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static void any_bytes_are_answered(void **state)
{
	uint64_t seed = seed_of_test();
	(void)state;
	for (int round = 0; round < 20000; round++) {
		char bytes[sizeof(whole)];
		memcpy(bytes, whole, sizeof(whole));
		for (uint32_t i = random_below(&seed, 4) + 1; i; i--)
			bytes[random_below(&seed, sizeof(whole) - 1)] = (char)random_below(
				&seed, 256);
		struct commands *commands = parse_bytes(bytes, sizeof(whole) - 1);
		assert_true(is_printable(commands->problem));
		for (size_t i = 0; i < commands->count; i++)
			assert_true(is_printable(commands->item[i].problem));
		commands_destroy(commands);
	}
}

static void invalid_utf8_is_no_json(void **state)
{
	static const char *const bad[] = { "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
		"\xc3" };
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char text[128];
		(void)snprintf(text, sizeof(text),
			"{\"commands\":[{\"command\":\"setStatus\",\"status\":\"dnd\",\"note\":\"%"
			"s\"}]}",
			bad[i]);
		struct commands *commands = parse(text);
		/* json-c lets surrogates pass; the note does not. */
		assert_true(!commands->count || commands->item[0].problem[0]);
		commands_destroy(commands);
	}
}

static void names_are_written_as_they_are_read(void **state)
{
	uint64_t seed = seed_of_test();
	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct subject_name name, again;
		char text[SUBJECT_NAME_MAX];
		random_id(&seed, PRESENCE_ID_MAX, name.role);
		random_id(&seed, PRESENCE_ID_MAX, name.id);
		int length = subject_name_write(name.role, name.id, text, sizeof(text));
		assert_int_equal(length, strlen(text));
		assert_int_equal(subject_name_read(text, &again), PRESENCE_OK);
		assert_string_equal(again.role, name.role);
		assert_string_equal(again.id, name.id);
		/* One byte less is too little. */
		assert_int_equal(subject_name_write(name.role, name.id, text, (size_t)length),
			PRESENCE_EINVAL);
	}
}

static void answers_have_their_shape(void **state)
{
	static const struct presence_record record = { .role = "agent", .id = "u\"1" };
	size_t length;
	(void)state;
	struct commands *commands = parse(
		"{\"commands\":[{\"command\":\"getPresence\",\"subjects\":[],\"correlationData\":"
		"\"a\\u0000/\\\"\"},{\"command\":\"no\\nsuch\"},{\"command\":\"leave\"}]}");
	struct replies *replies = replies_create();
	assert_int_equal(replies_count(replies), 0);
	replies_add(replies, &commands->item[0]);
	reply_number(replies, "totalCount", 3);
	reply_list(replies, "subjects");
	reply_record(replies, &record, "b1");
	reply_json(replies, NULL, "{\"x\":[1]}");
	reply_string(replies, "after", "agent/u1");
	replies_add(replies, &commands->item[1]);
	reply_list(replies, "subjects");
	reply_error(replies, commands->item[1].problem);
	replies_add(replies, &commands->item[2]);
	replies_add(replies, NULL);
	reply_error(replies, "no JSON");
	assert_int_equal(replies_count(replies), 4);
	const char *text = replies_text(replies, &length);
	assert_non_null(text);
	assert_int_equal(length, strlen(text));
	assert_string_equal(text,
		"{\"responses\":["
		"{\"command\":\"getPresence\",\"correlationData\":\"a\\u0000/\\\"\",\"data\":{"
		"\"totalCount\":3,\"subjects\":[{\"v\":1,\"role\":\"agent\",\"id\":\"u\\\"1\","
		"\"status\":\"offline\",\"previous\":\"offline\",\"reason\":\"unknown\","
		"\"source\":\"inferred\",\"devices\":0,\"since\":0,\"last_seen\":0,\"rev\":0,"
		"\"node\":\"b1\"},{\"x\":[1]}],\"after\":\"agent/u1\"}},"
		"{\"command\":\"no?such\",\"error\":\"unknown command \\\"no?such\\\"; "
		"docs/PROTOCOL.md of the plugin lists all there are\"},"
		"{\"command\":\"leave\",\"data\":{}},"
		"{\"command\":\"\",\"error\":\"no JSON\"}]}");
	replies_destroy(replies);
	commands_destroy(commands);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_are_read_or_told_what_is_wrong),
		cmocka_unit_test(each_command_is_read_somewhere),
		cmocka_unit_test(messages_that_are_none_say_why),
		cmocka_unit_test(a_zero_byte_ends_no_message),
		cmocka_unit_test(no_command_is_an_object_only),
		cmocka_unit_test(so_many_commands_and_no_more),
		cmocka_unit_test(so_many_bytes_and_no_more),
		cmocka_unit_test(so_many_subjects_and_no_more),
		cmocka_unit_test(notes_and_ids_have_128_bytes),
		cmocka_unit_test(cut_anywhere_it_is_none),
		cmocka_unit_test(any_bytes_are_answered),
		cmocka_unit_test(invalid_utf8_is_no_json),
		cmocka_unit_test(names_are_written_as_they_are_read),
		cmocka_unit_test(answers_have_their_shape),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
