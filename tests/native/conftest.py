"""A plane without a thread, turned by hand at a given time, and clients on real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from kabina.native.plane import Plane, SrtpProfile
from kabina_sim.plane_client import Client, Clock


@pytest.fixture
def plane() -> Iterator[Plane]:
    made = Plane(host="127.0.0.1", port=0, max_peers=64)
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
