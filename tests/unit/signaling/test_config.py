"""Flags over environment over file over defaults."""

from pathlib import Path

import pytest

from kabina.native import _plane
from kabina.signaling import check, config
from kabina.signaling.errors import StartError


def test_flags_win_over_environment_over_file(tmp_path: Path):
    file = tmp_path / "kabina.toml"
    file.write_text('port = 1001\nhost = "127.0.0.2"\nlog_level = "debug"\n')
    loaded = config.load({"port": 1003}, {"KABINA_PORT": "1002", "KABINA_HOST": "127.0.0.3"}, file)
    assert (loaded.port, loaded.host, loaded.log_level) == (1003, ("127.0.0.3",), "debug")


def test_the_media_port_is_the_one_after_the_http_port_unless_said_otherwise():
    assert config.load({"port": 9000}, {}).effective_media_port == 9001
    assert config.load({"port": 0}, {}).effective_media_port == 0
    assert config.load({"port": 9000, "media_port": 0}, {}).effective_media_port == 0


def test_media_shares_the_number_of_http_only_without_tcp():
    same = {"port": 9000, "media_port": 9000}
    with pytest.raises(StartError, match="--no-media-tcp"):
        config.load(same, {})
    loaded = config.load({**same, "media_tcp": False}, {})
    assert (loaded.effective_media_port, loaded.effective_media_connections) == (9000, 0)


def test_addresses_come_one_by_one_or_with_commas_from_every_source(tmp_path: Path):
    file = tmp_path / "kabina.toml"
    for lines in ('host = "127.0.0.1,::1"', 'host = ["127.0.0.1", "::1"]'):
        file.write_text(lines + "\n")
        assert config.load({}, {}, file).host == ("127.0.0.1", "::1")
    assert config.load({}, {"KABINA_HOST": "127.0.0.1, ::1"}).host == ("127.0.0.1", "::1")
    assert config.load({"host": ["127.0.0.1", "::1"]}, {}).host == ("127.0.0.1", "::1")
    assert config.load({"host": ["127.0.0.1,::1"]}, {}).host == ("127.0.0.1", "::1")


@pytest.mark.parametrize(("cores", "threads"), [(1, 0), (2, 0), (3, 1), (4, 2), (6, 4), (64, 4)])
def test_egress_threads_are_as_many_as_cores_are_left(monkeypatch, cores, threads):
    monkeypatch.setattr(config, "usable_cores", lambda: cores)
    assert config.load({}, {}).effective_egress_threads == threads
    given = config.load({}, {"KABINA_EGRESS_THREADS": "7"})
    assert given.effective_egress_threads == 7
    assert config.load({"egress_threads": 0}, {}).effective_egress_threads == 0


def test_the_plane_takes_as_many_egress_threads_as_may_be_set():
    assert _plane.LIMITS["egress_threads"] == config.MOST_EGRESS_THREADS


@pytest.mark.parametrize(
    ("cores", "threads", "found", "fix"),
    [
        (2, -1, "by the media thread (2 cores)", ""),
        (4, -1, "2 threads protect and send beside the media thread (4 cores)", ""),
        (
            4,
            4,
            "4 threads protect and send beside the media thread (4 cores)",
            "egress_threads = 2",
        ),
    ],
)
def test_the_check_says_who_sends_and_whether_there_are_cores_for_it(
    monkeypatch, cores, threads, found, fix
):
    monkeypatch.setattr(config, "usable_cores", lambda: cores)
    monkeypatch.setattr(check, "usable_cores", lambda: cores)
    finding = check._egress(config.load({"egress_threads": threads}, {}))
    assert (finding.found, finding.fix, finding.failed) == (found, fix, False)


@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        ({"port": 70000}, {}),
        ({"port": 65535}, {}),  # no port after it for media
        ({"media_connections": 0}, {}),
        ({"egress_threads": 17}, {}),
        ({}, {"KABINA_EGRESS_THREADS": "-2"}),
        ({"media_tcp": False, "media_udp": False}, {}),
        ({"host": "example.org"}, {}),
        ({"host": ""}, {}),
        ({"public_ip": "::1"}, {}),  # an IPv6 address for a server without IPv6
        ({"public_ip": "192.0.2.9,192.0.2.10"}, {}),
        ({}, {"KABINA_PORT": "many"}),
        ({}, {"KABINA_DEMO": "perhaps"}),
        ({"log_level": "loud"}, {}),
        ({}, {"KABINA_MAX_WAITING_PER_IP": "-1"}),
        ({}, {"KABINA_WHIP_POSTS_PER_S": "0"}),
    ],
)
def test_an_unusable_value_is_one_clear_error(flags: dict, environment: dict):
    with pytest.raises(StartError):
        config.load(flags, environment)


def test_an_unknown_key_in_the_file_is_named(tmp_path: Path):
    file = tmp_path / "kabina.toml"
    file.write_text("prot = 1\n")
    with pytest.raises(StartError, match="prot"):
        config.load({}, {}, file)


def test_a_missing_file_is_an_error():
    with pytest.raises(StartError):
        config.load({}, {"KABINA_CONFIG": "/nonexistent/kabina.toml"})
