"""One call that restores a picture, whatever holds it: a file, an image, an array or a tensor."""

import io
import os
from collections.abc import Mapping
from typing import overload

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from restoration.contract import check_image
from restoration.files import encode, read
from restoration.image import Image, from_tensor, to_8_bit
from restoration.inpainting import hole_of
from restoration.orders import Order
from restoration.running import finish

File = str | os.PathLike[str] | bytes
AnyPicture = File | Image | Pillow.Image | np.ndarray | Tensor
_PLAIN = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")  # modes of Pillow that a PNG keeps


@overload
def restore(
    picture: File | Image,
    task: str = "photo",
    model: str = "",
    *,
    mask: AnyPicture | None = None,
    avoid: AnyPicture | None = None,
    **settings: object,
) -> Image: ...
@overload
def restore(
    picture: Pillow.Image,
    task: str = "photo",
    model: str = "",
    *,
    mask: AnyPicture | None = None,
    avoid: AnyPicture | None = None,
    **settings: object,
) -> Pillow.Image: ...
@overload
def restore(
    picture: np.ndarray,
    task: str = "photo",
    model: str = "",
    *,
    mask: AnyPicture | None = None,
    avoid: AnyPicture | None = None,
    **settings: object,
) -> np.ndarray: ...
@overload
def restore(
    picture: Tensor,
    task: str = "photo",
    model: str = "",
    *,
    mask: AnyPicture | None = None,
    avoid: AnyPicture | None = None,
    **settings: object,
) -> Tensor: ...
def restore(
    picture: AnyPicture,
    task: str = "photo",
    model: str = "",
    *,
    mask: AnyPicture | None = None,
    avoid: AnyPicture | None = None,
    **settings: object,
) -> Image | Pillow.Image | np.ndarray | Tensor:
    """The picture, restored as the page and the command line do it; of the same kind, an `Image` of a file.

    Args:
        picture: a path, the bytes of a file, an `Image`, one of Pillow's, an array (H, W) or (H, W, 1 to 4) of uint8,
            uint16 or a float type in [0, 1], or a float tensor (B, C, H, W) or (C, H, W) in [0, 1] with 1 or 3
            channels.  Floats are computed with 16 bits a sample; arrays and tensors come back in their own type.
        task: "photo", "denoise", "artifacts", "upscale" or "inpaint".
        model: name of one that `methods` lists; the task's default for none.
        mask: white is missing, of any size; None takes the transparent pixels.  For "inpaint".
        avoid: white may not be copied into what is filled.
        settings: of the task, as the command line calls them, that are not to be at their default; `sigma` on [0, 1].

    Raises:
        ValueError: no such task, model or setting, a picture of another kind, or values that cannot be.
        ImageError: the file cannot be read.
    """
    order = Order(task, model, _by_name(task, settings))
    hole = [None if given is None else _image(given) for given in (mask, avoid)]

    def restored(image: Image) -> Image:
        return finish(order.run(image, hole_of(image, *hole))).picture

    if isinstance(picture, Tensor):
        batch = picture[None] if picture.ndim == 3 else picture
        check_image(batch)
        results = [_tensor(restored(from_tensor(one, bits=16)), picture) for one in batch]
        return torch.stack(results) if picture.ndim == 4 else results[0]
    result = restored(_image(picture))
    if isinstance(picture, np.ndarray):
        return _array(result, picture)
    if isinstance(picture, Pillow.Image):
        made = Pillow.open(io.BytesIO(encode(result, "png", metadata="all")))
        made.load()
        return made
    return result


def _by_name(task: str, settings: Mapping[str, object]) -> dict[str, object]:
    """The settings as orders call them; a noise level on [0, 1] is one in 8-bit units there."""
    from restoration import tasks

    names = {setting.public: setting.name for setting in tasks.named(task).settings}
    found = {names.get(name, name): value for name, value in settings.items()}
    if isinstance(level := settings.get("sigma"), int | float) and "sigma" in names:
        found[names["sigma"]] = 255 * level
    return found


def _image(picture: AnyPicture) -> Image:
    """Any picture but a tensor of several as an image.

    Raises:
        ValueError: it is none.
    """
    if isinstance(picture, Image):
        return picture
    if isinstance(picture, Pillow.Image):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG" if picture.mode in _PLAIN else "TIFF", exif=picture.getexif())
        return read(buffer.getvalue())
    if isinstance(picture, np.ndarray):
        if picture.ndim == 3 and picture.shape[2] in (2, 4):
            return Image(picture[..., :-1], picture[..., -1])
        return Image(picture)
    if isinstance(picture, Tensor):
        return from_tensor(picture, bits=16)
    return read(picture, limit=None)


def _array(image: Image, like: np.ndarray) -> np.ndarray:
    """An image as an array of the type and the channels of another."""
    planes = (to_8_bit(image) if like.dtype == np.uint8 else image).planes
    if like.dtype.kind == "f":
        planes = (planes / np.iinfo(planes.dtype).max).astype(like.dtype)
    return planes[..., 0] if like.ndim == 2 else planes


def _tensor(image: Image, like: Tensor) -> Tensor:
    """An image as a tensor (C, H, W) of the type and on the device of another."""
    return image.tensor()[0].to(like)
