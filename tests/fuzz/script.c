/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The writer to Redis against a Redis that answers anything: well formed replies of any content, at
 * any moment, with lost connections and passing time in between. What it hands to the broker is
 * within the contract, what it sends is a row of commands, and in the end, with a Redis in good
 * health, all is written. */

#include <stdarg.h>

#include "contract.h"
#include "fuzz.h"
#include "store/redis/reader.h"
#include "store/redis/state.h"

enum { REPLY_BYTES_MAX = 4096, ITEMS_MAX = 2000, OPERATIONS_MAX = 400, HEALING_MAX = 20000 };

struct rig {
	struct input input;
	struct redis_writer_config config;
	struct mailbox *box;
	struct redis_writer *writer;
	struct redis_reader *reader; /* makes replies of bytes */
	int64_t now_ms;
	int64_t epoch;
	unsigned put;
};

/* ---- replies ---- */

struct text_out {
	char bytes[REPLY_BYTES_MAX];
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void add(struct text_out *out, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(
		out->bytes + out->length, sizeof(out->bytes) - out->length, format, arguments);
	va_end(arguments);
	if (length > 0 && (size_t)length < sizeof(out->bytes) - out->length)
		out->length += (size_t)length;
}

static void add_string(struct text_out *out, const char *text)
{
	add(out, "$%zu\r\n%s\r\n", strlen(text), text);
}

static const char *const words[] = {
	"OK", "FENCED", "LOST", "HELD", "MISMATCH", "TYPE", "DUP", "0", "1", "2", "-1",
	"9223372036854775807", "-9223372036854775808", "9007199254740992", "1763769600123000",
	"agent/u1", "device/u2", "%/", "agent/%C3%A9", "online", "offline", "dnd", "invisible",
	"away", "none", "connect", "inferred", "manual", "hash", "a note", "\x1b[2J\n", "\xff", "",
	"client/auto", "laptop", "0000000000000001", "maxmemory_policy:allkeys-lru\r\n",
	"maxmemory_policy:", "0123456789abcdef0123456789abcdef01234567",
	"a text that is longer than any cursor, any hash and any name that would be taken for one"
};
static const char *const errors[] = { "NOSCRIPT No matching script", "ERR", "OOM command not",
	"READONLY You", "LOADING", "NOAUTH", "WRONGPASS", "NOPERM this", "BUSY", "MISCONF", "",
	"ERR AUTH" };
#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static void add_any(struct text_out *out, struct input *input, int depth)
{
	enum { WORD, BYTES, NUMBER, NOTHING, ERROR, STATUS, ARRAY, KINDS };
	unsigned kind = take_byte(input) % KINDS;
	if (kind == WORD) {
		add_string(out, words[take_byte(input) % COUNT_OF(words)]);
	} else if (kind == BYTES) {
		char *line = take_line(input);
		add_string(out, line);
		free(line);
	} else if (kind == NUMBER) {
		add(out, ":%lld\r\n", (long long)take_number(input, 1 + take_byte(input) % 8));
	} else if (kind == NOTHING) {
		add(out, "$-1\r\n");
	} else if (kind == ERROR) {
		add(out, "-%s\r\n", errors[take_byte(input) % COUNT_OF(errors)]);
	} else if (kind == STATUS || depth >= REDIS_REPLY_DEPTH_MAX) {
		add(out, "+OK\r\n");
	} else {
		unsigned count = take_byte(input) % 16;
		add(out, "*%u\r\n", count);
		while (count--)
			add_any(out, input, depth + 1);
	}
}

/* What Redis says when all is well. */
static void add_good(struct text_out *out, struct rig *rig, const struct redis_command *command)
{
	const struct redis_partition *partition = &rig->writer->partitions[command->place];
	switch (command->kind) {
	case REDIS_AUTH:
	case REDIS_SELECT:
		add(out, "+OK\r\n");
		break;
	case REDIS_INFO:
		add_string(out, "maxmemory_policy:noeviction\r\n");
		break;
	case REDIS_LOAD:
		add_string(out, "0123456789abcdef0123456789abcdef01234567");
		break;
	case REDIS_REGISTER:
		add(out, "*7\r\n$2\r\nOK\r\n:%lld\r\n:1\r\n:%lld\r\n:0\r\n:0\r\n:5\r\n",
			(long long)++rig->epoch, (long long)partition->acked);
		break;
	case REDIS_APPLY:
		add(out, "*3\r\n$2\r\nOK\r\n:1\r\n:1\r\n");
		break;
	case REDIS_REFRESH:
	case REDIS_RENEW:
	case REDIS_LEAVE:
		add(out, "*1\r\n$2\r\nOK\r\n");
		break;
	case REDIS_SNAPSHOT:
	case REDIS_SWEEP:
		add(out, "*4\r\n$2\r\nOK\r\n$1\r\n0\r\n:5\r\n:5\r\n");
		break;
	case REDIS_KINDS:
		break;
	}
}

static void lose_connection(struct rig *rig, const char *why)
{
	redis_writer_disconnected(rig->writer, why, rig->now_ms);
	redis_reader_destroy(rig->reader);
	rig->reader = redis_reader_create();
	MUST(rig->reader);
}

static bool is_connected(const struct rig *rig)
{
	return rig->writer->phase != REDIS_DOWN && rig->writer->phase != REDIS_CONNECTING;
}

static void deliver(struct rig *rig, const struct text_out *out)
{
	redisReply *reply;
	if (!redis_reader_feed(rig->reader, out->bytes, out->length) &&
		!redis_reader_next(rig->reader, &reply) && reply)
		redis_writer_reply(rig->writer, reply, rig->now_ms);
	else
		lose_connection(rig, "not Redis");
}

static void answer(struct rig *rig, bool well)
{
	struct text_out out = { .length = 0 };
	if (!is_connected(rig))
		return;
	if (!well)
		add_any(&out, &rig->input, 0);
	else if (rig->writer->first)
		add_good(&out, rig, rig->writer->first);
	else
		return;
	deliver(rig, &out);
}

/* ---- the broker's side ---- */

static void put(struct rig *rig)
{
	static const char *const ids[] = { "u1", "u2", "a/b%", "\xc3\xa9" };
	static const enum presence_effect_type types[] = { PRESENCE_STORE, PRESENCE_STORE,
		PRESENCE_STORE_OVERRIDE, PRESENCE_REFRESH, PRESENCE_FORGOTTEN, PRESENCE_ACTIVITY,
		PRESENCE_RESYNCED };
	unsigned choice = take_byte(&rig->input);
	if (rig->put++ >= ITEMS_MAX)
		return;
	const struct presence_effect effect = {
		.type = types[choice % COUNT_OF(types)],
		.record = { .role = "agent",
			.id = ids[choice / 8 % COUNT_OF(ids)],
			.status = (enum presence_status)(choice / 32 % (PRESENCE_DND + 1)),
			.rev = 1000 + rig->put },
		.device = choice & 128 ? "laptop" : NULL,
		.rank = PRESENCE_ONLINE,
		.conversation = "c:1",
		.override = PRESENCE_OVERRIDE_DND,
	};
	(void)mailbox_put(rig->box, &effect, rig->now_ms); /* no memory: the box remembers */
}

static void read_messages(struct rig *rig, unsigned count)
{
	struct store_message *message;
	while (count-- && (message = mailbox_take_message(rig->box))) {
		bool is_event = message->type == STORE_MESSAGE_EVENT;
		if (is_event)
			contract_check(&message->event);
		if (is_event && message->event.type == PRESENCE_RESYNC)
			(void)mailbox_put(rig->box,
				&(struct presence_effect){ .type = PRESENCE_RESYNCED },
				rig->now_ms);
		store_message_destroy(message);
	}
}

/* ---- time ---- */

/* All that goes out is arguments with their lengths. */
static void check_sent(const char *bytes, size_t length)
{
	const char *at = bytes, *end = bytes + length;
	while (at < end) {
		char *rest;
		MUST(*at == '*');
		long count = strtol(at + 1, &rest, 10);
		for (at = rest + 2; count > 0; count--) {
			MUST(at < end && *at == '$');
			long size = strtol(at + 1, &rest, 10);
			MUST(size >= 0 && size <= end - rest - 4);
			at = rest + 2 + size;
			MUST(!memcmp(at, "\r\n", 2));
			at += 2;
		}
	}
	MUST(at == end);
}

static void turn(struct rig *rig)
{
	struct redis_out *out = redis_writer_out(rig->writer);
	if (redis_writer_wants_connection(rig->writer, rig->now_ms)) {
		redis_writer_connecting(rig->writer, rig->now_ms);
		redis_writer_connected(rig->writer, rig->now_ms);
	}
	redis_writer_step(rig->writer, rig->now_ms, 1763769600000 + rig->now_ms);
	if (redis_writer_wants_close(rig->writer))
		lose_connection(rig, NULL);
	check_sent(out->bytes, out->length);
	redis_out_drop(out, out->length);
	MUST(redis_writer_deadline(rig->writer) > INT64_MIN);
}

static void operate(struct rig *rig)
{
	enum { WELL, ANY, MORE_ANY, PUT, WAIT, LOSE, READ, BEAT, LEAVE, OPERATIONS };
	unsigned choice = take_byte(&rig->input);
	switch (choice % OPERATIONS) {
	case WELL:
		for (unsigned i = choice / OPERATIONS % 8; i < 8; i++)
			answer(rig, true);
		break;
	case ANY:
	case MORE_ANY:
		answer(rig, false);
		break;
	case PUT:
		put(rig);
		break;
	case WAIT: {
		int64_t step = take_byte(&rig->input);
		rig->now_ms += step * step / 4;
		break;
	}
	case LOSE:
		if (is_connected(rig))
			lose_connection(rig, "reset");
		break;
	case READ:
		read_messages(rig, take_byte(&rig->input));
		break;
	case BEAT:
		mailbox_beat(rig->box, rig->now_ms);
		break;
	default: /* LEAVE, and rarely: nothing else happens after it */
		if (choice > 240)
			mailbox_leave(rig->box);
		break;
	}
	turn(rig);
}

static void heal(struct rig *rig)
{
	int turns = 0;
	while (!redis_writer_idle(rig->writer)) {
		MUST(turns++ < HEALING_MAX);
		rig->now_ms += 50;
		mailbox_beat(rig->box, rig->now_ms);
		read_messages(rig, UINT32_MAX);
		turn(rig);
		while (is_connected(rig) && rig->writer->first)
			answer(rig, true);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig rig = {
		.input = { data, size },
		.config = { .where = "here",
			.node = "b1",
			.prefix = "presence",
			.password = "secret",
			.boot = "0000000000000001",
			.host = "host",
			.version = "0",
			.pid = 1,
			.db = 1,
			.ttl_ms = 180000,
			.lease_ms = 10000,
			.restart_grace_ms = 10000,
			.stream_maxlen = 1000,
			.seed = 1 },
		.now_ms = 1000000,
	};
	rig.config.partitions = 1 + take_byte(&rig.input) % 3;
	rig.box = mailbox_create(256, MAILBOX_BEYOND_MIN);
	rig.writer = redis_writer_create(&rig.config, rig.box);
	rig.reader = redis_reader_create();
	MUST(rig.box && rig.writer && rig.reader);
	for (int i = 0; i < OPERATIONS_MAX && rig.input.left; i++)
		operate(&rig);
	heal(&rig);
	redis_writer_destroy(rig.writer);
	redis_reader_destroy(rig.reader);
	mailbox_destroy(rig.box);
	return 0;
}
