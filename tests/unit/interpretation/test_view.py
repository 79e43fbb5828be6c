import json
import re
from pathlib import Path

import msgspec
import pytest

from kabina.interpretation import errors
from kabina.interpretation.commands import Listen, ReleaseChannel, Show
from kabina.interpretation.stage import Visual

PROTOCOL = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")


def _documented_view():
    blocks = re.findall(r"```json\n(.*?)```", PROTOCOL, flags=re.DOTALL)
    messages = [json.loads(line) for block in blocks for line in block.splitlines()]
    return next(one for one in messages if one["type"] == "welcome")["meeting"]


def _bare(room):
    return json.loads(msgspec.json.encode(room.meeting.view(room.now)))


def _busy(room):
    speaker = room.speaker("p-1", "en")
    room.tell(Show(speaker, Visual.CAMERA, on=True))
    room.now += 9.5
    room.on_air("p-7", "fr")
    for number in range(7):
        person = room.enter(f"a-{number}")
        room.tell(Listen(person, ("floor", "floor", "fr", "fr", "fr", "fr", "sq")[number]))
    room.now += 3
    return room


def test_the_view_is_the_one_the_protocol_shows(room):
    text = json.dumps(_bare(_busy(room)))
    text = text.replace("Name of p-1", "Speaker 1").replace("Name of p-7", "Interpreter 1")
    view, documented = json.loads(text), _documented_view()
    # The example shows only the booth that somebody sits in.
    documented["booths"].append({"id": "sq", "channel": "sq", "desks": []})
    documented["revision"] = view["revision"]
    assert view == documented


def test_the_shape_of_an_empty_meeting_is_the_same(room):
    documented = _documented_view()
    view = _bare(room)
    assert view.keys() == documented.keys()
    assert view["floor"].keys() == documented["floor"].keys()
    assert view["channels"][0].keys() == documented["channels"][0].keys()


def test_an_anonymous_view_names_nobody_and_keeps_everything_else(room):
    named = _busy(room).meeting.view(room.now)
    text = msgspec.json.encode(named.anonymous()).decode()
    assert "Name of" not in text
    assert "p-1" not in text
    assert "p-7" not in text
    blanked = re.sub(r'"(name|participant)": "[^"]+"', r'"\1": ""', json.dumps(_bare(room)))
    assert json.loads(text) == json.loads(blanked)


def test_an_anonymous_view_of_an_anonymous_view_is_the_same(room):
    once = _busy(room).meeting.view(room.now).anonymous()
    assert once.anonymous() == once


def test_the_revision_rises_with_every_visible_change_and_no_other(room):
    assert room.meeting.revision == 0
    a = room.enter("a")
    assert room.meeting.revision == 0  # views show what people do, not that they are there
    room.tell(Listen(a, "fr"))
    assert room.meeting.revision == 1
    room.now += 60
    room.tell(Listen(a, "fr"))
    assert room.meeting.view(room.now).revision == 1
    i = room.on_air("i", "fr")
    assert room.meeting.revision == 3
    room.tell(ReleaseChannel(i))
    assert room.meeting.revision == 4


def test_seconds_are_counted_to_the_moment_of_the_view(room):
    room.speaker("s", "en")
    start = room.now
    assert room.meeting.view(start).floor.speakers[0].speaking_s == 0.0
    assert room.meeting.view(start + 0.1234567).floor.speakers[0].speaking_s == 0.123


def _all_errors(root=errors.InterpretationError):
    return [root, *(leaf for child in root.__subclasses__() for leaf in _all_errors(child))]


@pytest.mark.parametrize("error", _all_errors())
def test_every_error_code_stands_in_the_protocol(error):
    assert f"| `{error.code}` |" in PROTOCOL
