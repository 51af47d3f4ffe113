"""What an address may take in a while, and that no header makes it another one."""

import pytest

from restoration.limits import Limits
from restoration.page import visitors
from restoration.page.visitors import Visitors, address_of

PEER = "198.51.100.9"


@pytest.mark.parametrize("forwarded, proxied, expected", [
    ((), False, PEER),
    (("1.2.3.4",), False, PEER),  # whatever a visitor says where no proxy says it
    ((), True, PEER),
    (("203.0.113.7",), True, "203.0.113.7"),
    (("1.2.3.4, 203.0.113.7",), True, "203.0.113.7"),
    (("1.2.3.4", "203.0.113.7"), True, "203.0.113.7"),
    (("1.2.3.4, 203.0.113.7, 10.0.0.5",), True, "203.0.113.7"),  # past the platform's own machines
    (("1.2.3.4, 5.6.7.8, 203.0.113.7",), True, "203.0.113.7"),
    (("10.0.0.5",), True, "10.0.0.5"),
    (("1.2.3.4, nonsense",), True, "unknown"),
    (("2001:db8:1:2:3:4:5:6",), True, "2001:db8:1:2::/64"),
    (("2001:db8:1:2:ffff::1",), True, "2001:db8:1:2::/64"),
    (("::ffff:203.0.113.7",), True, "203.0.113.7"),
    (("1.2.3.4, fd00::5, 203.0.113.7, fd00::1",), True, "203.0.113.7"),
])  # fmt: skip
def test_an_address_is_what_the_platform_says_never_what_a_visitor_says(forwarded, proxied, expected):
    headers = [(b"x-forwarded-for", text.encode()) for text in forwarded]
    headers += [(b"x-real-ip", b"9.9.9.9"), (b"forwarded", b"for=9.9.9.9")]
    scope = {"type": "http", "client": (PEER, 1), "headers": headers}
    assert address_of(scope, proxied) == expected


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_runs_are_counted_in_a_window_that_moves():
    clock = Clock()
    known = Visitors(Limits(runs=3, window=600), clock)
    for _ in range(3):
        assert known.asked_to_run("a") == ""
        clock.now += 100
    assert known.asked_to_run("a") == "At most 3 runs in 10 min are possible here; go on in 5 min."
    assert known.asked_to_run("b") == ""
    clock.now += 301  # the first has left the window
    assert known.asked_to_run("a") == ""
    assert known.asked_to_run("a") != ""


def test_bytes_are_counted_in_small_parts_too():
    clock = Clock()
    known = Visitors(Limits(megabytes=1, window=600), clock)
    for _ in range(1024):
        assert known.sent("a", 1024) == ""
        clock.now += 0.001
    assert "At most 1 MB of uploads in 10 min are possible here" in known.sent("a", 1)
    clock.now += 600
    assert known.sent("a", 2**20) == ""


def test_nothing_is_counted_where_nothing_is_limited_and_addresses_are_forgotten(monkeypatch):
    monkeypatch.setattr(visitors, "MOST", 5)
    known = Visitors(Limits())
    for number in range(50):
        assert known.asked_to_run(str(number)) == ""
        assert known.sent(str(number), 2**40) == ""
    assert len(known._runs) == len(known._bytes) == 5
