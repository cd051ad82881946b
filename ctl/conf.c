/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/conf.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char include_suffix[] = ".conf", blanks[] = " \t\v\f\r";

char *conf_read_file(const char *path, size_t *length)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return NULL;
	char *text = malloc(CONF_FILE_MAX + 1);
	errno = text ? 0 : ENOMEM;
	*length = text ? fread(text, 1, CONF_FILE_MAX + 1, file) : 0;
	if (text && (ferror(file) || *length > CONF_FILE_MAX)) {
		errno = *length > CONF_FILE_MAX ? EFBIG : errno;
		free(text);
		text = NULL;
	}
	if (text)
		text[*length] = '\0';
	int number = errno;
	(void)fclose(file);
	errno = number;
	return text;
}

static void add_problem(
	struct conf *conf, const char *file, size_t line, const char *what, const char *why)
{
	struct conf_problem *grown = realloc(
		conf->problem, (conf->problem_count + 1) * sizeof(*grown));
	if (!grown) {
		conf->failed = true;
		return;
	}
	conf->problem = grown;
	struct conf_problem *problem = &grown[conf->problem_count++];
	*problem = (struct conf_problem){ .file = file, .line = line };
	(void)snprintf(
		problem->text, sizeof(problem->text), "%.180s cannot be read: %s", what, why);
}

static void add_line(struct conf *conf, const char *file, size_t number, const char *text)
{
	if (conf->count == conf->room) {
		size_t room = conf->room ? 2 * conf->room : 64;
		struct conf_line *grown = realloc(conf->line, room * sizeof(*grown));
		if (!grown) {
			conf->failed = true;
			return;
		}
		conf->line = grown;
		conf->room = room;
	}
	char *key = strdup(text);
	if (!key) {
		conf->failed = true;
		return;
	}
	char *value = key + strcspn(key, " ");
	if (*value)
		*value++ = '\0';
	char *start = value + strspn(value, blanks);
	size_t length = strlen(start), used = length;
	while (used && strchr(blanks, start[used - 1]))
		used--;
	start[used] = '\0';
	conf->line[conf->count++] = (struct conf_line){ .file = file,
		.line = number,
		.key = key,
		.value = start,
		.blanks_before = start > value,
		.blanks_behind = used < length };
}

static void read_one(struct conf *conf, const char *path, const char *from, size_t from_line);

/* As the broker sorts them: letters by the alphabet, of the same letter the capital first. */
static int compare_names(const void *a, const void *b)
{
	const char *left = *(const char *const *)a, *right = *(const char *const *)b;
	for (; *left && *right; left++, right++) {
		int order = toupper((unsigned char)*left) - toupper((unsigned char)*right);
		if (order == 0)
			order = *left - *right;
		if (order != 0)
			return order;
	}
	return *left - *right;
}

static void read_folder(struct conf *conf, const char *folder, const char *from, size_t from_line)
{
	DIR *dir = opendir(folder);
	if (!dir) {
		add_problem(conf, from, from_line, folder, strerror(errno));
		return;
	}
	char **name = NULL;
	size_t count = 0;
	for (struct dirent *entry; (entry = readdir(dir));) {
		size_t length = strlen(entry->d_name), end = strlen(include_suffix);
		if (length <= end || strcmp(entry->d_name + length - end, include_suffix))
			continue;
		char **grown = realloc(name, (count + 1) * sizeof(*grown));
		char path[4096];
		(void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (grown) {
			name = grown;
			name[count] = strdup(path);
			count += name[count] != NULL;
		}
		conf->failed = conf->failed || !grown;
	}
	(void)closedir(dir);
	if (count)
		qsort(name, count, sizeof(*name), compare_names);
	for (size_t i = 0; i < count; i++) {
		read_one(conf, name[i], from, from_line);
		free(name[i]);
	}
	free(name);
}

/* Remembers the name for the lines that point to it. */
static const char *keep_name(struct conf *conf, const char *path)
{
	char **grown = realloc(conf->file, (conf->file_count + 1) * sizeof(*grown));
	char *copy = grown ? strdup(path) : NULL;
	conf->file = grown ? grown : conf->file;
	if (copy)
		conf->file[conf->file_count++] = copy;
	conf->failed = conf->failed || !copy;
	return copy;
}

/* from: the file whose line asked for this one; NULL for the first. */
static void read_one(struct conf *conf, const char *path, const char *from, size_t from_line)
{
	size_t length, number = 1;
	const char *file = keep_name(conf, path);
	char *text = file ? conf_read_file(path, &length) : NULL;
	if (!text) {
		if (file)
			add_problem(conf, from ? from : file, from_line, path, strerror(errno));
		return;
	}
	for (char *line = text, *end; line && *line; line = end, number++) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		size_t used = strlen(line);
		while (used && line[used - 1] == '\r')
			line[--used] = '\0';
		/* # is a comment only as the first character. */
		char *start = line + strspn(line, " ");
		if (!*start || line[0] == '#')
			continue;
		add_line(conf, file, number, start);
		struct conf_line *added = conf->count ? &conf->line[conf->count - 1] : NULL;
		/* One that was included includes no more. Of this path the broker takes off no
		 * blanks. */
		if (added && !from && !strcmp(added->key, "include_dir") && *added->value)
			read_folder(conf, start + sizeof("include_dir"), file, number);
	}
	free(text);
}

void conf_read(struct conf *conf, const char *path)
{
	*conf = (struct conf){ 0 };
	read_one(conf, path, NULL, 0);
}

void conf_finish(struct conf *conf)
{
	for (size_t i = 0; i < conf->count; i++)
		free(conf->line[i].key);
	for (size_t i = 0; i < conf->file_count; i++)
		free(conf->file[i]);
	free(conf->line);
	free(conf->file);
	free(conf->problem);
	*conf = (struct conf){ 0 };
}

const struct conf_line *conf_find(const struct conf *conf, const char *key)
{
	for (size_t i = conf->count; i-- > 0;)
		if (!strcmp(conf->line[i].key, key))
			return &conf->line[i];
	return NULL;
}

bool conf_is(const struct conf_line *line, const char *word)
{
	size_t length = strlen(word);
	return line && strcspn(line->value, " ") == length && !memcmp(line->value, word, length);
}

bool conf_is_true(const struct conf_line *line)
{
	return conf_is(line, "true") || conf_is(line, "1");
}

long long conf_number(const struct conf_line *line, long long otherwise)
{
	return line ? strtoll(line->value, NULL, 10) : otherwise;
}
