"""A client's network changes under it: NAT rebinding, black-outs. A relay plays the network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kabina.benchmarks.relay import Impairment, Random, Relay
from kabina_sim.light_client import CHECK_INTERVAL_S, LightListener

if TYPE_CHECKING:
    from kabina_sim.meeting import Meeting

pytestmark = pytest.mark.alone
FOLLOWED_S = 1.0  # after the client's next check
TO_READ_S = 0.05  # what had passed the relay before it changed


@dataclass
class Session:
    """A listener behind a relay; `facts` are what a renegotiation would change."""

    meeting: Meeting
    relay: Relay
    listener: LightListener

    def facts(self) -> list[float]:
        names = (
            "kabina_peers",
            "kabina_plane_dtls_received_total",
            "kabina_plane_ice_restarts_total",
        )
        return [self.meeting.server.metric(name) for name in names]

    async def heard_after(self, since_s: float) -> float:
        """When the first packet after that time came."""
        async with asyncio.timeout(CHECK_INTERVAL_S + 30):
            while self.listener.arrivals_s[-1] <= since_s:
                await asyncio.sleep(0.005)
        return next(at for at in self.listener.arrivals_s if at > since_s)

    def check_after(self, since_s: float) -> float:
        return next(at for at in self.listener.checks_s if at >= since_s)


@pytest.fixture
async def session(meeting: Meeting) -> AsyncIterator[Session]:
    """Its listener must hear the floor's tone, without a loss, before the test and after it."""
    with meeting.server.relay() as relay:
        await meeting.publish("floor", 440.0)
        token = meeting.server.token("m", "attendee")
        listener = await meeting.listen_lightly("fr", token, relay=relay)
        session = Session(meeting, relay, listener)
        async with steady(session):
            pass
        before = session.facts()
        listener.record = True
        yield session
        async with steady(session):
            assert session.facts() == before


async def more_packets(session: Session, count: int) -> None:
    wanted = session.listener.packets + count
    async with asyncio.timeout(30):
        while session.listener.packets < wanted:
            await asyncio.sleep(0.02)


@asynccontextmanager
async def steady(session: Session) -> AsyncIterator[None]:
    session.listener.record = True
    await more_packets(session, 20)
    start = len(session.listener.sequences)
    await more_packets(session, 50)
    yield
    session.listener.record = False
    heard = session.listener.sequences[start:]
    assert len(heard) > 40
    assert np.all(np.diff(heard) % 65536 == 1)


async def test_a_rebound_nat_is_followed_at_the_clients_next_check(session: Session):
    relay = session.relay
    followed = session.meeting.server.metric("kabina_plane_nominations_total")
    for _ in range(3):
        before = relay.ports
        relay.rebind()
        rebound_s = time.monotonic()
        assert relay.ports != before
        await asyncio.sleep(TO_READ_S)
        heard_s = await session.heard_after(rebound_s + TO_READ_S)
        check_s = session.check_after(rebound_s)
        print(
            f"heard {heard_s - rebound_s:.2f} s after the rebinding, "
            f"{(heard_s - check_s) * 1000:.0f} ms after the next check"
        )
        assert heard_s >= check_s  # nothing less than a check moves a session
        assert heard_s - check_s <= FOLLOWED_S
        await asyncio.sleep(0.5)
    assert session.meeting.server.metric("kabina_plane_nominations_total") - followed == 3


async def test_a_session_survives_a_black_out_of_five_seconds(session: Session):
    with session.relay.blackout():
        await asyncio.sleep(TO_READ_S)
        packets = session.listener.packets
        await asyncio.sleep(5.0)
        assert session.listener.packets == packets
    lit_s = time.monotonic()
    heard_s = await session.heard_after(lit_s)
    print(f"heard {heard_s - lit_s:.2f} s after the black-out")
    # Nothing was paused meanwhile: the server goes on sending until it gives the peer up.
    assert heard_s - lit_s <= FOLLOWED_S


async def test_a_nat_that_rebinds_in_a_black_out_is_followed_too(session: Session):
    with session.relay.blackout():
        await asyncio.sleep(3.0)
        session.relay.rebind()
    lit_s = time.monotonic()
    heard_s = await session.heard_after(lit_s)
    check_s = session.check_after(lit_s)
    print(f"heard {(heard_s - check_s) * 1000:.0f} ms after the first check that came through")
    assert 0 <= heard_s - check_s <= FOLLOWED_S


async def test_a_stock_client_goes_on_hearing_after_a_rebinding(meeting: Meeting):
    """aioice checks every 5 s and names no candidate in those checks: the other rule to move by."""
    with meeting.server.relay() as relay:
        await meeting.publish("floor", 440.0)
        listener = await meeting.listen("fr", relay=relay)
        heard = await listener.listen_for(1.0)
        assert np.sqrt(np.mean(heard**2)) > 0.1
        peers = meeting.server.metric("kabina_peers")
        relay.rebind()
        await asyncio.sleep(TO_READ_S)
        listener.forget()
        began_s = time.monotonic()
        async with asyncio.timeout(60):
            while sum(map(len, listener._frames)) < 9600:  # 0.2 s, more than its jitter buffer had
                await asyncio.sleep(0.05)
        print(f"heard {time.monotonic() - began_s:.1f} s after the rebinding")
        heard = await listener.listen_for(1.0)
        assert np.sqrt(np.mean(heard**2)) > 0.1
        assert listener.pc.connectionState == "connected"
        assert meeting.server.metric("kabina_peers") == peers


@pytest.mark.parametrize("share", [0.05, 0.10])
async def test_a_speaker_behind_random_loss_is_heard_without_a_gap(meeting: Meeting, share: float):
    with meeting.server.relay(seed=3, up=Impairment(delay_ms=30, loss=Random(share))) as relay:
        await meeting.publish("floor", 440.0, relay=relay)
        listener = await meeting.listen("fr")
        await listener.listen_for(1.0)
        lost = relay.counters_up.lost
        heard = await listener.listen_for(10.0)
        lost = relay.counters_up.lost - lost
        assert lost > 10
        assert relay.counters_up.is_faithful
        # A steady tone: what was extrapolated has its level, what was dropped to silence has not.
        levels_db = 10 * np.log10(np.mean(heard.reshape(-1, 480) ** 2, axis=1) + 1e-9)
        faded = np.mean(levels_db < np.median(levels_db) - 6)
        print(f"{lost} packets lost, {faded:.2%} of 10 ms over 6 dB too quiet")
        assert np.median(levels_db) > -20
        assert faded <= share
