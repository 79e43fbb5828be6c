class Vp8Stream:
    def __init__(self, settings: dict[str, int]) -> None: ...
    def frame(self, *, key: bool = False, stamp: int = 0) -> list[bytes]: ...

class VideoLoad:
    def __init__(
        self,
        srtp: int,
        fd: int,
        profile: int,
        transmit: bytes,
        receive: bytes,
        check: bytes,
        *,
        video: dict[str, int],
        audio_ssrc: int,
        audio_payload_type: int,
    ) -> None: ...
    def start(self) -> None: ...
    def close(self) -> None: ...
    def figures(self) -> dict[str, int]: ...
