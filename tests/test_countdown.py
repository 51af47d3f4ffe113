"""What is said of the time that a run still needs."""

import pytest

from restoration.page.countdown import Countdown


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_it_starts_from_what_was_expected_and_ends_by_its_own_pace(clock):
    countdown = Countdown(20.0, clock)
    assert countdown.left(0.0) == 20.0
    clock.now += 4
    assert countdown.left(0.0) == 16.0
    assert countdown.left(0.5) == pytest.approx(4.0)  # half is done after 4 s, whatever was expected
    clock.now += 2
    assert countdown.left(0.75) == pytest.approx(2.0)


def test_a_bar_moves_while_a_job_of_one_step_does_not_say_how_far_it_is(clock):
    countdown, shown = Countdown(8.0, clock), []
    for _ in range(5):
        shown.append(countdown.passed(0.0))
        clock.now += 2
    assert shown == [0.0, 0.25, 0.5, 0.75, 0.99]  # not full before it has ended
    assert countdown.passed(0.1) == 0.99  # never back
    assert countdown.passed(1.0) == 1.0


@pytest.mark.parametrize("expected", [None, 10.0])
def test_a_bar_shows_the_share_once_a_job_tells_it(clock, expected):
    countdown = Countdown(expected, clock)
    assert countdown.passed(0.0) == 0.0
    clock.now += 3
    assert countdown.passed(0.5) == pytest.approx(0.5)
    clock.now += 3
    assert countdown.passed(0.75) == pytest.approx(0.75)


def test_it_blends_both_in_between_and_never_is_below_zero(clock):
    countdown = Countdown(10.0, clock)
    clock.now += 3
    assert countdown.left(0.25) == pytest.approx(0.5 * 9 + 0.5 * 7)
    clock.now += 30
    assert Countdown(10.0, clock).left(0) == 10.0
    assert countdown.left(0.25) == pytest.approx(0.5 * 99)


def test_a_share_that_starts_again_does_not_move_it_back(clock):
    countdown = Countdown(None, clock)
    assert countdown.left(0.0) is None and countdown.told(0.0) == ""
    clock.now += 8
    assert countdown.left(0.8) == pytest.approx(2.0)
    assert countdown.left(0.1) == pytest.approx(2.0)
    assert countdown.share == 0.8
    assert countdown.told(0.1) == ", about 2 s left"
    assert countdown.told(0.1, 200.0) == ", about 3 min left"
    assert countdown.left(1.0) == 0.0 and countdown.told(1.0) == ", about 1 s left"
