// SPDX-License-Identifier: GPL-2.0-or-later
#include "out.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "error.h"

static int write_error;
static bool flush_each;
static struct privacy told; /* the map is the options' */
static void (*elsewhere)(void *arg, const char *text, size_t len);
static void *elsewhere_arg;

struct sink_ref output_open(const struct options *o, bool live)
{
	struct sink_ref sink;

	write_error = 0;
	flush_each = live;
	told = o->privacy;
	if (told.names == NAMES_DEFAULT)
		told.names = live ? NAMES_NONE : NAMES_FULL;
	if (!o->json)
		return lines_sink(o, live, &told);
	sink = json_sink(options_events(o), live);
	json_privacy(sink, &told);
	return sink;
}

void output_redirect(void (*write)(void *arg, const char *text, size_t len), void *arg)
{
	elsewhere = write;
	elsewhere_arg = arg;
}

void output_write(const char *text, size_t len)
{
	if (elsewhere) {
		elsewhere(elsewhere_arg, text, len);
		return;
	}
	if (write_error)
		return;
	errno = 0;
	if (fwrite(text, 1, len, stdout) != len || (flush_each && fflush(stdout)))
		write_error = errno ? errno : EIO;
}

void output_printf(const char *format, ...)
{
	char text[1024];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n > 0)
		output_write(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

bool output_ok(void)
{
	return !write_error;
}

int output_code(void)
{
	if (!write_error && fflush(stdout))
		write_error = errno;
	if (!write_error || write_error == EPIPE)
		return EX_OK;
	return fail(EX_IOERR, "can't write the events: %s. Free space, or write elsewhere.",
		    strerror(write_error));
}
