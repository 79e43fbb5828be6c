"""The life of a peer, as a table: every state × event, nothing implied."""

from __future__ import annotations

import enum
from typing import Final


class PeerState(enum.Enum):
    NEW = "new"  # answered; no authenticated check yet
    CONNECTING = "connecting"  # an address is nominated, DTLS runs
    CONNECTED = "connected"  # keys are in the plane
    STALLED = "stalled"  # connected, but nothing authenticated for PLANE stall time
    CLOSED = "closed"


class PeerEvent(enum.Enum):
    NOMINATED = "nominated"
    KEYED = "keyed"
    WENT_SILENT = "went silent"
    CAME_BACK = "came back"
    LOST = "lost"
    REMOTE_CLOSED = "remote closed"
    FAILED = "failed"
    CLOSED = "closed"


_S, _E = PeerState, PeerEvent

_ENDS = (_E.LOST, _E.REMOTE_CLOSED, _E.FAILED, _E.CLOSED)

# A pair that is absent from MOVES leaves the state as it is: late events of the plane may arrive in
# any state.
MOVES: Final[dict[tuple[PeerState, PeerEvent], PeerState]] = {
    (_S.NEW, _E.NOMINATED): _S.CONNECTING,
    (_S.CONNECTING, _E.KEYED): _S.CONNECTED,
    (_S.CONNECTED, _E.WENT_SILENT): _S.STALLED,
    (_S.STALLED, _E.CAME_BACK): _S.CONNECTED,
    **{(state, end): _S.CLOSED for state in _S if state is not _S.CLOSED for end in _ENDS},
}


def next_state(state: PeerState, event: PeerEvent) -> PeerState:
    return MOVES.get((state, event), state)
