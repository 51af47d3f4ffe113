"""Who asks, and what each address took lately; nothing of it is kept longer than it counts."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import Scope

from restoration.limits import Limits
from restoration.page.parts import duration

MOST = 10_000  # addresses that are remembered; of more the one that was quiet longest is forgotten
# Addresses of a platform's own machines, which stand in front of a page behind another proxy.
_INSIDE = tuple(
    ip_network(net)
    for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "100.64.0.0/10", "fc00::/7", "::1/128")
)


def address_of(scope: Scope, proxied: bool) -> str:
    """The address that a request came from; of IPv6 the network, of which a visitor has all addresses.

    Args:
        proxied: whether the platform's proxy ends `X-Forwarded-For` with it; what stands before is the visitor's word.
    """
    peer = (scope.get("client") or ("",))[0]
    hops = [hop.strip() for value in Headers(scope=scope).getlist("x-forwarded-for") for hop in value.split(",")]
    known = [network_of(hop) for hop in reversed(hops)] if proxied else []
    if not known:
        return network_of(peer) or peer
    outside = (hop for hop in known if not (hop and is_inside(hop)))
    return next(outside, known[-1]) or "unknown"


def network_of(text: str) -> str:
    """An address as it is counted; empty if it is none."""
    try:
        address = ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return ""
    if address.version == 6 and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address) if address.version == 4 else str(ip_network((address, 64), strict=False))


def is_inside(address: str) -> bool:
    """Whether an address is one of those that networks have for themselves."""
    first = ip_network(address).network_address
    return any(first.version == net.version and first in net for net in _INSIDE)


class Visitors:
    """What each address took in the last `limits.window` seconds.

    Args:
        clock: seconds, for tests.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic):
        self.limits, self.clock = limits, clock
        self._runs: OrderedDict[str, deque[tuple[float, float]]] = OrderedDict()
        self._bytes: OrderedDict[str, deque[tuple[float, float]]] = OrderedDict()

    def asked_to_run(self, address: str) -> str:
        """Count a run; what is said instead if that is one too many, else nothing."""
        return self._take(self._runs, address, 1, self.limits.runs, "{:g} runs")

    def sent(self, address: str, count: int) -> str:
        """Count bytes that were sent; what is said if those are too many, else nothing."""
        most = self.limits.megabytes
        return self._take(self._bytes, address, count / 2**20, most, "{:g} MB of uploads")

    def _take(self, all: OrderedDict, address: str, amount: float, most: float, words: str) -> str:
        now, window = self.clock(), self.limits.window
        taken = all.setdefault(address, deque())
        all.move_to_end(address)
        while len(all) > MOST:
            all.popitem(last=False)
        while taken and taken[0][0] <= now - window:
            taken.popleft()
        if sum(part for _, part in taken) + amount > most:
            left = max(1.0, taken[0][0] + window - now) if taken else window
            return f"At most {words.format(most)} in {duration(window)} are possible here; go on in {duration(left)}."
        if taken and now - taken[-1][0] < window / 100:
            last, before = taken.pop()
            taken.append((last, before + amount))  # so that many small parts take no room
        else:
            taken.append((now, amount))
        return ""
