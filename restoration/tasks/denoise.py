"""Removing noise."""

import torch

from restoration.denoising import MAX_SIGMA_255, NOISES, denoise
from restoration.tasks._task import STRENGTH, Setting, Task


class Denoise(Task):
    name = "denoise"
    title = "Denoise"
    place = 1
    help = "remove noise"
    ending = "denoised"
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

    def run(self, image, method, settings, hole=None):
        sigma_255 = settings["sigma_255"]
        return denoise(image, method.name, None if sigma_255 is None else sigma_255 / 255)

    def metrics(self, result):
        return {"noise_level_255": round(255 * result.found.sigma, 2), "measured": result.found.measured}

    def damaged(self, clean, scale, kind, level, seed):
        if kind not in NOISES or not 0 < level <= 100:
            raise ValueError(f"Choose one of {', '.join(NOISES)} with a level from 1 to 100.")
        return NOISES[kind](level)(clean, torch.Generator().manual_seed(int(seed or 0)))

    def known(self, damaged, clean, *how):
        return {"sigma_255": min(255 * float((damaged - clean).std()), MAX_SIGMA_255)}


TASK = Denoise()
