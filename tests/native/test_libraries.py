"""The shared libraries: found, refused with a reason, and laid out as the C code believes."""

from __future__ import annotations

import pytest
from pylibsrtp._binding import ffi

from kabina.native import _plane, libraries
from kabina.native.libraries import LibraryError, load_crypto, load_opus, load_rnnoise, load_srtp


def test_the_wheels_bring_all_three():
    for library in (load_opus(), load_srtp(), load_crypto()):
        assert library.handle
        assert library.source in ("bundled", "system", "environment")
    assert load_srtp().version.startswith("2.")


def test_the_policy_is_laid_out_as_libsrtp_was_compiled():
    ours = _plane.srtp_policy_layout()
    theirs = {"size": ffi.sizeof("srtp_policy_t")}
    fields = {name for name, _ in ffi.typeof("srtp_policy_t").fields or ()}
    theirs |= {name: ffi.offsetof("srtp_policy_t", name) for name in fields & ours.keys()}
    assert {"key", "window_size", "allow_repeat_tx"} <= theirs.keys()
    assert {name: ours[name] for name in theirs} == theirs


@pytest.mark.parametrize(
    ("variable", "load"),
    [
        ("KABINA_LIBOPUS", load_opus),
        ("KABINA_LIBSRTP", load_srtp),
        ("KABINA_LIBCRYPTO", load_crypto),
        ("KABINA_RNNOISE", load_rnnoise),
    ],
)
def test_a_path_that_was_asked_for_and_is_wrong_is_an_error_with_a_fix(monkeypatch, variable, load):
    monkeypatch.setenv(variable, "/nonexistent/library.so")
    with pytest.raises(
        LibraryError, match=r"/nonexistent/library\.so does not open; install"
    ) as caught:
        load.__wrapped__()
    assert caught.value.code == "library.missing"
    # A library, but another one: what is missing is named.
    monkeypatch.setenv(variable, "libm.so.6")
    with pytest.raises(LibraryError, match=r"libm\.so\.6 has no \w+; install"):
        load.__wrapped__()


def test_without_any_library_the_error_is_one_clear_line(monkeypatch):
    monkeypatch.setattr(libraries, "_package_folder", lambda package: None)
    monkeypatch.setattr(libraries, "_system_paths", lambda short_name, soname: iter(()))
    with pytest.raises(LibraryError, match=r"^libopus: not found; install [^\n]+$"):
        load_opus.__wrapped__()


def test_noise_suppression_without_its_library_is_refused_with_a_fix(monkeypatch):
    monkeypatch.delenv("KABINA_RNNOISE", raising=False)
    monkeypatch.setattr(libraries, "_package_folder", lambda package: None)
    monkeypatch.setattr(libraries, "_system_paths", lambda short_name, soname: iter(()))
    with pytest.raises(LibraryError, match=r"^RNNoise: not found; install .*pyrnnoise.*$"):
        load_rnnoise.__wrapped__()
