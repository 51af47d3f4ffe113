"""The command line.

python -m restoration photo photo.jpg -o better.png
python -m restoration photo scan.jpg -o better.png --no-denoise --enlarge 2
python -m restoration denoise photo.jpg scan.png -o results --model drunet-photo --sigma auto --strength 0.8
python -m restoration artifacts photo.jpg -o clean.png --quality auto
python -m restoration upscale photo.jpg -o large.png --model compact --scale 4
python -m restoration inpaint photo.jpg -o clean.png --mask mask.png --grow 2 --feather 4
python -m restoration replay clean.png.receipt.json photo.jpg
python -m restoration models
"""

import argparse
import io
import logging
import math
import mimetypes
import os
import sys
import warnings
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from tqdm import tqdm

from restoration import catalog, memory, precision, tasks
from restoration.batch import Batch, store
from restoration.files import ENDINGS, FORMATS, check_holds, format_of, read
from restoration.image import Image
from restoration.inpainting import hole_of
from restoration.inventory import Inventory
from restoration.many import restored_by
from restoration.orders import Order, replay
from restoration.receipts import read_receipt
from restoration.remote import place
from restoration.running import finish
from restoration.saving import check_folder
from restoration.targets import Targets, legible, refuse_taken
from restoration.tasks._task import AUTO, Setting, Task
from restoration.upscaling import results_of_any_size


def main(argv: list[str] | None = None) -> int:
    try:
        code = _main(argv)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("\nstopped: what was written stays", file=sys.stderr)
        return 130  # as shells say it
    except BrokenPipeError:  # whoever read the output has gone
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return 141


def _main(argv: list[str] | None) -> int:
    memory.keep()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # of libraries: what matters of them is said in sentences
    logging.getLogger().addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # of another encoding than the names have
    for sentence in catalog.warnings():
        print(f"warning: {sentence}", file=sys.stderr)
    arguments = _parser().parse_args(argv)
    return arguments.run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m restoration", description="Restore images.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("models", help="list the methods of every task")
    listing.set_defaults(run=_models)

    files = argparse.ArgumentParser(add_help=False)
    files.add_argument("inputs", nargs="+", type=_path, metavar="IN", help="image files, and folders of them")
    files.add_argument("-o", "--output", required=True, type=_name, metavar="OUT", help="file, or folder for many")
    files.add_argument("--format", choices=FORMATS, default="png", help="of files written to a folder")
    files.add_argument("--jpeg-quality", type=_quality, default=95, help="of JPEG files that are written, 1 to 100")
    files.add_argument("--limit", type=_megapixels, metavar="MEGAPIXELS", help="of pictures; default by free memory")
    files.add_argument("--no-receipt", dest="receipt", action="store_false", help="no JSON beside the results")
    files.add_argument("--overwrite", action="store_true", help="replace files that this run did not make")
    files.add_argument("--metadata", choices=("private", "all", "none"), default="private", help="to keep")
    files.add_argument(
        "--precision",
        choices=precision.CHOICES,
        help=f"of the models: the fastest that costs no quality, or fp32; default: {precision.VARIABLE}, else auto",
    )

    many = files.add_argument_group("many files")
    many.add_argument("--workers", type=_workers, default=1, metavar="N|auto", help="processes; auto: one a processor")
    many.add_argument("--ray", metavar="auto|ADDRESS", help="a Ray cluster; needs the extra ray")
    many.add_argument("--resume", action="store_true", help="go on after a run that was ended")

    for name, kind in tasks.every().items():
        _add_task(commands.add_parser(name, parents=[files], help=kind.help), kind)

    command = commands.add_parser("replay", help="do again what a receipt tells, and compare")
    command.add_argument("receipt", type=_path, metavar="RECEIPT", help="JSON, or a result that holds its receipt")
    command.add_argument("input", type=_path, metavar="INPUT", help="the picture that was restored")
    command.add_argument("--mask", type=_path, help="of an inpainted picture, if the receipt does not hold it")
    command.add_argument("--precision", choices=precision.CHOICES, help="see the tasks")
    command.set_defaults(run=_replay)
    return parser


