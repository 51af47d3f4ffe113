"""Image files: what goes in comes out."""

import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from PIL import ExifTags, ImageCms
from PIL import Image as Pillow
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2
from skimage import data

from restoration import png
from restoration.__main__ import main
from restoration.files import encode, output_name, read, write
from restoration.image import Canvas, Image, ImageError, from_tensor, to_8_bit

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def random_image(rng, bits=8, channels=3, alpha=False) -> Image:
    kind = np.uint8 if bits == 8 else np.uint16
    samples = rng.integers(0, 2**bits, (13, 17, channels)).astype(kind)
    opacity = rng.integers(0, 2**bits, (13, 17)).astype(kind) if alpha else None
    return Image(samples, opacity, dpi=(300.0, 150.0), icc=SRGB if channels == 3 else None)


def saved(picture: Pillow.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("format", ["png", "tiff"])
def test_a_written_file_reads_back_bit_for_bit(rng, bits, channels, alpha, format):
    image = random_image(rng, bits, channels, alpha)
    again = read(encode(image, format))
    if bits == 16 and channels == 1 and alpha and format == "tiff":
        assert (again.samples == image.samples).all()  # stored as RGBA, three equal planes
    else:
        np.testing.assert_array_equal(again.samples, image.samples)
    assert again.bits == bits
    assert (again.alpha is None) == (not alpha)
    if alpha:
        np.testing.assert_array_equal(again.alpha, image.alpha)
    assert again.dpi == (300, 150)
    assert again.icc == image.icc


def test_webp_is_lossless_also_under_full_transparency(rng):
    image = random_image(rng, alpha=True)
    image.alpha[:5] = 0
    again = read(encode(image, "webp"))
    np.testing.assert_array_equal(again.samples, image.samples)
    np.testing.assert_array_equal(again.alpha, image.alpha)


def decoded_png(content: bytes) -> np.ndarray:
    """The bytes of a PNG's rows, by the letter of the standard, for the filters 0 and 4."""
    chunks, at = {}, 8
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        chunks[kind] = content[at + 8 : at + 8 + length]
        check = struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0]
        assert zlib.crc32(content[at + 4 : at + 8 + length]) == check
        at += 12 + length
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    apart = depth // 8 * {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + apart * width).astype(int)
    above, found = [0] * (apart * width), []
    for filter, *row in rows.tolist():
        for x, value in enumerate(row):
            left, corner = (row[x - apart], above[x - apart]) if x >= apart else (0, 0)
            guess = left + above[x] - corner
            nearest = min((left, above[x], corner), key=lambda each: abs(each - guess))
            row[x] = (value + (nearest if filter == 4 else 0)) % 256
        assert filter in (0, 4)
        above = row
        found.append(row)
    return np.array(found, np.uint8)


@pytest.mark.parametrize("way", png._WAYS)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(1, 1), (40, 17)])
def test_our_png_is_what_an_independent_decoder_reads(rng, monkeypatch, way, bits, channels, shape):
    monkeypatch.setattr(png, "_WAYS", (way,))
    monkeypatch.setattr(png, "_BAND", 1000)
    planes = rng.integers(0, 2**bits, (*shape, channels)).astype(np.uint8 if bits == 8 else np.uint16)
    planes[1::3] = planes[:1]  # ties too
    encoded = png.encoded(planes, [])
    np.testing.assert_array_equal(
        decoded_png(encoded), planes.astype(f">u{bits // 8}").reshape(shape[0], -1).view("u1")
    )


