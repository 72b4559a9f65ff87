# SPDX-License-Identifier: GPL-2.0-or-later
"""weir daemon: as an unprivileged user with three capabilities, its clients, its files, and what may go wrong."""
import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import tempfile
import threading

from gateway import WEIR, Failed, Gateway, Skipped, check, equal, validate, wait_for

UID = 65534
CAPS = ("setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups",
        "--inh-caps=-all,+bpf,+perfmon,+net_admin", "--ambient-caps=-all,+bpf,+perfmon,+net_admin",
        "--bounding-set=-all,+bpf,+perfmon,+net_admin")


class Daemon:
    """One daemon in the gateway, its files in a directory of its own, and systemd's side of the notify socket."""

    def __init__(self, gw, conf="", argv=("wan0",), ready=True, directory=None):
        self.gw, self.dir = gw, directory or tempfile.mkdtemp(prefix="weir-daemon-", dir="/tmp")
        os.chown(self.dir, UID, UID)
        self.path = lambda name: os.path.join(self.dir, name)
        self.sock, self.log, self.history = self.path("w.sock"), self.path("e.jsonl"), self.path("h.db")
        self.conf = self.path("weir.conf")
        self.write(conf)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = self.path("notify")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        self.manager.bind(name)
        os.chmod(name, 0o777)
        self.said = []
        threading.Thread(target=self.listen, daemon=True).start()
        self.err = open(self.dir + ".err", "ab")  # never on the disk that is made full
        self.proc = gw.popen("g", [*CAPS, WEIR, "daemon", "-c", self.conf, "--socket", self.sock, *argv],
                             stderr=self.err, stdout=subprocess.DEVNULL,
                             env={**os.environ, "NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"})
        if ready:
            self.wait_said("READY=1")

    def write(self, conf, **keys):
        base = {"log": self.log, "history": self.history, "evidence": self.path("evidence"),
                "textfile": self.path("w.prom"), **keys}
        text = f"""[events]
file = {base['log']}
interval = 1
[history]
file = {base['history']}
[evidence]
dir = {base['evidence']}
[metrics]
textfile = {base['textfile']}
{conf}
"""
        with open(self.conf, "w", encoding="ascii") as f:
            f.write(text)

    def stderr(self):
        with open(self.dir + ".err", encoding="utf-8") as f:
            return f.read()

    def listen(self):
        while True:
            self.said += self.manager.recv(4096).decode().split("\n")

    def wait_said(self, word, times=1):
        def heard():
            if self.proc.poll() is not None:
                raise Failed(f"the daemon ended with {self.proc.returncode}: {self.stderr()}")
            return sum(s.startswith(word) for s in self.said) >= times
        wait_for(heard, f"systemd hears {word}", 20)

    def reload(self, times):
        self.proc.send_signal(signal.SIGHUP)
        self.wait_said("READY=1", times)

    def events(self, kind=None, path=None):
        with open(path or self.log, encoding="utf-8") as f:
            text = f.read()
        check(not text or text.endswith("\n"), f"a torn line: {text[-200:]}")
        events = [json.loads(line) for line in text.splitlines()]
        validate(events)
        return [e for e in events if kind in (None, e["event_type"])]

    def tool(self, action):
        return [e["tool"] for e in self.events("tool") if e["tool"]["action"] == action]

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        equal(self.proc.wait(20), 0, f"exit ({self.stderr()})")
        wait_for(lambda: "STOPPING=1" in self.said, "systemd hears of the end")

    def metric(self, name):
        """Its values, written now."""
        old = os.stat(self.path("w.prom")).st_ino if os.path.exists(self.path("w.prom")) else 0
        self.proc.send_signal(signal.SIGUSR1)
        wait_for(lambda: os.path.exists(self.path("w.prom")) and os.stat(self.path("w.prom")).st_ino != old, "a textfile")
        with open(self.path("w.prom"), encoding="ascii") as f:
            return [float(line.split()[-1]) for line in f if line.startswith(name)]

    def join(self, request):
        """A client of its own: the socket and a reader of lines."""
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(10)
        s.connect(self.sock)
        s.sendall(request.encode() + b"\n")
        return s, s.makefile("r", encoding="utf-8")


