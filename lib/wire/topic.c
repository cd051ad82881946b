/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/topic.h"

#include <string.h>

#include "core/presence.h"
#include "wire/text.h"
#include "wire/utf8.h"

bool topic_id_valid(const char *id)
{
	size_t length = strnlen(id, PRESENCE_ID_MAX + 1);
	return length > 0 && length <= PRESENCE_ID_MAX && utf8_printable(id, length);
}

/* What has a meaning in topics, in topic filters, in ACL patterns, in cluster slots or here. */
static bool special(char byte)
{
	switch (byte) {
	case '/':
	case '+':
	case '#':
	case '%':
	case '$':
	case ':':
	case '{':
	case '}':
		return true;
	}
	return false;
}

static const char hex[] = "0123456789ABCDEF";

static void put_encoded(struct text *text, const char *id)
{
	while (*id) {
		size_t plain = 0;
		while (id[plain] && !special(id[plain]))
			plain++;
		text_put(text, id, plain);
		id += plain;
		if (*id) {
			unsigned char byte = (unsigned char)*id++;
			text_put(text, (const char[]){ '%', hex[byte >> 4], hex[byte & 15] }, 3);
		}
	}
}

int topic_encode(const char *id, char *out, size_t size)
{
	struct text text = text_begin(out, size);
	put_encoded(&text, id);
	return text_end(&text);
}

static int digit_of(char byte)
{
	const char *found = byte ? strchr(hex, byte) : NULL;
	return found ? (int)(found - hex) : -1;
}

/* Reads "%XX"; true when it stands for one of the bytes that need it. */
static bool escape_read(const char *encoded, size_t length, char *byte)
{
	if (length < 3)
		return false;
	int high = digit_of(encoded[1]), low = digit_of(encoded[2]);
	if (high < 0 || low < 0)
		return false;
	*byte = (char)(high << 4 | low);
	return special(*byte);
}

int topic_decode(const char *encoded, size_t length, char *out, size_t size)
{
	struct text text = text_begin(out, size);
	for (size_t at = 0; at < length;) {
		char byte = encoded[at];
		bool escaped = byte == '%';
		if (byte == '\0' ||
			(escaped ? !escape_read(encoded + at, length - at, &byte) : special(byte)))
			return PRESENCE_EINVAL;
		text_put(&text, &byte, 1);
		at += escaped ? 3 : 1;
	}
	int written = text_end(&text);
	return written >= 0 && !topic_id_valid(out) ? PRESENCE_EINVAL : written;
}

static int put_levels(
	const char *base, const char *const levels[], size_t count, char *out, size_t size)
{
	struct text text = text_begin(out, size);
	text_put_string(&text, base);
	for (size_t i = 0; i < count; i++) {
		text_put(&text, "/", 1);
		put_encoded(&text, levels[i]);
	}
	return text_end(&text);
}

int topic_subject(const char *base, const char *role, const char *id, char *out, size_t size)
{
	return put_levels(base, (const char *const[]){ role, id }, 2, out, size);
}

int topic_device(const char *base, const char *role, const char *id, const char *device, char *out,
	size_t size)
{
	return put_levels(base, (const char *const[]){ role, id, "devices", device }, 4, out, size);
}

int topic_activity(const char *base, const char *conversation, const char *role, const char *id,
	char *out, size_t size)
{
	return put_levels(base, (const char *const[]){ conversation, role, id }, 3, out, size);
}

bool topic_under(const char *topic, const char *base)
{
	size_t length = strlen(base);
	return !strncmp(topic, base, length) && (topic[length] == '\0' || topic[length] == '/');
}
