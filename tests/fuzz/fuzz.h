/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_FUZZ_H
#define PRESENCE_TESTS_FUZZ_H

/* What fuzz targets share: bytes as a source of decisions, and what must hold. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The one function of a target; libFuzzer calls it, or replay.c. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process where it stands: the input is what leads there. */
#define MUST(condition)                                                                         \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			(void)fprintf(                                                          \
				stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                \
		}                                                                               \
	} while (0)

/* Read from its start; what is past its end reads as zero. */
struct input {
	const uint8_t *at;
	size_t left;
};

static inline unsigned take_byte(struct input *input)
{
	if (!input->left)
		return 0;
	input->left--;
	return *input->at++;
}

/* Little endian. */
static inline uint64_t take_number(struct input *input, unsigned bytes)
{
	uint64_t number = 0;
	for (unsigned i = 0; i < bytes; i++)
		number |= (uint64_t)take_byte(input) << (8 * i);
	return number;
}

/* A terminated copy of exactly its size, so that a sanitizer sees each byte read past it. To be
 * freed. */
static inline char *copy_text(const uint8_t *bytes, size_t length)
{
	char *text = malloc(length + 1);
	MUST(text);
	if (length)
		memcpy(text, bytes, length);
	text[length] = '\0';
	return text;
}

/* Up to the next line end, which is taken too, or all there is. To be freed. */
static inline char *take_line(struct input *input)
{
	const uint8_t *end = input->left ? memchr(input->at, '\n', input->left) : NULL;
	size_t length = end ? (size_t)(end - input->at) : input->left;
	char *line = copy_text(input->at, length);
	length += end != NULL;
	input->at += length;
	input->left -= length;
	return line;
}

static inline bool same_text(const char *one, const char *other)
{
	return one && other ? !strcmp(one, other) : one == other;
}

#endif
