BUCKET_NS: int

class Load:
    def __init__(self, srtp: int, capacity: int) -> None: ...
    def close(self) -> None: ...
    def add(
        self,
        fd: int,
        profile: int,
        transmit: bytes,
        receive: bytes,
        check: bytes,
        *,
        stamped: bool = False,
    ) -> int: ...
    def publish(
        self,
        end: int,
        payloads: list[bytes],
        *,
        interval_ns: int,
        timestamp_step: int,
        ssrc: int,
        payload_type: int,
        stamped: bool = False,
    ) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def reset(self) -> None: ...
    def figures(self, end: int = -1) -> dict[str, int]: ...
    def delays_us(self, quantiles: list[float]) -> list[float | None]: ...
