"""What every restoration model promises, written once: sizes, ranges, strict weights, the round trip to the Hub.

A model file defines `__init__` with JSON arguments, `forward`, and the facts `channels`, `multiple_of` and
`receptive_field`.  Padding, cropping, clamping and loading live here.
"""

import inspect
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import safetensors.torch
import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from restoration import probe, weights
from restoration.card import edited, licence, model_card
from restoration.contract import Level, check_image, missing_pixels, quality_map, sigma_map
from restoration.padding import padded
from restoration.resampling import enlarge

LARGEST_RECORD = 1_000_000  # bytes of a run.json


@dataclass(frozen=True)
class Checkpoint:
    """One trained set of weights of an architecture: where it is found and what a user should know.

    Args:
        name: the bundled folder `checkpoints/<name>` and the Hub repository `<namespace>/<name>`.
        title: the name that people see, the same for all scales.
        summary: one line, what it is good at.
        limits: one line, what it is bad at.
        revision: commit hash on the Hub, None for its newest.
        flagship: whether it is its task's default.
        second: whether it is its task's default where the flagship's file is damaged.
        blends_with: another checkpoint of the same architecture, whose weights can be mixed with these.
        obeys: whether the level or quality that it is told makes a difference; some find it themselves all the same.
        cleans: whether an upscaler removes noise and JPEG artifacts on the way.
        invents: whether it makes up detail that no photo of the scene need have.
        purpose: what a visitor chooses it for, in a few words; empty for what is found under all methods alone.
    """

    name: str
    title: str
    summary: str
    limits: str
    revision: str | None = None
    flagship: bool = False
    second: bool = False
    blends_with: str | None = None
    obeys: bool = True
    cleans: bool = False
    invents: bool = False
    purpose: str = ""


