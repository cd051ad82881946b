/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What clients publish on their own topic: any bytes, a status or nothing. */

#include "wire/declaration.h"
#include "fuzz.h"
#include "wire/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct declaration declaration;
	void *exact = malloc(size + !size);
	MUST(exact);
	memcpy(exact, data, size);
	int err = declaration_read(exact, size, &declaration);
	MUST(!err || err == PRESENCE_EINVAL);
	if (!err) {
		MUST(size <= DECLARATION_BYTES_MAX);
		MUST(declaration.status >= PRESENCE_OFFLINE && declaration.status <= PRESENCE_DND);
		MUST(utf8_printable(declaration.note, strlen(declaration.note)));
		MUST(strlen(declaration.note) <= PRESENCE_NOTE_MAX);
	}
	free(exact);
	return 0;
}
