"""Enlarging."""

from restoration import metrics
from restoration.catalog import Method
from restoration.degradations import Downscale
from restoration.image import enlarged, visible_colours
from restoration.job import score
from restoration.tasks._task import Setting, Task
from restoration.upscaling import upscale


class Upscale(Task):
    name = "upscale"
    title = "Upscale"
    place = 3
    help = "enlarge"
    about = "Enlarge an image file."
    settings = (
        Setting("scale", int, 0, "if the model has several; else its own", "Enlarge", choices=(2, 3, 4)),
        Setting(
            "alpha",
            float,
            1.0,
            "esrgan: 0 is rrdb, true; 1 invents the most texture; default 1.0",
            "Texture: 0 is true (RRDB), 1 invents the most",
            limits=(0, 1),
            step=0.05,
        ),
        Setting(
            "stay_true",
            bool,
            False,
            "pull the result back to the photo's own pixels",
            "Stay true",
            info="Pulls the result back to your photo, so that reduced again it gives your photo.",
        ),
    )

    def completed(self, given, method: Method):
        found = super().completed(given, method)
        return found if method.blends else {**found, "alpha": 1.0}

    def suffix(self, method):
        return f"x{method.scale}"

    def run(self, image, method, settings, hole=None):
        return upscale(image, method.name, alpha=settings["alpha"], stay_true=settings["stay_true"])

    def metrics(self, result):
        return {"matches_photo": metrics.text(result.found.psnr)}

    def before(self, image, method):
        return enlarged(visible_colours(image), method.scale)

    def damaged(self, clean, scale):
        if min(clean.shape[-2:]) < 8 * scale:
            raise ValueError(f"This test needs a picture of at least {8 * scale} pixels a side.")
        return Downscale(scale)(clean)

    def score(self, image, clean, scale):
        """On luma with the border cut, as the super-resolution papers have it."""
        return score(metrics.luma(image), metrics.luma(clean), scale)


TASK = Upscale()
