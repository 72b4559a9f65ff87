# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts with many addresses: counted once where the neighbour table tells."""
import time

from gateway import SERVER6, Gateway, check, equal
from test_blind import answer_twice

ASKS = f"""
import socket, sys
for i, source in enumerate(sys.argv[1:]):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind((source, 0))
    s.sendto(bytes([7, i]) + bytes.fromhex("01000001000000000000") + b"\\x09forbidden\\x07example\\x00"
             + bytes([0, 1, 0, 1]), ("{SERVER6}", 53))
    s.settimeout(5)
    s.recv(2048)
"""


def counted(sources):
    """How many clients the finding names whose queries from these addresses get two answers."""
    with Gateway() as gw:
        gw.ip("g", "-6", "addr", "add", "fe80::1/64", "dev", "lan0", "nodad") # who asks for neighbours
        for a in sources:
            gw.ip("c", "-6", "addr", "add", f"{a}/64", "dev", "c0", "nodad")
        answer_twice(gw, SERVER6)
        w = gw.weir("watch", "lan0", "wan0", "-j", attached=2)
        for _ in range(3): # the neighbour table is read each second
            gw.run("c", "python3", "-c", ASKS, *sources)
            time.sleep(1.2)
        last = {e["finding"]["id"]: e["finding"] for e in w.stop() if e["event_type"] == "finding"}
        check(last, "nothing was found")
        return {f["clients"] for f in last.values()}


def test_an_address_a_day():
    """RFC 8981: a host makes itself one after the other."""
    equal(counted([f"fd00:7::8c1e:{n}:44aa:1f09" for n in (11, 12, 13)]), {1}, "clients")


def test_addresses_that_were_given_out():
    equal(counted([f"fd00:7::{n}" for n in (21, 22, 23)]), {3}, "clients")
