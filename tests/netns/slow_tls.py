# SPDX-License-Identifier: GPL-2.0-or-later
"""A TLS server that takes 50 ms to answer a ClientHello, as a far one does: ADDR PORT CERT KEY."""
import socket
import ssl
import sys
import threading
import time

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[3], sys.argv[4])
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=64)


def serve(conn):
    time.sleep(0.05)
    try:
        with context.wrap_socket(conn, server_side=True) as tls:
            tls.recv(4096)
            tls.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nhi\n")
            while tls.recv(4096):  # until the client closes: a reset of our own would be honest noise
                pass
    except OSError:
        conn.close()


while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
