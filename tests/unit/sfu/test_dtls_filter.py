"""What may reach a DTLS handshake."""

from hypothesis import given
from hypothesis import strategies as st

from kabina.sfu.dtls_filter import may_enter_handshake


def record(content_type: int, body: bytes, *, epoch: int = 0, version: int = 0xFEFD) -> bytes:
    head = bytes([content_type]) + version.to_bytes(2, "big") + epoch.to_bytes(2, "big") + bytes(6)
    return head + len(body).to_bytes(2, "big") + body


SERVER_HELLO = record(22, b"\x02" + bytes(20))
CLIENT_HELLO = record(22, b"\x01" + bytes(20), version=0xFEFF)


def test_a_client_takes_a_servers_flight_and_no_client_hello():
    assert may_enter_handshake(SERVER_HELLO + record(22, b"\x0b" + bytes(9)), is_client=True)
    assert not may_enter_handshake(CLIENT_HELLO, is_client=True)
    assert not may_enter_handshake(SERVER_HELLO + CLIENT_HELLO, is_client=True)


def test_a_server_takes_a_client_hello_and_no_server_hello():
    assert may_enter_handshake(CLIENT_HELLO, is_client=False)
    assert not may_enter_handshake(SERVER_HELLO, is_client=False)


def test_a_plaintext_alert_is_dropped_and_an_encrypted_one_passes():
    assert not may_enter_handshake(record(21, b"\x02\x28"), is_client=True)
    assert may_enter_handshake(record(21, bytes(26), epoch=1), is_client=True)


def test_records_that_lie_about_their_length_are_dropped():
    assert not may_enter_handshake(SERVER_HELLO[:-1], is_client=True)
    assert not may_enter_handshake(record(22, b""), is_client=True)
    assert not may_enter_handshake(SERVER_HELLO + b"\x16", is_client=True)
    assert not may_enter_handshake(b"", is_client=True)
    assert not may_enter_handshake(record(22, b"\x02", version=0x0303), is_client=True)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_give_an_answer(datagram: bytes, is_client: bool):
    assert may_enter_handshake(datagram, is_client=is_client) in (True, False)
