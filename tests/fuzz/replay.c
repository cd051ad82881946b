/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Stands in for libFuzzer where there is none: runs the target once on each file of the folders and
 * files given. Succeeds when none of them ended the process, and there was one at all. */

#include <dirent.h>
#include <errno.h>

#include "fuzz.h"

enum { FILE_MAX = 1024 * 1024, PATH_BYTES = 4096 };

static void replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = malloc(FILE_MAX);
	MUST(bytes);
	if (!file) {
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(EXIT_FAILURE);
	}
	size_t length = fread(bytes, 1, FILE_MAX, file);
	(void)fclose(file); /* was only read */
	/* Of exactly its size, for the sanitizers. */
	uint8_t *exact = malloc(length ? length : 1);
	MUST(exact);
	memcpy(exact, bytes, length);
	free(bytes);
	/* Whatever stops it, the last path is the input. */
	(void)printf("%s\n", path);
	(void)fflush(stdout);
	(void)LLVMFuzzerTestOneInput(exact, length);
	free(exact);
}

static unsigned replay_all(const char *path)
{
	DIR *folder = opendir(path);
	unsigned count = 0;
	if (!folder) {
		replay(path);
		return 1;
	}
	for (const struct dirent *entry; (entry = readdir(folder));) {
		char inner[PATH_BYTES];
		if (entry->d_name[0] == '.')
			continue;
		int length = snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		MUST(length > 0 && (size_t)length < sizeof(inner));
		replay(inner);
		count++;
	}
	(void)closedir(folder);
	return count;
}

int main(int count, char **paths)
{
	unsigned files = 0;
	for (int i = 1; i < count; i++)
		files += replay_all(paths[i]);
	(void)printf("%u inputs\n", files);
	return files ? EXIT_SUCCESS : EXIT_FAILURE;
}