def in_full(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer in fp32 where the network runs in half the bits: the first, which is cheap, should see every level.

    bf16 has 8 bits of precision: bright pixels would be rounded to whole levels, more than the noise of many photos.
    """
    if not torch.is_autocast_enabled(x.device.type):
        return layer(x)
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.float())


def in_half(x: Tensor) -> Tensor:
    """What a layer in fp32 gives, in half the bits where the network runs so: sums with it would be in fp32 too."""
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x


class Restorer(nn.Module, PyTorchModelHubMixin, library_name="restoration", tags=["image-restoration"]):
    """Base of the contracts: runs `forward` on images of any size and loads weights strictly.

    Attributes:
        task: the contract's name, "denoise" for a `Denoiser`.
        scale: output size / input size.
        channels: image channels, 1 (grey) or 3 (RGB); None is any number, of methods without weights.
        multiple_of: `forward` needs sides that this divides; `restore` pads.
        padding: what fills the sides up to that: mirrored noise is noise, repeated border pixels pass for texture.
        margin: least number of input pixels that are added around the image and cut off the result: the zeros that
            convolutions see beyond a border never surrounded anything in training.
        receptive_field: radius in input pixels: an output pixel depends on no input pixel further away.  An
            inpainter sees everything, whatever this says.
        inputs: what `restore` must have besides the image, each with a line that reads it from a file, for the card.
        spandrel: whether the weights' file loads as it is in programs that are built on spandrel.
        brightness_alone: whether a grey model corrects the brightness of a colour image and leaves the colours.
        checkpoints: the trained weights that exist.
        run: how these weights were trained and scored, the content of the checkpoint's `run.json`; empty if unknown.
    """

    task: str
    scale: int = 1
    channels: int | None
    multiple_of: int = 1
    padding: Literal["reflect", "replicate", "symmetric"] = "reflect"
    margin: int = 0
    receptive_field: int
    inputs: ClassVar[dict[str, str]] = {}
    spandrel: bool = False
    brightness_alone: bool = False
    checkpoints: tuple[Checkpoint, ...] = ()

    def __init__(self):
        super().__init__()
        self.run: dict = {}

    def restore(self, image: Tensor, /, *inputs: Level | None, **named: Level | None) -> Tensor:
        """The restored image (B, C, scale * H, scale * W) in [0, 1] of an image (B, C, H, W), of its type.

        Args:
            inputs, named: what the contract of its task takes besides: `sigma`, `quality` or `mask`.

        Raises:
            ValueError: wrong shape, type or values.
            RuntimeError: the model is in training mode.
        """
        raise NotImplementedError

    @torch.no_grad()  # and no inference mode, whose tensors no training takes
    def _infer(self, image: Tensor, *planes: Tensor) -> Tensor:
        """Run `forward` on a checked image and planes (B, 1, H, W) of any size: pad, call, crop, clamp.

        The network computes in the type of its own weights; the result has the image's.
        """
        if self.training:
            raise RuntimeError(f"{type(self).__name__} is in training mode; call .eval() before restore()")
        height, width = image.shape[-2:]
        left, _, top, _ = around = self.sides(height, width)
        planes = [plane.to(image.device, self.own_kind(image.dtype)) for plane in (image, *planes)]
        filled = [padded(plane, around, self.padding) for plane in planes]
        restored = self(*(plane.contiguous(memory_format=torch.channels_last) for plane in filled))
        if isinstance(restored, tuple):  # stages, coarse to fine
            restored = restored[-1]
        rows, columns = (
            slice(first * self.scale, (first + side) * self.scale) for first, side in ((top, height), (left, width))
        )
        restored = self._finished(restored[..., rows, columns], planes[0])
        return restored.clamp(0, 1).to(image.dtype).contiguous()

    def own_kind(self, kind: torch.dtype) -> torch.dtype:
        """The type that the network computes in for an image of a type."""
        return next((kernel.dtype for kernel in self.parameters()), torch.promote_types(kind, torch.float32))

    def sides(self, height: int, width: int) -> tuple[int, int, int, int]:
        """How many pixels an image gets on the left, on the right, above and below."""
        least = -(-self.margin // self.multiple_of) * self.multiple_of
        return least, least + -width % self.multiple_of, least, least + -height % self.multiple_of

    def told(self, image: Tensor, *levels: Level | None) -> list[Tensor]:
        """What `forward` is told beside the image: planes (B, 1, H, W)."""
        return []

    def _finished(self, restored: Tensor, image: Tensor) -> Tensor:
        """What `forward` made of an image, as `restore` gives it but for clamping."""
        return restored

    def _plane(self, image: Tensor, level: Tensor | None, unknown: float) -> Tensor:
        """What `forward` is told of every pixel, (B, 1, H, W): a level that broadcasts to it, or that it is unknown."""
        plane = torch.tensor(unknown).view(1, 1, 1, 1) if level is None else level
        return plane.expand(image.shape[0], 1, *image.shape[-2:])

    def _save_pretrained(self, save_directory: Path) -> None:
        config = {"architecture": type(self).__name__, **self._hub_mixin_config}
        (save_directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        values = {name: value.contiguous() for name, value in self.state_dict().items()}
        (save_directory / "model.safetensors").write_bytes(weights.safetensors_bytes(values, self._header()))
        if self.run:
            record = {**self.run, probe.KEY: probe.answer(self)}
            (save_directory / "run.json").write_text(json.dumps(record, indent=1) + "\n")

    def _header(self) -> dict[str, str]:
        """What the weights' file says of itself."""
        header = {"format": "pt", "architecture": type(self).__name__}
        if self.run:
            sources = self.run.get("data", {}).get("sources", {})
            header |= {"licence": licence(self.run), "training_data": ", ".join(sources)}
            header["commit"] = self.run.get("commit", "unknown")
        return header

    def push_to_hub(
        self,
        repo_id: str,
        *,
        token: str | None = None,
        branch: str | None = None,
        ignore_patterns: list[str] | str | None = None,
        model_card_kwargs: dict | None = None,
        **options,
    ) -> str:
        """Publish the model in one commit; gives its address.  A card that was edited on the Hub stays as it is.

        Args:
            ignore_patterns: see `PyTorchModelHubMixin.push_to_hub`, as for all other options.

        Raises:
            HfHubHTTPError: the Hub refuses.
        """
        ignored = [ignore_patterns] if isinstance(ignore_patterns, str) else list(ignore_patterns or ())
        if edited(repo_id, branch, token):
            ignored.append("README.md")
        addressed = {"repo": repo_id if "/" in repo_id else None, **(model_card_kwargs or {})}
        kept = {"token": token, "branch": branch, "ignore_patterns": ignored or None, "model_card_kwargs": addressed}
        return super().push_to_hub(repo_id, **kept, **options)

    def generate_model_card(self, repo: str | None = None, source: str | None = None, **_) -> ModelCard:
        """The model card, written from the model's facts and its training record; see `restoration.card`."""
        return model_card(self, repo, source)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, *, revision: str | None = None, **options
    ) -> "Restorer":
        """The model of a bundled name, of a folder, or of `user/repo[@revision]` on the Hub, ready to restore.

        Args:
            revision: see `PyTorchModelHubMixin.from_pretrained`, as for all other options.

        Raises:
            ValueError: no such bundled checkpoint, or one whose files do not fit each other or this architecture.
            OSError: the Hub cannot be reached.
        """
        source = str(pretrained_model_name_or_path)
        if not Path(source).is_dir() and "/" not in source:  # the Hub is not asked
            known = weights.place(source)
            if known is None:
                unknown = f"there is no bundled checkpoint called {source}; those on the Hub are called user/repo"
                ours = any(checkpoint.name == source for checkpoint in cls.checkpoints)
                raise ValueError(weights.lack(source) if ours else unknown)
            source = str(known.folder)
        if Path(source).is_dir():
            weights.check_folder(Path(source))
        elif revision is None:
            source, revision = weights.on_hub(source)
        else:
            source, _ = weights.on_hub(source)
        return super().from_pretrained(source, revision=revision or None, **options)

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        config: dict | None = None,
        map_location: str = "cpu",
        **arguments,
    ):
        # The mixin's own version leaves missing weights random and falls back to pickles; this one refuses both.
        title = Path(model_id).name if Path(model_id).is_dir() else model_id
        if config is None:
            raise ValueError(f"{title} has no config.json")
        if config.get("architecture", cls.__name__) != cls.__name__:
            raise ValueError(f"{title} holds a {config['architecture']}, not a {cls.__name__}")
        if unknown := config.keys() - {"architecture", *inspect.signature(cls.__init__).parameters}:
            raise ValueError(f"the config.json of {title} has unknown keys: {', '.join(sorted(unknown)[:3])}")

        def file(name: str) -> Path:
            if Path(model_id).is_dir():
                return Path(model_id) / name
            return Path(
                hf_hub_download(
                    model_id,
                    name,
                    revision=revision,
                    cache_dir=cache_dir,
                    force_download=force_download,
                    local_files_only=local_files_only,
                    token=token,
                )
            )

        kept = file("model.safetensors")
        if not kept.exists():
            raise ValueError(f"{title} holds no model.safetensors")
        try:
            values = safetensors.torch.load_file(kept)
        except (SafetensorError, OSError):
            raise ValueError(f"{title} holds a damaged model.safetensors") from None
        for name, value in values.items():
            if not value.isfinite().all():
                raise ValueError(f"{title} holds weights that are not finite: {name}")
        weights.check_sizes(arguments)
        with torch.device("meta"):  # takes no memory, whatever the sizes
            expected = {name: value.shape for name, value in cls(**arguments).state_dict().items()}
        found = {name: value.shape for name, value in values.items()}
        if found != expected:
            wrong = [name for name in expected | found if expected.get(name) != found.get(name)]
            raise ValueError(f"{title} holds other weights than its config.json says: {', '.join(wrong[:3])}")
        model = cls(**arguments)
        model.load_state_dict(values, strict=True)
        with suppress(FileNotFoundError, EntryNotFoundError):  # weights without a training record are welcome
            record = file("run.json")
            if record.stat().st_size > LARGEST_RECORD:
                raise ValueError(f"the run.json of {title} is larger than any")
            model.run = json.loads(record.read_text(encoding="utf-8"))
        return model.to(map_location, memory_format=torch.channels_last).eval()


