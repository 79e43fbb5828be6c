"""Noise suppression: what is around RNNoise with a library of the same interface, RNNoise itself where it is there."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

import numpy as np
import pytest

from kabina.native import _mixing
from kabina.native.libraries import LibraryError, load_opus, load_rnnoise
from kabina_sim.voices import speech_like

FRAME = 480
DELAY = 960

# As late as RNNoise 0.2, and −6 dB instead of less noise; says 2 for a voice, and a NaN for what is loud.
HALVING = r"""
#include <math.h>
#include <stdlib.h>
#include <string.h>
typedef struct { float past[960]; } state;
int rnnoise_get_frame_size(void) { return FRAME_SIZE; }
int rnnoise_init(state *s, void *model) { (void)model; memset(s, 0, sizeof *s); return 0; }
state *rnnoise_create(void *model) { state *s = malloc(sizeof *s); rnnoise_init(s, model); return s; }
void rnnoise_destroy(state *s) { free(s); }
float rnnoise_process_frame(state *s, float *out, const float *in)
{
    int is_loud = 0;
    for (int i = 0; i < 480; i++) {
        out[i] = 0.5f * s->past[i];
        is_loud |= fabsf(in[i]) > 100000.0f;
    }
    memmove(s->past, s->past + 480, 480 * sizeof(float));
    memcpy(s->past + 480, in, 480 * sizeof(float));
    if (is_loud)
        out[7] = NAN;
    return 2.0f;
}
"""


def compiled(folder, frame_size=480):
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    (folder / "halving.c").write_text(HALVING)
    library = folder / f"librnnoise-{frame_size}.so"
    subprocess.run(
        [
            "gcc",
            "-shared",
            "-fPIC",
            f"-DFRAME_SIZE={frame_size}",
            folder / "halving.c",
            "-o",
            library,
        ],
        check=True,
    )
    return ctypes.CDLL(str(library))


@pytest.fixture(scope="module")
def halving(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("denoise"))


def run(native, sound, block=960):
    out = np.array(sound, np.float32)
    for at in range(0, len(out) // block * block, block):
        native.run(out[at : at + block])
    return out


def noise(n, seed=1):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, n).astype(np.float32)


@pytest.mark.parametrize("block", [480, 960])
def test_switched_off_the_sound_is_late_and_nothing_else(halving, block):
    native, sound = _mixing.Denoiser(halving._handle), noise(9600)
    out = run(native, sound, block)
    assert native.delay_samples == DELAY
    assert np.array_equal(out[DELAY:], sound[:-DELAY])
    assert not out[:DELAY].any()


def test_it_is_heard_after_200_ms_and_both_switches_are_crossfades(halving):
    native, sound = _mixing.Denoiser(halving._handle), np.full(48_000, 0.5, np.float32)
    run(native, sound)
    native.switch(True)
    on = run(native, sound)
    assert np.all(on[:9600] == 0.5)
    assert native.is_heard
    assert np.allclose(on[9600 + FRAME :], 0.25)
    native.switch(False)
    off = run(native, sound)
    assert np.all(off[FRAME:] == 0.5)
    steps = np.abs(np.diff(np.concatenate([on, off])))
    assert np.max(steps) < 0.25 / FRAME * 1.01


def test_what_the_library_makes_of_no_sound_is_silence_and_a_new_beginning(halving):
    native = _mixing.Denoiser(halving._handle)
    native.switch(True)
    sound = noise(24_000)
    run(native, sound)
    loud = np.full(960, 6.0, np.float32)  # beyond what this library bears
    out = run(native, np.concatenate([loud, sound, sound]))
    assert np.all(np.isfinite(out))
    assert np.max(np.abs(out)) <= 6.0
    assert np.allclose(out[-24_000 + DELAY :], 0.5 * sound[:-DELAY])


@pytest.mark.parametrize("bad", [np.nan, np.inf, 9.0])
def test_a_sample_that_is_no_number_never_reaches_the_library(halving, bad):
    native = _mixing.Denoiser(halving._handle)
    native.switch(True)
    sound = noise(24_000)
    run(native, sound)
    broken = sound.copy()
    broken[500] = bad
    out = run(native, broken)
    broken[500] = 0.0
    assert np.allclose(out[DELAY:], 0.5 * broken[:-DELAY])


def test_a_guess_beyond_its_range_is_none(halving):
    native = _mixing.Denoiser(halving._handle)
    native.switch(True)
    run(native, noise(9600))
    assert native.voice == 0.0


def test_another_library_is_refused_by_name():
    with pytest.raises(OSError, match="rnnoise_create"):
        _mixing.Denoiser(load_opus().handle)


def test_frames_of_another_length_are_refused(tmp_path):
    with pytest.raises(OSError, match="480"):
        _mixing.Denoiser(compiled(tmp_path, 160)._handle)


def test_another_block_is_refused(halving):
    with pytest.raises(ValueError, match="480"):
        _mixing.Denoiser(halving._handle).run(np.zeros(240, np.float32))


def test_rnnoise_takes_noise_away_and_leaves_a_voice_in_its_place():
    try:
        library = load_rnnoise()
    except LibraryError as error:
        pytest.skip(str(error))
    native = _mixing.Denoiser(library.handle)
    native.switch(True)
    hiss = (0.02 * np.random.default_rng(2).normal(0, 1, 48_000 * 4)).astype(np.float32)
    out = run(native, hiss)[96_000:]
    assert 20 * np.log10(np.std(out) / 0.02) < -15
    voice = (10 * speech_like(4, 0.03)).astype(np.float32)
    out = run(native, voice)
    correlation = np.correlate(voice[48_000 - 1200 : 96_000], out[48_000:96_000], "valid")
    assert abs(1200 - int(np.argmax(correlation)) - DELAY) <= 1
