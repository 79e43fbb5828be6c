"""The WebSocket's messages as structs; docs/protocol.md is the norm and a test holds both equal."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from kabina.signaling.errors import CodedError

PROTOCOL_VERSION: Final = 1
MAX_MESSAGE_BYTES: Final = 64 * 1024


OriginalDb = Literal["off", -24, -18, -12, 0]
"""How loud the original is under an interpreter, below its own level."""
NORMAL: Final = -18


def level_db(value: OriginalDb) -> float:
    """The level as the meeting knows it; "off" is −inf."""
    return -math.inf if value == "off" else float(value)


def level_name(original_db: float) -> OriginalDb:
    """The other way round, of a level that is offered."""
    return _LEVELS[original_db]


def read_level(text: str) -> float:
    """The level in a query. CodedError `message.malformed`."""
    for level in _LEVELS.values():
        if str(level) == text:
            return level_db(level)
    offered = ", ".join(str(level) for level in _LEVELS.values())
    raise CodedError("message.malformed", f"original_db is one of {offered}.")


class FromClient(msgspec.Struct, frozen=True, tag_field="type", kw_only=True):
    """`id` is repeated as `re` in the reply."""

    id: int | None = None


class Hello(FromClient, frozen=True, tag="hello", kw_only=True):
    """`instance`: what the page calls itself; with it, it may come back to what it has left."""

    version: int
    token: str
    # At least 128 bits in base64url, so that nobody finds another's by trying.
    instance: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{22,64}$")] | None = None


class OfferMessage(FromClient, frozen=True, tag="offer", kw_only=True):
    sdp: str
    listen: str | None = None
    original_db: OriginalDb = NORMAL


class ListenMessage(FromClient, frozen=True, tag="listen", kw_only=True):
    channel: str
    original_db: OriginalDb = NORMAL


class TakeFloorMessage(FromClient, frozen=True, tag="take_floor", kw_only=True):
    language: str


class ReleaseFloorMessage(FromClient, frozen=True, tag="release_floor", kw_only=True):
    pass


class JoinBoothMessage(FromClient, frozen=True, tag="join_booth", kw_only=True):
    booth: str


class LeaveBoothMessage(FromClient, frozen=True, tag="leave_booth", kw_only=True):
    pass


class TakeChannelMessage(FromClient, frozen=True, tag="take_channel", kw_only=True):
    pass


class ReleaseChannelMessage(FromClient, frozen=True, tag="release_channel", kw_only=True):
    pass


What = Literal["camera", "screen"]


class ShowMessage(FromClient, frozen=True, tag="show", kw_only=True):
    what: What
    on: bool


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """How large a picture is on the page, in device pixels, and whether it can be seen at all."""

    what: What
    width: Annotated[int, msgspec.Meta(ge=0, le=16384)]
    height: Annotated[int, msgspec.Meta(ge=0, le=16384)]
    visible: bool


class ViewMessage(FromClient, frozen=True, tag="view", kw_only=True):
    slots: Annotated[list[Tile], msgspec.Meta(max_length=8)]


class Bye(FromClient, frozen=True, tag="bye", kw_only=True):
    pass


ClientMessage = (
    Hello
    | OfferMessage
    | ListenMessage
    | TakeFloorMessage
    | ReleaseFloorMessage
    | JoinBoothMessage
    | LeaveBoothMessage
    | TakeChannelMessage
    | ReleaseChannelMessage
    | ShowMessage
    | ViewMessage
    | Bye
)


class FromServer(msgspec.Struct, frozen=True, tag_field="type", kw_only=True, omit_defaults=True):
    pass


class IceServerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """As RTCPeerConnection takes it."""

    urls: list[str]
    username: str
    credential: str


class Welcome(FromServer, frozen=True, tag="welcome", kw_only=True):
    version: int
    participant: str
    name: str
    role: str
    languages: list[str]
    meeting: dict[str, Any]
    ice_servers: list[IceServerEntry] = []
    resumed: bool = False
    media: str | None = None
    listen: str | None = None
    original_db: OriginalDb = NORMAL
    re: int | None = None


class AnswerMessage(FromServer, frozen=True, tag="answer", kw_only=True):
    sdp: str
    listen: str | None
    original_db: OriginalDb = NORMAL
    re: int | None = None


class Listening(FromServer, frozen=True, tag="listening", kw_only=True):
    channel: str
    original_db: OriginalDb = NORMAL
    re: int | None = None


class Done(FromServer, frozen=True, tag="done", kw_only=True):
    re: int | None = None


class ErrorMessage(FromServer, frozen=True, tag="error", kw_only=True):
    code: str
    message: str
    holder: str | None = None
    re: int | None = None


class MeetingMessage(FromServer, frozen=True, tag="meeting", kw_only=True):
    meeting: dict[str, Any]


class ChannelLevels(msgspec.Struct, frozen=True, kw_only=True):
    """RMS in dBFS, None where nobody is."""

    interpreter_db: float | None
    original_db: float | None


class Levels(FromServer, frozen=True, tag="levels", kw_only=True):
    floor_db: float | None
    channels: dict[str, ChannelLevels]


class SpeakingMessage(FromServer, frozen=True, tag="speaking", kw_only=True):
    """Ids of participants: who of the floor speaks now, and who did so last in earnest."""

    participants: list[str]
    dominant: str | None


class Media(FromServer, frozen=True, tag="media", kw_only=True):
    state: str


class Goodbye(FromServer, frozen=True, tag="goodbye", kw_only=True):
    code: str
    message: str


ServerMessage = (
    Welcome
    | AnswerMessage
    | Listening
    | Done
    | ErrorMessage
    | MeetingMessage
    | Levels
    | SpeakingMessage
    | Media
    | Goodbye
)

_LEVELS: Final[dict[float, OriginalDb]] = {level_db(one): one for one in get_args(OriginalDb)}
_decoder: Final[msgspec.json.Decoder[ClientMessage]] = msgspec.json.Decoder(ClientMessage)
_encoder: Final = msgspec.json.Encoder()


def decode(text: str) -> ClientMessage:
    """msgspec.DecodeError (ValidationError is one) for anything that is no message of ours."""
    try:
        return _decoder.decode(text)
    except RecursionError as error:
        raise msgspec.DecodeError("nested too deeply") from error


def encode(message: ServerMessage) -> str:
    return _encoder.encode(message).decode()


def reply_id(text: str) -> int | None:
    """The `id` of a message that could not be decoded, so that its error finds the sender."""
    try:
        return msgspec.json.decode(text, type=FromClientId).id
    except (msgspec.DecodeError, RecursionError):
        return None


class FromClientId(msgspec.Struct):
    id: int | None = None
