"""Texture for a smooth fill: its fine detail is copied from the patches of the picture that are most like it.

Barnes, Shechtman, Finkelstein, Goldman. "PatchMatch: A Randomized Correspondence Algorithm for Structural Image
Editing", ACM TOG 2009; Wexler, Shechtman, Irani. "Space-Time Completion of Video", IEEE TPAMI 2007; Newson, Almansa,
Fradet, Gousseau, Pérez. "Video Inpainting of Complex Scenes", SIAM J. Imaging Sciences 2014, arXiv:1503.05528, whose
texture features keep a hole from being filled with the flattest patches that there are.
Differs from the papers: a fill is given, so patches are searched at one resolution in few rounds, finer ones take what
was found there, and of what is copied only what is finer than `COARSE` goes into the result; pixels are matched by the
thousand instead of one after the other, and compared by few numbers instead of by all that a patch has (principal
components, as in Barnes, Zhang, Lou, Wu, Hu. "PatchTable: Efficient Patch Queries for Large Datasets and Applications",
ACM TOG 2015).
"""

from collections.abc import Generator

import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from restoration.resampling import pull_push

REACH = 3  # patches are 7 x 7
ROUNDS = 4  # of matching and averaging
STEPS = 8, 4, 2, 1  # how far away the neighbours are whose matches are tried
NEARER = 8  # times, random candidates after others
NUMBERS = 32  # that a patch is compared by
SHAPES = 8  # of the weights within a patch, of which each patch's are a sum
EXAMPLES = 2048  # patches that both are chosen by
COARSE = 4.0  # standard deviation in pixels; what is coarser stays as it was filled
ENERGY = 7.0  # how much the mean slopes of the surroundings weigh against colours
WINDOW = 9  # side of the surroundings
TRUST = 1.6  # a pixel counts so much less with every pixel that it lies deeper in the hole
BLOCK = 1 << 12  # patches that are matched at a time; the next ones see what these have found
PIECE = 1 << 10  # patches that are read in full at a time, which the processor's cache holds
NEVER = 1e9  # the error of what may not be copied
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
    search = _Search(field)
    for number in range(ROUNDS):
        match, error = search.better(match, generator)
        field.average(field.votes(match, error, last=number == ROUNDS - 1), field.lost)
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
    votes = field.votes(match, error, last=True)
    for lost in field.lost.split(AVERAGED):
        yield
        field.average(votes, lost)
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

    return pull_push(_mean(slopes, WINDOW) / _mean(known, WINDOW).clamp(min=1e-3), missing.float())


