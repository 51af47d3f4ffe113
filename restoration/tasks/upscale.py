"""Enlarging."""

from restoration.catalog import Method
from restoration.tasks._task import Setting, Task


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


TASK = Upscale()
