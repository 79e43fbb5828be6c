"""Three hundred listeners: encodes per distinct mix, threads and files that do not grow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from kabina_sim.meeting import Meeting

pytestmark = pytest.mark.alone
LISTENERS = 300
T = TypeVar("T")


@pytest.fixture(autouse=True, params=[0, 2], ids=["alone", "egress"])
def egress_threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Who protects and sends: the media thread alone, or two more."""
    monkeypatch.setenv("KABINA_EGRESS_THREADS", str(request.param))
    return request.param


async def in_tens(calls: Iterable[Awaitable[T]]) -> list[T]:
    """At most ten at a time: of one address the server lets twenty connections wait."""
    gate = asyncio.Semaphore(10)

    async def one(call: Awaitable[T]) -> T:
        async with gate:
            return await call

    return await asyncio.gather(*map(one, calls))


async def join(meeting: Meeting, number: int) -> list:
    token = meeting.server.token("m", "attendee")
    channels = ("fr", "sq", "floor")
    return await in_tens(
        meeting.listen_lightly(channels[index % 3], token) for index in range(number)
    )


async def test_each_distinct_mix_is_encoded_once_and_nothing_grows_with_listeners(
    meeting: Meeting, egress_threads: int
):
    assert meeting.server.metric("kabina_plane_egress_threads") == egress_threads
    await meeting.publish("floor", 440.0)
    await meeting.publish("fr", 880.0)
    first = await join(meeting, 9)
    before = meeting.server.threads_and_files()
    listeners = first + await join(meeting, LISTENERS - len(first))
    # WHEP needs no connection once it has answered: only the client's few pooled ones may stay.
    threads, files = meeting.server.threads_and_files()
    assert threads == before[0]
    assert files <= before[1] + 10
    assert meeting.server.metric("kabina_peers") == LISTENERS + 2

    names = ("kabina_mix_encodes_total", "kabina_mix_ticks_total")
    start = [meeting.server.metric(name) for name in names]
    counted = [listener.packets for listener in listeners]
    await asyncio.sleep(5.0)
    encodes, ticks = (meeting.server.metric(n) - s for n, s in zip(names, start, strict=True))
    received = [listener.packets - c for listener, c in zip(listeners, counted, strict=True)]
    # fr is mixed with its interpreter; sq and the floor sound alike and share an encoder: two mixes
    # are heard.
    assert encodes / ticks == pytest.approx(2.0, abs=0.02)
    print(
        f"{encodes:.0f} encodes in {ticks:.0f} ticks for {LISTENERS} listeners; "
        f"packets per listener {min(received)}–{max(received)}"
    )
    assert min(received) > 0.9 * ticks

    await in_tens(listener.delete() for listener in listeners[:150])
    assert meeting.server.metric("kabina_peers") == LISTENERS - 150 + 2


async def test_nobody_interprets_and_one_encode_serves_everybody(meeting: Meeting):
    await meeting.publish("floor", 440.0)
    await join(meeting, 9)
    await asyncio.sleep(0.5)
    names = ("kabina_mix_encodes_total", "kabina_mix_ticks_total")
    start = [meeting.server.metric(name) for name in names]
    await asyncio.sleep(2.0)
    encodes, ticks = (meeting.server.metric(n) - s for n, s in zip(names, start, strict=True))
    assert encodes / ticks == pytest.approx(1.0, abs=0.02)
