"""Removing what JPEG compression did."""

from restoration.artifacts import HIGHEST, LOWEST, remove_artifacts
from restoration.degradations import Jpeg
from restoration.job import score
from restoration.tasks._task import STRENGTH, Setting, Task


class Artifacts(Task):
    name = "artifacts"
    title = "Artifacts"
    place = 2
    help = "remove JPEG artifacts"
    ending = "cleaned"
    about = "Remove the JPEG artifacts of an image file."
    settings = (
        Setting(
            "quality",
            int,
            None,
            "that the input has",
            "JPEG quality of your picture",
            noun="The JPEG quality",
            limits=(LOWEST, HIGHEST),
            info="That it was saved with: lower cleans more.",
            start=30,
            automatic="Find the JPEG quality automatically",
        ),
        STRENGTH,
    )

    def run(self, image, method, settings, hole=None):
        return remove_artifacts(image, method.name, settings["quality"])

    def metrics(self, result):
        return {"jpeg_quality": result.found.value, "from": result.found.origin}

    def damaged(self, clean, scale, quality):
        return Jpeg(self.settings[0].checked(quality))(clean)

    def known(self, damaged, clean, quality):
        return {"quality": round(quality)}

    def score(self, image, clean, scale):
        return score(image, clean, blocks=True)


TASK = Artifacts()
