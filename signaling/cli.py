"""The command `kabina`. Errors are one line on stderr and exit code 2."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from kabina.interpretation.ids import FLOOR, Role
from kabina.interpretation.languages import language
from kabina.signaling import config as configuration
from kabina.signaling import logs
from kabina.signaling.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kabina.interpretation.spec import MeetingSpec
    from kabina.signaling.config import Config
    from kabina.signaling.demo.meeting import DemoLink


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise StartError(f"{message} (see '{self.prog} --help')")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    try:
        options = _parser().parse_args(arguments)
        return int(options.run(options))
    except StartError as error:
        print(f"kabina: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="kabina", description="Multilingual meetings with simultaneous interpretation."
    )
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    parser.set_defaults(run=_print_help_or_version, parser=parser)
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser)

    serve = commands.add_parser("serve", help="run the server")
    serve.set_defaults(run=_serve)
    _add_common(serve)
    serve.add_argument(
        "--host",
        action="append",
        metavar="IP",
        help="address for HTTP and media (default 127.0.0.1); twice for IPv4 and IPv6",
    )
    serve.add_argument("--port", type=int, help="TCP port for HTTP (default 8080; 0: any)")
    serve.add_argument(
        "--media-port", type=int, help="UDP and TCP port for media (default: the one after --port)"
    )
    _add_media_tcp(serve)
    serve.add_argument(
        "--public-ip",
        action="append",
        metavar="IP",
        help="address that clients send media to; twice for IPv4 and IPv6",
    )
    serve.add_argument("--demo", action="store_const", const=True, help="run the demo meeting")
    serve.add_argument("--log-level", help="debug, info, warning or error")
    serve.add_argument("--log-format", help="text or json")

    meeting = commands.add_parser("meeting", help="create and list meetings")
    meeting.set_defaults(run=_print_help_or_version, parser=meeting, version=False)
    actions = meeting.add_subparsers(metavar="ACTION", parser_class=_Parser)
    create = actions.add_parser("create", help="create a meeting")
    create.set_defaults(run=_create_meeting)
    _add_common(create)
    create.add_argument("name", metavar="NAME", help="its name in links: a–z, 0–9, - and _")
    create.add_argument("--title", default="", help="its title on the pages (default: the name)")
    create.add_argument(
        "--floor", required=True, metavar="LANGUAGE", help="spoken at the start: en"
    )
    create.add_argument(
        "--languages", required=True, metavar="LANGUAGE,…", help="interpreted into: fr,sq"
    )
    listing = actions.add_parser("list", help="list the meetings")
    listing.set_defaults(run=_list_meetings)
    _add_common(listing)

    token = commands.add_parser("token", help="print a join token")
    token.set_defaults(run=_print_token)
    _add_common(token)
    token.add_argument("--meeting", required=True, metavar="NAME")
    token.add_argument("--role", required=True, choices=[role.value for role in Role])
    token.add_argument(
        "--language", action="append", default=[], help="an interpreter's channel; may be repeated"
    )
    token.add_argument("--name", default="", help="shown to others (default: a numbered role)")
    token.add_argument("--hours", type=float, default=12.0, help="valid for (default 12)")

    bench = commands.add_parser("bench", help="measure this machine; without a name: what there is")
    bench.set_defaults(run=_bench)
    bench.add_argument("name", nargs="?", metavar="NAME")
    bench.add_argument("--json", type=Path, metavar="FILE", help="write the rows here, too")
    bench.add_argument(
        "--egress-threads", type=int, metavar="N", help="beside the media thread (default: 0)"
    )
    bench.add_argument(
        "--verify",
        type=Path,
        metavar="FILE",
        help="check a signed report (iso) and measure nothing",
    )

    check = commands.add_parser("check", help="is this machine ready? says how to mend what is not")
    check.set_defaults(run=_check)
    _add_common(check)
    check.add_argument("--host", action="append", metavar="IP")
    check.add_argument("--port", type=int)
    check.add_argument("--media-port", type=int)
    _add_media_tcp(check)
    return parser


def _add_media_tcp(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-media-tcp",
        dest="media_tcp",
        action="store_const",
        const=False,
        help="media over UDP alone: networks without UDP then need TURN",
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=Path, help="database and keys (default var/kabina)")
    parser.add_argument("--config", type=Path, help="a TOML file with the same settings")


def _config(options: argparse.Namespace) -> Config:
    flags = {
        key: value
        for key, value in vars(options).items()
        if key in configuration.Config.__dataclass_fields__
    }
    return configuration.load(flags, os.environ, options.config)


def _print_help_or_version(options: argparse.Namespace) -> int:
    if options.version:
        from kabina.signaling.node import version

        print(version())
        return 0
    options.parser.print_help()
    return 0 if options.parser.prog == "kabina" else 2


def _bench(options: argparse.Namespace) -> int:
    from importlib.metadata import entry_points

    # By entry point: the benchmarks sit above this package and may be left out of an installation.
    found = [*entry_points(group="kabina.commands", name="bench")]
    if not found:
        raise StartError("the benchmarks are not part of this installation")
    run = found[0].load()
    return int(run(options.name, options.json, options.egress_threads or 0, options.verify))


def _serve(options: argparse.Namespace) -> int:
    from kabina.signaling import server

    config = _config(options)
    logs.set_up(config.log_level, config.log_format)
    server.run(config, _print_links)
    return 0


def _print_links(url: str, links: tuple[DemoLink, ...]) -> None:
    print(f"Kabina is ready: {url}" + (" — open it, or one of these:" if links else ""))
    for link in links:
        print(f"  {link.label:<16} {url}{link.path}")
    sys.stdout.flush()


def _create_meeting(options: argparse.Namespace) -> int:
    from kabina.signaling.store import Store, meeting_spec

    tags = tuple(tag.strip() for tag in options.languages.split(",") if tag.strip())
    spec = meeting_spec(options.name, title=options.title, floor=options.floor, languages=tags)
    data_dir = _config(options).data_dir

    async def create() -> None:
        store = await Store.open(data_dir)
        try:
            await store.create_meeting(spec)
        finally:
            await store.close()

    asyncio.run(create())
    print(spec.meeting_id)
    return 0


def _list_meetings(options: argparse.Namespace) -> int:
    from kabina.signaling.store import Store

    data_dir = _config(options).data_dir

    async def read() -> list[MeetingSpec]:
        store = await Store.open(data_dir)
        try:
            return await store.meetings()
        finally:
            await store.close()

    for spec in asyncio.run(read()):
        names = ", ".join(language(tag).autonym for tag in spec.channels)
        print(f"{spec.meeting_id}\t{spec.title}\t{names}")
    return 0


def _print_token(options: argparse.Namespace) -> int:
    from kabina.signaling.store import Store
    from kabina.signaling.tokens import TokenIssuer

    role = Role(options.role)
    if role is Role.INTERPRETER and not options.language:
        raise StartError("an interpreter's token needs --language, once per channel")
    if not 0 < options.hours <= 24 * 366:
        raise StartError("--hours must be over 0 and at most a year")
    data_dir = _config(options).data_dir

    async def read() -> MeetingSpec | None:
        store = await Store.open(data_dir)
        try:
            return await store.meeting(options.meeting)
        finally:
            await store.close()

    spec = asyncio.run(read())
    if spec is None:
        raise StartError(f"there is no meeting {options.meeting!r}: see 'kabina meeting list'")
    for tag in options.language:
        if tag not in spec.channels or tag == FLOOR:
            raise StartError(
                f"the meeting {spec.meeting_id!r} has no channel {tag!r}: it has "
                f"{', '.join(spec.channels)}"
            )
    issuer = TokenIssuer.open(data_dir)
    print(
        issuer.issue(
            meeting=spec.meeting_id,
            role=role,
            languages=frozenset(options.language),
            name=options.name,
            valid_for=timedelta(hours=options.hours),
        )
    )
    return 0


def _check(options: argparse.Namespace) -> int:
    from kabina.signaling.check import run_checks

    findings = run_checks(_config(options))
    for finding in findings:
        print(finding.line)
    return 2 if any(finding.failed for finding in findings) else 0
