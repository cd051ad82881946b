/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/roff.h"

#include <stdbool.h>
#include <string.h>

enum { COLUMNS = 72 };

/* Columns written. */
static size_t write_byte(char byte, bool at_start, FILE *out)
{
	static const struct {
		char byte;
		const char *name;
	} names[] = { { '\\', "\\e" }, { '-', "\\-" }, { '\'', "\\(aq" }, { '^', "\\(ha" },
		{ '~', "\\(ti" } };
	size_t written = 0;
	/* At the start of a line . and ' ask roff for something. */
	if (at_start && (byte == '.' || byte == '\'')) {
		fputs("\\&", out);
		written = 2;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].byte == byte) {
			fputs(names[i].name, out);
			return written + strlen(names[i].name);
		}
	fputc(byte, out);
	return written + 1;
}

void roff_text(const char *text, FILE *out)
{
	size_t at = 0;
	for (; *text; text++) {
		at += write_byte(*text, at == 0, out);
		/* A sentence ends a line, so that roff sets the space behind it. */
		bool sentence = *text == '.' && text[1] == ' ';
		if (sentence || (text[1] == ' ' && at + 1 + strcspn(text + 2, " ") > COLUMNS)) {
			fputc('\n', out);
			text++;
			at = 0;
		}
	}
	fputc('\n', out);
}

void roff_word(const char *text, FILE *out)
{
	for (; *text; text++)
		(void)write_byte(*text, false, out);
}
