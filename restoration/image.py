"""temporary"""
import numpy as np
import torch
from PIL import Image as PilImage


def read_training(path, channels):
    image = PilImage.open(path)
    if channels == 3:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()
    a = np.asarray(image)
    if a.ndim == 3:
        a = np.rint(a[..., :3].astype(np.float64) @ np.array([0.2989, 0.5870, 0.1140])).astype(np.uint8)
    return torch.from_numpy(np.array(a))[None]


ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


class _Read:
    def __init__(self, path):
        self.path = path

    def bytes(self, channels):
        return read_training(self.path, channels)


def read(path):
    return _Read(path)


def write_grid(path, rows):
    grid = torch.cat([torch.cat(row, dim=3) for row in rows], dim=2)[0]
    a = (grid.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    PilImage.fromarray(a if a.shape[2] == 3 else a[..., 0]).save(path)
