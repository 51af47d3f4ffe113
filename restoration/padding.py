"""What lies beyond the borders of an image, for networks that look there."""

import torch
from torch import Tensor
from torch.nn import functional as F


def padded(image: Tensor, sides: tuple[int, int, int, int], mode: str) -> Tensor:
    """An image with so many pixels more on the left, on the right, above and below.

    Args:
        mode: "reflect" mirrors at the centre of the last pixel, "symmetric" at its outer edge, "replicate" repeats it,
            which also happens where a mirrored image would be too small.
    """
    left, right, top, bottom = sides
    height, width = image.shape[-2:]
    if mode == "symmetric":
        for dimension, before, after in ((-1, left, right), (-2, top, bottom)):
            length = image.shape[dimension]
            index = torch.arange(-before, length + after, device=image.device) % (2 * length)
            image = image.index_select(dimension, torch.minimum(index, 2 * length - 1 - index))
        return image
    fits = max(left, right) < width and max(top, bottom) < height
    return F.pad(image, sides, mode=mode if fits else "replicate")
