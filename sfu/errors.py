"""What `sfu` refuses and why. The code is stable; the text may change."""

from __future__ import annotations

from typing import ClassVar


class SfuError(Exception):
    """Root of this package's errors; `code` is listed in docs/protocol.md."""

    code: ClassVar[str] = "server.internal"


class PeerError(SfuError):
    """The other end sent something unusable; it gets the code, the node goes on."""


class SdpMalformedError(PeerError):
    code = "sdp.malformed"


class SdpTooLargeError(PeerError):
    code = "sdp.too_large"


class SdpUnsupportedError(PeerError):
    code = "sdp.unsupported"


class NodeFullError(SfuError):
    """No room for another peer on this node."""

    code = "server.full"
