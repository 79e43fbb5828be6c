"""The token bucket, in virtual time."""

from kabina.signaling.rate_limit import TokenBucket


def test_a_burst_passes_and_then_the_rate_holds():
    bucket = TokenBucket(rate_per_s=20, burst=60)
    assert sum(bucket.take(0.0) for _ in range(100)) == 60
    assert sum(bucket.take(1.0) for _ in range(100)) == 20


def test_a_clock_that_steps_back_gives_nothing_away():
    bucket = TokenBucket(rate_per_s=1, burst=1)
    assert bucket.take(10.0)
    assert not bucket.take(5.0)
