# SPDX-License-Identifier: GPL-2.0-or-later
"""Gateways as they are set up: each flow counted once, under its true ends, wherever it goes."""
import time

from gateway import CLIENT4, CLIENT6, SERVER4, SERVER6, TRAFFIC, Failed, Gateway, Skipped, check, equal, wait_for
from test_conserve import flows_add_up, totals
from test_gateway import CLIENTS, fetch_from, flows_of, masquerade, other_way_back
from test_links import wrapped

INSIDE = "192.168.8.2"	# a server in a second LAN
WAN2, SERVER2 = "198.51.100.1", "198.51.100.2"


def addresses(gw, who, dev, *addrs):
    gw.ip(who, "link", "set", dev, "up")
    for a in addrs:
        gw.ip(who, "addr", "add", a, "dev", dev, *(["nodad"] if ":" in a else []))


def second_lan(gw):
    """lan1, with a host in the server's namespace that knows no other way to the clients."""
    gw.ip("g", "link", "add", "lan1", "type", "veth", "peer", "name", "i1", "netns", gw.ns("s"))
    addresses(gw, "g", "lan1", "192.168.8.1/24")
    addresses(gw, "s", "i1", f"{INSIDE}/24")
    gw.ip("s", "route", "add", "192.168.7.0/24", "via", "192.168.8.1")


def second_wan(gw):
    gw.ip("g", "link", "add", "wan1", "type", "veth", "peer", "name", "s1", "netns", gw.ns("s"))
    addresses(gw, "g", "wan1", f"{WAN2}/24")
    addresses(gw, "s", "s1", f"{SERVER2}/24")
    for who, dev in (("g", "all"), ("g", "wan0"), ("g", "wan1"), ("s", "all"), ("s", "s0"), ("s", "s1")):
        gw.sysctl(who, f"net.ipv4.conf.{dev}.rp_filter=0")


def nft(gw, *rules):
    gw.run("g", "nft", "; ".join(["add table ip n", "add chain ip n pre { type nat hook prerouting priority -100; }",
                                  "add chain ip n post { type nat hook postrouting priority 100; }"] +
                                 [f"add rule ip n {r}" for r in rules]))


def ended(w):
    """All events, once they add up and nothing is claimed."""
    events = w.stop()
    flows_add_up(events, totals(events))
    equal([e["finding"] for e in events if e["event_type"] == "finding"], [], "findings")
    return events


def ends(flows):
    return sorted((e["src_ip"], e["dest_ip"], e["dest_port"]) for e in flows)


def own_drops(events):
    return [e["tool"]["why"] for e in events if e["event_type"] == "tool" and "this host itself" in e["tool"].get("why", "")]


def test_ppp_beside_its_carrier():
    """Whoever names both: two sightings of one flow."""
    for ifaces in (("ppp0", "wan0"), ("lan0", "ppp0", "wan0")):
        with Gateway() as gw:
            wrapped(gw, "pppoe")
            nft(gw, "post oif ppp0 masquerade")
            gw.serve()
            w = gw.weir("watch", *ifaces, "-j", attached=len(ifaces))
            fetch_from(gw, CLIENT4)
            gw.run("g", TRAFFIC, "fetch", SERVER4, "7000", "3", "1000", "1")
            events = ended(w)
            flows = flows_of(events)
            equal(ends(flows), [(CLIENT4, SERVER4, 7000)] * 10 + [("203.0.113.1", SERVER4, 7000)] * 3, "flows")
            check(all(e["flow"]["bytes_toclient"] < 22100 for e in flows), "bytes")
            equal(own_drops(events), [], "own drops")


def test_from_one_lan_to_another():
    with Gateway() as gw:
        masquerade(gw)
        second_lan(gw)
        gw.serve(INSIDE)
        gw.serve(SERVER4)
        w = gw.weir("watch", "lan0", "lan1", "wan0", "-j", attached=3)
        fetch_from(gw, CLIENT4, server=INSIDE)
        fetch_from(gw, CLIENT4, server=SERVER4)
        equal(ends(flows_of(ended(w))), [(CLIENT4, INSIDE, 7000)] * 10 + [(CLIENT4, SERVER4, 7000)] * 10, "flows")


