"""The floor: every published packet to every listener by one `sendmmsg`, as it came.

No SRTP, no ICE, no header of its own per listener: what the kernel alone takes under this load. No
forwarder that sends a datagram per listener through this socket interface can be below it.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

BATCH = 64  # as the plane's
PACKET_BYTES = 2048


class Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("bytes", ctypes.c_size_t))


class Message(ctypes.Structure):
    """struct mmsghdr of 64-bit Linux."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_bytes", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_bytes", ctypes.c_size_t),
        ("flags", ctypes.c_size_t),  # an int and its padding
        ("sent", ctypes.c_uint32),
    )


class Forwarder:
    """Everything a send needs is made when a listener comes; a packet is copied once."""

    def __init__(self, host: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.packet = bytearray(PACKET_BYTES)
        self.vector = Vector(
            ctypes.addressof((ctypes.c_char * PACKET_BYTES).from_buffer(self.packet))
        )
        self.addresses: list[ctypes.Array[ctypes.c_char]] = []
        self.messages = (Message * 0)()

    def add(self, host: str, port: int) -> None:
        address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port)
        address += socket.inet_aton(host) + bytes(8)
        self.addresses.append(ctypes.create_string_buffer(address, 16))
        self.messages = (Message * len(self.addresses))(
            *(
                Message(ctypes.addressof(to), 16, ctypes.addressof(self.vector), 1)
                for to in self.addresses
            )
        )

    def run(self) -> None:
        sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
        fd, size = self.socket.fileno(), ctypes.sizeof(Message)
        while True:
            self.vector.bytes = self.socket.recv_into(self.packet)
            if 192 <= self.packet[1] <= 223:
                continue
            messages, count = self.messages, len(self.addresses)
            start = ctypes.addressof(messages)
            for first in range(0, count, BATCH):
                at = ctypes.c_void_p(start + first * size)
                if sendmmsg(fd, at, min(BATCH, count - first), 0) < 0:
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main(host: str) -> None:
    forwarder = Forwarder(host)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/listen":
                forwarder.add(body["host"], int(body["port"]))
            self.send_response(201)
            self.end_headers()
            self.wfile.write(str(forwarder.socket.getsockname()[1]).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer((host, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"ready: http://{host}:{server.server_port}", flush=True)
    forwarder.run()


if __name__ == "__main__":
    main(sys.argv[1])
