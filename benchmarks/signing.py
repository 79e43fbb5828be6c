"""Reports signed with the node's key: who measured, and that nothing was changed since.

The file is JSON: `report`, and `signature` over its canonical form. The node's key is the one in
its data directory that signs invitations; a prefix keeps the two kinds of signatures apart.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from kabina.signaling.config import Config
from kabina.signaling.tokens import KEY_FILE, TokenIssuer

# No JWT begins like this: its signed form is base64 with a dot.
_PREFIX: Final = b"kabina report 1\n"


class ReportError(Exception):
    """Not a signed report, or one that was changed; the text says which."""


def node_key(data_dir: Path | None = None) -> Ed25519PrivateKey:
    """The key in KABINA_DATA_DIR (default var/kabina), made on first use as the server would.

    StartError when it cannot be read.
    """
    folder = data_dir or Path(os.environ.get("KABINA_DATA_DIR", str(Config().data_dir)))
    TokenIssuer.open(folder)
    key = load_pem_private_key((folder / KEY_FILE).read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def key_id(public: Ed25519PublicKey) -> str:
    """As in a token's `kid`."""
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def signed(report: dict[str, object], key: Ed25519PrivateKey) -> str:
    """The file's text."""
    public = key.public_key()
    signature = {
        "algorithm": "Ed25519",
        "key_id": key_id(public),
        "public_key": _text(public.public_bytes(Encoding.Raw, PublicFormat.Raw)),
        "value": _text(key.sign(_PREFIX + _canonical(report))),
    }
    return json.dumps({"report": report, "signature": signature}, indent=2) + "\n"


def verified(path: Path) -> tuple[dict[str, Any], str]:
    """The report and the id of the key that signed it; ReportError when that is not so.

    Files that the report names (`documents`: name → SHA-256) must lie beside it unchanged.
    """
    try:
        whole = json.loads(path.read_text())
        report, signature = whole["report"], whole["signature"]
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(signature["public_key"]))
        value = base64.b64decode(signature["value"])
        documents = dict(report.get("documents", {}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReportError(f"{path} is not a signed report: {error!r}") from error
    try:
        public.verify(value, _PREFIX + _canonical(report))
    except InvalidSignature as error:
        raise ReportError(f"{path} was changed after it was signed") from error
    for name, digest in documents.items():
        beside = path.with_name(Path(name).name)
        if not beside.exists():
            raise ReportError(f"{beside} is missing")
        if sha256(beside.read_bytes()) != digest:
            raise ReportError(f"{beside} was changed after it was signed")
    return report, key_id(public)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _canonical(report: dict[str, object]) -> bytes:
    """Sorted keys, no blanks, UTF-8; NaN is not JSON: ValueError."""
    return json.dumps(
        report, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
