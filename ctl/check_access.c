/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* Who may connect, and who may read and write what. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/check.h"

static const char control_topic[] = "$CONTROL/presence/v1";

/* The line of another plugin that may decide about clients, or NULL. */
static const struct conf_line *other_plugin(const struct check *check)
{
	for (size_t i = 0; i < check->plugin_count; i++) {
		const char *path = check->plugin[i].path;
		if (!check->plugin[i].ours && !strstr(path, "mosquitto_persist_sqlite") &&
			!strstr(path, "mosquitto_sparkplug_aware"))
			return check->plugin[i].line;
	}
	return NULL;
}

/* The line of ours that gives an option, or the plugin line. */
static const struct conf_line *option_line(const struct check *check, const char *key)
{
	const struct conf_line *line = check->ours->line;
	for (size_t i = 0; i < check->ours->option_count; i++) {
		const struct check_option *option = &check->option[check->ours->first_option + i];
		if (!strcmp(option->pair.key, key))
			line = option->line;
	}
	return line;
}

static void check_auth_mode(struct check *check)
{
	const struct conf_line *other = other_plugin(check), *found = other;
	static const char *const keys[] = { "password_file", "psk_file" };
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys) && !found; i++)
		found = conf_find(&check->conf, keys[i]);
	const struct conf_line *anonymous = conf_find(&check->conf, "allow_anonymous");
	if (check->options->auth_mode == AUTH_MODE_ALLOW) {
		if (!found && anonymous && !conf_is_true(anonymous))
			found = anonymous;
		if (found)
			check_fix(check_note(check, CHECK_ERROR, CHECK_2_0,
					  option_line(check, "auth_mode"),
					  "auth_mode allow opens the broker: any password is "
					  "accepted, "
					  "whatever %s says (%s:%zu)",
					  found->key, found->file, found->line),
				"plugin_opt_auth_mode defer");
		else if (!anonymous && check->listener_count > 1)
			check_fix(check_note(check, CHECK_WARNING, CHECK_2_0,
					  option_line(check, "auth_mode"),
					  "auth_mode allow lets everybody in, while "
					  "allow_anonymous is "
					  "false unless it is set"),
				"allow_anonymous true, if that is meant; else a password_file and "
				"plugin_opt_auth_mode defer");
		return;
	}
	if (!found)
		check_fix(
			check_note(check, CHECK_WARNING, CHECK_2_0, check->ours->line,
				"there is no authentication, and auth_mode is defer: clients that "
				"send a username are refused"),
			"add a password_file; or, if anybody may connect as anybody, "
			"plugin_opt_auth_mode allow");
}

static void check_identity_of_tls(struct check *check)
{
	static const char *const keys[] = { "use_identity_as_username", "use_subject_as_username" };
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const struct conf_line *line = conf_find(&check->conf, keys[i]);
		if (conf_is_true(line))
			check_fix(check_note(check, CHECK_WARNING, CHECK_2_0, line,
					  "%s lets clients in without asking the plugin: they are "
					  "seen only when they first publish",
					  keys[i]),
				"let these clients publish something when they connect, or use "
				"Mosquitto 2.1");
	}
}

void check_login(struct check *check)
{
	if (check->options)
		check_auth_mode(check);
	check_identity_of_tls(check);
}

bool check_overlap(const char *a, const char *b)
{
	/* Wildcards at the start do not reach topics with a $. */
	if ((*a == '$' && strchr("+#", *b)) || (*b == '$' && strchr("+#", *a)))
		return false;
	while (*a && *b) {
		size_t a_length = strcspn(a, "/"), b_length = strcspn(b, "/");
		if (*a == '#' || *b == '#')
			return true;
		bool wild = *a == '+' || *b == '+' || memchr(a, '%', a_length) ||
			memchr(b, '%', b_length);
		if (!wild && (a_length != b_length || memcmp(a, b, a_length)))
			return false;
		a += a_length + (a[a_length] == '/');
		b += b_length + (b[b_length] == '/');
	}
	return *a == *b || !strcmp(a, "#") || !strcmp(b, "#");
}

struct rights {
	bool read_presence, write_presence, write_control;
};

