/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_COMMAND_H
#define PRESENCE_WIRE_COMMAND_H

/* What clients ask on $CONTROL/presence/v1: {"commands":[{"command":"..",..}]}. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/presence.h"
#include "wire/topic.h"

#define COMMANDS_BYTES_MAX (64 * 1024) /* of a message */
#define COMMANDS_MAX 64                /* in a message */
#define COMMAND_SUBJECTS_MAX 256       /* of getPresence */
#define COMMAND_COUNT_DEFAULT 100      /* of listPresence */
#define COMMAND_COUNT_MAX 1000
#define COMMAND_PROBLEM_MAX 256

enum command_type {
	COMMAND_HEARTBEAT,
	COMMAND_SET_STATUS,
	COMMAND_CLEAR_STATUS,
	COMMAND_LEAVE,
	COMMAND_TYPING,
	COMMAND_SET_OVERRIDE,
	COMMAND_CLEAR_OVERRIDE,
	COMMAND_GET_PRESENCE,
	COMMAND_LIST_PRESENCE,
	COMMAND_GET_STATS,
	COMMAND_LIST_NODES,
	COMMAND_KICK,
	COMMAND_FORGET,
};
enum { COMMAND_TYPES = COMMAND_FORGET + 1 };

/* Who may give a command. */
enum command_right {
	COMMAND_BY_DEVICE,  /* a client whose presence is tracked, about its own device */
	COMMAND_BY_SUBJECT, /* the same, about its own subject; an admin, about any */
	COMMAND_BY_ANYBODY,
	COMMAND_BY_ADMIN,
};

/* One command. With a problem only that, name and correlation mean something. Strings are raw, and
 * borrowed from the struct commands. */
struct command {
	enum command_type type;
	enum command_right right;
	const char *name;                  /* as it was written; empty: it was not */
	const char *correlation;           /* to be given back; NULL: none */
	size_t correlation_length;         /* it may hold a zero byte */
	char problem[COMMAND_PROBLEM_MAX]; /* what is wrong and what to do; empty: nothing */
	int64_t interval_ms;               /* 0: not given */
	bool has_status;
	enum presence_status status;
	enum presence_override override; /* of setOverride */
	const char *note;                /* NULL: none */
	int64_t ttl_ms;                  /* 0: until it is cleared */
	const char *role, *id;           /* NULL: not given */
	size_t subject_count;            /* of getPresence: command_subject() */
	uint32_t count, offset;
	const char *after; /* "<role>/<id>", for subject_name_read(); NULL: from the start */
	const char *client_id;
	const char *conversation;
	enum presence_activity activity;
	bool active;
	struct json_object *subjects; /* inside wire */
};

/* The commands of one message, to be given back with commands_destroy(). Is problem not empty, the
 * message is none, and count is 0. */
struct commands {
	size_t count;
	char problem[COMMAND_PROBLEM_MAX];
	struct json_object *root; /* inside wire */
	struct command item[];
};

/* Whatever the bytes: PRESENCE_ENOMEM, or 0 and commands that say what is wrong with them. */
int commands_parse(const char *bytes, size_t length, struct commands **commands);
void commands_destroy(struct commands *commands);

/* What type is called in a message. */
const char *command_name(enum command_type type);

struct subject_name {
	char role[PRESENCE_ID_MAX + 1], id[PRESENCE_ID_MAX + 1];
};
/* Reads "<role>/<id>": each encoded as in topics, or, where no % is in it, just as it is.
 * PRESENCE_EINVAL: that is no name of a subject. */
int subject_name_read(const char *text, struct subject_name *name);
/* Writes what subject_name_read() reads, encoded. Its length, or PRESENCE_EINVAL when size does not
 * hold it and its terminator. */
#define SUBJECT_NAME_MAX (2 * PRESENCE_ENCODED_MAX + 2)
int subject_name_write(const char *role, const char *id, char *out, size_t size);
/* The subject of that index, below subject_count. */
void command_subject(const struct command *command, size_t index, struct subject_name *name);

#endif