def _add_task(command: argparse.ArgumentParser, kind: Task) -> None:
    """The options of a task."""
    first = catalog.method(kind.name, "").name
    command.add_argument("--model", default=first, help="see the models command; default %(default)s")
    if kind.holes:
        holes = command.add_mutually_exclusive_group(required=True)
        holes.add_argument("--mask", type=_path, help="picture of any size: white is missing")
        holes.add_argument("--transparent", action="store_true", help="fill the fully transparent pixels")
        command.add_argument("--avoid", type=_path, help=kind.avoid)
    for setting in kind.settings:
        flag, facts = setting.public.replace("_", "-"), {"dest": setting.name, "help": setting.help}
        if setting.kind is bool and setting.default:
            command.add_argument(f"--no-{flag}", action="store_false", **facts | {"help": f"do not {setting.help}"})
        elif setting.kind is bool and setting.default is None:
            command.add_argument(f"--{flag}", action=argparse.BooleanOptionalAction, **facts)
        elif setting.kind is bool:
            command.add_argument(f"--{flag}", action="store_true", **facts)
        elif setting.choices:
            command.add_argument(f"--{flag}", type=int, choices=setting.choices, default=setting.default, **facts)
        else:
            value, meta = partial(_value, setting), setting.unit
            if setting.limits:
                meta = "{:g}..{:g}".format(*setting.limits) + ("|auto" if setting.default is None else "")
            command.add_argument(f"--{flag}", type=value, default=setting.default, metavar=meta, **facts)
    command.set_defaults(run=_restore, task=kind)


def _name(text: str) -> str:
    if not text:  # not the folder that the shell is in, for which Python takes it
        raise argparse.ArgumentTypeError("an empty name is no file.")
    return text


def _path(text: str) -> Path:
    return Path(_name(text))


def _quality(text: str) -> int:
    with suppress(ValueError):
        if 1 <= int(text) <= 100:
            return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to 100.")


def _workers(text: str) -> int | None:
    with suppress(ValueError):
        if text == AUTO or int(text) > 0:
            return None if text == AUTO else int(text)
    raise argparse.ArgumentTypeError(f"{text} is neither a number of workers nor {AUTO}.")


def _megapixels(text: str) -> float:
    with suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text} is no number of megapixels.")


def _value(setting: Setting, text: str) -> float | None:
    """A setting's value of what was typed."""
    with suppress(ValueError):
        return setting.checked(None if setting.default is None and text == AUTO else setting.kind(text))
    whole = "whole " if setting.kind is int else ""
    limits = " from {:g} to {:g}".format(*setting.limits) if setting.limits else ""
    raise argparse.ArgumentTypeError(f"{text} is not a {whole}number{limits}.")


def _models(_: argparse.Namespace) -> int:
    for method in catalog.methods():
        mark = "*" if method.flagship else " "
        print(f"{mark} {method.task:<9} {method.name:<18} {method.summary}")
    print("* default of its task")
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    """Every input that can be read is restored; the exit code tells whether one could not."""
    try:
        if arguments.precision:
            precision.choose(arguments.precision)
        precision.choice()
        settings = {setting.name: getattr(arguments, setting.name) for setting in arguments.task.settings}
        order = Order(arguments.task.name, arguments.model, settings)
        arguments.thin = arguments.limit is not None  # who names a limit means it
        if not arguments.thin:
            arguments.limit = memory.megapixels(order.method.scale)
        given = (getattr(arguments, name, None) for name in ("mask", "avoid"))
        masks = [read(file, limit=arguments.limit, thin=arguments.thin) if file else None for file in given]
        saving = {"quality": arguments.jpeg_quality, "metadata": arguments.metadata}
        first, output = arguments.inputs[0], place(arguments.output)
        here = isinstance(first, Path) and isinstance(output, Path)
        one = here and len(arguments.inputs) == 1 and not first.is_dir()
        with results_of_any_size():
            return (_restore_one if one else _restore_many)(arguments, order, *masks, saving)
    except (ValueError, MemoryError) as error:
        return _failed(str(error) or "There is not enough memory.")
    except BrokenPipeError:
        raise
    except OSError as error:
        where = error.filename or arguments.output
        return _failed(f"The results cannot be written to {where}: {error.strerror or error}.")


