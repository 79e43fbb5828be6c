"""The light client towards full ICE agents and towards ends that offer."""

from __future__ import annotations

import asyncio
import re

import pytest
from aioice import stun

from kabina.benchmarks.light_client import LightClient, candidate_of


def value(name: str, description: str) -> str:
    found = re.search(rf"(?m)^a={name}:(\S+)", description)
    assert found
    return found.group(1)


class Agent(asyncio.DatagramProtocol):
    """A full agent's socket: keeps what it gets."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.put_nowait(data)


def signed_request(password: str) -> stun.Message:
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = "light:agent"
    request.add_message_integrity(password.encode())
    request.add_fingerprint()
    return request


@pytest.mark.parametrize("honest", [True, False], ids=["own password", "another password"])
async def test_a_check_is_answered_only_when_it_is_signed_with_its_password(honest: bool):
    client = LightClient()
    offer = client.offer()
    loop = asyncio.get_running_loop()
    transport, agent = await loop.create_datagram_endpoint(Agent, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    answer = (
        f"a=candidate:1 1 udp 1 127.0.0.1 {port} typ host\r\na=ice-ufrag:agent\r\n"
        "a=ice-pwd:secret-of-the-agent-000\r\na=fingerprint:sha-256 00:11\r\na=setup:active\r\n"
    )
    connecting = asyncio.create_task(client.connect(answer))
    try:
        async with asyncio.timeout(10):
            check = stun.parse_message(await agent.received.get())
            assert check.attributes["USERNAME"].startswith("agent:")
            password = value("ice-pwd", offer) if honest else "x" * 24
            request = signed_request(password)
            for _ in range(2):
                transport.sendto(bytes(request), candidate_of(offer))
            # Whatever comes after our requests: the client goes on checking by itself.
            kinds = [stun.parse_message(await agent.received.get()) for _ in range(3)]
        answers = [message for message in kinds if message.message_class is stun.Class.RESPONSE]
        assert bool(answers) == honest
        assert all(message.transaction_id == request.transaction_id for message in answers)
    finally:
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        client.close()
        transport.close()


async def test_an_answer_takes_the_offers_section_and_payload_type():
    client = LightClient()
    offer = "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:sound\r\na=rtpmap:96 OPUS/48000/2\r\n"
    answer = client.answer(offer)
    client.close()
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\n" in answer
    assert value("mid", answer) == "sound"
    assert "a=rtpmap:96 opus/48000/2" in answer
    assert "a=setup:active" in answer
    assert "a=recvonly" in answer
