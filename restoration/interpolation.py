"""Models between two trainings of one network."""

import copy

from restoration.restorer import Restorer


def interpolated(first: Restorer, second: Restorer, alpha: float) -> Restorer:
    """A model whose weights lie `alpha` of the way from the first's to the second's, two trainings of one network.

    Wang et al., "ESRGAN", arXiv:1809.00219, section 3.4, network interpolation.

    Raises:
        ValueError: alpha is outside [0, 1], or the networks differ.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha goes from 0 to 1, not {alpha:g}.")
    ours, theirs = first.state_dict(), second.state_dict()
    if {name: value.shape for name, value in ours.items()} != {name: value.shape for name, value in theirs.items()}:
        raise ValueError("Only two trainings of the same network can be blended.")
    between = copy.deepcopy(second)
    between.load_state_dict({name: ours[name].lerp(theirs[name], alpha) for name in theirs})
    return between