def _restore_many(
    arguments: argparse.Namespace, order: Order, mask: Image | None, avoid: Image | None, saving: dict
) -> int:
    folder = place(arguments.output)
    files = Inventory(arguments.inputs, folder)
    found = files.survey
    if found.left_out:
        what = "file is no picture and was" if found.left_out == 1 else "files are no pictures and were"
        print(f"{found.left_out} {what} left out", file=sys.stderr)
    if not found.total:
        return _failed("there is no picture in there")
    batch = Batch(
        order=order,
        files=files,
        folder=folder,
        mask=mask,
        avoid=avoid,
        format=arguments.format,
        receipts=arguments.receipt,
        overwrite=arguments.overwrite,
        skip_results=True,
        resume=arguments.resume,
        limit=arguments.limit,
        thin=arguments.thin,
        **saving,
    )
    failures, megapixels = 0, 0.0
    with _bar(found.total, "file") as bar, closing(restored_by(batch, arguments.workers, arguments.ray)) as work:
        for step in work:
            bar.set_description(step.name)
            bar.update(step.done + step.share - bar.n)
            if not step.row:
                continue
            megapixels += math.prod(step.row.sizes[:2]) / 1e6 if step.row.outcome == "done" else 0
            failures += step.row.outcome == "failed"
            bar.set_postfix_str(f"{step.done:,} of {step.total:,} files, {megapixels:.1f} MP, {failures} failed")
            if step.row.outcome == "failed":
                bar.write(f"error: {step.row.reason}", file=sys.stderr)
            else:
                bar.write(f"{legible(str(step.row.result or step.row.file))}  ({step.row.reason})")
    return 1 if failures else 0


def _restore_one(
    arguments: argparse.Namespace, order: Order, mask: Image | None, avoid: Image | None, saving: dict
) -> int:
    target, one_file = Path(arguments.output), _names_a_file(arguments.output)
    format = format_of(target) if one_file else arguments.format
    if one_file and not arguments.overwrite:
        refuse_taken(target, receipt=arguments.receipt)
    if not one_file:
        target.mkdir(parents=True, exist_ok=True)
    check_folder(target.parent if one_file else target)
    image = read(arguments.inputs[0], limit=arguments.limit, thin=arguments.thin)
    check_holds(format, image, **saving, scale=order.method.scale)
    hole = hole_of(image, mask, avoid)
    targets = Targets(arguments.inputs, overwrite=arguments.overwrite, receipts=arguments.receipt)
    if not one_file:
        target, there = targets.choose(target, image.name, FORMATS[format], order, image, hole)
        if there:
            print(f"{legible(str(target))}  (It is there already, made by an earlier run.)")
            return 0
    job = order.run(image, hole)
    with _bar(100, "%") as bar:
        done = finish(job, lambda step: bar.update(round(100 * step.share) - bar.n))
    store(done, target, format, **saving, receipt=arguments.receipt, write=targets.save)
    print(f"{legible(str(target))}  ({done.told(format, arguments.metadata)})")
    return 0


def _names_a_file(output: str) -> bool:
    """Whether an output is one file: it ends as pictures do, and is no folder."""
    path = Path(output)
    if path.is_dir() or output.endswith(("/", os.sep)):
        return False
    kind, _ = mimetypes.guess_type(path.name)
    return path.suffix.lower() in ENDINGS or (kind or "").startswith("image/")


def _bar(total: int, unit: str) -> tqdm:
    return tqdm(total=total, unit=unit, bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}")


def _failed(reason: object) -> int:
    print(f"error: {legible(str(reason))}", file=sys.stderr)
    return 1


def _replay(arguments: argparse.Namespace) -> int:
    try:
        if arguments.precision:
            precision.choose(arguments.precision)
        receipt = read_receipt(arguments.receipt)
        mask = read(arguments.mask, limit=None) if arguments.mask else None
        outcome = finish(replay(receipt, read(arguments.input, limit=None), mask))
    except BrokenPipeError:
        raise
    except (ValueError, OSError, KeyError, TypeError) as error:
        return _failed(error)
    print("reproduced" if outcome.same else "not reproduced")
    for difference in outcome.differences:
        print(difference)
    return 0 if outcome.same else 1


if __name__ == "__main__":
    sys.exit(main())
