"""Colour modes of files: every one is read as its specification says, or named in a sentence.

PNG is W3C's specification, third edition; TIFF is Adobe's, revision 6.0; CIE 15:2004; IEC 61966-2-1; ITU-R BT.601.
"""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from PIL import ImageCms

from restoration.files import encode, read
from restoration.image import Image, ImageError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # colour types of a PNG


def png(rows: list[list[int]], depth: int, kind: int, **chunks: bytes) -> bytes:
    """A PNG of rows of samples, with further chunks before its data."""
    channels = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}[kind]
    data = b""
    for row in rows:
        bits = "".join(f"{sample:0{depth}b}" for sample in row)
        bits += "0" * (-len(bits) % 8)
        data += b"\0" + bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    header = struct.pack(">IIBBBBB", len(rows[0]) // channels, len(rows), depth, kind, 0, 0, 0)
    every = [(b"IHDR", header), *((name.encode(), value) for name, value in chunks.items())]
    every += [(b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return SIGNATURE + b"".join(
        struct.pack(">I", len(value)) + name + value + struct.pack(">I", zlib.crc32(name + value))
        for name, value in every
    )


def tiff(samples, photometric: str, **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.asarray(samples), photometric=photometric, **options)
    return buffer.getvalue()


SHORT, LONG = 3, 4


def made_tiff(data: bytes, size: tuple[int, int], bits: tuple[int, ...], photometric: int, **more: tuple) -> bytes:
    """A TIFF of one strip, tag by tag, for what tifffile does not write."""
    extra = {"extra": 338, "colormap": 320, "subsampling": 530}
    tags = {256: (LONG, size[:1]), 257: (LONG, size[1:]), 258: (SHORT, bits), 259: (SHORT, (1,)),
            262: (SHORT, (photometric,)), 273: (LONG, (0,)), 277: (SHORT, (len(bits),)),
            278: (LONG, size[1:]), 279: (LONG, (len(data),)),
            **{extra[name]: (SHORT, value) for name, value in more.items()}}  # fmt: skip
    start = 8 + 2 + 12 * len(tags) + 4
    values = b""
    for _ in range(2):  # the strip comes after the values, whose length is known then
        tags[273], entries = (LONG, (start + len(values),)), b""
        values = b""
        for tag, (kind, numbers) in sorted(tags.items()):
            packed = struct.pack(f"<{len(numbers)}{'H' if kind == SHORT else 'I'}", *numbers)
            place = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", start + len(values))
            values += packed if len(packed) > 4 else b""
            entries += struct.pack("<HHI", tag, kind, len(numbers)) + place
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4) + values + data


def saved(picture: Pillow.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


FOUR_COLOURS = b"\xff\0\0\0\xff\0\0\0\xff\x80\x80\x80"
RED, BLUE = [255, 0, 0], [0, 0, 255]
PALETTED = np.zeros((3, 256), np.uint16)
PALETTED[:, 1], PALETTED[:, 2] = (65535, 0, 0), (0, 0, 65535)
CMYK = np.array([[[0, 255, 255, 0], [255, 255, 0, 0]]], np.uint8)  # red and blue

# A name, the file, its samples and its alpha, (None where it has none), at 8 or 16 bits.
MODES = [
    ("1", png([[1, 0]], 1, GREY), [[255], [0]], None),
    ("2 bits", png([[0, 1, 2, 3]], 2, GREY), [[0], [85], [170], [255]], None),
    ("4 bits", png([[0, 1, 15]], 4, GREY), [[0], [17], [255]], None),
    ("L", png([[0, 77]], 8, GREY), [[0], [77]], None),
    ("I;16B, PNG", png([[0, 258]], 16, GREY), [[0], [258]], np.uint16),
    ("LA", png([[9, 200, 8, 0]], 8, GREY_ALPHA), [[9], [8]], [200, 0]),
    ("LA, 16", png([[900, 65535, 800, 1]], 16, GREY_ALPHA), [[900], [800]], [65535, 1]),
    ("RGB, 16", png([[1, 258, 65535]], 16, RGB), [[1, 258, 65535]], np.uint16),
    ("RGBA, 16", png([[1, 258, 65535, 513]], 16, RGBA), [[1, 258, 65535]], [513]),
    ("tRNS at 1 bit", png([[0, 1]], 1, GREY, tRNS=b"\0\1"), [[0], [255]], [255, 0]),
    ("tRNS at 2 bits", png([[0, 1, 2, 3]], 2, GREY, tRNS=b"\0\2"), [[0], [85], [170], [255]], [255, 255, 0, 255]),
    ("tRNS at 4 bits", png([[3, 4]], 4, GREY, tRNS=b"\0\4"), [[51], [68]], [255, 0]),
    ("tRNS, low bits count", png([[3, 4]], 4, GREY, tRNS=b"\xff\xf4"), [[51], [68]], [255, 0]),
    ("tRNS at 8 bits", png([[3, 4]], 8, GREY, tRNS=b"\0\4"), [[3], [4]], [255, 0]),
    ("tRNS at 16 bits", png([[259, 260]], 16, GREY, tRNS=b"\1\4"), [[259], [260]], [65535, 0]),
    ("tRNS, RGB", png([[1, 2, 3, 1, 2, 4]], 8, RGB, tRNS=b"\0\1\0\2\0\4"), [[1, 2, 3], [1, 2, 4]], [255, 0]),
    ("tRNS, RGB 16", png([[1, 2, 3, 1, 2, 259]], 16, RGB, tRNS=b"\0\1\0\2\1\3"), [[1, 2, 3], [1, 2, 259]], [65535, 0]),
    *[
        (f"P, {depth} bits", png([[0, 1]], depth, PALETTE, PLTE=FOUR_COLOURS[:6]), [RED, [0, 255, 0]], None)
        for depth in (1, 2, 4, 8)
    ],
    ("P with tRNS", png([[0, 1, 2]], 2, PALETTE, PLTE=FOUR_COLOURS, tRNS=b"\x80\0"),
     [RED, [0, 255, 0], BLUE], [128, 0, 255]),
    ("P of greys", png([[0, 1]], 1, PALETTE, PLTE=b"\x09\x09\x09\xc8\xc8\xc8"), [[9], [200]], None),
    ("I;16, TIFF", tiff(np.uint16([[0, 258]]), "minisblack"), [[0], [258]], np.uint16),
    ("I;16B, TIFF", tiff(np.uint16([[0, 258]]), "minisblack", byteorder=">"), [[0], [258]], np.uint16),
    ("P, TIFF", tiff(np.uint8([[1, 2]]), "palette", colormap=PALETTED), [RED, BLUE], None),
    ("PA, TIFF", made_tiff(bytes([1, 9, 2, 255]), (2, 1), (8, 8), 3, colormap=tuple(PALETTED.ravel()), extra=(2,)),
     [RED, BLUE], [9, 255]),
    ("La, TIFF", tiff(np.uint8([[[50, 100], [0, 0]]]), "minisblack", extrasamples=["assocalpha"],
                      planarconfig="contig"), [[128], [0]], [100, 0]),  # 50 * 255 / 100, rounded
    ("RGBa, TIFF", tiff(np.uint8([[[50, 0, 100, 100]]]), "rgb", extrasamples=["assocalpha"]), [[128, 0, 255]], [100]),
    ("RGB, planar", tiff(np.uint8([[[1, 2]], [[3, 4]], [[5, 6]]]), "rgb", planarconfig="separate"),
     [[1, 3, 5], [2, 4, 6]], None),
    ("RGB, an extra channel", tiff(np.uint8([[[1, 2, 3, 4]]]), "rgb", extrasamples=["unspecified"]), [[1, 2, 3]], None),
    ("RGB, alpha and another", made_tiff(bytes([1, 2, 3, 4, 5]), (1, 1), (8,) * 5, 2, extra=(0, 2)),
     [[1, 2, 3]], [5]),
    ("F16, TIFF", tiff(np.float16([[0, 0.5, 1]]), "minisblack"), [[0], [32768], [65535]], np.uint16),
    ("F, TIFF", tiff(np.float32([[[0, 0.5, 1]]]), "rgb"), [[0, 32768, 65535]], np.uint16),
    ("F, planar", tiff(np.float32([[[0]], [[0.5]], [[1]]]), "rgb", planarconfig="separate"),
     [[0, 32768, 65535]], np.uint16),
    ("F64, TIFF", tiff(np.float64([[[0, 0.5, 1]]]), "rgb"), [[0, 32768, 65535]], np.uint16),
    ("F, big-endian", tiff(np.float32([[[0, 0.5, 1]]]), "rgb", byteorder=">"), [[0, 32768, 65535]], np.uint16),
    ("I of 16 bits", tiff(np.uint32([[0, 300]]), "minisblack"), [[0], [300]], np.uint16),
    ("uint32", tiff(np.uint32([[[0, 2**31, 2**32 - 1]]]), "rgb"), [[0, 32768, 65535]], np.uint16),
    ("white is zero", tiff(np.uint8([[0, 255]]), "miniswhite"), [[255], [0]], None),
    ("CMYK, TIFF", tiff(CMYK, "separated"), [RED, BLUE], None),
    ("CMYK with alpha", made_tiff(bytes([0, 255, 255, 0, 7, 255, 255, 0, 0, 8]), (2, 1), (8,) * 5, 5, extra=(2,)),
     [RED, BLUE], [7, 8]),
    ("CMYK, 16", tiff(CMYK.astype(np.uint16) * 257, "separated"), [RED, BLUE], None),
    ("YCbCr, TIFF",
     made_tiff(bytes([76, 85, 255, 150, 44, 21, 29, 255, 107]), (3, 1), (8, 8, 8), 6, subsampling=(1, 1)),
     [[254, 0, 0], [0, 255, 1], [0, 0, 254]], None),
    ("Lab, TIFF", tiff(np.uint8([[[255, 0, 0], [0, 0, 0], [128, 0, 0]]]), "cielab"),
     [[255] * 3, [0] * 3, [119] * 3], None),  # L* 50.2 is 18.58% of white, (1.055 * 0.1858 ** (1 / 2.4) - 0.055) * 255
    ("Lab, dark", tiff(np.uint8([[[10, 0, 0], [5, 0, 0]]]), "cielab"),
     [[14] * 3, [7] * 3], None),  # L* / 903.3 is 0.00434 and 0.00217 of white, 12.92 times that under 0.0031
    ("Lab, 16", tiff(np.uint16([[[65535, 0, 0], [0, 0, 0]]]), "cielab"), [[65535] * 3, [0] * 3], np.uint16),
    ("CMYK, JPEG", saved(Pillow.new("CMYK", (1, 1), (0, 255, 255, 0)), "jpeg", quality=100), [[254, 0, 0]], None),
]  # fmt: skip


@pytest.mark.parametrize("content, samples, alpha", [mode[1:] for mode in MODES], ids=[mode[0] for mode in MODES])
def test_every_colour_mode_is_read_as_its_specification_says(content, samples, alpha):
    image = read(content)
    opacity = alpha if isinstance(alpha, list) else None
    assert (image.alpha is not None) == (opacity is not None)
    got = image.samples.reshape(-1, image.channels)
    assert got.shape == np.shape(samples)
    assert image.bits == (16 if alpha is np.uint16 or max(np.max(samples), *(opacity or [0, 0])) > 255 else 8)
    assert np.abs(got.astype(int) - samples).max() <= 1  # of rounding
    if opacity:
        assert image.alpha.ravel().tolist() == opacity


@pytest.mark.parametrize("samples, photometric, words", [
    (np.int16([[-5, 300]]), "minisblack", "signed integers .int16."),
    (np.int8([[-5, 3]]), "minisblack", "signed integers .int8."),
    (np.float32([[0, 200]]), "minisblack", "between 0 and 1, and these go from 0 to 200"),
    (np.float32([[-1, 1]]), "minisblack", "between 0 and 1, and these go from -1 to 1"),
    (np.float32([[0, np.nan]]), "minisblack", "between 0 and 1"),
    (np.float32([[0, np.inf]]), "minisblack", "between 0 and 1"),
    (np.complex64([[0, 1]]), "minisblack", "samples of a type"),
    (np.uint16([[1, 2]]), "cfa", "raw data of a camera"),
])  # fmt: skip
def test_what_cannot_be_read_is_named_in_a_sentence(samples, photometric, words):
    with pytest.raises(ImageError, match=words):
        read(tiff(samples, photometric))


@pytest.mark.parametrize("bits", [2, 4, 6, 10, 12, 14])
def test_packed_bits_reach_the_full_range(bits):
    """TIFF 6.0, section 4: samples of any size, the highest bit first, rows padded to bytes."""
    values, highest = [0, 1, 2**bits // 2, 2**bits - 1], 2**bits - 1
    row = "".join(f"{value:0{bits}b}" for value in values)
    row += "0" * (-len(row) % 8)
    data = bytes(int(row[at : at + 8], 2) for at in range(0, len(row), 8)) * 2
    content = made_tiff(data, (4, 2), (bits,), 1)
    full = 255 if bits <= 8 else 65535
    image = read(content)
    assert image.samples[..., 0].tolist() == [[round(value * full / highest) for value in values]] * 2


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)])
def test_ycbcr_of_any_subsampling_keeps_a_flat_colour(subsampling):
    across, down = subsampling
    unit = bytes([76] * across * down + [85, 255])  # BT.601: red
    data = unit * (-(-6 // across) * -(-4 // down))
    image = read(made_tiff(data, (6, 4), (8, 8, 8), 6, subsampling=subsampling))
    assert np.abs(image.samples.astype(int) - (254, 0, 0)).max() <= 1


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
@pytest.mark.parametrize("width", [8, 9, 7])
def test_compressed_tiffs_of_libtiff_are_read(rng, kind, compression, width):
    """LZW and PackBits as libtiff writes them, through Pillow, on the bytes of samples of any size."""
    samples = rng.integers(0, 4, (9, width)).astype(np.uint8)
    if kind != np.uint8:
        samples = (samples / 4).astype(kind) if kind == np.float32 else samples.astype(kind) * 300
    picture = Pillow.fromarray(samples)
    image = read(saved(picture, "tiff", compression=compression))
    expected = np.rint(samples * 65535) if kind == np.float32 else samples
    np.testing.assert_array_equal(image.samples[..., 0], expected)


def gamma(value: float) -> bytes:
    return struct.pack(">I", round(value * 100_000))


def srgb(light: float, highest: int = 255) -> int:
    """IEC 61966-2-1."""
    return round(highest * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("depth, kind", [(8, GREY), (8, RGB), (16, GREY), (16, RGB), (4, GREY)])
def test_a_png_of_linear_light_becomes_srgb(depth, kind):
    highest, full = 2**depth - 1, 65535 if depth == 16 else 255
    level = highest // 5
    channels = 3 if kind == RGB else 1
    image = read(png([[0, level, highest][:3] if channels == 1 else [level] * 3], depth, kind, gAMA=gamma(1)))
    expected = srgb(level / highest, full)
    assert abs(int(image.samples[0, 1 if channels == 1 else 0, 0]) - expected) <= 1
    assert image.notes == ("Converted to sRGB.",)


@pytest.mark.parametrize("chunks", [
    {}, {"sRGB": b"\0"}, {"gAMA": gamma(1 / 2.2)}, {"sRGB": b"\0", "gAMA": gamma(1)}, {"cICP": bytes([1, 13, 0, 1])},
    {"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)},
])  # fmt: skip
@pytest.mark.parametrize("depth", [8, 16])
def test_what_is_srgb_already_stays_as_it_is(chunks, depth):
    image = read(png([[10, 200, 99]], depth, RGB, **chunks))
    assert (image.samples.ravel().tolist(), image.notes) == ([10, 200, 99], ())


P3 = [12, 13, 0, 1]  # H.273: P3 primaries, sRGB's curve, RGB, full range


@pytest.mark.parametrize("depth", [8, 16])
def test_display_p3_by_cicp_becomes_srgb(depth):
    """The matrix from P3 to sRGB, by the primaries of SMPTE EG 432-1 (as W3C CSS Color 4 prints it)."""
    highest = 2**depth - 1
    stored = [round(highest * level) for level in (0.5, 0.4, 0.3)]
    light = np.where(np.array(stored) / highest <= 0.04045, 0, ((np.array(stored) / highest + 0.055) / 1.055) ** 2.4)
    matrix = [[1.2249402, -0.2249402, 0], [-0.0420570, 1.0420570, 0], [-0.0196376, -0.0786361, 1.0982736]]
    expected = [srgb(value, highest) for value in np.array(matrix) @ light]
    image = read(png([stored], depth, RGB, cICP=bytes(P3)))
    assert np.abs(image.samples.ravel().astype(int) - expected).max() <= (1 if depth == 8 else 8)
    assert image.notes == ("Converted to sRGB.",)


@pytest.mark.parametrize("code, stored, level, words", [
    ([9, 16, 0, 1], 0.58069, 1.0, "clipped"),  # PQ: 203 cd/m2 are at 58%, Report ITU-R BT.2408
    ([9, 18, 0, 1], 0.75, 1.0, "clipped"),  # HLG: the same white at 75%
    ([1, 13, 0, 0], 235 / 255, 1.0, "Converted"),  # narrow range ends at 235
    ([1, 8, 0, 1], 0.2, srgb(0.2) / 255, "Converted"),
    ([2, 2, 0, 1], 0.5, 0.5, "unknown"),
])  # fmt: skip
def test_other_codes_of_colour_are_converted_or_named(code, stored, level, words):
    image = read(png([[round(65535 * stored)] * 3], 16, RGB, cICP=bytes(code)))
    assert np.abs(image.samples / 65535 - level).max() < 0.01
    assert words in image.notes[0]


def p3_profile() -> bytes:
    """Display P3 as a profile of primaries and curves: sRGB's own, with the colorants of P3 under D50 (ICC)."""
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    colorants = {
        b"rXYZ": (0.51512, 0.2412, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.1571, 0.06657, 0.78407),
    }
    for index in range(struct.unpack_from(">I", icc, 128)[0]):
        name, offset, _ = struct.unpack_from(">4sII", icc, 132 + 12 * index)
        if name in colorants:
            struct.pack_into(">3i", icc, offset + 8, *(round(65536 * value) for value in colorants[name]))
    return bytes(icc)


def test_profiles_of_8_and_16_bits_follow_one_rule(rng):
    """littleCMS converts 8 bits; of 16 it has none here, so that its answer for 8 bits tells."""
    stored = (rng.integers(0, 256, (1, 40, 3))).astype(np.uint8)
    chunks = {"iCCP": b"P3\0\0" + zlib.compress(p3_profile())}
    eight = read(png(stored.reshape(1, -1).tolist(), 8, RGB, **chunks))
    wide = read(png((stored.astype(int) * 257).reshape(1, -1).tolist(), 16, RGB, **chunks))
    assert np.abs(wide.samples / 257 - eight.samples).max() <= 1.5
    assert np.abs(eight.samples.astype(int) - stored).max() > 10
    assert eight.notes == wide.notes == ("Converted to sRGB.",)
    assert eight.icc == wide.icc and ImageCms.ImageCmsProfile(io.BytesIO(wide.icc)).profile.xcolor_space == "RGB "


def test_what_was_converted_has_the_same_bytes_at_any_time(monkeypatch):
    """The library puts the time of day into a profile."""
    made = ImageCms.ImageCmsProfile.tobytes
    bytes_of = {}
    for second in (1, 2):
        later = struct.pack(">6H", 2026, 1, 2, 3, 4, second)
        monkeypatch.setattr(
            ImageCms.ImageCmsProfile, "tobytes", lambda self, t=later: (b := made(self))[:24] + t + b[36:]
        )
        chunks = {"iCCP": b"P3\0\0" + zlib.compress(p3_profile())}
        bytes_of[second] = encode(read(png([[9, 200, 30]], 8, RGB, **chunks)))
    assert bytes_of[1] == bytes_of[2]


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("profile", ["srgb", "p3"])
def test_no_grey_file_holds_an_rgb_profile(depth, profile):
    icc = p3_profile() if profile == "p3" else ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = read(png([[10, 200]], depth, GREY, iCCP=b"x\0\0" + zlib.compress(icc)))
    assert np.abs(image.samples.ravel().astype(int) - [10, 200]).max() <= 1  # greys are the same in both
    for format in ("png", "tiff", "jpeg"):
        assert "icc_profile" not in Pillow.open(io.BytesIO(encode(image, format))).info
    grey = Image(np.zeros((2, 2, 1), np.uint8), icc=icc)  # also of a result that a method made grey
    assert "icc_profile" not in Pillow.open(io.BytesIO(encode(grey, "png"))).info


# Damage --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("name", ["tEXt", "gAMA", "iCCP", "eXIf"])
def test_a_damaged_chunk_beside_the_picture_takes_nothing_from_it(depth, name):
    content = png([[10, 20, 30]], depth, RGB, **{name: b"Title\0text" if name == "tEXt" else gamma(1)})
    place = content.index(name.encode()) + 5
    image = read(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    assert image.samples.ravel().tolist() == [10, 20, 30]
    assert image.notes == ("A damaged part beside the picture was left out.",)
    assert image.texts == ()


@pytest.mark.parametrize("stored", [1, 5000, 2_000_000, 2**31 - 1])
def test_a_gamma_that_no_picture_has_is_ignored_and_said(stored):
    image = read(png([[10, 100, 200]], 8, RGB, gAMA=struct.pack(">I", stored)))
    assert image.samples.ravel().tolist() == [10, 100, 200]
    assert image.notes == ("Its damaged gamma was ignored.",)


@pytest.mark.parametrize("end", ["<", ">"])
@pytest.mark.parametrize("tag", [258, 339])
def test_a_tiff_whose_tag_lies_outside_of_it_is_not_read_as_another_picture(end, tag):
    content = bytearray(tiff(np.full((4, 4, 3), 0.5, np.float32), "rgb", byteorder=end))
    entry = content.index(struct.pack(f"{end}HHI", tag, SHORT, 3))
    struct.pack_into(f"{end}I", content, entry + 8, 2**31)
    with pytest.raises(ImageError, match="damaged"):
        read(bytes(content), "scan.tif")
