// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "check.h"
#include "classify.h"
#include "commands.h"
#include "error.h"
#include "gateway.h"
#include "jbuf.h"
#include "links.h"
#include "rules.h"

static const char *const words[] = { "ok", "warn", "FAIL" };

static void print_json(const struct check_line *line, const char *role, const char *hook)
{
	static const char *const lower[] = { "ok", "warn", "fail" };
	struct jbuf b = { 0 };

	jb_open(&b, NULL, '{');
	jb_str(&b, "need", line->need);
	jb_str(&b, "state", lower[line->state]);
	jb_str(&b, "found", line->found);
	jb_str(&b, "effect", line->effect);
	jb_str(&b, "fix", line->fix);
	if (role) {
		jb_str(&b, "role", role);
		jb_str(&b, "hook", hook);
	}
	jb_close(&b, '}');
	printf("%.*s\n", (int)b.len, b.text ? b.text : "");
	jbuf_free(&b);
}

void check_interface(struct check *c, const struct check_line *line, const char *role, const char *hook)
{
	c->warned |= line->state == CHECK_WARN;
	if (c->json) {
		print_json(line, role, hook);
		return;
	}
	printf("%-4s  %-14s  %s\n", words[line->state], line->need, line->found);
	if (line->effect && line->effect[0])
		printf("      %-14s  -> %s\n", "", line->effect);
	if (line->fix && line->fix[0])
		printf("      %-14s  fix: %s\n", "", line->fix);
}

void check_line(struct check *c, const struct check_line *line)
{
	check_interface(c, line, NULL, NULL);
}

void check_failed(struct check *c, const struct check_line *line, bool rights)
{
	if (!c->failed)
		snprintf(c->reason, sizeof(c->reason), "%s: %s", line->need, line->found);
	c->rights = rights && (!c->failed || c->rights);
	c->failed = true;
	check_line(c, line);
}

int check_end(struct check *c, bool btf)
{
	char ready[200];

	if (c->failed)
		snprintf(ready, sizeof(ready), "can't run: %s", c->reason);
	else
		snprintf(ready, sizeof(ready), "ready: %s", btf ? "full" : "without BTF extras");
	if (c->json) {
		struct jbuf b = { 0 };

		jb_open(&b, NULL, '{');
		jb_bool(&b, "ready", !c->failed);
		jb_str(&b, "summary", ready);
		jb_close(&b, '}');
		printf("%.*s\n", (int)b.len, b.text ? b.text : "");
		jbuf_free(&b);
	} else {
		puts(ready);
	}
	return !c->failed ? EX_OK : c->rights ? EX_NOPERM : EX_UNAVAILABLE;
}

/* First, and where they are wrong alone: 78, whatever else the machine lacks. */
static int check_rules(struct check *c, const char *path)
{
	char err[256], found[300];
	struct rules *r = rules_load(path, err, sizeof(err));

	if (!r)
		return fail(EX_CONFIG, "can't use the rules: %s. Mend that line; the form is described "
			    "in rules.ini.", err);
	snprintf(found, sizeof(found), "%s: taken, %u apps with the built-in ones", path,
		 rules_apps(r));
	check_line(c, &(struct check_line){ .need = "rules", .state = CHECK_OK, .found = found });
	rules_free(r);
	return EX_OK;
}

int cmd_check(const struct options *o)
{
	struct check c = { .json = o->json };
	enum role role[OPTIONS_IFACES];
	struct link link;
	bool btf, tcx;
	int code;

	if (o->rules) {
		code = check_rules(&c, o->rules);
		if (code)
			return code;
	}
	for (unsigned i = 0; i < o->nifaces; i++) {
		role[i] = role_take(o->iface[i]);
		if (link_get(o->iface[i], 0, &link))
			return fail(EX_NOINPUT, "no interface \"%s\". \"weir check\" alone lists those "
				    "there are.", o->iface[i]);
	}
	check_machine(&c, &btf, &tcx);
	check_gateway(&c, o->iface, role, o->nifaces, o->hook, tcx);
	code = check_end(&c, btf);
	if (fflush(stdout) || ferror(stdout))
		return fail(EX_IOERR, "can't write to stdout: %m. Is the disk full?");
	return code;
}
