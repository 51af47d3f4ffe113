"""What every `restore` promises, of a model or of a classical method: batches, float types, levels, one sentence."""

import re

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import Tensor

import restoration
from restoration import catalog, classical
from restoration.catalog import Method
from restoration.deep_image_prior import Attempt
from restoration.image import Image
from restoration.models.drunet import DRUNet
from restoration.orders import Order
from restoration.running import finish, loaded

LAST = {method.family: method.name for method in restoration.methods()}  # of the scales of a family
METHODS = [
    pytest.param(
        method,
        id=f"{method.task} {method.name}",
        marks=[pytest.mark.slow] if method.prior or method.name != LAST[method.family] else [],
    )
    for method in restoration.methods()
]
QUICK = [method for method in METHODS if not method.values[0].prior]
DENOISERS = [method for method in QUICK if method.values[0].task == "denoise"]
LEVELLED = [method for method in METHODS if method.values[0].task in ("denoise", "artifacts")]
PLAIN = [method for method in METHODS if method.values[0].task != "inpaint"]
FILLS = [method for method in METHODS if method.values[0].task == "inpaint"]
ONE_SENTENCE = r"\A[^\n]{10,200}\Z"


SIZE = (13, 18)  # no side is a multiple of what a network halves


def pictures(method: Method, count: int = 2, size: tuple[int, int] = SIZE) -> Tensor:
    """Smooth pictures with a little noise, in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(*(torch.linspace(0, 3, side) for side in size), indexing="ij")
    base = torch.stack([0.5 + 0.3 * torch.sin(rows * (index + 1) + columns) for index in range(count)])[:, None]
    channels = loaded(method).channels or 3
    noise = 0.1 * torch.randn(count, channels, *size, generator=generator)
    return (base + noise).clamp(0, 1)


def holes(image: Tensor) -> Tensor:
    """A mask with another hole in every picture but the third, which has none."""
    mask = torch.zeros(len(image), 1, *image.shape[-2:])
    for index in range(len(image)):
        if index != 2:
            mask[index, :, 4 + index : 9 + index, 3 * index + 2 : 3 * index + 8] = 1
    return mask


def besides(method: Method, image: Tensor) -> tuple[Tensor, ...]:
    return (holes(image),) if method.task == "inpaint" else ()


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_gives_what_its_images_give_one_by_one(method):
    image = pictures(method, count=3)
    others = besides(method, image)
    restored = loaded(method).restore(image, *others)
    assert restored.shape == (3, image.shape[1], *(side * method.scale for side in SIZE))
    for index in range(3):
        own = slice(index, index + 1)
        alone = loaded(method).restore(image[own], *(other[own] for other in others))
        assert (restored[own] - alone).abs().max() < 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_every_float_type_comes_back_as_it_came(method):
    image = (pictures(method) * 256).round() / 256  # which every type holds
    others = besides(method, image)
    expected = loaded(method).restore(image, *others)
    for kind in (torch.float64, torch.float16, torch.bfloat16):
        restored = loaded(method).restore(image.to(kind), *others)
        assert restored.dtype == kind
        step = torch.finfo(kind).eps  # between neighbours in [0.5, 1]; the sums themselves are made in float32
        assert (restored.double() - expected.double()).abs().max() <= max(step, 1e-5), kind


@pytest.mark.parametrize("method", FILLS)
def test_known_pixels_come_back_bit_for_bit_and_what_a_hole_holds_does_not_matter(method):
    large = (21, 26)  # where there is something to copy
    for kind, size in zip(
        (torch.float64, torch.float32, torch.float16, torch.bfloat16), 2 * (SIZE, large), strict=True
    ):
        image = pictures(method, size=size).to(kind)
        mask = holes(image).bool()
        filled = loaded(method).restore(image, mask)
        assert torch.equal(filled.masked_fill(mask, 0), image.masked_fill(mask, 0)), kind
        assert torch.equal(loaded(method).restore(image.masked_fill(mask, float("nan")), mask), filled), kind


@pytest.mark.parametrize("method", METHODS)
def test_what_is_no_float_image_is_named_in_a_sentence(method):
    others = (torch.zeros(1, 1, 8, 8),) if method.task == "inpaint" else ()
    for wrong, named in [
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "torch.uint8; divide by 255"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.int64), "torch.int64"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.bool), "torch.bool"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.complex64), "torch.complex64"),
        (np.zeros((1, 3, 8, 8), np.uint8), "numpy.ndarray of uint8"),
        (np.zeros((8, 8, 3), np.float32), "numpy.ndarray of float32"),
        (Pillow.new("RGB", (8, 8)), "PIL.Image.Image"),
        ([[0.5]], "list"),
        ("photo.jpg", "str"),
        (None, "NoneType"),
        (torch.zeros(3, 8, 8), r"\(3, 8, 8\)"),
        (torch.zeros(1, 3, 0, 8), "at least one pixel"),
        (torch.zeros(0, 3, 8, 8), "at least one pixel"),
    ]:
        if isinstance(wrong, Tensor) and loaded(method).channels == 1 and wrong.ndim == 4:
            wrong = wrong[:, :1]
        with pytest.raises(ValueError, match=named) as caught:
            loaded(method).restore(wrong, *others)
        assert re.match(ONE_SENTENCE, str(caught.value))


@pytest.mark.parametrize("method", METHODS)
def test_values_far_out_are_told_in_a_sentence(method):
    """Noise may lie beyond [0, 1], another scale and what is no number may not, but in a hole."""
    image = pictures(method).clone()
    others = besides(method, image)
    for value, named in [
        (255.0, r"values from 0(\.\d+)? to 255; divide by 255\?"),
        (-40.0, "values from -40 to [01]"),
        (float("nan"), "not finite"),
        (float("inf"), "not finite"),
        (float("-inf"), "not finite"),
    ]:
        image[0, 0, 0, 0] = value
        with pytest.raises(ValueError, match=named):
            loaded(method).restore(image, *others)
    for value in (7.9, -7.9):
        image[0, 0, 0, 0] = value
        assert loaded(method).restore(image, *others).isfinite().all()


@pytest.mark.parametrize("mask", [
    np.zeros((2, 1, *SIZE)), None, torch.zeros(2, 3, *SIZE), torch.zeros(*SIZE), torch.zeros(1, 1, *SIZE),
    torch.full((2, 1, *SIZE), 0.5), torch.full((2, 1, *SIZE), 255.0),
], ids=["array", "none", "colour", "plane", "of one", "half", "of 8 bits"])  # fmt: skip
@pytest.mark.parametrize("method", FILLS)
def test_what_is_no_mask_is_told_in_a_sentence(method, mask):
    with pytest.raises(ValueError, match="mask"):
        loaded(method).restore(pictures(method), mask)


def level(method: Method) -> tuple[str, float, float]:
    """What a task's level is called, and two of them."""
    return ("sigma", 0.05, 0.2) if method.task == "denoise" else ("quality", 60.0, 10.0)


