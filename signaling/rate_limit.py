"""Caps that know no clock and no socket: the caller brings the time and the thing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# Full buckets are as good as none: beyond this many they are thrown away.
MOST_BUCKETS: Final = 1000


class TokenBucket:
    """Allows `burst` at once and `rate_per_s` in the long run."""

    def __init__(self, *, rate_per_s: float, burst: int) -> None:
        self._rate_per_s = rate_per_s
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at_s: float | None = None

    def take(self, now_s: float) -> bool:
        self._refill(now_s)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def wait_s(self, now_s: float) -> float:
        """How long until `take` succeeds again."""
        self._refill(now_s)
        return max(0.0, 1.0 - self._tokens) / self._rate_per_s

    def is_full(self, now_s: float) -> bool:
        self._refill(now_s)
        return self._tokens >= self._burst

    def _refill(self, now_s: float) -> None:
        if self._at_s is not None:
            refill = max(0.0, now_s - self._at_s) * self._rate_per_s
            self._tokens = min(self._burst, self._tokens + refill)
        self._at_s = now_s


class RateCaps:
    """A token bucket for everybody who ever asked, as long as it is not full."""

    def __init__(self, *, rate_per_s: float, burst: int) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._buckets: dict[str, TokenBucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def wait_s(self, who: str, now_s: float) -> float:
        """Takes one for `who`: 0, or how long they must wait and nothing was taken."""
        bucket = self._buckets.get(who)
        if bucket is None:
            if len(self._buckets) >= MOST_BUCKETS:
                self._buckets = {
                    one: kept for one, kept in self._buckets.items() if not kept.is_full(now_s)
                }
            bucket = TokenBucket(rate_per_s=self._rate_per_s, burst=self._burst)
            self._buckets[who] = bucket
        return 0.0 if bucket.take(now_s) else bucket.wait_s(now_s)


class WaitingRoom(Generic[T]):
    """At most `most` of one address wait (0: no cap); of too many the longest waiting goes.

    Not the newest: honest clients wait for a round trip, those who block the door for long.
    """

    def __init__(self, most: int, drop: Callable[[T], None]) -> None:
        self._most = most
        self._drop = drop
        self._waiting: dict[str, dict[T, None]] = {}

    def enter(self, address: str, one: T) -> None:
        waiting = self._waiting.setdefault(address, {})
        waiting[one] = None
        if 0 < self._most < len(waiting):
            longest = next(iter(waiting))
            del waiting[longest]
            self._drop(longest)

    def leave(self, address: str, one: T) -> None:
        """They have said who they are, or are gone; of somebody unknown it is ignored."""
        waiting = self._waiting.get(address)
        if waiting is not None:
            waiting.pop(one, None)
            if not waiting:
                del self._waiting[address]
