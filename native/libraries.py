"""Finds and opens the shared libraries that the C code calls by function table.

The `av` and `pylibsrtp` wheels bring libopus, libsrtp and OpenSSL along, so a C compiler and the
Python headers are all a build needs: nothing is linked, everything is resolved when the first
plane or engine is made.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Source = Literal["bundled", "system", "environment"]

SRTP_SYMBOLS = (
    "srtp_init",
    "srtp_create",
    "srtp_dealloc",
    "srtp_protect",
    "srtp_unprotect",
    "srtp_protect_rtcp",
    "srtp_unprotect_rtcp",
    "srtp_remove_stream",
    "srtp_crypto_policy_set_rtp_default",
    "srtp_crypto_policy_set_aes_gcm_128_16_auth",
    "srtp_get_version_string",
)
CRYPTO_SYMBOLS = ("HMAC", "EVP_sha1", "CRYPTO_memcmp", "OPENSSL_cleanse")
OPUS_SYMBOLS = (
    "opus_get_version_string",
    "opus_encoder_create",
    "opus_encoder_ctl",
    "opus_encode_float",
    "opus_encoder_destroy",
    "opus_decoder_create",
    "opus_decoder_ctl",
    "opus_decode_float",
    "opus_decoder_destroy",
)
RNNOISE_SYMBOLS = (
    "rnnoise_create",
    "rnnoise_destroy",
    "rnnoise_init",
    "rnnoise_process_frame",
    "rnnoise_get_frame_size",
)


class LibraryError(Exception):
    """A shared library that Kabina cannot run without is missing or of a version it cannot use."""

    code: ClassVar[str] = "library.missing"


@dataclass(frozen=True, slots=True)
class Library:
    """An open library; `handle` is dlopen's and stays valid until the process ends."""

    name: str
    path: str
    version: str
    handle: int
    source: Source


def _in_environment(variable: str) -> Iterator[tuple[str, Source]]:
    path = os.environ.get(variable)
    if path:
        yield path, "environment"