class Denoiser(Restorer, pipeline_tag="image-to-image", tags=["denoising"]):
    """Removes noise.  A subclass sets `takes_sigma` when its `forward` wants a noise-level plane.

    Attributes:
        takes_sigma: True if `forward(noisy, sigma)` takes a (B, 1, H, W) plane, negative where the level is unknown;
            False if `forward(noisy)` is always blind.
        estimates_sigma: True if `forward` gives the level (B, 1, H, W) that it finds in front of the denoised image.
    """

    task = "denoise"
    takes_sigma: bool = False
    estimates_sigma: bool = False
    UNKNOWN_SIGMA = -0.2

    def restore(self, noisy: Tensor, sigma: Level | None = None) -> Tensor:
        """The denoised image, (B, C, H, W) in [0, 1], of the same size.

        Args:
            noisy: image (B, C, H, W) of any float type, which the result has too; values outside [0, 1] are welcome.
            sigma: standard deviation of the noise on [0, 1], one number, one for each image (B,), or a map
                (B, 1, H, W); None is blind.  Models that only work blind ignore it.

        Raises:
            ValueError: wrong shape or type, or a sigma outside [0, 1].
            RuntimeError: the model is in training mode.
        """
        check_image(noisy, self.channels)
        return self._infer(noisy, *self.told(noisy, sigma))

    def told(self, image: Tensor, sigma: Level | None = None) -> list[Tensor]:
        level = sigma_map(sigma, image)
        return [self._plane(image, level, self.UNKNOWN_SIGMA)] if self.takes_sigma else []


