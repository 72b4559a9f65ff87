# SPDX-License-Identifier: GPL-2.0-or-later
"""weir check: what this machine can do, and the gateway as it is."""
import json
import subprocess

from gateway import OTHER, WEIR, Gateway, check, equal
from test_errors import drop
from test_paths import two_uplinks


def lines(gw, *argv, wrap=()):
    r = subprocess.run(["ip", "netns", "exec", gw.ns("g"), *wrap, WEIR, "check", "-j", *argv], timeout=30,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    found = [json.loads(x) for x in r.stdout.splitlines()]
    return r.returncode, {x.get("need", "ready"): x for x in found}


def test_a_gateway_with_nat():
    with Gateway() as gw:
        gw.ip("g", "route", "add", "default", "via", "203.0.113.2")
        gw.run("g", "nft", "add table ip n; add chain ip n post { type nat hook postrouting priority 100; }; "
               "add rule ip n post oif wan0 masquerade")
        code, found = lines(gw)
        equal(code, 0, "exit")
        check(found["ready"]["ready"], found["ready"])
        check(found["wan0"]["found"].startswith("WAN, veth"), found["wan0"])
        check(found["lan0"]["found"].startswith("LAN, veth"), found["lan0"])
        check("n/post" in found["NAT"]["found"], found["NAT"])
        text = gw.run("g", WEIR, "check")
        drawn = [" ".join(x.split()) for x in text.splitlines()]
        at = drawn.index("clients")
        equal([x.rsplit(" ", 1)[0] if x.startswith("+--") else x for x in drawn[at:at + 5]],
              ["clients", "+-- lan0 veth", "[ this gateway, NAT ]", "+-- wan0 veth", "outside"], text)
        equal((found["wan0"]["role"], found["lan0"]["role"]), ("WAN", "LAN"), "roles")
        check(found["wan0"]["hook"] in found["wan0"]["found"], found["wan0"])
        text = gw.run("g", WEIR, "check", "lan0")
        check(any(x.startswith("        +-- wan0") and x.endswith("not watched") for x in text.splitlines()), text)
        check(text.rstrip().endswith("ready: full"), text)


def test_without_rights():
    with Gateway() as gw:
        code, found = lines(gw, wrap=drop(""))
        equal(code, 77, "exit")
        equal(found["rights"]["state"], "fail", "rights")
        equal(found["ready"]["ready"], False, "ready")


def test_a_bridge_and_another_xdp_program():
    with Gateway() as gw:
        gw.ip("g", "link", "add", "br0", "type", "bridge")
        gw.ip("g", "link", "set", "br0", "up")
        gw.ip("g", "link", "set", "lan0", "master", "br0")
        gw.ip("g", "link", "set", "dev", "wan0", "xdpdrv", "obj", OTHER, "sec", "xdp")
        _, found = lines(gw, "lan0", "br0", "wan0")
        check(found["lan0"]["found"].startswith("port, veth in br0"), found["lan0"])
        equal(found["lan0"]["state"], "warn", "a port beside its bridge")
        check(found["br0"]["found"].startswith("LAN, bridge"), found["br0"])
        check("bridge of lan0" in gw.run("g", WEIR, "check"), "the drawing")


def test_no_btf():
    """Nothing that is needed hangs on it: a warning, and ready all the same."""
    with Gateway() as gw:
        code, found = lines(gw, wrap=["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"])
        equal(code, 0, "exit")
        equal(found["kernel BTF"]["state"], "warn", "BTF")
        check("CONFIG_DEBUG_INFO_BTF" in found["kernel BTF"]["fix"], found["kernel BTF"])
        check(found["ready"]["ready"], found["ready"])


def test_no_such_interface():
    with Gateway() as gw:
        code, _ = lines(gw, "nope")
        equal(code, 66, "exit")


def test_what_is_seen():
    """Of the uplinks one is left out; roles as the user says; LAN only."""
    with Gateway() as gw:
        two_uplinks(gw)
        for argv, state, found in ((("lan0", "wan0"), "warn", "LAN and WAN, but not wan1"),
                                   (("lan0", "wan0", "wan1"), "ok", "LAN and WAN"),
                                   (("wan0",), "warn", "WAN only, but not wan1"),
                                   (("wan0", "wan1"), "ok", "WAN only"),
                                   (("lan0",), "ok", "LAN only"),
                                   (("wan0:lan", "wan1"), "ok", "LAN and WAN")):
            _, lines_of = lines(gw, *argv)
            equal((lines_of["sight"]["state"], lines_of["sight"]["found"]), (state, found), argv)
        _, lines_of = lines(gw, "wan0:lan", "wan1")
        check(lines_of["wan0"]["found"].startswith("LAN, veth"), lines_of["wan0"])
