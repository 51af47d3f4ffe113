"""Labels for pixels that make the least cost with their neighbours, by graph cuts.

Boykov, Veksler, Zabih. "Fast Approximate Energy Minimization via Graph Cuts", IEEE TPAMI 2001 (alpha expansion), with
the graph of Kolmogorov, Zabih, "What Energy Functions Can Be Minimized via Graph Cuts?", IEEE TPAMI 2004.
"""

from collections.abc import Callable, Generator
from typing import NamedTuple, TypeVar

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

Outcome = TypeVar("Outcome")

COST = 1000  # costs are rounded to this part of 1, as flows are whole numbers


class Pairs(NamedTuple):
    """Neighbouring pixels: two lists of node numbers of equal length."""

    first: np.ndarray
    second: np.ndarray


def grid_pairs(region: np.ndarray) -> Pairs:
    """The pairs of pixels of a bool (H, W) region that lie beside or above each other; nodes count along its rows."""
    number = np.full(region.shape, -1)
    number[region] = np.arange(np.count_nonzero(region))
    across = region[:, :-1] & region[:, 1:]
    down = region[:-1] & region[1:]
    return Pairs(
        np.concatenate([number[:, :-1][across], number[:-1][down]]),
        np.concatenate([number[:, 1:][across], number[1:][down]]),
    )


def expanded(
    labels: np.ndarray,
    label: int,
    free: np.ndarray,
    pairs: Pairs,
    unary: Callable[[np.ndarray, np.ndarray], np.ndarray],
    seam: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """The labels after the best move in which any of the free nodes take `label`.

    Args:
        labels: int (N,), as they are.
        free: bool (N,), nodes that may take `label`; those that have it already do not count.
        pairs: neighbours.
        unary: cost of nodes, (n,), with labels, (n,).
        seam: cost of pairs of nodes with a pair of labels, four (n,): first, second, and their labels.  A metric in
            the labels, zero for equal ones.
    """
    free = free & (labels != label)
    nodes = np.flatnonzero(free)
    if not len(nodes):
        return labels
    number = np.full(len(labels), -1)
    number[nodes] = np.arange(len(nodes))
    touched = free[pairs.first] | free[pairs.second]
    first, second = pairs.first[touched], pairs.second[touched]
    own_first, own_second = labels[first], labels[second]
    new = np.full(len(first), label)
    keep = seam(first, second, own_first, own_second)
    second_takes = seam(first, second, own_first, new)
    first_takes = seam(first, second, new, own_second)
    free_first, free_second = free[first], free[second]

    gain = unary(nodes, np.full(len(nodes), label)) - unary(nodes, labels[nodes])  # what taking the label costs
    add = np.zeros(len(nodes))
    np.add.at(add, number[first[free_first]], (first_takes - keep)[free_first])
    # Where both may take it, taking it with the first costs nothing; where only the second may, the first stays.
    alone = np.where(free_first, -first_takes, second_takes - keep)
    np.add.at(add, number[second[free_second]], alone[free_second])
    gain = np.rint((gain + add) * COST).astype(np.int64)
    both = free_first & free_second
    link = np.maximum(np.rint((second_takes + first_takes - keep)[both] * COST), 0)
    source, sink = len(nodes), len(nodes) + 1
    everyone = np.arange(len(nodes))
    rows = np.concatenate([np.full(len(nodes), source), everyone, number[first[both]]])
    columns = np.concatenate([everyone, np.full(len(nodes), sink), number[second[both]]])
    capacity = np.concatenate([np.maximum(gain, 0), np.maximum(-gain, 0), link]).astype(np.int32)
    used = capacity > 0
    graph = csr_array(coo_array((capacity[used], (rows[used], columns[used])), shape=(sink + 1, sink + 1)))
    if not (gain < 0).any():
        return labels
    left = csr_array(graph - maximum_flow(graph, source, sink).flow)
    left.data[left.data < 0] = 0
    left.eliminate_zeros()
    keeps = breadth_first_order(left, source, return_predecessors=False)
    takes = np.ones(sink + 1, bool)
    takes[keeps] = False
    result = labels.copy()
    result[nodes[takes[: len(nodes)]]] = label
    return result


def least_cost(
    labels: np.ndarray,
    allowed: np.ndarray,
    pairs: Pairs,
    unary: Callable[[np.ndarray, np.ndarray], np.ndarray],
    seam: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    sweeps: int,
) -> Generator[None, None, np.ndarray]:
    """Labels of low cost, from expansions of each label in turn until none helps; yields between them.

    Labels that nothing has after the first turn are not tried again: few would help, and they are most of the time.

    Args:
        labels: int (N,), to start from, each allowed.
        allowed: bool (labels, N).
        sweeps: at most so many turns of all labels.

    For the others see `expanded`.
    """
    tried = np.arange(len(allowed))
    for _ in range(sweeps):
        changed = np.zeros(len(allowed), bool)
        for label in tried:
            yield
            after = expanded(labels, label, allowed[label], pairs, unary, seam)
            changed[label] = (after != labels).any()
            labels = after
        if not changed.any():
            break
        tried = np.unique(labels)
    return labels


def finished(steps: Generator[None, None, Outcome]) -> Outcome:
    """What a generator gives in the end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
