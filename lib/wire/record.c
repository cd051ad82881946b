/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/record.h"

#include "wire/text.h"

/* The next byte that JSON does not take as it is, or the terminator. */
static size_t plain_length(const char *string)
{
	size_t length = 0;
	while ((unsigned char)string[length] >= 0x20 && string[length] != '"' &&
		string[length] != '\\')
		length++;
	return length;
}

static void put_escaped(struct text *text, unsigned char byte)
{
	static const char hex[] = "0123456789abcdef";
	if (byte >= 0x20)
		text_put(text, (const char[]){ '\\', (char)byte }, 2);
	else
		text_put(text,
			(const char[]){ '\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15] }, 6);
}

/* name is the key with all that stands around it: ,"key": */
static void put_string(struct text *text, const char *name, const char *value)
{
	text_put_string(text, name);
	text_put(text, "\"", 1);
	for (;;) {
		size_t plain = plain_length(value);
		text_put(text, value, plain);
		value += plain;
		if (!*value)
			break;
		put_escaped(text, (unsigned char)*value++);
	}
	text_put(text, "\"", 1);
}

static void put_number(struct text *text, const char *name, int64_t value)
{
	char digits[20]; /* of the longest, and its sign */
	size_t start = sizeof(digits);
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	do {
		digits[--start] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (value < 0)
		digits[--start] = '-';
	text_put_string(text, name);
	text_put(text, digits + start, sizeof(digits) - start);
}

int record_write(const struct presence_record *record, const char *node, char *out, size_t size)
{
	struct text text = text_begin(out, size);
	put_number(&text, "{\"v\":", RECORD_VERSION);
	put_string(&text, ",\"role\":", record->role);
	put_string(&text, ",\"id\":", record->id);
	put_string(&text, ",\"status\":", presence_status_name(record->status));
	put_string(&text, ",\"previous\":", presence_status_name(record->previous));
	put_string(&text, ",\"reason\":", presence_reason_name(record->reason));
	put_string(&text, ",\"source\":", presence_source_name(record->source));
	put_number(&text, ",\"devices\":", record->devices);
	put_number(&text, ",\"since\":", record->since_ms);
	put_number(&text, ",\"last_seen\":", record->last_seen_ms);
	put_number(&text, ",\"rev\":", record->rev);
	put_string(&text, ",\"node\":", node);
	if (record->note && *record->note)
		put_string(&text, ",\"note\":", record->note);
	if (record->until_ms)
		put_number(&text, ",\"until\":", record->until_ms);
	text_put(&text, "}", 1);
	return text_end(&text);
}

int device_write(const struct presence_effect *effect, char *out, size_t size)
{
	struct text text = text_begin(out, size);
	put_number(&text, "{\"v\":", RECORD_VERSION);
	put_string(&text, ",\"device\":", effect->device);
	put_string(&text, ",\"status\":", presence_status_name(effect->rank));
	put_string(&text, ",\"reason\":", presence_reason_name(effect->device_reason));
	put_number(&text, ",\"since\":", effect->device_since_ms);
	text_put(&text, "}", 1);
	return text_end(&text);
}

int activity_write(const struct presence_effect *effect, char *out, size_t size)
{
	struct text text = text_begin(out, size);
	put_number(&text, "{\"v\":", RECORD_VERSION);
	put_string(&text, ",\"conversation\":", effect->conversation);
	put_string(&text, ",\"role\":", effect->record.role);
	put_string(&text, ",\"id\":", effect->record.id);
	put_string(&text, ",\"kind\":", presence_activity_name(effect->activity));
	text_put_string(&text, effect->active ? ",\"active\":true}" : ",\"active\":false}");
	return text_end(&text);
}
