"""One stream alone: the time line it makes, read by several, and what it says of itself."""

from __future__ import annotations

import numpy as np
import pytest

from kabina.native._mixing import StreamReplay
from kabina.native.libraries import load_opus
from kabina_sim.mix_bench import FRAME, MS, TICK, encode, tone, voice

START = 10_000 * MS
HISTORY = 9600


class Run:
    """A sender of 20 ms packets and a reader of 10 or 20 ms blocks, in virtual time."""

    def __init__(self, packets, *, phase_ms=3.0, ppm=0.0, **settings):
        self.replay = StreamReplay(load_opus().handle, **settings)
        self.packets, self.phase_ms, self.ppm = packets, phase_ms, ppm
        self.now, self.sent, self.blocks = START, 0, []
        self.pending: list[tuple[int, int]] = []

    def due(self, index, delay_ms=0.0):
        return START + round(index * TICK / (1 + self.ppm * 1e-6) + (self.phase_ms + delay_ms) * MS)

    def run(self, ms, *, delay=lambda index: 0.0, block=480, wanted=True):
        """`delay(index)` is the extra delay of a packet in ms, None when it is lost."""
        until = self.now + ms * MS
        while self.now < until:
            self.now += block * MS // 48
            while self.due(self.sent) <= self.now:
                extra = delay(self.sent)
                if extra is not None:
                    self.pending.append((self.due(self.sent, extra), self.sent))
                self.sent += 1
            self.pending.sort()
            while self.pending and self.pending[0][0] <= self.now:
                self.push(*self.pending.pop(0))
            self.blocks.append(self.replay.take(self.now, block, wanted))
        return self

    def push(self, at_ns, index):
        return self.replay.push(
            at_ns,
            self.packets[index % len(self.packets)],
            sequence=index & 0xFFFF,
            timestamp=(index * FRAME) & 0xFFFFFFFF,
        )

    def heard(self):
        return np.concatenate(self.blocks)


def test_what_is_settled_reads_the_same_for_every_reader_and_for_200_ms():
    run = Run(encode(voice(100))).run(600)
    heard = run.heard()
    assert run.replay.settled == len(heard)
    for position in (len(heard) - HISTORY, len(heard) - 1234, len(heard) - 1):
        samples = len(heard) - position
        assert np.array_equal(run.replay.at(position, samples), heard[position:])
    for position, samples in ((len(heard) - HISTORY - 1, 1), (len(heard), 1), (len(heard) - 5, 6)):
        with pytest.raises(IndexError):
            run.replay.at(position, samples)


def test_before_its_beginning_a_stream_is_silent():
    replay = StreamReplay(load_opus().handle)
    assert not np.any(replay.at(-HISTORY, HISTORY))


@pytest.mark.parametrize("block", [120, 480, 960])
def test_blocks_of_any_size_join_without_a_seam(block):
    heard = Run(encode(tone(450, 50))).run(800, block=block).heard()[-500 * 48 :]
    at = np.arange(len(heard)) * 2 * np.pi * 450 / 48_000
    waves = np.stack([np.sin(at), np.cos(at)], axis=1)
    rest = heard - waves @ np.linalg.lstsq(waves, heard, rcond=None)[0]
    assert np.max(np.abs(heard)) == pytest.approx(0.25, abs=0.01)
    assert np.max(np.abs(rest)) < 0.01


def test_it_knows_whether_the_next_samples_need_a_guess():
    run = Run(encode(voice(100))).run(300)
    index = run.sent
    while run.replay.is_here(480):
        run.blocks.append(run.replay.take(run.now, 480))
    assert not run.replay.is_here(480)
    run.push(run.now, index)
    assert run.replay.is_here(480)
    assert run.replay.is_here(960)
    assert not run.replay.is_here(2 * 960 + 1)
    run.push(run.now, index + 2)  # the one before it is lost, but its copy is in this
    assert run.replay.is_here(3 * 960)
    run.push(run.now, index + 5)
    assert not run.replay.is_here(4 * 960 + 1)