def two_uplinks(gw):
    """One client leaves by wan0, as the main table says; another by wan1, as a rule does."""
    masquerade(gw)
    second_wan(gw)
    gw.run("g", "nft", "add rule ip n post oif wan1 masquerade")
    gw.ip("g", "route", "add", "default", "via", SERVER2, "table", "100")
    gw.ip("g", "rule", "add", "from", CLIENTS[1], "lookup", "100")
    gw.serve()


def test_two_uplinks_by_policy():
    with Gateway() as gw:
        two_uplinks(gw)
        w = gw.weir("watch", "lan0", "wan0", "wan1", "-j", attached=3)
        for c in CLIENTS[:2]:
            fetch_from(gw, c)
        flows = flows_of(ended(w))
        equal(sorted((e["src_ip"], e["in_iface"]) for e in flows),
              [(CLIENTS[0], "wan0")] * 10 + [(CLIENTS[1], "wan1")] * 10, "clients, where they are reported")


def test_an_uplink_by_policy_that_is_not_watched():
    with Gateway() as gw:
        two_uplinks(gw)
        w = gw.weir("watch", "lan0", "wan0", "-j", attached=2)
        for c in CLIENTS[:2]:
            fetch_from(gw, c)
        flows = flows_of(ended(w))
        equal(sorted((e["src_ip"], e["in_iface"]) for e in flows),
              [(CLIENTS[0], "lan0")] * 10 + [(CLIENTS[1], "lan0")] * 10, "clients, where they are reported")
        check(all(e["flow"]["state"] == "closed" for e in flows), "seen whole")


def test_out_by_one_uplink_back_by_another():
    """No NAT, two uplinks: after some flows the LAN's sightings are reported, they are whole."""
    with Gateway() as gw:
        gw.ip("g", "route", "add", "default", "via", SERVER4)
        second_wan(gw)
        gw.ip("g", "route", "add", "default", "via", SERVER2, "metric", "9")
        gw.ip("s", "route", "replace", "192.168.7.0/24", "via", WAN2)
        gw.serve()
        w = gw.weir("watch", "lan0", "wan0", "wan1", "-j", attached=3)
        for _ in range(6):
            gw.fetch(conns=20)
            time.sleep(0.2)
        wait_for(lambda: [e for e in w.tool("lost") if "as the LAN shows them" in e["tool"]["why"]], "it is said", 40)
        began = len(w.events("flow"))
        gw.fetch(conns=20, size=5000)
        flows = flows_of(ended(w)[began:])
        late = [e for e in flows if e["in_iface"] == "lan0"]
        equal(len([e for e in late if e["flow"]["bytes_toclient"] > 5000]), 20, "flows, each once and whole")


def test_out_by_one_uplink_back_by_another_without_the_lan():
    """Nobody shows them whole: each uplink says which way it shows, and of the LAN nothing is said."""
    with Gateway() as gw:
        other_way_back(gw)
        gw.serve()
        w = gw.weir("watch", "wan0:wan", "side0:wan", "-j", attached=2)
        for _ in range(14):
            gw.fetch(conns=20, size=100000)
            time.sleep(0.4)
        wait_for(lambda: len(w.tool("lost")) == 2, "both are said", 20)
        ended(w)
        said = " ".join(e["tool"]["why"] for e in w.tool("lost"))
        for words in ("wan0 shows only outgoing packets", "side0 shows only incoming packets"):
            check(words in said, f"not said: {words}: {said}")


def test_private_addresses_beyond_the_uplink():
    """A campus: the server's address is private, and it is outside all the same."""
    with Gateway() as gw:
        masquerade(gw)
        gw.ip("s", "addr", "add", "10.30.0.2/32", "dev", "lo")
        gw.serve("10.30.0.2")
        w = gw.weir("watch", "lan0", "wan0", "-j", attached=2)
        fetch_from(gw, CLIENT4, server="10.30.0.2")
        flows = flows_of(ended(w))
        equal(ends(flows), [(CLIENT4, "10.30.0.2", 7000)] * 10, "flows")
        equal({e["in_iface"] for e in flows}, {"wan0"}, "where they are reported")


