"""Removing what JPEG compression did."""

from restoration.artifacts import HIGHEST, LOWEST
from restoration.tasks._task import STRENGTH, Setting, Task


class Artifacts(Task):
    name = "artifacts"
    title = "Artifacts"
    place = 2
    help = "remove JPEG artifacts"
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


TASK = Artifacts()
