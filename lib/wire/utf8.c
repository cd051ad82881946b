/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/utf8.h"

#include <string.h>

/* Characters of two bytes and more: how they start, and the first that needs so many. */
static const struct form {
	unsigned char mask, start;
	uint32_t least;
} forms[] = {
	{ 0xe0, 0xc0, 0x80 },
	{ 0xf0, 0xe0, 0x800 },
	{ 0xf8, 0xf0, 0x10000 },
};

static size_t read_long(const unsigned char *bytes, size_t length, size_t form, uint32_t *character)
{
	size_t count = form + 2;
	if (length < count)
		return 0;
	uint32_t value = bytes[0] & (unsigned char)~forms[form].mask;
	for (size_t i = 1; i < count; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (bytes[i] & 0x3f);
	}
	if (value < forms[form].least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*character = value;
	return count;
}

size_t utf8_read(const char *bytes, size_t length, uint32_t *character)
{
	const unsigned char *start = (const unsigned char *)bytes;
	if (length == 0)
		return 0;
	if (*start < 0x80) {
		*character = *start;
		return 1;
	}
	for (size_t form = 0; form < sizeof(forms) / sizeof(*forms); form++)
		if ((*start & forms[form].mask) == forms[form].start)
			return read_long(start, length, form, character);
	return 0;
}

bool utf8_valid(const char *string)
{
	uint32_t character;
	for (size_t left = strlen(string), step; left; string += step, left -= step)
		if ((step = utf8_read(string, left, &character)) == 0)
			return false;
	return true;
}

static bool printable(uint32_t character)
{
	bool control = character < 0x20 || (character >= 0x7f && character <= 0x9f);
	bool noncharacter = (character >= 0xfdd0 && character <= 0xfdef) ||
		(character & 0xfffe) == 0xfffe;
	return !control && !noncharacter;
}

bool utf8_printable(const char *bytes, size_t length)
{
	for (size_t at = 0; at < length;) {
		uint32_t character;
		size_t step = utf8_read(bytes + at, length - at, &character);
		if (step == 0 || !printable(character))
			return false;
		at += step;
	}
	return true;
}