def test_the_ideal_time_is_now_less_the_delay():
    run = Run(encode(voice(100)))
    assert run.replay.ideal_ns == 0
    run.run(300)
    for later_ms in (0, 7):
        now = run.now + later_ms * MS
        expected = now - round(run.replay.delay_ms(now) * MS)
        assert run.replay.ideal_ns == pytest.approx(expected, abs=2)


def test_it_tells_a_jittery_from_a_steady_and_a_reordering_from_an_orderly_path():
    steady = Run(encode(voice(100))).run(4000).replay.network
    assert steady == (0.0, 0.0)
    late = Run(encode(voice(100))).run(4000, delay=lambda i: 30.0 if i % 10 == 0 else 0.0)
    assert 30 <= late.replay.network[0] <= 38
    assert late.replay.network[1] > 0.001


# ---- what the network may do, and what it may cost -----------------------------------------------


def level_db(samples):
    return float(10 * np.log10(max(np.mean(samples.astype(np.float64) ** 2), 1e-13)))


def talk(frames, *, seed=3, noise_db=-62.0):
    """A voice with pauses of 150 to 700 ms, in a room whose noise is at `noise_db`."""
    rng = np.random.default_rng(seed)
    sound = voice(50)[np.arange(frames * FRAME) % (50 * FRAME)].copy()
    at = 0
    while at < len(sound):
        at += int(48_000 * rng.uniform(0.8, 2.5))
        pause = int(48_000 * rng.uniform(0.15, 0.7))
        sound[at : at + pause] = 0
        at += pause
    noise = 10 ** (noise_db / 20) * rng.standard_normal(len(sound))
    return (sound + noise).astype(np.float32)