class ArtifactRemover(Restorer, pipeline_tag="image-to-image", tags=["jpeg-artifacts"]):
    """Removes what JPEG compression did.  A subclass sets `takes_quality` when its `forward` wants a quality plane.

    Attributes:
        takes_quality: True if `forward(image, quality)` takes a (B, 1, H, W) plane of qualities / 100, negative where
            the quality is unknown; False if `forward(image)` is always blind.
    """

    task = "artifacts"
    padding = "replicate"  # as JPEG itself fills its last blocks
    brightness_alone = True  # which JPEG stores apart
    takes_quality: bool = False
    UNKNOWN_QUALITY = -1.0

    def restore(self, image: Tensor, quality: Level | None = None) -> Tensor:
        """The image (B, C, H, W) in [0, 1] without artifacts, of the same size.

        Args:
            image: (B, C, H, W) in [0, 1] of any float type, which the result has too.
            quality: that it was saved with, 1 to 100, one number, one for each image (B,), or a map (B, 1, H, W);
                None is blind.  Models that only work blind ignore it.

        Raises:
            ValueError: wrong shape or type, or a quality out of range.
            RuntimeError: the model is in training mode.
        """
        check_image(image, self.channels)
        return self._infer(image, *self.told(image, quality))

    def told(self, image: Tensor, quality: Level | None = None) -> list[Tensor]:
        level = quality_map(quality, image)
        share = None if level is None else level / 100
        return [self._plane(image, share, self.UNKNOWN_QUALITY)] if self.takes_quality else []


class Upscaler(Restorer, pipeline_tag="image-to-image", tags=["super-resolution"]):
    """Enlarges by a whole factor, the attribute `scale`.

    Attributes:
        holds_colours: whether the result gets the colours of the bicubically enlarged image, averaged over
            `NEIGHBOURHOOD` input pixels each way: for networks that shift those that training rarely showed.  It
            counts in `receptive_field`.
    """

    task = "upscale"
    margin = 6  # with fewer, flat colours are off by more than a level at the borders; more change nothing
    padding = "symmetric"  # as where low resolution comes from: the reduction of a picture that is mirrored so, too
    holds_colours: bool = False
    NEIGHBOURHOOD = 20  # with fewer, detail that repeats is lost: at 6, 0.04 dB of RRDB

    def restore(self, lr: Tensor) -> Tensor:
        """The image (B, C, scale * H, scale * W) in [0, 1] of an image (B, C, H, W), with its float type.

        Raises:
            ValueError: wrong shape or type.
            RuntimeError: the model is in training mode.
        """
        check_image(lr, self.channels)
        return self._infer(lr)

    def _finished(self, restored: Tensor, image: Tensor) -> Tensor:
        if not self.holds_colours:
            return restored
        reach = self.NEIGHBOURHOOD
        # Position by position within an input pixel, so that a pattern which repeats from one to the next goes too.
        shift = F.pixel_unshuffle(enlarge(image, self.scale) - restored, self.scale).float()
        shift = padded(shift, (reach,) * 4, "symmetric")
        for window in ((2 * reach + 1, 1), (1, 2 * reach + 1)):
            shift = F.avg_pool2d(shift, window, stride=1)
        return restored + F.pixel_shuffle(shift, self.scale).to(restored.dtype)


class Inpainter(Restorer, pipeline_tag="image-to-image", tags=["inpainting"]):
    """Fills missing pixels.  `forward(image, mask)` gets the image with zeros in the holes; it may give its stages."""

    task = "inpaint"
    inputs: ClassVar[dict[str, str]] = {
        "mask": 'restoration.read("mask.png").tensor()[:, :1].round()  # (1, 1, H, W), white is missing'
    }

    def restore(self, image: Tensor, mask: Tensor) -> Tensor:
        """The image (B, C, H, W) in [0, 1] with its holes filled; known pixels come back bit for bit.

        Args:
            image: (B, C, H, W) of any float type, which the result has too; what it holds in the holes does not matter.
            mask: (B, 1, H, W) of any type, 1 where a pixel is missing, 0 where it is known.

        Raises:
            ValueError: wrong shape or type, or a mask of other values.
            RuntimeError: the model is in training mode.
        """
        missing = missing_pixels(image, mask, self.channels)
        filled = self._infer(image.masked_fill(missing, 0), missing)
        return torch.where(missing, filled, image)
