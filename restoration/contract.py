"""What `restore` takes, the same for models and classical methods: checked, with one sentence for what does not fit."""

from collections.abc import Sequence

import torch
from torch import Tensor

Level = float | Sequence[float] | Tensor  # one number for all images, one for each, or a map (B, 1, H, W)

FAR_OUT = 8.0  # no noise and no network takes a sample of [0, 1] there
KINDS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
SIGMA_HINT = "sigma is on the [0, 1] scale (the papers' 25 is 25 / 255)"
QUALITY_HINT = "quality goes from 1 to 100"


def check_image(image: Tensor, channels: int | None = None) -> None:
    """Refuse what is not a float image (B, C, H, W) of at least one pixel, with values of [0, 1] or somewhat beyond.

    Args:
        channels: that it must have; None is any number.

    Raises:
        ValueError: names the shape and type that came, or the values.
    """
    _check_form(image, channels)
    _check_values(image)


def _check_form(image: Tensor, channels: int | None) -> None:
    expected = f"expected a float image (B, {channels or 'C'}, H, W)"
    if not isinstance(image, Tensor):
        raise ValueError(f"{expected} as a torch.Tensor, got {_kind(image)}")
    if image.dtype not in KINDS:
        hint = "; divide by 255 for values in [0, 1]" if image.dtype == torch.uint8 else ""
        raise ValueError(f"{expected}, got {tuple(image.shape)} of {image.dtype}{hint}")
    if image.ndim != 4 or channels not in (None, image.shape[1]):
        raise ValueError(f"{expected}, got {tuple(image.shape)} of {image.dtype}")
    if image.numel() == 0:
        raise ValueError(f"an image needs at least one pixel, got {tuple(image.shape)}")


def _check_values(image: Tensor) -> None:
    lowest, highest = (float(end) for end in image.detach().aminmax())
    if lowest > -FAR_OUT and highest < FAR_OUT:
        return
    if lowest != lowest or highest != highest or float("inf") in (-lowest, highest):
        raise ValueError("expected an image in [0, 1], got values that are not finite")
    hint = "; divide by 255?" if lowest >= 0 and highest <= 255 else ""
    raise ValueError(f"expected an image in [0, 1], got values from {lowest:g} to {highest:g}{hint}")


def missing_pixels(image: Tensor, mask: Tensor, channels: int | None = None) -> Tensor:
    """Where pixels of an image are missing, bool (B, 1, H, W), of a mask of any type with 1 = missing and 0 = known.

    The image is checked as by `check_image`, but for what it holds in the holes.

    Args:
        channels: that it must have; None is any number.

    Raises:
        ValueError: see `check_image`; no tensor, another shape than the image's, or other values.
    """
    _check_form(image, channels)
    expected = (image.shape[0], 1, *image.shape[-2:])
    if not isinstance(mask, Tensor):
        raise ValueError(f"expected a mask {expected} as a torch.Tensor, got {_kind(mask)}")
    if mask.shape != expected:
        raise ValueError(f"expected a mask {expected}, got {tuple(mask.shape)}")
    if not ((mask == 0) | (mask == 1)).all():
        raise ValueError("a mask holds 1 where a pixel is missing and 0 elsewhere")
    missing = mask.bool()
    _check_values(image.detach().masked_fill(missing.to(image.device), 0))
    return missing


def sigma_map(sigma: Level | None, image: Tensor) -> Tensor | None:
    """The noise level, a number from 0 to 1, for every pixel of an image; see `level_map`."""
    return level_map("sigma", sigma, image, (0, 1), SIGMA_HINT)


def quality_map(quality: Level | None, image: Tensor) -> Tensor | None:
    """The JPEG quality, a number from 1 to 100, for every pixel of an image; see `level_map`."""
    return level_map("quality", quality, image, (1, 100), QUALITY_HINT)


def level_map(name: str, level: Level | None, image: Tensor, limits: tuple[float, float], hint: str) -> Tensor | None:
    """A level for every pixel: float64 that broadcasts to (B, 1, H, W), on the CPU; None for None, which is unknown.

    Args:
        level: one number for all images, one for each (B,), or a map (B, 1, H, W), of which any size may be 1.
        image: (B, C, H, W) that it is for.
        limits: least and greatest number allowed.
        hint: what a sentence says of these.

    Raises:
        ValueError: no numbers, another count of them than images, or one outside the limits.
    """
    if level is None:
        return None
    size = (image.shape[0], 1, *image.shape[-2:])
    wanted = f"{name} is one number, one for each image ({size[0]},), or a map {size}"
    try:
        numbers = torch.as_tensor(level, dtype=torch.float64, device="cpu").detach()
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{wanted}, got {_kind(level)}") from None
    if numbers.ndim < 2 and numbers.numel() in (1, size[0]):
        numbers = numbers.reshape(-1, 1, 1, 1)
    if numbers.ndim != 4 or any(given not in (1, side) for given, side in zip(numbers.shape, size, strict=True)):
        raise ValueError(f"{wanted}, got {tuple(numbers.shape)}")
    lowest, highest = float(numbers.min()), float(numbers.max())
    if not limits[0] <= lowest <= highest <= limits[1]:
        raise ValueError(f"{hint}, got {lowest:g}" + ("" if lowest == highest else f" to {highest:g}"))
    return numbers


def _kind(value: object) -> str:
    """The type of a value, with that of its elements, in words."""
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    elements = getattr(value, "dtype", None)
    return name if elements is None else f"{name} of {elements}"
