"""ICE-lite on one port: what is answered, what is believed, where datagrams go."""

from __future__ import annotations

import random
import struct

import pytest
from aioice import stun

from kabina.native.plane import DtlsReceived, Nominated, PlaneHandleError, PlaneSetupError
from kabina_sim.plane_client import PASSWORD, Speaker

DTLS_HELLO = bytes([22, 254, 253]) + bytes(30)


def test_an_authenticated_check_is_answered_with_the_mapped_address(plane, clock, connect):
    client = connect("client", join=False)
    check = client.check()
    client.send(bytes(check))
    clock.turn()
    (answer,) = client.read().stun
    assert answer.message_class == stun.Class.RESPONSE
    assert answer.transaction_id == check.transaction_id
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == client.socket.getsockname()
    assert "FINGERPRINT" in answer.attributes
    assert plane.poll() == [Nominated(client.peer)]


def test_a_check_without_fingerprint_is_as_good(plane, clock, connect):
    client = connect("client", join=False)
    check = client.check()
    del check.attributes["FINGERPRINT"]
    client.send(bytes(check))
    clock.turn()
    assert len(client.read().stun) == 1


@pytest.mark.parametrize(
    ("spoil", "counter"),
    [
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "stun_bad_fingerprint"),
        (lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], "stun_bad_fingerprint"),
        (lambda data: data[:-4], "stun_malformed"),
        (lambda data: data + bytes(4), "stun_malformed"),
        (lambda data: data[:4] + bytes(4) + data[8:], "stun_malformed"),
        (lambda data: data[:22] + b"\xff\xff" + data[24:], "stun_malformed"),
        (lambda data: b"\0\3" + data[2:], "stun_bad_fingerprint"),
    ],
)
def test_a_spoiled_check_costs_a_counter_and_gets_no_answer(plane, clock, connect, spoil, counter):
    client = connect("client", join=False)
    client.send(spoil(bytes(client.check())))
    clock.turn()
    assert client.read().stun == []
    assert plane.counters()[counter] == 1
    assert plane.poll() == []


def test_an_unsigned_wrongly_signed_or_foreign_check_gets_no_answer(plane, clock, connect):
    client = connect("client", join=False)
    unsigned = client.check()
    del unsigned.attributes["MESSAGE-INTEGRITY"]
    unsigned.add_fingerprint()
    nameless = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    nameless.add_fingerprint()
    for message in (
        unsigned,
        client.check(password=PASSWORD[::-1]),
        client.check(ufrag="nobody"),
        nameless,
        stun.Message(stun.Method.BINDING, stun.Class.INDICATION),
        stun.Message(stun.Method.ALLOCATE, stun.Class.REQUEST),
    ):
        client.send(bytes(message))
    clock.turn()
    assert client.read().stun == []
    counters = plane.counters()
    assert counters["stun_unauthenticated"] == 2
    assert counters["stun_unknown_user"] == 2
    assert counters["stun_ignored"] == 2
    assert counters["tuples_added"] == 0


def test_what_follows_the_signature_is_not_believed(plane, clock, connect):
    client = connect("client", join=False)
    check = client.check(nominate=False)
    del check.attributes["FINGERPRINT"]
    signed = bytes(check)
    appended = signed + struct.pack("!HH", 0x0025, 0)  # USE-CANDIDATE
    client.send(appended[:2] + struct.pack("!H", len(appended) - 20) + appended[4:])
    clock.turn()
    assert len(client.read().stun) == 1
    assert plane.counters()["nominations"] == 0


def test_an_unknown_required_attribute_is_named_in_a_signed_420(plane, clock, connect):
    client = connect("client", join=False)
    plain = client.check()
    for name in ("MESSAGE-INTEGRITY", "FINGERPRINT"):
        del plain.attributes[name]
    body = bytes(plain)[20:] + struct.pack("!HHI", 0x7777, 4, 0)
    head = bytes(plain)[:2] + struct.pack("!H", len(body)) + bytes(plain)[4:20]
    digest = stun.message_integrity(head + body, PASSWORD.encode())
    signed = head + body + struct.pack("!HH", 8, 20) + digest
    client.send(signed[:2] + struct.pack("!H", len(signed) - 20) + signed[4:])
    clock.turn()
    answer = client.socket.recv(2048)
    assert answer[:2] == b"\x01\x11"
    assert struct.pack("!HH", 0x000A, 2) + b"\x77\x77" in answer
    assert plane.counters()["stun_unknown_attributes"] == 1
    assert plane.counters()["tuples_added"] == 0


