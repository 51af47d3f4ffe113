"""Removing what JPEG compression did."""

from restoration.artifacts import HIGHEST, LOWEST, SOUND_FROM, measured_quality, remove_artifacts
from restoration.degradations import Jpeg
from restoration.denoising import NOISY_ABOVE_255, measured_sigma
from restoration.running import score
from restoration.tasks._task import STRENGTH, Setting, Task, Test


class Artifacts(Task):
    name = "artifacts"
    title = "Artifacts"
    verb = "Remove artifacts"
    place = 2
    help = "remove JPEG artifacts"
    ending = "cleaned"
    about = "Remove the JPEG artifacts of an image file."
    settings = (
        Setting(
            "quality",
            int,
            None,
            "the JPEG quality that the input was saved with",
            "JPEG quality of your picture",
            noun="The JPEG quality",
            limits=(LOWEST, HIGHEST),
            info="The quality it was saved with; a lower one cleans more.",
            start=30,
            automatic="Find the JPEG quality automatically",
        ),
        STRENGTH,
    )

    test = Test(
        "Test a model: compress a clean picture and score the result",
        "Treats your picture as clean, saves its middle (at most 1024 × 1024 px) as a JPEG, removes the artifacts "
        "with the model chosen above and compares both with the original. PSNR and SSIM say how close a picture is "
        "to the original, PSNR-B counts visible block edges as errors too; higher is better. Your own download is "
        "not touched.",
        "Clean pictures",
        "Compress and clean",
        "Compressed and cleaned",
        ("JPEG", "Cleaned"),
        ("PSNR-B",),
    )
    damages = (Setting("quality", int, 20, "of the JPEG", "Quality to compress with", limits=(LOWEST, HIGHEST)),)

    def facts(self, image, method):
        level, quality = 255 * measured_sigma(image), measured_quality(image)
        if quality.resized:
            changed = "edited" if quality.resized == 1 else "resized"
            advice = f"It was saved as a JPEG and then {changed}: removing what that left behind is worth a run."
        elif quality.value is None:
            advice = "It shows no trace of JPEG: leave it alone."
        elif quality.blocky:
            advice = "Artifacts of this quality can be seen: removing them is worth a run."
        elif quality.value < SOUND_FROM:
            advice = "Artifacts of this quality are slight: compare closely before you keep the result."
        else:
            advice = "Hardly anything was lost at this quality: leave it alone."
        noisy = [f"It is also noisy (measured level {level:.0f}): denoise it first."]
        return [str(quality)], [advice, *(noisy if level > NOISY_ABOVE_255 else [])]

    def takes(self, setting, method):
        return setting.name != "quality" or method.takes_quality

    def guide(self, method):
        return "" if method.takes_quality or method.prior else "It always finds the quality itself."

    def measured(self, image):
        quality = measured_quality(image).value
        return {"quality": quality if quality is None else min(max(quality, LOWEST), HIGHEST)}

    def spoilt(self, image):
        quality = measured_quality(image)
        if quality.value is None and not quality.resized:
            return ""
        return "This picture has JPEG artifacts of its own, so the scores mislead; choose a clean one."

    def run(self, image, method, settings, hole=None):
        return remove_artifacts(image, method.name, settings["quality"])

    def typical(self, side):
        return (30,)

    def metrics(self, result):
        return {"jpeg_quality": result.found.value, "from": result.found.origin}

    def damaged(self, clean, scale, quality):
        return Jpeg(self.settings[0].checked(quality))(clean)

    def known(self, damaged, clean, quality):
        return {"quality": round(quality)}

    def score(self, image, clean, scale):
        return score(image, clean, blocks=True)


TASK = Artifacts()
