"""Robots have a place while nobody wants it, and some seconds after that."""

from kabina.signaling.demo.courtesy import RETURN_AFTER_S, Place


def test_a_place_that_nobody_ever_took_is_free_at_once():
    assert Place().is_free(taken=False, now_s=1000.0)


def test_a_place_is_not_free_while_a_person_has_it_nor_shortly_after():
    place = Place()
    seen = [(10.0, True), (10.1, False), (10.0 + RETURN_AFTER_S - 0.01, False)]
    assert [place.is_free(taken=taken, now_s=now_s) for now_s, taken in seen] == [False] * 3
    assert place.is_free(taken=False, now_s=10.0 + RETURN_AFTER_S)


def test_a_person_who_comes_back_meanwhile_starts_the_wait_anew():
    place = Place()
    place.is_free(taken=True, now_s=0.0)
    place.is_free(taken=True, now_s=2.0)
    assert not place.is_free(taken=False, now_s=RETURN_AFTER_S)
    assert place.is_free(taken=False, now_s=2.0 + RETURN_AFTER_S)