def test_hairpin():
    """Our own address from the LAN leads to a server of the LAN: one flow, between its true ends."""
    with Gateway() as gw:
        gw.ip("c", "addr", "add", f"{CLIENTS[1]}/24", "dev", "c0")
        second_lan(gw)
        nft(gw, f"pre ip daddr 203.0.113.1 tcp dport 443 dnat to {INSIDE}:7000", "post oif lan1 masquerade")
        gw.serve(INSIDE)
        for ifaces in (("lan0", "lan1", "wan0"), ("lan0", "lan1"), ("lan1",)):
            w = gw.weir("watch", *ifaces, "-j", attached=len(ifaces))
            gw.fetch("203.0.113.1", 443, conns=10)
            events = ended(w)
            flows = [e for e in events if e["event_type"] == "flow" and e["proto"] == "tcp"]
            equal(ends(flows), [(CLIENT4, INSIDE, 7000)] * 10, f"flows on {ifaces}")


def test_a_forwarded_port():
    with Gateway() as gw:
        nft(gw, f"pre iif wan0 tcp dport 443 dnat to {CLIENT4}:7000")
        p = gw.popen("c", [TRAFFIC, "serve", CLIENT4, "7000"])
        wait_for(lambda: ":7000 " in gw.run("c", "ss", "-Hltn"), "the server listens")
        for ifaces in (("lan0", "wan0"), ("wan0",)):
            w = gw.weir("watch", *ifaces, "-j", attached=len(ifaces))
            gw.run("s", TRAFFIC, "fetch", "203.0.113.1", "443", "10", "2000", "10")
            flows = [e for e in ended(w) if e["event_type"] == "flow" and e["proto"] == "tcp"]
            equal(ends(flows), [(SERVER4, CLIENT4, 7000)] * 10, f"flows on {ifaces}")
        p.kill()


def test_one_to_one_nat():
    """The outer address is on no interface."""
    with Gateway() as gw:
        masquerade(gw)
        gw.run("g", "nft", f"insert rule ip n post oif wan0 ip saddr {CLIENT4} snat to 203.0.113.77")
        gw.ip("s", "route", "add", "203.0.113.77/32", "via", "203.0.113.1")
        gw.serve()
        for ifaces in (("lan0", "wan0"), ("wan0",)):
            w = gw.weir("watch", *ifaces, "-j", attached=len(ifaces))
            fetch_from(gw, CLIENT4)
            equal(ends(flows_of(ended(w))), [(CLIENT4, SERVER4, 7000)] * 10, f"flows on {ifaces}")


def test_prefix_translation():
    """IPv6 with a provider's prefix outside, translated one to one."""
    with Gateway() as gw:
        gw.ip("g", "-6", "route", "add", "default", "via", SERVER6)
        gw.run("g", "nft", "add table ip6 n; add chain ip6 n post { type nat hook postrouting priority 100; }; "
               "add rule ip6 n post oif wan0 snat prefix to ip6 saddr map { fd00:7::/64 : 2001:db8:7::/64 }")
        gw.ip("s", "-6", "route", "add", "2001:db8:7::/64", "via", "2001:db8::1")
        gw.serve(SERVER6)
        w = gw.weir("watch", "lan0", "wan0", "-j", attached=2)
        gw.fetch(SERVER6, conns=10, size=2000)
        equal(ends(flows_of(ended(w))), [(CLIENT6, SERVER6, 7000)] * 10, "flows")


def test_names_redirected_to_the_gateway():
    """Every DNS query ends here, whomever it was for."""
    with Gateway() as gw:
        masquerade(gw)
        nft(gw, "pre iif lan0 tcp dport 7000 redirect to :7001")
        gw.popen("g", [TRAFFIC, "serve", "0.0.0.0", "7001"])
        wait_for(lambda: ":7001 " in gw.run("g", "ss", "-Hltn"), "the server listens")
        w = gw.weir("watch", "lan0", "wan0", "-j", attached=2)
        fetch_from(gw, CLIENT4)
        flows = [e for e in ended(w) if e["event_type"] == "flow" and e["proto"] == "tcp"]
        equal([e["src_ip"] for e in flows], [CLIENT4] * 10, "clients")
        equal({e["in_iface"] for e in flows}, {"lan0"}, "where they are reported")


