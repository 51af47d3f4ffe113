"""What every job, from image to restored image, is made of: the jobs themselves are generators in modules of their own.

A job yields `Progress` before its first step and after each, and returns its result; dropping the generator stops it.
"""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from restoration import deep_image_prior, tasks
from restoration.catalog import Filter, Method
from restoration.deep_image_prior import Attempt
from restoration.image import Canvas, Image
from restoration.jpeg import brightness
from restoration.metrics import psnr, psnr_b, ssim
from restoration.precision import Precision, precision_of
from restoration.restorer import Restorer
from restoration.streaming import strips, works_in_strips
from restoration.tiling import SMALLEST, Progress, default_tile, out_of_memory, relayed, run_tiled

Outcome = TypeVar("Outcome")


class Drawn(Protocol):
    """What holds a result: a canvas, or a picture that was painted on."""

    def image(self, *strength: float) -> Image: ...


Job = Generator[Progress, None, Outcome]

TILE_PIXELS = 1024  # side of a tile in output pixels, where pictures are enlarged
STRIP_PIXELS = 400_000  # of a strip, which is short enough to cancel after
TRIAL_SIDE = 1024  # trials take the middle of larger pictures


@dataclass(frozen=True)
class Result:
    """What a job gives, whatever its task.

    Args:
        canvas: the result; that of a task with a strength is blended anew without another run of the model.
        method: what restored it.
        seconds: how long the restoring took.
        found: what was found out on the way, of the task's own kind.
        notes: what a visitor should know, one sentence each.
        chosen: settings that the job chose itself, with the method.
        parts: of a chain, what came of each of its orders.
    """

    canvas: Drawn
    method: Method
    seconds: float
    found: object
    notes: tuple[str, ...] = ()
    chosen: Mapping[str, object] = field(default_factory=dict)
    parts: tuple[object, ...] = ()

    def image(self, *strength: float) -> Image:
        """The result, for some tasks moved by a strength (0 to 1) of the way from the original, which 0 gives back."""
        return self.canvas.image(*strength)


def finish(job: Job[Outcome], report: Callable[[Progress], object] | None = None) -> Outcome:
    """Run a job to its end, telling `report` of every step; an interrupt keeps the best so far, if there is one."""
    best = None
    while True:
        try:
            step = next(job)
        except StopIteration as end:
            return end.value
        except KeyboardInterrupt:
            if best is None:
                raise
            return best
        best = step.so_far
        if report:
            report(step)


def stage(job: Job[Outcome], index: int, count: int) -> Job[Outcome]:
    """A job whose progress is that of part `index` of `count` equal parts."""
    return relayed(job, lambda s: replace(s, done=index * s.total + s.done, total=count * s.total))


def improving(
    attempts: Generator[Attempt, None, Tensor], task: str, pixels: int, outcome: Callable[[Tensor], Outcome]
) -> Job[Outcome]:
    """A job of Deep Image Prior: every step says what stopping there would give.

    Args:
        pixels: of the picture that is fitted.
        outcome: makes a job's result of a picture (1, C, H, W).

    Raises:
        ValueError: it would take longer than half an hour here.
    """
    steps = deep_image_prior.STEPS[task]
    expected = deep_image_prior.expected_seconds(pixels, steps)
    if expected > deep_image_prior.LONGEST:
        side = int((pixels * deep_image_prior.LONGEST / expected) ** 0.5)
        raise ValueError(
            f"Deep Image Prior would take about {expected / 60:.0f} minutes for this picture here; "
            f"crop it to about {side} × {side} px."
        )
    yield Progress(0, steps, seconds_left=expected)
    picture = yield from relayed(attempts, lambda a: Progress(a.step, a.steps, outcome(a.image), a.seconds_left))
    return outcome(picture)


def tile_side(method: Method, restorer: Restorer | Filter) -> int:
    """Side in input pixels of the tiles that a method gets, which bounds the memory."""
    return TILE_PIXELS // method.scale if method.scale > 1 else default_tile(restorer.receptive_field)


