/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_SIM_REDIS_SCRIPT_H
#define PRESENCE_TESTS_SIM_REDIS_SCRIPT_H

/* The scripts of lib/store/redis in C, line by line where that matters: names are
 * those of the Lua. */

#include "redis_model.h"

enum { NAME_MAX_BYTES = 512, NOTE_MAX_BYTES = 256, STATE_DEVICES_MAX = 128 };

/* merge_1.lua: states and lengths, scores and members; of refresh_1.lua scores and names. */
struct known {
	struct known *next;
	const char *name;
	bool has_length, has_score, has_member;
	bool is_up, is_ours; /* else to be taken out */
	size_t length;       /* of the record, 0: none */
	int64_t score;
};

/* common_1.lua */
struct script {
	struct redis_model *redis;
	char base[NAME_MAX_BYTES];
	const char *node, *boot;
	int64_t epoch, gen, now, acked;
	/* merge_1.lua */
	const char *ttl;
	int64_t floor;
	char events[NAME_MAX_BYTES], own[NAME_MAX_BYTES];
	int64_t meta_rev;
	bool overridden;
	struct known *first, *last;
};

struct holder {
	bool is_there;
	char boot[64], state[16], pid[24], host[128], version[64];
	int64_t epoch, mark;
};

/* ARGV[place], from 1. */
const char *arg(const struct script *script, size_t place);
int64_t arg_number(const struct script *script, size_t place);
size_t arg_count(const struct script *script);

void key_name(
	const struct script *script, char out[NAME_MAX_BYTES], const char *kind, const char *rest);
bool key_fits(const struct script *script, const char *name, const char *type);
void holder_read(const char *value, struct holder *holder);
void holder_get(const struct script *script, struct holder *holder);
void holder_set(const struct script *script, const struct holder *holder);
/* What this call knows of a subject. */
struct known *known_of(struct script *script, const char *name);
/* name: role and id, encoded. */
void online_key(
	const struct script *script, const char *name, char key[NAME_MAX_BYTES], const char **id);
/* True: the answer is there, and the script is over. */
bool shared_types(const struct script *script);
bool fence(const struct script *script, struct holder *holder);
bool overrides_gone(const struct script *script);
void answer(const struct script *script, const char *word);
void answer_text(const struct script *script, const char *text);
void answer_number(const struct script *script, int64_t number);
extern const char *const script_words[4];

/* override_1.lua */
struct override_value {
	bool is_there;
	char word[16], node[NAME_MAX_BYTES], note[NOTE_MAX_BYTES];
	const char *status; /* NULL: not in force */
	int64_t till, rev, epoch;
};
/* As what the subject shows; NULL: not an override that we know. */
const char *override_shows(const char *word);
void override_parse(
	const struct script *script, const char *value, struct override_value *override);
void override_read(const struct script *script, const char *name, struct override_value *override);
void override_store(struct script *script, const char *name, const struct override_value *override);
void overrides_trim(struct script *script);

enum { PAGE_MAX = 4096 };
struct page {
	char cursor[32]; /* the next one */
	bool is_overrides;
	size_t count;
	const char *names[PAGE_MAX]; /* copies: what is looked through changes */
};
void page_get(const struct script *script, const char *cursor, size_t count, struct page *page);

/* merge_1.lua */
struct state_device {
	char field[NAME_MAX_BYTES];
	bool is_own;
	int64_t epoch, rank, rev;
	char note[NOTE_MAX_BYTES];
};

struct state_devices {
	size_t count;
	struct state_device item[STATE_DEVICES_MAX];
};

struct contribution {
	const char *kind, *name, *role, *id, *device, *field;
	int64_t rank, seen;
	const char *device_note;
	const char *status, *previous; /* NULL: unknown */
	bool has_since, has_last_seen;
	int64_t since, last_seen, rev;
	const char *reason, *source, *note;
	int64_t till, retain, at;
};

int64_t state_read(const struct script *script, const char *key, struct state_devices *devices);
void merge_begin(struct script *script);
void merge_end(struct script *script);
void contribute(struct script *script, struct contribution *c, int64_t seq);
void override_apply(struct script *script, struct contribution *c, int64_t seq);
void override_clear(struct script *script, const char *name, const struct override_value *override,
	int64_t retain, int64_t seq);
void forget(struct script *script, struct contribution *c, int64_t seq);
void leftovers_drop(
	struct script *script, const char *name, const char *reason, int64_t retain, int64_t seq);

/* The others, one each. */
void script_register(struct script *script);
void script_apply(struct script *script);
void script_refresh(struct script *script);
void script_renew(struct script *script);
void script_sweep(struct script *script);
void script_snapshot(struct script *script);

#endif
