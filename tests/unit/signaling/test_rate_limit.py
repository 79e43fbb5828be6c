"""The caps, in virtual time."""

from kabina.signaling.rate_limit import MOST_BUCKETS, RateCaps, TokenBucket, WaitingRoom


def test_a_burst_passes_and_then_the_rate_holds():
    bucket = TokenBucket(rate_per_s=20, burst=60)
    assert sum(bucket.take(0.0) for _ in range(100)) == 60
    assert sum(bucket.take(1.0) for _ in range(100)) == 20


def test_a_clock_that_steps_back_gives_nothing_away():
    bucket = TokenBucket(rate_per_s=1, burst=1)
    assert bucket.take(10.0)
    assert not bucket.take(5.0)


def test_a_refused_asker_is_told_how_long_to_wait_and_others_are_not_refused():
    caps = RateCaps(rate_per_s=2, burst=3)
    assert [caps.wait_s("a", 0.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert caps.wait_s("b", 0.0) == 0
    assert caps.wait_s("a", 0.25) == 0.25
    assert caps.wait_s("a", 0.5) == 0


def test_buckets_that_are_full_again_are_thrown_away():
    caps = RateCaps(rate_per_s=1, burst=2)
    for number in range(MOST_BUCKETS):
        caps.wait_s(str(number), 0.0)
    caps.wait_s("late", 10.0)
    assert len(caps) == 1
    for number in range(MOST_BUCKETS + 5):
        caps.wait_s(str(number), 10.0)
    assert len(caps) == MOST_BUCKETS + 6


def test_of_too_many_that_wait_at_one_address_the_longest_waiting_goes():
    dropped: list[int] = []
    room = WaitingRoom[int](3, dropped.append)
    for one in range(3):
        room.enter("hall", one)
    room.leave("hall", 1)
    room.enter("hall", 3)
    room.enter("elsewhere", 9)
    assert dropped == []
    room.enter("hall", 4)
    assert dropped == [0]
    room.leave("hall", 0)
    room.leave("nowhere", 0)
    room.enter("hall", 5)
    assert dropped == [0, 2]


def test_without_a_cap_nobody_goes():
    dropped: list[int] = []
    room = WaitingRoom[int](0, dropped.append)
    for one in range(1000):
        room.enter("hall", one)
    assert dropped == []
