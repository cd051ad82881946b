/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The mailbox: order, what gives way, what is bounded. */

#include "support.h"

#include "store/waiting.h"

static void assert_counts(struct mailbox *box, uint64_t waiting, int64_t oldest_ms, uint64_t merged)
{
	uint64_t waiting_now, merged_now, lost;
	int64_t oldest_now;
	mailbox_get_counts(box, &waiting_now, &oldest_now, &merged_now, &lost);
	assert_int_equal(waiting_now, waiting);
	assert_int_equal(oldest_now, oldest_ms);
	assert_int_equal(merged_now, merged);
}

static void test_order(void **state)
{
	struct mailbox *box = mailbox_create(100, MAILBOX_BEYOND_MIN);
	(void)state;
	put(box, a_store("a", "d1", 1));
	put(box, a_store("a", "d1", 2));
	put(box, an_effect(PRESENCE_FORGOTTEN, "b", 3));
	put(box, a_store("a", NULL, 4));
	put(box, an_effect(PRESENCE_RESYNCED, NULL, 0));
	put(box, an_effect(PRESENCE_REFRESH, "c", 5));
	assert_counts(box, 6, 1, 0);
	assert_waiting(box, "S a/d1 1, S a/d1 2, F b 3, S a 4, D 0, R c 5");
	assert_counts(box, 0, 0, 0);
	assert_waiting(box, "");
	mailbox_destroy(box);
}

static void test_take_some(void **state)
{
	struct mailbox *box = mailbox_create(1000, MAILBOX_BEYOND_MIN);
	size_t count;
	(void)state;
	for (int i = 0; i < 100; i++)
		put(box, a_store("a", "d", i));
	struct store_item *item = mailbox_take(box, 70, &count);
	assert_int_equal(count, 70);
	for (int i = 0; i < 70; i++) {
		struct store_item *next = item->next;
		assert_int_equal(item->effect.record.rev, i);
		store_item_destroy(item);
		item = next;
	}
	assert_null(item);
	item = mailbox_take(box, 1, &count);
	assert_int_equal(item->effect.record.rev, 70);
	assert_null(item->next);
	store_item_destroy(item);
	mailbox_destroy(box); /* frees the rest */
}

static void test_copies(void **state)
{
	char id[] = "a", device[] = "d", note[] = "lunch", device_note[] = "desk";
	char override_note[] = "call", conversation[] = "c";
	struct mailbox *box = mailbox_create(1, MAILBOX_BEYOND_MIN);
	struct presence_effect effect = a_store(id, device, 1);
	size_t count;
	(void)state;
	effect.record.note = note;
	effect.device_note = device_note;
	effect.override_note = override_note;
	effect.conversation = conversation;
	assert_int_equal(mailbox_put(box, &effect, 77), PRESENCE_OK);
	*id = *device = *note = *device_note = *override_note = *conversation = '?';
	struct store_item *item = mailbox_take(box, 1, &count);
	assert_string_equal(item->effect.record.role, "agent");
	assert_string_equal(item->effect.record.id, "a");
	assert_string_equal(item->effect.device, "d");
	assert_string_equal(item->effect.record.note, "lunch");
	assert_string_equal(item->effect.device_note, "desk");
	assert_string_equal(item->effect.override_note, "call");
	assert_string_equal(item->effect.conversation, "c");
	assert_int_equal(item->effect.rank, PRESENCE_ONLINE);
	assert_int_equal(item->put_ms, 77);
	store_item_destroy(item);
	mailbox_destroy(box);
}

static void test_merge_when_full(void **state)
{
	struct mailbox *box = mailbox_create(3, MAILBOX_BEYOND_MIN);
	(void)state;
	put(box, a_store("a", "d", 1));
	put(box, a_store("a", "d", 2));
	put(box, a_store("b", "d", 3));
	assert_counts(box, 3, 1, 0);
	put(box, a_store("a", "d", 4)); /* the newest of a/d gives way */
	assert_counts(box, 3, 1, 1);
	put(box, a_store("c", "d", 5)); /* nothing older of c: one more */
	assert_counts(box, 4, 1, 1);
	put(box, a_store("a", "d", 6));
	put(box, a_store("b", "d", 7));
	assert_counts(box, 4, 1, 3);
	assert_waiting(box, "S a/d 1, S c/d 5, S a/d 6, S b/d 7");
	mailbox_destroy(box);
}

