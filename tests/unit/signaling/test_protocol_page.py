"""docs/protocol.md is the norm: its examples parse and its error table is the code's."""

import json
import re
from pathlib import Path

import msgspec

from kabina.signaling import messages
from kabina.signaling.errors import STATUS
from kabina.signaling.statistics import MeetingStatistics

PAGE = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text()


def examples() -> list[dict]:
    blocks = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    return [json.loads(line) for block in blocks for line in block.strip().splitlines()]


def test_every_client_example_parses():
    clients = {t.__struct_config__.tag for t in messages.ClientMessage.__args__}
    seen = set()
    for example in examples():
        if example["type"] in clients:
            message = messages.decode(json.dumps(example))
            assert message.id == example["id"]
            seen.add(example["type"])
    assert seen == clients


def test_every_server_example_is_what_the_server_would_write():
    decoder = msgspec.json.Decoder(messages.ServerMessage)
    servers = {t.__struct_config__.tag for t in messages.ServerMessage.__args__}
    seen = set()
    for example in examples():
        if example["type"] in servers:
            assert json.loads(messages.encode(decoder.decode(json.dumps(example)))) == example
            seen.add(example["type"])
    assert seen == servers


def test_the_statistics_example_is_what_the_server_would_write():
    (block,) = re.findall(r"```json title=statistics\n(.*?)```", PAGE, re.DOTALL)
    read = msgspec.json.decode(block, type=MeetingStatistics)
    assert msgspec.json.decode(msgspec.json.encode(read)) == json.loads(block)


def test_the_error_table_is_the_codes():
    rows = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| (\d{3}) \|", PAGE, re.MULTILINE)
    assert {code: int(status) for code, status in rows} == STATUS
