"""Prometheus text from the native counters, read when scraped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from kabina.interpretation.ids import FLOOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from kabina.signaling.node import Node

# Values of the native readings that go up and down; every other one only grows.
_GAUGES = frozenset(
    {"connections", "peers", "tracks", "slots", "rows", "sources", "is_fifo", "effort"}
    | {"egress_threads", "egress_is_fifo"}
    | {"busy_max_ns", "lateness_max_ns", "lateness_p99_ns"}
)


class _NodeCollector:
    """Labels are meeting and channel: bounded by what an operator created, not by who joined."""

    def __init__(self, node: Node, *, pages: int) -> None:
        self._node = node
        self._pages = pages

    def collect(self) -> Iterator[Metric]:
        node = self._node
        yield from _native("kabina_plane", node.unit.plane.counters(), "The media port.")
        yield from _native("kabina_mix", node.mixer.engine.counters(), "The mix engine.")
        yield _gauge("kabina_peers", "Joined WebRTC peers.", node.unit.peer_count)
        yield _gauge("kabina_page_connections", "Open page WebSockets.", self._pages)
        yield _gauge("kabina_rooms", "Meetings going on.", len(node.rooms))
        yield CounterMetricFamily(
            "kabina_dtls_refused", "DTLS datagrams kept from a handshake.", node.unit.dtls_refused
        )
        yield self._listeners()
        yield self._rows()
        yield self._expected_losses()

    def _listeners(self) -> Metric:
        family = GaugeMetricFamily(
            "kabina_listeners", "Who hears what.", labels=["meeting", "channel"]
        )
        for room in self._node.rooms.values():
            view = room.view()
            family.add_metric([view.id, FLOOR], view.floor.listeners)
            for channel in view.channels:
                family.add_metric([view.id, channel.id], channel.listeners)
        return family

    def _rows(self) -> Metric:
        family = GaugeMetricFamily("kabina_rows", "Mixes that are kept open.", labels=["meeting"])
        for room in self._node.rooms.values():
            family.add_metric([room.id], len(room.sound.open_rows))
        return family

    def _expected_losses(self) -> Metric:
        family = GaugeMetricFamily(
            "kabina_expected_loss_percent",
            "What the FEC of a channel is made for.",
            labels=["meeting", "channel"],
        )
        for room in self._node.rooms.values():
            for channel, percent in room.sound.expected_losses().items():
                family.add_metric([room.id, channel], percent)
        return family


def render_metrics(node: Node, *, pages: int) -> tuple[bytes, str]:
    """The exposition and its content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_NodeCollector(node, pages=pages))
    return generate_latest(registry), CONTENT_TYPE_LATEST


def _native(prefix: str, readings: dict[str, int], about: str) -> Iterator[Metric]:
    for name, value in readings.items():
        kind = GaugeMetricFamily if name in _GAUGES else CounterMetricFamily
        yield kind(f"{prefix}_{name}", f"{about} {name.replace('_', ' ')}.", value)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value)
