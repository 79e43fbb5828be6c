"""A plane without a thread, turned by hand at a given time, and clients on real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from kabina.native.plane import Plane, SrtpProfile
from kabina_sim.plane_client import Client, Clock

# Whose tests run a second time with what goes out handed to egress threads. While a plane is turned by
# hand these have no thread: each turn's end does their work, so that tests need not wait for it.
BOTH_WAYS = {"bandwidth", "forwarding", "life", "loss", "reports", "tcp", "video"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "egress_threads" in metafunc.fixturenames:
        both = metafunc.module.__name__.rpartition("test_plane_")[2] in BOTH_WAYS
        counts = [0, 2] if both else [0]
        metafunc.parametrize("egress_threads", counts, ids=["alone", "egress"][: len(counts)])


@pytest.fixture
def plane(egress_threads: int) -> Iterator[Plane]:
    made = Plane(host="127.0.0.1", port=0, max_peers=64, egress_threads=egress_threads)
    yield made
    made.stop()


@pytest.fixture
def clock(plane: Plane) -> Clock:
    return Clock(plane)


@pytest.fixture
def connect(plane: Plane, clock: Clock) -> Iterator[Callable[..., Client]]:
    """Makes clients that have keys and a nominated path."""
    clients: list[Client] = []

    def make(
        name: str,
        *,
        profile: SrtpProfile = SrtpProfile.AEAD_AES_128_GCM,
        join: bool = True,
        host: str = "127.0.0.1",
        over: type[Client] = Client,
    ) -> Client:
        client = over(plane, name, profile=profile, host=host)
        clients.append(client)
        if join:
            client.join(clock)
        return client

    yield make
    for client in clients:
        client.close()
