"""Removing noise."""

import torch

from restoration.artifacts import measured_quality
from restoration.denoising import MAX_SIGMA_255, NOISES, NOISY_ABOVE_255, denoise, measured_sigma
from restoration.tasks._task import STRENGTH, Setting, Task, Test

CLEAN_BELOW_255 = 2.5  # a measured noise level under which denoising can only lose detail


class Denoise(Task):
    name = "denoise"
    title = verb = "Denoise"
    place = 1
    help = "remove noise"
    ending = "denoised"
    about = "Denoise an image file."
    settings = (
        Setting(
            "sigma_255",
            float,
            None,
            "the noise level in 8-bit units: 10 is slight, 50 is heavy",
            "Noise level σ",
            noun="The noise level",
            public="sigma",
            limits=(0, MAX_SIGMA_255),
            info="Standard deviation of the noise, in 8-bit levels: 10 is slight, 50 is heavy.",
            start=25,
            automatic="Find the noise level automatically",
        ),
        STRENGTH,
    )

    test = Test(
        "Test a model: add noise to a clean picture and score the result",
        "Treats your picture as clean, adds noise to its middle (at most 1024 × 1024 px), removes it with the model "
        "chosen above and compares both with the original. PSNR and SSIM say how close a picture is to the "
        "original; higher is better. Your own download is not touched.",
        "Clean pictures",
        "Add noise and denoise",
        "With noise and denoised",
        ("With noise", "Denoised"),
    )
    damages = (
        Setting("kind", str, next(iter(NOISES)), "of noise", "Noise", choices=tuple(NOISES)),
        Setting("level", float, 25, "of noise", "Level", limits=(1, MAX_SIGMA_255)),
        Setting("seed", int, 0, "of the noise", "Seed"),
    )

    def facts(self, image, method):
        level, quality = 255 * measured_sigma(image), measured_quality(image)
        advice = []
        if quality.blocky:
            advice.append(f"{quality.saved}: remove its artifacts afterwards, or, if you see no grain, instead.")
        elif level < CLEAN_BELOW_255:
            advice.append("This picture is nearly free of noise: leave it alone, denoising may only cost detail.")
        return [f"measured noise level {level:.1f}", str(quality)], advice

    def takes(self, setting, method):
        return setting.name != "sigma_255" or method.takes_sigma

    def guide(self, method):
        return "" if method.takes_sigma or method.prior else "It always finds the noise level itself."

    def measured(self, image):
        return {"sigma_255": 255 * measured_sigma(image)}

    def spoilt(self, image):
        if 255 * measured_sigma(image) <= NOISY_ABOVE_255:
            return ""
        return "This picture has noise of its own, so the scores mislead; choose a clean one."

    def run(self, image, method, settings, hole=None):
        sigma_255 = settings["sigma_255"]
        return denoise(image, method.name, None if sigma_255 is None else sigma_255 / 255)

    def typical(self, side):
        return (0.1,)

    def metrics(self, result):
        return {"noise_level_255": round(255 * result.found.sigma, 2), "measured": result.found.measured}

    def damaged(self, clean, scale, kind, level, seed):
        if kind not in NOISES or not 0 < level <= 100:
            raise ValueError(f"Choose one of {', '.join(NOISES)} with a level from 1 to 100.")
        return NOISES[kind](level)(clean, torch.Generator().manual_seed(int(seed or 0)))

    def known(self, damaged, clean, *how):
        return {"sigma_255": min(255 * float((damaged - clean).std()), MAX_SIGMA_255)}


TASK = Denoise()
