# SPDX-License-Identifier: GPL-2.0-or-later
"""Both sides of a gateway, NAT between them: one flow is one flow, and its client is known."""
import json
import os
import time

from gateway import CLIENT4, CLIENT6, SERVER4, SERVER6, TRAFFIC, Gateway, Skipped, check, equal, wait_for
from test_conserve import flows_add_up, totals
from test_traffic import usage

CLIENTS = [f"192.168.7.{i}" for i in (2, 3, 4)]


def masquerade(gw):
    gw.ip("g", "route", "add", "default", "via", SERVER4)
    gw.ip("g", "-6", "route", "add", "default", "via", SERVER6)
    for c in CLIENTS[1:]:
        gw.ip("c", "addr", "add", f"{c}/24", "dev", "c0")
        gw.ip("g", "neigh", "replace", c, "lladdr", gw.mac("c", "c0"), "dev", "lan0", "nud", "permanent")
    gw.run("g", "nft", "add table ip n; add chain ip n post { type nat hook postrouting priority 100; }; "
           "add rule ip n post oif wan0 masquerade")


def fetch_from(gw, client, conns=10, size=20000, server=SERVER4):
    out = gw.run("c", "python3", "-c", f"""
import socket, struct
for i in range({conns}):
    s = socket.create_connection(("{server}", 7000), 5, ("{client}", 0))
    s.sendall(struct.pack("!I", {size}))
    n = 0
    while n < {size}:
        n += len(s.recv(65536))
    s.close()
print(n)
""")
    equal(out.strip(), str(size), "fetched")


def flows_of(events, port=7000):
    return [e for e in events if e["event_type"] == "flow" and e.get("dest_port") == port]


def watched(gw, *argv, attached=1, nat=True, clients=None, size=20000):
    """Ten flows of each client; the events, the flows to the server."""
    if nat:
        masquerade(gw)
    gw.serve()
    w = gw.weir("watch", *argv, "-j", attached=attached)
    time.sleep(0.1)
    for c in clients or CLIENTS:
        fetch_from(gw, c, size=size)
    time.sleep(0.3)
    events = w.stop()
    stop = totals(events)
    flows_add_up(events, stop)
    return events, flows_of(events), stop, w


def counted_once(flows, size=20000):
    equal(len(flows), 30, "flows")
    for e in flows:
        check(size < e["flow"]["bytes_toclient"] < size * 1.1, f"bytes of a flow: {e}")
    by_client = {c: sum(e["src_ip"] == c for e in flows) for c in CLIENTS}
    equal(by_client, {c: 10 for c in CLIENTS}, "flows by client")


def test_lan_and_wan_with_nat():
    with Gateway() as gw:
        events, flows, stop, _ = watched(gw, "lan0", "wan0", attached=2)
        counted_once(flows)
        equal({e["in_iface"] for e in flows}, {"wan0"}, "where it is reported")
        again = stop["packets"]["elsewhere"]["second_sighting"]
        once = sum(e["flow"]["pkts_toserver"] + e["flow"]["pkts_toclient"] for e in flows)
        equal(again, once, "packets of the second sightings")
        equal([e for e in events if e["event_type"] == "finding"], [], "findings")


def test_lan_and_wan_without_nat():
    with Gateway() as gw:
        gw.ip("g", "route", "add", "default", "via", SERVER4)
        for c in CLIENTS[1:]:
            gw.ip("c", "addr", "add", f"{c}/24", "dev", "c0")
            gw.ip("g", "neigh", "replace", c, "lladdr", gw.mac("c", "c0"), "dev", "lan0", "nud", "permanent")
        _, flows, _, _ = watched(gw, "lan0", "wan0", attached=2, nat=False)
        counted_once(flows)


def test_wan_only_knows_the_clients():
    with Gateway() as gw:
        _, flows, stop, _ = watched(gw, "wan0")
        counted_once(flows)
        equal(stop["packets"]["elsewhere"]["second_sighting"], 0, "second sightings")