static void test_merge_same_device_only(void **state)
{
	struct mailbox *box = mailbox_create(0, MAILBOX_BEYOND_MIN);
	struct presence_effect other_role = a_store("a", "d", 5);
	(void)state;
	other_role.record.role = "admin";
	put(box, a_store("a", "d", 1));
	put(box, a_store("a", "e", 2));
	put(box, a_store("a", NULL, 3));
	put(box, a_store("a", "", 4));
	put(box, other_role);
	put(box, a_store("ad", "", 6));
	assert_counts(box, 6, 1, 0);
	put(box, a_store("a", NULL, 7));
	assert_counts(box, 6, 1, 1);
	assert_waiting(box, "S a/d 1, S a/e 2, S a/ 4, S a/d 5, S ad/ 6, S a 7");
	mailbox_destroy(box);
}

static void test_forgotten_stays(void **state)
{
	struct mailbox *box = mailbox_create(1, MAILBOX_BEYOND_MIN);
	(void)state;
	put(box, a_store("a", "d", 1));
	put(box, an_effect(PRESENCE_FORGOTTEN, "a", 2));
	put(box, an_effect(PRESENCE_FORGOTTEN, "a", 3));
	assert_waiting(box, "S a/d 1, F a 2, F a 3");
	put(box, a_store("a", "d", 1));
	put(box, an_effect(PRESENCE_FORGOTTEN, "a", 2));
	put(box, a_store("a", "d", 3));
	put(box, an_effect(PRESENCE_FORGOTTEN, "a", 4));
	assert_waiting(box, "F a 2, S a/d 3, F a 4");
	mailbox_destroy(box);
}

/* What is swept at RESYNCED must have been said before it. */
static void test_resynced_is_a_barrier(void **state)
{
	struct mailbox *box = mailbox_create(1, MAILBOX_BEYOND_MIN);
	(void)state;
	put(box, a_store("a", "d", 1));
	put(box, an_effect(PRESENCE_RESYNCED, NULL, 0));
	put(box, a_store("a", "d", 2));
	put(box, an_effect(PRESENCE_RESYNCED, NULL, 0));
	put(box, a_store("a", "d", 3));
	put(box, a_store("a", "d", 4));
	assert_counts(box, 5, 1, 1);
	assert_waiting(box, "S a/d 1, D 0, S a/d 2, D 0, S a/d 4");
	mailbox_destroy(box);
}

static void test_refresh(void **state)
{
	struct mailbox *box = mailbox_create(100, MAILBOX_BEYOND_MIN);
	struct presence_effect late = an_effect(PRESENCE_REFRESH, "a", 4);
	(void)state;
	put(box, an_effect(PRESENCE_REFRESH, "a", 1));
	put(box, an_effect(PRESENCE_REFRESH, "b", 2));
	put(box, a_store("c", "d", 3));
	assert_int_equal(mailbox_put(box, &late, 99), PRESENCE_OK);
	assert_counts(box, 3, 1, 0); /* its place and its age, and it is not counted */
	assert_waiting(box, "R a 4, R b 2, S c/d 3");

	put(box, an_effect(PRESENCE_REFRESH, "a", 1));
	put(box, an_effect(PRESENCE_REFRESH, "b", 2));
	put(box, a_store("a", "d", 3)); /* says what the REFRESH of a said */
	put(box, an_effect(PRESENCE_FORGOTTEN, "b", 4));
	put(box, an_effect(PRESENCE_REFRESH, "a", 5));
	assert_counts(box, 3, 1, 0);
	assert_waiting(box, "S a/d 3, F b 4, R a 5");
	mailbox_destroy(box);
}

