"""What many runs tell of the next one."""

from collections.abc import Callable, Mapping
from itertools import combinations
from statistics import median, quantiles

FEWEST = 3  # runs that an expectation is made of
FAR = 2.0  # times the sizes of the runs, beyond which their line tells nothing


def percentiles(values: list[float]) -> tuple[float | None, float | None, float | None]:
    """The 50th, 90th and 99th, between two neighbours on the line that joins them."""
    if not values:
        return None, None, None
    cuts = quantiles(values if len(values) > 1 else 2 * values, n=100, method="inclusive")
    return cuts[49], cuts[89], cuts[98]


def expected(runs: list[tuple[float, float]], size: float, usual: Callable[[float], float] = float) -> float:
    """Seconds of a run of another size, by medians, which no outlier moves.

    Args:
        runs: megapixels and seconds of each.
        usual: seconds for megapixels in another place, which tell how they grow where the runs are of one size, or all
            far from this one.
    """
    sizes = [ran for ran, _ in runs]
    pairs = combinations(runs, 2) if min(sizes) / FAR <= size <= max(sizes) * FAR else ()
    slopes = [(t - s) / (b - a) for (a, s), (b, t) in pairs if max(a, b) >= 2 * min(a, b)]
    if len(slopes) >= FEWEST and (slope := median(slopes)) > 0:
        overhead = median(seconds - slope * ran for ran, seconds in runs)
        if overhead > 0:
            return overhead + slope * size
    return usual(size) * median(seconds / usual(ran) for ran, seconds in runs)


def share_worked(metrics: Mapping[str, object] | None) -> float:
    """The share of the picture that was worked on, see `Mask.worked`; 1 where nothing was filled."""
    return (metrics or {}).get("worked_share") or 1.0