def drop(directory):
    shutil.rmtree(directory, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(directory + ".err")


@contextlib.contextmanager
def daemon(*argv, gw=None, **kw):
    with contextlib.ExitStack() as stack:
        gw = gw or stack.enter_context(Gateway())
        d = Daemon(gw, *argv, **kw)
        try:
            yield d
        finally:
            if d.proc.poll() is None:
                d.proc.kill()
                d.proc.wait()
            d.err.close()
            if not kw.get("directory"):
                drop(d.dir)


def joined(d, *argv, n="1"):
    """weir as a client, without rights: what it prints."""
    r = subprocess.run(["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups", "--inh-caps=-all",
                        WEIR, *argv, f"--connect={d.sock}", *(("-n", n) if n else ())], timeout=30,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    equal(r.returncode, 0, f"{argv}: {r.stderr}")
    return r.stdout


def status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def test_without_root():
    """Three capabilities and nothing else; a system call filter; systemd's protocol; the end."""
    with daemon() as d:
        d.gw.serve()
        d.gw.fetch(conns=3, size=5000)
        s = status(d.proc.pid)
        for which in ("CapEff", "CapPrm", "CapBnd"):
            equal(int(s[which], 16), 1 << 12 | 1 << 38 | 1 << 39, which)
        equal((s["Seccomp"], s["NoNewPrivs"], s["Uid"].split()[0]), ("2", "1", str(UID)), "status")
        equal(stat.S_IMODE(os.stat(d.sock).st_mode), 0o660, "the socket's mode")
        equal(stat.S_IMODE(os.stat(d.log).st_mode), 0o640, "the log's mode")
        d.wait_said("WATCHDOG=1", 3)
        d.stop()
        check(d.tool("stop"), "no stop event in the log")
        check(not os.path.exists(d.sock), "the socket is left")
        with sqlite3.connect(d.history) as db:
            equal(db.execute("PRAGMA integrity_check").fetchone()[0], "ok", "history")
            check(db.execute("SELECT sum(packets_up) FROM series_10s").fetchone()[0] > 10, "nothing in the history")


def test_clients():
    """Two at once, JSON and lines; events of both kinds; the screen's; what is asked for and no more."""
    with daemon() as d:
        d.gw.serve()
        s, lines = d.join("events json types=flow,tool interval=0.5")
        hello = json.loads(lines.readline())
        equal((hello["weir"], hello["interfaces"], hello["pid"]), (1, ["wan0"], d.proc.pid), "hello")
        equal(json.loads(lines.readline())["tool"]["action"], "attach", "first event")
        d.gw.fetch(conns=2, size=3000)
        flow = json.loads(lines.readline())
        while flow["event_type"] != "flow":
            flow = json.loads(lines.readline())
        equal(flow["flow"]["l7"] != "", True, "a flow")
        validate([flow])
        out = joined(d, "watch", n="2")
        check("stats" in out and "hook=tcx" in out, out)
        events = [json.loads(line) for line in joined(d, "events").splitlines()]
        validate(events)
        check(events, "no events")
        p, screen = d.join("screen")
        screen.readline()
        shown = json.loads(screen.readline())
        check(shown["head"]["source"] == "wan0 tcx" and shown["types"], shown)
        for x in (s, p):
            x.close()
        d.stop()


def test_hostile_clients():
    """Nonsense, floods, many, slow: refused, cut off, counted; the daemon goes on."""
    with daemon() as d:
        for request in ("", "x" * 5000, "events types=all", "events interval=-1", "screen now", "\0\0"):
            s, lines = d.join(request)
            check("error" in json.loads(lines.readline()), request)
            with contextlib.suppress(ConnectionResetError):  # it left what else we sent unread
                equal(lines.readline(), "", f"closed after {request[:20]}")
            s.close()
        crowd = [socket.socket(socket.AF_UNIX) for _ in range(40)]
        for s in crowd:
            s.connect(d.sock)
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(10)
        s.connect(d.sock)
        check(b"too many clients" in s.recv(1000), "the crowd is not bounded")
        for x in (*crowd, s):
            x.close()
        # One that never reads, under a flood of flows.
        slow, lines = d.join("events json interval=0.1")
        hello = lines.readline()
        check("netns" in hello, f"the slow one was refused: {hello}")
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        d.gw.serve()

        def cut():
            d.gw.fetch(conns=2000, size=10, at_once=200)
            return d.metric('weir_events_lost_total{reason="queue_full"}')[0] >= 1
        wait_for(cut, "the slow client is cut off", 60)

        def served():  # while the flood drains, a reader on a busy machine may be cut off itself
            with contextlib.suppress(Failed):
                return joined(d, "events") != ""
        wait_for(served, "others are served", 30)
        d.stop()


def test_reload():
    """SIGHUP: a mistake keeps everything, a good file takes over whole, other interfaces too."""
    with daemon() as d:
        d.write("[detect]\nsensitivty = high\n", log=d.path("other.jsonl"))
        d.reload(2)
        wait_for(lambda: "Keeping the old configuration" in d.stderr(), "it is said")
        check('unknown key "sensitivty" in [detect]. Did you mean "sensitivity"?' in d.stderr(), d.stderr())
        check(not os.path.exists(d.path("other.jsonl")), "half of it was taken")
        check("RELOADING=1" in d.said and any(x.startswith("MONOTONIC_USEC=") for x in d.said), d.said)
        wait_for(lambda: d.metric("weir_config_last_reload_successful") == [0], "the metric says so")

        os.rename(d.log, d.path("moved"))
        d.write("[detect]\nsensitivity = high\n")
        d.reload(3)
        wait_for(lambda: d.metric("weir_config_last_reload_successful") == [1], "the metric is back")
        check(os.path.exists(d.log), "the log is not opened again")
        check(any("why" in e["tool"] for e in d.events("tool", d.path("moved")) if e["tool"]["action"] == "reload"),
              "the mistake is not in the log")

        d.write("[capture]\ninterfaces = nope\n")
        d.proc.send_signal(signal.SIGHUP)  # the interface of the command line stays in force: nothing to refuse
        d.wait_said("READY=1", 4)
        d.write("[capture]\nmax_flows = 1000\n")
        d.reload(5)
        wait_for(lambda: len(d.tool("start")) == 1, "captured anew", 20)  # in the log opened above
        wait_for(lambda: d.metric('weir_map_max_entries{map="flows"}') == [1000], "the tables are other ones")
        d.stop()


def test_reload_that_fails_late():
    with daemon(argv=(), conf="[capture]\ninterfaces = wan0\n") as d:
        d.write("[capture]\ninterfaces = wan0 nope\n")
        d.reload(2)
        check('no interface "nope"' in d.stderr(), d.stderr())
        # Found only once the old capture has ended: its history can't be opened.
        d.write("[capture]\ninterfaces = lan0\n", history="/proc/none/h.db")
        d.proc.send_signal(signal.SIGHUP)
        wait_for(lambda: d.stderr().count("Keeping the old configuration") == 2, "the old one comes back", 20)
        wait_for(lambda: len(d.tool("attach")) == 2, "attached again", 20)
        equal(json.loads(d.join("hello")[1].readline())["interfaces"], ["wan0"], "interfaces")
        d.write("[capture]\ninterfaces = lan0\n")
        d.proc.send_signal(signal.SIGHUP)
        wait_for(lambda: len(d.tool("attach")) == 3, "the good one is taken", 20)
        equal(json.loads(d.join("hello")[1].readline())["interfaces"], ["lan0"], "interfaces")
        d.stop()


def test_kill_9():
    """Killed under load, three times: log and history are whole, and the next daemon starts."""
    with Gateway() as gw:
        gw.serve()
        directory = tempfile.mkdtemp(prefix="weir-daemon-", dir="/tmp")
        try:
            for turn in range(3):
                with daemon("[capture]\nhook = tc\n", gw=gw, directory=directory,
                            argv=("wan0", "--events", "flow,tool,stats")) as d:
                    gw.fetch(conns=300, size=2000)
                    d.proc.send_signal(signal.SIGKILL)
                    d.proc.wait()
            # As a kill in the middle of a write leaves it.
            with open(d.log, "a", encoding="ascii") as f:
                f.write('{"timestamp":"2026-')
            with daemon(gw=gw, directory=directory) as d:
                wait_for(lambda: len(d.events()) > 3, "the log goes on")
                equal(len(d.tool("start")), turn + 2, "starts in the log")
                check("filter of an earlier run" in d.stderr(), "stale filters are not swept")
                with sqlite3.connect(d.history) as db:
                    equal(db.execute("PRAGMA integrity_check").fetchone()[0], "ok", "history")
                    equal(db.execute("SELECT count(*) FROM run").fetchone()[0], turn + 2, "runs in the history")
                d.stop()
        finally:
            drop(directory)


def test_full_disk():
    """2 MiB for everything: the daemon runs, says so once, and writes again when there is room."""
    directory = tempfile.mkdtemp(prefix="weir-daemon-", dir="/tmp")
    if os.system(f"mount -t tmpfs -o size=2m,mode=755 none {directory}"):
        raise Skipped("can't mount a tmpfs here")
    ballast = os.path.join(directory, "ballast")
    try:
        with daemon(directory=directory, argv=("wan0", "--events", "flow,tool,stats")) as d:
            d.gw.serve()
            with open(ballast, "wb", buffering=0) as f, contextlib.suppress(OSError):
                while True:
                    f.write(b"x" * 4096)
            def load():
                d.gw.fetch(conns=200, size=100)
                return "logging paused" in d.stderr()
            wait_for(load, "it is said", 15)
            equal(d.stderr().count("logging paused"), 1, f"said once: {d.stderr()}")
            check(d.proc.poll() is None, "it ended")
            d.events()
            os.unlink(ballast)
            wait_for(lambda: "logging goes on" in d.stderr(), "it goes on", 30)
            d.stop()
            check(d.tool("stop"), "no end in the log")
    finally:
        os.system(f"umount -l {directory}")
        drop(directory)


def test_log_rotates():
    with daemon("[events]\nmax_size = 8KiB\nmax_files = 3\n", argv=("wan0", "--events", "flow,tool,stats")) as d:
        d.gw.serve()
        def more(n, holds):
            d.gw.fetch(conns=n, size=100)
            return holds()
        wait_for(lambda: more(100, lambda: os.path.exists(d.log + ".2")), "three files", 30)
        d.gw.fetch(conns=300, size=100)
        d.stop()
        files = [f for f in os.listdir(d.dir) if f.startswith("e.jsonl")]
        equal(sorted(files), ["e.jsonl", "e.jsonl.1", "e.jsonl.2"], "files")
        for f in files:
            d.events(path=d.path(f))
            # A buffer that waited may go over by one flush at most.
            check(os.path.getsize(d.path(f)) <= 2 * 8192, f"{f} is {os.path.getsize(d.path(f))} bytes")


def test_interface_goes_and_comes_back():
    with daemon() as d:
        d.gw.ip("g", "link", "del", "wan0")
        wait_for(lambda: d.tool("detach"), "weir lets go")
        wait_for(lambda: d.metric('weir_interface_info{interface="wan0"') == [0], "the metric says so")
        d.gw.link("wan0", "s", "s0", 1500)
        d.gw.ip("g", "link", "set", "wan0", "up")
        wait_for(lambda: len(d.tool("attach")) == 2, "weir attaches again, with fewer rights and a filter")
        d.stop()


def test_second_daemon():
    with daemon() as d:
        other = Daemon(d.gw, directory=d.dir, ready=False)
        equal(other.proc.wait(20), 69, "exit of the second")
        check(f"a daemon already runs at {d.sock} (pid {d.proc.pid})" in d.stderr(), d.stderr())
        equal(joined(d, "events") != "", True, "the first is still served")
        d.stop()


def test_joining_by_itself():
    """watch joins where a daemon watches the same interface, and not where it is asked for something else."""
    with daemon() as d:
        def watch(*argv):
            return d.gw.run("g", *CAPS[:6], WEIR, "watch", "-j", "-n", "1", "-c", d.path("client.conf"), *argv)
        with open(d.path("client.conf"), "w", encoding="ascii") as f:
            f.write(f"[daemon]\nsocket = {d.sock}\n")
        check('"attach"' in watch(), "not joined")
        check('"attach"' in watch("wan0"), "not joined by name")
        for argv in (("lan0",), ("wan0", "--hook", "tc"), ("wan0", "lan0")):
            try:
                watch(*argv)
                raise Failed(f"{argv} joined the daemon")
            except Failed as e:
                check("exit 77" in str(e), f"{argv}: {e}")
        d.stop()


def test_no_daemon_to_join():
    with Gateway() as gw:
        for command in ("watch", "live", "events"):
            r = subprocess.run(["ip", "netns", "exec", gw.ns("g"), WEIR, command, "--connect=/tmp/no-such-socket"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
            equal(r.returncode, 69, f"{command}: {r.stderr}")
            check("no daemon to join" in r.stderr, r.stderr)


def test_metrics():
    """Textfile and HTTP: clean for promtool, OpenMetrics on request, no label that tells of anybody."""
    with daemon("[metrics]\nlisten = 127.0.0.1:9988\n") as d:
        d.gw.serve()
        d.gw.fetch(conns=5, size=50000)
        url = "http://127.0.0.1:9988"
        wait_for(lambda: "weir_rtt_seconds_bucket" in d.gw.run("g", "curl", "-s", f"{url}/metrics"), "metrics")
        text = d.gw.run("g", "curl", "-si", f"{url}/metrics")
        check("text/plain; version=0.0.4" in text, text[:300])
        for word in ("192.168.7", "203.0.113", ":7000", "fd00"):
            check(word not in text, f"{word} is in the metrics")
        check('weir_bytes_total{interface="wan0",direction="down",type=' in text, text)
        om = d.gw.run("g", "curl", "-si", "-H", "Accept: application/openmetrics-text;version=1.0.0;q=0.9,*/*;q=0.1",
                      f"{url}/metrics")
        check("application/openmetrics-text; version=1.0.0" in om and om.endswith("# EOF\n"), om[:300])
        for path, method, code in (("/nope", "GET", "404"), ("/metrics", "POST", "405"), ("/", "GET", "200")):
            equal(d.gw.run("g", "curl", "-so", "/dev/null", "-w", "%{http_code}", "-X", method, url + path), code, path)
        d.proc.send_signal(signal.SIGUSR1)
        wait_for(lambda: os.path.exists(d.path("w.prom")), "the textfile")
        if not shutil.which("promtool"):
            raise Skipped("promtool (Debian's prometheus) is not installed")
        for form in (text.split("\n\n", 1)[1], open(d.path("w.prom"), encoding="ascii").read()):
            r = subprocess.run(["promtool", "check", "metrics"], input=form, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, check=False)
            equal((r.returncode, r.stdout), (0, ""), "promtool check metrics")
        d.stop()


def test_what_is_written_tells_of_nobody():
    """By default no name, no payload, no address of a client; events of flows, where asked for, have the last."""
    secrets = (b"secret.example", b"hidden-path", b"private-answer")
    flow = "[events]\ntypes = flow,rst,finding,stats,tool\n"
    for conf, addresses in (("", False), (flow, True), (flow + "[privacy]\nredact_events = clients\n", False)):
        with daemon(conf, argv=("lan0", "wan0")) as d:
            d.gw.popen("s", ["python3", "-c", """
import socket
s = socket.create_server(("203.0.113.2", 80))
while True:
    c = s.accept()[0]
    c.recv(4096)
    c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 14\\r\\n\\r\\nprivate-answer")
    c.close()
"""])
            wait_for(lambda d=d: ":80 " in d.gw.run("s", "ss", "-Hltn"), "the server listens")
            d.gw.run("c", "python3", "-c", """
import socket
for i in range(5):
    s = socket.create_connection(("203.0.113.2", 80), 5)
    s.sendall(b"GET /hidden-path HTTP/1.1\\r\\nHost: www.secret.example\\r\\n\\r\\n")
    while s.recv(4096):
        pass
    s.close()
""")
            d.proc.send_signal(signal.SIGUSR1)
            wait_for(lambda d=d: os.path.exists(d.path("w.prom")), "the textfile")
            d.stop()
            files = [os.path.join(at, f) for at, _, names in os.walk(d.dir) for f in names] + [d.dir + ".err"]
            check(len(files) >= 5, f"too few files: {files}")
            for f in files:
                if not stat.S_ISREG(os.stat(f).st_mode):
                    continue
                with open(f, "rb") as file:
                    text = file.read()
                for word in secrets:
                    check(word not in text, f"{word} is in {f}")
                if f != d.log or not addresses:
                    check(b"192.168.7.2" not in text, f"a client's address is in {f}")
            flows = [e for e in d.events() if e["event_type"] == "flow" and e.get("dest_port") == 80]
            equal({e["flow"].get("l7") for e in flows}, {"http"} if conf else set(), "what the bytes were")
