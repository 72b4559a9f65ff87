/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stddef.h>
#include <string.h>

#include "rst_names.h"

#define TCP_ACK 0x10

const char *rst_stage_name(enum rst_stage stage)
{
	static const char *const name[] = { "post_syn", "post_ack", "post_psh", "later" };

	return name[stage];
}

static const char *post_psh(const struct rst_packet *one, unsigned n, unsigned with_ack)
{
	bool differ = false, zero = false, nonzero = false;

	if (with_ack == n)
		return n == 1 ? "⟨PSH+ACK → RST+ACK⟩" : "⟨PSH+ACK → RST+ACK; RST+ACK⟩";
	if (with_ack)
		return "⟨PSH+ACK → RST; RST+ACK⟩";
	if (n == 1)
		return "⟨PSH+ACK → RST⟩";
	for (unsigned i = 0; i < n; i++) {
		differ |= one[i].ack != one[0].ack;
		zero |= !one[i].ack;
		nonzero |= !!one[i].ack;
	}
	if (zero && nonzero)
		return "⟨PSH+ACK → RST; RST₀⟩";
	return differ ? "⟨PSH+ACK → RST ≠ RST⟩" : "⟨PSH+ACK → RST = RST⟩";
}

const char *rst_signature(enum rst_stage stage, const struct rst_packet *one, unsigned n)
{
	unsigned with_ack = 0;

	if (!n)
		return NULL;
	for (unsigned i = 0; i < n; i++)
		with_ack += !!(one[i].tcp_flags & TCP_ACK);
	switch (stage) {
	case RST_POST_SYN:
		if (with_ack && with_ack < n)
			return "⟨SYN → RST; RST+ACK⟩";
		return with_ack ? "⟨SYN → RST+ACK⟩" : "⟨SYN → RST⟩";
	case RST_POST_ACK:
		if (with_ack && with_ack < n)
			return NULL;
		if (with_ack)
			return n == 1 ? "⟨SYN; ACK → RST+ACK⟩" : "⟨SYN; ACK → RST+ACK; RST+ACK⟩";
		return n == 1 ? "⟨SYN; ACK → RST⟩" : "⟨SYN; ACK → RST; RST⟩";
	case RST_POST_PSH:
		return post_psh(one, n, with_ack);
	case RST_LATER:
		return one[0].tcp_flags & TCP_ACK ? "⟨PSH+ACK; Data → RST+ACK⟩"
						  : "⟨PSH+ACK; Data → RST⟩";
	}
	return NULL;
}

/* What published measurements say of injectors' headers. An unset bound does not bind. */
static const struct label {
	const char *name;
	uint8_t copies_min, copies_max;
	int8_t ack, df; /* 1 yes, 0 no, -1 either */
	uint8_t ttl_min, ttl_max;
	uint16_t ipid_min, ipid_max;
	bool same_seq;	      /* of its copies */
	bool counted_payload; /* 01 02 .. 09 00 behind the header */
} labels[] = {
	/* gfw-report, regional firewalls study (IEEE S&P 2025) */
	{ "Henan firewall", 1, 1, 1, 0, 1, 255, 0, 0xffff, true, true },
	{ "GFW type III", 1, 1, 1, 0, 200, 255, 0x9916, 0x9933, true, false },
	{ "GFW type II", 3, 3, 1, 1, 39, 238, 0x00a3, 0xfe5f, true, false },
	/* Clayton, Murdoch, Watson 2006: X, X+1460, X+4380 */
	{ "GFW, spread triple", 3, 3, -1, -1, 1, 255, 0, 0xffff, false, false },
	/* Citizen Lab, "Bad Traffic" (2018): Sandvine PacketLogic */
	{ "PacketLogic", 1, 255, -1, 0, 1, 255, 13330, 13330, true, false },
};

static bool spread_triple(const struct rst_packet *one)
{
	return seq_dist(one[1].seq, one[0].seq) == 1460 && seq_dist(one[2].seq, one[0].seq) == 4380;
}

static bool fits(const struct label *l, const struct rst_packet *one, unsigned n, bool counted)
{
	if (n < l->copies_min || n > l->copies_max || l->counted_payload != counted)
		return false;
	if (!l->same_seq && !spread_triple(one))
		return false;
	for (unsigned i = 0; i < n; i++) {
		const struct rst_packet *p = &one[i];

		if (!p->ipv4 || (l->ack >= 0 && l->ack != !!(p->tcp_flags & TCP_ACK)) ||
		    (l->df >= 0 && l->df != p->df) || p->ttl < l->ttl_min || p->ttl > l->ttl_max ||
		    p->ipid < l->ipid_min || p->ipid > l->ipid_max ||
		    (l->same_seq && p->seq != one[0].seq))
			return false;
	}
	return true;
}

const char *rst_label(const struct rst_packet *one, unsigned n, const uint8_t *payload,
		      unsigned payload_len)
{
	static const uint8_t count[10] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 0 };
	bool counted =
		payload && payload_len == sizeof(count) && !memcmp(payload, count, sizeof(count));

	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		if (n && fits(&labels[i], one, n, counted))
			return labels[i].name;
	return NULL;
}

unsigned rst_hops(uint8_t ttl)
{
	unsigned init = ttl <= 32 ? 32 : ttl <= 64 ? 64 : ttl <= 128 ? 128 : 255;

	return init - ttl;
}
