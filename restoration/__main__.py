"""The command line.

python -m restoration denoise photo.jpg scan.png -o results --model drunet-fast --sigma auto --strength 0.8
python -m restoration artifacts photo.jpg -o clean.png --quality auto
python -m restoration upscale photo.jpg -o large.png --model compact --scale 4
python -m restoration inpaint photo.jpg -o clean.png --mask mask.png --grow 2 --feather 4
python -m restoration models
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from restoration import artifacts, catalog, denoising, inpainting, upscaling
from restoration.artifacts import remove_artifacts
from restoration.catalog import Task
from restoration.denoising import Restored, denoise
from restoration.image import ENDINGS, FORMATS, Image, ImageError, output_name, read, write
from restoration.inpainting import Inpainted, adjusted, inpaint, mask_from, transparent_pixels
from restoration.job import Job, Outcome, finish
from restoration.metrics import text
from restoration.upscaling import Upscaled, upscale


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    return arguments.run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m restoration", description="Restore images.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("models", help="list the methods of every task")
    listing.set_defaults(run=_models)

    files = argparse.ArgumentParser(add_help=False)
    files.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="image files")
    files.add_argument("-o", "--output", required=True, type=Path, metavar="OUT", help="file, or folder for many")
    files.add_argument("--format", choices=FORMATS, default="png", help="of files written to a folder")
    files.add_argument("--jpeg-quality", type=int, default=95, help="of JPEG files that are written, 1 to 100")
    files.add_argument("--metadata", choices=("private", "all", "none"), default="private", help="EXIF to keep")

    command = commands.add_parser("denoise", parents=[files], help="remove noise")
    command.add_argument("--model", default=_default("denoise"), help="see the models command; default %(default)s")
    command.add_argument("--sigma", type=_sigma, default=None, metavar="0..100|auto", help="noise level, 8-bit units")
    command.add_argument("--strength", type=_share, default=1.0, metavar="0..1", help="0 gives the input back")
    command.set_defaults(run=_denoise)

    command = commands.add_parser("artifacts", parents=[files], help="remove JPEG artifacts")
    command.add_argument("--model", default=_default("artifacts"), help="see the models command; default %(default)s")
    command.add_argument("--quality", type=_quality, default=None, metavar="5..95|auto", help="that the input has")
    command.add_argument("--strength", type=_share, default=1.0, metavar="0..1", help="0 gives the input back")
    command.set_defaults(run=_artifacts)

    command = commands.add_parser("upscale", parents=[files], help="enlarge")
    command.add_argument("--model", default=_default("upscale"), help="see the models command; default %(default)s")
    command.add_argument("--scale", type=int, choices=(2, 3, 4), help="if the model has several; else its own")
    command.add_argument(
        "--alpha",
        type=_share,
        default=upscaling.DEFAULT_ALPHA,
        metavar="0..1",
        help="esrgan: 0 is rrdb, true; 1 invents the most texture; default %(default)s",
    )
    command.add_argument("--stay-true", action="store_true", help="pull the result back to the photo's own pixels")
    command.set_defaults(run=_upscale)

    command = commands.add_parser("inpaint", parents=[files], help="fill holes")
    command.add_argument("--model", default=_default("inpaint"), help="see the models command; default %(default)s")
    holes = command.add_mutually_exclusive_group(required=True)
    holes.add_argument("--mask", type=Path, help="picture of any size: white is missing")
    holes.add_argument("--transparent", action="store_true", help="fill the fully transparent pixels")
    command.add_argument("--invert", action="store_true", help="black is missing instead")
    command.add_argument("--grow", type=int, default=0, metavar="PX", help="widen the holes; negative shrinks them")
    command.add_argument("--feather", type=int, default=0, metavar="PX", help="soft edge around the holes")
    command.set_defaults(run=_inpaint)
    return parser


def _default(task: Task) -> str:
    return catalog.methods(task)[0].name


def _sigma(text: str) -> float | None:
    if text == "auto":
        return None
    value = float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 100")
    return value / 255


def _quality(text: str) -> int | None:
    return None if text == "auto" else int(text)


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _models(_: argparse.Namespace) -> int:
    for method in catalog.methods():
        mark = "*" if method.flagship else " "
        print(f"{mark} {method.task:<9} {method.name:<18} {method.summary}")
    print("* default of its task")
    return 0


def _denoise(arguments: argparse.Namespace) -> int:
    def told(restored: Restored) -> str:
        level = f"{255 * restored.sigma:.1f}{' measured' if restored.measured else ''}"
        return f"{restored.method.name}, noise level {level}, {restored.seconds:.1f} s"

    return _restore(
        arguments,
        lambda image: denoise(image, arguments.model, arguments.sigma),
        lambda restored: (restored.image(arguments.strength), denoising.SUFFIX, told(restored)),
    )


def _artifacts(arguments: argparse.Namespace) -> int:
    return _restore(
        arguments,
        lambda image: remove_artifacts(image, arguments.model, arguments.quality),
        lambda cleaned: (
            cleaned.image(arguments.strength),
            artifacts.SUFFIX,
            f"{cleaned.method.name}, {cleaned.quality}, {cleaned.seconds:.1f} s",
        ),
    )


def _upscale(arguments: argparse.Namespace) -> int:
    def told(result: Upscaled) -> str:
        match = text(result.faithfulness.psnr)
        return f"{result.method.name}, matches the photo to {match}, {result.seconds:.1f} s"

    return _restore(
        arguments,
        lambda image: upscale(
            image, arguments.model, arguments.scale, alpha=arguments.alpha, stay_true=arguments.stay_true
        ),
        lambda result: (result.image(), upscaling.suffix(result.method), told(result)),
    )


def _inpaint(arguments: argparse.Namespace) -> int:
    def job(image: Image) -> Job[Inpainted]:
        mask = transparent_pixels(image) if arguments.transparent else mask_from(read(arguments.mask), image)
        mask = adjusted(mask, invert=arguments.invert, grow=arguments.grow, feather=arguments.feather)
        return inpaint(image, mask, arguments.model)

    def told(result: Inpainted) -> str:
        share = f"{100 * result.mask.share:.1f} % of the pixels filled"
        return " ".join([f"{result.method.name}, {share}, {result.seconds:.1f} s", *result.notes])

    return _restore(arguments, job, lambda result: (result.image(), inpainting.SUFFIX, told(result)))


def _restore(
    arguments: argparse.Namespace,
    job: Callable[[Image], Job[Outcome]],
    outcome: Callable[[Outcome], tuple[Image, str, str]],
) -> int:
    """Every input that can be read is restored; the exit code tells whether one could not.

    Args:
        outcome: of a finished job: the image, what its name ends in, and a line about it.
    """
    one_file = len(arguments.inputs) == 1 and arguments.output.suffix.lower() in ENDINGS
    failures = 0
    for path in arguments.inputs:
        try:
            running = job(read(path))
            with tqdm(total=100, desc=path.name, unit="%", bar_format="{l_bar}{bar}| {elapsed}<{remaining}") as bar:
                result, suffix, line = outcome(
                    finish(running, lambda step: bar.update(round(100 * step.share) - bar.n))
                )
            target = arguments.output
            if not one_file:
                target.mkdir(parents=True, exist_ok=True)
                target = target / output_name(result, suffix, arguments.format)
            write(result, target, arguments.jpeg_quality, arguments.metadata)
            print(f"{target}  ({line})")
        except (ImageError, ValueError, OSError, MemoryError) as error:
            print(f"error: {error}", file=sys.stderr)
            failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