def test_connections_older_than_us_are_known():
    with Gateway() as gw:
        masquerade(gw)
        gw.serve()
        gw.popen("c", ["python3", "-c", f"""
import socket, struct, time
s = socket.create_connection(("{SERVER4}", 7000), 5, ("{CLIENTS[1]}", 0))
while True:
    s.sendall(struct.pack("!I", 5000))
    n = 0
    while n < 5000:
        n += len(s.recv(65536))
    time.sleep(0.02)
"""])
        time.sleep(0.3)
        w = gw.weir("watch", "wan0", "-j")
        time.sleep(0.5)
        flows = flows_of(w.stop())
        equal([e["src_ip"] for e in flows], [CLIENTS[1]], "its client, whoever was seen to speak first")


def test_lan_only():
    with Gateway() as gw:
        _, flows, _, _ = watched(gw, "lan0")
        counted_once(flows)


def test_roles_by_hand():
    """The uplink has no default route: only the user knows that it is the WAN."""
    with Gateway() as gw:
        masquerade(gw)
        gw.ip("g", "route", "del", "default")
        gw.ip("g", "-6", "route", "del", "default")
        _, flows, stop, _ = watched(gw, "lan0:lan", "wan0:wan", attached=2, nat=False)
        counted_once(flows)
        check(stop["packets"]["elsewhere"]["second_sighting"] > 0, "second sightings")


def test_ipv6_without_nat():
    with Gateway() as gw:
        masquerade(gw)
        gw.serve(SERVER6)
        w = gw.weir("watch", "lan0", "wan0", "-j", attached=2)
        gw.fetch(SERVER6, conns=20, size=10000)
        events = w.stop()
        flows = flows_of(events)
        equal(len(flows), 20, "flows")
        equal({e["src_ip"] for e in flows}, {CLIENT6}, "clients")
        flows_add_up(events, totals(events))


def test_the_gateways_own_traffic():
    with Gateway() as gw:
        masquerade(gw)
        gw.serve()
        w = gw.weir("watch", "lan0", "wan0", "-j", attached=2)
        gw.run("g", "python3", "-c", f"import socket; socket.create_connection(('{SERVER4}', 7000), 5)")
        events = w.stop()
        equal([e["src_ip"] for e in flows_of(events)], ["203.0.113.1"], "its own address")
        flows_add_up(events, totals(events))


def test_a_bridge_and_its_port_are_watched_once():
    with Gateway() as gw:
        gw.ip("g", "addr", "flush", "dev", "lan0")
        gw.ip("g", "link", "add", "br0", "type", "bridge")
        gw.ip("g", "link", "set", "lan0", "master", "br0")
        gw.ip("g", "link", "set", "br0", "up")
        gw.ip("g", "addr", "add", "192.168.7.1/24", "dev", "br0")
        gw.ip("c", "neigh", "replace", "192.168.7.1", "lladdr", gw.mac("g", "br0"), "dev", "c0", "nud",
              "permanent")
        for c in CLIENTS:
            gw.ip("g", "neigh", "replace", c, "lladdr", gw.mac("c", "c0"), "dev", "br0", "nud", "permanent")
        gw.serve()
        w = gw.weir("watch", "br0", "lan0", "-j")
        gw.fetch(conns=5)
        events = w.stop()
        check("lan0 shows the same packets as br0: they are watched once, at br0." in w.stderr(), w.stderr())
        equal(len(flows_of(events)), 5, "flows")


def other_way_back(gw, table="main"):
    """What the server sends by that table does not come by wan0."""
    gw.ip("g", "link", "add", "side0", "type", "veth", "peer", "name", "s1", "netns", gw.ns("s"))
    for who, dev, addr in (("g", "side0", "10.9.9.1/24"), ("s", "s1", "10.9.9.2/24")):
        gw.ip(who, "addr", "add", addr, "dev", dev)
        gw.ip(who, "link", "set", dev, "up")
    gw.ip("s", "route", "replace", "default", "via", "10.9.9.1", "table", table)
    for dev in ("all", "wan0", "side0"):
        gw.sysctl("g", f"net.ipv4.conf.{dev}.rp_filter=0")


