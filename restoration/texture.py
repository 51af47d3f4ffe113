"""Texture for a smooth fill: its fine detail is copied from the patches of the picture that are most like it.

Barnes, Shechtman, Finkelstein, Goldman. "PatchMatch: A Randomized Correspondence Algorithm for Structural Image
Editing", ACM TOG 2009; Wexler, Shechtman, Irani. "Space-Time Completion of Video", IEEE TPAMI 2007; Newson, Almansa,
Fradet, Gousseau, Pérez. "Video Inpainting of Complex Scenes", SIAM J. Imaging Sciences 2014, arXiv:1503.05528, whose
texture features keep a hole from being filled with the flattest patches that there are.
Differs from the papers: a fill is given, so patches are searched at one resolution in few rounds, finer ones take what
was found there, and of what is copied only what is finer than `COARSE` goes into the result; all pixels are matched at
once instead of one after the other.
"""

from collections.abc import Generator

import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from restoration.resampling import pull_push

REACH = 3  # patches are 7 x 7
ROUNDS = 3  # of matching and averaging
SWEEPS = 1  # of propagation and random search in a round
COARSE = 4.0  # standard deviation in pixels; what is coarser stays as it was filled
ENERGY = 7.0  # how much the mean slopes of the surroundings weigh against colours
WINDOW = 9  # side of the surroundings
TRUST = 1.6  # a pixel counts so much less with every pixel that it lies deeper in the hole
PIECE = 1 << 9  # patches that are compared at a time, which the processor's cache holds
AVERAGED = 1 << 18  # pixels that are averaged at a time


def copy_texture(fill: Tensor, hole: Tensor, seed: int = 0) -> Tensor:
    """The fill with detail from the rest of the picture; what lies outside the hole stays bit for bit.

    Args:
        fill: (1, C, H, W) in [0, 1], filled already.
        hole: (1, 1, H, W), 1 where the picture was missing.
        seed: of the random search.
    """
    return found_texture(fill, hole, seed)[0]


