#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenarios drawn by chance, to judge rate limits on what nobody tuned for.

    sweep.py rows SEED N DIR [FAMILY...]   writes N scenarios of the families into DIR
    sweep.py table DIR [KEPT] <RESULTS     sums up the RESULT lines of `scenario run` or `scenario judge`, or
                                           results.tsv; KEPT: where -k left its directories, with the
                                           limiters' counters in them

Rates are tc's; what must be found is in layer-2 bytes: act_police counts IP bytes at ingress, 1500 of a
full packet of 1514, the queues at egress count all of it.
"""
import math
import os
import random
import re
import sys

NAMES = ["www.open.example", "files.example", "video.example", "cdn.example"]


class Row:
    """One scenario's text."""

    def __init__(self, rng, kind):
        self.rng, self.lines, self.kind, self.words = rng, [], kind, []
        self.end = rng.uniform(10.5, 14)
        self.rtt = self.log(10, 200)
        self.cca = rng.choice(["cubic", "cubic", "reno", "bbr"])
        self.snap = 200

    def log(self, low, high):
        return math.exp(self.rng.uniform(math.log(low), math.log(high)))

    def add(self, text):
        self.lines.append(text)

    def at(self, t, text):
        self.add("at %.2f %s" % (t, text))

    def flow(self, t, size, up=False, cli=None, proto=None, srv=None, more=""):
        r = self.rng
        proto = proto or r.choice(["tls", "tls", "http"])
        name = "" if proto in ("noise", "random") else \
            (" host=" if proto == "http" else " sni=") + r.choice(NAMES)
        port = ":%d" % r.choice([443, 8443, 9000, 2083]) if proto == "tls" else ""
        self.at(t, "traffic %s cli%d srv%d%s %s=%d%s%s" % (
            proto, cli or r.randint(1, 8), srv or r.randint(1, 8), port,
            "up" if up else "down", size, name, " " + more if more else ""))

    def queue(self, up, words):
        self.at(0, "base isp tc qdisc add dev %s root %s" % ("core" if up else "cust", words))

    def counters(self, words):
        self.at(self.end - .2, "base isp tc -s " + words)

    def text(self):
        head = ["# SPDX-License-Identifier: GPL-2.0-or-later",
                "title " + " ".join([self.kind] + self.words + ["rtt=%.0fms" % self.rtt, self.cca]),
                "nolive", "snap %d" % self.snap, "rtt %.1f" % self.rtt, "cca " + self.cca,
                "end %.1f" % self.end]
        return "\n".join(head + self.lines) + "\n"


def bucket(row, rate, low, high, least, most):
    return int(min(max(rate / 8 * row.log(low, high), least), most))


def policer(row, up, rate, burst, match="matchall"):
    dev = "cust" if up else "core"
    row.at(0, "on isp tc qdisc add dev %s clsact" % dev)
    row.at(0, "on isp tc filter add dev %s ingress %s action police rate %dbit burst %d "
           "conform-exceed drop" % (dev, match, rate, burst))
    row.counters("filter show dev %s ingress" % dev)
    row.words += ["%dk" % (rate / 1000), "%dB" % burst, "up" if up else "down"]


def want(row, kind, up, rate, burst, what=""):
    row.add("find rate_limit/%s %s limit_bps=%.0f~3%%%s%s" % (
        kind, "up" if up else "down", rate,
        " burst_bytes=%.0f~15%%,1514" % burst if burst else "", what))


def police(row):
    r = row.rng
    rate, up = row.log(.5e6, 40e6) // 1000 * 1000, r.random() < .25
    burst = bucket(row, rate, .015, 1, 8000, 1e6)
    policer(row, up, rate, burst)
    if r.random() < .75:
        row.flow(.2, rate * 4, up)
    else:
        row.flow(.2, rate / 8 * r.uniform(1.5, 3), up, more="rounds=8 gap=%d" % r.randint(300, 1500))
    want(row, "policer|unknown", up, rate * 1514 / 1500, burst * 1514 / 1500)


