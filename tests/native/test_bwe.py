"""The bandwidth estimator on a seeded model of a bottleneck (tests/native/c/run_estimation.c), in virtual time."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("twcc", "trend", "bwe", "allocation", "pacer", "rtcp")
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
# 2.5 Mb/s carry all three layers, 300 kb/s the lowest, from 15 s to 30 s.
NARROW = {"seconds": 45, "path": "0:2500,15000:300,30000:2500"}

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@dataclass(frozen=True, slots=True)
class Tenth:
    """What was so in one tenth of a second."""

    at_ms: int
    estimate_kbps: int
    entered_kbps: int
    left_kbps: int
    queue_ms: int
    layer: int
    lost: int
    usage: int
    probes: int
    good_probes: int
    since_shown_ms: int


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    binary = tmp_path_factory.mktemp("bwe") / "run_estimation"
    sources = [f"native/c/plane/kb_{part}.c" for part in PARTS]
    build = ["gcc", "-std=gnu11", "-Og", "-g", *SANITIZERS, "-Wall", "-Wextra", "-Wconversion"]
    includes = ["-Werror", "-Inative/c", "-Inative/c/plane"]
    subprocess.run(
        [*build, *includes, "tests/native/c/run_estimation.c", *sources, "-lm", "-o", binary],
        cwd=ROOT,
        check=True,
    )

    def run(**options: object) -> list[Tenth]:
        words = [f"{key}={value}" for key, value in options.items()]
        done = subprocess.run(
            [binary, *words], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return [Tenth(*map(int, line.split())) for line in done.stdout.splitlines()]

    return run


def settled_ms(tenths: list[Tenth], since_ms: int, limit_kbps: int) -> int:
    """After how long the estimate stays near the limit, and the queue short, for a second."""
    later = [tenth for tenth in tenths if tenth.at_ms > since_ms]
    for first in range(len(later) - 10):
        second = later[first : first + 10]
        if all(t.estimate_kbps <= 1.25 * limit_kbps and t.queue_ms <= 150 for t in second):
            return second[0].at_ms - since_ms
    raise AssertionError("never settles")


def freeze_ms(tenths: list[Tenth]) -> int:
    """The longest time without a new picture after the path of `NARROW` became narrow."""
    return max(tenth.since_shown_ms for tenth in tenths if 15_000 < tenth.at_ms <= 19_000)


@pytest.mark.parametrize("loss_per_mille", [0, 20])
def test_a_path_that_narrows_costs_half_a_second_of_picture_as_a_rule(model, loss_per_mille):
    runs = [
        freeze_ms(model(**NARROW, queue_ms=300, loss=loss_per_mille, seed=seed))
        for seed in range(1, 12)
    ]
    print(f"{min(runs)} to {max(runs)} ms, median {median(runs)}")
    assert median(runs) <= 500


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("queue_ms", [200, 300, 500])
@pytest.mark.parametrize("loss_per_mille", [0, 20, 50])
def test_a_narrow_path_is_noticed_in_3_s_and_a_wide_one_used_in_10(
    model, queue_ms, loss_per_mille, seed
):
    tenths = model(**NARROW, queue_ms=queue_ms, loss=loss_per_mille, seed=seed)
    # What filled half a second of queue drains by the 50 kb/s that sound and picture leave, a sixth of the path.
    assert settled_ms(tenths, 15_000, 300) <= 3000 + 15 * max(0, queue_ms - 300)
    falls = [tenth for tenth in tenths if 15_000 < tenth.at_ms <= 19_000]
    assert all(tenth.layer == 0 for tenth in falls if tenth.at_ms > 15_500)
    # Some key frames lose a packet: of 360 runs the longest took 869 ms.
    assert freeze_ms(tenths) <= 900
    narrow = [tenth for tenth in tenths if 19_000 < tenth.at_ms <= 30_000]
    # The picture never goes, and probes may fill the queue for a moment only.
    assert {tenth.layer for tenth in narrow} == {0}
    assert max(tenth.queue_ms for tenth in narrow) <= 200
    assert sum(tenth.queue_ms for tenth in narrow) / len(narrow) <= 50
    assert max(tenth.estimate_kbps for tenth in narrow) <= 1.3 * 300
    back = next(t.at_ms for t in tenths if t.at_ms > 30_000 and t.layer == 2)
    assert back - 30_000 <= 10_000


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("rtt_ms", [50, 100, 300])
def test_five_percent_of_random_loss_does_not_bring_the_picture_down(model, rtt_ms, seed):
    tenths = model(seconds=60, path="0:3000", loss=50, rtt_ms=rtt_ms, seed=seed)
    assert all(tenth.layer == 2 for tenth in tenths if tenth.at_ms > 10_000)
    assert min(tenth.estimate_kbps for tenth in tenths if tenth.at_ms > 10_000) >= 1600


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("radio", [{"jitter_ms": 20}, {"pause_ms": 50}])
def test_a_restless_radio_costs_no_layer(model, radio, seed):
    tenths = model(seconds=60, path="0:3000", seed=seed, **radio)
    assert all(tenth.layer == 2 for tenth in tenths if tenth.at_ms > 10_000)
    assert max(tenth.since_shown_ms for tenth in tenths if tenth.at_ms > 10_000) <= 150


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_path_that_was_always_narrow_gets_no_more_than_it_carries(model, seed):
    tenths = model(seconds=15, path="0:300", seed=seed)
    assert all(tenth.layer == 0 for tenth in tenths if tenth.at_ms > 1000)
    assert max(tenth.queue_ms for tenth in tenths if tenth.at_ms > 3000) <= 200


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_cross_traffic_that_leaves_room_costs_no_layer(model, seed):
    tenths = model(seconds=40, path="0:2500", cross=500, seed=seed)
    assert all(tenth.layer == 2 for tenth in tenths if tenth.at_ms > 10_000)


def test_a_wide_path_is_found_by_probes_and_the_ceiling_holds(model):
    tenths = model(seconds=20, path="0:50000", layers="500,2500,12000")
    assert tenths[-1].layer == 2
    assert max(tenth.estimate_kbps for tenth in tenths) <= 20_000


def test_nothing_is_taken_for_granted_while_no_feedback_comes(model):
    tenths = model(seconds=10, path="0:2500", feedback=0)
    assert {tenth.estimate_kbps for tenth in tenths} == {400}
    assert {tenth.layer for tenth in tenths} == {0}
