"""What the mixer refuses; the code is stable, the text may change."""

from __future__ import annotations

from typing import ClassVar


class MixerError(Exception):
    """Root of this package's errors; `code` is listed in docs/protocol.md."""

    code: ClassVar[str] = "server.internal"


class MixerFullError(MixerError):
    """Every source or row of the engine is in use."""

    code = "server.full"