def _package_folder(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _opus_paths() -> Iterator[tuple[str, Source]]:
    yield from _in_environment("KABINA_LIBOPUS")
    folder = _package_folder("av")
    if folder is not None:
        # auditwheel puts them beside the package, delocate inside it.
        for pattern in ("../av.libs/libopus*", ".dylibs/libopus*"):
            for path in sorted(folder.glob(pattern)):
                yield str(path.resolve()), "bundled"
    yield from _system_paths("opus", "libopus.so.0")


def _srtp_paths() -> Iterator[tuple[str, Source]]:
    yield from _in_environment("KABINA_LIBSRTP")
    binding = _srtp_binding()
    if binding is not None:
        yield binding, "bundled"
    yield from _system_paths("srtp2", "libsrtp2.so.1")


def _crypto_paths() -> Iterator[tuple[str, Source]]:
    yield from _in_environment("KABINA_LIBCRYPTO")
    binding = _srtp_binding()
    if binding is not None:
        yield binding, "bundled"
    yield from _system_paths("crypto", "libcrypto.so.3")


def _rnnoise_paths() -> Iterator[tuple[str, Source]]:
    yield from _in_environment("KABINA_RNNOISE")
    folder = _package_folder("pyrnnoise")
    if folder is not None:
        for path in sorted(folder.glob("librnnoise.*")):
            yield str(path), "bundled"
    yield from _system_paths("rnnoise", "librnnoise.so.0")


def _srtp_binding() -> str | None:
    """The extension module of pylibsrtp: it exports libsrtp and OpenSSL.

    Nobody promises that, hence the probe for every symbol.
    """
    folder = _package_folder("pylibsrtp")
    found = sorted(folder.glob("_binding*.so")) if folder is not None else []
    return str(found[0]) if found else None


def _system_paths(short_name: str, soname: str) -> Iterator[tuple[str, Source]]:
    yield soname, "system"
    # find_library runs the compiler or ldconfig: only when the usual name did not open.
    found = ctypes.util.find_library(short_name)
    if found and found != soname:
        yield found, "system"


def _load(
    name: str,
    paths: Iterator[tuple[str, Source]],
    symbols: tuple[str, ...],
    version_of: Callable[[ctypes.CDLL], str],
    fix: str,
) -> Library:
    """Opens the first of `paths` that exists and exports `symbols`; LibraryError when none does."""
    refused: list[str] = []
    for path, source in paths:
        try:
            opened = ctypes.CDLL(path)
        except OSError:
            if source == "environment":
                # A path somebody set and that is silently not used is worse than no start.
                raise LibraryError(f"{name}: {path} does not open; {fix}") from None
            continue
        missing = [symbol for symbol in symbols if not hasattr(opened, symbol)]
        if not missing:
            version = version_of(opened)
            return Library(name, path, version, opened._handle, source)
        refused.append(f"{path} has no {missing[0]}")
        if source == "environment":
            break
    reason = "; ".join(refused) or "not found"
    raise LibraryError(f"{name}: {reason}; {fix}")


def _text(opened: ctypes.CDLL, function: str, *arguments: int) -> str:
    call = getattr(opened, function)
    call.restype = ctypes.c_char_p
    answer: bytes = call(*arguments)
    return answer.decode("ascii", "replace")


@cache
def load_opus() -> Library:
    """libopus: KABINA_LIBOPUS, else the av wheel's, else the system's. LibraryError if none."""
    return _load(
        "libopus",
        _opus_paths(),
        OPUS_SYMBOLS,
        lambda opened: _text(opened, "opus_get_version_string").removeprefix("libopus "),
        "install the av wheel (pip install av) or Debian's libopus0",
    )


@cache
def load_srtp() -> Library:
    """libsrtp 2.x, initialised: KABINA_LIBSRTP, else pylibsrtp's, else the system's.

    LibraryError if there is none or it is not 2.x.
    """
    fix = "install the pylibsrtp wheel (pip install pylibsrtp) or libsrtp 2.x with OpenSSL"
    library = _load(
        "libsrtp",
        _srtp_paths(),
        SRTP_SYMBOLS,
        lambda opened: _text(opened, "srtp_get_version_string").split(" ")[-1],
        fix,
    )
    # The policy structure in kb_srtp_table.h is that of 2.x; 3.x has another one.
    if not re.match(r"2\.", library.version):
        raise LibraryError(f"libsrtp: {library.path} is {library.version}, not 2.x; {fix}")
    # Not thread-safe, hence here and not in the plane. srtp_err_status_bad_param (2): pylibsrtp was
    # imported and has done it, only the registration of libsrtp's own debug module fails again.
    status = ctypes.CDLL(library.path).srtp_init()
    if status not in (0, 2):
        raise LibraryError(f"libsrtp: {library.path} refused to start (status {status}); {fix}")
    return library


@cache
def load_crypto() -> Library:
    """OpenSSL: KABINA_LIBCRYPTO, else inside pylibsrtp's binding, else libcrypto.so.3."""
    return _load(
        "libcrypto",
        _crypto_paths(),
        CRYPTO_SYMBOLS,
        lambda opened: (
            _text(opened, "OpenSSL_version", 0) if hasattr(opened, "OpenSSL_version") else ""
        ),
        "install the pylibsrtp wheel (pip install pylibsrtp) or Debian's libssl3",
    )


@cache
def load_rnnoise() -> Library:
    """RNNoise: KABINA_RNNOISE, else the pyrnnoise wheel's, else the system's.

    Optional, for sources that ask for noise suppression: LibraryError refuses them when there is
    none.
    """
    return _load(
        "RNNoise",
        _rnnoise_paths(),
        RNNOISE_SYMBOLS,
        lambda opened: "",  # it does not say
        "install its wheel (pip install --no-deps pyrnnoise) or leave noise suppression off",
    )
