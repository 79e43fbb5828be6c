"""The command `kabina` as people type it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import jwt
import pytest

from kabina_sim.server_process import run_kabina

if TYPE_CHECKING:
    from collections.abc import Callable

    from kabina_sim.server_process import ServerProcess

KABINA = Path(sys.executable).with_name("kabina")


def refused(*arguments: str) -> str:
    """The one line of a command that must fail with exit code 2."""
    done = subprocess.run([KABINA, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_meeting_made_beside_a_running_server_is_there_at_once(
    start_server: Callable[..., ServerProcess],
):
    server = start_server()
    assert server.kabina("meeting", "list") == ""
    made = server.kabina("meeting", "create", "m", "--floor", "en", "--languages", "fr,sq")
    assert made == "m\n"
    assert server.kabina("meeting", "list") == "m\tm\tEnglish, Français, Shqip\n"
    assert "Traceback" not in server.log.read_text()


def test_a_token_is_printed_alone_and_says_what_was_asked_for(tmp_path: Path):
    data = ("--data-dir", str(tmp_path))
    run_kabina("meeting", "create", "m", "--floor", "en", "--languages", "fr,sr-Latn", *data)
    printed = run_kabina(
        "token", "--meeting", "m", "--role", "interpreter", "--language", "sr-Latn", *data
    )
    claims = jwt.decode(printed.strip(), options={"verify_signature": False})
    assert printed.count("\n") == 1
    assert (claims["meeting"], claims["role"], claims["languages"]) == (
        "m",
        "interpreter",
        ["sr-Latn"],
    )


def test_what_cannot_be_done_is_one_line_and_exit_code_2(tmp_path: Path):
    data = ("--data-dir", str(tmp_path / "data"))
    create = ("meeting", "create")
    run_kabina(*create, "m", "--floor", "en", "--languages", "fr", *data)
    assert "already" in refused(*create, "m", "--floor", "en", "--languages", "fr", *data)
    assert "name" in refused(*create, "A b", "--floor", "en", "--languages", "fr", *data)
    assert "language" in refused(*create, "n", "--floor", "e n", "--languages", "fr", *data)
    assert "twice" in refused(*create, "n", "--floor", "en", "--languages", "fr,fr", *data)
    assert "no meeting" in refused("token", "--meeting", "x", "--role", "attendee", *data)
    assert "--language" in refused("token", "--meeting", "m", "--role", "interpreter", *data)
    assert "no channel" in refused(
        "token", "--meeting", "m", "--role", "interpreter", "--language", "de", *data
    )
    assert "invalid choice" in refused("token", "--meeting", "m", "--role", "king", *data)
    assert "invalid choice" in refused("dance")
    assert "--port" in refused("serve", "--port", "70000", *data)
    assert "--port" in refused("serve", "--port", "many", *data)
    (tmp_path / "file").write_text("")
    assert "database" in refused("serve", "--port", "0", "--data-dir", str(tmp_path / "file"))


def test_a_taken_port_is_named_with_its_flag(
    start_server: Callable[..., ServerProcess], tmp_path: Path
):
    server = start_server()
    port = server.url.rsplit(":", 1)[1]
    data = ("--data-dir", str(tmp_path / "other"))
    assert "--port" in refused("serve", "--port", port, "--media-port", "0", *data)


def test_check_says_of_everything_whether_it_is_well(tmp_path: Path):
    data = ("--data-dir", str(tmp_path))
    lines = run_kabina("check", "--port", "0", "--media-port", "0", *data).splitlines()
    for what in (
        "Python",
        "libopus",
        "libsrtp",
        "libcrypto",
        "HTTP port",
        "media port",
        "FIFO",
        "clock",
    ):
        assert any(what in line for line in lines), what
    assert not any(line.startswith("FAIL") for line in lines)


def test_check_refuses_python_without_assertions(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-O", str(KABINA), "check", "--port", "0", "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "FAIL Python" in done.stdout


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("serve", "--help")])
def test_help_and_version_are_there(arguments: tuple[str, ...]):
    assert run_kabina(*arguments)
