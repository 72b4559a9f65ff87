# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway between two hosts, each a network namespace of its own:

    client c0 192.168.7.2, fd00:7::2  ---  lan0 [gateway] wan0  ---  s0 203.0.113.2, 2001:db8::2 server

Nothing here touches the machine's own interfaces.
"""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import jsonschema

validator = None

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("B", "build"))
WEIR = os.path.join(BUILD, "weir")
TRAFFIC = os.path.join(BUILD, "netns", "traffic")
OTHER = os.path.join(BUILD, "netns", "other.bpf.o")
NO_CONNTRACK = ("env", "LD_PRELOAD=" + os.path.join(BUILD, "netns", "no_conntrack.so"))

CLIENT4, SERVER4 = "192.168.7.2", "203.0.113.2"
CLIENT6, SERVER6 = "fd00:7::2", "2001:db8::2"


class Failed(Exception):
    """A check that did not hold."""


class Skipped(Exception):
    """The machine lacks what the test needs."""


def check(holds, what):
    if not holds:
        raise Failed(what)


def equal(got, want, what):
    if got != want:
        raise Failed(f"{what}: {got}, not {want}")


def wait_for(holds, what, seconds=10.0):
    """Polls until holds() is true; what it gave."""
    end = time.monotonic() + seconds
    while True:
        got = holds()
        if got:
            return got
        if time.monotonic() > end:
            raise Failed(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.02)


def kill_all(p):
    """Of a Popen with a session of its own: what it has started, too."""
    os.killpg(p.pid, signal.SIGKILL)
    p.wait()


@contextlib.contextmanager
def one_processor():
    """All that is started meanwhile runs there: two of them let packets overtake each other within a round trip."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def sh(*argv, **kw):
    """Runs to its end; the output. A failure raises."""
    kw.setdefault("timeout", 60)
    r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)
    if r.returncode:
        raise Failed(f"{' '.join(argv)}: exit {r.returncode}: {r.stderr.strip()} {r.stdout.strip()}")
    return r.stdout


def build_tools():
    os.makedirs(os.path.dirname(TRAFFIC), exist_ok=True)
    here = os.path.dirname(os.path.abspath(__file__))
    sh("gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-o", TRAFFIC, f"{here}/traffic.c")
    sh("gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o",
       NO_CONNTRACK[1].split("=")[1], f"{here}/no_conntrack.c")
    sh("clang", "-target", "bpf", "-O2", "-g", f"-I/usr/include/{os.uname().machine}-linux-gnu", "-c",
       f"{here}/other.bpf.c", "-o", OTHER)


def validate(events):
    """Every event against `weir schema`; of a flood's, those at the ends."""
    global validator
    if validator is None:
        validator = jsonschema.Draft202012Validator(json.loads(sh(WEIR, "schema")))
    for event in events if len(events) < 4000 else events[:2000] + events[-2000:]:
        for e in validator.iter_errors(event):
            raise Failed(f"not of the schema: {e.json_path} {e.message} in {json.dumps(event)[:600]}")


