/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_NO_PROPERTIES_H
#define PRESENCE_TESTS_NO_PROPERTIES_H

/* For a program that is the broker of a plugin: properties that say nothing. To be included once.
 */

#include <mosquitto.h>
#include <stdint.h>

int mosquitto_property_add_string(mosquitto_property **list, int identifier, const char *value)
{
	(void)list;
	(void)identifier;
	(void)value;
	return MOSQ_ERR_SUCCESS;
}

int mosquitto_property_add_int32(mosquitto_property **list, int identifier, uint32_t value)
{
	(void)list;
	(void)identifier;
	(void)value;
	return MOSQ_ERR_SUCCESS;
}

int mosquitto_property_add_binary(
	mosquitto_property **list, int identifier, const void *value, uint16_t length)
{
	(void)list;
	(void)identifier;
	(void)value;
	(void)length;
	return MOSQ_ERR_SUCCESS;
}

void mosquitto_property_free_all(mosquitto_property **list)
{
	*list = NULL;
}

#endif
