"""The sound of a shared screen: in stereo where it is heard alone, under a voice as one channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kabina_sim.browser import Stage

pytestmark = pytest.mark.browser
LEFT_HZ, RIGHT_HZ, VOICE_HZ = 600, 1500, 400

# A shared tab that plays a video: moving pictures, another tone on either side.
FAKE_SCREEN = f"""navigator.mediaDevices.getDisplayMedia = async (wish) => {{
  window.wish = wish;
  const canvas = Object.assign(document.createElement('canvas'), {{ width: 640, height: 360 }});
  const paint = canvas.getContext('2d');
  let turn = 0;
  setInterval(() => {{
    paint.fillStyle = `hsl(${{turn++ * 7 % 360}} 80% 50%)`;
    paint.fillRect(0, 0, 640, 360);
  }}, 66);
  const context = new AudioContext({{ sampleRate: 48000 }});
  const sides = new ChannelMergerNode(context, {{ numberOfInputs: 2 }});
  [{LEFT_HZ}, {RIGHT_HZ}].forEach((frequency, side) => {{
    const tone = new OscillatorNode(context, {{ frequency }});
    tone.connect(new GainNode(context, {{ gain: 0.25 }})).connect(sides, 0, side);
    tone.start();
  }});
  const sound = new MediaStreamAudioDestinationNode(context, {{ channelCount: 2 }});
  sides.connect(sound);
  return new MediaStream([...canvas.captureStream(15).getTracks(), ...sound.stream.getTracks()]);
}};"""

# How much louder a tone is on the left than on the right, dB; null until it is there at all.
SIDE = """async (hz) => {
  const tools = window.kabinaTest;
  if (window.kabina.pc === null) return null;
  if (!window.sides) {
    const receiver = window.kabina.pc.getReceivers().find((one) => one.track.kind === 'audio');
    const context = new AudioContext({ sampleRate: 48000 });
    const source = context.createMediaStreamSource(new MediaStream([receiver.track]));
    const splitter = new ChannelSplitterNode(context, { numberOfOutputs: 2 });
    // Two channels in any case: mono goes to both, as a loudspeaker has it.
    const both = new GainNode(context, { channelCount: 2, channelCountMode: 'explicit' });
    source.connect(both).connect(splitter);
    window.sides = [0, 1].map((side) => {
      const analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
      splitter.connect(analyser, side);
      return analyser;
    });
  }
  const [left, right] = window.sides.map((side) => Math.max(tools.levelAt(side, hz), -120));
  return Math.max(left, right) < -50 ? null : left - right;
}"""


async def test_a_shared_screens_sound_is_heard_in_stereo_until_somebody_speaks(stage: Stage):
    speaker = await stage.open(stage.link("speak", "speaker"), tone_hz=VOICE_HZ, script=FAKE_SCREEN)
    await speaker.click("#enter")
    await speaker.wait_for_selector("#take-floor:not([disabled])")
    await speaker.click("#screen")
    viewer = await stage.open(stage.link("attend", "attendee"))
    await viewer.click("#listen")
    await viewer.wait_for_function(f"async () => (await ({SIDE})({LEFT_HZ})) > 30")
    await viewer.wait_for_function(f"async () => (await ({SIDE})({RIGHT_HZ})) < -30")
    wish = await speaker.evaluate("window.wish")
    assert wish["audio"]["channelCount"] == 2
    assert wish["audio"]["echoCancellation"] is False
    await speaker.click("#take-floor")
    await speaker.wait_for_selector("#release-floor")
    for hz in (VOICE_HZ, LEFT_HZ, RIGHT_HZ):
        await viewer.wait_for_function(
            f"async () => {{ const side = await ({SIDE})({hz});"
            " return side !== null && Math.abs(side) < 1; }"
        )
    await speaker.click("#release-floor")
    await viewer.wait_for_function(f"async () => (await ({SIDE})({LEFT_HZ})) > 30")
    await speaker.click("#screen")  # its sound ends with it
    await viewer.wait_for_function(f"async () => (await ({SIDE})({LEFT_HZ})) === null")
