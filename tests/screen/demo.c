// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The screen over a model that is the same each time. After each drawing it
 * asks the terminal for the cursor's place and waits for the answer, so that
 * all it wrote has been taken in, then writes a byte to file descriptor 3.
 * usage: demo SCENE [weir live's options]	SCENE: full, empty, many, problem
 */
#include <locale.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit/fake_model.h"
#include "commands.h"
#include "screen.h"

#define START 1795737600000000000ull /* 2026-11-27T00:00:00Z */
#define SECOND 1000000000ull

static struct model m;
static struct findings *findings;

static void settle(void)
{
	char c = 0;

	if (write(STDOUT_FILENO, "\033[6n", 4) != 4)
		return;
	while (c != 'R' && read(STDIN_FILENO, &c, 1) == 1)
		;
	if (write(3, ".", 1) != 1)
		exit(1);
}

static const struct {
	const char *name;
	unsigned flows, down, up, lost, rtt_ms, rst; /* per second: down, up bytes; lost of 1000 */
} types[] = {
	{ "unknown", 131, 50000, 25000, 4, 44, 1 },
	{ "whatsapp-media", 38, 191250, 7600, 148, 61, 0 },
	{ "whatsapp-call", 17, 22500, 21400, 0, 0, 0 },
	{ "whatsapp-text", 212, 2750, 1750, 1, 39, 0 },
	{ "tls", 4100, 7625000, 650000, 2, 38, 9 },
	{ "quic", 900, 2475000, 362500, 0, 35, 0 },
	{ "wireguard", 9, 137500, 125000, 0, 0, 0 },
	{ "dns", 8800, 1500, 1125, 0, 9, 0 },
};

static void second(unsigned n)
{
	for (unsigned i = 0; i < m.ntypes; i++) {
		struct type_stats *t = &m.type[i];
		unsigned wave = 90 + (n * (i + 3)) % 21; /* percent */
		bool held = !strcmp(t->name, "whatsapp-media") && n < 20;
		uint64_t down = (uint64_t)types[i].down * (held ? 500 : wave) / 100;

		if (!t->flows_started)
			t->flows_started = types[i].flows;
		t->flows_active = types[i].flows;
		t->bytes[TO_CLIENT] += down;
		t->bytes[TO_SERVER] += types[i].up;
		t->packets[TO_CLIENT] += down / 1000 + 1;
		t->packets[TO_SERVER] += types[i].up / 100 + 1;
		if (types[i].lost) {
			t->tcp_data_packets[TO_CLIENT] += 1000 - types[i].lost;
			t->tcp_data_packets[TO_SERVER] += 1000;
			t->lost[TO_CLIENT] += types[i].lost;
		}
		for (unsigned k = 0; types[i].rtt_ms && k < 10; k++)
			rtt_add(&t->rtt, types[i].rtt_ms * 1000 + k * 500);
		if (n == 5) {
			t->rsts = types[i].rst;
			t->rsts_suspect = types[i].rst;
		}
	}
	for (unsigned i = 0; i < m.nflows; i++) {
		struct flow *f = &m.flow[i];

		f->last_ns = START + n * SECOND;
		f->count[TO_CLIENT].bytes += 1000000 / (i + 1);
		f->count[TO_SERVER].bytes += 30000 / (i + 1);
		f->count[TO_CLIENT].packets += 700 / (i + 1);
		f->count[TO_CLIENT].data_packets += 700 / (i + 1);
		f->count[TO_SERVER].packets += 300 / (i + 1);
	}
	m.now = START + n * SECOND;
}

static void flows(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char client[32], server[40];
		bool v6 = i % 5 == 4;
		struct flow *f;

		snprintf(client, sizeof(client), v6 ? "fd00::%u" : "192.168.1.%u", 20 + i);
		snprintf(server, sizeof(server), v6 ? "2001:db8:aaaa:bbbb::%u" : "157.240.229.%u", 60 + i);
		f = fake_flow(&m, 1000 + i, client, 50000 + i, server, i % 3 == 2 ? 3478 : 443,
			      i % 3 == 2 ? IPPROTO_UDP : IPPROTO_TCP);
		f->type = i % 3 == 0 ? 1 : i % 3 == 1 ? 4 : 2;
		f->l7 = i % 3 == 2 ? WEIR_L7_RTP : WEIR_L7_TLS;
		f->app = f->type != 4;
		f->source = i % 3 == 2 ? SOURCE_PEER : SOURCE_SNI;
		f->hint = i % 3 == 2 ? NULL : i == 1 ? (char *)"www.example.org\033[2J"
						     : (char *)"media-ams2-1.cdn.whatsapp.net";
		f->start_ns = START - i * 60 * SECOND;
		f->complete = i % 2 == 0;
		memcpy(f->history, "ShADadtttd", 11);
		f->count[TO_CLIENT].lost_before = i % 3 == 0 ? 120 : 0;
		f->count[TO_CLIENT].retx = i % 3 == 0 ? 121 : 0;
		f->count[TO_CLIENT].ttl = 54;
		f->count[TO_SERVER].ttl = 64;
		if (f->proto == IPPROTO_TCP) {
			f->handshake_us = 60900;
			f->count[TO_SERVER].rtt_min_us = 58900;
			f->count[TO_CLIENT].rtt_min_us = 1200;
			for (unsigned k = 0; k < 50; k++) {
				flow_rtt_add(f, TO_SERVER, 60000 + k * 300);
				flow_rtt_add(f, TO_CLIENT, 1200 + k * 10);
			}
			f->limit = i % 3 == 0 ? LIMIT_POLICER : LIMIT_APP;
		}
	}
}

