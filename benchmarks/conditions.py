"""Under which conditions a figure was measured; every row carries them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path


def conditions() -> dict[str, object]:
    """CPU, kernel, load, versions and commit of this run."""
    from kabina.native.libraries import load_opus, load_srtp

    opus, srtp = load_opus(), load_srtp()
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "egress_threads": egress_threads(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "python": platform.python_version(),
        "aiortc": importlib.metadata.version("aiortc"),
        "libopus": f"{opus.version} ({opus.source})",
        "libsrtp": f"{srtp.version} ({srtp.source})",
        "commit": _commit(),
    }


def egress_threads() -> int:
    """What this run's planes have beside their own thread (`kabina bench --egress-threads`)."""
    return int(os.environ.get("KABINA_EGRESS_THREADS", "0"))


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).resolve().parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


class ProcessCost:
    """CPU seconds of a process and of its threads, and its memory, from /proc."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._folder = Path(f"/proc/{pid}")
        # clock_getcpuclockid(3), CPUCLOCK_SCHED: all threads, also ended ones, in nanoseconds.
        self._clock = (~pid << 3) | 2
        self._tick_s = 1 / os.sysconf("SC_CLK_TCK")

    def cpu_s(self) -> float:
        return time.clock_gettime(self._clock)

    def threads_s(self) -> dict[str, float]:
        """CPU seconds by thread name; threads of one name are added up."""
        sums: dict[str, float] = {}
        for task in (self._folder / "task").iterdir():
            try:
                name = (task / "comm").read_text().strip()
                sums[name] = sums.get(name, 0.0) + self._of(task / "stat")
            except FileNotFoundError:  # it ended meanwhile
                continue
        return sums

    def thread_count(self) -> int:
        return len(os.listdir(self._folder / "task"))

    def memory_bytes(self) -> int:
        pages = int((self._folder / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _of(self, stat: Path) -> float:
        # The name may hold blanks and brackets: count from the last bracket (proc(5): utime is
        # field 14, stime 15).
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * self._tick_s
