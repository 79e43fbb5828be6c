"""Which datagrams may reach the DTLS handshake. Pure.

OpenSSL drops most garbage by itself, but a plaintext fatal alert ends a handshake and a ClientHello
confuses a client, and both can be written by anyone who can spoof the peer's address before keys
exist. Dropping them costs the sender a retransmission at worst (media-plane.md §9.2).
"""

from __future__ import annotations

from typing import Final

_RECORD_HEADER_BYTES: Final = 13  # RFC 6347 §4.1
_ALERT, _HANDSHAKE, _APPLICATION_DATA = 21, 22, 23
# RFC 5246 §7.4, RFC 6347 §4.3.2
_CLIENT_HELLO, _SERVER_SIDE = 1, frozenset({2, 3, 12, 14})
_UNIFIED_HEADER = range(32, 64)  # RFC 9147 §4: DTLS 1.3 ciphertext


def may_enter_handshake(datagram: bytes, *, is_client: bool) -> bool:
    """True if every record is well formed and none is one the handshake must not see."""
    offset = 0
    while offset < len(datagram):
        content_type = datagram[offset]
        if content_type in _UNIFIED_HEADER:
            return offset > 0 or len(datagram) > 1
        body = offset + _RECORD_HEADER_BYTES
        if body > len(datagram) or datagram[offset + 1] != 0xFE:
            return False
        length = int.from_bytes(datagram[offset + 11 : body], "big")
        if length == 0 or body + length > len(datagram) or not 20 <= content_type <= 26:
            return False
        is_plaintext = datagram[offset + 3 : offset + 5] == b"\0\0"
        if is_plaintext and not _plaintext_may_enter(content_type, datagram[body], is_client):
            return False
        offset = body + length
    return offset > 0


def may_be_goodbye(datagram: bytes) -> bool:
    """An encrypted alert, which after a handshake is a close_notify or a forgery of one."""
    return (
        len(datagram) > _RECORD_HEADER_BYTES and datagram[0] == _ALERT and datagram[3:5] != b"\0\0"
    )


def _plaintext_may_enter(content_type: int, first_byte: int, is_client: bool) -> bool:
    if content_type in (_ALERT, _APPLICATION_DATA):
        return False
    if content_type == _HANDSHAKE:
        return first_byte != _CLIENT_HELLO if is_client else first_byte not in _SERVER_SIDE
    return True