def restored(
    image: Image,
    method: Method,
    *settings: float | None,
    found: Callable[[Canvas], object],
    alpha: float = 1.0,
    tile: int | None = None,
) -> Job[Result]:
    """The job of most tasks: the method's result on a canvas, tile after tile.

    Args:
        settings: what the method's `restore` takes besides the image.
        found: makes `Result.found` of the canvas as it is.
        alpha: see `catalog.load`.
        tile: side of the tiles in input pixels instead of the method's default.
    """
    canvas, started = Canvas(image, method.scale), time.monotonic()

    def outcome() -> Result:
        return Result(canvas, method, time.monotonic() - started, found(canvas))

    def fitted(picture: Tensor) -> Result:
        canvas.put(picture, 0, 0)
        return outcome()

    size = image.height, image.width
    if method.prior:
        pixels = size[0] * size[1] * method.scale**2
        return (yield from improving(method.source.fit(image.tensor()), method.task, pixels, fitted))
    restorer = loaded(method, alpha)
    if tile is None and in_strips(method) and (yield from _stripped(restorer, image, canvas, *settings)):
        return outcome()
    yield from run_tiled(
        lambda part: infer(method, alpha, part, *settings),
        image.tensor,
        canvas.put,
        size,
        receptive_field=restorer.receptive_field,
        multiple_of=restorer.multiple_of,
        scale=method.scale,
        tile=tile or tile_side(method, restorer),
    )
    return outcome()