def test_one_direction_only():
    """Answers come another way: losses and RTT can't be judged, and that is said."""
    with Gateway() as gw:
        other_way_back(gw)
        gw.serve()
        w = gw.weir("watch", "wan0", "-j")
        for _ in range(14):
            gw.fetch(conns=20, size=100000)
            time.sleep(0.4)
        events = w.stop()
        said = [e["tool"]["why"] for e in events if e["event_type"] == "tool" and e["tool"]["action"] == "lost"]
        check(any("wan0 shows only outgoing packets" in s for s in said), f"said: {said}")
        check("asymmetric" in w.stderr(), w.stderr())
        equal([e for e in events if e["event_type"] == "finding"], [], "findings of a half-seen path")


def test_own_drops_are_own():
    """What this host's firewall drops between both sides is no finding, on LAN+WAN as on WAN alone."""
    for ifaces in (("lan0", "wan0"), ("wan0",)):
        with Gateway(offloads=False) as gw:
            masquerade(gw)
            gw.serve()
            gw.fetch()
            gw.run("g", "nft", "add table ip t; add chain ip t f { type filter hook forward priority 0; }; "
                   "add rule ip t f iif wan0 tcp sport 7000 numgen random mod 100 < 3 counter drop")
            w = gw.weir("watch", *ifaces, "-j", attached=len(ifaces))
            gw.fetch(conns=20, size=1000000, at_once=5)
            events = w.stop()
            flows_add_up(events, totals(events))
            rules = json.loads(gw.run("g", "nft", "-j", "list table ip t"))["nftables"]
            dropped = [e["counter"]["packets"] for r in rules if "rule" in r for e in r["rule"]["expr"]
                       if "counter" in e][0]
            check(dropped > 100, f"too few drops: {dropped}")
            claims = [e["finding"] for e in events if e["event_type"] == "finding"
                      and e["finding"]["level"] != "possible"]
            equal(claims, [], f"claims on {ifaces}")
            said = [e["tool"]["why"] for e in events if e["event_type"] == "tool"
                    and e["tool"]["action"] == "lost"]
            if os.path.exists("/sys/kernel/btf/vmlinux"):
                named = sum(int(s.split("netfilter_drop ")[1].split(".")[0].split(",")[0]) for s in said
                            if "netfilter_drop" in s)
                equal(named, dropped, "drops by the kernel's own reason")
            if len(ifaces) == 2:
                own = sum(int(s.split("dropped ")[1].split()[0]) for s in said if "this host itself" in s)
                check(abs(own - dropped) <= max(2, 0.02 * dropped), f"own drops {own}, not {dropped}: {said}")


