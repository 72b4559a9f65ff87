# SPDX-License-Identifier: GPL-2.0-or-later
"""Uplinks that wrap their packets: counted once, by the frames of the carrier as by the tunnel's own interface."""
import shutil
import subprocess
import tempfile
import time

from gateway import CLIENT6, SERVER4, SERVER6, TRAFFIC, Failed, Gateway, Skipped, check, equal, wait_for
from test_conserve import flows_add_up, totals
from test_gateway import CLIENTS, counted_once, fetch_from, flows_of, masquerade

SIZE = 20000


def wrapped(gw, kind):
    """All between gateway and server goes through a tun device, in frames of wan0 and s0."""
    for who, dev, peer_who, peer in (("g", "wan0", "s", "s0"), ("s", "s0", "g", "wan0")):
        gw.run(who, "ethtool", "-K", dev, "gro", "off", "gso", "off", "tso", "off", "tx", "off", "rxvlan", "off",
               "txvlan", "off")
        gw.ip(who, "addr", "flush", "dev", dev)
        gw.popen(who, [TRAFFIC, "tunnel", kind, dev, "ppp0", gw.mac(peer_who, peer)])
    for who, v4, v6, peer4, peer6, inside4, inside6 in (
            ("g", "203.0.113.1", "2001:db8::1", SERVER4, SERVER6, "default", "default"),
            ("s", SERVER4, SERVER6, "203.0.113.1", "2001:db8::1", "192.168.7.0/24", "fd00:7::/64")):
        wait_for(lambda who=who: "ppp0" in gw.ip(who, "link"), "the tunnel's device")
        gw.ip(who, "link", "set", "ppp0", "mtu", "1452", "up")
        gw.ip(who, "addr", "add", v4, "peer", peer4, "dev", "ppp0")
        gw.ip(who, "addr", "add", v6, "peer", peer6, "dev", "ppp0", "nodad")
        gw.ip(who, "route", "replace", inside4, "dev", "ppp0")
        gw.ip(who, "-6", "route", "replace", inside6, "dev", "ppp0")


def add_link(gw, who, *how):
    """Of a kind that not every kernel has."""
    try:
        gw.ip(who, "link", "add", *how)
    except Failed as e:
        if "Unknown device type" in str(e):
            raise Skipped(f"this kernel can't: ip link add {' '.join(how)}") from e
        raise


def nat(gw, oif="ppp0"):
    for c in CLIENTS[1:]:
        gw.ip("c", "addr", "add", f"{c}/24", "dev", "c0")
        gw.ip("g", "neigh", "replace", c, "lladdr", gw.mac("c", "c0"), "dev", "lan0", "nud", "permanent")
    gw.run("g", "nft", "add table ip n; add chain ip n post { type nat hook postrouting priority 100; }; "
           f"add rule ip n post oifname {oif} masquerade")


def through(kind, *ifaces):
    """Thirty flows of three clients by IPv4 behind NAT, five by IPv6: each once, with its bytes and client."""
    with Gateway() as gw:
        wrapped(gw, kind)
        nat(gw)
        gw.serve()
        gw.serve(SERVER6)
        w = gw.weir("watch", *ifaces, "-j", attached=len(ifaces))
        for c in CLIENTS:
            fetch_from(gw, c, size=SIZE)
        gw.fetch(SERVER6, conns=5, size=SIZE)
        events = w.stop()
        flows_add_up(events, totals(events))
        flows = flows_of(events)
        counted_once([f for f in flows if ":" not in f["src_ip"]], SIZE)
        equal([f["src_ip"] for f in flows if ":" in f["src_ip"]], [CLIENT6] * 5, "clients by IPv6")
        equal([e["finding"] for e in events if e["event_type"] == "finding"], [], "findings")
        return w


def test_pppoe_by_its_own_interface():
    through("pppoe", "lan0", "ppp0")


def test_pppoe_by_its_carrier():
    through("pppoe", "lan0", "wan0:wan")


def test_pppoe_carrier_alone():
    through("pppoe", "wan0:wan")


def test_vlan_by_its_carrier():
    through("vlan", "lan0", "wan0:wan")


def test_qinq_by_its_carrier():
    through("qinq", "lan0", "wan0:wan")


def test_vlan_beside_its_carrier():
    """The kernel's own VLAN has the route: watched at its carrier, that is still the WAN."""
    with Gateway() as gw:
        for who, dev, v4 in (("g", "wan0", "203.0.113.1"), ("s", "s0", SERVER4)):
            gw.ip(who, "addr", "flush", "dev", dev)
            add_link(gw, who, f"{dev}.7", "link", dev, "type", "vlan", "id", "7")
            gw.ip(who, "link", "set", f"{dev}.7", "up")
            gw.ip(who, "addr", "add", f"{v4}/24", "dev", f"{dev}.7")
        gw.ip("g", "route", "add", "default", "via", SERVER4, "dev", "wan0.7")
        nat(gw, "wan0.7")
        gw.serve()
        w = gw.weir("watch", "lan0", "wan0.7", "wan0", "-j", attached=2)
        for c in CLIENTS:
            fetch_from(gw, c, size=SIZE)
        events = w.stop()
        check("wan0.7 shows the same packets as wan0: they are watched once, at wan0." in w.stderr(), w.stderr())
        flows_add_up(events, totals(events))
        counted_once(flows_of(events), SIZE)
        equal({e["in_iface"] for e in flows_of(events)}, {"wan0"}, "where they are reported")