class Weir:
    """weir as a process in the gateway; its events as they come."""

    def __init__(self, gw, argv, attached, wrap):
        self.dir = tempfile.mkdtemp(prefix="weir-netns-")
        self.out = open(os.path.join(self.dir, "out"), "w+b")
        self.err = open(os.path.join(self.dir, "err"), "w+b")
        self.proc = gw.popen("g", [*wrap, WEIR] + argv, stdout=self.out, stderr=self.err)
        if attached:
            wait_for(lambda: self.proc.poll() is not None or len(self.tool("attach")) >= attached,
                     "weir attaches", 30)
            if self.proc.poll() is not None:
                raise Failed(f"weir ended with {self.proc.returncode}: {self.stderr()}")

    def stderr(self):
        with open(self.err.name) as f:
            return f.read()

    def events(self, kind=None):
        with open(self.out.name) as f:
            lines = f.read().split("\n")[:-1]
        events = [json.loads(line) for line in lines]
        return [e for e in events if kind in (None, e["event_type"])]

    def tool(self, action, reasons=False):
        """reasons: also that this kernel tells no reasons of drops."""
        return [e for e in self.events("tool") if e["tool"]["action"] == action and
                (reasons or "drop reasons are off" not in e["tool"].get("why", ""))]

    def stop(self, sig=signal.SIGINT):
        """Ends it; all events. SIGKILL leaves no last event."""
        if self.proc.poll() is None:
            self.proc.send_signal(sig)
        self.proc.wait(60)
        if sig != signal.SIGKILL and self.proc.returncode:
            raise Failed(f"weir ended with {self.proc.returncode}: {self.stderr()}")
        events = self.events()
        validate(events)
        return events

    def drop(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        self.out.close()
        self.err.close()
        shutil.rmtree(self.dir)


class Gateway:
    def __init__(self, mtu=1500, offloads=True):
        self.tag = f"lv-{os.getpid()}"
        self.procs, self.weirs = [], []
        try:
            self.make(mtu, offloads)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def ns(self, who):
        return f"{self.tag}-{who}"

    def make(self, mtu, offloads):
        for who in "cgs":
            sh("ip", "netns", "add", self.ns(who))
            for knob in ("default", "all"):
                # No neighbour or router chatter but what traffic needs.
                self.sysctl(who, f"net.ipv6.conf.{knob}.accept_dad=0",
                            f"net.ipv6.conf.{knob}.router_solicitations=0",
                            f"net.ipv6.conf.{knob}.addr_gen_mode=1")
        self.link("lan0", "c", "c0", mtu)
        self.link("wan0", "s", "s0", mtu)
        for who, dev, v4, v6 in (("c", "c0", CLIENT4, CLIENT6), ("g", "lan0", "192.168.7.1", "fd00:7::1"),
                                 ("g", "wan0", "203.0.113.1", "2001:db8::1"), ("s", "s0", SERVER4, SERVER6)):
            self.ip(who, "addr", "add", f"{v4}/24", "dev", dev)
            self.ip(who, "addr", "add", f"{v6}/64", "dev", dev, "nodad")
        for who in "cgs":
            self.ip(who, "link", "set", "lo", "up")
        for who, dev in (("c", "c0"), ("g", "lan0"), ("g", "wan0"), ("s", "s0")):
            if not offloads:
                self.run(who, "ethtool", "-K", dev, "gro", "off", "gso", "off", "tso", "off")
            self.ip(who, "link", "set", dev, "up")
        self.know_neighbours()
        for who, v4, v6 in (("c", "192.168.7.1", "fd00:7::1"), ("s", "203.0.113.1", "2001:db8::1")):
            self.ip(who, "route", "add", "default", "via", v4)
            self.ip(who, "-6", "route", "add", "default", "via", v6)
        self.sysctl("g", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

    def mac(self, who, dev):
        return json.loads(self.ip(who, "-j", "link", "show", "dev", dev))[0]["address"]

    def know_neighbours(self):
        """Nobody asks for addresses, so that a quiet interface is quiet."""
        for who, dev, peer_who, peer_dev, addrs in (
                ("c", "c0", "g", "lan0", ("192.168.7.1", "fd00:7::1")),
                ("g", "lan0", "c", "c0", (CLIENT4, CLIENT6)), ("g", "wan0", "s", "s0", (SERVER4, SERVER6)),
                ("s", "s0", "g", "wan0", ("203.0.113.1", "2001:db8::1"))):
            for a in addrs:
                self.ip(who, "neigh", "replace", a, "lladdr", self.mac(peer_who, peer_dev), "dev", dev,
                        "nud", "permanent")

    def link(self, dev, peer_ns, peer, mtu):
        self.ip("g", "link", "add", dev, "mtu", str(mtu), "type", "veth", "peer", "name", peer,
                "mtu", str(mtu), "netns", self.ns(peer_ns))

    def close(self):
        for w in self.weirs:
            w.drop()
        for p in self.procs:
            if p.poll() is None:
                kill_all(p)
        for who in "cgs":
            subprocess.run(["ip", "netns", "del", self.ns(who)], stderr=subprocess.DEVNULL, check=False)

    def ip(self, who, *argv):
        return sh("ip", "-n", self.ns(who), *argv)

    def sysctl(self, who, *pairs):
        self.run(who, "sysctl", "-qw", *pairs)

    def run(self, who, *argv, **kw):
        return sh("ip", "netns", "exec", self.ns(who), *argv, **kw)

    def popen(self, who, argv, **kw):
        kw.setdefault("stdout", subprocess.DEVNULL)
        p = subprocess.Popen(["ip", "netns", "exec", self.ns(who)] + list(argv), start_new_session=True, **kw)
        self.procs.append(p)
        return p

    def weir(self, *argv, attached=1, wrap=()):
        w = Weir(self, list(argv), attached, wrap)
        self.weirs.append(w)
        return w

    def serve(self, addr=SERVER4, port=7000):
        p = self.popen("s", [TRAFFIC, "serve", addr, str(port)])
        wait_for(lambda: f":{port} " in self.run("s", "ss", "-Hltn"), "the server listens")
        return p

    def fetch(self, addr=SERVER4, port=7000, conns=1, size=1000, at_once=64):
        return self.run("c", TRAFFIC, "fetch", addr, str(port), str(conns), str(size), str(at_once))

    def counters(self, who, dev):
        s = json.loads(self.ip(who, "-j", "-s", "link", "show", "dev", dev))[0]["stats64"]
        return {f"{way}_{what}": s[way][what] for way in ("rx", "tx") for what in ("packets", "bytes", "dropped")}

    def tc_filters(self, dev, way):
        return self.run("g", "tc", "filter", "show", "dev", dev, way)

    def qdiscs(self, dev):
        return self.run("g", "tc", "qdisc", "show", "dev", dev)

    def ifindex(self, dev, who="g"):
        return json.loads(self.ip(who, "-j", "link", "show", "dev", dev))[0]["ifindex"]

    def programs(self):
        """Names of weir's programs that the kernel holds because of this test's gateway."""
        links = json.loads(sh("bpftool", "-j", "link", "show") or "[]")
        mine = {self.ifindex(d) for d in ("lan0", "wan0")}
        return [x for x in links if x.get("ifindex") in mine]


def delta(after, before):
    return {k: after[k] - before[k] for k in after}