def test_conntrack_forgets():
    """Flushed in the middle: the connections go on, nothing is lost or counted twice."""
    with Gateway() as gw:
        masquerade(gw)
        gw.serve()
        w = gw.weir("watch", "lan0", "wan0", "-j", attached=2)
        gw.popen("c", ["python3", "-c", f"""
import socket, struct, time
s = socket.create_connection(("{SERVER4}", 7000), 5)
for i in range(40):
    s.sendall(struct.pack("!I", 5000))
    n = 0
    while n < 5000:
        n += len(s.recv(65536))
    time.sleep(0.03)
"""])
        time.sleep(0.4)
        gw.run("g", "conntrack", "-F")
        time.sleep(1.5)
        events = ended(w)
        equal({e["src_ip"] for e in flows_of(events)}, {CLIENT4}, "its client")
        got = sum(e["flow"]["bytes_toclient"] for e in flows_of(events))
        check(200000 < got < 230000, f"{got} bytes")
        equal(own_drops(events), [], "own drops")


def test_another_address_under_way():
    """The provider gives another address: the next flows are known at once."""
    with Gateway() as gw:
        masquerade(gw)
        gw.serve()
        w = gw.weir("watch", "wan0", "-j")
        fetch_from(gw, CLIENT4)
        gw.ip("g", "addr", "del", "203.0.113.1/24", "dev", "wan0")
        gw.ip("g", "addr", "add", "203.0.113.9/24", "dev", "wan0")
        gw.ip("g", "route", "replace", "default", "via", SERVER4)
        gw.ip("s", "neigh", "replace", "203.0.113.9", "lladdr", gw.mac("g", "wan0"), "dev", "s0", "nud", "permanent")
        fetch_from(gw, CLIENT4)
        equal(ends(flows_of(ended(w))), [(CLIENT4, SERVER4, 7000)] * 20, "flows")


def test_a_vrf():
    """Both sides in a VRF: its own table has the default route."""
    with Gateway() as gw:
        try:
            gw.ip("g", "link", "add", "red", "type", "vrf", "table", "10")
        except Failed as e:
            raise Skipped("no VRF in this kernel") from e
        gw.ip("g", "link", "set", "red", "up")
        for dev in ("lan0", "wan0"):
            gw.ip("g", "link", "set", dev, "master", "red")
        for dev, a, b in (("lan0", "192.168.7.1/24", "fd00:7::1/64"), ("wan0", "203.0.113.1/24", "2001:db8::1/64")):
            gw.ip("g", "addr", "replace", a, "dev", dev)
            gw.ip("g", "addr", "replace", b, "dev", dev, "nodad")
        gw.know_neighbours()
        gw.ip("g", "route", "add", "default", "via", SERVER4, "vrf", "red")
        nft(gw, "post oif wan0 masquerade")
        gw.serve()
        w = gw.weir("watch", "lan0", "wan0", "-j", attached=2)
        fetch_from(gw, CLIENT4)
        flows = flows_of(ended(w))
        equal(ends(flows), [(CLIENT4, SERVER4, 7000)] * 10, "flows")
        equal({e["in_iface"] for e in flows}, {"wan0"}, "where they are reported")


def test_containers_behind_a_bridge():
    """veth, bridge, masquerade on one host; one port is published."""
    with Gateway() as gw:
        masquerade(gw)
        gw.ip("g", "addr", "flush", "dev", "lan0")
        gw.ip("g", "link", "add", "docker0", "type", "bridge")
        gw.ip("g", "link", "set", "lan0", "master", "docker0")
        addresses(gw, "g", "docker0", "192.168.7.1/24")
        for who, dev, a, mac in (("c", "c0", "192.168.7.1", gw.mac("g", "docker0")),
                                 ("g", "docker0", CLIENT4, gw.mac("c", "c0"))):
            gw.ip(who, "neigh", "replace", a, "lladdr", mac, "dev", dev, "nud", "permanent")
        nft(gw, f"pre tcp dport 8080 fib daddr type local dnat to {CLIENT4}:7000")
        gw.popen("c", [TRAFFIC, "serve", CLIENT4, "7000"])
        gw.serve()
        wait_for(lambda: ":7000 " in gw.run("c", "ss", "-Hltn"), "the container listens")
        w = gw.weir("watch", "docker0", "wan0", "-j", attached=2)
        fetch_from(gw, CLIENT4)
        gw.run("s", TRAFFIC, "fetch", "203.0.113.1", "8080", "5", "1000", "5")
        equal(ends(flows_of(ended(w))), [(CLIENT4, SERVER4, 7000)] * 10 + [(SERVER4, CLIENT4, 7000)] * 5, "flows")


