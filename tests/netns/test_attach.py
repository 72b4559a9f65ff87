# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the programs sit, that nothing stays behind, that others are left alone."""
import json
import signal
import time

from gateway import OTHER, Gateway, check, equal, kill_all, sh, wait_for


def hook_of(w):
    return w.tool("attach")[0]["tool"]["hook"]


def nothing_left(gw, dev="wan0"):
    equal(gw.tc_filters(dev, "ingress") + gw.tc_filters(dev, "egress"), "", "filters left")
    check("clsact" not in gw.qdiscs(dev), "our clsact qdisc is left")
    equal(gw.programs(), [], "links left")
    link = json.loads(gw.ip("g", "-j", "link", "show", "dev", dev))[0]
    check("xdp" not in link, "an XDP program is left")


def sees(gw, w, conns=5):
    gw.fetch(conns=conns, size=3000)
    flows = [e for e in w.stop() if e["event_type"] == "flow" and e.get("dest_port") == 7000]
    equal(len(flows), conns, f"flows on {hook_of(w)}")


def each_hook(hook, want):
    with Gateway() as gw:
        gw.serve()
        w = gw.weir("watch", "wan0", "-j", "--hook", hook)
        equal(hook_of(w), want, "hook")
        sees(gw, w)
        nothing_left(gw)


def test_auto_on_a_virtual_interface_is_tc():
    each_hook("auto", "tcx")


def test_tc():
    each_hook("tc", "tc")


def test_xdp():
    each_hook("xdp", "xdp+tcx")


def killed(hook):
    """kill -9 under load: after the next start and stop nothing of either run is there."""
    with Gateway() as gw:
        gw.serve()
        first = gw.weir("watch", "wan0", "-j", "--hook", hook)
        load = gw.popen("c", ["timeout", "5", "sh", "-c",
                              f"while :; do {gw_fetch()}; done"])
        time.sleep(0.3)
        first.stop(signal.SIGKILL)
        left = gw.tc_filters("wan0", "ingress")
        equal("weir_in" in left, hook == "tc", "a filter outlives its process, a link does not")
        second = gw.weir("watch", "wan0", "-j", "--hook", hook)
        if hook == "tc":
            check('removed a filter of an earlier run (tc wan0 ingress, "weir_in")' in second.stderr(),
                  f"the sweep is not said: {second.stderr()}")
            equal(gw.tc_filters("wan0", "ingress").count("weir_in"), 1, "filters while running")
        kill_all(load)
        second.stop()
        nothing_left(gw)


def gw_fetch():
    from gateway import SERVER4, TRAFFIC
    return f"{TRAFFIC} fetch {SERVER4} 7000 20 20000 >/dev/null"


def test_kill_9_links():
    killed("auto")


def test_kill_9_clsact():
    killed("tc")


def test_two_runs_leave_each_other_alone():
    with Gateway() as gw:
        gw.serve()
        first = gw.weir("watch", "wan0", "-j", "--hook", "tc")
        second = gw.weir("watch", "wan0", "-j", "--hook", "tc")
        equal(gw.tc_filters("wan0", "ingress").count("weir_in"), 2, "filters of two runs")
        first.stop()
        equal(gw.tc_filters("wan0", "ingress").count("weir_in"), 1, "filters of the second")
        sees(gw, second)


def other_count(name):
    """Packets that the other program has counted."""
    maps = json.loads(sh("bpftool", "-j", "map", "show"))
    ours = max(m["id"] for m in maps if m.get("name") == name)
    dump = json.loads(sh("bpftool", "-j", "map", "dump", "id", str(ours)))
    return dump[0]["formatted"]["value"] if "formatted" in dump[0] else int(dump[0]["value"][0], 16)


