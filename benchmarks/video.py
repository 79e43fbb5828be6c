"""1 Mb/s of video to N viewers: not measured yet."""

from __future__ import annotations


def rows() -> list[dict[str, object]]:
    """One row that says why there is none."""
    return [{"video": "skipped", "reason": "the load generator publishes no video sections yet"}]
