// SPDX-License-Identifier: GPL-2.0-or-later
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

int verbosity;

static char text[2048];

const char *fail_text(void)
{
	return text;
}

static void say(const char *format, va_list args)
{

	vsnprintf(text, sizeof(text), format, args);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	fprintf(stderr, "weir: %s\n", text);
}

int fail(int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	return code;
}

void notice(const char *format, ...)
{
	va_list args;

	if (verbosity < 0)
		return;
	va_start(args, format);
	say(format, args);
	va_end(args);
}