def _mean(planes: Tensor, side: int) -> Tensor:
    """Means (1, C, H, W) over squares around each pixel; outside there are zeros."""
    return F.avg_pool2d(F.avg_pool2d(planes, (1, side), 1, (0, side // 2)), (side, 1), 1, (side // 2, 0))


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
        return match[allowed], error[use][allowed]

    def votes(self, match: Tensor, error: Tensor, last: bool) -> tuple[Tensor, Tensor]:
        """Of every pixel its match and what that counts for in `average`, nothing without one; at last, few count."""
        spread = error.kthvalue(1 + int(0.75 * (len(error) - 1))).values.clamp(min=1e-9)
        say = (-error / ((0.2 if last else 2) * spread)).exp() * self.trust[self.targets] ** (2 if last else 1) + 1e-20
        matches = torch.full((len(self.pixels),), int(match[0]), dtype=torch.int32)
        matches[self.targets] = match.int()
        return matches, torch.zeros(len(self.pixels)).index_put_((self.targets,), say)

    def average(self, votes: tuple[Tensor, Tensor], lost: Tensor) -> None:
        """Make missing pixels the mean of what the patches around them were matched with, if any."""
        matches, say = votes
        offsets, means = self.offsets.int(), []
        for piece in lost.split(PIECE):
            around = (piece[:, None] - self.offsets).flatten()
            copied = matches.index_select(0, around).view(len(piece), -1) + offsets
            share = say.index_select(0, around).view(len(piece), -1)
            total = F.embedding_bag(copied, self.pixels, per_sample_weights=share, mode="sum")
            weight = share.sum(1, keepdim=True)
            means.append(torch.where(weight > 0, total / weight, self.pixels.index_select(0, piece)))
        self.pixels[lost] = torch.cat(means)

    def patches(self, pixels: Tensor, middles: Tensor) -> Tensor:
        """Patches (N, 7 * 7 * C) of pixels (H * W, C) around some of these."""
        channels = pixels.shape[1]
        # Every run of as many pixels as a patch is wide, without a copy; a patch is as many runs, one below the other.
        runs = pixels.as_strided((len(pixels) - 2 * REACH, (2 * REACH + 1) * channels), (channels, 1))
        rows = (middles[:, None] + self.below).flatten()
        return runs.index_select(0, rows).view(len(middles), -1)  # many times faster than indexing


def _principal(rows: Tensor, count: int) -> Tensor:
    """The directions (D, count) in which rows (N, D) are largest; in float64, as float32 fails where all are alike."""
    rows = rows.double()
    return torch.linalg.eigh(rows.t() @ rows).eigenvectors[:, -count:].float()


class _Search:
    """Sources that differ least from the targets of a field, which are compared as products of a few numbers.

    A source c is taken for what its principal components say, c = U z. Its difference from a target t, with weights w
    that are a sum of a few shapes, w = Q v, is then |w t^2| - 2 (U' w t) z + v (Q' c^2): of each patch few numbers are
    kept. What the components leave out of a source costs it nothing, or all that is rough would lose to what is flat.
    """

    def __init__(self, field: _Field):
        self.field = field
        targets, sources, channels = field.targets, field.sources, field.pixels.shape[1]
        self.middle = field.pixels[sources].mean(0)
        centred = field.pixels - self.middle  # numbers near zero lose less
        weights = self._weights(targets[:: max(1, len(targets) // EXAMPLES)])
        weights /= weights.sum(1, keepdim=True)
        scale = weights.mean(0).sqrt().repeat_interleave(channels)
        examples = field.patches(centred, sources[:: max(1, len(sources) // EXAMPLES)]) * scale
        components, shapes = _principal(examples, NUMBERS), _principal(weights, SHAPES)
        self.up, down = components / scale[:, None], components * scale[:, None]

        self.numbers = torch.zeros(len(centred), components.shape[1] + SHAPES + 1)  # of every pixel as a source
        self.numbers[:, -1] = NEVER
        spread = shapes.repeat_interleave(channels, 0)
        for piece in sources.split(PIECE):
            found = field.patches(centred, piece) @ down
            squares = (found @ self.up.t()).square_() @ spread
            self.numbers[piece] = torch.cat([found, squares, torch.zeros(len(piece), 1)], dim=1)

        parts, totals = [], []
        for piece in targets.split(PIECE):
            weights = self._weights(piece)
            totals.append(weights.sum(1, keepdim=True))
            parts.append(weights @ shapes / totals[-1])
        self.total = torch.cat(totals)
        self.shares = torch.cat(parts)

        width, every = field.size[1], torch.arange(len(targets))
        index = torch.full((len(centred),), -1)
        index[targets] = every
        self.near = []  # how far a target's neighbour is, and which of the targets it is; itself where there is none
        for step in STEPS:
            for shift in (step, -step, step * width, -step * width):
                neighbour = index[(targets - shift).clamp(0, len(centred) - 1)]
                self.near.append((shift, torch.where(neighbour >= 0, neighbour, every)))

    def better(self, match: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A better source for every target, starting from `match`, and its weighed squared error."""
        (height, width), last = self.field.size, len(self.numbers) - 1
        match, error = match.clone(), torch.empty(len(match))
        asked, own = self._asked()
        ones = torch.ones(asked.shape[1])
        for first in range(0, len(match), BLOCK):
            part = slice(first, first + BLOCK)
            best, least = match[part], torch.full((len(match[part]),), torch.inf)

            def attempt(candidates: Tensor, part: slice = part) -> None:
                nonlocal best, least
                errors = self.numbers.index_select(0, candidates).mul_(asked[part]) @ ones
                use = errors < least
                best, least = torch.where(use, candidates, best), torch.where(use, errors, least)

            attempt(best)
            for shift, neighbours in self.near:  # what suits a neighbour suits this one, moved as far
                attempt(match.index_select(0, neighbours[part]).add_(shift).clamp_(0, last))
                match[part] = best
            radius = max(height, width)
            while radius >= 1:  # nearer and nearer around the best so far
                down, right = ((2 * torch.rand(2, len(best), generator=generator) - 1) * radius).long()
                attempt((best + down * width).add_(right).clamp_(0, last))
                radius //= NEARER
            match[part], error[part] = best, least
        return match, (error + own).clamp(min=0)

    def _asked(self) -> tuple[Tensor, Tensor]:
        """What the numbers of a source are multiplied with for each target (N, numbers), and what is added (N,)."""
        field = self.field
        centred = field.pixels - self.middle
        weighed = centred * field.trust[:, None]
        squares = (weighed * centred).sum(1).view(1, 1, *field.size)
        side = 2 * REACH + 1
        own = _mean(squares, side).flatten()[field.targets] * side**2 / self.total[:, 0]
        products = torch.cat([field.patches(weighed, piece) @ self.up for piece in field.targets.split(PIECE)])
        return torch.cat([products * (-2 / self.total), self.shares, torch.ones(len(own), 1)], dim=1), own

    def _weights(self, middles: Tensor) -> Tensor:
        """What the pixels of patches count (N, 7 * 7)."""
        around = (middles[:, None] + self.field.offsets).flatten()
        return self.field.trust.index_select(0, around).view(len(middles), -1)