def police_gso(row):
    r = row.rng
    rate = row.log(2e6, 30e6) // 1000 * 1000
    burst = bucket(row, rate, .06, .5, 70000, 1e6)
    row.add("offloads")
    policer(row, False, rate, burst)
    row.flow(.2, rate * 4)
    # What a merged packet counts as is not certain to a hundredth.
    want(row, "policer|unknown", False, rate * 1514 / 1500, 0)


def police_shared(row):
    r = row.rng
    n = r.randint(2, 6)
    rate, up = row.log(.8e6, 25e6) // 1000 * 1000, r.random() < .2
    burst = bucket(row, rate, .03, .6, 15000, 6e5)
    policer(row, up, rate, burst)
    same, proto = r.random() < .5, r.choice(["tls", None])
    cli, srv = r.randint(1, 8), r.randint(1, 8)
    for i in range(n):
        row.flow(.2 + i * r.uniform(.05, .6), rate * 4, up, cli if same else None, proto,
                 srv if same else None)
    row.end += 2
    row.words.append("flows=%d" % n)
    want(row, "policer|unknown", up, rate * 1514 / 1500, burst * 1514 / 1500)


def shape(row):
    r = row.rng
    rate, up = row.log(.6e6, 20e6) // 1000 * 1000, r.random() < .2
    burst = bucket(row, rate, .1, 2, 40000, 1e6)
    limit = int(max(rate / 8 * row.log(.06, .6), 20000))
    row.at(0, "on isp tc qdisc add dev %s root tbf rate %dbit burst %d limit %d" % (
        "core" if up else "cust", rate, burst, limit))
    row.counters("qdisc show dev %s" % ("core" if up else "cust"))
    row.words += ["%dk" % (rate / 1000), "%dB" % burst, "queue=%dms" % (limit * 8e3 / rate),
                  "up" if up else "down"]
    for i in range(1 if r.random() < .8 else r.randint(2, 3)):
        row.flow(.2 + .4 * i, rate * 4 + burst, up)
    want(row, "shaper|unknown", up, rate, burst)


def one_type(row, kind):
    r = row.rng
    rate = row.log(.3e6, 2.5e6) // 1000 * 1000
    row.end, row.snap, row.rtt = r.uniform(20, 25), 700, row.log(15, 80)
    burst = bucket(row, rate, .03, .3, 12000, 2e5)
    if kind == "police":
        policer(row, False, rate, burst, "protocol ip flower ip_proto tcp src_port 5222")
    else:
        row.at(0, "on isp tc qdisc add dev cust root handle 1: htb default 1")
        row.at(0, "on isp tc class add dev cust parent 1: classid 1:1 htb rate 1gbit")
        row.at(0, "on isp tc class add dev cust parent 1: classid 1:2 htb rate %dbit ceil %dbit "
               "burst %d cburst %d" % (rate, rate, burst, burst))
        row.at(0, "on isp tc qdisc add dev cust parent 1:2 pfifo limit 100")
        row.at(0, "on isp tc filter add dev cust parent 1: protocol ip flower ip_proto tcp "
               "src_port 5222 classid 1:2")
        row.counters("class show dev cust")
        row.words += ["%dk" % (rate / 1000), "%dB" % burst]
    for i in range(r.randint(2, 5)):
        row.flow(.2 + .1 * i, rate * 4, False, None, "noise")
    for i in range(int(row.end / 2.2)):
        row.flow(.3 + 2 * i, r.randint(300000, 900000), False, None, "tls")
        row.flow(.5 + 2 * i, r.randint(200000, 700000), False, None, "http")
    if kind == "police":
        want(row, "policer|unknown", False, rate * 1514 / 1500, 0, " type=whatsapp-text|noise")
        row.add("allow rate_limit/shaper")
    else:
        want(row, "shaper|unknown", False, rate, 0, " type=whatsapp-text|noise")


def type_police(row):
    one_type(row, "police")


def type_htbclass(row):
    one_type(row, "htb")


def some_flows(row, rate, n, up=False, joining=False):
    r = row.rng
    row.words += ["%dk" % (rate / 1000), "flows=%d" % n]
    for i in range(n):
        t = .2 + (r.uniform(0, row.end * .6) if joining and i else i * r.uniform(.05, .5))
        row.flow(t, rate / 8 * (r.uniform(1, 4) if joining and i else 20), up)