def drawn(kind: str) -> np.ndarray:
    """A picture (H, W, 3) of some kind."""
    down, across = np.mgrid[:300, :400]
    if kind == "gradient":
        return np.stack([across * 255 // 399, down * 255 // 299, (across + down) % 256], axis=2).astype(np.uint8)
    if kind == "noise":
        return np.random.default_rng(0).normal(128, 20, (300, 400, 3)).clip(0, 255).astype(np.uint8)
    return {"photo": data.astronaut, "writing": data.page, "coarse": data.horse}[kind]()


@pytest.mark.parametrize("kind", ["photo", "writing", "coarse", "gradient", "noise"])
def test_our_png_is_not_larger_than_a_fast_one_of_pillows(kind):
    samples = drawn(kind)
    samples = samples.astype(np.uint8) * 255 if samples.dtype == bool else samples
    ours = len(encode(Image(samples), "png"))
    assert ours < 1.03 * len(saved(Pillow.fromarray(samples), "png", compress_level=1))


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3), (6, 5, 4)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_tiffs_of_another_program_keep_every_bit(rng, shape, order):
    samples = rng.integers(0, 65536, shape).astype(np.uint16)
    buffer = io.BytesIO()
    extra = ["unassalpha"] if shape[-1] == 4 else None
    tifffile.imwrite(
        buffer, samples, byteorder=order, photometric="rgb" if len(shape) == 3 else None, extrasamples=extra
    )
    image = read(buffer.getvalue())
    np.testing.assert_array_equal(image.samples, samples.reshape(6, 5, -1)[..., :3])
    assert image.bits == 16


def stored_tiff(samples, planes, turned=False, **options) -> bytes:
    """A TIFF written by tifffile, contiguous or in separate planes; `turned` to the left, with the tag that says so."""
    if turned:
        samples = np.rot90(samples)
        options["extratags"] = [(ExifTags.Base.Orientation, "H", 1, 6, True)]
    if planes == "separate":
        samples = samples.transpose(2, 0, 1)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.ascontiguousarray(samples), planarconfig=planes, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("extra", [None, "unassalpha", "assocalpha", "unspecified"])
@pytest.mark.parametrize("parts", [
    {}, {"compression": "zlib", "predictor": True, "rowsperstrip": 7}, {"compression": "zlib", "tile": (16, 32)},
    {"tile": (16, 32), "byteorder": ">"},
])  # fmt: skip
@pytest.mark.parametrize("turned", [False, True])
def test_16_bit_tiffs_of_every_layout_keep_every_bit(rng, planes, extra, parts, turned):
    samples = rng.integers(0, 65536, (20, 37, 4)).astype(np.uint16)
    samples[..., 3] |= 2**15  # of a smaller alpha, colours times alpha keep less
    stored = samples.copy()
    if extra == "assocalpha":
        stored[..., :3] = np.rint(samples[..., :3] * (samples[..., 3:] / 65535))
    stored = stored if extra else stored[..., :3]
    options = {"photometric": "rgb", "extrasamples": [extra] if extra else None, **parts}
    image = read(stored_tiff(stored, planes, turned, **options))
    assert image.bits == 16
    assert np.abs(image.samples.astype(int) - samples[..., :3]).max() <= (1 if extra == "assocalpha" else 0)
    if extra in ("unassalpha", "assocalpha"):
        np.testing.assert_array_equal(image.alpha, samples[..., 3])
    else:
        assert image.alpha is None
    assert ("An extra channel of unknown meaning was dropped." in image.notes) == (extra == "unspecified")


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
def test_floats_whose_bytes_were_parted_and_told_by_differences_are_read(rng, kind, channels):
    """Adobe's technical note 3: the bytes of equal weight of a row together, then each less the one before it."""
    samples = rng.random((5, 7, channels)).astype(kind)
    size = samples.itemsize
    parted = samples.astype(samples.dtype.newbyteorder(">")).view(np.uint8).reshape(5, 7 * channels, size)
    parted = parted.transpose(0, 2, 1).reshape(5, 7 * size, channels)
    parts = [zlib.compress(np.diff(parted, axis=1, prepend=np.uint8(0)).tobytes())]
    told = {"photometric": "rgb" if channels == 3 else "minisblack", "compression": "zlib", "metadata": None}
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        iter(parts),
        shape=(5, 7, channels)[: 2 + (channels > 1)],
        dtype=kind,
        extratags=[(65001, "H", 1, 3, True)],
        **told,
    )
    before, predictor = (struct.pack("<HHI", tag, 3, 1) for tag in (65001, 317))  # which tifffile would not write
    assert buffer.getvalue().count(before) == 1
    image = read(buffer.getvalue().replace(before, predictor))
    assert np.abs(image.samples / 65535 - samples.astype(float)).max() <= 0.5 / 65535 + np.finfo(kind).eps / 2


