"""Coded refusals on the wire, and the HTTP status of each code (docs/protocol.md, "Errors")."""

from __future__ import annotations

from typing import Final

STATUS: Final[dict[str, int]] = {
    "message.malformed": 400,
    "message.too_large": 413,
    "message.rate": 429,
    "protocol.version": 400,
    "protocol.order": 409,
    "token.missing": 401,
    "token.invalid": 401,
    "token.expired": 401,
    "token.forbidden": 403,
    "meeting.unknown": 404,
    "channel.unknown": 404,
    "channel.held": 409,
    "booth.unknown": 404,
    "booth.full": 409,
    "booth.not_joined": 409,
    "floor.full": 409,
    "floor.not_held": 409,
    "sdp.malformed": 400,
    "sdp.too_large": 413,
    "sdp.unsupported": 422,
    "session.unknown": 404,
    "method.not_allowed": 405,
    "precondition.missing": 428,
    "precondition.failed": 412,
    "media_type.unsupported": 415,
    "page.unknown": 404,
    "server.full": 503,
    "server.closing": 503,
    "server.internal": 500,
}


class CodedError(Exception):
    """Root of this package's refusals; the code is stable and in STATUS, the text may change."""

    def __init__(self, code: str, message: str, **details: str) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


class StartError(Exception):
    """The server or a command cannot run; the text says what to do about it."""
