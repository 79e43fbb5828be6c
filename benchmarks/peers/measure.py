"""One forwarder, one setting: joins a publisher and N listeners, subtracts idle, counts packets."""

from __future__ import annotations

import asyncio
import random
import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kabina.benchmarks import load as loads
from kabina.benchmarks.peers.forwarder import SSRC

if TYPE_CHECKING:
    from kabina.benchmarks._load import Load
    from kabina.benchmarks.peers.forwarder import Forwarder

PAYLOAD_BYTES = 80  # 32 kbit/s of Opus in 20 ms
AT_ONCE: Final = 8
SETTLE_S, IDLE_S, WARM_S, MEASURE_S = 1.5, 4.0, 2.0, 8.0


@dataclass(frozen=True, slots=True)
class Setting:
    """Listeners of one publisher that sends `pps` packets a second.

    They read as packets come (0), or every `read_every_ms`.
    """

    listeners: int
    pps: int
    read_every_ms: int = 0


@dataclass(slots=True)
class Measured:
    """Of one run; CPU in seconds of the whole server process."""

    cpu_s: float
    idle_share: float
    packets: int
    expected: int
    lost: int
    overflowed: int
    threads: int
    profile: str
    delays_ms: tuple[float | None, float | None]
    busiest_share: float
    measured_s: float = MEASURE_S

    @property
    def us_per_packet(self) -> float:
        return (self.cpu_s - self.idle_share * MEASURE_S) * 1e6 / max(self.packets, 1)


def payloads(seed: int = 1) -> list[bytes]:
    """Fifty packets that look like Opus of 20 ms (CELT, fullband, mono) and hold seeded noise."""
    rng = random.Random(seed)
    return [b"\xf8" + rng.randbytes(PAYLOAD_BYTES - 1) for _ in range(50)]


def publish(load: Load, end: int, pps: int) -> None:
    load.publish(
        end,
        payloads(),
        interval_ns=1_000_000_000 // pps,
        timestamp_step=48000 // pps,
        ssrc=SSRC,
        payload_type=111,
        stamped=True,
    )


def more_descriptors() -> None:
    """The soft limit up to the hard one: a listener is two descriptors while it joins."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def measure(forwarder: Forwarder, setting: Setting) -> Measured:
    """RuntimeError or TimeoutError if somebody cannot join."""
    more_descriptors()
    load = loads.new_load(setting.listeners + 1, read_every_ms=setting.read_every_ms)
    try:
        load.start()
        source = await forwarder.add_source(load)
        gate = asyncio.Semaphore(AT_ONCE)

        async def listen() -> None:
            async with gate:
                await forwarder.add_listener(load)

        idle_share = await _share(forwarder, IDLE_S) if forwarder.sends_always else 0.0
        await asyncio.gather(*(listen() for _ in range(setting.listeners)))
        await asyncio.sleep(SETTLE_S)
        if not forwarder.sends_always:
            idle_share = await _share(forwarder, IDLE_S)
        load.stop()
        publish(load, source, setting.pps)
        load.start()
        await asyncio.sleep(WARM_S)
        load.reset()
        threads, cpu = forwarder.cost.threads_s(), forwarder.cost.cpu_s()
        await asyncio.sleep(MEASURE_S)
        cpu = forwarder.cost.cpu_s() - cpu
        figures, sent = load.figures(), load.figures(source)["sent"]
        after = forwarder.cost.threads_s()
        p50, p99 = load.delays_us([0.5, 0.99])
        return Measured(
            cpu_s=cpu,
            idle_share=idle_share,
            packets=figures["received"],
            expected=sent * setting.listeners,
            lost=figures["lost"],
            overflowed=figures["overflowed"],
            threads=forwarder.cost.thread_count(),
            profile=", ".join(sorted(forwarder.profiles)),
            delays_ms=(p50 and p50 / 1000, p99 and p99 / 1000),
            busiest_share=max(after[name] - threads.get(name, 0.0) for name in after) / MEASURE_S,
        )
    finally:
        load.close()


async def _share(forwarder: Forwarder, seconds: float) -> float:
    cpu = forwarder.cost.cpu_s()
    await asyncio.sleep(seconds)
    return (forwarder.cost.cpu_s() - cpu) / seconds