/* What is said of a subject gives way to what is said of it later, not to its devices. */
static void test_overrides(void **state)
{
	struct mailbox *box = mailbox_create(4, MAILBOX_BEYOND_MIN);
	(void)state;
	put(box, an_override("a", PRESENCE_OVERRIDE_DND, 1, 1));
	put(box, an_override("a", PRESENCE_OVERRIDE_AWAY, 2, 2));
	put(box, a_store("a", NULL, 3));
	put(box, an_effect(PRESENCE_REFRESH, "b", 4));
	put(box, an_override("b", PRESENCE_OVERRIDE_AWAY, 5, 5)); /* says what REFRESH says */
	assert_counts(box, 4, 1, 0);
	put(box, an_override("a", PRESENCE_OVERRIDE_NONE, 6, 6));
	put(box, a_store("b", NULL, 7));
	assert_counts(box, 5, 1, 1);
	put(box, an_effect(PRESENCE_RESYNCED, NULL, 0));
	put(box, an_override("a", PRESENCE_OVERRIDE_DND, 8, 8));
	assert_waiting(box, "O a 1, S a 3, O b 5, O a 6, S b 7, D 0, O a 8");
	mailbox_destroy(box);
}

/* What is over in seconds takes nobody's place. */
static void test_activities(void **state)
{
	struct mailbox *box = mailbox_create(4, MAILBOX_BEYOND_MIN);
	(void)state;
	put(box, an_activity("a", "c1", true));
	put(box, an_activity("a", "c2", true));
	put(box, an_effect(PRESENCE_REFRESH, "a", 1)); /* still to be said */
	put(box, an_activity("a", "c1", false));
	assert_counts(box, 3, 1, 0);
	put(box, a_store("a", "c1", 2));
	put(box, a_store("a", "c2", 3));
	put(box, an_activity("a", "c3", true)); /* not taken */
	put(box, an_activity("a", "c2", false));
	assert_counts(box, 4, 1, 0);
	assert_false(mailbox_take_overflow(box));
	assert_waiting(box, "V a/c1 0, S a/c1 2, S a/c2 3, V a/c2 0");
	mailbox_destroy(box);
}

static void test_limit(void **state)
{
	struct queue queue;
	struct waiting *gone[2] = { NULL, NULL };
	(void)state;
	assert_int_equal(queue_init(&queue, 2, 2), PRESENCE_OK);
	static const char *const ids[] = { "a", "b", "c", "d" };
	for (size_t i = 0; i < 4; i++) {
		struct presence_effect effect = a_store(ids[i], "d", 1);
		assert_int_equal(queue_put(&queue, waiting_create(&effect, 1), gone), 0);
	}
	struct presence_effect effect = an_effect(PRESENCE_FORGOTTEN, "e", 2);
	struct waiting *refused = waiting_create(&effect, 1);
	assert_int_equal(queue_put(&queue, refused, gone), PRESENCE_ENOMEM);
	free(refused);
	assert_int_equal(queue.count, 4);
	assert_null(gone[0]);
	effect = a_store("b", "d", 3); /* takes the place of another */
	assert_int_equal(queue_put(&queue, waiting_create(&effect, 1), gone), PRESENCE_OK);
	assert_int_equal(gone[0]->item.effect.record.rev, 1);
	assert_int_equal(queue.count, 4);
	free(gone[0]);
	queue_finish(&queue);
	assert_int_equal(queue_init(&queue, UINT64_MAX, MAILBOX_BEYOND_MIN), PRESENCE_OK);
	assert_true(queue.limit == UINT64_MAX);
	queue_finish(&queue);
}

