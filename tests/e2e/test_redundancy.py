"""Redundant audio from one real browser to another, through a forwarding unit of the test's own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kabina.benchmarks.browser import TOOLS_JS
from kabina.benchmarks.relay import Impairment, Random, Relay
from kabina.sfu.forwarding_unit import ForwardingUnit
from kabina.sfu.negotiation import Permissions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from playwright.async_api import Page

    from kabina.sfu.peer import Peer
    from kabina_sim.browser import Stage

pytestmark = pytest.mark.browser
FIGURES = (
    "packetsLost",
    "packetsReceived",
    "packetsDiscarded",
    "concealedSamples",
    "totalSamplesReceived",
)
PAGE_JS = """
window.ends = {};
window.offer = async (name, speaks, redundant) => {
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    window.ends[name] = pc;
    pc.ontrack = ({ track }) => {
        // Chromium decodes nothing that is not played.
        const element = Object.assign(document.createElement("audio"), { muted: true });
        element.srcObject = new MediaStream([track]);
        element.play();
    };
    if (speaks) {
        const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
        pc.addTransceiver(stream.getAudioTracks()[0], { direction: "sendonly" });
    } else pc.addTransceiver("audio", { direction: "recvonly" });
    if (!redundant) {
        const { codecs } = RTCRtpReceiver.getCapabilities("audio");
        pc.getTransceivers()[0].setCodecPreferences(codecs.filter((one) => one.mimeType !== "audio/red"));
    }
    await pc.setLocalDescription();
    return pc.localDescription.sdp;
};
window.received = async (name) => {
    const report = await window.ends[name].getStats();
    return [...report.values()].find((one) => one.type === "inbound-rtp");
};
"""


class Nobody:
    """Wants to know nothing of a peer."""

    def peer_state_changed(self, peer: object, event: object) -> None: ...

    def track_flow_changed(self, peer: object, track: object, *, flows: bool) -> None: ...


@pytest.fixture
async def unit() -> AsyncIterator[ForwardingUnit]:
    made = ForwardingUnit(host="127.0.0.1", port=0, public_ips=["127.0.0.1"])
    made.start()
    yield made
    await made.close()


@pytest.fixture
async def page(launch: Callable[..., Any]) -> Page:
    page = await (await launch()).new_page()
    # A microphone needs a secure context: a page of this host, which nobody has to serve.
    await page.route("**/*", lambda route: route.fulfill(body="", content_type="text/html"))
    await page.add_init_script(f"{TOOLS_JS}\nkabinaTest.microphoneHears(400);\n{PAGE_JS}")
    await page.goto("http://127.0.0.1/")
    return page


async def join(
    page: Page,
    unit: ForwardingUnit,
    name: str,
    *,
    redundant: bool,
    relay: Relay | None = None,
) -> Peer:
    """A publisher (the speaker) or listener in the page, through the relay if there is one."""
    speaks = name == "speaker"
    sdp = await page.evaluate(f"offer({name!r}, {str(speaks).lower()}, {str(redundant).lower()})")
    permissions = Permissions(publish_audio=speaks, receive_audio=not speaks)
    peer = await unit.join(sdp, permissions, Nobody())
    answer = peer.answer_text
    if relay is not None:
        host, port = relay.address
        answer = answer.replace(f"127.0.0.1 {unit.plane.port} typ", f"{host} {port} typ")
    description = {"type": "answer", "sdp": answer}
    await page.evaluate(f"(answer) => ends.{name}.setRemoteDescription(answer)", description)
    return peer


async def wait_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.05)


async def test_a_lossy_speaker_is_heard_whole_with_copies_and_without(
    page: Page, unit: ForwardingUnit
):
    def counted(name: str) -> int:
        return unit.plane.counters()[name]

    with Relay(("127.0.0.1", unit.plane.port), seed=1) as relay:
        speaker = await join(page, unit, "speaker", redundant=True, relay=relay)
        track = speaker.tracks[0].handle
        for name in ("redundant", "plain"):
            listener = await join(page, unit, name, redundant=name == "redundant")
            assert ("red/48000/2" in listener.answer_text) == (name == "redundant")
            listener.slots[0].listen_to(track)
        await wait_until(lambda: counted("red_received") > 100)
        relay.up = Impairment(loss=Random(0.1))
        lost = relay.counters_up.lost
        await wait_until(lambda: counted("red_recovered") > 20)
        lost = relay.counters_up.lost - lost
        await asyncio.sleep(1.0)  # what is buffered is played
        with_copies = await page.evaluate("received('redundant')")
        without = await page.evaluate("received('plain')")
    for report in (with_copies, without):
        print(
            {key: report[key] for key in ("packetsReceived", "packetsLost", "packetsDiscarded")},
            f"{report['concealedSamples'] / report['totalSamplesReceived']:.2%} concealed",
        )
    print(f"{lost} datagrams lost, {counted('red_recovered')} recovered")
    # The one lost packets and plays their copies; Chromium counts those it has no need of as
    # discarded. The other one was sent more packets than came in, and none is missing.
    assert with_copies["packetsDiscarded"] > 100
    assert with_copies["packetsReceived"] - with_copies["packetsDiscarded"] > 10
    assert without["packetsReceived"] > with_copies["packetsReceived"] + 10
    assert with_copies["packetsLost"] - without["packetsLost"] > 10
    assert counted("red_sent") > 100
    assert counted("red_malformed") == counted("red_misplaced") == counted("protect_failed") == 0


async def test_a_listener_that_loses_packets_gets_the_mix_with_copies(stage: Stage):
    def sent() -> float:
        return stage.server.metric("kabina_plane_red_sent_total")

    async def figures() -> dict[str, float]:
        report = await page.evaluate("kabinaTest.received()")
        return {name: report[name] for name in FIGURES}

    with stage.server.relay(seed=2) as relay:
        await stage.publish("floor", 250.0)
        await stage.publish("fr", 400.0)  # over the floor: a mix
        page = await stage.open(stage.link("attend", "attendee"), relay=relay)
        await page.check('input[name=channel][value="fr"]', force=True)
        await page.click("#listen")
        await page.wait_for_function("() => window.kabina.pc?.connectionState === 'connected'")
        await page.evaluate("kabinaTest.waitForTone(400)")
        assert sent() == 0
        relay.down = Impairment(loss=Random(0.1))
        await wait_until(lambda: sent() > 0, 30.0)  # Chromium reports every 5 s or so
        before, copies = await figures(), sent()
        await wait_until(lambda: sent() > copies + 300, 30.0)
        after = await figures()
        change = {name: after[name] - before[name] for name in FIGURES}
        print(
            change, f"{change['concealedSamples'] / change['totalSamplesReceived']:.2%} concealed"
        )
        # Of the copies it discards those that it has no need of; the others are what was lost.
        assert change["packetsLost"] > 10
        assert change["packetsDiscarded"] > 100
        assert change["packetsReceived"] - change["packetsDiscarded"] > 10
        await page.evaluate("kabinaTest.waitForTone(400)")
