"""What persists: meetings, in SQLite beside the signing key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from kabina.interpretation.errors import InterpretationError
from kabina.interpretation.ids import MeetingId
from kabina.interpretation.spec import MeetingSpec
from kabina.signaling.errors import StartError
from kabina.signaling.schema import MeetingRow

if TYPE_CHECKING:
    from sqlalchemy import Connection

DATABASE_FILE: Final = "kabina.sqlite3"
_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",  # a command line beside a running server reads while it writes
    "PRAGMA synchronous=NORMAL",
    "PRAGMA busy_timeout=5000",
    "PRAGMA foreign_keys=ON",
)
# The id stands in links, paths and labels; `floor`-like words are no danger, a slash would be.
_MEETING_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Store:
    """Async access to the node's database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)

    @classmethod
    async def open(cls, data_dir: Path) -> Store:
        """Opens or creates the database and brings it up to date. StartError if it cannot."""
        path = data_dir / DATABASE_FILE
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
        event.listen(engine.sync_engine, "connect", _set_pragmas)
        try:
            data_dir.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - once, at start
            async with engine.begin() as connection:
                await connection.run_sync(_migrate)
        except CommandError as error:
            await engine.dispose()
            raise StartError(f"the database {path} was made by a newer Kabina: update") from error
        except (OSError, SQLAlchemyError) as error:
            await engine.dispose()
            raise StartError(
                f"the database {path} cannot be opened: {_first_line(error)}"
            ) from error
        return cls(engine)

    async def close(self) -> None:
        await self._engine.dispose()

    async def create_meeting(self, spec: MeetingSpec) -> None:
        """StartError if the id is taken."""
        try:
            async with self._sessions.begin() as session:
                session.add(_row_of(spec))
        except IntegrityError:
            raise StartError(f"there is already a meeting {spec.meeting_id!r}") from None

    async def put_meeting(self, spec: MeetingSpec) -> None:
        """Creates the meeting or makes it equal to `spec`."""
        async with self._sessions.begin() as session:
            await session.merge(_row_of(spec))

    async def meeting(self, meeting_id: str) -> MeetingSpec | None:
        async with self._sessions() as session:
            row = await session.get(MeetingRow, meeting_id)
            return None if row is None else _spec_of(row)

    async def meetings(self) -> list[MeetingSpec]:
        async with self._sessions() as session:
            rows = await _all_rows(session)
            return [_spec_of(row) for row in rows]


def meeting_spec(name: str, *, title: str, floor: str, languages: tuple[str, ...]) -> MeetingSpec:
    """A checked spec from what a person typed; StartError says what to change."""
    if not _MEETING_ID.fullmatch(name):
        raise StartError(f"{name!r} cannot be a meeting's name: it takes 1–63 of a–z, 0–9, - and _")
    try:
        return MeetingSpec(MeetingId(name), title or name, floor, languages)
    except InterpretationError as error:
        raise StartError(str(error)) from None


async def _all_rows(session: AsyncSession) -> list[MeetingRow]:
    return list(await session.scalars(select(MeetingRow).order_by(MeetingRow.created_at)))


def _row_of(spec: MeetingSpec) -> MeetingRow:
    return MeetingRow(
        id=spec.meeting_id,
        title=spec.title,
        floor_language=spec.floor_language,
        languages=list(spec.languages),
    )


def _spec_of(row: MeetingRow) -> MeetingSpec:
    return MeetingSpec(MeetingId(row.id), row.title, row.floor_language, tuple(row.languages))


def _set_pragmas(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _migrate(connection: Connection) -> None:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    head = ScriptDirectory.from_config(config).get_current_head()
    if MigrationContext.configure(connection).get_current_revision() != head:
        command.upgrade(config, "head")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
