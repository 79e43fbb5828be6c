"""Join tokens: JWT signed with EdDSA, by a key that lives in the data directory."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kabina.interpretation.ids import Role
from kabina.signaling.errors import CodedError, StartError

if TYPE_CHECKING:
    from pathlib import Path

ALGORITHM: Final = "EdDSA"
AUDIENCE: Final = "kabina"
LEEWAY_S: Final = 30
KEY_FILE: Final = "signing-key.pem"
MAX_NAME_CHARS: Final = 80


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid token says."""

    subject: str
    name: str
    meeting: str
    role: Role
    languages: frozenset[str]


class TokenIssuer:
    """Signs and checks tokens; algorithm and key id are pinned, a token cannot choose them."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._private = key
        self._public = key.public_key()
        raw = self._public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self._key_id = hashlib.sha256(raw).hexdigest()[:16]

    @classmethod
    def open(cls, data_dir: Path) -> TokenIssuer:
        """The data directory's key, made on first use (0600). StartError if it cannot be read."""
        path = data_dir / KEY_FILE
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                _create_key(path)
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, UnsupportedAlgorithm) as error:
            raise StartError(f"the signing key {path} cannot be read: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise StartError(f"{path} is not an Ed25519 key; move it away and start again")
        return cls(key)

    def issue(
        self,
        *,
        meeting: str,
        role: Role,
        languages: frozenset[str] = frozenset(),
        name: str = "",
        valid_for: timedelta,
    ) -> str:
        now = datetime.now(UTC)
        claims = {
            "aud": AUDIENCE,
            "sub": secrets.token_hex(8),
            "jti": secrets.token_hex(8),
            "iat": now,
            "nbf": now,
            "exp": now + valid_for,
            "meeting": meeting,
            "role": role.value,
            "languages": sorted(languages),
        }
        if name:
            claims["name"] = name
        return jwt.encode(claims, self._private, algorithm=ALGORITHM, headers={"kid": self._key_id})

    def check(self, token: str, *, is_expired_good: bool = False) -> Grant:
        """The grant of a valid token; CodedError `token.invalid` or `token.expired` otherwise.

        `is_expired_good`: its time may be over, for who ends what they began with it.
        """
        try:
            if jwt.get_unverified_header(token).get("kid") != self._key_id:
                raise CodedError("token.invalid", "This token was not issued by this server.")
            claims = jwt.decode(
                token,
                self._public,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                leeway=LEEWAY_S,
                options={
                    "require": ["aud", "exp", "sub", "meeting", "role"],
                    "verify_exp": not is_expired_good,
                },
            )
        except jwt.ExpiredSignatureError:
            raise CodedError("token.expired", "This invitation has expired.") from None
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            raise CodedError("token.invalid", "This token was not issued by this server.") from None
        return _grant_of(claims)


def _grant_of(claims: dict[str, object]) -> Grant:
    subject, name, meeting = claims["sub"], claims.get("name", ""), claims["meeting"]
    languages = claims.get("languages", [])
    try:
        role = Role(claims["role"])
    except ValueError:
        raise CodedError("token.invalid", "This token names an unknown role.") from None
    if not (
        isinstance(subject, str)
        and isinstance(name, str)
        and isinstance(meeting, str)
        and isinstance(languages, list)
        and all(isinstance(tag, str) for tag in languages)
    ):
        raise CodedError("token.invalid", "This token's claims have the wrong types.")
    printable = re.sub(r"[\x00-\x1f\x7f]", "", name)[:MAX_NAME_CHARS]
    return Grant(subject, printable, meeting, role, frozenset(languages))


def _create_key(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # Written aside and linked into place: of two processes that start at once, one key wins whole.
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        os.unlink(aside)
