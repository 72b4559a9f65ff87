// SPDX-License-Identifier: GPL-2.0-or-later
/* The commands that print what the tables hold. */
#include <stdio.h>

#include "commands.h"
#include "error.h"
#include "out.h"

static int printed(void)
{
	if (fflush(stdout) || ferror(stdout))
		return fail(EX_IOERR, "can't write to stdout: %m. Is the disk full?");
	return EX_OK;
}

int cmd_config(const struct options *o)
{
	if (!o->print)
		return fail(EX_USAGE, "weir config does nothing alone. Say: weir config --print");
	options_print(stdout, o);
	return printed();
}

int cmd_completion(const struct options *o)
{
	options_completion(stdout);
	return printed();
}

int cmd_schema(const struct options *o)
{
	schema_print(stdout);
	return printed();
}
