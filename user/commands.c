// SPDX-License-Identifier: GPL-2.0-or-later
#include "commands.h"

/* clang-format off */
static const struct command commands[] = {
	{ CMD_LIVE, "live", "[IFACE...]",
	  "the screen: traffic types, flows and findings as they happen",
	  cmd_live, 0, OPTIONS_IFACES },
	{ CMD_WATCH, "watch", "[IFACE...]", "the same as lines; with --json as JSON Lines",
	  cmd_watch, 0, OPTIONS_IFACES },
	{ CMD_ANALYZE, "analyze", "FILE|-...", "the same on captures (pcap, pcapng, .gz); needs no rights",
	  cmd_analyze, 1, 65536 },
	{ CMD_DAEMON, "daemon", "[IFACE...]", "the same as a service: log, history, metrics, clients",
	  cmd_daemon, 0, OPTIONS_IFACES },
	{ CMD_EVENTS, "events", "", "the running daemon's events, as JSON Lines", cmd_events, 0, 0 },
	{ CMD_FINDINGS, "findings", "[ID]", "the findings kept in the history", cmd_findings, 0, 1 },
	{ CMD_EVIDENCE, "evidence", "ID", "the packets kept for a finding, as pcapng",
	  cmd_evidence, 1, 1 },
	{ CMD_REPORT, "report", "[FILE|-]", "one page to pass on, of the history or of a capture",
	  cmd_report, 0, 1 },
	{ CMD_CHECK, "check", "[IFACE...]", "what this machine can do, with the fix for what it can't",
	  cmd_check, 0, OPTIONS_IFACES },
	{ CMD_CONFIG, "config", "", "the configuration in force (--print)", cmd_config, 0, 0 },
	{ CMD_SCHEMA, "schema", "", "the JSON Schema of the events", cmd_schema, 0, 0 },
	{ CMD_COMPLETION, "completion", "", "the bash completion, to be sourced", cmd_completion, 0, 0 },
	{ 0 }
};
/* clang-format on */

const struct command *command_next(const struct command *c)
{
	c = c ? c + 1 : commands;
	return c->name ? c : NULL;
}
