"""Hostile JSON costs an error, nothing else."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabina.signaling import messages


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"type":"nonsense"}',
        '{"type":"listen"}',
        '{"type":"listen","channel":7}',
        '{"type":"hello","version":"1","token":"x"}',
        '{"type":"bye","id":"one"}',
        "[" * 60_000,
        '{"type":' * 10_000,
        '{"type":"listen","channel":"\\ud800"}',
    ],
)
def test_what_is_no_message_is_a_decode_error(text: str):
    with pytest.raises(msgspec.DecodeError):
        messages.decode(text)
    messages.reply_id(text)


@given(st.text(max_size=300))
def test_any_text_gives_a_message_or_a_decode_error(text: str):
    try:
        messages.decode(text)
    except msgspec.DecodeError:
        pass


def test_the_id_of_a_message_that_does_not_decode_is_still_found():
    assert messages.reply_id('{"type":"nonsense","id":5}') == 5
    assert messages.reply_id('{"id":"five"}') is None
