"""Filling holes."""

import torch

from restoration.inpainting import adjusted, inpaint, transparent_pixels
from restoration.tasks._task import Setting, Task

VARIANTS = 3  # besides the first


class Inpaint(Task):
    name = "inpaint"
    title = "Inpaint"
    verb = "Fill"
    place = 4
    help = "fill holes"
    ending = "inpainted"
    about = "Fill holes in an image file."
    holes = True
    mask = "a picture of any size, white where pixels are missing; without one transparent pixels are filled"
    avoid = "a picture of any size, white where nothing may be copied from into a fill"
    settings = (
        Setting("invert", bool, False, "black is missing instead", "Invert: fill what is not marked", place="mask"),
        Setting(
            "grow",
            int,
            2,
            "by how many pixels the holes are widened; negative shrinks them",
            "Grow in pixels (negative shrinks)",
            range=(-32, 32),
            unit="PX",
            place="mask",
        ),
        Setting(
            "feather",
            int,
            2,
            "how many pixels wide the soft edge around the holes is",
            "Feather in pixels",
            range=(0, 32),
            unit="PX",
            place="mask",
        ),
        Setting(
            "texture",
            bool,
            True,
            "copy fine detail into the fill",
            "Copy fine detail from the rest of the picture",
        ),
        Setting(
            "variant", int, 0, "another fill of the same hole, where there are several", "Variant", limits=(0, VARIANTS)
        ),
    )

    def facts(self, image, method):
        clear = transparent_pixels(image).share
        return [], ["It has transparent pixels, which can serve as the hole."] if clear else []

    def takes(self, setting, method):
        if setting.name == "variant":
            return not method.prior
        return setting.name != "texture" or method.name != "offset-fill"  # which copies and nothing else

    def run(self, image, method, settings, hole=None):
        edges = {name: settings[name] for name in ("invert", "grow", "feather")}
        mask = adjusted(hole or transparent_pixels(image), **edges)
        return inpaint(image, mask, method.name, settings["texture"], settings["variant"])

    def typical(self, side):
        """A hole of a quarter of the image."""
        mask = torch.zeros(1, 1, side, side)
        mask[..., side // 4 : -side // 4, side // 4 : -side // 4] = 1
        return (mask,)

    def metrics(self, result):
        return {"filled_share": round(result.found.share, 6)}


TASK = Inpaint()
