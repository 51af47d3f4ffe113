"""What one click is worth: pictures damaged from a seed, restored by the chain and by every tab alone.

    python -m train.photo --data FOLDER [--only damaged|grainy|clean]
    python -m train.photo --data FOLDER --order      # denoising first, or JPEG artifacts

Printed are the pictures with one damage on which the chain is within 0.1 dB of the best tab, those with several on
which it is 0.2 dB better at no more than 0.01 of LPIPS, what is won on photos with a camera's own noise, whose truth is
the mean of many shots, and on old prints with the grain of film, and the clean ones, half of them JPEGs, that are left
alone.
Pictures are crops of 256 x 256; those that were reduced are enlarged again, bicubically by tabs that do not enlarge.
"""

import argparse
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Generator, Tensor

from restoration import memory
from restoration.degradations import Downscale, FilmGrain, GaussianNoise, Jpeg
from restoration.diagnosis import diagnosed
from restoration.files import read
from restoration.image import Image, enlarged, from_tensor
from restoration.metrics import Lpips, psnr
from restoration.orders import Order
from restoration.running import finish
from restoration.tasks.photo import BEFORE_ENLARGING
from train.grain import printed

SIDE = 256
ONE = (*7 * ("noise",), *8 * ("jpeg",), *5 * ("small",))
SEVERAL = (*13 * ("noise jpeg",), *3 * ("noise small",), *4 * ("noise jpeg small",))
TABS = ("denoise", "artifacts", "upscale")
PARTS = ("damaged", "grainy", "clean")
AS_GOOD, BETTER, LPIPS_LOSS = 0.1, 0.2, 0.01


@dataclass(frozen=True)
class Score:
    psnr: float
    lpips: float


