"""Orders, their receipts and replays: complete, the same every time, and told when something differs."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from skimage import data

import restoration
from restoration import deep_image_prior, receipts, tasks, weights
from restoration.files import FORMATS, embedded_receipt, read, write
from restoration.image import Image, from_tensor
from restoration.inpainting import Mask, mask_from, mask_image
from restoration.jpeg import compressed
from restoration.orders import Order, replay
from restoration.receipts import read_receipt
from restoration.running import finish

ORDERS = [
    Order("denoise", "drunet-fast", {"sigma_255": 12.5, "strength": 0.5}),
    Order("artifacts", "mwcnn-jpeg"),
    Order("upscale", "esrgan", {"alpha": 0.3, "stay_true": True}),
    Order("inpaint", "diffusion", {"grow": 1, "feather": 3}),
]


@pytest.fixture
def hole(photo):
    opacity = np.zeros((photo.height, photo.width), np.float32)
    opacity[20:30, 30:50] = 1
    return Mask(opacity)


def done(order, image, hole):
    return finish(order.run(image, hole if order.task == "inpaint" else None))


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.task)
def test_a_replay_from_the_receipt_beside_the_result_gives_the_same_pixels(order, photo, hole, tmp_path):
    first = done(order, photo, hole)
    content, beside = first.files()
    assert content == done(order, photo, hole).files()[0]
    (tmp_path / "receipt.json").write_text(beside)
    outcome = finish(replay(read_receipt(tmp_path / "receipt.json"), photo))
    assert outcome.same
    assert outcome.differences == ()
    np.testing.assert_array_equal(outcome.result.picture.samples, first.picture.samples)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_holds_the_receipt_and_the_same_pixels(photo, tmp_path, format, bits):
    if bits == 16:
        photo = replace(photo, samples=photo.samples.astype(np.uint16) * 257)
    result = done(ORDERS[0], photo, None)
    content, beside = result.files(format)
    file = tmp_path / f"result{FORMATS[format]}"
    file.write_bytes(content)
    assert read_receipt(file) == result.receipt == json.loads(embedded_receipt(file))
    assert {**result.receipt, "file": json.loads(beside)["file"]} == json.loads(beside)
    write(result.picture, tmp_path / f"plain{FORMATS[format]}")
    np.testing.assert_array_equal(read(file).samples, read(tmp_path / f"plain{FORMATS[format]}").samples)
    file.write_bytes(result.files(format, metadata="none")[0])
    assert embedded_receipt(file) is None


def test_a_receipt_names_all_that_the_result_depends_on(photo, tmp_path):
    write(photo, tmp_path / "photo.png")
    receipt = done(ORDERS[2], read(tmp_path / "photo.png"), None).receipt
    assert [entry["name"] for entry in receipt["weights"]] == ["esrgan-x4", "rrdb-x4"]
    assert all(len(entry["sha256"]) == 64 for entry in receipt["weights"])
    assert receipt["model"] == "esrgan-x4"
    assert receipt["settings"] == {"alpha": 0.3, "stay_true": True}
    assert receipt["tiles"]["side"] == 256
    assert receipt["metrics"]["matches_photo"].endswith("dB")
    assert len(receipt["input"]["file_sha256"]) == 64
    assert (receipt["output"]["width"], receipt["output"]["height"]) == (360, 280)
    assert "photo" not in json.dumps({**receipt, "metrics": ""})  # never the name


def test_a_replay_names_what_differs(photo, monkeypatch):
    receipt = done(ORDERS[0], photo, None).receipt
    brighter = replace(photo, samples=photo.samples // 2 + 9)
    outcome = finish(replay(receipt, brighter))
    assert not outcome.same
    assert outcome.differences[0].startswith("the picture differs: ")
    monkeypatch.setattr(receipts, "_version", lambda: "9.9")
    outcome = finish(replay(receipt, photo))
    assert outcome.same
    assert outcome.differences == ("the version differs: 0.1.0 then, 9.9 now.",)


@pytest.mark.parametrize("order", [Order("inpaint", "deep-image-prior"), Order("upscale", "deep-image-prior-x2")])
def test_a_receipt_holds_the_steps_and_a_replay_says_that_it_was_stopped(order, photo, hole, monkeypatch):
    monkeypatch.setattr(deep_image_prior, "PREVIEW_EVERY", 0.0)
    job = order.run(photo, hole if order.task == "inpaint" else None)
    stopped = [next(job) for _ in range(3)][-1].so_far.receipt
    assert stopped["steps"] == {"done": 2, "planned": 4}
    with pytest.raises(ValueError, match=r"stopped after 2 of 4 steps, so it cannot be repeated\.$"):
        finish(replay(stopped, photo, mask_image(hole)))
    whole = finish(job).receipt
    assert whole["steps"] == {"done": 4, "planned": 4}
    again = finish(replay(whole, photo, mask_image(hole)))
    assert again.same
    assert again.differences == ()


def test_the_receipt_inside_an_inpainted_picture_wants_the_mask(photo, hole):
    receipt = json.loads(done(ORDERS[3], photo, hole).signed.receipt)
    with pytest.raises(ValueError, match="does not hold the mask"):
        finish(replay(receipt, photo))
    assert finish(replay(receipt, photo, mask_image(hole))).same


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("sharpen",), "no task called"),
        (("denoise", "nothing"), "no denoise model"),
        (("denoise", "", {"sigma": 3}), "sigma is not a setting of denoise"),
        (("denoise", "", {"strength": 2}), "from 0 to 1"),
        (("denoise", "", {"sigma_255": "a lot"}), "sigma_255 cannot be a lot"),
        (("upscale", "", {"stay_true": 1}), "stay_true cannot be 1"),
        (("inpaint", "", {"grow": float("nan")}), "grow cannot be nan"),
        (("upscale", "compact", {"scale": 7}), "enlarges by"),
    ],
)
def test_impossible_orders_are_answered_with_a_sentence(arguments, words):
    with pytest.raises(ValueError, match=words):
        Order(*arguments)


def test_an_order_is_complete_and_names_the_scale():
    assert Order("upscale", "compact", {"scale": 2}) == Order("upscale", "compact-x2", {"alpha": 1.0})
    assert Order("denoise").model == "drunet-photo"
    assert Order("denoise").changed(strength=0.5).settings == {"sigma_255": None, "strength": 0.5}


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b'{"task": "denoise"}'])
def test_what_holds_no_receipt_is_refused(tmp_path, content):
    (tmp_path / "receipt.json").write_bytes(content)
    with pytest.raises(ValueError, match="holds no receipt"):
        read_receipt(tmp_path / "receipt.json")


def test_weights_are_named_by_their_hash():
    method = Order("denoise").method
    assert receipts.weights_digest(method) == receipts._file_digest(
        weights.place(method.name).folder / "model.safetensors"
    )
    assert receipts.weights_digest(Order("denoise", "median").method) == ""
    assert Image(np.zeros((2, 2, 1), np.uint8)).digest != Image(np.zeros((2, 2, 1), np.uint16)).digest


@pytest.fixture(scope="module")
def worn() -> dict[str, Image]:
    """A picture with noise, and one with blocks as well."""
    cat = torch.from_numpy(data.chelsea()[60:108, 100:164].copy()).permute(2, 0, 1)
    noise = torch.randn(cat.shape, generator=torch.Generator().manual_seed(0)) * 15
    noisy = (cat + noise).round().clamp(0, 255).to(torch.uint8)
    blocky = compressed(noisy, 15)
    return {"denoise": from_tensor(noisy[None] / 255), "other": from_tensor(blocky[None] / 255)}


@pytest.fixture(scope="module")
def made(worn) -> Callable[[Order], np.ndarray]:
    """What comes of an order, most of which differ from another in one setting; each is run once."""

    @cache
    def run(task: str, model: str, settings: str) -> np.ndarray:
        picture, order = worn.get(task, worn["other"]), Order(task, model, json.loads(settings))
        hole = np.zeros((48, 64, 1), np.uint8)
        hole[14:32, 20:46] = 255
        mask = mask_from(Image(hole), picture) if tasks.named(task).holes else None
        return finish(order.run(picture, mask)).picture.samples.astype(float)

    return lambda order: run(order.task, order.model, json.dumps(order.settings, sort_keys=True))


def ends(task: str, setting) -> tuple:
    if setting.kind is bool:
        return False, True
    return setting.limits or (0, 8)


@pytest.mark.parametrize(("task", "method", "setting"), [
    pytest.param(
        name,
        method,
        setting,
        id=f"{method.name} {setting.name}",
        marks=[] if method.flagship or (not method.learned and method.name != "offset-fill") else [pytest.mark.slow],
    )
    for name, task in tasks.every().items()
    for method in restoration.methods(name)
    if not method.chained  # which has another test
    for setting in task.settings
    # A result that is true to the photo already has nothing to be pulled back to.
    if not (method.prior or setting.choices or setting.name == "stay_true") and task.takes(setting, method)
])  # fmt: skip
def test_the_two_ends_of_every_setting_give_other_pictures(task, method, setting, made):
    low, high = (made(Order(task, method.name, {setting.name: end})) for end in ends(task, setting))
    assert np.sqrt(((high - low) ** 2).mean()) >= 1
