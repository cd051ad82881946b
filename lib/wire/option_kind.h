/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_OPTION_KIND_H
#define PRESENCE_WIRE_OPTION_KIND_H

/* Inside wire: how each kind of value is read, freed and printed. The option says where it
 * stands, and its bounds. Printing writes the value alone, as it could be read again. */

#include "core/presence.h"
#include "wire/options_table.h"

#define OPTION_SETTER(name)                                                         \
	int option_set_##name(const struct option *option, struct options *options, \
		const char *value, char problem[OPTIONS_PROBLEM_MAX])
#define OPTION_CLEARER(name) \
	void option_clear_##name(const struct option *option, struct options *options)
#define OPTION_PRINTER(name)                                                                 \
	void option_print_##name(const struct option *option, const struct options *options, \
		bool secrets, FILE *out)

OPTION_SETTER(name); /* of a node, or a prefix of keys */
OPTION_SETTER(topic);
OPTION_SETTER(path);
OPTION_CLEARER(text);
OPTION_PRINTER(text);

OPTION_SETTER(word);
OPTION_PRINTER(word);

OPTION_SETTER(bool);
OPTION_PRINTER(bool);

OPTION_SETTER(duration);
OPTION_PRINTER(duration);

OPTION_SETTER(count);
OPTION_PRINTER(count);

OPTION_SETTER(rate);
OPTION_PRINTER(rate);

OPTION_SETTER(list);
OPTION_CLEARER(list);
OPTION_PRINTER(list);

OPTION_SETTER(identity); /* adds one */
OPTION_CLEARER(identity);
OPTION_PRINTER(identity);

OPTION_SETTER(redis);
OPTION_CLEARER(redis);
OPTION_PRINTER(redis);

/* The field in options, for kinds that have one. */
void *option_field(const struct option *option, struct options *options);
const void *option_field_const(const struct option *option, const struct options *options);

/* Writes a sentence into problem; returns PRESENCE_EINVAL. */
__attribute__((format(printf, 2, 3))) int option_refuse(
	char problem[OPTIONS_PROBLEM_MAX], const char *format, ...);

/* value for a message: clipped, in quotes. Never for one that may hold a password. Returns quote.
 */
#define OPTION_QUOTE_MAX 64
const char *option_quote(const char *value, char quote[OPTION_QUOTE_MAX]);

#endif