def test_another_filter_goes_on_working():
    with Gateway() as gw:
        gw.serve()
        gw.run("g", "tc", "qdisc", "add", "dev", "wan0", "clsact")
        gw.run("g", "tc", "filter", "add", "dev", "wan0", "ingress", "bpf", "da", "obj", OTHER, "sec", "tc")
        for hook in ("tc", "auto"):
            w = gw.weir("watch", "wan0", "-j", "--hook", hook)
            before = other_count("other_count")
            sees(gw, w)
            check(other_count("other_count") > before, f"beside {hook} the other filter sees nothing")
            check("clsact" in gw.qdiscs("wan0"), "the qdisc was not ours")
            filters = gw.tc_filters("wan0", "ingress")
            check("weir" not in filters and "other" in filters, f"filters after: {filters}")


def test_a_filter_that_comes_later_and_runs_before_is_said():
    with Gateway() as gw:
        gw.serve()
        w = gw.weir("watch", "wan0", "-j", "--hook", "tc")
        gw.run("g", "tc", "filter", "add", "dev", "wan0", "ingress", "pref", "9", "bpf", "da", "obj", OTHER, "sec", "tc")
        wait_for(lambda: [e for e in w.tool("lost") if "runs before ours on wan0 ingress" in e["tool"].get("why", "")],
                 "the other filter is said", 30)
        gw.run("g", "tc", "filter", "del", "dev", "wan0", "ingress", "pref", "9")
        sees(gw, w)


def test_another_xdp_program_goes_on_working():
    with Gateway() as gw:
        gw.serve()
        gw.ip("g", "link", "set", "dev", "wan0", "xdpdrv", "obj", OTHER, "sec", "xdp")
        w = gw.weir("watch", "wan0", "-j", "--hook", "xdp")
        equal(hook_of(w), "tcx", "hook beside another XDP program")
        check("already runs an XDP program" in w.stderr() and "left alone" in w.stderr(),
              f"the fall-back is not said: {w.stderr()}")
        check("already runs" in w.tool("attach")[0]["tool"]["why"], "the fall-back is not in the event")
        before = other_count("other_count")
        sees(gw, w)
        check(other_count("other_count") > before, "the other program counts no more")
        check("xdp" in json.loads(gw.ip("g", "-j", "link", "show", "dev", "wan0"))[0],
              "the other program is gone")


def test_interface_goes_and_comes_back():
    with Gateway() as gw:
        gw.serve()
        w = gw.weir("watch", "wan0", "-j")
        gw.ip("g", "link", "del", "wan0")
        wait_for(lambda: len(w.tool("detach")) == 1, "weir lets go")
        check("wan0 went away; waiting for it" in w.stderr(), f"not said: {w.stderr()}")
        gw.link("wan0", "s", "s0", 1500)
        for who, dev, addr in (("g", "wan0", "203.0.113.1/24"), ("s", "s0", "203.0.113.2/24")):
            gw.ip(who, "addr", "add", addr, "dev", dev)
            gw.ip(who, "link", "set", dev, "up")
        gw.ip("s", "route", "add", "default", "via", "203.0.113.1")
        wait_for(lambda: len(w.tool("attach")) == 2, "weir attaches again, with fewer rights")
        sees(gw, w)
        nothing_left(gw)


def test_rights_are_given_up():
    with Gateway() as gw:
        w = gw.weir("watch", "wan0", "-j")

        def read():
            with open(f"/proc/{w.proc.pid}/status", encoding="ascii") as f:
                return dict(line.split(":\t", 1) for line in f if ":\t" in line)

        # The attach event comes before: the rights go when nothing is left to attach.
        net_admin, perfmon, bpf = 1 << 12, 1 << 38, 1 << 39
        wait_for(lambda: int(read()["CapEff"], 16) == net_admin | perfmon | bpf, "the rights are cut")
        status = read()
        for which in ("CapEff", "CapPrm", "CapBnd"):
            equal(int(status[which], 16), net_admin | perfmon | bpf, which)
        equal(status["NoNewPrivs"].strip(), "1", "no_new_privs")
