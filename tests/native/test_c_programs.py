"""The C code without Python: warnings are errors, sanitizers are on."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kabina.native.libraries import load_opus

ROOT = Path(__file__).parents[2]
SANITIZERS = {
    "memory": ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
    "thread": ["-fsanitize=thread"],
}
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


def run(
    program: str,
    folder: str,
    kind: str,
    workspace: Path,
    *arguments: str,
    defines: tuple[str, ...] = (),
) -> str:
    """Builds tests/native/c/<program>.c with all of native/c/<folder>, runs it, returns its output."""
    sources = [
        Path(f"tests/native/c/{program}.c"),
        *sorted((ROOT / "native/c" / folder).glob("*.c")),
    ]
    # -Og: at -O1 ThreadSanitizer misses plain races.
    build = ["gcc", "-std=gnu11", "-Og", "-g", *SANITIZERS[kind], *WARNINGS]
    includes = [*defines, "-Inative/c", f"-Inative/c/{folder}"]
    binary = workspace / program
    subprocess.run(
        [*build, *includes, *sources, "-ldl", "-lpthread", "-lm", "-o", binary],
        cwd=ROOT,
        check=True,
    )
    finished = subprocess.run(
        [binary, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    if "unexpected memory mapping" in finished.stderr:
        pytest.skip("this kernel's address randomisation is beyond what gcc's TSan can map")
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_mutated_packets_read_nothing_beyond_their_end(tmp_path, corpora):
    seeds = [str(path) for path in sorted(corpora.rglob("*")) if path.is_file()]
    run("run_parsers", "plane", "memory", tmp_path, "-n", "2000", *seeds)


@pytest.mark.parametrize("kind", list(SANITIZERS))
@pytest.mark.parametrize("defines", [(), ("-DKB_PORTABLE",)], ids=["linux", "portable"])
@pytest.mark.parametrize("threads", ["0", "2"])
def test_commands_events_packets_and_mixes_meet_without_a_race(kind, defines, threads, tmp_path):
    run("run_plane", "plane", kind, tmp_path, threads, defines=defines)


@pytest.mark.parametrize("kind", list(SANITIZERS))
def test_egress_threads_protect_in_order_drop_what_is_too_much_and_let_go_of_contexts(
    kind, tmp_path
):
    printed = run("run_shards", "plane", kind, tmp_path)
    assert printed.splitlines() == [f"{part}: ok" for part in ("churn", "full", "streams")]


@pytest.mark.parametrize("kind", list(SANITIZERS))
def test_the_mixing_code_is_clean(kind, tmp_path):
    printed = run("run_mixing", "mixing", kind, tmp_path, load_opus().path)
    parts = ("kernels", "limiter", "dynamics", "ducking", "jitter", "engine")
    assert printed.splitlines() == [f"{part}: ok" for part in parts]


def test_feedback_allocation_and_every_way_to_send_are_clean(tmp_path):
    printed = run("run_downlink", "plane", "memory", tmp_path)
    assert printed.splitlines() == [f"{part}: ok" for part in ("twcc", "allocation", "egress")]


@pytest.mark.parametrize("kind", list(SANITIZERS))
def test_the_impairment_relay_is_clean(kind, tmp_path):
    printed = run("run_relay", "../../benchmarks/c/relay", kind, tmp_path)
    parts = ("fates", "order", "bottleneck", "heap", "thread")
    assert printed.splitlines() == [f"{part}: ok" for part in parts]
