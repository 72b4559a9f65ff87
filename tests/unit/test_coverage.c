// SPDX-License-Identifier: GPL-2.0-or-later
/* What nftables tells of flow offload and NAT, and what weir check makes of it: no card here offloads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <libmnl/libmnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "clsact.h"
#include "coverage.h"

struct message {
	char buf[1024] __attribute__((aligned(8)));
	struct nlmsghdr *h;
};

static void begin(struct message *m, uint16_t what)
{
	memset(m, 0, sizeof(*m));
	m->h = mnl_nlmsg_put_header(m->buf);
	m->h->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | what;
	mnl_nlmsg_put_extra_header(m->h, sizeof(struct nfgenmsg));
}

/* As the kernel's nf_tables_fill_flowtable_info() puts it. */
static void flowtable(struct coverage *c, const char *name, uint32_t flags, const char *const *devs)
{
	struct nlattr *hook, *list;
	struct message m;

	begin(&m, NFT_MSG_NEWFLOWTABLE);
	mnl_attr_put_strz(m.h, NFTA_FLOWTABLE_TABLE, "fw4");
	mnl_attr_put_strz(m.h, NFTA_FLOWTABLE_NAME, name);
	mnl_attr_put_u32(m.h, NFTA_FLOWTABLE_FLAGS, htonl(flags));
	hook = mnl_attr_nest_start(m.h, NFTA_FLOWTABLE_HOOK);
	mnl_attr_put_u32(m.h, NFTA_FLOWTABLE_HOOK_NUM, htonl(NF_NETDEV_INGRESS));
	list = mnl_attr_nest_start(m.h, NFTA_FLOWTABLE_HOOK_DEVS);
	for (; *devs; devs++)
		mnl_attr_put_strz(m.h, NFTA_DEVICE_NAME, *devs);
	mnl_attr_nest_end(m.h, list);
	mnl_attr_nest_end(m.h, hook);
	coverage_message(c, m.h);
}

static void chain(struct coverage *c, const char *type, uint32_t hooknum)
{
	struct nlattr *hook;
	struct message m;

	begin(&m, NFT_MSG_NEWCHAIN);
	mnl_attr_put_strz(m.h, NFTA_CHAIN_TABLE, "fw4");
	mnl_attr_put_strz(m.h, NFTA_CHAIN_NAME, "srcnat");
	mnl_attr_put_strz(m.h, NFTA_CHAIN_TYPE, type);
	hook = mnl_attr_nest_start(m.h, NFTA_CHAIN_HOOK);
	mnl_attr_put_u32(m.h, NFTA_HOOK_HOOKNUM, htonl(hooknum));
	mnl_attr_nest_end(m.h, hook);
	coverage_message(c, m.h);
}

/* What check_offload() prints. */
static void printed(const struct coverage *c, struct check *k, char *text, size_t size)
{
	FILE *file = tmpfile();
	int out = dup(1);
	size_t n;

	assert_non_null(file);
	fflush(stdout);
	dup2(fileno(file), 1);
	check_offload(k, c);
	fflush(stdout);
	dup2(out, 1);
	close(out);
	rewind(file);
	n = fread(text, 1, size - 1, file);
	text[n] = 0;
	fclose(file);
}

static void hardware_offload_is_a_warning(void **state)
{
	static const char *const lan[] = { "lan1", NULL }, *const all[] = { "lan1", "wan", NULL };
	struct check k = { .json = true };
	struct coverage c = { 0 };
	char text[1024];

	flowtable(&c, "soft", 0, lan);
	flowtable(&c, "ft", NFT_FLOWTABLE_HW_OFFLOAD, all);
	assert_int_equal(c.flowtables, 2);
	assert_true(c.hw_offload);
	assert_string_equal(c.flowtable, "fw4/ft");
	assert_string_equal(c.flowtable_devs, "lan1, wan");
	printed(&c, &k, text, sizeof(text));
	assert_true(k.warned);
	assert_non_null(strstr(text, "\"state\":\"warn\""));
	assert_non_null(strstr(text, "fw4/ft on lan1, wan, hardware"));
	assert_non_null(strstr(text, "invisible after their first packets"));
	assert_non_null(strstr(text, "flow_offloading_hw=0"));
}

