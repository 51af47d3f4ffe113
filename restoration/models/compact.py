"""Compact VGG-style upscaler: plain 3x3 convolutions at low resolution, one pixel-shuffle at the end.

Wang, Xie, Dong, Shan. "Real-ESRGAN", ICCV Workshops 2021, arXiv:2107.10833 (its SRVGGNetCompact); the state-dict keys
are those, so that other tools load the weights as they are.
Differs from the source: hidden convolutions start near the identity, so that depth does not slow the training down;
trained on plain bicubic reduction, or on photos as the web holds them, photo-gan-x4 at last against discriminators of
VGG19's features (arXiv:2111.01007).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restoration.restorer import Checkpoint, Upscaler

PHOTO = Checkpoint(
    "photo-x4",
    "Photo",
    "Best choice for photos from phones and the web: removes noise and JPEG blocks on the way.",
    "Clean pictures at their sharpest, for which Compact is better; it invents no texture.",
    flagship=True,
    cleans=True,
    purpose="Photos",
)


class Compact(Upscaler, paper_url="https://arxiv.org/abs/2107.10833"):
    """RGB upscaler with a receptive field of depth + 2 input pixels.

    Args:
        scale: output size / input size.
        width: features of every hidden layer.
        depth: hidden 3x3 convolutions between the first and the last; the source has 16 or 32 of width 64.
    """

    channels = 3
    spandrel = True
    checkpoints = tuple(
        Checkpoint(
            f"compact-x{scale}",
            "Compact",
            "Sharp, true to the picture, and fast; best for clean pictures.",
            "Noisy or blocky pictures: it enlarges the damage as well. It invents no texture.",
        )
        for scale in (2, 3, 4)
    )
    checkpoints += (
        PHOTO,
        Checkpoint(
            "photo-gan-x4",
            "Photo with texture",
            "Photo, and invents plausible texture; the slider blends it with Photo, which stays true.",
            "Anything that will be measured or read, and faces: its texture is made up, and can show a faint grid.",
            blends_with="photo-x4",
            cleans=True,
            invents=True,
            purpose="Texture (invents detail)",
        ),
    )

    def __init__(self, scale: int = 4, width: int = 64, depth: int = 16):
        super().__init__()
        if scale < 1 or width < 1 or depth < 0:
            raise ValueError(f"needs scale and width of at least 1, got {scale}, {width} and depth {depth}")
        self.scale = scale
        self.receptive_field = depth + 2
        self.body = nn.ModuleList([nn.Conv2d(3, width, 3, padding=1), nn.PReLU(width)])
        for _ in range(depth):
            self.body += [nn.Conv2d(width, width, 3, padding=1), nn.PReLU(width)]
            with torch.no_grad():
                kernel = self.body[-2].weight.mul_(0.1)
                kernel[:, :, 1, 1].diagonal().add_(1)
        self.body.append(nn.Conv2d(width, 3 * scale**2, 3, padding=1))

    def forward(self, lr: Tensor) -> Tensor:
        x = lr
        for layer in self.body:
            x = layer(x)
        x = x + lr.repeat_interleave(self.scale**2, dim=1)  # its nearest neighbours, before they are spread out
        return F.pixel_shuffle(x, self.scale)  # (B, 3, scale*H, scale*W)
