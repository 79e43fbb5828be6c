"""A real `kabina serve` in its own process, on free ports, with its own data directory.

Run as a script it is that process: SIGUSR1 then blocks its event loop for 500 ms, a hook that the
product does not have.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kabina.benchmarks.relay import Relay


@dataclass
class ServerProcess:
    url: str
    data_dir: Path
    log: Path
    process: subprocess.Popen[str]

    def kabina(self, *arguments: str) -> str:
        """The output of a `kabina` command on this server's data directory."""
        return run_kabina(*arguments, "--data-dir", str(self.data_dir))

    def token(self, meeting: str, role: str, *languages: str, name: str = "") -> str:
        options = [option for tag in languages for option in ("--language", tag)]
        if name:
            options += ["--name", name]
        return self.kabina("token", "--meeting", meeting, "--role", role, *options).strip()

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"{self.url}/metrics") as response:  # noqa: S310 - loopback
            text = response.read().decode()
        match = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert match, f"no metric {name}"
        return float(match.group(1))

    def threads_and_files(self) -> tuple[int, int]:
        root = Path("/proc") / str(self.process.pid)
        return len(list((root / "task").iterdir())), len(list((root / "fd").iterdir()))

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def media_port(self) -> int:
        from kabina.benchmarks.server import media_port_in

        return media_port_in(self.log)

    def relay(self, **options: Any) -> Relay:
        """A bad network in front of the media port, to be entered; clients go through it if they
        move their answer's candidate (`relay` of the clients here). Started with `--public-ip
        127.0.0.2` the server sends every client to a relay that listens there on `media_port`.
        """
        from kabina.benchmarks.relay import Relay

        return Relay(("127.0.0.1", self.media_port), **options)

    def kill(self) -> None:
        """SIGKILL: nobody is told anything."""
        self.process.kill()
        self.process.wait()

    def block_loop(self) -> None:
        self.process.send_signal(signal.SIGUSR1)

    def stop(self) -> tuple[int, float]:
        """SIGTERM; the exit code and how long it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=20)
        return code, time.monotonic() - started


def start_server(data_dir: Path, *flags: str) -> ServerProcess:
    log = data_dir / "server.log"
    data_dir.mkdir(parents=True, exist_ok=True)
    with log.open("w") as errors:
        process = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__)),
                "serve",
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--media-port",
                "0",
                *(() if "--public-ip" in flags else ("--public-ip", "127.0.0.1")),
                "--data-dir",
                str(data_dir),
                *flags,
            ],
            # Tests measure levels of tones and short sounds: they shall come out as they went in.
            env={"KABINA_MATCH_LOUDNESS": "0", **os.environ},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    match = re.search(r"http://\S+", line)
    if match is None:
        process.kill()
        process.wait()
        raise AssertionError(f"the server did not start: {line!r}\n{log.read_text()}")
    return ServerProcess(match.group(0), data_dir, log, process)


def run_kabina(*arguments: str) -> str:
    return subprocess.run(
        [str(Path(sys.executable).with_name("kabina")), *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def _main() -> int:
    from kabina.signaling.cli import main

    signal.signal(signal.SIGUSR1, lambda *_: time.sleep(0.5))
    return main(sys.argv[1:])


if __name__ == "__main__":
    os._exit(_main())
