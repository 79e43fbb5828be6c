"""Short-lived TURN credentials, for clients whose network lets no UDP through.

The server hands out what coturn's `use-auth-secret` checks (the TURN REST convention): a user name
that is its own expiry, and its HMAC-SHA1 under a secret that both know. Pure: time comes in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

VALID_FOR_S: Final = 12 * 3600  # a long day of meetings; a page asks anew with every join


@dataclass(frozen=True, slots=True)
class IceServer:
    """One entry of a client's `iceServers`."""

    urls: tuple[str, ...]
    username: str
    credential: str

    @property
    def links(self) -> tuple[str, ...]:
        """The `Link` header values of RFC 9725 §4.6, one per URL."""
        return tuple(
            f'<{url}>; rel="ice-server"; username="{self.username}"; '
            f'credential="{self.credential}"; credential-type="password"'
            for url in self.urls
        )


def ice_servers(
    urls: tuple[str, ...], secret: str, participant: str, *, unix_time_s: float
) -> tuple[IceServer, ...]:
    """Credentials for one participant; none without URLs or a secret."""
    if not urls or not secret:
        return ()
    username = f"{int(unix_time_s) + VALID_FOR_S}:{participant}"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return (IceServer(urls, username, base64.b64encode(digest).decode()),)
