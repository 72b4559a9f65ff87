# SPDX-License-Identifier: GPL-2.0-or-later
"""What can't be seen: said, on standard error, in an event, by weir check; and what is found meanwhile is degraded."""
import time

from gateway import NO_CONNTRACK, OTHER, SERVER4, TRAFFIC, Gateway, check, equal, wait_for
from test_check import lines
from test_gateway import masquerade, other_way_back

TWO_ANSWERS = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 53))
while True:
    q, who = s.recvfrom(2048)
    head = q[:2] + bytes.fromhex("81800001000100000000") + q[12:]
    for a in ((6, 6, 6, 6), (203, 0, 113, 77)):
        s.sendto(head + bytes.fromhex("c00c000100010000003c0004") + bytes(a), who)
"""

ASKS = f"""
import socket, time
for i in range(6):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(bytes([7, i]) + bytes.fromhex("01000001000000000000") + b"\\x09forbidden\\x07example\\x00"
             + bytes([0, 1, 0, 1]), ("{SERVER4}", 53))
    s.recv(2048)
    time.sleep(0.1)
"""


def answer_twice(gw, server=SERVER4):
    """A resolver whose answers disagree."""
    gw.popen("s", ["python3", "-c", TWO_ANSWERS, server])
    wait_for(lambda: ":53 " in gw.run("s", "ss", "-Hlun"), "the server listens")


def findings(gw, *argv, before=lambda: None, meanwhile=None, ifaces=("wan0",), wrap=()):
    """The findings of names that are answered twice, each as it was last told; and weir."""
    answer_twice(gw)
    before()
    w = gw.weir("watch", *ifaces, "-j", *argv, attached=len(ifaces), wrap=wrap)
    if meanwhile:
        meanwhile(w)
    time.sleep(0.3)
    gw.run("c", "python3", "-c", ASKS)
    time.sleep(1.2)
    last = {e["finding"]["id"]: e["finding"] for e in w.stop() if e["event_type"] == "finding"}
    check(last, "nothing was found")
    return list(last.values()), w


def found(gw, *argv, **kw):
    """Are they degraded? And weir."""
    all_of_them, w = findings(gw, *argv, **kw)
    return [f["degraded"] for f in all_of_them], w


def said(w, words):
    why = [e["tool"].get("why", "") for e in w.tool("lost", reasons=True)]
    check(any(words in x for x in why), f"in no event: {words}: {why}")
    check(words in w.stderr(), f"not on standard error: {words}: {w.stderr()}")


def test_all_is_seen():
    with Gateway() as gw:
        degraded, w = found(gw)
        check(not any(degraded), f"degraded: {degraded}")
        equal(w.tool("lost"), [], "said")


def hand_set(gw, way="ingress", pref=("pref", "9")):
    """It takes one protocol only: all else goes on to ours."""
    gw.run("g", "tc", "filter", "add", "dev", "wan0", way, *pref, "protocol", "ip", "u32", "match", "ip", "protocol",
           "99", "0xff", "flowid", "1:1")


def test_a_filter_that_was_there_before():
    with Gateway() as gw:
        gw.run("g", "tc", "qdisc", "add", "dev", "wan0", "clsact")
        degraded, w = found(gw, "--hook", "tc", before=lambda: hand_set(gw))
        check(all(degraded), "not degraded")
        said(w, "another filter runs before ours on wan0 ingress")
        for argv, state in ((("--hook", "tc"), "warn"), ((), "ok")):
            _, told = lines(gw, "wan0", *argv)
            equal(told["wan0"]["state"], state, f"weir check {argv}: {told['wan0']}")


def test_a_filter_that_comes_later_and_goes():
    def comes(w):
        hand_set(gw, "egress")
        wait_for(lambda: w.tool("lost"), "it is said", 20)

    def goes(w):
        comes(w)
        gw.run("g", "tc", "filter", "del", "dev", "wan0", "egress", "pref", "9")
        time.sleep(7.5)  # a look around, and what stays doubtful after it

    for meanwhile, want in ((comes, True), (goes, False)):
        with Gateway() as gw:
            degraded, w = found(gw, "--hook", "tc", meanwhile=meanwhile)
            equal(set(degraded), {want}, "degraded")
            said(w, "another filter runs before ours on wan0 egress")


def test_a_filter_behind_ours_takes_nothing():
    with Gateway() as gw:
        gw.run("g", "tc", "qdisc", "add", "dev", "wan0", "clsact")
        degraded, w = found(gw, "--hook", "tc", before=lambda: hand_set(gw, pref=()))
        check(not any(degraded), f"degraded: {w.stderr()}")


def test_an_xdp_program_before_ours():
    with Gateway() as gw:
        degraded, w = found(gw, before=lambda: gw.ip("g", "link", "set", "dev", "wan0", "xdpdrv", "obj", OTHER, "sec", "xdp"))
        check(all(degraded), "not degraded")
        said(w, "another XDP program (id ")
        _, told = lines(gw, "wan0")
        equal(told["wan0"]["state"], "warn", "weir check")
        check("another XDP program" in told["wan0"]["effect"], told["wan0"])


def test_another_weir_takes_nothing():
    """The second one's programs come before the first one's, at tcx and as XDP."""
    for hook in ("auto", "xdp"):
        with Gateway() as gw:
            def second(_, gw=gw, hook=hook):
                gw.weir("watch", "wan0", "-j", "--hook", hook)
                time.sleep(6)

            degraded, w = found(gw, meanwhile=second)
            check(not any(degraded), f"degraded: {w.stderr()}")
            equal(w.tool("lost"), [], "said")


def test_a_mirror_with_gaps():
    def gaps(w):
        gw.serve()
        gw.fetch(conns=40, size=100000, at_once=2)
        wait_for(lambda: w.tool("lost"), "a word on gaps", 20)

    with Gateway(offloads=False) as gw:
        gw.ip("g", "link", "add", "mir0", "type", "veth", "peer", "name", "mon0")
        for dev in ("mir0", "mon0"):
            gw.ip("g", "link", "set", dev, "up")
        gw.popen("g", [TRAFFIC, "mirror", "wan0", "mir0", "7"])
        degraded, w = found(gw, ifaces=("mon0",), meanwhile=gaps)
        check(all(degraded), "not degraded")
        said(w, "mon0 does not show all packets")


def test_one_direction():
    """TCP comes back by another road; a quiet time does not make the view whole."""
    def fetches(w):
        gw.serve()
        for _ in range(14):
            gw.fetch(conns=20, size=100000)
            time.sleep(0.4)
        wait_for(lambda: w.tool("lost"), "it is said", 20)
        time.sleep(11)

    with Gateway() as gw:
        other_way_back(gw, "100")
        gw.ip("s", "rule", "add", "ipproto", "tcp", "lookup", "100")
        degraded, w = found(gw, meanwhile=fetches)
        check(all(degraded), "not degraded")
        said(w, "wan0 shows only outgoing packets")


def hidden(all_of_them):
    return {any(r["test"] == "clients_hidden" for r in f["reasons"]) for f in all_of_them}


def test_clients_that_nobody_can_count():
    """NAT, the WAN only, no word from conntrack; NAT may come later, as a firewall that starts after us."""
    def late(w, gw):
        masquerade(gw)
        wait_for(lambda: w.tool("lost"), "it is said", 20)

    for when in (lambda gw: {"before": lambda: masquerade(gw)}, lambda gw: {"meanwhile": lambda w: late(w, gw)}):
        with Gateway() as gw:
            all_of_them, w = findings(gw, wrap=NO_CONNTRACK, ifaces=("wan0:wan",), **when(gw))
            equal(hidden(all_of_them), {True}, "the findings say it")
            said(w, "conntrack can't be read: clients behind NAT can't be told apart")
            _, told = lines(gw, "wan0:wan", wrap=NO_CONNTRACK)
            equal((told["NAT"]["state"], told["sight"]["state"]), ("warn", "warn"), "weir check")


def test_clients_that_can_be_counted():
    """With the LAN beside it, without NAT, with conntrack."""
    for nat, ifaces, wrap in ((True, ("lan0", "wan0:wan"), NO_CONNTRACK), (False, ("wan0:wan",), NO_CONNTRACK),
                              (True, ("wan0:wan",), ())):
        with Gateway() as gw:
            if nat:
                masquerade(gw)
            all_of_them, w = findings(gw, ifaces=ifaces, wrap=wrap)
            equal(hidden(all_of_them), {False}, f"findings on {ifaces}")
            equal(w.tool("lost"), [], "said")


NO_BTF = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"]


def queue(gw):
    gw.run("g", "tc", "qdisc", "add", "dev", "wan0", "root", "tbf", "rate", "100kbit", "burst", "2000", "limit", "4000")


def fill(gw):
    """More than the queue to the outside holds."""
    gw.run("c", "python3", "-c", f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(100):
    s.sendto(bytes(1000), ("{SERVER4}", 9))
""")


def test_own_drops_without_reasons():
    """A kernel that does not say why it drops: its queues' counters tell that it did, and not whose packets."""
    with Gateway() as gw:
        def told(w):
            fill(gw)  # the first look only sees what was before
            return any("at wan0 by itself (tbf)" in e["tool"].get("why", "") for e in w.tool("lost"))

        def full(w):
            wait_for(lambda: told(w), "its own drops are told", 20)
            gw.run("g", "tc", "qdisc", "del", "dev", "wan0", "root")

        degraded, w = found(gw, ifaces=("lan0:lan", "wan0:wan"), wrap=NO_BTF, before=lambda: queue(gw), meanwhile=full)
        check(all(degraded), "not degraded")
        said(w, "kernel has no BTF: drop reasons are off")


def test_the_lan_alone_without_reasons():
    """What the firewall takes on its way out looks lost outside."""
    for ifaces, want in ((("lan0:lan",), True), (("lan0:lan", "wan0:wan"), False)):
        with Gateway() as gw:
            degraded, w = found(gw, ifaces=ifaces, wrap=NO_BTF)
            equal(set(degraded), {want}, f"degraded on {ifaces}")
            equal(any("the WAN is not watched" in e["tool"].get("why", "") for e in w.tool("lost")), want, "said")