def test_drops_of_another_namespace_are_not_ours():
    """A container's interface may have the number of ours."""
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        raise Skipped("kernel without BTF: drop reasons are off")
    with Gateway(offloads=False) as gw:
        equal(gw.ifindex("c0", "c"), gw.ifindex("lan0"), "both interfaces' numbers")
        gw.run("c", "nft", "add table ip t; add chain ip t f { type filter hook input priority 0; }; "
               "add rule ip t f udp dport 9 counter drop")
        w = gw.weir("watch", "lan0", "-j")
        gw.run("g", "python3", "-c", f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(50):
    s.sendto(b"x", ("{CLIENT4}", 9))
""")
        events = w.stop()
        said = [e["tool"]["why"] for e in events if e["event_type"] == "tool" and e["tool"]["action"] == "lost"]
        equal(said, [], "what was said of our drops")
        check("counter packets 50 " in gw.run("c", "nft", "list table ip t"), "the client dropped them")


def test_wait_for_an_interface():
    """It comes after the start, as a tunnel does: no Ethernet header. Then it goes and comes again."""
    with Gateway() as gw:
        w = gw.weir("watch", "tun7", "-j", "--wait", attached=0)
        wait_for(lambda: "tun7 is not there yet; waiting for it." in w.stderr(), "the wait is said")
        for n in (1, 2):
            gw.ip("g", "tuntap", "add", "dev", "tun7", "mode", "tun")
            gw.ip("g", "link", "set", "tun7", "up")
            wait_for(lambda n=n: len(w.tool("attach")) == n, "weir attaches")
            gw.ip("g", "link", "del", "tun7")
            wait_for(lambda n=n: len(w.tool("detach")) == n, "weir detaches")
        w.stop()
        check("tun7 is there." in w.stderr() and "tun7 is back." in w.stderr(), w.stderr())


def test_without_wait_it_must_be_there():
    with Gateway() as gw:
        w = gw.weir("watch", "tun7", "-j", attached=0)
        equal(w.proc.wait(20), 66, "exit code")
        check('no interface "tun7"' in w.stderr(), w.stderr())


def bridged(gw):
    """No router: lan0 and wan0 are two ports of a bridge."""
    for dev in ("lan0", "wan0"):
        gw.ip("g", "addr", "flush", "dev", dev)
    gw.ip("g", "link", "add", "br0", "type", "bridge")
    for dev in ("lan0", "wan0"):
        gw.ip("g", "link", "set", dev, "master", "br0")
    gw.ip("g", "link", "set", "br0", "up")
    for who, dev, far, peer_who, peer in (("c", "c0", SERVER4, "s", "s0"), ("s", "s0", CLIENT4, "c", "c0")):
        gw.ip(who, "route", "replace", far, "dev", dev)
        gw.ip(who, "neigh", "replace", far, "lladdr", gw.mac(peer_who, peer), "dev", dev, "nud", "permanent")


def test_two_ports_of_a_bridge():
    with Gateway() as gw:
        bridged(gw)
        gw.serve()
        w = gw.weir("watch", "lan0:lan", "wan0:wan", "-j", attached=2)
        gw.fetch(conns=10, size=20000)
        events = w.stop()
        flows_add_up(events, totals(events))
        equal([e["src_ip"] for e in flows_of(events)], [CLIENT4] * 10, "flows, each once")
        equal([e for e in events if e["event_type"] == "finding"], [], "findings")
        w = gw.weir("watch", "lan0", "wan0", "-j", attached=2)
        w.stop()
        check("lan0 and wan0 are ports of br0" in w.stderr(), w.stderr())


def test_a_flood_that_the_firewall_drops_is_cheap():
    """80,000 packets of as many flows, all dropped here: named, and no work that grows with them."""
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        raise Skipped("kernel without BTF: drop reasons are off")
    with Gateway() as gw:
        gw.ip("g", "route", "add", "198.18.0.0/15", "via", SERVER4)
        gw.run("g", "nft", "add table ip t; add chain ip t f { type filter hook forward priority 0; }; "
               "add rule ip t f ip saddr 198.18.0.0/15 drop")
        w = gw.weir("watch", "lan0", "wan0", "-j", "--events", "finding,tool", attached=2)
        cpu = usage(w.proc.pid)[0]
        gw.run("s", TRAFFIC, "flood", "s0", "198.18.0.0", CLIENT4, "40000", "10000", gw.mac("g", "wan0"))
        cpu = usage(w.proc.pid)[0] - cpu
        events = w.stop()
        named = [e for e in events if e["event_type"] == "tool" and "netfilter_drop" in e["tool"].get("why", "")]
        check(named, "the drops are not named")
        equal([e for e in events if e["event_type"] == "finding"], [], "findings")
        check(cpu < 2.5, f"{cpu:.2f} s of CPU in 4 s")
        return f"{cpu:.2f} s of CPU in 4 s"
