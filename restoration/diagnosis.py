"""What is wrong with a picture: measured within a second, and told in plain words with the step that would help.

The thresholds were set on crops of BSD100, of wallpaper photos and of CLIC, clean and damaged in known ways; see
`train.photo` for what comes of them.
"""

from dataclasses import dataclass

from restoration.artifacts import measured_quality
from restoration.grain import measured_grain
from restoration.image import Image
from restoration.inpainting import Mask
from restoration.scratches import find_scratches

QUALITY_SIDE = 384  # the JPEG quality is measured in a square of this side, in the middle
GRAINY_FROM_255 = 7.0  # noise level that three quarters of a picture have that is too small for signs
SLIGHT_BELOW = 88  # a JPEG quality from which removing its artifacts can only lose detail
TEXTURED_FROM_255 = 4.0  # the level that is found in fine texture
SMALL_MEGAPIXELS = 0.8
FINE = "This picture is fine, nothing to do."


@dataclass(frozen=True)
class Finding:
    """What was found of one kind, and whether the step against it is worth taking.

    Args:
        step: name of the setting that takes the step against it.
        words: what was found, with its number.
        advised: whether the step is taken unless somebody says otherwise.
        offered: whether something is wrong that is put right only once somebody says so.
    """

    step: str
    words: str
    advised: bool = False
    offered: bool = False


def diagnosed(image: Image) -> list[Finding]:
    """What was found in an image at a glance, in the order in which it is to be put right; see `scratches` for more."""
    compression = _compression(image)
    return [_grain(image, compression.advised), compression, _size(image)]


def scratches(image: Image) -> tuple[Finding, Mask]:
    """The scratches and the dust of an image in words, and where they are, which takes about a second.

    What looks like a scratch may be a wire, and like dust a star, so nobody is advised to remove them unseen.
    """
    found = find_scratches(image)
    words = [f"scratches: {found.count} thin line{'s' * (found.count > 1)}"] if found.count else []
    words += [f"dust: {found.specks} specks"] if found.specks else []
    told = "; ".join(words) or "no scratches, no dust"
    return Finding("scratches", told, offered=bool(words)), Mask(found.marks.astype("float32"))


def _compression(image: Image) -> Finding:
    quality = measured_quality(image, QUALITY_SIDE)
    if quality.resized:
        return Finding("artifacts", f"saved as JPEG, then {quality.history}: blocks and ringing", True)
    if quality.value is None:
        return Finding("artifacts", str(quality))
    if quality.value >= SLIGHT_BELOW:
        return Finding("artifacts", f"JPEG of quality {quality.value}: hardly anything was lost")
    seen = "blocks can be seen" if quality.blocky else "slight blocks and ringing"
    return Finding("artifacts", f"JPEG of quality {quality.value}: {seen}", True)


def _grain(image: Image, lossy: bool) -> Finding:
    """The grain, of which a lossy JPEG has lost a part."""
    grain = measured_grain(image)
    level, signs = 255 * grain.level, grain.signs
    if not (level >= GRAINY_FROM_255 if signs is None else signs.are_grain(lossy=lossy)):
        told = "no grain to speak of" if level < TEXTURED_FROM_255 else "texture rather than grain"
        return Finding("denoise", f"{told}: level {level:.0f}")
    kind = "grainy" if level < 20 else "very grainy"
    return Finding("denoise", f"{kind}: level {level:.0f}", True)


def _size(image: Image) -> Finding:
    """Smallness is no damage, so nobody is advised to enlarge."""
    size = f"{image.width} × {image.height} px"
    small = image.width * image.height < SMALL_MEGAPIXELS * 1e6
    return Finding("enlarge", f"small: {size}" if small else f"{size}, which is not small")