def test_colours_of_which_alpha_leaves_none_are_black():
    stored = np.array([[[0, 0, 0, 0], [9, 0, 1, 1]]], np.uint16)  # the second is brighter than its alpha allows
    image = read(stored_tiff(stored, "contig", photometric="rgb", extrasamples=["assocalpha"]))
    assert image.samples.tolist() == [[[0, 0, 0], [65535, 0, 65535]]]


def test_parts_that_overlap_are_refused(rng):
    samples = rng.integers(0, 65536, (64, 8, 3)).astype(np.uint16)
    content = stored_tiff(samples, "separate", photometric="rgb", rowsperstrip=1)
    counts, wrong = (struct.pack("<192H", *[count] * 192) for count in (16, 1000))
    assert content.count(counts) == 1
    read(content)
    with pytest.raises(ImageError, match="damaged"):
        read(content.replace(counts, wrong))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_grey_whose_white_is_zero_is_no_negative(rng, kind):
    samples = rng.random((6, 5)).astype(np.float32)
    stored = samples if kind == np.float32 else np.rint(samples * np.iinfo(kind).max).astype(kind)
    white = 1 if kind == np.float32 else np.iinfo(kind).max
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, white - stored, photometric="miniswhite")
    image = read(buffer.getvalue())
    expected = np.rint(samples * 65535) if kind == np.float32 else stored
    assert np.abs(image.samples[..., 0].astype(int) - expected).max() <= (1 if kind == np.float32 else 0)


def test_what_is_cut_to_8_bits_says_so(rng):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, rng.integers(0, 65536, (6, 5, 4)).astype(np.uint16), photometric="separated")
    image = read(buffer.getvalue())
    assert (image.bits, image.notes) == (8, ("Reduced to 8 bits a sample.", "Converted to sRGB."))


def test_a_16_bit_ramp_keeps_more_than_256_levels():
    ramp = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    image = read(saved(Pillow.fromarray(ramp), "png"))
    assert len(np.unique(image.samples)) == 4096
    canvas = Canvas(image)
    canvas.put(image.tensor(), 0, 0)
    np.testing.assert_array_equal(canvas.image().samples, image.samples)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff"])
def test_every_exif_orientation_comes_out_upright_with_tag_1(rng, orientation, format):
    upright = np.zeros((24, 40, 3), np.uint8)
    upright[:8, :8] = (255, 0, 0)  # top left
    upright[:8, -8:] = (0, 255, 0)  # top right
    upright[-8:, :8] = (0, 0, 255)  # bottom left
    # How a camera stores an upright scene under each tag (TIFF 6.0, tag 274): the inverse of the turn to apply.
    turn_back = {
        1: None,
        2: Pillow.Transpose.FLIP_LEFT_RIGHT,
        3: Pillow.Transpose.ROTATE_180,
        4: Pillow.Transpose.FLIP_TOP_BOTTOM,
        5: Pillow.Transpose.TRANSPOSE,
        6: Pillow.Transpose.ROTATE_90,
        7: Pillow.Transpose.TRANSVERSE,
        8: Pillow.Transpose.ROTATE_270,
    }[orientation]
    stored = Pillow.fromarray(upright)
    if turn_back is not None:
        stored = stored.transpose(turn_back)
    exif = Pillow.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    lossless = {"webp": {"lossless": True}, "jpeg": {"quality": 100, "subsampling": 0}}.get(format, {})
    image = read(saved(stored, format, exif=exif.tobytes(), **lossless))
    assert np.abs(image.samples.astype(int) - upright).max() <= (40 if format == "jpeg" else 0)
    for written in ("png", "jpeg", "webp", "tiff"):
        again = Pillow.open(io.BytesIO(encode(image, written, metadata="all")))
        assert again.getexif().get(ExifTags.Base.Orientation, 1) == 1
        assert again.size == (40, 24)


