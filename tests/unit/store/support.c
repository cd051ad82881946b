/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "support.h"

#include <ftw.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

struct presence_effect an_effect(enum presence_effect_type type, const char *id, int64_t rev)
{
	return (struct presence_effect){
		.type = type,
		.record = {
			.role = id ? "agent" : NULL,
			.id = id,
			.status = PRESENCE_ONLINE,
			.reason = PRESENCE_REASON_CONNECT,
			.devices = 1,
			.since_ms = 1000,
			.last_seen_ms = 2000,
			.rev = rev,
		},
		.retain_ms = 60000,
	};
}

struct presence_effect a_store(const char *id, const char *device, int64_t rev)
{
	struct presence_effect effect = an_effect(PRESENCE_STORE, id, rev);
	effect.device = device;
	effect.rank = PRESENCE_ONLINE;
	effect.device_last_seen_ms = 2000;
	return effect;
}

struct presence_effect an_override(
	const char *id, enum presence_override override, int64_t rev, int64_t record_rev)
{
	struct presence_effect effect = an_effect(PRESENCE_STORE_OVERRIDE, id, record_rev);
	effect.override = override;
	effect.override_rev = rev;
	return effect;
}

struct presence_effect an_activity(const char *id, const char *conversation, bool active)
{
	struct presence_effect effect = an_effect(PRESENCE_ACTIVITY, id, 0);
	effect.conversation = conversation;
	effect.active = active;
	return effect;
}

void put(struct mailbox *box, struct presence_effect effect)
{
	assert_int_equal(mailbox_put(box, &effect, 1), PRESENCE_OK);
}

void assert_waiting(struct mailbox *box, const char *expected)
{
	static const char letters[] = "PSRFOEVD";
	char seen[4096] = "";
	size_t count, length = 0, listed = 0;
	for (struct store_item *item = mailbox_take(box, SIZE_MAX, &count), *next; item;
		item = next) {
		const struct presence_effect *effect = &item->effect;
		const char *part = effect->device ? effect->device : effect->conversation;
		next = item->next;
		length += (size_t)snprintf(seen + length, sizeof(seen) - length, "%s%c%s%s%s%s %d",
			length ? ", " : "", letters[effect->type], effect->record.id ? " " : "",
			effect->record.id ? effect->record.id : "", part ? "/" : "",
			part ? part : "", (int)effect->record.rev);
		assert_true(length < sizeof(seen));
		store_item_destroy(item);
		listed++;
	}
	assert_string_equal(seen, expected);
	assert_int_equal(listed, count);
}

struct store_message *take_message(struct mailbox *box)
{
	struct store_message *message = mailbox_take_message(box);
	assert_non_null(message);
	return message;
}

struct store_message *wait_for_message(struct store *store)
{
	struct store_message *message = NULL;
	for (int64_t until_ms = now_ms() + WAIT_MAX_MS; !message && now_ms() < until_ms;)
		message = store_take_message(store);
	assert_non_null(message);
	return message;
}

bool is_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	return poll(&poll_fd, 1, 0) == 1;
}

int64_t now_ms(void)
{
	struct timespec now;
	assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &now), 0);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

char *make_folder(void)
{
	const char *base = getenv("TMPDIR");
	char *folder = malloc(4096);
	assert_non_null(folder);
	(void)snprintf(folder, 4096, "%s/presence-store-XXXXXX", base ? base : "/tmp");
	assert_ptr_equal(mkdtemp(folder), folder);
	return folder;
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *where)
{
	(void)about;
	(void)type;
	(void)where;
	return remove(path);
}

void remove_folder(char *folder)
{
	assert_int_equal(nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(folder);
}
