"""Five minutes at the limit: one publisher to 2,000 reading listeners, 100,000 packets a second.

`kabina bench limit`; not part of `all`. Goal: nothing lost by the server, at most 60 % of a core.
On a machine of two cores the listeners take the other one: what they read too late is counted
apart.
"""

from __future__ import annotations

import asyncio
import os

from kabina.benchmarks.fanout import forwarded

LISTENERS, SECONDS = 2000, 300.0


def rows() -> list[dict[str, object]]:
    """One row. KABINA_BENCH_SECONDS shortens it."""
    seconds = float(os.environ.get("KABINA_BENCH_SECONDS", SECONDS))
    return [asyncio.run(forwarded(LISTENERS, seconds))]