def photo_with_a_place() -> bytes:
    exif = Pillow.Exif()
    exif[ExifTags.Base.Make] = "Camera maker"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.FNumber: 2.8, ExifTags.Base.MakerNote: b"serial 42"}
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (48.0, 51.0, 30.0)}
    return saved(Pillow.new("RGB", (20, 10), "teal"), "jpeg", exif=exif.tobytes(), quality=95)


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("receipt", [None, "{}"])
def test_exif_is_kept_without_place_and_maker_note_by_default(format, bits, receipt):
    image = replace(read(photo_with_a_place()), receipt=receipt)
    if bits == 16:
        image = replace(image, samples=image.samples.astype(np.uint16) * 257)
    kept = Pillow.open(io.BytesIO(encode(image, format))).getexif()
    assert kept[ExifTags.Base.Make] == "Camera maker"
    assert ExifTags.Base.Software not in kept
    assert float(kept.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber]) == pytest.approx(2.8)
    assert ExifTags.Base.MakerNote not in kept.get_ifd(ExifTags.IFD.Exif)
    assert not kept.get_ifd(ExifTags.IFD.GPSInfo)
    everything = Pillow.open(io.BytesIO(encode(image, format, metadata="all"))).getexif()
    assert everything.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
    nothing = Pillow.open(io.BytesIO(encode(image, format, metadata="none"))).getexif()
    assert ExifTags.Base.Make not in nothing
    assert not nothing.get_ifd(ExifTags.IFD.Exif)


def exif_with(tag: ExifTags.Base, kind: int, value) -> bytes:
    """An EXIF block with one tag, of a type (TIFF 6.0: 2 ASCII, 5 RATIONAL) that need not be the one it should have."""
    directory = ImageFileDirectory_v2()
    directory.tagtype[tag] = kind
    directory._tags_v2[tag] = value
    return b"Exif\0\0II*\0\x08\0\0\0" + directory.tobytes(8)


def test_the_exif_of_a_bigtiff_is_kept(rng):
    samples, make = rng.integers(0, 256, (6, 5, 3)).astype(np.uint8), (ExifTags.Base.Make, "s", 0, "Maker", True)
    image = read(stored_tiff(samples, "contig", photometric="rgb", bigtiff=True, extratags=[make]))
    for format in ("png", "tiff"):
        assert Pillow.open(io.BytesIO(encode(image, format))).getexif()[ExifTags.Base.Make] == "Maker"


@pytest.mark.parametrize("tag, kind, value", [
    ("ResolutionUnit", 5, (IFDRational(2),)), ("Make", 5, (IFDRational(1, 3),)), ("XResolution", 2, "72"),
])  # fmt: skip
@pytest.mark.parametrize("format", ["jpeg", "png", "webp"])
def test_an_intact_photo_with_odd_exif_is_read_without_it(tag, kind, value, format):
    content = saved(Pillow.new("RGB", (20, 10), "teal"), format, exif=exif_with(ExifTags.Base[tag], kind, value))
    image = read(content)
    assert image.exif is None
    assert image.notes == ()


def test_a_title_of_numbers_does_not_end_the_program():
    block = exif_with(ExifTags.Base.XPTitle, 5, tuple(IFDRational(number, 3) for number in (1, 2, 3)))
    image = replace(read(photo_with_a_place()), exif=block)
    np.testing.assert_array_equal(read(encode(image, "tiff")).samples, image.samples)


