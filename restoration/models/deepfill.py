"""Generative inpainting with contextual attention, in two stages: a coarse fill, then one that copies known texture.

Yu, Lin, Yang, Shen, Lu, Huang. "Generative Image Inpainting with Contextual Attention", CVPR 2018, arXiv:1801.07892.
Differs from the paper: a hole is given as its diffusion fill instead of as nothing, features are enlarged by bilinear
interpolation instead of repeated pixels, the bundled weights are half as wide, and VGG19 features, LPIPS and the error
of what is coarse help the critics in training.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restoration.resampling import pull_push
from restoration.restorer import Checkpoint, Inpainter


class ContextualAttention(nn.Module):
    """Rebuilds features from the patches of the known background that resemble them most (section 4.1 of the paper).

    Args:
        rate: the matching is done at 1 / `rate` of the features' resolution.
        sharpness: factor on the cosine similarities before the softmax.
    """

    def __init__(self, rate: int = 2, sharpness: float = 10.0):
        super().__init__()
        self.rate, self.sharpness = rate, sharpness

    def forward(self, foreground: Tensor, background: Tensor, mask: Tensor) -> Tensor:
        """Features (B, C, H, W) made of background patches.

        Args:
            foreground: features (B, C, H, W) to be rebuilt; `rate` divides the sides.
            background: features (B, C, H, W) to take patches from.
            mask: (B, 1, H, W), 1 where the background is missing: no patch that touches it is used.
        """
        batch, channels, height, width = background.shape
        rows, columns = height // self.rate, width // self.rate
        places = rows * columns

        # What is pasted: patches of twice the rate, one for every place of the coarse grid.
        side = 2 * self.rate
        margin = self.rate // 2
        pasted = F.unfold(background, side, stride=self.rate, padding=margin)  # (B, C*side*side, places)
        pasted = pasted.transpose(1, 2).reshape(batch * places, channels, side, side)

        # What is compared: 3x3 patches on the coarse grid, of length 1.
        coarse = F.avg_pool2d(background, self.rate)
        patches = F.unfold(coarse, 3, padding=1).transpose(1, 2)  # (B, places, C*9)
        patches = F.normalize(patches, dim=2, eps=1e-4).reshape(batch * places, channels, 3, 3)
        wanted = F.avg_pool2d(foreground, self.rate)
        length = F.unfold(wanted, 3, padding=1).norm(dim=1).clamp(min=1e-4).reshape(batch, 1, rows, columns)

        similarity = F.conv2d(wanted.reshape(1, batch * channels, rows, columns), patches, padding=1, groups=batch)
        similarity = similarity.reshape(batch, places, rows, columns) / length
        similarity = _propagated(similarity)

        missing = F.max_pool2d(mask, self.rate)
        usable = F.max_pool2d(missing, 3, 1, 1).reshape(batch, places, 1, 1) == 0
        usable = usable | ~usable.any(dim=1, keepdim=True)  # where nothing is known, anything may be copied
        scores = (self.sharpness * similarity).masked_fill(~usable, float("-inf"))
        attention = scores.softmax(dim=1)

        rebuilt = F.conv_transpose2d(
            attention.reshape(1, batch * places, rows, columns), pasted, stride=self.rate, padding=margin, groups=batch
        ).reshape(batch, channels, height, width)
        return rebuilt / _coverage(rows, columns, side, self.rate, margin).to(rebuilt)


def _propagated(similarity: Tensor) -> Tensor:
    """Similarities (B, background places, H, W) added to those one step along the rows, then along the columns.

    Neighbours in the image should be copied from neighbours in the background.
    """
    batch, places, rows, columns = similarity.shape
    diagonal = torch.eye(3, device=similarity.device, dtype=similarity.dtype).reshape(1, 1, 3, 3)
    table = similarity.reshape(batch, 1, places, places)
    table = F.conv2d(table, diagonal, padding=1)
    table = table.reshape(batch, rows, columns, rows, columns).permute(0, 2, 1, 4, 3)  # columns become the slow axis
    table = F.conv2d(table.reshape(batch, 1, places, places), diagonal, padding=1)
    table = table.reshape(batch, columns, rows, columns, rows).permute(0, 2, 1, 4, 3)
    return table.reshape(batch, places, rows, columns)


def _coverage(rows: int, columns: int, side: int, stride: int, margin: int) -> Tensor:
    """How many pasted patches cover each pixel, (1, 1, H, W)."""
    return F.conv_transpose2d(
        torch.ones(1, 1, rows, columns), torch.ones(1, 1, side, side), stride=stride, padding=margin
    )


class DeepFill(Inpainter, paper_url="https://arxiv.org/abs/1801.07892"):
    """RGB inpainter; an output pixel may depend on any input pixel.

    Args:
        width: features of the first layer; the paper has 32.
    """

    channels = 3
    multiple_of = 8
    checkpoints = (
        Checkpoint(
            "deepfill",
            "DeepFill",
            "Fills holes with texture copied from elsewhere in the picture.",
            "Faces, writing and large holes: what it makes up there looks woven, unless detail is copied into it.",
        ),
    )

    def __init__(self, width: int = 32):
        super().__init__()
        if width < 2:
            raise ValueError(f"width must be at least 2, got {width}")
        self.receptive_field = 512  # the attention sees everything; larger pictures are filled around their holes
        self.coarse = nn.Sequential(_encoder(width), _dilated(width), _decoder(4 * width, width))
        self.refine_dilated = nn.Sequential(_encoder(width), _dilated(width))
        self.refine_attended = _encoder(width)
        self.attention = ContextualAttention()
        self.after_attention = nn.Sequential(_layer(4 * width, 4 * width), _layer(4 * width, 4 * width))
        self.refine = _decoder(8 * width, width)

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The coarse and the refined image, (B, 3, H, W) each."""
        image, ones = 2 * pull_push(image, mask) - 1, torch.ones_like(mask)
        coarse = self.coarse(torch.cat([image, ones, mask], dim=1)).clamp(-1, 1)
        pasted = torch.cat([torch.where(mask.bool(), coarse, image), ones, mask], dim=1)
        features = self.refine_attended(pasted)  # (B, 4*width, H/4, W/4)
        copied = self.attention(features, features, F.max_pool2d(mask, 4))
        refined = self.refine(torch.cat([self.refine_dilated(pasted), self.after_attention(copied)], dim=1))
        return coarse / 2 + 0.5, refined.clamp(-1, 1) / 2 + 0.5