def test_a_peer_that_claims_to_be_controlled_is_told_of_the_conflict(plane, clock, connect):
    client = connect("client", join=False)
    client.send(bytes(client.check(controlling=False)))
    clock.turn()
    (answer,) = client.read().stun
    assert answer.attributes["ERROR-CODE"][0] == 487


def test_dtls_goes_up_from_validated_paths_alone_and_down_to_the_nominated_one(
    plane, clock, connect
):
    client = connect("client", join=False)
    client.send(DTLS_HELLO)
    plane.send(client.peer, b"too early")
    clock.turn()
    assert plane.poll() == []
    assert plane.counters()["datagrams_foreign"] == 1
    assert plane.counters()["dtls_unsendable"] == 1
    client.send(bytes(client.check(nominate=False)))
    client.send(DTLS_HELLO)
    clock.turn()
    plane.send(client.peer, DTLS_HELLO)
    assert plane.poll() == [DtlsReceived(client.peer, DTLS_HELLO)]
    assert client.read().dtls == [DTLS_HELLO]
    stranger = client.new_socket()
    stranger.sendto(DTLS_HELLO, ("127.0.0.1", plane.port))
    clock.turn()
    stranger.close()
    assert plane.poll() == []


def test_dtls_is_limited_to_a_burst_of_400_and_200_a_second(plane, clock, connect):
    client = connect("client")
    plane.poll()
    for _ in range(500):
        client.send(DTLS_HELLO)
    for _ in range(4):
        clock.turn()
    assert len(plane.poll()) == 400
    assert plane.counters()["dtls_limited"] == 100
    clock.turn(after_ms=100)
    for _ in range(50):
        client.send(DTLS_HELLO)
    clock.turn()
    assert len(plane.poll()) == 20