def benign_loss(row):
    r = row.rng
    row.queue(False, "netem loss %.2f%% delay %.1fms limit 100000" % (row.log(.1, 6), r.uniform(0, 8)))
    some_flows(row, 12e6, r.randint(1, 4))


def benign_bursty_loss(row):
    r = row.rng
    row.queue(False, "netem loss gemodel %.2f%% %.0f%% %.0f%% 0%% delay %.1fms %.1fms limit 100000" % (
        row.log(.1, 2), r.uniform(10, 50), r.uniform(60, 100), r.uniform(2, 8), r.uniform(0, 2)))
    some_flows(row, 10e6, r.randint(1, 4), joining=r.random() < .3)


def benign_reorder(row):
    r = row.rng
    row.queue(False, "netem delay %.1fms %.1fms reorder %.1f%% 50%% duplicate %.1f%% limit 100000" % (
        r.uniform(3, 15), r.uniform(0, 3), 100 - row.log(.5, 10), r.choice([0, row.log(.1, 5)])))
    some_flows(row, 8e6, r.randint(1, 3))


def benign_link(row):
    """A plain bottleneck: the bucket is what a card sends at once."""
    r = row.rng
    rate, up = row.log(1e6, 20e6), r.random() < .2
    row.queue(up, "tbf rate %dbit burst %d limit %d" % (
        rate, r.randint(3200, 6000), max(rate / 8 * row.log(.005, 1), 6000)))
    row.counters("qdisc show dev " + ("core" if up else "cust"))
    row.add("allow rate_limit/unknown")
    some_flows(row, rate, r.randint(1, 8), up, r.random() < .5)


def benign_other(row):
    """Others fill the link beside what we see: our flows have a share of it, that changes."""
    r = row.rng
    rate = row.log(2e6, 20e6)
    row.queue(False, "tbf rate %dbit burst 5000 limit %d" % (rate, max(rate / 8 * row.log(.01, .4), 8000)))
    row.words.append("%dk" % (rate / 1000))
    row.add("weir --filter 'host 10.10.0.2'")
    # At first it may have the link to itself, and not quite fill it.
    alone = r.choice(["", "", "pace=%d" % (rate / 8 * r.uniform(.5, .98)), "rcvbuf=%d" % (
        rate / 8 * row.rtt / 1000 * r.uniform(.5, 1.5) + 4000)])
    row.flow(.2, rate * 2, proto="http", cli=1, more=alone)
    if r.random() < .3:
        row.flow(r.uniform(.3, 2), rate * 2, cli=1)
    for i in range(r.randint(1, 3)):
        row.flow(r.uniform(.1, row.end * .6), rate / 8 * r.uniform(.5, 12), cli=r.randint(2, 8))


def benign_aqm(row):
    r = row.rng
    rate = row.log(1e6, 20e6)
    row.at(0, "base isp tc qdisc add dev cust root handle 1: htb default 1")
    row.at(0, "base isp tc class add dev cust parent 1: classid 1:1 htb rate %dbit" % rate)
    aqm = r.choice(["fq_codel", "fq_codel", "pie", "fq", "sfq",
                    "red limit 400000 min 30000 max 90000 avpkt 1000 burst 55 bandwidth %dbit "
                    "probability 0.1" % rate])
    row.at(0, "base isp tc qdisc add dev cust parent 1:1 " + aqm)
    row.words.append(aqm.split()[0])
    some_flows(row, rate, r.randint(1, 6), joining=r.random() < .5)


def benign_lte(row):
    r = row.rng
    limit = r.randint(30000, 600000)
    row.at(0, "base isp tc qdisc add dev cust root tbf rate 8mbit burst 6000 limit %d" % limit)
    t = 1
    while t < row.end - .5:
        row.at(t, "base isp tc qdisc change dev cust root tbf rate %dbit burst 6000 limit %d" % (
            row.log(1e6, 16e6), limit))
        t += r.choice([.4, 1, 2, 4])
    some_flows(row, 8e6, r.randint(1, 3))


def benign_acks(row):
    """Acknowledgments come in clumps: Wi-Fi, cable, a busy receiver."""
    r = row.rng
    row.at(0, "base isp tc qdisc add dev core root netem slot %dms %dms limit 100000" % (
        r.randint(2, 20), r.randint(20, 60)))
    rate = row.log(2e6, 15e6)
    row.queue(False, "tbf rate %dbit burst 5000 limit %d" % (rate, rate / 8 * row.log(.03, .5)))
    some_flows(row, rate, r.randint(1, 3))


