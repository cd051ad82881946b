/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_NUMBER_H
#define PRESENCE_WIRE_NUMBER_H

/* Numbers with units, as people write them in options. */

#include <stdbool.h>
#include <stdint.h>

enum number_error {
	NUMBER_OK,
	NUMBER_NONE,    /* does not start with digits, or is followed by something else */
	NUMBER_NO_UNIT, /* only digits, and not 0 */
	NUMBER_MONTH,   /* bare m: a month in mosquitto.conf, a minute to most */
};

/* Reads digits; larger numbers than INT64_MAX read as INT64_MAX. The rest is what comes after;
 * NULL: there were no digits. */
const char *number_read(const char *text, int64_t *number);

/* "250ms 3s 1.5h 10min 7d 0" to milliseconds, which must come out whole. */
enum number_error duration_read(const char *text, int64_t *ms);

/* "500 100k 2M 1G", in thousands. */
enum number_error count_read(const char *text, int64_t *count);

/* Writes a duration in the largest unit that fits, or a plain number. Returns text. */
#define NUMBER_TEXT_MAX 24
const char *number_text(int64_t number, bool duration, char text[NUMBER_TEXT_MAX]);

#endif
