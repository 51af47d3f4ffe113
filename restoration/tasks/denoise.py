"""Removing noise."""

from restoration.denoising import MAX_SIGMA_255
from restoration.tasks._task import STRENGTH, Setting, Task


class Denoise(Task):
    name = "denoise"
    title = "Denoise"
    place = 1
    help = "remove noise"
    about = "Denoise an image file."
    settings = (
        Setting(
            "sigma_255",
            float,
            None,
            "noise level, 8-bit units",
            "Noise level σ",
            noun="The noise level",
            public="sigma",
            limits=(0, MAX_SIGMA_255),
            info="Standard deviation of the noise, of 255 levels: 10 is slight, 50 is heavy.",
            start=25,
            automatic="Find the noise level automatically",
        ),
        STRENGTH,
    )


TASK = Denoise()
