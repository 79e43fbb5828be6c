"""A token bucket; pure, the caller brings the time."""

from __future__ import annotations


class TokenBucket:
    """Allows `burst` at once and `rate_per_s` in the long run."""

    def __init__(self, *, rate_per_s: float, burst: int) -> None:
        self._rate_per_s = rate_per_s
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at_s: float | None = None

    def take(self, now_s: float) -> bool:
        if self._at_s is not None:
            refill = max(0.0, now_s - self._at_s) * self._rate_per_s
            self._tokens = min(self._burst, self._tokens + refill)
        self._at_s = now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