static void test_fd(void **state)
{
	struct mailbox *box = mailbox_create(10, MAILBOX_BEYOND_MIN);
	size_t count;
	(void)state;
	assert_false(is_readable(mailbox_fd(box)));
	put(box, a_store("a", "d", 1));
	put(box, a_store("a", "d", 2));
	assert_true(is_readable(mailbox_fd(box)));
	assert_null(mailbox_take(box, 0, &count));
	assert_int_equal(count, 0);
	assert_false(is_readable(mailbox_fd(box))); /* though two wait */
	put(box, a_store("a", "d", 3));
	assert_true(is_readable(mailbox_fd(box)));
	assert_waiting(box, "S a/d 1, S a/d 2, S a/d 3");
	assert_false(is_readable(mailbox_fd(box)));
	assert_false(mailbox_leaving(box));
	mailbox_leave(box);
	assert_true(mailbox_leaving(box));
	assert_true(is_readable(mailbox_fd(box)));
	mailbox_beat(box, 42);
	assert_int_equal(mailbox_beat_ms(box), 42);
	mailbox_destroy(box);
}

static void test_events(void **state)
{
	char role[] = "agent", note[] = "n2";
	struct presence_event event = {
		.type = PRESENCE_RESTORED,
		.client_id = "c",
		.note = note,
		.device = "d",
		.record = { .role = role, .id = "u1", .note = "n", .since_ms = 5 },
	};
	struct mailbox *box = mailbox_create(10, MAILBOX_BEYOND_MIN);
	(void)state;
	assert_null(mailbox_take_message(box));
	assert_int_equal(mailbox_post_event(box, &event), PRESENCE_OK);
	mailbox_log(box, STORE_WARNING, "%s is %d", "answer", 42);
	*role = *note = '?';
	struct store_message *message = take_message(box);
	assert_int_equal(message->type, STORE_MESSAGE_EVENT);
	assert_int_equal(message->event.type, PRESENCE_RESTORED);
	assert_string_equal(message->event.record.role, "agent");
	assert_string_equal(message->event.record.id, "u1");
	assert_string_equal(message->event.record.note, "n");
	assert_string_equal(message->event.client_id, "c");
	assert_string_equal(message->event.device, "d");
	assert_string_equal(message->event.note, "n2");
	assert_null(message->event.role);
	assert_int_equal(message->event.record.since_ms, 5);
	store_message_destroy(message);
	message = take_message(box);
	assert_int_equal(message->type, STORE_MESSAGE_LOG);
	assert_int_equal(message->level, STORE_WARNING);
	assert_string_equal(message->text, "answer is 42");
	store_message_destroy(message);
	assert_null(mailbox_take_message(box));
	mailbox_destroy(box);
}

static void test_messages_are_bounded(void **state)
{
	struct presence_event event = { .type = PRESENCE_REV_SEEN };
	struct mailbox *box = mailbox_create(10, MAILBOX_BEYOND_MIN);
	uint64_t waiting, merged, lost;
	int64_t oldest_ms;
	(void)state;
	for (event.rev = 0; event.rev < MAILBOX_EVENTS_MAX; event.rev++)
		assert_int_equal(mailbox_post_event(box, &event), PRESENCE_OK);
	assert_int_equal(mailbox_post_event(box, &event), PRESENCE_ENOMEM);
	for (int i = 0; i < MAILBOX_LOGS_MAX + 3; i++)
		mailbox_log(box, STORE_ERROR, "%d", i);
	mailbox_get_counts(box, &waiting, &oldest_ms, &merged, &lost);
	assert_int_equal(lost, 3);
	assert_false(is_readable(mailbox_fd(box)));
	for (int i = 0; i < MAILBOX_EVENTS_MAX; i++) {
		struct store_message *message = take_message(box);
		assert_int_equal(message->event.rev, i);
		store_message_destroy(message);
	}
	assert_true(is_readable(mailbox_fd(box))); /* there is room again */
	assert_int_equal(mailbox_post_event(box, &event), PRESENCE_OK);
	mailbox_destroy(box); /* frees the rest */
}

static void test_long_line(void **state)
{
	char line[2 * MAILBOX_LINE_MAX];
	struct mailbox *box = mailbox_create(10, MAILBOX_BEYOND_MIN);
	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	mailbox_log(box, STORE_NOTICE, "%s", line);
	struct store_message *message = take_message(box);
	assert_int_equal(strlen(message->text), MAILBOX_LINE_MAX - 1);
	store_message_destroy(message);
	mailbox_destroy(box);
}