@pytest.mark.parametrize("method", LEVELLED)
def test_a_level_may_have_any_form(method):
    image, (name, one, _) = pictures(method), level(method)
    expected = loaded(method).restore(image, one)
    forms = {
        "number": one,
        "of one": [one],
        "list": [one, one],
        "array": np.array([one, one]),
        "tensor": torch.tensor([one, one]),
        "half": torch.tensor(one, dtype=torch.bfloat16),
        "one each": torch.tensor([one, one]).view(2, 1, 1, 1),
        "map": torch.full((2, 1, *SIZE), one),
        "one map": torch.full((1, 1, *SIZE), one),
    }
    for form, value in forms.items():
        restored = loaded(method).restore(image, **{name: value})
        assert (restored - expected).abs().max() < (0.02 if form == "half" else 1e-4), form


@pytest.mark.parametrize("method", [method for method in LEVELLED if not method.values[0].prior])
def test_every_image_gets_its_own_level(method):
    image, (name, low, high) = pictures(method), level(method)
    both = loaded(method).restore(image, **{name: torch.tensor([low, high])})
    for index, own in enumerate((low, high)):
        alone = loaded(method).restore(image[index : index + 1], own)
        assert (both[index : index + 1] - alone).abs().max() < 1e-4


@pytest.mark.parametrize("filter", [classical.gaussian, classical.bilateral, classical.non_local_means])
def test_a_map_denoises_every_place_at_its_own_level(filter):
    noisy = 0.5 + 0.1 * torch.randn(1, 3, 24, 60, generator=torch.Generator().manual_seed(0))
    sigma = torch.full((1, 1, 24, 60), 0.02)
    sigma[..., 30:] = 0.2
    restored = filter(noisy, sigma)
    assert torch.allclose(restored[..., :30], filter(noisy, 0.02)[..., :30], atol=1e-5)
    assert torch.allclose(restored[..., 30:], filter(noisy, 0.2)[..., 30:], atol=1e-5)
    ramp = torch.linspace(0.02, 0.2, 60).expand(1, 1, 24, 60)  # more levels than are computed
    mixed = filter(noisy, ramp)
    assert torch.allclose(mixed[..., 0], filter(noisy, 0.02)[..., 0], atol=1e-5)
    assert torch.allclose(mixed[..., -1], filter(noisy, 0.2)[..., -1], atol=1e-5)
    assert mixed[..., :20].std() > 1.5 * mixed[..., 40:].std()


def test_a_map_reaches_a_network_place_by_place():
    torch.manual_seed(0)
    model = DRUNet(3, (4, 6), blocks=1).eval()
    reach = model.receptive_field
    noisy = torch.rand(1, 3, 8, 4 * reach)
    sigma = torch.full((1, 1, 8, 4 * reach), 0.1)
    sigma[..., 2 * reach :] = 0.9
    restored = model.restore(noisy, sigma=sigma)
    for level, part in ((0.1, slice(0, reach)), (0.9, slice(3 * reach, None))):
        assert torch.allclose(restored[..., part], model.restore(noisy, level)[..., part], atol=1e-6)
    assert not torch.allclose(model.restore(noisy, 0.1), model.restore(noisy, 0.9), atol=1e-4)