def crops(files: list[Path]) -> Iterator[Tensor]:
    """The middles of pictures, (1, 3, SIDE, SIDE), on JPEG's grid."""
    for file in files:
        image = read(file).tensor()
        top, left = ((side - SIDE) // 16 * 8 for side in image.shape[-2:])
        yield image[..., top : top + SIDE, left : left + SIDE].expand(-1, 3, -1, -1)


def damaged(clean: Tensor, kinds: str, seed: int) -> Image:
    """A clean picture with damages of some kinds, as strong as the seed has it."""
    generator = Generator().manual_seed(seed)
    level, quality = torch.rand(2, generator=generator).tolist()
    image = Downscale(2)(clean) if "small" in kinds else clean
    if "noise" in kinds:
        image = GaussianNoise((10 + 15 * level) / 255)(image, generator).clamp(0, 1)
    if "jpeg" in kinds:
        image = Jpeg(round(25 + 40 * quality))(image)
    return from_tensor(image, f"{seed:03}")


def compared(clean: Tensor, image: Image, lpips: Lpips) -> tuple[Score, dict[str, Score], str]:
    """The scores of the chain and of each tab, and the steps that the chain took."""
    small = image.width < clean.shape[-1]

    def score(result: Image) -> Score:
        if result.width < clean.shape[-1]:
            result = enlarged(result, 2)
        return Score(float(psnr(result.tensor(), clean)), float(lpips(result.tensor(), clean)))

    chain = finish(Order("photo", settings={"enlarge": 2 if small else 0}).run(image))
    alone = {}
    for tab in TABS if small else TABS[:2]:
        settings = {"scale": 2} if tab == "upscale" else {}
        alone[tab] = score(finish(Order(tab, settings=settings).run(image)).picture)
    return score(chain.picture), alone, str(chain.found)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.photo", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="holds test/, train/ and backbones/")
    parser.add_argument("--order", action="store_true", help="only which of the first two steps is to be first")
    parser.add_argument("--only", choices=PARTS, help="only one of the parts")
    arguments = parser.parse_args(argv)
    memory.keep()
    photos = sorted((arguments.data / "test" / "BSD100").glob("*"))
    if arguments.order:
        return compare_orders(photos[: len(SEVERAL)])
    chosen = (arguments.only,) if arguments.only else PARTS
    if "damaged" in chosen:
        compare_tabs(photos, Lpips(arguments.data / "backbones"))
    if "grainy" in chosen:
        print(real_noise(sorted((arguments.data / "test" / "PolyU").glob("*_real.*"))), flush=True)
        print(old_prints(photos[20:60]), flush=True)
    if "clean" in chosen:
        folders = ("c/clic2025_*", "d/*czero_*")
        others = [file for part in folders for file in sorted((arguments.data / "train").glob(part))]
        look_at_clean([*photos[50:80], *others[::2][:20]])


def compare_tabs(photos: list[Path], lpips: Lpips) -> None:
    """Print what the chain makes of damaged photos, beside the best of the tabs."""
    for title, kinds, good in (("one damage", ONE, as_good), ("two or three damages", SEVERAL, better)):
        passed = 0
        for number, (clean, kind) in enumerate(zip(crops(photos[: len(kinds)]), kinds, strict=True)):
            chain, alone, steps = compared(clean, damaged(clean, kind, number), lpips)
            best = max(alone, key=lambda tab: alone[tab].psnr)
            passed += good(chain, alone[best])
            scores = f"{chain.psnr:.2f} dB, LPIPS {chain.lpips:.3f}; {best} {alone[best].psnr:.2f}, "
            scores += f"{alone[best].lpips:.3f}{'' if good(chain, alone[best]) else '  <-'}"
            print(f"{kind:<16} {scores}  ({steps})", flush=True)
        print(f"{title}: {passed} of {len(kinds)}", flush=True)


def look_at_clean(pictures: list[Path]) -> None:
    """Print what is proposed for clean pictures, half of them JPEGs."""
    left_alone = 0
    for number, clean in enumerate(crops(pictures)):
        image = from_tensor(Jpeg(92 + number // 2 % 7)(clean) if number % 2 else clean)
        wrong = [finding.words for finding in diagnosed(image) if finding.advised]
        left_alone += not wrong
        if wrong:
            print(f"clean {pictures[number].name}: {', '.join(wrong)}", flush=True)
    print(f"clean pictures left alone: {left_alone} of {len(pictures)}")


def real_noise(files: list[Path]) -> str:
    """What the chain makes of photos with a camera's noise, each beside the mean of many shots of the same."""
    pairs = ((read(file.with_name(file.name.replace("_real", "_mean"))).tensor(), read(file)) for file in files)
    return f"photos with a camera's noise: {one_click(pairs)}"


def old_prints(photos: list[Path]) -> str:
    """What the chain makes of photos printed in grey or brown, with the grain of film, scanned and saved as JPEG."""

    def pairs() -> Iterator[tuple[Tensor, Image]]:
        for seed, photo in enumerate(crops(photos)):
            generator = Generator().manual_seed(seed)
            clean = printed(photo, generator)
            strength, size, quality = torch.rand(3, generator=generator).tolist()
            grainy = FilmGrain((8 + 8 * strength) / 255, 0.6 + 0.8 * size)(clean, generator).clamp(0, 1)
            yield clean, from_tensor(Jpeg(round(85 + 10 * quality))(grainy), f"{seed:03}")

    return f"old prints: {one_click(pairs())}"


def one_click(pairs: Iterable[tuple[Tensor, Image]]) -> str:
    """What the chain makes of pictures, beside their truths (1, 3, H, W)."""
    before, after, denoised = [], [], 0
    for truth, image in pairs:
        done = finish(Order("photo").run(image))
        before.append(float(psnr(image.tensor(), truth)))
        after.append(float(psnr(done.picture.tensor(), truth)))
        denoised += "denoise" in {order.task for order in done.found.steps}
    means = f"{statistics.fmean(before):.2f} to {statistics.fmean(after):.2f} dB in the mean"
    return f"{means}, {denoised} of {len(before)} denoised"


def compare_orders(photos: list[Path]) -> None:
    """Print what the chain's first two steps make of pictures with noise and JPEG, in its order and in the other."""
    gains = []
    for number, (clean, kind) in enumerate(zip(crops(photos), SEVERAL, strict=True)):
        if not {"noise", "jpeg"} <= set(kind.split()):
            continue
        image = damaged(clean, kind, number)
        truth = Downscale(2)(clean) if "small" in kind else clean
        found = []
        for order in (BEFORE_ENLARGING, BEFORE_ENLARGING[::-1]):
            now = image
            for task in order:
                now = replace(finish(Order(task).run(now)).picture, jpeg_quality=None)
            found.append(float(psnr(now.tensor(), truth)))
        gains.append(found[0] - found[1])
        print(f"{kind:<16} {found[0]:.2f} dB, the other way round {found[1]:.2f}", flush=True)
    first, second = BEFORE_ENLARGING
    better = sum(gain > 0 for gain in gains)
    mean = statistics.fmean(gains)
    print(f"{first} before {second}: better on {better} of {len(gains)}, by {mean:.2f} dB in the mean")


def as_good(chain: Score, best: Score) -> bool:
    return chain.psnr >= best.psnr - AS_GOOD


def better(chain: Score, best: Score) -> bool:
    return chain.psnr >= best.psnr + BETTER and chain.lpips <= best.lpips + LPIPS_LOSS


if __name__ == "__main__":
    main()
