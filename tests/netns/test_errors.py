# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said when live capture can't start: one paragraph, and the right exit code."""
import subprocess

from gateway import WEIR, Gateway, check, equal


def fails(gw, code, *words, argv=("watch", "wan0"), wrap=()):
    r = subprocess.run(["ip", "netns", "exec", gw.ns("g"), *wrap, WEIR, *argv], timeout=30,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    equal(r.returncode, code, f"exit of {' '.join(argv)} ({r.stderr.strip()})")
    equal(r.stderr.count("\n"), 1, f"one paragraph: {r.stderr}")
    check(r.stderr.startswith("weir: "), r.stderr)
    for w in words:
        check(w in r.stderr, f"\"{w}\" is not in: {r.stderr}")


def drop(caps):
    return ("setpriv", "--reuid", "65534", "--clear-groups", f"--inh-caps=-all{caps}",
            f"--ambient-caps=-all{caps}", "--bounding-set=+all")


def test_no_rights():
    with Gateway() as gw:
        fails(gw, 77, "not permitted", "Run as root", "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN", "setcap",
              wrap=drop(""))


def test_some_rights():
    with Gateway() as gw:
        fails(gw, 77, "CAP_PERFMON and CAP_NET_ADMIN are missing (CAP_BPF is there)", wrap=drop(",+bpf"))
        fails(gw, 77, "CAP_NET_ADMIN is missing (CAP_BPF and CAP_PERFMON are there)",
              wrap=drop(",+bpf,+perfmon"))


def test_root_without_capabilities():
    with Gateway() as gw:
        fails(gw, 77, "Running as root, but without CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN in this container",
              wrap=("setpriv", "--bounding-set=-all", "--inh-caps=-all"))


def test_three_capabilities_are_enough():
    with Gateway() as gw:
        for hook in ("auto", "tc", "xdp"):
            out = gw.run("g", *drop(",+bpf,+perfmon,+net_admin"), WEIR, "watch", "wan0", "-j", "-n", "1",
                         "--hook", hook)
            check('"attach"' in out and '"stop"' in out, out)


def test_no_such_interface():
    with Gateway() as gw:
        fails(gw, 66, 'no interface "nope"', "lan0 (up)", "wan0 (up)", argv=("watch", "nope"))
        fails(gw, 66, 'no interface "nope"', argv=("watch", "wan0", "nope"))


def test_no_interface_named_and_no_route():
    with Gateway() as gw:
        fails(gw, 64, "which interface", "wan0 (up)", argv=("watch",))


def test_default_route_names_the_interface():
    with Gateway() as gw:
        gw.ip("g", "route", "add", "default", "via", "203.0.113.2")
        out = gw.run("g", WEIR, "watch", "-j", "-n", "1")
        check('"in_iface":"wan0"' in out and "lan0" not in out, out)


def test_mtu_too_large_for_xdp():
    with Gateway(mtu=9000) as gw:
        w = gw.weir("watch", "wan0", "-j", "--hook", "xdp")
        hook = w.tool("attach")[0]["tool"]["hook"]
        if hook == "tcx":
            check("XDP needs a smaller MTU on wan0 (now 9000); using tc." in w.stderr(), w.stderr())
        else:
            equal(hook, "xdp+tcx", "hook")  # multi-buffer XDP takes it


def test_no_native_xdp():
    with Gateway() as gw:
        gw.ip("g", "tuntap", "add", "dev", "tap9", "mode", "tap")
        w = gw.weir("watch", "lo", "-j", "--hook", "xdp")
        equal(w.tool("attach")[0]["tool"]["hook"], "tcx", "hook of lo")
        check("lo's driver has no native XDP; using tc." in w.stderr(), w.stderr())
