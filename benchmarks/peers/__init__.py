"""Kabina beside other forwarders: CPU per forwarded audio packet, one load generator, one run.

Every server is ICE-lite where it can be, speaks DTLS-SRTP and gets sender and receiver reports; its
listeners decrypt and count what they read. Each run has a fresh server; the order turns round from
round to round; a row is the median of its rounds. `us_per_packet` is the CPU of the server's
process without what it took before the publisher began, `with_idle` with it. `kabina_share` is
Kabina's cost over this one's: below 1, Kabina is the cheaper. A source of Janus's Streaming plug-in
is plain RTP, as there is no other; all other sources are DTLS-SRTP publishers.

The figures are loopback's: a send includes the receiving half of the IP stack and the waking of the
reader, for all alike; `bare sendmmsg` shows how much that is.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Run = dict[str, Any]

ROUNDS: Final = 2
# What is compared where: everything under the load of the goal, the nearest under others. A mix has
# a pace of its own, and aiortc saturates at about twenty listeners.
SETTINGS: Final = {
    (300, 50): (
        "kabina",
        "bare sendmmsg",
        "pion",
        "janus videoroom, tuned",
        "janus streaming, tuned",
        "janus videoroom, default",
        "plain python",
        "kabina, mixed",
    ),
    (100, 50): ("kabina", "bare sendmmsg", "pion", "janus videoroom, tuned"),
    (40, 500): (
        "kabina",
        "bare sendmmsg",
        "pion",
        "janus videoroom, tuned",
        "janus streaming, tuned",
    ),
    (10, 50): ("kabina", "aiortc relay"),
}
# All in namespaces that end with their first process, whatever becomes of us.
ISOLATED: Final = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
AS_ROOT: Final = ("--user", "--map-root-user")
NEEDS_NAMESPACES: Final = "skipped: needs root or user namespaces, and ip(8)"


def rows() -> list[dict[str, object]]:
    """A row per forwarder and setting; one that says why, without namespaces."""
    prefix = isolation()
    if prefix is None:
        return [{"peer": "all", "note": NEEDS_NAMESPACES}]
    runs = list(_runs(prefix, plan()))
    return [_row(name, setting, runs) for name, *setting in _once()]


def plan(rounds: int = ROUNDS) -> list[tuple[str, int, int]]:
    """Every run in order; each round goes the other way than the one before."""
    order = list(_once())
    return [run for number in range(rounds) for run in (order, order[::-1])[number % 2]]


def _once() -> Iterator[tuple[str, int, int]]:
    for (listeners, pps), names in SETTINGS.items():
        for name in names:
            yield name, listeners, pps


def isolation() -> Sequence[str] | None:
    """The command that gives a process a network of its own, None where nobody may."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return None
    for prefix in (ISOLATED, (ISOLATED[0], *AS_ROOT, *ISOLATED[1:])):
        if subprocess.run([*prefix, "true"], capture_output=True).returncode == 0:
            return prefix
    return None


def isolated(prefix: Sequence[str], module: str, *arguments: str) -> Iterator[Run]:
    """What the module's `main` prints, a JSON object per line, in a network of its own."""
    command = (*prefix, sys.executable, "-m", f"kabina.benchmarks.{module}", *arguments)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode != 0:
        raise RuntimeError("the comparison ended early")


def _runs(prefix: Sequence[str], runs: list[tuple[str, int, int]]) -> Iterator[Run]:
    lines = isolated(prefix, "peers.compare", "--plan", json.dumps(runs))
    for number, run in enumerate(lines, 1):
        print(f"  {number} of {len(runs)}: {run['peer']} {run['setting']}", file=sys.stderr)
        yield run


def _row(name: str, setting: list[int], runs: list[Run]) -> dict[str, object]:
    listeners, pps = setting
    of_all = [run for run in runs if run["setting"] == setting]
    mine = [run for run in of_all if run["peer"] == name]
    row: dict[str, object] = {"peer": name, "listeners": listeners, "pps": pps}
    broken = next((run for run in mine if "us_per_packet" not in run), None)
    if broken is not None:
        return row | {"note": broken.get("missing") or broken["error"]}

    def median(key: str, of: list[Run] = mine) -> float:
        return float(statistics.median(run[key] for run in of))

    packets = sum(run["packets"] for run in mine)
    cost, kabina = median("us_per_packet"), [run for run in of_all if run["peer"] == "kabina"]
    with_idle = statistics.median(map(_with_idle, mine))
    row |= {"us_per_packet": cost, "with_idle": with_idle}
    row |= {"kabina_share": None, "share_with_idle": None}
    if kabina and all("us_per_packet" in run for run in kabina):
        row["kabina_share"] = median("us_per_packet", kabina) / cost
        row["share_with_idle"] = statistics.median(map(_with_idle, kabina)) / with_idle
    row["idle_us_per_s_each"] = median("idle_share") * 1e6 / listeners
    arrived = packets / max(sum(run["expected"] for run in mine), 1)
    row["arrived"] = arrived
    row["lost_by_server"] = sum(max(run["lost"] - run["overflowed"], 0) for run in mine)
    row["delay_p50_ms"], row["delay_p99_ms"] = (
        # A mix has other payloads than its sources: nothing to tell its delay by.
        None if name == "kabina, mixed" else statistics.median(_delay(run, i) for run in mine)
        for i in (0, 1)
    )
    row["threads"] = max(run["threads"] for run in mine)
    row["profile"] = mine[0]["profile"]
    notes = ", ".join(f"{key} {value}" for key, value in mine[0]["notes"].items())
    busy = median("cpu_s") / mine[0]["measured_s"]
    saturated = f"saturated ({busy:.0%} of a core)" if arrived < 0.9 else ""
    row["note"] = "; ".join(filter(None, (notes, saturated)))
    return row


def _with_idle(run: Run) -> float:
    return float(run["cpu_s"] * 1e6 / max(run["packets"], 1))


def _delay(run: Run, quantile: int) -> float:
    """In ms; what is over a second counts as one."""
    return float(run["delays_ms"][quantile] or 1000.0)