/* One line of an acl_file: "topic read presence/#", "pattern readwrite x/%u". */
static void read_rule(struct rights *rights, char *line, const char *presence)
{
	char *rest = NULL;
	char *kind = strtok_r(line, " \t\r", &rest);
	if (!kind || (strcmp(kind, "topic") && strcmp(kind, "pattern")))
		return;
	rest += strspn(rest, " \t");
	size_t length = strcspn(rest, " \t\r");
	bool read = true, write = true;
	static const struct {
		const char *word;
		bool read, write;
	} accesses[] = { { "read", true, false }, { "write", false, true },
		{ "readwrite", true, true }, { "deny", false, false } };
	for (size_t i = 0; i < sizeof(accesses) / sizeof(*accesses); i++) {
		if (strlen(accesses[i].word) != length || memcmp(rest, accesses[i].word, length))
			continue;
		read = accesses[i].read;
		write = accesses[i].write;
		rest += length;
		rest += strspn(rest, " \t");
		break;
	}
	rest[strcspn(rest, "\r")] = '\0';
	rights->read_presence = rights->read_presence || (read && check_overlap(rest, presence));
	rights->write_presence = rights->write_presence || (write && check_overlap(rest, presence));
	rights->write_control = rights->write_control ||
		(write && check_overlap(rest, control_topic));
}

/* True when its rules let somebody write presence. */
static bool check_acl_file(struct check *check, const struct conf_line *line)
{
	size_t length;
	struct rights rights = { 0 };
	char presence[OPTIONS_PATH_MAX + 8];
	char *text = conf_read_file(line->value, &length), *rest = NULL;
	if (!text) {
		check_fix(
			check_note(check, errno == ENOENT ? CHECK_ERROR : CHECK_WARNING, CHECK_ALL,
				line, "%s cannot be read: %s", line->value, strerror(errno)),
			"correct the path, or run this as a user who may read it");
		return false;
	}
	(void)snprintf(presence, sizeof(presence), "%s/+/+",
		check->options ? check->options->topic : "presence");
	for (char *one = strtok_r(text, "\n", &rest); one; one = strtok_r(NULL, "\n", &rest))
		if (*one != '#')
			read_rule(&rights, one, presence);
	free(text);
	presence[strlen(presence) - strlen("+/+")] = '\0';
	if (!rights.read_presence)
		check_fix(check_note(check, CHECK_WARNING, CHECK_ALL, line,
				  "no rule in %s lets anybody read %s#: nobody sees presence",
				  line->value, presence),
			"add there: pattern read %s#", presence);
	if (!rights.write_control)
		check_fix(
			check_note(check, CHECK_WARNING, CHECK_ALL, line,
				"no rule in %s lets anybody write to %s: nobody can send commands",
				line->value, control_topic),
			"add there: pattern write %s", control_topic);
	return rights.write_presence;
}

/* Publishing is refused in any case, last wills only by topic_guard, which 2.0 does not do by
 * itself. */
static void check_wills(struct check *check, bool others_decide)
{
	enum topic_guard guard = check->options->topic_guard;
	if (guard != TOPIC_GUARD_AUTO && guard != TOPIC_GUARD_OFF)
		return;
	check_fix(check_note(check, CHECK_WARNING, guard == TOPIC_GUARD_OFF ? CHECK_ALL : CHECK_2_0,
			  option_line(check, "topic_guard"),
			  "topic_guard %s does not keep last wills from being published under %s/",
			  guard == TOPIC_GUARD_OFF ? "off" : "auto", check->options->topic),
		"plugin_opt_topic_guard %s",
		others_decide ? "defer" : "allow, or an acl_file that lets nobody write there");
}

void check_rights(struct check *check)
{
	const struct conf_line *acl = conf_find(&check->conf, "acl_file");
	const struct conf_line *found = acl ? acl : other_plugin(check);
	bool may_write = acl ? check_acl_file(check, acl) : true;
	if (!check->options)
		return;
	if (may_write)
		check_wills(check, found != NULL);
	if (found && check->options->topic_guard == TOPIC_GUARD_ALLOW)
		check_fix(
			check_note(check, CHECK_ERROR, CHECK_2_0, option_line(check, "topic_guard"),
				"topic_guard allow opens the broker: all else is allowed, whatever "
				"%s "
				"says (%s:%zu)",
				found->key, found->file, found->line),
			"plugin_opt_topic_guard defer");
	if (!found && check->options->topic_guard == TOPIC_GUARD_DEFER)
		check_fix(
			check_note(check, CHECK_ERROR, CHECK_2_0, option_line(check, "topic_guard"),
				"topic_guard defer leaves the answer to an access control that is "
				"not there: everything is refused"),
			"plugin_opt_topic_guard allow, or an acl_file");
}
