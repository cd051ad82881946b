/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_DOCTOR_H
#define PRESENCE_CTL_DOCTOR_H

/* doctor: what is wrong with a running broker. */

#include "ctl/exit.h"
#include "ctl/request.h"

enum doctor_result { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

#define DOCTOR_VALUES_MAX 256 /* of $SYS that are kept */

struct doctor_value {
	char name[128], text[128]; /* behind $SYS/broker/ */
};

struct doctor {
	const struct settings *settings;
	struct request request; /* our own connection */
	struct doctor_value value[DOCTOR_VALUES_MAX];
	size_t value_count;
	const char *probe;  /* the topic that a probe writes to, or NULL */
	bool probe_arrived; /* something came on it */
	size_t failed, warned;
};

/* One line of the result, and what to do, NULL when nothing is. */
__attribute__((format(printf, 5, 6))) void doctor_say(struct doctor *doctor,
	enum doctor_result result, const char *subject, const char *fix, const char *format, ...);

/* The value of $SYS/broker/<name>, or NULL. */
const char *doctor_value(const struct doctor *doctor, const char *name);
/* A number; 0 when it is not there. */
int64_t doctor_number(const struct doctor *doctor, const char *name);

void doctor_check_broker(struct doctor *doctor);
void doctor_check_plugin(struct doctor *doctor);
void doctor_check_store(struct doctor *doctor);
void doctor_check_pace(struct doctor *doctor);

/* Publishes as a stranger where only the plugin should. */
void doctor_probe_topics(struct doctor *doctor);
void doctor_probe_admin(struct doctor *doctor);

#endif