def test_use_candidate_from_a_new_address_moves_everything_there(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    plane.set_slot_source(listener.add_slot(), publisher.add_track())
    speaker = Speaker(publisher, 1)
    speaker.speak()
    clock.turn()
    assert len(listener.read().rtp) == 1
    plane.poll()
    old = listener.move()
    listener.send(bytes(listener.check()))
    speaker.speak()
    clock.turn(after_ms=20)
    received = listener.read()
    assert len(received.rtp) == 1
    assert plane.poll() == [Nominated(listener.peer)]
    with pytest.raises(BlockingIOError):
        old.recv(2048)
    old.close()


def test_media_from_a_checked_address_moves_egress_once_the_old_one_is_silent(
    plane, clock, connect
):
    client, other = connect("client"), connect("other")
    client.add_track()
    plane.set_slot_source(client.add_slot(), other.add_track())
    speaker, answer = Speaker(client, 1), Speaker(other, 2)
    speaker.speak()
    clock.turn()
    client.read()
    old = client.move()
    client.send(bytes(client.check(nominate=False)))
    speaker.speak()
    answer.speak()
    clock.turn(after_ms=400)
    assert client.read().rtp == []  # the old path was heard 400 ms ago
    speaker.speak()
    answer.speak()
    clock.turn(after_ms=200)
    assert len(client.read().rtp) == 1
    old.close()


def test_media_from_an_address_nobody_checked_is_foreign(plane, clock, connect):
    client = connect("client")
    client.add_track()
    old = client.move()
    Speaker(client, 1).speak()
    clock.turn(after_ms=4000)
    assert plane.counters()["datagrams_foreign"] == 1
    assert plane.counters()["rtp_received"] == 0
    old.close()


def test_a_check_sent_again_from_elsewhere_moves_nothing(plane, clock, connect):
    """An attacker who records a check and repeats it from its own address must get no media."""
    publisher, listener = connect("publisher"), connect("listener", join=False)
    listener.set_keys()
    plane.set_slot_source(listener.add_slot(), publisher.add_track())
    recorded = bytes(listener.check())
    listener.send(recorded)
    clock.turn()
    attacker = listener.new_socket()
    attacker.sendto(recorded, ("127.0.0.1", plane.port))
    listener.send(recorded)  # a retransmission is not a replay
    Speaker(publisher, 1).speak()
    clock.turn(after_ms=5000)
    with pytest.raises(BlockingIOError):
        attacker.recv(2048)
    attacker.close()
    received = listener.read()
    assert len(received.stun) == 2
    assert len(received.rtp) == 1
    assert plane.counters()["stun_replayed"] == 1


def test_an_address_in_use_is_not_taken_over_by_another_peer(plane, clock, connect):
    first, second = connect("first"), connect("second", join=False)
    second.socket.close()
    second.socket = first.socket
    second.send(bytes(second.check()))
    clock.turn()
    assert plane.counters()["stun_conflicts"] == 1
    # Silent for 10 s, it is a port that the NAT gave to somebody else.
    second.send(bytes(second.check()))
    clock.turn(after_ms=10001)
    assert plane.counters()["stun_conflicts"] == 1
    plane.send(first.peer, b"\x16 for nobody")
    assert plane.counters()["dtls_unsendable"] == 1


def test_a_peer_has_eight_paths_and_the_nominated_one_stays(plane, clock, connect):
    client = connect("client")
    sockets = [client.new_socket() for _ in range(12)]
    for extra in sockets:
        extra.sendto(bytes(client.check(nominate=False)), ("127.0.0.1", plane.port))
        clock.turn(after_ms=10)
    assert plane.peer_readings(client.peer).paths == 8
    assert plane.counters()["tuples_evicted"] == 5
    plane.send(client.peer, DTLS_HELLO)
    assert client.read().dtls == [DTLS_HELLO]
    for extra in sockets:
        extra.close()


def test_ten_thousand_random_joins_and_leaves_leave_an_empty_table(plane, clock):
    """The address and ufrag tables use backward-shift deletion: what is left must still be found."""
    rng = random.Random(3)
    living: dict[str, int] = {}
    for step in range(10_000):
        if living and (len(living) == 64 or rng.random() < 0.5):
            ufrag = rng.choice(list(living))
            plane.remove_peer(living.pop(ufrag))
        else:
            ufrag = f"u{step:06d}"
            living[ufrag] = plane.add_peer(local_ufrag=ufrag, local_password="p" * 22)
    assert plane.counters()["commands_stale"] == 0
    assert plane.counters()["peers"] == len(living)


def test_after_an_ice_restart_both_pairs_of_credentials_hold_until_the_new_one_nominates(
    plane, clock, connect
):
    publisher, listener = connect("publisher"), connect("listener")
    plane.set_slot_source(listener.add_slot(), publisher.add_track())
    speaker = Speaker(publisher, 1)
    speaker.speak()
    clock.turn()
    first = listener.read().rtp
    plane.poll()
    password = "another-password-of-the-plane"
    plane.restart_ice(listener.peer, local_ufrag="fresh-ufrag", local_password=password)
    listener.send(bytes(listener.check()))
    clock.turn()
    assert len(listener.read().stun) == 1  # the old one still holds
    for message in (
        listener.check(ufrag="fresh-ufrag"),  # signed with the old password
        listener.check(password=password),
    ):
        listener.send(bytes(message))
        clock.turn()
        assert listener.read().stun == []
    old = listener.move()
    message = listener.check(ufrag="fresh-ufrag", password=password, nominate=False)
    listener.send(bytes(message))
    clock.turn()
    assert listener.socket.recv(2048)[:2] == b"\1\1"  # signed with the new password
    assert plane.counters()["ice_restarts"] == 0
    listener.send(bytes(listener.check(ufrag="fresh-ufrag", password=password)))
    speaker.speak()
    clock.turn()
    assert plane.poll() == [Nominated(listener.peer)]
    assert plane.counters()["ice_restarts"] == 1
    listener.socket.recv(2048)
    second = listener.read().rtp  # the same keys, the same stream
    assert second[0].sequence == first[0].sequence + 1
    listener.send(bytes(listener.check()))
    clock.turn()
    assert listener.read().stun == []  # the old credentials are gone
    assert plane.counters()["stun_unknown_user"] == 1
    old.close()


def test_an_ice_restart_over_the_same_path_is_told_too(plane, clock, connect):
    client = connect("client")
    plane.poll()
    for number in range(3):  # the first two are never used
        plane.restart_ice(client.peer, local_ufrag=f"fresh-{number}", local_password="p" * 22)
    client.send(bytes(client.check(ufrag="fresh-0", password="p" * 22)))
    clock.turn()
    assert plane.counters()["stun_unknown_user"] == 1
    client.send(bytes(client.check(ufrag="fresh-2", password="p" * 22)))
    clock.turn()
    assert plane.poll() == [Nominated(client.peer)]
    with pytest.raises(PlaneSetupError, match="in use"):
        plane.restart_ice(client.peer, local_ufrag="fresh-2", local_password="p" * 22)
    plane.remove_peer(client.peer)
    again = plane.add_peer(local_ufrag="fresh-2", local_password="p" * 22)
    with pytest.raises(PlaneHandleError):
        plane.restart_ice(client.peer, local_ufrag="other", local_password="p" * 22)
    plane.restart_ice(again, local_ufrag="fresh-1", local_password="p" * 22)
    assert plane.counters()["commands_stale"] == 0


def test_strangers_use_up_their_own_measure_and_neither_a_peers_nor_its_neighbours(
    plane, clock, connect
):
    """A user fragment travels in the clear: whoever knows it can make the server compute HMACs."""
    victim, other = connect("victim"), connect("other", join=False)
    forged = bytes(victim.check(password=PASSWORD[::-1]))
    stranger = victim.new_socket()
    for _ in range(10):
        for _ in range(100):
            stranger.sendto(forged, ("127.0.0.1", plane.port))
        clock.turn()
    counters = plane.counters()
    assert counters["stun_unauthenticated"] == 399  # the 400th was the victim's own, when it joined
    assert counters["stun_limited"] == 601
    for client in (victim, other):
        client.send(bytes(client.check()))
    clock.turn()
    assert [len(client.read().stun) for client in (victim, other)] == [1, 1]
    # 200 a second come back: the victim's next address waits a moment.
    clock.turn(after_ms=50)
    old = victim.move()
    for _ in range(20):
        stranger.sendto(forged, ("127.0.0.1", plane.port))
    clock.turn()
    assert plane.counters()["stun_limited"] == 611
    victim.send(bytes(victim.check()))
    clock.turn(after_ms=5)
    assert len(victim.read().stun) == 1
    old.close()
    stranger.close()


def test_a_peer_may_send_a_thousand_checks_at_once_and_a_thousand_a_second(plane, clock, connect):
    client = connect("client")
    for count in (1000, 500):
        for _ in range(count // 50):
            for _ in range(50):
                client.send(bytes(client.check(nominate=False)))
            clock.turn()
            client.read()
        clock.turn(after_ms=100)
    counters = plane.counters()
    assert counters["stun_answers"] == 1 + 1000 + 100
    assert counters["stun_limited"] == 400


def test_a_check_that_is_sent_again_holds_no_path_and_moves_nothing(plane, clock, connect):
    """Else one recorded check, repeated from where it was first seen, would hold the media there."""
    publisher, listener = connect("publisher"), connect("listener")
    listener.add_track()
    plane.set_slot_source(listener.add_slot(), publisher.add_track())
    speaker, answer = Speaker(publisher, 1), Speaker(listener, 2)
    recorded = bytes(listener.check())
    attacker = listener.new_socket()
    attacker.sendto(recorded, ("127.0.0.1", plane.port))  # the listener's own never arrived
    clock.turn()
    assert plane.counters()["nominations"] == 3
    for _ in range(10):
        attacker.sendto(recorded, ("127.0.0.1", plane.port))
        answer.speak()
        speaker.speak()
        clock.turn(after_ms=100)
    # Its own media moved it back when the attacker's path had been silent for 500 ms.
    assert plane.counters()["nominations"] == 4
    assert len(listener.read().rtp) in (4, 5)
    attacker.sendto(recorded, ("127.0.0.1", plane.port))
    clock.turn(after_ms=20)
    assert plane.counters()["nominations"] == 4
    answers = 0
    while True:
        try:
            answers += attacker.recv(2048)[:2] == b"\1\1"
        except BlockingIOError:
            break
    assert answers == 12
    attacker.close()


def test_a_client_that_repeats_one_check_for_consent_stays(plane, clock, connect):
    client = connect("client", join=False)
    check = bytes(client.check())
    for _ in range(12):
        client.send(check)
        clock.turn(after_ms=2500)
    assert len(client.read().stun) == 12
    assert plane.counters()["peers_lost"] == 0


def test_a_check_is_known_for_256_more_of_the_same_peer(plane, clock, connect):
    client = connect("client")
    recorded = bytes(client.check(nominate=False))
    client.send(recorded)
    for _ in range(255):
        client.send(bytes(client.check(nominate=False)))
        clock.turn(after_ms=10)
    attacker = client.new_socket()
    attacker.sendto(recorded, ("127.0.0.1", plane.port))
    clock.turn()
    assert plane.counters()["stun_replayed"] == 1
    attacker.close()
