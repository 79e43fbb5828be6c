"""The jitter benchmark's way into a real browser: the packets of a trace are received and played."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

from kabina.benchmarks import neteq, neteq_receivers
from kabina.benchmarks.jitter_profiles import PACKET_MS, Trace

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        bool(neteq_receivers.browser_missing()), reason=neteq_receivers.browser_missing()
    ),
]


async def test_traces_are_played_into_chromium_each_over_a_connection_of_its_own(monkeypatch):
    # A benchmark puts its receivers before all other work; a test does not.
    monkeypatch.setattr(neteq_receivers, "favoured", nullcontext)
    send = np.arange(100) * PACKET_MS
    lossy = send.copy()
    lossy[40:50] = np.nan
    traces = {"clean": Trace(send, send.copy()), "lossy": Trace(send, lossy)}
    async with neteq_receivers.browser() as receiver:
        heard = await neteq.play(receiver, traces)
    assert heard.refused == 0
    # 200 ms in one piece: no copy brings nine of the ten packets back, on no machine.
    assert heard.outcomes["lossy"].concealed > 0.03
    assert heard.outcomes["clean"].wait_ms > 0
    assert set(heard.jitter_ms) == set(traces)
