"""What many runs tell of the next one."""

from collections.abc import Mapping
from itertools import combinations
from statistics import median, quantiles

FEWEST = 3  # runs that an expectation is made of


def percentiles(values: list[float]) -> tuple[float | None, float | None, float | None]:
    """The 50th, 90th and 99th, between two neighbours on the line that joins them."""
    if not values:
        return None, None, None
    cuts = quantiles(values if len(values) > 1 else 2 * values, n=100, method="inclusive")
    return cuts[49], cuts[89], cuts[98]


def trend(runs: list[tuple[float, float]]) -> tuple[float, float]:
    """Seconds of overhead and seconds a megapixel, by medians, which no outlier moves.

    Args:
        runs: megapixels and seconds of each.
    """
    slopes = [(t - s) / (b - a) for (a, s), (b, t) in combinations(runs, 2) if max(a, b) >= 2 * min(a, b)]
    if len(slopes) >= FEWEST and (slope := median(slopes)) > 0:
        overhead = median(seconds - slope * size for size, seconds in runs)
        if overhead > 0:
            return overhead, slope
    return 0.0, median(seconds / size for size, seconds in runs)


def share_worked(metrics: Mapping[str, object] | None) -> float:
    """The share of the picture that was worked on, see `Mask.worked`; 1 where nothing was filled."""
    return (metrics or {}).get("worked_share") or 1.0
