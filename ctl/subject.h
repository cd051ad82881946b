/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_SUBJECT_H
#define PRESENCE_CTL_SUBJECT_H

/* Subjects as people write them, and as they stand in topics. */

#include <stdbool.h>
#include <stddef.h>

#include "wire/topic.h"

struct subject {
	char role[PRESENCE_ID_MAX + 1], id[PRESENCE_ID_MAX + 1];
};

/* Reads "agent/u1"; what follows the first / is the id, raw. */
bool subject_read(const char *text, struct subject *subject);

/* Writes it as it stands in topics and in lists of subjects: encoded. Returns name. */
const char *subject_name(const struct subject *subject, char name[PRESENCE_TOPIC_MAX]);

/* Reads "<base>/<role>/<id>", encoded. */
bool subject_of_topic(const char *base, const char *topic, struct subject *subject);

/* From "agent/u1", "agent", "+/u1" or nothing to the filter of a subscription. */
bool subject_filter(const char *base, const char *pattern, char filter[PRESENCE_TOPIC_MAX]);

#endif