def found_texture(fill: Tensor, hole: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """What `copy_texture` gives, and which patches it took.

    Returns:
        The picture, and (1, 3, H, W): how far below and to the right of each pixel the patch lies that was copied
        around it, and its error, which is infinite where none was.
    """
    missing = hole.bool()
    field = _Field(torch.cat([fill, ENERGY * _slopes(fill, missing)], dim=1), missing)
    if not len(field.sources) or not len(field.targets):
        return fill, no_patches(fill)
    generator = torch.Generator().manual_seed(seed)
    match = field.sources[torch.randint(len(field.sources), (len(field.targets),), generator=generator)]
    for number in range(ROUNDS):
        match, error = field.matched(match, generator)
        field.average(match, field.say(error, last=number == ROUNDS - 1), field.lost)
    return _detailed(fill, field.picture(), missing), field.offsets_of(match, error)


def no_patches(fill: Tensor) -> Tensor:
    """What `found_texture` gives as patches, (1, 3, H, W), where none are copied into a fill (1, C, H, W)."""
    return torch.full_like(fill[:, :1], torch.inf).repeat(1, 3, 1, 1)


def finer_texture(fill: Tensor, hole: Tensor, patches: Tensor) -> Generator[None, None, Tensor]:
    """The fill with detail from the patches that were found for it at half of the resolution; yields between pieces.

    Args:
        fill: (1, C, H, W) in [0, 1], filled already.
        hole: (1, 1, H, W), 1 where it gets detail.
        patches: as `found_texture` gives them, brought to this resolution by `finer_patches`.
    """
    missing = hole.bool()
    field = _Field(fill, missing)
    match, error = field.matches_at(patches)
    if not len(match):
        return fill
    say = field.say(error, last=True)
    for lost in field.lost.split(AVERAGED):
        yield
        field.average(match, say, lost)
    return _detailed(fill, field.picture(), missing)


def finer_patches(patches: Tensor, size: tuple[int, int]) -> Tensor:
    """`found_texture`'s patches, (1, 3, h, w), at twice the resolution, cut to (1, 3, H, W)."""
    patches = F.interpolate(patches, scale_factor=2, mode="nearest")[..., : size[0], : size[1]]
    return torch.cat([2 * patches[:, :2], patches[:, 2:]], dim=1)


def _detailed(fill: Tensor, copied: Tensor, missing: Tensor) -> Tensor:
    """The fill where nothing is missing, elsewhere what is fine in what was copied and what is coarse in the fill."""
    copied = copied[:, : fill.shape[1]]
    coarse = ndimage.gaussian_filter((fill - copied).masked_fill(~missing, 0).numpy(), (0, 0, COARSE, COARSE))
    return torch.where(missing, (copied + torch.from_numpy(coarse)).clamp(0, 1), fill)


def _slopes(image: Tensor, missing: Tensor) -> Tensor:
    """Mean horizontal and vertical slopes (1, 2, H, W) of the surroundings; in holes, of what lies around these."""
    grey, known = image.mean(1, keepdim=True), 1 - missing.float()
    slopes = torch.cat(
        [
            F.pad((grey[..., 1:] - grey[..., :-1]).abs() * known[..., 1:] * known[..., :-1], (0, 1)),
            F.pad((grey[..., 1:, :] - grey[..., :-1, :]).abs() * known[..., 1:, :] * known[..., :-1, :], (0, 0, 0, 1)),
        ],
        dim=1,
    )

    def mean(plane: Tensor) -> Tensor:
        return F.avg_pool2d(plane, WINDOW, 1, WINDOW // 2)

    return pull_push(mean(slopes) / mean(known).clamp(min=1e-3), missing.float())


class _Field:
    """A picture as a list of pixels, with a border of `REACH` more, so that patches are rows of numbers.

    Args:
        features: (1, C, H, W), the picture's channels first and then whatever else patches are compared by.
        missing: (1, 1, H, W).

    Attributes:
        targets: middles of the patches that touch the hole, as indices of pixels.
        sources: middles of those that do not, and lie inside the picture.
    """

    def __init__(self, features: Tensor, missing: Tensor):
        self.size = tuple(side + 2 * REACH for side in features.shape[-2:])
        width = self.size[1]
        self.pixels = F.pad(features, (REACH,) * 4, mode="replicate")[0].flatten(1).t().contiguous()  # (H*W, C)
        channels = self.pixels.shape[1]
        # Every run of as many pixels as a patch is wide, without a copy; a patch is as many runs, one below the other.
        runs = len(self.pixels) - 2 * REACH
        self.runs = self.pixels.as_strided((runs, (2 * REACH + 1) * channels), (channels, 1))
        self.below = torch.arange(-REACH, REACH + 1) * width - REACH
        self.offsets = (self.below[:, None] + torch.arange(2 * REACH + 1)).flatten()

        lost = F.pad(missing, (REACH,) * 4)[0, 0]
        touched = F.max_pool2d(lost.float()[None], 2 * REACH + 1, 1, REACH)[0] > 0
        inside = torch.zeros_like(lost)
        inside[REACH:-REACH, REACH:-REACH] = True
        whole = torch.zeros_like(lost)
        whole[2 * REACH : -2 * REACH, 2 * REACH : -2 * REACH] = True
        self.targets = (touched & inside).flatten().nonzero().flatten()
        self.allowed = (whole & ~touched).flatten()
        self.sources = self.allowed.nonzero().flatten()
        self.lost = lost.flatten().nonzero().flatten()
        self.index = torch.full((len(self.pixels),), -1)  # of a pixel among the targets
        self.index[self.targets] = torch.arange(len(self.targets))
        depth = torch.from_numpy(ndimage.distance_transform_edt(lost.numpy())).flatten()
        self.trust = (TRUST ** -depth.clamp(max=40)).float()

    def picture(self) -> Tensor:
        """The pixels (1, C, H, W) without the border."""
        return self.pixels.t().reshape(1, -1, *self.size)[..., REACH:-REACH, REACH:-REACH]

    def offsets_of(self, match: Tensor, error: Tensor) -> Tensor:
        """(1, 3, H, W) as `found_texture` gives it, of a source for every target."""
        width = self.size[1]
        found = torch.full((3, len(self.pixels)), torch.inf)
        rows, columns = match // width - self.targets // width, match % width - self.targets % width
        found[:, self.targets] = torch.stack([rows, columns, error]).to(found)
        return found.view(1, 3, *self.size)[..., REACH:-REACH, REACH:-REACH]

    def matches_at(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """The sources that such offsets name, and their errors; targets without one are left out from now on."""
        height, width = self.size
        down, right, error = F.pad(patches, (REACH,) * 4, value=torch.inf)[0].flatten(1)[:, self.targets]
        row, column = self.targets // width + down, self.targets % width + right
        use = (row >= 0) & (row < height) & (column >= 0) & (column < width)  # not where they are infinite
        match = row[use].long() * width + column[use].long()
        allowed = self.allowed[match]
        self.targets = self.targets[use][allowed]
        self.index.fill_(-1)
        self.index[self.targets] = torch.arange(len(self.targets))
        return match[allowed], error[use][allowed]

    def matched(self, match: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A better source for every target, starting from `match`, and its weighed squared error."""
        height, width = self.size
        trust = self.trust[self.targets[:, None] + self.offsets]
        weights = (trust / trust.sum(1, keepdim=True)).repeat_interleave(self.pixels.shape[1], dim=1)
        patches = self._patches(self.targets)

        def compared(candidates: Tensor, rows: Tensor) -> Tensor:
            errors = []
            for candidate, row in zip(candidates.split(PIECE), rows.split(PIECE), strict=True):
                difference = self._patches(candidate).sub_(patches.index_select(0, row))
                errors.append(difference.square_().mul_(weights.index_select(0, row)).sum(1))
            return torch.cat(errors)

        every = torch.arange(len(self.targets))
        match = torch.where(self.allowed[match], match, self.sources[match % len(self.sources)])
        error = compared(match, every)

        def attempt(candidates: Tensor, rows: Tensor) -> None:
            inside = (candidates >= 0) & (candidates < len(self.pixels))
            candidates, rows = candidates[inside], rows[inside]
            use = self.allowed[candidates] & (candidates != match[rows])
            candidates, rows = candidates[use], rows[use]
            if len(rows):
                errors = compared(candidates, rows)
                better = errors < error[rows]
                match[rows[better]], error[rows[better]] = candidates[better], errors[better]

        for _ in range(SWEEPS):
            for step in (8, 4, 2, 1):  # what suits a neighbour suits this one, moved as far
                for shift in (step, -step, step * width, -step * width):
                    neighbour = self.index[(self.targets - shift).clamp(0, len(self.pixels) - 1)]
                    rows = every[neighbour >= 0]
                    attempt(match[neighbour[rows]] + shift, rows)
            radius = max(height, width)
            while radius >= 1:  # nearer and nearer around the best so far
                moves = ((2 * torch.rand(2, len(self.targets), generator=generator) - 1) * radius).long()
                row, column = match // width + moves[0], match % width + moves[1]
                rows = every[(row >= 0) & (row < height) & (column >= 0) & (column < width)]
                attempt((row * width + column)[rows], rows)
                radius //= 3
        return match, error

    def say(self, error: Tensor, last: bool) -> Tensor:
        """What each target's match counts for in `average`; the last time, few count."""
        spread = error.kthvalue(1 + int(0.75 * (len(error) - 1))).values.clamp(min=1e-9)
        return (-error / ((0.2 if last else 2) * spread)).exp() * self.trust[self.targets] ** (2 if last else 1) + 1e-20

    def average(self, match: Tensor, say: Tensor, lost: Tensor) -> None:
        """Make missing pixels the mean of what the patches around them were matched with, if any."""
        total = torch.zeros(len(lost), self.pixels.shape[1])
        weight = torch.zeros(len(lost), 1)
        for offset in self.offsets.tolist():
            target = self.index[lost - offset]
            share = (say[target] * (target >= 0))[:, None]
            total += self.pixels.index_select(0, match[target] + offset) * share
            weight += share
        self.pixels[lost] = torch.where(weight > 0, total / weight, self.pixels[lost])

    def _patches(self, middles: Tensor) -> Tensor:
        """Patches (N, 7 * 7 * C) around pixels."""
        rows = (middles[:, None] + self.below).flatten()
        return self.runs.index_select(0, rows).view(len(middles), -1)  # many times faster than indexing
