"""Losses beyond the plain pixel ones, and the network whose features some of them compare."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import torch
from huggingface_hub import hf_hub_download
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from restoration.jpeg import brightness
from restoration.metrics import Lpips, ssim

Loss = Callable[[Tensor, Tensor], Tensor]
LossName = Literal["l1", "mse", "bce", "psnr", "psnr-rgb", "combined", "vgg+mse"]
PERCEPTUAL: tuple[LossName, ...] = ("combined", "vgg+mse")


class Vgg19(nn.Module):
    """VGG19 up to the third block; frozen.

    Simonyan, Zisserman. "Very Deep Convolutional Networks", ICLR 2015, arXiv:1409.1556.

    Args:
        file: safetensors with torchvision's names, `features.0.weight` and so on; None takes `timm/vgg19.tv_in1k`
            from the Hub.  A file whose metadata says BGR gets the input of the original Caffe weights, any other
            RGB normalised by ImageNet's mean and deviation.
        bf16: whether its convolutions run in bf16, which takes half the time where there are units for it.
    """

    CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 16)  # conv1_1 to conv3_4
    POOL_BEFORE = (5, 10)
    LAST = (2, 7, 16)  # of each block: conv1_2, conv2_2, conv3_4

    def __init__(self, file: str | Path | None = None, bf16: bool = False):
        super().__init__()
        self.bf16 = bf16
        file = file or hf_hub_download("timm/vgg19.tv_in1k", "model.safetensors")
        with safe_open(file, "pt") as weights:
            caffe = "BGR" in (weights.metadata() or {}).get("input", "")
            for index in self.CONVOLUTIONS:
                for part in ("weight", "bias"):
                    value = weights.get_tensor(f"features.{index}.{part}").float()
                    self.register_buffer(f"{part}{index}", value, persistent=False)
        mean, scale = (
            ((123.68, 116.779, 103.939), (1, 1, 1)) if caffe else ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
        )
        if caffe:  # turn the first kernels around instead of every image
            self.weight0 = self.weight0.flip(1)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) / 255, persistent=False)
        self.register_buffer("scale", torch.tensor(scale).view(1, 3, 1, 1) / 255, persistent=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features of an RGB image (B, 3, H, W) in [0, 1] from each block's last convolution, before its activation.

        (B, 64, H, W), (B, 128, H / 2, W / 2) and (B, 256, H / 4, W / 4), float32.
        """
        x = (image - self.mean) / self.scale
        features = []
        with torch.autocast(image.device.type, torch.bfloat16, enabled=self.bf16):
            for index in self.CONVOLUTIONS:
                if index in self.POOL_BEFORE:
                    x = F.max_pool2d(x, 2)
                x = F.conv2d(x, getattr(self, f"weight{index}"), getattr(self, f"bias{index}"), padding=1)
                if index in self.LAST:
                    features.append(x.float())
                x = F.relu(x)
        return features

    def distance(
        self, image: Tensor, reference: Tensor, power: Literal[1, 2] = 2, blocks: Sequence[int] = (3,)
    ) -> Tensor:
        """`feature_distance` of two images (B, 3, H, W) in [0, 1]; the reference gets no gradient."""
        wanted, features = self.pair(reference, image)
        return feature_distance(features, wanted, power, blocks)

    def pair(self, reference: Tensor, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Features of both images, those of the reference without a gradient."""
        with torch.no_grad():
            wanted = self(reference)
        return wanted, self(image)


def feature_distance(
    features: Sequence[Tensor], wanted: Sequence[Tensor], power: Literal[1, 2] = 2, blocks: Sequence[int] = (3,)
) -> Tensor:
    """Mean |difference| ** power of VGG19's features, relative to the mean |feature| ** power of what is wanted.

    Args:
        blocks: of 1, 2 and 3; the mean over these is taken.
    """
    distance = features[0].new_zeros(())
    for block in blocks:
        own, aim = features[block - 1], wanted[block - 1]
        distance = distance + (own - aim).abs().pow(power).mean() / aim.abs().pow(power).mean()
    return distance / len(blocks)


class SqueezeLpips(Lpips):
    """LPIPS on SqueezeNet 1.1, to be trained with: cheap, and another network than the one that scores are made by.

    Iandola et al. "SqueezeNet", 2016, arXiv:1602.07360; Zhang et al., arXiv:1801.03924.

    Args:
        folder: holds `squeezenet1_1_features.safetensors` (torchvision's names) and
            `lpips_lin_squeeze_v0.1.safetensors`.
    """

    BACKBONE, LINEAR = "squeezenet1_1_features.safetensors", "lpips_lin_squeeze_v0.1.safetensors"
    # indices in torchvision's features of the fire modules up to each level; a 3x3 max-pooling of stride 2 comes first
    # where the flag says so
    _LEVELS = ((True, (3, 4)), (True, (6, 7)), (True, (9,)), (False, (10,)), (False, (11,)), (False, (12,)))

    def features(self, x: Tensor) -> Iterator[Tensor]:
        x = F.relu(self.convolved(x, "features_0", stride=2))
        yield x
        for pool, fires in self._LEVELS:
            if pool:
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            for fire in fires:
                x = F.relu(self.convolved(x, f"features_{fire}_squeeze"))
                narrow = self.convolved(x, f"features_{fire}_expand1x1")
                x = F.relu(torch.cat([narrow, self.convolved(x, f"features_{fire}_expand3x3", padding=1)], dim=1))
            yield x


def negative_psnr(image: Tensor, reference: Tensor) -> Tensor:
    """Mean over the batch of 10 log10 of the squared error, of luma and a tenth of that of the colours.

    What super-resolution is scored by.  Every image counts by its decibels, so easy ones are not drowned by hard ones.
    """
    error = image - reference
    squared = brightness(error).square().mean((1, 2, 3)) + 0.1 * error.square().mean((1, 2, 3))
    return 10 * (squared + 1e-6).log10().mean()


def negative_psnr_rgb(image: Tensor, reference: Tensor) -> Tensor:
    """Mean over the batch of 10 log10 of the squared error of all channels, as artifact removal is scored."""
    return 10 * ((image - reference).square().mean((1, 2, 3)) + 1e-6).log10().mean()


def combined(vgg: Vgg19) -> Loss:
    """0.8 sigmoid(MSE) + 0.1 (1 - (1 + SSIM) / 2) + 0.1 sigmoid(VGG19 distance)."""

    def loss(image: Tensor, reference: Tensor) -> Tensor:
        pixels = torch.sigmoid(F.mse_loss(image, reference))
        structure = 1 - (1 + ssim(image, reference).mean().float()) / 2
        return 0.8 * pixels + 0.1 * structure + 0.1 * torch.sigmoid(vgg.distance(image, reference))

    return loss


def vgg_and_mse(vgg: Vgg19) -> Loss:
    """Mean squared error plus a hundredth of the VGG19 distance, which is then of the same size."""
    return lambda image, reference: F.mse_loss(image, reference) + 0.01 * vgg.distance(image, reference)


def build_loss(name: LossName, vgg: Vgg19 | None = None) -> Loss:
    """The loss of a recipe; those in `PERCEPTUAL` need a `Vgg19`."""
    if name in PERCEPTUAL:
        return {"combined": combined, "vgg+mse": vgg_and_mse}[name](vgg)
    plain: dict[str, Loss] = {
        "l1": F.l1_loss,
        "mse": F.mse_loss,
        "bce": F.binary_cross_entropy,
        "psnr": negative_psnr,
        "psnr-rgb": negative_psnr_rgb,
    }
    return plain[name]


def level_distance(estimated: Tensor, true: Tensor, low: float = 3.0, floor: float = 0.5 / 255) -> Tensor:
    """Mean absolute logarithm of the ratio of noise levels on [0, 1]; one that is too low counts `low` times.

    Guo et al., arXiv:1807.04686, equation 5: too low a level leaves noise, too high a one costs less.

    Args:
        floor: is added to both, since the logarithm of a level near 0 means nothing.
    """
    ratio = ((estimated + floor) / (true + floor)).log()
    return torch.where(ratio < 0, -low * ratio, ratio).mean()


def discounted_l1(image: Tensor, reference: Tensor, mask: Tensor, discount: float = 0.99, reach: int = 64) -> Tensor:
    """L1 whose weight in a hole falls with the distance to the nearest known pixel, `discount` for each pixel.

    Yu et al., arXiv:1801.07892, section 3.3: what lies deep in a hole cannot be known.

    Args:
        mask: (B, 1, H, W), 1 where pixels are missing; known pixels have weight 1.
        reach: distances beyond this many pixels count as this many.
    """
    distance, inside = torch.zeros_like(mask), mask
    for _ in range(reach):
        distance = distance + inside
        inside = 1 - F.max_pool2d(1 - inside, 3, 1, 1)
    return (discount**distance * (image - reference).abs()).mean()


def coarse_negative_psnr(image: Tensor, reference: Tensor, mask: Tensor, size: int = 4) -> Tensor:
    """Mean over the batch of 10 log10 of the holes' squared error, of means over `size` x `size` pixels.

    It binds the colours and the large shapes of a fill, and leaves its texture free.

    Args:
        mask: (B, 1, H, W), 1 where pixels are missing; elsewhere the images are equal.
    """
    error = F.avg_pool2d(image - reference, size).square().mean(1).sum((1, 2))
    share = F.avg_pool2d(mask, size).sum((1, 2, 3))
    return 10 * (error / share.clamp(min=1) + 1e-5).log10().mean()


def grid(image: Tensor, reference: Tensor, period: int, window: int | None = None) -> Tensor:
    """Mean absolute value of the pattern of `period` pixels that repeats in image - reference, (B, C, H, W).

    All over it, or within windows of so many periods a side, where a pattern counts that follows the texture.
    Networks with strides write such patterns, and neither features nor critics mind a faint one.
    """
    step = period * (window or 1)
    height, width = (length // step * step for length in image.shape[-2:])
    difference = (image - reference)[..., :height, :width]
    tiles = F.pixel_unshuffle(difference, period)  # (B, C period^2, rows, columns)
    pattern = F.avg_pool2d(tiles, window) if window else tiles.mean((-2, -1), keepdim=True)
    pattern = pattern.unflatten(1, (-1, period**2))
    return (pattern - pattern.mean(2, keepdim=True)).abs().mean()
