/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "plugin/properties.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* Of the functions to make properties and those to read them, some builds of Mosquitto 2.0 (that of
 * Debian 13, for one) give plugins only the former. There we read what the broker has read just as
 * it stands in its memory, after we have seen that what those functions make stands there so. */

struct bytes {
	char *data;
	uint16_t length;
};

struct property {
	const struct property *next;
	struct bytes value, name;
	int32_t identifier;
};

typedef const mosquitto_property *read_string(
	const mosquitto_property *list, int identifier, char **value, bool skip_first);
typedef const mosquitto_property *read_binary(const mosquitto_property *list, int identifier,
	void **value, uint16_t *length, bool skip_first);

static const struct property *find(const mosquitto_property *properties, int identifier)
{
	const struct property *property = (const void *)properties;
	while (property && property->identifier != identifier)
		property = property->next;
	return property;
}

static bool is_as_made(const mosquitto_property *made, int identifier, const char *value)
{
	const struct property *property = find(made, identifier);
	return property && property->value.length == strlen(value) &&
		!memcmp(property->value.data, value, strlen(value));
}

/* Two of a kind that we know, and all that was looked at lay within them. */
static bool is_layout_known(void)
{
	static const char topic[] = "presence/probe", correlation[] = "\x01\x02\x03";
	mosquitto_property *made = NULL;
	bool known = !mosquitto_property_add_string(&made, MQTT_PROP_RESPONSE_TOPIC, topic) &&
		malloc_usable_size(made) >= sizeof(struct property) &&
		is_as_made(made, MQTT_PROP_RESPONSE_TOPIC, topic) &&
		!((const struct property *)(const void *)made)->next &&
		!mosquitto_property_add_binary(&made, MQTT_PROP_CORRELATION_DATA, correlation,
			(uint16_t)strlen(correlation)) &&
		is_as_made(made, MQTT_PROP_RESPONSE_TOPIC, topic) &&
		is_as_made(made, MQTT_PROP_CORRELATION_DATA, correlation);
	mosquitto_property_free_all(&made);
	return known;
}

static char *copy_as_it_stands(
	const mosquitto_property *properties, int identifier, uint16_t *length)
{
	const struct property *property = is_layout_known() ? find(properties, identifier) : NULL;
	char *copy = property ? malloc((size_t)property->value.length + 1) : NULL;
	if (!copy)
		return NULL;
	memcpy(copy, property->value.data, property->value.length);
	copy[property->value.length] = '\0';
	*length = property->value.length;
	return copy;
}

/* ISO C has no way from the void * of dlsym() to a function but through memory. */
static bool find_function(const char *name, void *function, size_t size)
{
	void *found = dlsym(RTLD_DEFAULT, name);
	memcpy(function, &found, size);
	return found != NULL;
}

char *property_copy(const mosquitto_property *properties, int identifier, uint16_t *length)
{
	read_string *as_string;
	read_binary *as_binary;
	char *string = NULL;
	void *binary = NULL;
	if (!properties)
		return NULL;
	if (!find_function("mosquitto_property_read_string", &as_string, sizeof(as_string)) ||
		!find_function("mosquitto_property_read_binary", &as_binary, sizeof(as_binary)))
		return copy_as_it_stands(properties, identifier, length);
	if (identifier == MQTT_PROP_CORRELATION_DATA) {
		(void)as_binary(properties, identifier, &binary, length, false);
		return binary;
	}
	if (as_string(properties, identifier, &string, false))
		*length = (uint16_t)strlen(string);
	return string;
}