def delays(run, ms, **network):
    """The delay of every 10 ms block of the next `ms`."""
    found = []
    for _ in range(ms // 10):
        run.run(10, **network)
        found.append(run.replay.delay_ms(run.now + 10 * MS))
    return np.array(found)


@pytest.mark.parametrize("phase_ms", [1.0, 4.0, 8.0])
def test_a_clean_path_costs_the_readers_phase_and_nothing_more(phase_ms):
    run = Run(encode(talk(500)), phase_ms=phase_ms)
    run.run(4000)
    assert np.mean(delays(run, 5000)) <= 10 - phase_ms + 2.5
    assert run.replay.readings()["concealed_samples"] == 0


@pytest.mark.parametrize("lost", [301, 302, 303, 310, 340])
def test_one_lost_packet_adds_at_most_ten_ms_and_they_are_gone_in_two_seconds(lost):
    run = Run(encode(talk(500)))
    before = np.mean(delays(run, 6000)[-100:])
    found = delays(run, 4000, delay=lambda i: None if i == lost else 0.0)
    since = (lost - 300) * 2
    assert np.max(found[since + 4 :]) <= before + 11  # before, it is guessed and nothing is played
    assert np.max(found[since + 200 :]) <= before + 2
    assert run.replay.readings()["concealed_samples"] <= 2 * FRAME


def test_of_one_per_cent_of_random_loss_next_to_no_word_is_guessed():
    """What is lost in a pause has no copy: Opus makes none of silence, and none is missed."""
    rng = np.random.default_rng(7)
    lost = set(np.flatnonzero(rng.random(20_000) < 0.01))
    run = Run(encode(talk(500)))
    run.run(120_000, delay=lambda i: None if i in lost else float(i % 3))
    found = run.replay.readings()
    assert len([i for i in lost if i < run.sent]) > 50
    assert found["concealed_samples"] - found["quiet_samples"] <= 0.0025 * found["taken_samples"]
    assert found["delay_ms"] < 45


@pytest.mark.parametrize("pauses", [True, False])
@pytest.mark.parametrize("stall_ms", [100, 300])
def test_after_a_stall_every_word_is_kept_and_the_delay_is_back_in_two_seconds(stall_ms, pauses):
    run = Run(encode(talk(500) if pauses else voice(50)))
    first = 4000
    before = np.mean(delays(run, first * 20)[-500:])
    end = first + stall_ms // 20

    def stalled(index):
        return float(stall_ms - 20 * (index - first)) if first <= index < end else 0.0

    found = delays(run, 5000, delay=stalled)
    assert np.max(found) > stall_ms - 60
    assert np.max(found[stall_ms // 10 + 200 :]) <= before + 11
    assert run.replay.readings()["discarded"] == 0


@pytest.mark.parametrize("lost", [3, 8])
def test_after_a_burst_of_losses_the_delay_is_back_in_two_seconds(lost):
    run = Run(encode(talk(500)))
    before = np.mean(delays(run, 80_000)[-500:])
    found = delays(run, 4000, delay=lambda i: None if 4000 <= i < 4000 + lost else 0.0)
    assert np.max(found[200 + 2 * lost + 20 :]) <= before + 2


def test_what_is_lost_fades_into_the_room_and_the_room_fades_out():
    run = Run(encode(talk(500, noise_db=-55.0)))
    run.run(8000)
    sent = run.sent
    run.run(700, delay=lambda i: None)
    gap = run.heard()[-700 * 48 :]
    levels = [level_db(gap[at : at + 960]) for at in range(0, len(gap), 960)]
    assert sent < run.sent
    assert all(-59 < level < -51 for level in levels[7:13])
    assert all(level < -90 for level in levels[25:])


def test_a_room_without_noise_fades_to_silence():
    run = Run(encode(voice(50))).run(1000)
    run.run(700, delay=lambda i: None)
    assert level_db(run.heard()[-500 * 48 :]) < -90


@pytest.mark.parametrize("ppm", [2000.0, -2000.0])
def test_a_voice_without_pauses_is_kept_near_by_its_periods_without_a_slip(ppm):
    """Ten times the drift of any clock: an edit every few seconds, none of which clicks."""
    run = Run(encode(voice(50)), ppm=ppm)
    run.run(5000)
    found = delays(run, 20_000)
    readings = run.replay.readings()
    assert np.ptp(found) < 30
    assert readings["cut_samples" if ppm > 0 else "inserted_samples"] > 0.001 * 20 * 48_000
    heard = run.heard()[-20 * 48_000 :]
    spectrum = np.abs(np.fft.rfft(heard.reshape(-1, 1920) * np.hanning(1920), axis=1))
    high = np.sum(spectrum[:, 240:] ** 2, axis=1)  # above 6 kHz: the vowel has nothing there
    assert np.max(high) < 30 * np.median(high)


def test_what_stops_and_starts_again_begins_at_the_target():
    run = Run(encode(talk(500))).run(4000)
    run.run(1500, delay=lambda i: None)
    assert run.replay.delay_ms(run.now) == 0.0
    run.run(1000)
    assert 0 < run.replay.delay_ms(run.now + 10 * MS) < 45


def test_discontinuous_transmission_is_played_in_time():
    """Packets only while somebody speaks, and every 400 ms; the timestamps go on."""
    run = Run(encode(talk(500))).run(2000)

    def dtx(index):
        return 0.0 if index % 100 < 50 or index % 20 == 0 else None

    talking = []
    for _ in range(1000):
        run.run(20, delay=dtx)
        if 5 <= run.sent % 100 < 50:
            talking.append(run.replay.delay_ms(run.now + 10 * MS))
    assert max(talking) < 45


def test_wishes_of_a_reader_nobody_hears_are_fulfilled_at_once():
    run = Run(encode(voice(50)), start_ms=200)
    run.run(1500, wanted=False)
    assert run.replay.delay_ms(run.now + 10 * MS) < 25
    assert run.replay.readings()["decodes"] == 0