def benign_slots(row):
    """A link that gathers packets and sends them at once, as Wi-Fi and LTE do."""
    r = row.rng
    rate = row.log(2e6, 15e6)
    row.queue(False, "netem rate %dbit slot %dms %dms limit %d" % (
        rate, r.randint(2, 12), r.randint(12, 40), rate / 12000 * row.log(.04, .6) + 8))
    some_flows(row, rate, r.randint(1, 4))


def benign_app(row):
    r = row.rng
    size, how = r.randint(40000, 2000000), r.randrange(4)
    if how == 0:
        row.flow(.2, size, more="rounds=20 gap=%d" % r.randint(200, 3000))
    elif how == 1:
        row.flow(.2, 8e6, more="pace=%d" % row.log(60e3, 1e6))
    elif how == 2:
        row.flow(.2, 20e6, more="readpace=%d rcvbuf=%d" % (row.log(60e3, 1e6), r.randint(8, 200) * 1000))
    else:
        row.flow(.2, 3000, proto="noise", more="rounds=60 gap=%d" % r.randint(50, 400))
    if r.random() < .5:
        row.queue(False, "netem loss %.2f%% delay 2ms limit 100000" % row.log(.05, 1.5))
    row.flow(.5, 150000, more="n=6 every=1500")


def benign_gro(row):
    r = row.rng
    row.add("offloads")
    if r.random() < .6:
        rate = row.log(3e6, 30e6)
        row.queue(False, "tbf rate %dbit burst 70000 limit %d" % (rate, rate / 8 * row.log(.1, .6) + 70000))
        row.add("allow rate_limit/shaper")
        row.add("allow rate_limit/unknown")
        some_flows(row, rate, r.randint(1, 3))
    else:
        row.queue(False, "netem loss %.2f%% delay 3ms limit 100000" % row.log(.05, 2))
        some_flows(row, 15e6, r.randint(1, 3))


def benign_calls(row):
    """Calls that begin and end, voice and video; others fetch much faster meanwhile."""
    r = row.rng
    row.end, row.snap, n = 32, 120, r.randint(3, 12)
    kind, size, pps = r.choice(["rtp", "rtp", "quic"]), r.randint(120, 900), r.choice([50, 50, 33, 100])
    for i in range(n):
        t = r.uniform(.2, 4) if r.random() < .6 else r.uniform(.2, 24)
        dur = r.choice([60, r.uniform(3, 20)])
        row.at(t, "traffic %s cli%d srv%d:%d pps=%d dur=%d size=%d" % (
            kind,
            r.randint(1, 8), r.randint(1, 8), 20000 + 2 * i, pps, min(dur, row.end - t - 1) * 1000,
            size if r.random() < .7 else r.randint(120, 1100)))
    for i in range(10):
        row.flow(.4 + 3 * i, 900000, proto="tls", cli=r.randint(1, 8), srv=r.randint(1, 8))
        row.flow(.9 + 3 * i, 900000, proto="tls", cli=r.randint(1, 8), srv=r.randint(1, 8))
    if r.random() < .4:
        row.queue(False, "netem loss %.2f%% delay %.1fms limit 100000" % (row.log(.05, 2), r.uniform(0, 5)))
    row.words.append("calls=%d" % n)


FAMILIES = {"police": (police, 12), "gso": (police_gso, 2), "shared": (police_shared, 5),
            "shape": (shape, 8), "typepolice": (type_police, 1), "typehtb": (type_htbclass, 1)}
BENIGN = {n[7:]: f for n, f in list(globals().items()) if n.startswith("benign_")}


