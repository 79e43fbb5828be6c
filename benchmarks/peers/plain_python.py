"""Plain Python: `struct`, pylibsrtp and `sendto`, with keys that both ends were given. No ICE.

What is left when everything but the packet is taken away; POST /listen has host, port and key.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from pylibsrtp import Policy, Session

PROFILE = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
RTP = struct.Struct("!BBHII")


class Listener:
    """An address, a context and the identifiers that its stream has."""

    def __init__(self, address: tuple[str, int], key: bytes, ssrc: int) -> None:
        self.address, self.ssrc = address, ssrc
        self.srtp = Session(
            Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=PROFILE)
        )


class Forwarder:
    """Blocking and single: the quickest loop that Python has."""

    def __init__(self, host: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.publisher: Session | None = None
        self.listeners: list[Listener] = []

    def run(self) -> None:
        unpack, pack, sendto = RTP.unpack_from, RTP.pack, self.socket.sendto
        while True:
            datagram = self.socket.recv(2048)
            if self.publisher is None or 192 <= datagram[1] <= 223:
                continue
            packet = self.publisher.unprotect(datagram)
            first, marked_type, sequence, timestamp, _ = unpack(packet)
            payload = packet[12:]
            for listener in self.listeners:
                header = pack(first, marked_type, sequence, timestamp, listener.ssrc)
                sendto(listener.srtp.protect(header + payload), listener.address)

    def serve(self, path: str, body: dict[str, str]) -> None:
        key = bytes.fromhex(body["key"])
        if path == "/publish":
            self.publisher = Session(
                Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=PROFILE)
            )
        else:
            address = (body["host"], int(body["port"]))
            self.listeners.append(Listener(address, key, len(self.listeners) + 1))


def main(host: str) -> None:
    forwarder = Forwarder(host)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            forwarder.serve(self.path, body)
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
