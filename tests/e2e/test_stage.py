"""The pages' stage: a speaker shows a camera and a screen, attendees see them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kabina_sim.browser import Stage

pytestmark = pytest.mark.browser
SCREENSHOTS = Path(__file__).parent / "screenshots"

# The fake screen of a headless browser: a canvas that moves.
FAKE_SCREEN = """navigator.mediaDevices.getDisplayMedia = async () => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 });
  const paint = canvas.getContext('2d');
  let turn = 0;
  setInterval(() => {
    paint.fillStyle = '#f4f1ea'; paint.fillRect(0, 0, 1280, 720);
    paint.fillStyle = '#14181f'; paint.font = '600 64px sans-serif';
    paint.fillText('One contact point per country', 90, 150);
    paint.fillStyle = '#1f5fbf'; paint.fillRect(90, 260, 300 + (turn++ % 60) * 12, 80);
  }, 66);
  return canvas.captureStream(15);
};"""
PLAYING = """(what) => { const video = document.querySelector(`[data-tile=${what}] video`);
  return video !== null && video.videoWidth > 0 && video.currentTime > 0.2; }"""


async def assert_statistics(stage: Stage) -> None:
    """What an operator sees of the speaker's pictures and of one that is sent."""
    token = stage.server.token("m", "operator")
    async with stage.http.get(
        f"{stage.server.url}/api/meetings/m/statistics",
        headers={"Authorization": f"Bearer {token}"},
    ) as response:
        speaker, viewer, *_ = (await response.json())["participants"]
    voice, camera, _, sound = speaker["inbound"]
    assert [one["kind"] for one in speaker["inbound"]] == ["audio", "video", "video", "audio"]
    assert voice["mimeType"] == "audio/opus"  # whether it comes in RED or not
    assert voice["packetsReceived"] > 0
    assert sound["packetsReceived"] == 0  # the fake screen has none
    assert camera["mimeType"] == "video/VP8"
    assert camera["layers"][0]["keyFrames"] > 0
    assert sum(layer["bitrate"] for layer in camera["layers"]) > 10_000
    heard, seen, slides = viewer["outbound"]
    assert heard["kind"] == "audio"
    assert seen["source"] == {"participant": speaker["participant"], "what": "camera"}
    assert slides["source"] == {"participant": speaker["participant"], "what": "screen"}
    assert 5 < seen["framesSent"] <= seen["packetsSent"]
    assert seen["layer"] is not None
    assert viewer["connection"]["availableOutgoingBitrate"] > 0


async def test_a_camera_and_a_screen_are_seen_by_attendees(stage: Stage):
    SCREENSHOTS.mkdir(exist_ok=True)
    speaker = await stage.open(stage.link("speak", "speaker"), tone_hz=400.0)
    await speaker.evaluate(FAKE_SCREEN)
    # The tone replaced getUserMedia: the camera is the browser's fake one again.
    await speaker.evaluate(
        """() => { const tone = navigator.mediaDevices.getUserMedia;
        navigator.mediaDevices.getUserMedia = (wish) => wish.video
          ? MediaDevices.prototype.getUserMedia.call(navigator.mediaDevices, wish) : tone(wish); }"""
    )
    await speaker.click("#enter")
    await speaker.click("#take-floor")
    await speaker.wait_for_selector("#release-floor")
    await speaker.click("#camera")
    await speaker.wait_for_selector("#camera[aria-pressed=true]")
    viewer = await stage.open(stage.link("attend", "attendee"))
    await viewer.click("#listen")
    await viewer.wait_for_function(PLAYING, arg="camera")
    # The speaker's microphone hears a tone: the picture is framed, the bars on its plate are up.
    await viewer.wait_for_selector("[data-tile=camera][data-heard=yes]")
    await viewer.screenshot(path=SCREENSHOTS / "stage-camera-1280-light.png")
    await speaker.click("#screen")
    await viewer.wait_for_function(PLAYING, arg="screen")
    await viewer.wait_for_timeout(800)
    await viewer.screenshot(path=SCREENSHOTS / "stage-both-1280-light.png")
    await speaker.screenshot(path=SCREENSHOTS / "stage-speak-1280-light.png")
    booth = await stage.open(
        stage.link("booth", "interpreter", "fr"), tone_hz=880.0, color_scheme="dark"
    )
    await booth.click("#enter-booth")
    await booth.wait_for_function(PLAYING, arg="screen")
    await booth.wait_for_selector(".speakers [data-heard=yes]")
    await booth.wait_for_timeout(800)
    await booth.screenshot(path=SCREENSHOTS / "stage-booth-1280-dark.png")
    phone = await stage.open(
        stage.link("attend", "attendee"),
        viewport={"width": 390, "height": 844},
        color_scheme="dark",
    )
    await phone.click("#listen")
    await phone.wait_for_function(PLAYING, arg="screen")
    await phone.wait_for_timeout(800)
    await phone.screenshot(path=SCREENSHOTS / "stage-both-390-dark.png")
    await assert_statistics(stage)
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await phone.evaluate(overflow) <= 0
    assert await viewer.evaluate(overflow) <= 0
    await speaker.click("#screen")
    await viewer.wait_for_selector("[data-tile=screen]", state="detached")
    await speaker.click("#camera")
    await viewer.wait_for_selector("[data-tile=camera]", state="detached")
