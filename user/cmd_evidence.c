// SPDX-License-Identifier: GPL-2.0-or-later
/* weir evidence: the packets kept for a finding, out of the directory where a run put them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "error.h"

static int copy(FILE *from, FILE *to)
{
	char part[65536];
	size_t n;

	while ((n = fread(part, 1, sizeof(part), from)))
		if (fwrite(part, 1, n, to) != n)
			return errno;
	if (ferror(from))
		return EIO;
	return fflush(to) ? errno : 0;
}

int cmd_evidence(const struct options *o)
{
	bool to_stdout = !o->output || !strcmp(o->output, "-");
	const char *id = o->args[0];
	char path[4096];
	FILE *from, *to;
	int err;

	if (!o->evidence)
		return fail(EX_USAGE, "where is the evidence? Name its directory: --evidence DIR, or [evidence] dir in the configuration.");
	if (!*id || strspn(id, "0123456789") != strlen(id) || strlen(id) > 10)
		return fail(EX_USAGE, "\"%s\" is no finding's number. weir findings lists them.", id);
	if (to_stdout && isatty(STDOUT_FILENO))
		return fail(EX_USAGE, "packets make no sense on a terminal. Say -o FILE, or pipe them: weir evidence %s | tshark -r -", id);
	snprintf(path, sizeof(path), "%s/%s.pcapng", o->evidence, id);
	from = fopen(path, "re");
	if (!from)
		return fail(EX_NOINPUT, "can't read %s: %s. weir findings lists the findings.", path,
			    strerror(errno));
	to = to_stdout ? stdout : fopen(o->output, "we");
	if (!to) {
		err = errno;
		fclose(from);
		return fail(EX_CANTCREAT, "can't write %s: %s. Name another file.", o->output,
			    strerror(err));
	}
	err = copy(from, to);
	fclose(from);
	if (!to_stdout && fclose(to) && !err)
		err = errno;
	if (err)
		return fail(EX_IOERR, "can't write the packets: %s. Free space, or write elsewhere.",
			    strerror(err));
	return EX_OK;
}
