# SPDX-License-Identifier: GPL-2.0-or-later
"""What weir costs a gateway: packets forwarded, throughput, latency, its own CPU time and memory. The gateway
is a network namespace between two others (tests/netns/gateway.py); weir comes and goes in turn with not being
there, and what is told is the ratio of neighbours: median and its 95 % interval by order statistics."""
import math
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "netns"))
import gateway  # noqa: E402

NOBODY = "203.0.113.77"  # routed, and dropped where it arrives
FLOWS = 1000


def interval(values):
    """The median and the interval that holds it with 95 % (binomial ranks)."""
    v = sorted(values)
    n = len(v)
    below, k = 0.0, 0
    while True:
        below += math.comb(n, k) / 2 ** n
        if below > 0.025:
            break
        k += 1
    return statistics.median(v), v[max(k - 1, 0)], v[min(n - k, n - 1)]


class Bench(gateway.Gateway):
    def make(self, mtu, offloads):
        super().make(mtu, offloads)
        traffic = os.path.join(gateway.BUILD, "bench", "traffic")
        self.ip("g", "neigh", "replace", NOBODY, "lladdr", self.mac("s", "s0"), "dev", "wan0", "nud", "permanent")
        self.sysctl("g", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.lan0.rp_filter=0")
        self.popen("s", [traffic, "server", gateway.SERVER4])
        gateway.wait_for(lambda: ":7100 " in self.run("s", "ss", "-Hltn"), "the server listens")
        self.client = self.popen("c", [traffic, "client", gateway.SERVER4, "c0", self.mac("c", "c0"), self.mac("g", "lan0"),
                                       NOBODY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.client.stdin.write(line + "\n")
        self.client.stdin.flush()
        answer = self.client.stdout.readline()
        if not answer:
            raise gateway.Failed(f"the client ended at: {line}")
        return [float(x) for x in answer.split()]

    def forwarded(self, seconds, flows=FLOWS, pps=0):
        """Packets a second that arrived."""
        before = self.counters("s", "s0")["rx_packets"]
        _, took = self.ask(f"flood {seconds} {flows} {pps}")
        return (self.counters("s", "s0")["rx_packets"] - before) / took

    def window(self):
        self.forwarded(0.15)  # past each flow's first packets: what new flows cost is told elsewhere
        rate = self.forwarded(0.2)
        latency, = self.ask("echo 2000")
        sent, took = self.ask("bulk 0.25")
        return rate, sent * 8 / took, latency

    def watch(self, *argv):
        return self.weir("watch", "--json", "--events", "tool", "-d", "3600", *argv, attached=1)

    def end(self, w):
        w.proc.terminate()
        w.proc.wait()
        self.weirs.remove(w)
        w.drop()


def pairs(row, gw, name, n, argv):
    rates, speeds, delays, plain = [], [], [], []
    for i in range(n):
        got = {}
        for on in ((False, True) if i % 2 else (True, False)):
            w = gw.watch(*argv) if on else None
            got[on] = gw.window()
            if w:
                gw.end(w)
        rates.append(got[True][0] / got[False][0])
        speeds.append(got[True][1] / got[False][1])
        delays.append(got[True][2] - got[False][2])
        plain.append(got[False])
    off = [statistics.median(x) for x in zip(*plain)]
    for what, values, unit, other, otherwise in (
            ("packet rate kept, 64 bytes", rates, "of it", off[0] / 1e6, "Mpps without"),
            ("throughput kept, 1,500 bytes, GSO", speeds, "of it", off[1] / 1e9, "Gbit/s without"),
            ("added to a round trip's median", delays, "us", off[2], "us without")):
        middle, low, high = interval(values)
        row(f"gateway, {name}: {what}", middle, unit, otherwise, other, low=low, high=high, pairs=n)


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        v = f.read().rsplit(")", 1)[1].split()
    return (int(v[11]) + int(v[12])) / os.sysconf("SC_CLK_TCK")


def own_mb(pid):
    """Resident memory, the kernel's ring apart, which is mapped twice."""
    total, ring, of_ring = 0, 0, False
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            word = line.split()
            if not word[0].endswith(":"):
                of_ring = word[-1].endswith("bpf-map")
            elif word[0] == "Rss:":
                total += int(word[1])
                ring += int(word[1]) if of_ring else 0
    return (total - ring) / 1e3


def userspace(row, gw):
    for flows in (1000, 10000, 100000):
        w = gw.watch("wan0", "--max-flows", "262144")
        pid = w.proc.pid  # `ip netns exec` becomes weir
        gw.forwarded(max(1.0, flows * 30 / 400000), flows)  # past each flow's first packets
        time.sleep(1.2)
        before, start = cpu_s(pid), time.monotonic()
        got = gw.forwarded(3, flows, 200000)
        time.sleep(max(0, start + 4 - time.monotonic()))
        row(f"userspace CPU, {flows} active flows, 200,000 packets/s", (cpu_s(pid) - before) / 4 * 100, "% of a core",
            "kpps arrived", got / 1e3)
        gw.end(w)
    w = gw.watch("wan0", "--max-flows", str(3 << 19))  # room, or flows without an answer would have to go
    pid = w.proc.pid  # `ip netns exec` becomes weir
    empty, came = own_mb(pid), 0
    for _ in range(30):  # seconds: on a busy machine they come slowly, and after 120 s the first would end
        came += gw.forwarded(1, 1 << 20)
        if came >= 1.05 * (1 << 20):
            break
    time.sleep(4)
    row("userspace memory, 1,048,576 flows, ring apart", own_mb(pid), "MB", "MB before", empty)
    gw.end(w)


def run(row, quick):
    with Bench() as gw:
        gw.window()  # warm
        pairs(row, gw, "auto (tcx), 2 hooks", 4 if quick else 30, ["wan0"])
        pairs(row, gw, "tc (clsact), 2 hooks", 3 if quick else 6, ["--hook", "tc", "wan0"])
        pairs(row, gw, "xdp on veth + tcx, 2 hooks", 3 if quick else 6, ["--hook", "xdp", "wan0"])
        pairs(row, gw, "auto (tcx) on both sides, 4 hooks", 3 if quick else 6, ["lan0", "wan0"])
        userspace(row, gw)