def rows(seed, n, where, families):
    os.makedirs(where, exist_ok=True)
    table = {k: v for k, v in FAMILIES.items()}
    table.update({k: (f, 1.4) for k, f in BENIGN.items()})
    table = {k: v for k, v in table.items() if not families or k in families or
             ("benign" in families and k in BENIGN)}
    if not table:
        sys.exit("sweep.py: families are %s, benign" % ", ".join(list(FAMILIES) + list(BENIGN)))
    names = sorted(table)
    for i in range(n):
        rng = random.Random("%s %d" % (seed, i))
        kind = rng.choices(names, [table[k][1] for k in names])[0]
        row = Row(rng, kind)
        if kind in BENIGN:
            row.add("benign")
        table[kind][0](row)
        with open(os.path.join(where, "%s-%s-%03d.scn" % (kind, seed, i)), "w") as f:
            f.write(row.text())


def truth_of(path):
    """The title, and what must be found."""
    title, find = "", {}
    with open(path) as f:
        for line in f:
            if line.startswith("title "):
                title = line[6:].strip()
            elif line.startswith("find "):
                find = {k: float(v) for k, v in re.findall(r"(\w+)=([\d.]+)~", line)}
    return title, find


def dropped(kept, name):
    """What the limiter dropped by its own counters; None where they were not kept."""
    n = []
    for log in ("steps.log", "wire1.log", "wire2.log"):
        try:
            with open(os.path.join(kept, name + ".on", log)) as f:
                n += [int(x) for x in re.findall(r"dropped (\d+)", f.read())]
        except OSError:
            pass
    return sum(n) if n else None


def table(where, kept):
    tally, rate_off, burst_off, rows_ = {}, {}, {}, []
    for line in sys.stdin:
        part = line.rstrip("\n").split("\t")
        if len(part) < 8 or part[4] != "offline":
            continue
        name, verdict, why = part[1], part[5], part[7]
        path = os.path.join(where, name + ".scn")
        if not os.path.exists(path):
            continue
        title, find = truth_of(path)
        kind = name.split("-")[0]
        t = tally.setdefault(kind, dict(n=0, skip=0, found=0, missed=0, idle=0, false=0))
        t["n"] += 1
        words = []
        t["false"] += "FALSE" in why
        t["skip"] += verdict == "skip"
        if find and verdict != "skip":
            drops = dropped(kept, name)
            if "MISSED" in why and drops is not None and drops < 20 and kind != "shape":
                t["idle"] += 1
                words.append("idle: %d dropped" % drops)
            else:
                t["missed" if "MISSED" in why else "found"] += 1
                for key, off in (("limit_bps", rate_off), ("burst_bytes", burst_off)):
                    m = re.search(key + r" ([\d.e+]+)", why)
                    if key not in find or "MISSED" in why:
                        continue
                    x = float(m.group(1)) / find[key] - 1 if m else None
                    if x is not None and key == "burst_bytes" and abs(x * find[key]) <= 1514:
                        x = 0.
                    off.setdefault(kind, []).append(x)
                    words.append("%s %s" % (key[:5], "none" if x is None else "%+.1f%%" % (100 * x)))
        rows_.append((name, title, "; ".join([verdict] + words), why))
    for name, title, words, why in sorted(rows_):
        print("%-20s %-62s %s%s" % (name, title, words, "" if words.startswith("pass") else "   | " + why))
    print("\n%-12s %5s %5s %6s %6s %6s %6s %12s %12s" % (
        "family", "n", "skip", "found", "missed", "idle", "false", "rate 3 %", "burst 15 %"))
    total = dict.fromkeys(("n", "skip", "found", "missed", "idle", "false"), 0)
    for kind in sorted(tally):
        t = tally[kind]
        for k in total:
            total[k] += t[k]

        def within(off, limit):
            xs = off.get(kind, [])
            return "%d/%d" % (sum(x is not None and abs(x) <= limit for x in xs), len(xs)) if xs else "-"
        print("%-12s %5d %5d %6d %6d %6d %6d %12s %12s" % (
            kind, t["n"], t["skip"], t["found"], t["missed"], t["idle"], t["false"],
            within(rate_off, .03), within(burst_off, .15)))
    print("%-12s %5d %5d %6d %6d %6d %6d" % ("all", *total.values()))


def main():
    if len(sys.argv) >= 5 and sys.argv[1] == "rows":
        rows(sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5:])
    elif len(sys.argv) in (3, 4) and sys.argv[1] == "table":
        table(sys.argv[2], sys.argv[3] if len(sys.argv) == 4 else sys.argv[2])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
