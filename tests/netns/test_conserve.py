# SPDX-License-Identifier: GPL-2.0-or-later
"""Conservation: what the hooks saw is in flows or counted elsewhere, and is what others count."""
import signal
import time

from gateway import CLIENT4, CLIENT6, SERVER4, SERVER6, TRAFFIC, Failed, Gateway, check, delta, equal


def settle(gw, dev="wan0", who="g"):
    """Waits until the interface is quiet; its counters."""
    last = gw.counters(who, dev)
    for _ in range(100):
        time.sleep(0.1)
        now = gw.counters(who, dev)
        if now == last:
            return now
        last = now
    raise Failed("the interface is never quiet")


def quiet_start(gw, *argv):
    """weir attached while nothing passed (the hosts' own chatter may), and the counters since then."""
    for _ in range(8):
        before = settle(gw), settle(gw, "s0", "s")
        w = gw.weir("watch", "wan0", "-j", "--events", "flow,tool", *argv)
        if (settle(gw), settle(gw, "s0", "s")) == before:
            return w, before
        w.stop()
    raise Failed("the interface is never quiet")


def totals(events):
    stop = [e["tool"] for e in events if e["event_type"] == "tool" and e["tool"]["action"] == "stop"][0]
    for what in ("packets", "bytes"):
        t = stop[what]
        equal(t["seen"], t["in_flows"] + sum(t["elsewhere"].values()), f"{what} seen")
    return stop


def flow_sums(events):
    flows = [e["flow"] for e in events if e["event_type"] == "flow"]
    return len(flows), sum(f["pkts_toserver"] + f["pkts_toclient"] for f in flows), \
        sum(f["bytes_toserver"] + f["bytes_toclient"] for f in flows)


def flows_add_up(events, stop):
    _, packets, size = flow_sums(events)
    equal(packets, stop["packets"]["in_flows"], "packets over all flows")
    equal(size, stop["bytes"]["in_flows"], "bytes over all flows")


def thousand(server, offloads, hook="auto"):
    with Gateway(offloads=offloads) as gw:
        gw.serve(server)
        gw.fetch(server)  # neighbours are known from here on
        w, (before, peer_before) = quiet_start(gw, "--hook", hook)
        gw.fetch(server, conns=1000, size=30000, at_once=100)
        wire, peer = delta(settle(gw), before), delta(settle(gw, "s0", "s"), peer_before)
        events = w.stop()
        # A host's multicast report may pass between the counters' reading and the stop: then there are two bounds.
        late = delta(settle(gw), before)
        stop = totals(events)
        flows_add_up(events, stop)
        tcp = [e for e in events if e["event_type"] == "flow" and e.get("dest_port") == 7000]
        equal(len(tcp), 1000, "flows")
        equal(wire["rx_dropped"] + wire["tx_dropped"], 0, "drops")
        if hook == "auto":
            for what, unit in (("seen", "packets"), ("bytes", "bytes")):
                least, most = (x[f"rx_{unit}"] + x[f"tx_{unit}"] for x in (wire, late))
                check(least <= stop["buffers"][what] <= most, f"{what}: {stop['buffers'][what]}, not {least} to {most}")
        if not offloads and late == wire:
            # Every buffer is a packet: Ethernet headers taken off, the peer's interface agrees.
            n = peer["rx_packets"] + peer["tx_packets"]
            equal(stop["packets"]["seen"], n, "packets at the peer")
            not_ip = stop["packets"]["elsewhere"]["not_ip"]
            # Where its other end runs XDP, a veth counts what it sends without Ethernet headers.
            ip = peer["rx_bytes"] + peer["tx_bytes"] - 14 * (peer["rx_packets"] if hook == "xdp" else n)
            equal(stop["bytes"]["seen"] - stop["bytes"]["elsewhere"]["not_ip"] * (not_ip > 0),
                  ip - (28 if ":" not in server else 0) * not_ip, "IP bytes at the peer")
        return f"{stop['packets']['seen']} packets, {stop['buffers']['seen']} buffers"


def test_1000_flows_v4_offloads():
    return thousand(SERVER4, True)


def test_1000_flows_v6_offloads():
    return thousand(SERVER6, True)


def test_1000_flows_v4_no_offloads():
    return thousand(SERVER4, False)


def test_1000_flows_v6_no_offloads():
    return thousand(SERVER6, False)


def test_1000_flows_v4_xdp():
    return thousand(SERVER4, False, hook="xdp")


def test_lost_records_lose_no_packet():
    """The reader stands still while 2,000 flows pass: records are lost and counted, no flow, no packet is."""
    with Gateway() as gw:
        gw.serve(SERVER4)
        gw.fetch(SERVER4)
        w, _ = quiet_start(gw)
        w.proc.send_signal(signal.SIGSTOP)
        gw.fetch(SERVER4, conns=2000, size=60000, at_once=100)
        w.proc.send_signal(signal.SIGCONT)
        time.sleep(0.3)
        events = w.stop()
        stop = totals(events)
        flows_add_up(events, stop)
        lost = stop["records"]["lost"]["ring_full"]
        check(lost > 0, "nothing was lost: the test does not test")
        flows = [e for e in events if e["event_type"] == "flow" and e.get("dest_port") == 7000]
        equal(len(flows), 2000, "flows")
        equal({e["src_ip"] for e in flows}, {CLIENT4}, "clients")
        return f"{lost} records lost, {stop['records']['sent']} sent"


def flood(server, client, source):
    """200,000 SYNs against a table of 16,384, with live flows before, during and after."""
    with Gateway() as gw:
        gw.serve(server)
        gw.fetch(server)
        long_lived = gw.popen("c", [TRAFFIC, "fetch", server, "7000", "20", "400000000", "20"])
        w = gw.weir("watch", "wan0", "-j", "--events", "flow,tool", "--max-flows", "16384")
        gw.run("s", TRAFFIC, "flood", "s0", source, client, "200000", "40000")
        fresh = gw.fetch(server, conns=50, size=2000)
        check("done 50 failed 0" in fresh, fresh)
        long_lived.kill()
        long_lived.wait()
        settle(gw)
        time.sleep(1.2)
        events = w.stop()
        stop = totals(events)
        flows_add_up(events, stop)
        check(stop["flows"]["evicted"] > 0, "the flood evicted nothing")
        syns = [e for e in events if e["event_type"] == "flow" and e.get("dest_port") == 81]
        seen = sum(e["flow"]["pkts_toserver"] + e["flow"]["pkts_toclient"] for e in syns)
        full = stop["packets"]["elsewhere"]["table_full"] + stop["packets"]["elsewhere"]["late"]
        check(seen <= 200000 <= seen + full, f"{seen} SYNs in flows, {full} elsewhere")
        ends = [e["flow"]["reason"] for e in events if e["event_type"] == "flow" and
                e.get("dest_port") == 7000]
        # Twenty long transfers, each one flow from first to last, never evicted.
        check("evicted" not in ends, f"live flows were evicted: {ends}")
        return f"evicted {stop['flows']['evicted']}, elsewhere {full}, records lost " \
               f"{sum(stop['records']['lost'].values())}"


def test_syn_flood_v4():
    return flood(SERVER4, CLIENT4, "198.18.0.0")


def test_syn_flood_v6():
    return flood(SERVER6, CLIENT6, "2001:db8:f::")
