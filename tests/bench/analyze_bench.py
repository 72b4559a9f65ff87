# SPDX-License-Identifier: GPL-2.0-or-later
"""`weir analyze` over a large mixed capture, made here from a seed, beside what else reads captures."""
import os
import shutil
import statistics
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("B", "build"))
WEIR = os.path.join(BUILD, "weir")
TUNED = os.path.join(BUILD, "tuned", "weir")  # as packages ship it
MAKE = os.path.join(BUILD, "bench", "make_capture")


def spent(argv, **kw):
    """CPU seconds, wall seconds, peak memory in MB."""
    start = time.monotonic()
    p = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kw)
    _, status, use = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    return use.ru_utime + use.ru_stime, time.monotonic() - start, use.ru_maxrss / 1e3, p.returncode


def run(row, quick):
    packets = 200000 if quick else 1000000
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as d:
        path = os.path.join(d, "mixed.pcap")
        with open(path, "wb") as f:
            subprocess.run([MAKE, str(packets)], stdout=f, check=True)
        runs = {TUNED: [], WEIR: []}
        for _ in range(5):
            for weir in runs:
                runs[weir].append(spent([weir, "analyze", path]))
        if any(r[3] for v in runs.values() for r in v):
            raise RuntimeError("weir analyze failed")
        lines = subprocess.run([TUNED, "analyze", path], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
        row("analyze: claims", sum(" open " in line for line in lines), "findings")
        each = os.path.getsize(path) / packets
        plain = packets / statistics.median(r[0] for r in runs[WEIR])
        runs = runs[TUNED]
        rate = packets / statistics.median(r[0] for r in runs)
        row("analyze, all detectors, a core's second", rate / 1e6, "Mpps", "not tuned (make tuned)", plain / 1e6)
        row("analyze, by the clock", packets / statistics.median(r[1] for r in runs) / 1e6, "Mpps")
        row("analyze, peak memory", statistics.median(r[2] for r in runs), "MB", "MB of capture", os.path.getsize(path) / 1e6)
        # Per-core scaling: the same files, one at a time and several; in turns, for the machine may have other work.
        cores = [n for n in (1, 2, 4, 8, 16) if n <= len(os.sched_getaffinity(0))]
        files = [path] * 2 * cores[-1]
        wall = {n: [] for n in cores}
        for _ in range(3):
            for n in cores:
                wall[n].append(spent([TUNED, "analyze", "--jobs", str(n), *files])[1])
        for n in cores[1:]:
            row(f"analyze, {len(files)} files, {n} at a time", len(files) * packets / statistics.median(wall[n]) / 1e6, "Mpps",
                "one at a time", len(files) * packets / statistics.median(wall[1]) / 1e6)
        for tool, argv, n in (("ndpiReader", ["ndpiReader", "-q", "-i", path], packets),
                              ("tshark, TCP analysis", ["tshark", "-c", "20000", "-r", path, "-T", "fields", "-e",
                                                        "tcp.analysis.ack_rtt"], 20000)):
            if not shutil.which(argv[0]):
                row(f"{tool}: not installed", 0, "Mpps")
                continue
            cpu, wall, _, code = spent(argv)
            row(f"{tool}, a core's second{'' if not code else ', failed'}", n / cpu / 1e6, "Mpps", "weir", rate / 1e6)
    stream = 600000 if quick else 3000000
    gen = subprocess.Popen([MAKE, str(stream), "7"], stdout=subprocess.PIPE)
    cpu, wall, rss, code = spent([TUNED, "analyze", "-"], stdin=gen.stdout)
    gen.stdout.close()
    gen.wait()
    row("analyze, a stream of %.1f GB: peak memory" % (stream * each / 1e9), rss, "MB", "Mpps a core's second", stream / cpu / 1e6)