def test_a_wide_gamut_profile_becomes_srgb():
    # XYZ as a stand-in profile whose numbers differ a lot from sRGB's; littleCMS itself is the reference.
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    picture = Pillow.new("RGB", (4, 4), (200, 120, 40))
    swapped = _rotated_primaries_profile()
    image = read(saved(picture, "png", icc_profile=swapped))
    expected = ImageCms.profileToProfile(picture, ImageCms.ImageCmsProfile(io.BytesIO(swapped)), linear)
    np.testing.assert_array_equal(image.samples, np.asarray(expected))
    assert not np.array_equal(image.samples, np.asarray(picture))
    assert image.notes == ("Converted to sRGB.",)
    assert ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(image.icc))).startswith("sRGB")


def _rotated_primaries_profile() -> bytes:
    """The sRGB profile with its red and green primaries exchanged, by swapping the tags' names."""
    return SRGB.replace(b"rXYZ", b"tmpX", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"tmpX", b"gXYZ", 1)


def test_an_srgb_profile_leaves_the_pixels_and_is_kept(rng):
    image = random_image(rng)
    again = read(encode(image, "png"))
    np.testing.assert_array_equal(again.samples, image.samples)
    assert again.icc == SRGB


@pytest.mark.parametrize("mode, channels, alpha", [
    ("1", 1, False), ("L", 1, False), ("LA", 1, True), ("P", 3, False), ("RGB", 3, False), ("RGBA", 3, True),
])  # fmt: skip
def test_grey_stays_grey_and_transparency_stays(mode, channels, alpha):
    picture = Pillow.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).convert(mode)
    image = read(saved(picture, "png"))
    assert (image.channels, image.alpha is not None) == (channels, alpha)


def test_cmyk_becomes_rgb():
    image = read(saved(Pillow.new("CMYK", (5, 5), (0, 255, 255, 0)), "jpeg", quality=100))
    assert image.channels == 3
    assert np.abs(image.samples.reshape(-1, 3).astype(int) - (254, 0, 0)).max() < 6


def test_content_decides_not_the_name(tmp_path):
    path = tmp_path / "photo.txt"
    path.write_bytes(saved(Pillow.new("RGB", (3, 2)), "bmp"))
    assert read(path).samples.shape == (2, 3, 3)


