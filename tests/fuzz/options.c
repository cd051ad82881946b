/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The configuration: lines `key value` as of the broker's file, up to one of only dashes, then the
 * plugin's own file. What is refused is refused in one line without a password; what is taken can
 * be printed, and what was printed be taken again with the same result. */

#include "wire/options.h"

#include "core/presence.h"
#include "fuzz.h"

#define PAIRS_MAX 32
#define SECRET "s3cr3t-word" /* what the corpus has for a password */

struct parsed {
	struct options *options;
	char problem[OPTIONS_PROBLEM_MAX];
};

static struct parsed parse(const struct options_input *input)
{
	struct parsed parsed = { .options = NULL };
	char *problem = malloc(OPTIONS_PROBLEM_MAX); /* its own, for the sanitizer */
	MUST(problem);
	problem[0] = '\0';
	int err = options_parse(input, &parsed.options, problem);
	MUST(err == PRESENCE_OK || err == PRESENCE_EINVAL);
	MUST((err == PRESENCE_OK) == (parsed.options != NULL));
	MUST(memchr(problem, '\0', OPTIONS_PROBLEM_MAX));
	MUST(!err || problem[0]);
	if (err)
		MUST(!strpbrk(problem, "\n\r"));
	memcpy(parsed.problem, problem, OPTIONS_PROBLEM_MAX);
	free(problem);
	return parsed;
}

static void check_printed(const struct options *options, const char *lines)
{
	char *text, *again;
	const char *key;
	MUST(!options_print(options, &text));
	/* The password that is nothing else too. */
	const char *password = options->redis.password;
	const char *found = password && *password ? strstr(lines, password) : NULL;
	if (found && !strstr(found + 1, password))
		MUST(!strstr(text, password));
	struct parsed second = parse(&(struct options_input){
		.host_name = "b1",
		.file_text = text,
		.file_length = strlen(text),
		.file_name = "printed",
	});
	/* A value that came through the broker may hold what starts a comment in a file. */
	if (second.options && !strchr(text, '#')) {
		MUST(!options_print(second.options, &again));
		MUST(!strcmp(text, again));
		free(again);
	}
	MUST(!options_find_fixed(options, options, &key) && !key);
	options_destroy(second.options);
	free(text);
}

/* A password that stands where one belongs, or nearly so, is not repeated. */
static void check_refusal(const struct parsed *parsed, const char *lines)
{
	static const char *const places[] = { "redis_url", "redis_password_file" };
	const char *secret = strstr(lines, SECRET), *start = secret;
	if (!secret || secret == lines || strstr(secret + 1, SECRET))
		return;
	if (!strchr(" =:/@", secret[-1])) /* part of a word, like a key */
		return;
	while (start > lines && start[-1] != '\n')
		start--;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (!strncmp(start, places[i], strlen(places[i])))
			MUST(!strstr(parsed->problem, SECRET));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct option_pair pairs[PAIRS_MAX];
	char *lines[PAIRS_MAX], path[OPTIONS_PATH_MAX], problem[OPTIONS_PROBLEM_MAX];
	size_t count = 0, taken = 0;
	for (; taken < PAIRS_MAX && input.left; taken++) {
		char *line = lines[taken] = take_line(&input);
		if (line[0] == '-' && line[strspn(line, "-")] == '\0') {
			taken++;
			break;
		}
		char *blank = strchr(line, ' ');
		if (blank)
			*blank = '\0';
		pairs[count++] = (struct option_pair){ line, blank ? blank + 1 : "" };
	}
	char *file = copy_text(input.at, input.left), *all = copy_text(data, size);
	int err = options_config_file(pairs, count, path, problem);
	MUST(err == PRESENCE_OK || err == PRESENCE_EINVAL);
	struct parsed parsed = parse(&(struct options_input){
		.pairs = pairs,
		.count = count,
		.host_name = count % 2 ? "b1" : NULL,
		.file_text = input.left ? file : NULL,
		.file_length = input.left,
		.file_name = "/etc/presence.conf",
	});
	if (parsed.options)
		check_printed(parsed.options, all);
	else
		check_refusal(&parsed, all);
	options_destroy(parsed.options);
	while (taken)
		free(lines[--taken]);
	free(all);
	free(file);
	return 0;
}