static void report(enum kind kind, enum subkind subkind, enum level level, double confidence, int type,
		   enum direction direction, unsigned nflows, const char *what, unsigned ago_s)
{
	struct finding f = { .key = findings_count(findings) + 1, .kind = kind, .subkind = subkind,
			     .level = level, .confidence = confidence, .type = type,
			     .direction = direction, .flows = nflows, .clients = 14, .servers = 3,
			     .start_ns = m.now - ago_s * SECOND };

	snprintf(f.what, sizeof(f.what), "%s", what);
	snprintf(f.method, sizeof(f.method), "%s/%s/1", kind_name(kind), subkind_name(subkind));
	f.flow_id[0] = 1000;
	fact_vs(&f.estimate, "limit_bps", 1530000, 9100000);
	fact_num(&f.estimate, "limit_bps_low", 1460000);
	fact_num(&f.estimate, "limit_bps_high", 1600000);
	fact_num(&f.estimate, "burst_bytes", 2900000);
	fact_text(&f.control, "what", "tls, same minutes");
	fact_num(&f.control, "flows", 41);
	fact_vs(&f.reasons, "plateau_cv", 0.04, 0.31);
	fact_vs(&f.reasons, "loss_ratio", 0.148, 0.002);
	fact_text(&f.reasons, "limit_equal_across_clients", "14 of 14");
	fact_num(&f.ruled_out, "congestion", 1.2);
	fact_text(&f.ruled_out, "lan_loss", "0 of 412 gaps on the client's side");
	fact_text(&f.ruled_out, "own_qdisc", "no drops in this gateway's queue");
	if (findings_report(findings, &f) < 0)
		abort();
}

int main(int argc, char **argv)
{
	static const struct command live = { CMD_LIVE, "live", "", "", NULL, 0, 16 };
	struct screen_status st = { .source = "wan0 tcx", .max_flows = 65536 };
	const char *scene = argc > 1 ? argv[1] : "full";
	struct options o;
	struct screen *s;
	struct sink_ref sink;
	char why[128];
	unsigned n;

	setlocale(LC_CTYPE, "");
	if (options_parse(&o, &live, argc - 1, argv + 1))
		return 64;
	s = screen_open(&o, why, sizeof(why));
	if (!s) {
		printf("no screen: %s\n", why);
		return 3;
	}
	findings = findings_new(64, NULL, NULL);
	m.now = START;
	m.app[1] = "whatsapp";
	if (strcmp(scene, "empty")) {
		for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++)
			fake_type(&m, types[i].name);
		flows(!strcmp(scene, "many") ? 60 : 12);
	}
	screen_show(s, &m, findings);
	sink = screen_sink(s);
	for (n = 0; n < 130; n++) {
		second(n);
		sink.ops->stats(sink.s, &m, m.now, 1);
	}
	if (!strcmp(scene, "hidden")) {
		st.problem = "CLIENTS HIDDEN: NAT, and conntrack can't be read";
		findings_remark(findings, "behind NAT, and conntrack can't be read: how many clients is unknown");
	}
	if (strcmp(scene, "empty")) {
		st.packets = 123456789;
		report(KIND_SELECTIVE_DROP, SUBKIND_LOSS, LEVEL_POSSIBLE, 0.64, 2, DIRECTION_BOTH, 17,
		       "31.2% dropped, control 0.2%", 70);
		report(KIND_RST_INJECTION, SUBKIND_ON_PATH, LEVEL_LIKELY, 0.97, 4, DIRECTION_DOWN, 9,
		       "TTL 117 instead of 54, 5.5 ms after the ClientHello", 120);
		report(KIND_RATE_LIMIT, SUBKIND_POLICER, LEVEL_LIKELY, 0.93, 1, DIRECTION_DOWN, 38,
		       "1.53 Mbit/s (1.46-1.60), burst 2.9 MB", 100);
	}
	if (!strcmp(scene, "problem")) {
		st.problem = "HW OFFLOAD: part of the traffic is invisible";
		st.lost = 12;
	}
	st.uptime_s = 11520;
	st.now_ns = m.now;
	do {
		struct pollfd p = { STDIN_FILENO, POLLIN, 0 };

		screen_draw(s, &st);
		settle();
		poll(&p, 1, -1);
	} while (screen_keys(s));
	screen_close(s);
	for (unsigned i = 0; i < m.nflows; i++)
		flow_rtt_free(&m.flow[i]);
	findings_free(findings);
	options_free(&o);
	puts("closed");
	settle();
	return 0;
}
