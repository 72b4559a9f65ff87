# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets and captures for tests, without anything that must be installed."""
import struct


def checksum(data):
    data += b"\0" * (len(data) % 2)
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


def ipv4(src, dst, proto, payload, ttl=64, ipid=1):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ipid, 0x4000, ttl, proto, 0, bytes(map(int, src.split("."))), bytes(map(int, dst.split("."))))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(src, dst, proto, payload):
    return struct.pack("!IHBB", 6 << 28, len(payload), proto, 64) + bytes([0xfd] + [0] * 14 + [src]) + bytes([0xfd] + [0] * 14 + [dst]) + payload


def tcp(sport, dport, seq, ack, flags, data=b""):
    return struct.pack("!HHIIBBHHH", sport, dport, seq & 0xffffffff, ack & 0xffffffff, 0x50, flags, 65535, 0, 0) + data


def udp(sport, dport, data):
    return struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data


def pcap(path, packets):
    """packets: (seconds, IP packet); raw IP link type."""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
        for t, p in sorted(packets, key=lambda x: x[0]):
            f.write(struct.pack("<IIII", int(t), int(t % 1 * 1e6), len(p), len(p)) + p)


C, S = "192.168.1.20", "203.0.113.7"
T = 1795737600


def connection(at, port, forged=False):
    """A handshake, a request, an answer in ten segments; then FIN, or a reset with another TTL and the real answer after it."""
    out = [(at, ipv4(C, S, 6, tcp(port, 80, 999, 0, 2))), (at + .04, ipv4(S, C, 6, tcp(80, port, 4999, 1000, 0x12), ttl=54)),
           (at + .041, ipv4(C, S, 6, tcp(port, 80, 1000, 5000, 0x10))),
           (at + .042, ipv4(C, S, 6, tcp(port, 80, 1000, 5000, 0x18, b"GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n")))]
    if forged:
        out += [(at + .045 + i * .0001, ipv4(S, C, 6, tcp(80, port, 5000, 0, 4), ttl=117, ipid=0)) for i in range(3)]
    for i in range(10):
        out += [(at + .09 + i * .001, ipv4(S, C, 6, tcp(80, port, 5000 + i * 1000, 1041, 0x18, b"HTTP/1.1 200 OK\r\n\r\n".ljust(1000, b"x")), ttl=54, ipid=100 + i))]
        if not forged:
            out += [(at + .091 + i * .001, ipv4(C, S, 6, tcp(port, 80, 1041, 6000 + i * 1000, 0x10)))]
    if not forged:
        out += [(at + .2, ipv4(S, C, 6, tcp(80, port, 15000, 1041, 0x11), ttl=54)), (at + .201, ipv4(C, S, 6, tcp(port, 80, 1041, 15001, 0x11))),
                (at + .24, ipv4(S, C, 6, tcp(80, port, 15001, 1042, 0x10), ttl=54))]
    return out


def forged_resets():
    """Eight connections that end as they should, eight that somebody else resets."""
    return [p for i in range(8) for p in connection(T + i, 40000 + i)] + [p for i in range(8) for p in connection(T + .5 + i, 41000 + i, forged=True)]


if __name__ == "__main__":
    import sys

    pcap(sys.argv[1], forged_resets())