def _layer(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (kernel - 1) // 2
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation), nn.ELU())


def _encoder(width: int) -> nn.Sequential:
    """Image, ones and mask (B, 5, H, W) to features (B, 4 * width, H / 4, W / 4)."""
    return nn.Sequential(
        _layer(5, width, kernel=5),
        _layer(width, 2 * width, stride=2),
        _layer(2 * width, 2 * width),
        _layer(2 * width, 4 * width, stride=2),
        _layer(4 * width, 4 * width),
        _layer(4 * width, 4 * width),
    )


def _dilated(width: int) -> nn.Sequential:
    layers = [_layer(4 * width, 4 * width, dilation=dilation) for dilation in (2, 4, 8, 16)]
    return nn.Sequential(*layers, _layer(4 * width, 4 * width), _layer(4 * width, 4 * width))


def _decoder(inputs: int, width: int) -> nn.Sequential:
    """Features (B, inputs, H / 4, W / 4) to an image (B, 3, H, W) without limits."""
    return nn.Sequential(
        _layer(inputs, 4 * width),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        _layer(4 * width, 2 * width),
        _layer(2 * width, 2 * width),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        _layer(2 * width, width),
        _layer(width, width // 2),
        nn.Conv2d(width // 2, 3, 3, padding=1),
    )