def test_members_of_a_bond():
    """Each shows a share: the bond is watched, once."""
    with Gateway() as gw:
        add_link(gw, "g", "bond7", "type", "bond", "mode", "active-backup")
        for dev in ("dum0", "dum1"):
            gw.ip("g", "link", "add", dev, "type", "dummy")
            gw.ip("g", "link", "set", dev, "master", "bond7")
        gw.ip("g", "link", "set", "bond7", "up")
        for named in (("dum0", "dum1"), ("dum1",), ("dum0", "bond7")):
            w = gw.weir("watch", *named, "-j", attached=1)
            attached = [e["in_iface"] for e in w.stop() if e["event_type"] == "tool" and e["tool"]["action"] == "attach"]
            equal(attached, ["bond7"], f"watched, of {named}")
            check("bond7" in w.stderr(), w.stderr())


def test_6in4_by_its_own_interface():
    """IPv6 only: the carrier's IPv4 is another interface's."""
    with Gateway() as gw:
        wrapped(gw, "6in4")
        gw.serve(SERVER6)
        w = gw.weir("watch", "lan0", "ppp0", "-j", attached=2)
        gw.fetch(SERVER6, conns=10, size=SIZE)
        events = w.stop()
        flows_add_up(events, totals(events))
        flows = flows_of(events)
        equal([f["src_ip"] for f in flows], [CLIENT6] * 10, "clients")
        check(all(SIZE < f["flow"]["bytes_toclient"] < SIZE * 1.1 for f in flows), "bytes")


def test_nat64_is_one_flow():
    """tayga translates beside conntrack, and keeps ports: by these IPv6 on the LAN and IPv4 on the WAN are one."""
    if not shutil.which("tayga"):
        raise Skipped("no tayga here")
    with tempfile.TemporaryDirectory() as where, Gateway() as gw:
        with open(f"{where}/conf", "w", encoding="ascii") as f:
            f.write(f"tun-device nat64\nipv4-addr 192.168.255.1\nprefix 64:ff9b::/96\n"
                    f"ipv6-addr fd00:64::2\ndynamic-pool 192.168.255.0/24\ndata-dir {where}\n")
        masquerade(gw)
        gw.run("g", "tayga", "-c", f"{where}/conf", "--mktun")
        gw.ip("g", "link", "set", "nat64", "up")
        gw.ip("g", "addr", "add", "192.168.255.2", "dev", "nat64")
        gw.ip("g", "addr", "add", "fd00:64::1", "dev", "nat64")
        gw.ip("g", "route", "add", "192.168.255.0/24", "dev", "nat64")
        gw.ip("g", "-6", "route", "add", "64:ff9b::/96", "dev", "nat64")
        gw.popen("g", ["tayga", "-c", f"{where}/conf", "-d"], stderr=subprocess.DEVNULL)
        # The well-known prefix is for global addresses only; this one is the namespace's own.
        gw.ip("s", "addr", "add", "11.22.33.44/32", "dev", "lo")
        gw.serve("11.22.33.44")
        w = gw.weir("watch", "lan0", "wan0", "-j", attached=2)
        wait_for(lambda: "LOWER_UP" in gw.ip("g", "link", "show", "nat64"), "tayga runs")
        gw.fetch("64:ff9b::11.22.33.44", conns=5, size=20000)
        events = w.stop()
        flows_add_up(events, totals(events))
        equal([e["src_ip"] for e in flows_of(events)], [CLIENT6] * 5, "flows, each once")
        equal([e for e in events if e["event_type"] == "finding"], [], "findings")


def lost_words(w):
    return [e["tool"]["why"] for e in w.tool("lost")]


def test_a_mirror_with_gaps_is_told():
    """What two ports of a switch that mirror wan0 would show: one loses each 7th frame, one none."""
    with Gateway(offloads=False) as gw:
        seen = []
        for n, each in enumerate((7, 0)):
            gw.ip("g", "link", "add", f"mir{n}", "type", "veth", "peer", "name", f"mon{n}")
            for dev in (f"mir{n}", f"mon{n}"):
                gw.ip("g", "link", "set", dev, "up")
            gw.popen("g", [TRAFFIC, "mirror", "wan0", f"mir{n}", str(each)])
        gw.serve()
        seen = [gw.weir("watch", f"mon{n}", "-j") for n in range(2)]
        gw.fetch(conns=40, size=100000, at_once=2)
        gaps, whole = seen
        wait_for(lambda: [s for s in lost_words(gaps) if "mon0 does not show all packets" in s], "a word on gaps", 20)
        wait_for(lambda: len(flows_of(whole.events())) >= 40, "the flows' ends", 20)
        time.sleep(5.2)  # one look around
        equal([e["finding"]["kind"] for e in gaps.stop() if e["event_type"] == "finding"
               and e["finding"]["level"] != "possible"], [], "claims from a view with gaps")
        whole.stop()
        equal(lost_words(whole), [], "what was said of the whole mirror")