/* The rules once more, as plainly as possible, against the real thing. */
struct plain {
	enum presence_effect_type type;
	int id, device, era;
	int64_t rev;
};

struct model {
	struct plain items[4096];
	size_t count, max;
	uint64_t merged;
	int era;
};

static void model_remove(struct model *model, size_t place)
{
	model->count--;
	memmove(&model->items[place], &model->items[place + 1],
		(model->count - place) * sizeof(*model->items));
}

static void model_put(struct model *model, struct plain plain)
{
	plain.era = model->era;
	for (size_t i = model->count; i-- > 0;) {
		struct plain *older = &model->items[i];
		if (older->id != plain.id || older->type != plain.type)
			continue;
		if (plain.type == PRESENCE_REFRESH) {
			*older = plain;
			return;
		}
		if (plain.type == PRESENCE_STORE && older->device == plain.device) {
			if (older->era == plain.era && model->count >= model->max) {
				model_remove(model, i);
				model->merged++;
			}
			break;
		}
	}
	model->items[model->count++] = plain;
	for (size_t i = model->count; plain.type != PRESENCE_REFRESH && i-- > 0;)
		if (model->items[i].type == PRESENCE_REFRESH && model->items[i].id == plain.id)
			model_remove(model, i);
	if (plain.type == PRESENCE_RESYNCED)
		model->era++;
}

static void compare_taken(struct mailbox *box, struct model *model, size_t max)
{
	size_t count;
	struct store_item *item = mailbox_take(box, max, &count);
	assert_int_equal(count, max < model->count ? max : model->count);
	for (size_t i = 0; i < count; i++) {
		struct store_item *next = item->next;
		assert_int_equal(item->effect.type, model->items[0].type);
		assert_int_equal(item->effect.record.rev, model->items[0].rev);
		model_remove(model, 0);
		store_item_destroy(item);
		item = next;
	}
	assert_null(item);
}

static void model_round(unsigned seed)
{
	static struct model model;
	static const char *const ids[] = { "a", "b", "c", "d", "e", "f", "g" };
	static const char *const devices[] = { NULL, "x", "y" };
	srand(seed);
	model = (struct model){ .max = (size_t)rand() % 20 };
	struct mailbox *box = mailbox_create(model.max, MAILBOX_BEYOND_MIN);
	for (int64_t rev = 1; rev < 2000; rev++) {
		int dice = rand() % 100;
		struct plain plain = { .id = rand() % 7, .device = rand() % 3, .rev = rev };
		struct presence_effect effect;
		if (dice < 60) {
			plain.type = PRESENCE_STORE;
			effect = a_store(ids[plain.id], devices[plain.device], rev);
		} else if (dice < 80) {
			plain.type = PRESENCE_REFRESH;
			effect = an_effect(PRESENCE_REFRESH, ids[plain.id], rev);
		} else if (dice < 90) {
			plain.type = PRESENCE_FORGOTTEN;
			effect = an_effect(PRESENCE_FORGOTTEN, ids[plain.id], rev);
		} else if (dice < 92) {
			plain.type = PRESENCE_RESYNCED;
			plain.id = -1;
			effect = an_effect(PRESENCE_RESYNCED, NULL, rev);
		} else {
			compare_taken(box, &model, (size_t)rand() % 40);
			continue;
		}
		put(box, effect);
		model_put(&model, plain);
		assert_counts(box, model.count, model.count ? 1 : 0, model.merged);
	}
	compare_taken(box, &model, SIZE_MAX);
	mailbox_destroy(box);
}

static void test_against_a_model(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 100; seed++)
		model_round(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_take_some),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_merge_when_full),
		cmocka_unit_test(test_merge_same_device_only),
		cmocka_unit_test(test_forgotten_stays),
		cmocka_unit_test(test_resynced_is_a_barrier),
		cmocka_unit_test(test_refresh),
		cmocka_unit_test(test_overrides),
		cmocka_unit_test(test_activities),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_fd),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_messages_are_bounded),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_against_a_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
