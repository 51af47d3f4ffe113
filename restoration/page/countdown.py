"""How much of a run is left, told in words while it goes on."""

import time
from collections.abc import Callable

from restoration.page.parts import duration


class Countdown:
    """The time that a run still needs: by what was expected of it at first, more and more by its own pace.

    Args:
        expected: seconds of the whole run, None where that is unknown.
        clock: seconds, for tests.
    """

    def __init__(self, expected: float | None = None, clock: Callable[[], float] = time.monotonic):
        self.expected, self.clock, self.started, self.share = expected, clock, clock(), 0.0
        self.elapsed = 0.0

    def left(self, share: float) -> float | None:
        """Seconds that are left when a share from 0 to 1 is done, which never goes back; None if nobody can tell."""
        self.share = max(self.share, min(1.0, share))
        taken = self.clock() - self.started
        if not self.share:
            return None if self.expected is None else max(0.0, self.expected - taken)
        paced = taken * (1 - self.share) / self.share
        if self.expected is None:
            return paced
        trust = min(1.0, 2 * self.share)  # the first steps of a run load models and are slower
        return trust * paced + (1 - trust) * max(0.0, self.expected - taken)

    def passed(self, share: float) -> float:
        """The share of its time that has passed, for a bar: it never goes back, and is full at the end alone.

        A job of one step, such as the fill of a hole, says nothing of how far it is.
        """
        taken, left = self.clock() - self.started, self.left(share)
        if left is None or share >= 1:
            return self.share
        if taken:
            self.elapsed = max(self.elapsed, min(0.99, taken / (taken + left)))
        return self.elapsed

    def told(self, share: float, seconds_left: float | None = None) -> str:
        """The same as ", about 12 s left", empty if nobody can tell.

        Args:
            seconds_left: what the job itself says.
        """
        left = self.left(share) if seconds_left is None else seconds_left
        return "" if left is None else f", about {duration(max(1.0, left))} left"
