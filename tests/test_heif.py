"""HEIC and AVIF, which the extra [heif] reads."""

import io

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import features

from restoration import decoding
from restoration.files import read
from restoration.folders import is_picture
from restoration.image import ImageError

BRANDS = [b"heic", b"mif1", b"avif"]


@pytest.mark.parametrize("brand", BRANDS)
def test_without_the_extra_one_sentence_says_what_it_is(brand, monkeypatch, tmp_path):
    monkeypatch.setattr(decoding, "_READERS", {k: v for k, v in decoding._READERS.items() if k not in ("heif", "avif")})
    path = tmp_path / "phone"
    path.write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(100))
    assert is_picture(path)
    with pytest.raises(ImageError, match="phone is a HEIC or AVIF picture, which is not read here; save it as JPEG"):
        read(path)


def encoded(picture: Pillow.Image, kind: str, **how: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, quality=100, **how)
    return file.getvalue()


@pytest.fixture(params=["HEIF", "AVIF"])
def kind(request) -> str:
    pillow_heif = pytest.importorskip("pillow_heif")
    if request.param == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    pillow_heif.register_heif_opener()
    return request.param


def test_with_it_pixels_and_orientation_are_those_of_the_photo(photo, kind):
    picture = Pillow.fromarray(photo.samples)
    exif = Pillow.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    exif[0x010F] = "Maker"
    read_back = read(encoded(picture, kind, exif=exif.tobytes()), "a.heic")
    assert read_back.samples.shape == (90, 70, 3)
    turned = np.rot90(photo.samples, -1).astype(int)
    assert np.abs(read_back.samples - turned).mean() < 12  # colours are halved
    assert read_back.exif


def test_a_damaged_one_is_one_sentence(photo, kind):
    content = encoded(Pillow.fromarray(photo.samples), kind)
    with pytest.raises(ImageError, match="damaged or cut short"):
        read(content[: len(content) // 2])
