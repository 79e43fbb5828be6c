"""The server's settings: flags over environment (`KABINA_*`) over a TOML file over defaults."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kabina.signaling.addresses import MediaAddresses, media_addresses
from kabina.signaling.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PORT = 8080
# One core for the media thread and one for Python and the mix thread: what is left may protect and
# send. Four do so for 20,000 listeners (docs/decisions/007-egress-threads.md).
RESERVED_CORES = 2
USUAL_EGRESS_THREADS = 4
MOST_EGRESS_THREADS = 16  # KB_SHARDS_MOST
_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}


@dataclass(frozen=True, slots=True)
class Config:
    host: tuple[str, ...] = ("127.0.0.1",)  # HTTP and media; a public server says 0.0.0.0
    port: int = DEFAULT_PORT  # TCP; 0 = any free one
    media_port: int = -1  # UDP and TCP; -1 = the one after `port`
    media_tcp: bool = True  # for clients whose network lets no UDP through
    media_udp: bool = True  # False: not announced, which sends everybody over TCP
    media_connections: int = 1000  # TCP ones at most
    egress_threads: int = -1  # that protect and send beside the media thread; -1 = by the cores
    # Voices that are mixed are brought to −20 LUFS, by 12 dB at most. Off: as loud as they come.
    match_loudness: bool = True
    data_dir: Path = Path("var/kabina")
    public_ip: tuple[str, ...] = ()  # announced in answers; empty = found out
    demo: bool = False
    log_level: str = "info"
    log_format: str = "text"  # or "json"
    turn_urls: tuple[str, ...] = ()  # turn:turn.example.org:3478?transport=tcp
    turn_secret: str = ""  # coturn's static-auth-secret
    allowed_origins: tuple[str, ...] = ()  # further origins of pages, beside the server's own
    # Connections of one address that have not yet said who they are; 0: no cap. A hall whose guests
    # share one address and come at once wants more.
    max_waiting_per_ip: int = 20
    # WHIP and WHEP sessions that one token may start, ten times as many at once. A hall may share
    # one attendee's link.
    whip_posts_per_s: int = 2
    whep_posts_per_s: int = 100

    @property
    def effective_media_port(self) -> int:
        """HTTP and media both want TCP, so two numbers; 0 stays 0, any free one."""
        after = self.port + 1 if self.port else 0
        return after if self.media_port < 0 else self.media_port

    @property
    def effective_media_connections(self) -> int:
        return self.media_connections if self.media_tcp else 0

    @property
    def effective_egress_threads(self) -> int:
        """None with one or two cores: they would only take turns with the media thread."""
        if self.egress_threads >= 0:
            return self.egress_threads
        return max(0, min(usable_cores() - RESERVED_CORES, USUAL_EGRESS_THREADS))

    def media_addresses(self) -> MediaAddresses:
        return media_addresses(self.host, self.public_ip)


def usable_cores() -> int:
    """Those that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load(
    flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None = None
) -> Config:
    """StartError for an unknown key, a value of the wrong kind or an unusable address."""
    config = Config()
    path = file or (Path(environment["KABINA_CONFIG"]) if "KABINA_CONFIG" in environment else None)
    if path is not None:
        config = _overlay(config, _read_file(path), f"{path}: ")
    from_environment = {
        field.name: environment[f"KABINA_{field.name.upper()}"]
        for field in fields(Config)
        if f"KABINA_{field.name.upper()}" in environment
    }
    config = _overlay(config, from_environment, "environment: KABINA_")
    config = _overlay(config, {k: v for k, v in flags.items() if v is not None}, "--")
    _check(config)
    return config


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StartError(f"the configuration file {path} cannot be read: {error}") from error


def _overlay(config: Config, values: Mapping[str, Any], source: str) -> Config:
    known = {field.name for field in fields(Config)}
    for key, value in values.items():
        if key not in known:
            raise StartError(
                f"{source}{key}: no such setting; there are {', '.join(sorted(known))}"
            )
        try:
            config = replace(config, **{key: _converted(getattr(config, key), value)})
        except (ValueError, TypeError, KeyError):
            raise StartError(f"{source}{key}: {value!r} is not usable here") from None
    return config


def _converted(default: object, value: Any) -> Any:  # noqa: ANN401 - from TOML or a string
    if isinstance(default, bool):
        return value if isinstance(value, bool) else _TRUTH[str(value).lower()]
    if isinstance(default, int):
        return int(value)
    if isinstance(default, Path):
        return Path(value)
    if isinstance(default, tuple):
        given = [value] if isinstance(value, str) else value
        items = [item.strip() for each in given for item in str(each).split(",")]
        return tuple(item for item in items if item)
    return str(value)


def _check(config: Config) -> None:
    _check_media(config)
    _check_turn(config)
    for name, least in (
        ("max_waiting_per_ip", 0),
        ("whip_posts_per_s", 1),
        ("whep_posts_per_s", 1),
    ):
        if getattr(config, name) < least:
            raise StartError(f"{name}: {getattr(config, name)} is less than {least}")
    if config.log_level not in ("debug", "info", "warning", "error"):
        raise StartError(f"--log-level: {config.log_level!r} is not debug, info, warning or error")
    if config.log_format not in ("text", "json"):
        raise StartError(f"--log-format: {config.log_format!r} is not text or json")


def _check_media(config: Config) -> None:
    if not 0 <= config.port <= 65535:
        raise StartError(f"--port: {config.port} is not a port (0 to 65535)")
    if not -1 <= config.media_port <= 65535:
        raise StartError(f"--media-port: {config.media_port} is not a port (0 to 65535)")
    if config.effective_media_port > 65535:
        raise StartError("--media-port: there is none after --port 65535, choose one")
    if config.media_tcp and config.port and config.port == config.effective_media_port:
        raise StartError(
            "--media-port: HTTP and media both listen for TCP on it; choose another one, or "
            "--no-media-tcp"
        )
    if not 1 <= config.media_connections <= 65534:
        raise StartError(f"media_connections: {config.media_connections} is not 1 to 65534")
    if not -1 <= config.egress_threads <= MOST_EGRESS_THREADS:
        raise StartError(
            f"egress_threads: {config.egress_threads} is not 0 to {MOST_EGRESS_THREADS}, or -1"
        )
    if not config.media_udp and not config.media_tcp:
        raise StartError("media_udp and media_tcp are both off: nobody could connect")
    if not config.host:
        raise StartError("--host: an address is needed")
    config.media_addresses()


def _check_turn(config: Config) -> None:
    if bool(config.turn_urls) != bool(config.turn_secret):
        raise StartError("turn_urls and turn_secret belong together: set both or neither")
    for url in config.turn_urls:
        if not url.startswith(("turn:", "turns:")):
            raise StartError(f"turn_urls: {url!r} does not begin with turn: or turns:")
