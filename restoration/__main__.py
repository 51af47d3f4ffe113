"""The command line.

python -m restoration denoise photo.jpg scan.png -o results --model drunet-fast --sigma auto --strength 0.8
python -m restoration models
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from restoration import catalog
from restoration.image import ENDINGS, FORMATS, ImageError, output_name, read, write
from restoration.job import denoise, finish


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    return arguments.run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m restoration", description="Restore images.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("models", help="list the methods of every task")
    listing.set_defaults(run=_models)

    command = commands.add_parser("denoise", help="remove noise")
    command.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="image files")
    command.add_argument("-o", "--output", required=True, type=Path, metavar="OUT", help="file, or folder for many")
    flagship = next((method.name for method in catalog.methods("denoise") if method.flagship), "non-local-means")
    command.add_argument("--model", default=flagship, help="see the models command; default %(default)s")
    command.add_argument("--sigma", type=_sigma, default=None, metavar="0..100|auto", help="noise level, 8-bit units")
    command.add_argument("--strength", type=_share, default=1.0, metavar="0..1", help="0 gives the input back")
    command.add_argument("--format", choices=FORMATS, default="png", help="of files written to a folder")
    command.add_argument("--quality", type=int, default=95, help="of JPEG files, 1 to 100")
    command.add_argument("--metadata", choices=("private", "all", "none"), default="private", help="EXIF to keep")
    command.set_defaults(run=_denoise)
    return parser


def _sigma(text: str) -> float | None:
    if text == "auto":
        return None
    value = float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 100")
    return value / 255


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _models(_: argparse.Namespace) -> int:
    for method in catalog.methods():
        mark = "*" if method.flagship else " "
        print(f"{mark} {method.task:<8} {method.name:<18} {method.summary}")
    print("* default of its task")
    return 0


def _denoise(arguments: argparse.Namespace) -> int:
    """Every input that can be read is restored; the exit code tells whether one could not."""
    one_file = len(arguments.inputs) == 1 and arguments.output.suffix.lower() in ENDINGS
    failures = 0
    for path in arguments.inputs:
        try:
            image = read(path)
            target = arguments.output
            if not one_file:
                target.mkdir(parents=True, exist_ok=True)
                target = target / output_name(image, "denoised", arguments.format)
            job = denoise(image, arguments.model, arguments.sigma)
            with tqdm(total=100, desc=path.name, unit="%", bar_format="{l_bar}{bar}| {elapsed}<{remaining}") as bar:
                restored = finish(job, lambda step: bar.update(round(100 * step.share) - bar.n))
            write(restored.image(arguments.strength), target, arguments.quality, arguments.metadata)
            level = f"{255 * restored.sigma:.1f}{' measured' if restored.measured else ''}"
            print(f"{target}  ({restored.method.name}, noise level {level}, {restored.seconds:.1f} s)")
        except (ImageError, ValueError, OSError, MemoryError) as error:
            print(f"error: {error}", file=sys.stderr)
            failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
