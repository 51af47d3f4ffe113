"""Enlarging."""

from restoration import metrics
from restoration.artifacts import SOUND_FROM, measured_quality
from restoration.catalog import Method
from restoration.degradations import Downscale
from restoration.denoising import NOISY_ABOVE_255, measured_sigma
from restoration.image import enlarged, visible_colours
from restoration.running import score
from restoration.tasks._task import Setting, Task, Test
from restoration.upscaling import output_size, upscale

# what is said of a result that, reduced again, matches the photo to so many dB at least
TRUE = (
    (45.0, "nothing in it contradicts your photo"),
    (35.0, "true to your photo but for fine detail"),
    (0.0, "parts of it differ from your photo"),
)


class Upscale(Task):
    name = "upscale"
    title = verb = "Upscale"
    place = 3
    help = "enlarge"
    about = "Enlarge an image file."
    settings = (
        Setting(
            "scale",
            int,
            0,
            "how many times the picture is enlarged; else by what the model does",
            "Enlarge",
            choices=(2, 3, 4),
            selects=True,
        ),
        Setting(
            "alpha",
            float,
            1.0,
            "how much is invented by models that invent texture: 0 is true, 1 invents the most; default 1.0",
            "Texture: 0 is true, 1 invents the most",
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
            later=True,
        ),
    )

    def completed(self, given, method: Method):
        found = super().completed(given, method)
        return found if method.blends else {**found, "alpha": 1.0}

    test = Test(
        "Test a model: reduce a sharp picture, enlarge it again and score the result",
        "Takes the middle of your picture (at most 1024 × 1024 px), reduces it bicubically, enlarges it with the "
        "settings chosen above and compares luma with the original. PSNR and SSIM say how close a picture is to "
        "the original; higher is better. Your own download is not touched.",
        "Sharp pictures",
        "Reduce and enlarge",
        "Bicubic and this model",
        ("Bicubic", "This model"),
    )
    compared = "Bicubic and this model, at the new size"
    hint = "Compare: drag the handle or use the arrow keys. Plain bicubic enlargement is on the left."

    def takes(self, setting, method):
        return setting.name != "alpha" or method.blends

    def facts(self, image, method):
        width, height = output_size(image, method.scale)
        level, quality = 255 * measured_sigma(image), measured_quality(image)
        noisy = f"The picture is noisy (measured level {level:.0f}), and noise grows with it: denoise it first."
        blocky = f"{quality.saved}, and blocks grow with it: remove its artifacts first."
        size = f"**becomes {width} × {height} px** ({width * height / 1e6:.1f} megapixels)"
        found = [size, f"measured noise level {level:.1f}", str(quality)]
        advice = [noisy] if level > NOISY_ABOVE_255 else []
        if quality.resized or (quality.value is not None and quality.value < SOUND_FROM):
            advice.append(blocky)
        return found, [] if method.cleans else advice

    def suffix(self, method):
        return f"x{method.scale}"

    def run(self, image, method, settings, hole=None):
        return upscale(image, method.name, alpha=settings["alpha"], stay_true=settings["stay_true"])

    def told(self, result):
        psnr = result.found.psnr
        return next(words for least, words in TRUE if psnr >= least)

    def metrics(self, result):
        return {"matches_photo": metrics.text(result.found.psnr)}

    def faithfulness(self, result):
        return result.found.psnr

    def before(self, image, method, settings):
        output_size(image, method.scale)
        return enlarged(visible_colours(image), method.scale)

    def damaged(self, clean, scale):
        if min(clean.shape[-2:]) < 8 * scale:
            raise ValueError(f"This test needs a picture of at least {8 * scale} pixels a side.")
        return Downscale(scale)(clean)

    def score(self, image, clean, scale):
        """On luma with the border cut, as the super-resolution papers have it."""
        return score(metrics.luma(image), metrics.luma(clean), scale)


TASK = Upscale()