static void software_offload_is_none(void **state)
{
	static const char *const all[] = { "lan1", "wan", NULL };
	struct check k = { .json = true };
	struct coverage c = { 0 };
	char text[1024];

	printed(&c, &k, text, sizeof(text));
	assert_string_equal(text, "");
	flowtable(&c, "ft", 0, all);
	assert_false(c.hw_offload);
	printed(&c, &k, text, sizeof(text));
	assert_false(k.warned);
	assert_non_null(strstr(text, "fw4/ft on lan1, wan, software"));
}

static void nat_is_a_chain_of_postrouting(void **state)
{
	struct coverage c = { 0 };
	struct message m;

	chain(&c, "filter", NF_INET_POST_ROUTING);
	chain(&c, "nat", NF_INET_PRE_ROUTING);
	assert_false(c.nat);
	chain(&c, "nat", NF_INET_POST_ROUTING);
	assert_true(c.nat);
	assert_string_equal(c.nat_chain, "fw4/srcnat");
	/* Too short for what it says it is. */
	memset(&m, 0, sizeof(m));
	m.h = mnl_nlmsg_put_header(m.buf);
	m.h->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWFLOWTABLE;
	coverage_message(&c, m.h);
	assert_int_equal(c.flowtables, 0);
}

static bool iptables_nat(const char *tables)
{
	char path[] = "/tmp/weir-coverage-XXXXXX";
	struct coverage c = { 0 };
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, tables, strlen(tables)), strlen(tables));
	close(fd);
	coverage_iptables(&c, path);
	unlink(path);
	return c.nat;
}

static void nat_of_iptables(void **state)
{
	struct coverage c = { 0 };

	assert_true(iptables_nat("filter\nnat\n"));
	assert_false(iptables_nat("filter\nmangle\n"));
	assert_false(iptables_nat(""));
	coverage_iptables(&c, "/nonexistent");
	assert_false(c.nat);
}

/* As the kernel's tcf_fill_node() and fl_dump() put it. */
static bool filter_in_hardware(const char *kind, uint16_t option, uint32_t flags)
{
	struct nlattr *options;
	struct message m;

	memset(&m, 0, sizeof(m));
	m.h = mnl_nlmsg_put_header(m.buf);
	m.h->nlmsg_type = RTM_NEWTFILTER;
	mnl_nlmsg_put_extra_header(m.h, sizeof(struct tcmsg));
	mnl_attr_put_strz(m.h, TCA_KIND, kind);
	options = mnl_attr_nest_start(m.h, TCA_OPTIONS);
	mnl_attr_put_u32(m.h, option, flags);
	mnl_attr_nest_end(m.h, options);
	return clsact_says_hardware(m.h);
}

static void filters_in_the_card(void **state)
{
	assert_true(filter_in_hardware("flower", TCA_FLOWER_FLAGS, TCA_CLS_FLAGS_IN_HW));
	assert_true(filter_in_hardware("matchall", TCA_MATCHALL_FLAGS, TCA_CLS_FLAGS_IN_HW));
	assert_true(filter_in_hardware("u32", TCA_U32_FLAGS, TCA_CLS_FLAGS_IN_HW | TCA_CLS_FLAGS_SKIP_SW));
	assert_true(filter_in_hardware("bpf", TCA_BPF_FLAGS_GEN, TCA_CLS_FLAGS_IN_HW));
	assert_false(filter_in_hardware("flower", TCA_FLOWER_FLAGS, TCA_CLS_FLAGS_NOT_IN_HW));
	/* Another option of the same number as another kind's flags. */
	assert_false(filter_in_hardware("u32", TCA_FLOWER_FLAGS, TCA_CLS_FLAGS_IN_HW));
	assert_false(filter_in_hardware("fw", TCA_U32_FLAGS, TCA_CLS_FLAGS_IN_HW));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hardware_offload_is_a_warning),
		cmocka_unit_test(software_offload_is_none),
		cmocka_unit_test(nat_is_a_chain_of_postrouting),
		cmocka_unit_test(filters_in_the_card),
		cmocka_unit_test(nat_of_iptables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
