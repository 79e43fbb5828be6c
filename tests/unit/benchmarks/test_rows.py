"""What a table says when a peer is missing, and what it compares."""

from __future__ import annotations

from kabina.benchmarks import peers
from kabina.benchmarks.command import table


def run(peer: str, us_per_packet: float, cpu_s: float) -> dict[str, object]:
    return {
        "peer": peer,
        "setting": [300, 50],
        "us_per_packet": us_per_packet,
        "cpu_s": cpu_s,
        "packets": 1_000_000,
        "expected": 1_000_000,
        "lost": 5,
        "overflowed": 2,
        "idle_share": 0.03,
        "delays_ms": [0.5, None],
        "threads": 3,
        "profile": "AEAD_AES_128_GCM",
        "notes": {},
        "measured_s": 8.0,
    }


def test_a_peer_that_is_not_installed_is_a_row_that_says_how_to_have_it():
    missing = {
        "peer": "pion",
        "setting": [300, 50],
        "missing": "not installed: apt-get install golang-go",
    }
    row = peers._row("pion", [300, 50], [run("kabina", 5.0, 6.0), missing])
    assert row["note"] == "not installed: apt-get install golang-go"
    assert "us_per_packet" not in row


def test_the_share_is_kabinas_cost_over_the_other_ones():
    runs = [run("kabina", 5.0, 6.0), run("pion", 20.0, 24.0)]
    row = peers._row("pion", [300, 50], runs)
    assert row["kabina_share"] == 0.25
    assert row["share_with_idle"] == 0.25
    assert row["idle_us_per_s_each"] == 100.0


def test_what_the_readers_socket_dropped_is_not_the_servers_loss():
    assert peers._row("kabina", [300, 50], [run("kabina", 5.0, 6.0)])["lost_by_server"] == 3


def test_each_round_goes_the_other_way_than_the_one_before():
    order = peers.plan(rounds=2)
    half = len(order) // 2
    assert order[half:] == order[:half][::-1]
    assert order[0][0] == "kabina"


def test_a_table_shows_a_dash_where_a_row_has_no_such_column():
    assert table([{"a": 1}, {"b": 0.12345}]).splitlines()[2].split() == ["–", "0.1235"]