def strip_pixels(restorer: Restorer) -> int:
    """How many pixels of a picture a strip has, about."""
    return min(STRIP_PIXELS, TILE_PIXELS**2 // restorer.scale**2)


def in_strips(method: Method) -> bool:
    """Whether a method works through pictures in strips: the networks of which none needs the whole at once."""
    restorer = loaded(method)
    on_processor = isinstance(restorer, Restorer) and not next(restorer.parameters()).is_cuda and _runner is _infer
    return on_processor and works_in_strips(restorer)


def _stripped(restorer: Restorer, image: Image, canvas: Canvas, *settings: float | None) -> Job[bool]:
    """Fill a canvas strip by strip; gives whether that went, or the picture is too small or the memory too little."""
    height, width = image.height, image.width
    if min(height, width) <= 2 * SMALLEST:
        return False

    def read(rows: slice) -> Tensor:
        return fitted(restorer, image.tensor((rows, slice(None))))

    rows = max(16, strip_pixels(restorer) // width // 16 * 16)
    precision, done = precision_of(restorer), 0
    yield Progress(0, height * width)
    with computing(precision, restorer):
        parts = strips(restorer, read, (height, width), *settings, rows=rows)
    while done < height:
        strip = slice(done, min(done + rows, height))
        try:
            with computing(precision, restorer):
                part = next(parts)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            return False
        original = image.tensor((strip, slice(None)))
        canvas.put(unfitted(restorer, original, part.float()), restorer.scale * done, 0)
        done = strip.stop
        yield Progress(done * width, height * width)
    return True


@lru_cache(maxsize=8)
def loaded(method: Method, alpha: float = 1.0) -> Restorer | Filter:
    """What restores, models on the GPU if there is one; kept for the next job."""
    restorer = method.load(alpha)
    on_gpu = isinstance(restorer, Restorer) and torch.cuda.is_available()
    return restorer.to("cuda") if on_gpu else restorer


def infer(method: Method, alpha: float, image: Tensor, *settings: float | Tensor | None) -> Tensor:
    """The restored image on the CPU: all that a GPU is needed for, see `use_gpu`.

    Args:
        alpha: see `catalog.load`.
        settings: what the method's `restore` takes besides the image.
    """
    return _runner(method, alpha, image, *settings)


def use_gpu(decorate: Callable[[Callable[..., Tensor]], Callable[..., Tensor]]) -> None:
    """Let a decorator, `spaces.GPU` on a ZeroGPU Space, say where `infer` runs."""
    global _runner
    _runner = decorate(_infer)


def gpu_is_lent() -> bool:
    """Whether a GPU comes for `infer` alone, so that what the processor does tells nothing of it."""
    return _runner is not _infer


def gpu_seconds(method: Method, alpha: float, image: Tensor, *settings: float | Tensor | None) -> int:
    """How long a GPU may be needed for `infer` with these arguments, generously."""
    return 10 + round(10 * image[0, 0].numel() * method.scale**2 / 1e6)


def _infer(method: Method, alpha: float, image: Tensor, *settings: float | Tensor | None) -> Tensor:
    restorer = loaded(method, alpha)
    return RUNNERS[precision_of(restorer)](restorer, image, *settings).cpu()


_runner: Callable[..., Tensor] = _infer


def with_channels(restorer: Restorer | Filter, image: Tensor, *settings: float | None) -> Tensor:
    """Restore with any model: a colour one sees grey as three equal planes.

    A grey one takes each colour by itself, or the brightness alone, as its contract says.
    """
    if isinstance(restorer, Restorer):
        device = next(restorer.parameters()).device
        image = image.to(device)
        settings = tuple(value.to(device) if isinstance(value, Tensor) else value for value in settings)
    return unfitted(restorer, image, restorer.restore(fitted(restorer, image), *settings))


def fitted(restorer: Restorer | Filter, image: Tensor) -> Tensor:
    """An image with the channels that a model takes."""
    if restorer.channels in (None, image.shape[1]):
        return image
    if restorer.channels == 1:
        return brightness(image) if restorer.brightness_alone else image.reshape(-1, 1, *image.shape[-2:])
    return image.expand(-1, restorer.channels, -1, -1)


def unfitted(restorer: Restorer | Filter, image: Tensor, restored: Tensor) -> Tensor:
    """What a model made of `fitted`, with the channels of the image."""
    channels = image.shape[1]
    if restorer.channels in (None, channels):
        return restored
    if restorer.channels != 1:
        return restored.mean(1, keepdim=True)
    if restorer.brightness_alone:
        return (image + restored - brightness(image)).clamp(0, 1)
    return restored.reshape(-1, channels, *restored.shape[-2:])


def in_fp16(restorer: Restorer, image: Tensor, *settings: float | Tensor | None) -> Tensor:
    """`with_channels` in fp16; what is too large for that is computed again in fp32."""
    with computing("fp16", restorer):
        restored = with_channels(restorer, image, *settings).float()
    return restored if restored.isfinite().all() else with_channels(restorer, image, *settings)


def in_bf16(restorer: Restorer, image: Tensor, *settings: float | Tensor | None) -> Tensor:
    """`with_channels` in bf16, which holds numbers of any size."""
    with computing("bf16", restorer):
        return with_channels(restorer, image, *settings).float()


def computing(precision: Precision, restorer: Restorer) -> AbstractContextManager:
    """Within this a model computes so."""
    kinds = {"fp16": torch.float16, "bf16": torch.bfloat16}
    device = next(restorer.parameters()).device.type
    return torch.autocast(device, kinds[precision]) if precision in kinds else nullcontext()


RUNNERS = {"fp32": with_channels, "bf16": in_bf16, "fp16": in_fp16}


def typical(task: str, side: int) -> tuple[float | Tensor, ...]:
    """What a task's `restore` takes besides the image when nothing but its time matters."""
    return tasks.named(task).typical(side)


def seconds_per_megapixel(method: Method, side: int = 256) -> float:
    """Seconds that a method takes here for a megapixel of its result, from one run after a small one to warm up."""
    seconds = 0.0
    for length in (32, side // method.scale):
        image = torch.rand(1, 3, length, length, generator=torch.Generator().manual_seed(0))
        started = time.perf_counter()
        infer(method, 1.0, image, *typical(method.task, length))
        seconds = time.perf_counter() - started
    return seconds / (side // method.scale * method.scale) ** 2 * 1e6


@dataclass(frozen=True)
class Score:
    """PSNR in dB and SSIM against the original; the SSIM is None for images smaller than its window.

    PSNR-B, where blocks count as errors, is measured for JPEG alone.
    """

    psnr: float
    ssim: float | None
    psnr_b: float | None = None


def middle(image: Image, multiple_of: int = 1) -> Tensor:
    """The middle of an image, (1, C, H, W), at most `TRIAL_SIDE` a side and a multiple of `multiple_of`."""
    height, width = (min(side, TRIAL_SIDE) // multiple_of * multiple_of for side in (image.height, image.width))
    top, left = (image.height - height) // 2, (image.width - width) // 2
    return image.tensor((slice(top, top + height), slice(left, left + width)))


def score(image: Tensor, clean: Tensor, border: int = 0, blocks: bool = False) -> Score:
    """The score of an image (1, C, H, W) with `border` pixels cut on every side; PSNR-B as well for `blocks`."""
    similarity = None
    if min(clean.shape[-2:]) - 2 * border >= 11:
        similarity = float(ssim(image, clean, border))
    blocky = float(psnr_b(image, clean)) if blocks and min(clean.shape[-2:]) >= 9 else None
    return Score(float(psnr(image, clean, border)), similarity, blocky)
