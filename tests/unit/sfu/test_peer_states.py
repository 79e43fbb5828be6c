"""The table of a peer's life."""

import itertools

import pytest

from kabina.sfu.peer_states import MOVES, PeerEvent, PeerState, next_state

ENDS = {PeerEvent.LOST, PeerEvent.REMOTE_CLOSED, PeerEvent.FAILED, PeerEvent.CLOSED}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(PeerState, PeerEvent)))
def test_every_state_answers_every_event(state: PeerState, event: PeerEvent):
    after = next_state(state, event)
    assert isinstance(after, PeerState)
    if state is PeerState.CLOSED or event in ENDS:
        assert after is PeerState.CLOSED
    elif (state, event) not in MOVES:
        assert after is state


def test_keys_come_only_after_a_nomination():
    assert next_state(PeerState.NEW, PeerEvent.KEYED) is PeerState.NEW
    assert next_state(PeerState.NEW, PeerEvent.NOMINATED) is PeerState.CONNECTING
    assert next_state(PeerState.CONNECTING, PeerEvent.KEYED) is PeerState.CONNECTED