@pytest.mark.parametrize("method", LEVELLED)
def test_a_level_that_does_not_fit_is_told_in_a_sentence(method):
    image, (name, *_) = pictures(method), level(method)
    for wrong in [
        [0.1, 0.1, 0.1], torch.zeros(3), torch.zeros(0), torch.zeros(*SIZE), torch.zeros(2, *SIZE),
        torch.zeros(2, 3, *SIZE), torch.zeros(2, 1, *SIZE[::-1]), "strong", ["a", "b"], [None, 0.1], object,
        [[0.1], [0.1, 0.2]], float("nan"), [0.1, float("nan")], 1e9, -0.5, float("inf"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=f"{name} (is|goes)") as caught:
            loaded(method).restore(image, **{name: wrong})
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("method", [method for method in QUICK if method.values[0].task == "inpaint"])
@pytest.mark.parametrize("size", [(1, 2), (5, 3), (8, 8)])
def test_fills_of_batches_of_any_size(method, size):
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(2, 1, *size)
    mask[0, 0, 0, 0] = 1
    filled = loaded(method).restore(image, mask)
    assert torch.equal(filled[1], image[1])
    assert filled.isfinite().all()


def test_the_prior_gives_attempts_in_the_type_of_the_image():
    image = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    prior = catalog.method("denoise", "deep-image-prior").source
    attempts = [attempt for attempt in prior.fit(image) if isinstance(attempt, Attempt)]
    assert {attempt.image.dtype for attempt in attempts} == {torch.float64}


@pytest.mark.parametrize("method", QUICK)
def test_results_are_normal_tensors(method):
    """They can be written into, and given to layers that train."""
    image = pictures(method)
    restored = loaded(method).restore(image, *besides(method, image))
    assert not restored.is_inference()
    restored[..., 0, 0] = 0.5
    layer = torch.nn.Conv2d(restored.shape[1], 1, 3)
    layer(restored).square().mean().backward()
    assert layer.weight.grad.abs().sum() > 0


def test_a_plug_and_play_loop_with_gradients_works():
    """Venkatakrishnan, Bouman, Wohlberg, GlobalSIP 2013, with gradient steps on the data term."""
    torch.manual_seed(0)
    model, data = DRUNet(3, (4, 6), blocks=1).eval(), torch.rand(1, 3, 16, 16)
    estimate = data.clone().requires_grad_()
    for _ in range(2):
        (gradient,) = torch.autograd.grad((estimate - data).square().sum(), estimate)
        estimate = model.restore((estimate - 0.1 * gradient).detach(), 0.1).requires_grad_()
    assert estimate.isfinite().all()


@pytest.mark.parametrize("method", [method for method in METHODS if method.values[0].learned])
def test_every_architecture_finds_its_bundled_weights_without_asking_the_hub(method, monkeypatch):
    def asked(*_, **__):
        pytest.fail("the Hub was asked")

    for place in ("restoration.restorer.hf_hub_download", "huggingface_hub.hub_mixin.hf_hub_download"):
        monkeypatch.setattr(place, asked)
    name = method.name
    architecture = type(restoration.load(name))
    ours, theirs = architecture.from_pretrained(name).state_dict(), restoration.load(name).state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    other = next(known for known in catalog.architectures().values() if known is not architecture)
    with pytest.raises(ValueError, match=f"holds a {architecture.__name__}, not a {other.__name__}"):
        other.from_pretrained(name)
    with pytest.raises(ValueError, match="no bundled checkpoint called nothing"):
        architecture.from_pretrained("nothing")


EDGES = [method for method in QUICK if method.values[0].task != "inpaint"]


@pytest.mark.parametrize("method", EDGES)
def test_a_hard_edge_stays_within_black_and_white_and_black_and_white_stay_what_they_are(method):
    samples = np.zeros((32, 32, 3), np.uint8)
    samples[:, 16:] = 255
    image = torch.from_numpy(samples).permute(2, 0, 1)[None] / 255.0
    restored = loaded(method).restore(image[:, : loaded(method).channels or 3])
    assert restored.min() >= 0
    assert restored.max() <= 1
    made = finish(Order(method.task, method.name).run(Image(samples))).picture.samples.astype(int)
    assert made[:, : 6 * method.scale].max() < 100
    assert made[:, -6 * method.scale :].min() > 155


@pytest.mark.parametrize("end", ["least", "most"])
@pytest.mark.parametrize("method", LEVELLED)
def test_the_ends_of_a_levels_range_belong_to_it(method, end):
    name, least, most = ("sigma", 0.0, 1.0) if method.task == "denoise" else ("quality", 1.0, 100.0)
    image = pictures(method, count=1)
    assert loaded(method).restore(image, **{name: least if end == "least" else most}).isfinite().all()
    with pytest.raises(ValueError, match=name):
        loaded(method).restore(image, **{name: least - 0.01 if end == "least" else most + 0.01})
