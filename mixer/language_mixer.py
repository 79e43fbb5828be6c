"""The mix engine of a node, shared by its meetings: sources in, a row per channel out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kabina.mixer.errors import MixerFullError
from kabina.mixer.policy import POLICIES, ducking
from kabina.native.libraries import load_opus
from kabina.native.mixing import MixEngine, RowPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kabina.mixer.policy import RowKind
    from kabina.mixer.rows import MixRow
    from kabina.native.mixing import RowReadings, SourceReadings


class LanguageMixer:
    """Owns the mix thread. Each meeting states its rows, the engine gets all as one plan."""

    def __init__(self, *, bus: object, matches_loudness: bool = True) -> None:
        """`bus` is the plane's junction; with `matches_loudness` voices are mixed at one loudness.

        LibraryError if no libopus can be loaded.
        """
        self.engine = MixEngine(bus=bus, opus=load_opus(), rides=matches_loudness)
        self._rows: dict[str, tuple[RowPlan, ...]] = {}

    def start(self) -> None:
        self.engine.start()

    def close(self) -> None:
        self.engine.stop()

    def open_source(self) -> int:
        """A source fed by RTP; its number goes into the plane's track. MixerFullError."""
        try:
            return self.engine.add_source()
        except BufferError as error:
            raise MixerFullError("this server can mix no further voices") from error

    def open_clip(self, samples: NDArray[np.float32], *, loop: bool) -> int:
        """Prepared audio as a source: float32, (samples,), 48 kHz mono; copied. Starts paused."""
        return self.engine.add_clip(samples, loop=loop)

    def play_clip(self, source: int, *, playing: bool, rewind: bool = False) -> None:
        self.engine.play_clip(source, playing, rewind=rewind)

    def close_source(self, source: int) -> None:
        self.engine.remove_source(source)

    def open_row(self, track: int, kind: RowKind) -> int:
        """A row whose packets the plane sends as injected track `track`. MixerFullError."""
        try:
            return self.engine.add_row(track, POLICIES[kind].voice)
        except BufferError as error:
            raise MixerFullError("this server can mix no further channels") from error

    def close_row(self, row: int) -> None:
        self.engine.remove_row(row)

    def set_rows(self, meeting: str, rows: Sequence[MixRow]) -> None:
        """States the whole truth about one meeting's rows; no rows forgets the meeting."""
        plans = tuple(
            RowPlan(
                row=row.row,
                floor=row.floor,
                interpreters=row.interpreters,
                heard=row.heard,
                loss_percent=row.loss_percent,
                ducking=ducking(POLICIES[row.kind], row.original_db, is_new=row.is_new),
            )
            for row in rows
        )
        others = {name: rows for name, rows in self._rows.items() if name != meeting}
        everything = {**others, meeting: plans} if plans else others
        # Kept only when the engine took it: one meeting's refused rows must not stop the others.
        self.engine.apply([plan for rows in everything.values() for plan in rows])
        self._rows = everything

    def source_readings(self, source: int) -> SourceReadings:
        return self.engine.source_readings(source)

    def row_readings(self, row: int) -> RowReadings:
        return self.engine.row_readings(row)