def test_two_ports_without_a_side():
    """A bridge without an address, both ports watched, no role named: once all the same."""
    from test_gateway import bridged
    with Gateway() as gw:
        bridged(gw)
        gw.serve()
        w = gw.weir("watch", "lan0", "wan0", "-j", attached=2)
        gw.fetch(conns=10, size=20000)
        equal(ends(flows_of(ended(w))), [(CLIENT4, SERVER4, 7000)] * 10, "flows")


def test_another_name_under_way():
    """An interface is renamed, another takes its name: weir stays with the first."""
    with Gateway() as gw:
        gw.serve()
        w = gw.weir("watch", "wan0", "-j")
        gw.fetch(conns=5)
        gw.ip("g", "link", "set", "wan0", "name", "uplink0")
        gw.ip("g", "link", "add", "wan0", "type", "bridge")
        gw.ip("g", "link", "set", "wan0", "up")
        gw.fetch(conns=5)
        wait_for(lambda: "uplink0" in w.stderr(), "the new name is told")
        events = ended(w)
        equal(len(flows_of(events)), 10, "flows")
        equal({e["in_iface"] for e in flows_of(events)}, {"uplink0"}, "where")


def test_in_and_out_by_one_interface():
    """A router on a stick: each packet shows twice, and that is said; nothing is found in it."""
    with Gateway(offloads=False) as gw:
        gw.ip("c", "addr", "flush", "dev", "c0")
        gw.ip("c", "link", "add", "brc", "type", "bridge")
        gw.ip("c", "link", "add", "p1", "type", "veth", "peer", "name", "i1", "netns", gw.ns("s"))
        for dev in ("c0", "p1"):
            gw.ip("c", "link", "set", dev, "master", "brc", "up")
        addresses(gw, "c", "brc", f"{CLIENT4}/24")
        addresses(gw, "s", "i1", f"{INSIDE}/24")
        gw.ip("g", "addr", "add", "192.168.8.1/24", "dev", "lan0")
        gw.ip("g", "neigh", "del", CLIENT4, "dev", "lan0")
        gw.ip("c", "route", "add", "192.168.8.0/24", "via", "192.168.7.1")
        gw.ip("s", "route", "add", "192.168.7.0/24", "via", "192.168.8.1")
        gw.sysctl("g", "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.lan0.send_redirects=0")
        gw.serve(INSIDE)
        w = gw.weir("watch", "lan0", "-j")
        gw.fetch(INSIDE, conns=40, size=100000, at_once=2)
        wait_for(lambda: [e for e in w.tool("lost") if "twice" in e["tool"]["why"]], "it is said", 40)
        equal({e["src_ip"] for e in flows_of(ended(w))}, {CLIENT4}, "clients")


def test_public_addresses_inside_are_redacted():
    """IPv6 without NAT, called from outside: the server is somebody of the LAN, whatever its prefix."""
    with Gateway() as gw:
        inside = "2001:db8:7::2"
        gw.ip("g", "-6", "route", "add", "default", "via", SERVER6)
        gw.ip("g", "addr", "add", "2001:db8:7::1/64", "dev", "lan0", "nodad")
        gw.ip("c", "addr", "add", f"{inside}/64", "dev", "c0", "nodad")
        gw.ip("g", "neigh", "replace", inside, "lladdr", gw.mac("c", "c0"), "dev", "lan0", "nud", "permanent")
        p = gw.popen("c", [TRAFFIC, "serve", inside, "7000"])
        wait_for(lambda: ":7000 " in gw.run("c", "ss", "-Hltn"), "the server listens")
        w = gw.weir("watch", "lan0", "wan0", "-j", "--redact", "clients", attached=2)
        gw.run("s", TRAFFIC, "fetch", inside, "7000", "5", "1000", "5")
        flows = flows_of(ended(w))
        equal(len(flows), 5, "flows")
        check(not any(inside in (e["src_ip"], e["dest_ip"]) for e in flows), f"an address inside: {flows[0]}")
        p.kill()
