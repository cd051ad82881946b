/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/declaration.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <string.h>

#include "wire/utf8.h"

enum { DEPTH_MAX = 8 }; /* of what other keys may hold */

static int read_bare(const char *bytes, size_t length, struct declaration *declaration)
{
	char word[16];
	if (length >= sizeof(word) || memchr(bytes, '\0', length))
		return PRESENCE_EINVAL;
	memcpy(word, bytes, length);
	word[length] = '\0';
	return presence_status_parse(word, &declaration->status);
}

static bool read_status(struct json_object *root, struct declaration *declaration)
{
	struct json_object *value;
	if (!json_object_object_get_ex(root, "status", &value) ||
		!json_object_is_type(value, json_type_string))
		return false;
	return !read_bare(json_object_get_string(value), (size_t)json_object_get_string_len(value),
		declaration);
}

static bool read_note(struct json_object *root, struct declaration *declaration)
{
	struct json_object *value;
	if (!json_object_object_get_ex(root, "note", &value) || !value)
		return true;
	if (!json_object_is_type(value, json_type_string))
		return false;
	size_t length = (size_t)json_object_get_string_len(value);
	const char *note = json_object_get_string(value);
	if (length > PRESENCE_NOTE_MAX || !utf8_printable(note, length))
		return false;
	memcpy(declaration->note, note, length);
	declaration->note[length] = '\0';
	return true;
}

static int read_json(const char *bytes, size_t length, struct declaration *declaration)
{
	struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
	if (!tokener)
		return PRESENCE_ENOMEM;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	struct json_object *root = json_tokener_parse_ex(tokener, bytes, (int)length);
	/* A byte of zero ends the tokener's reading, whatever comes after it. */
	bool whole = json_tokener_get_parse_end(tokener) == length;
	json_tokener_free(tokener);
	bool is_one = whole && json_object_is_type(root, json_type_object) &&
		read_status(root, declaration) && read_note(root, declaration);
	json_object_put(root);
	return is_one ? PRESENCE_OK : PRESENCE_EINVAL;
}

int declaration_read(const void *bytes, size_t length, struct declaration *declaration)
{
	*declaration = (struct declaration){ .status = PRESENCE_OFFLINE };
	if (!length || length > DECLARATION_BYTES_MAX)
		return PRESENCE_EINVAL;
	return *(const char *)bytes == '{' ? read_json(bytes, length, declaration)
					   : read_bare(bytes, length, declaration);
}