def test_only_the_first_frame_of_an_animation_is_used():
    frames = [Pillow.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    image = read(saved(frames[0], "gif", save_all=True, append_images=frames[1:]))
    assert tuple(image.samples[0, 0]) == (255, 0, 0)
    assert image.notes == ("Only the first frame is used.",)


def header_of_a_huge_png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"\0\0\0\0IDAT"


@pytest.mark.parametrize("size, words", [
    ((8000, 5001), "40.1 megapixels; the limit is 40"), ((10_000, 9_000), "limit"), ((200_000, 200_000), "limit"),
])  # fmt: skip
def test_the_size_is_refused_from_the_header_alone(size, words):
    with pytest.raises(ImageError, match=words):
        read(header_of_a_huge_png(*size))


@pytest.mark.parametrize("content", [
    b"", b"hello", b"<svg></svg>", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    saved(Pillow.new("RGB", (64, 64)), "png")[:60],
    saved(Pillow.effect_noise((64, 64), 90), "jpeg")[:300],
    saved(Pillow.new("RGB", (64, 64)), "tiff")[:40],
])  # fmt: skip
def test_a_broken_file_gets_one_plain_sentence(content):
    with pytest.raises(ImageError) as caught:
        read(content, name="/secret/folder/holiday.png")
    sentence = str(caught.value)
    assert 10 < len(sentence) < 200
    assert "\n" not in sentence
    assert "/secret" not in sentence
    assert "Error" not in sentence


def test_missing_files_and_folders_get_a_sentence(tmp_path):
    with pytest.raises(ImageError, match=r"There is no file called nothing\.png"):
        read(tmp_path / "nothing.png")
    with pytest.raises(ImageError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(ImageError, match="could not be written"):
        write(Image(np.zeros((2, 2, 3), np.uint8)), tmp_path / "no" / "such" / "folder.png")
    with pytest.raises(ImageError, match="should end in"):
        write(Image(np.zeros((2, 2, 3), np.uint8)), tmp_path / "picture.xyz")


def test_the_colours_of_a_jpeg_are_as_fine_as_its_brightness(tmp_path):
    stripes = np.zeros((16, 16, 3), np.uint8)
    stripes[:, ::2] = 200, 40, 40
    stripes[:, 1::2] = 40, 40, 200
    write(Image(stripes), tmp_path / "stripes.jpg", 100)
    assert np.abs(read(tmp_path / "stripes.jpg").samples.astype(int) - stripes).max() < 8


def test_jpeg_refuses_transparency_instead_of_painting_it(rng):
    with pytest.raises(ImageError, match="transparency"):
        encode(random_image(rng, alpha=True), "jpeg")


def test_the_result_is_named_after_the_input(tmp_path):
    path = tmp_path / "Holiday 1.JPG"
    path.write_bytes(saved(Pillow.new("RGB", (4, 4)), "jpeg"))
    assert output_name(read(path), "denoised") == "Holiday 1_denoised.png"
    assert output_name(read(path), "denoised", "tiff") == "Holiday 1_denoised.tiff"


@pytest.mark.parametrize("bits", [8, 16])
def test_identity_through_tensor_and_canvas_is_bit_exact(bits):
    highest = 2**bits - 1
    samples = np.linspace(0, highest, 3 * 256 * 256).round().astype(np.uint8 if bits == 8 else np.uint16)
    image = Image(samples.reshape(256, 256, 3))
    canvas = Canvas(image)
    canvas.put(image.tensor(), 0, 0)
    for strength in (0, 0.3, 1):
        np.testing.assert_array_equal(canvas.image(strength).samples, image.samples)


def test_values_are_rounded_not_truncated():
    image = Image(np.zeros((1, 4, 1), np.uint8))
    canvas = Canvas(image)
    canvas.put(torch.tensor([0.0, 0.4, 0.6, 254.6]).view(1, 1, 1, 4) / 255, 0, 0)
    assert canvas.image().samples.ravel().tolist() == [0, 0, 1, 255]
    assert from_tensor(torch.tensor([[[0.4, 0.6]]]) / 255).samples.ravel().tolist() == [0, 1]


def test_strength_moves_linearly_from_the_original_to_the_restored():
    image = Image(np.full((2, 2, 3), 100, np.uint8))
    canvas = Canvas(image)
    canvas.put(torch.full((1, 3, 2, 2), 200 / 255), 0, 0)
    assert [int(canvas.image(strength).samples[0, 0, 0]) for strength in (0, 0.25, 0.5, 1)] == [100, 125, 150, 200]
    assert canvas.image(0) is image
    with pytest.raises(ValueError, match="share from 0 to 1"):
        canvas.image(1.5)


def test_8_bits_of_16_are_the_nearest():
    image = Image(np.array([[[0], [128], [129], [257], [65535]]], np.uint16))
    assert to_8_bit(image).samples.ravel().tolist() == [0, 0, 1, 1, 255]


def test_grey_for_grey_models_is_full_range_bt601():
    image = Image(np.array([[[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8))
    assert image.bytes(1).flatten().tolist() == [255, 76, 150, 29]  # MATLAB rgb2gray


def test_arrays_and_float_samples_are_taken_in_0_to_1():
    levels = np.array([[0.0, 0.25], [0.5, 1.0]])
    expected = [[0, 16384], [32768, 65535]]
    for kind in (np.float16, np.float32, np.float64):
        assert Image(levels.astype(kind)).samples[..., 0].tolist() == expected
    image = Image(np.dstack([levels] * 3), alpha=levels)
    assert (image.bits, image.alpha.tolist()) == (16, expected)


@pytest.mark.parametrize("format", ["png", "tiff"])
def test_arrays_and_tensors_are_written_as_what_they_show(tmp_path, format):
    levels = torch.tensor([[0.0, 0.2], [0.6, 1.0]])
    path = tmp_path / f"x.{format}"
    for given in (levels.numpy(), levels.numpy()[..., None], levels[None, None], (levels * 255).byte().numpy()):
        write(given, path)
        again = read(path)
        assert np.abs(again.samples[..., 0] / (2**again.bits - 1) - levels.numpy()).max() <= 0.5 / 255


@pytest.mark.parametrize("samples, words", [
    (np.array([[0.0, 200.0]]), "lie in .0, 1., not from 0 to 200"), (np.array([[0.0, -0.1]]), "not from -0.1 to 0"),
    (np.array([[np.nan, 0]]), "lie in"), (np.array([[0, 200]]), "not int64"), (np.array([[True]]), "not bool"),
    (np.array([[1j]]), "not complex128"), ([[0.5]], "not a list"), (torch.rand(2, 2), "not a torch.Tensor"),
    (np.zeros((2, 2, 4), np.uint8), "alpha apart, not .2, 2, 4."), (np.zeros((3, 0), np.uint8), "not .3, 0, 1."),
    (np.zeros(3, np.uint8), "not .3,."),
])  # fmt: skip
def test_other_samples_are_refused_in_a_sentence(samples, words):
    with pytest.raises(ValueError, match=words):
        Image(samples)


@pytest.mark.parametrize(
    "alpha", [np.zeros((2, 3), np.uint8), np.zeros((2, 2), np.uint16), np.zeros((2, 2, 1), np.uint8)]
)
def test_alpha_of_another_size_or_type_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha is"):
        Image(np.zeros((2, 2, 3), np.uint8), alpha)


@pytest.mark.parametrize("tensor", [
    torch.zeros(1, 3, 2, 2, dtype=torch.uint8), torch.ones(1, 2, 2, dtype=torch.int64),
    torch.full((1, 2, 2), 255.0), torch.full((1, 2, 2), torch.nan),
])  # fmt: skip
def test_a_tensor_of_another_scale_is_refused(tensor, tmp_path):
    for make in (from_tensor, lambda given: write(given, tmp_path / "x.png")):
        with pytest.raises(ValueError, match="float tensor in"):
            make(tensor)


def png_header(width: int, height: int) -> bytes:
    """The beginning of a PNG of one bit a pixel, whose pixels do not come."""
    fields = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunk = b"IHDR" + fields
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"\0\0\1\0IDAT"


@pytest.mark.parametrize("width, height", [(1, 250_000), (250_000, 1), (7, 80_000), (1, 40_000_000), (3, 13_000_000)])
def test_a_picture_so_thin_that_it_costs_as_much_as_a_large_one_is_refused_from_its_header(width, height):
    with pytest.raises(ImageError, match=r"takes as long as one of [0-9.]+ megapixels; cut it into pieces"):
        read(png_header(width, height))


@pytest.mark.parametrize("width, height", [(1, 1), (1, 5000), (20_000, 1), (8, 30_000), (31_248, 7), (12, 250_000)])
def test_a_thin_picture_that_costs_little_is_read(width, height):
    samples = np.zeros((height, width, 1), np.uint8)
    assert read(encode(Image(samples))).samples.shape == samples.shape


def test_who_names_a_limit_gets_a_thin_picture_that_costs_as_much(tmp_path, capsys):
    write(Image(np.zeros((250_000, 1, 1), np.uint8)), tmp_path / "thin.png")  # 16 pixels wide for a network
    argv = ["denoise", str(tmp_path / "thin.png"), "-o", str(tmp_path / "out"), "--model", "mean"]
    assert main(argv) == 1
    assert "or use the command line with --limit 4." in capsys.readouterr().err
    assert main([*argv, "--limit", "3.9"]) == 1
    assert main([*argv, "--limit", "4"]) == 0
    assert main([*argv[:2], *argv[1:], "--limit", "4"]) == 0  # of several
    assert read(tmp_path / "out" / "thin_denoised.png", limit=None).samples.shape == (250_000, 1, 1)
