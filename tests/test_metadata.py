"""What files tell beside their pixels survives, and what reading lost is said."""

import io
import json
import struct
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, IptcImagePlugin
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from restoration import metadata
from restoration.__main__ import main
from restoration.files import check_holds, embedded_receipt, encode, read, write
from restoration.image import Image, ImageError
from restoration.orders import Order
from restoration.running import finish

FORMATS = ("jpeg", "png", "webp", "tiff")
TEXT = "Zoë Ærøskøbing, 写真"
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="Zoë"/></rdf:RDF></x:xmpmeta>'
).encode()


def exif(order: str = "<", camera: dict | None = None, **texts: bytes) -> bytes:
    """An EXIF block tag by tag, with texts as the bytes that they are."""
    main = {int(ExifTags.Base[name]): metadata.Tag(2, len(text), text) for name, text in texts.items()}
    return metadata.Exif(order, main, camera or {}).block()


def saved(format: str, size=(20, 10), mode="RGB", **options) -> bytes:
    buffer = io.BytesIO()
    lossless = {"webp": {"lossless": True}}.get(format, {})
    Pillow.effect_noise(size, 60).convert(mode).save(buffer, format, **lossless, **options)
    return buffer.getvalue()


def opened(content: bytes) -> Pillow.Image:
    return Pillow.open(io.BytesIO(content))


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize("source", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("encoding, order", [("utf-8", "<"), ("utf-8", ">"), ("latin-1", "<")])
def test_exif_texts_keep_their_bytes(source, written, encoding, order):
    text = TEXT.encode(encoding, "ignore") + b"\0"
    block = exif(order, Artist=text, Copyright=text, ImageDescription=text)
    content = encode(read(saved(source, exif=block)), written)
    assert content.count(text) >= 3
    again = opened(content).getexif()
    for name in ("Artist", "Copyright", "ImageDescription"):
        assert again[ExifTags.Base[name]].encode("latin-1") == text.rstrip(b"\0")  # as Pillow decodes any


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_dimensions_follow_the_result(written, order):
    sides = {
        40962: metadata.Tag(3, 1, struct.pack(f"{order}H", 20)),
        40963: metadata.Tag(3, 1, struct.pack(f"{order}H", 10)),
    }
    image = read(saved("jpeg", exif=exif(order, camera=sides, Make=b"Maker\0")))
    large = finish(Order("upscale", "bicubic", {"scale": 4}).run(image)).picture
    camera = opened(encode(large, written)).getexif().get_ifd(ExifTags.IFD.Exif)
    assert (camera[40962], camera[40963]) == (80, 40)
    without = replace(image, exif=exif(Make=b"Maker\0"))
    assert not opened(encode(without, written)).getexif().get_ifd(ExifTags.IFD.Exif)


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_xmp_is_kept_where_all_is_wanted_and_holds_one_receipt(source, written):
    if source == "png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        content = saved("png", pnginfo=info)
    else:
        content = saved(source, **({"tiffinfo": {700: XMP}} if source == "tiff" else {"xmp": XMP}))
    image = replace(read(content), receipt='{"first": 1}')
    again = replace(read(encode(image, written, metadata="all")), receipt='{"second": "é"}')
    final = encode(again, written, metadata="all")
    packet = read(final).xmp.decode()
    assert 'dc:source="Zoë"' in packet
    assert "first" not in packet
    assert json.loads(_receipt(final)) == {"second": "é"}
    assert "Zoë" not in (read(encode(image, written)).xmp or b"").decode()
    assert read(encode(image, written, metadata="none")).xmp is None


def _receipt(content: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "file").write_bytes(content)
        return embedded_receipt(Path(folder) / "file")


def test_texts_of_a_png_and_comments_of_a_jpeg_are_kept_where_all_is_wanted():
    info = PngInfo()
    info.add_text("Title", "A boat", zip=True)
    info.add_itxt("Author", TEXT)
    image = read(saved("png", pnginfo=info))
    again = opened(encode(image, "png", metadata="all"))
    assert again.text == {"Title": "A boat", "Author": TEXT}
    wide = replace(image, samples=image.samples.astype(np.uint16) * 257)
    assert read(encode(wide, "png", metadata="all")).texts == image.texts
    assert opened(encode(image, "png")).text == {}
    assert opened(encode(image, "jpeg", metadata="all")).info["comment"].decode() == f"Title: A boat\nAuthor: {TEXT}"
    commented = read(saved("jpeg", comment=TEXT.encode()))
    assert opened(encode(commented, "jpeg", metadata="all")).info["comment"].decode() == TEXT
    assert opened(encode(commented, "png", metadata="all")).text == {"Comment": TEXT}
    assert "comment" not in opened(encode(commented, "jpeg")).info


def iptc_of(content: bytes) -> dict | None:
    """The records of IPTC, as Pillow reads them."""
    return IptcImagePlugin.getiptcinfo(opened(content))


@pytest.mark.parametrize("written", ["jpeg", "tiff", "png"])
@pytest.mark.parametrize("source", ["jpeg", "tiff", "photoshop tiff", "png"])
@pytest.mark.parametrize("caption", [TEXT.encode(), b"odd", b"even"])
def test_iptc_is_kept_where_all_is_wanted(source, written, caption):
    records = b"\x1c\x02\x78" + struct.pack(">H", len(caption)) + caption + b"\x1c\x02\x50\0\2Me"
    resources = b"8BIM\x03\xed\0\0\0\0\0\2ab" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records
    if source == "jpeg":
        segment = b"Photoshop 3.0\0" + resources + b"\0" * (len(records) % 2)
        content = saved("jpeg", extra=b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment)
    elif source == "png":
        info = PngInfo()
        info.add_text("Raw profile type iptc", f"\niptc\n{len(resources):8}\n{resources.hex()}\n")
        content = saved("png", pnginfo=info)
    else:
        content = saved("tiff", tiffinfo={33723: records} if source == "tiff" else {34377: resources})
    image = read(content)
    assert image.iptc == records
    kept = encode(image, written, metadata="all")
    if written == "png":  # as ImageMagick and ExifTool do
        text = opened(kept).text["Raw profile type iptc"].split("\n")
        assert text[1] == "iptc" and bytes.fromhex("".join(text[3:])).endswith(records + b"\0" * (len(records) % 2))
    else:
        assert iptc_of(kept) == {(2, 120): caption, (2, 80): b"Me"}
    assert read(kept).iptc == records
    assert read(encode(image, written)).iptc is None


def test_dimensions_in_xmp_follow_the_result():
    facts = """xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:PixelXDimension="20" exif:PixelYDimension='10'
        xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
        xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" """
    elements = "><tiff:ImageWidth>20</tiff:ImageWidth><tiff:ImageLength>10</tiff:ImageLength></rdf:Description>"
    packet = XMP.decode().replace('dc:source="', facts + 'dc:source="').replace("/></rdf:RDF>", elements + "</rdf:RDF>")
    image = read(saved("jpeg", xmp=packet.encode()))
    large = finish(Order("upscale", "bicubic", {"scale": 4}).run(image)).picture
    again = read(encode(large, "png", metadata="all")).xmp.decode()
    for told in ('PixelXDimension="80"', "PixelYDimension='40'", "Width>80<", "Length>40<"):
        assert told in again
    assert "hdrgm:Version=" not in again  # the result has no version for HDR displays


@pytest.mark.parametrize("written", FORMATS)
def test_all_tags_on_the_picture_are_kept_and_none_on_the_file(written):
    main = {
        18246: metadata.Tag(3, 1, struct.pack("<H", 5)),  # rating
        269: metadata.Tag(2, 4, b"doc\0"),
        316: metadata.Tag(2, 5, b"host\0"),
        259: metadata.Tag(3, 1, struct.pack("<H", 6)),  # compression of a thumbnail
        513: metadata.Tag(4, 1, struct.pack("<I", 9)),
    }
    image = read(saved("jpeg", exif=metadata.Exif("<", main).block()))
    kept = opened(encode(image, written, metadata="all")).getexif()
    assert (kept[18246], kept[269], kept[316]) == (5, "doc", "host")
    assert 513 not in kept and kept.get(259) != 6
    assert not {18246, 269, 316} & set(opened(encode(image, written)).getexif())


@pytest.mark.parametrize("written", ["webp", "tiff"])
def test_texts_become_the_description_where_there_are_none(written):
    image = replace(read(saved("png")), texts=(("Title", "A boat"), ("Author", TEXT)))
    text = f"Title: A boat\nAuthor: {TEXT}".encode()
    for given, kept in ((image, text), (replace(image, exif=exif(ImageDescription=b"mine\0")), b"mine")):
        content = encode(given, written, metadata="all")
        assert opened(content).getexif()[270].encode("latin-1") == kept


def test_several_comments_of_a_jpeg_are_kept():
    content = saved("jpeg")
    comments = b"".join(b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text for text in (b"one", b"two"))
    assert read(content[:2] + comments + content[2:]).texts == (("Comment", "one\ntwo"),)


@pytest.mark.parametrize("facts, format, kept, words", [
    ({"samples": np.zeros((2, 2, 3), np.uint16)}, "jpeg", "private", "Rounded to 8 bits a sample: JPEG holds no more."),
    ({"samples": np.zeros((2, 2, 3), np.uint16)}, "webp", "none", "Rounded to 8 bits a sample: WebP holds no more."),
    ({"samples": np.zeros((2, 2, 3), np.uint16)}, "tiff", "private", ""),
    ({"iptc": b"\x1c\2\x50\0\2Me"}, "webp", "all", "Its IPTC was left out: WebP has no place for it."),
    ({"iptc": b"\x1c\2\x50\0\2Me"}, "webp", "private", ""),
    ({"texts": (("a", "b"),), "exif": exif(ImageDescription=b"c\0")}, "tiff", "all", "Its texts were left out: TIFF"),
    ({"texts": (("a", "b"),)}, "webp", "all", ""),
    ({"xmp": XMP.decode().encode("utf-16")}, "png", "all", "Its damaged XMP was left out."),
])  # fmt: skip
def test_what_a_format_has_no_place_for_is_said_everywhere(facts, format, kept, words, tmp_path, capsys):
    image = replace(Image(np.zeros((2, 2, 3), np.uint8)), **facts)
    done = finish(Order("denoise", "mean").run(image))
    told = done.told(format, kept)
    assert told == done.summary if not words else told.startswith(f"{done.summary}. {words}")
    assert "".join(json.loads(done.files(format, metadata=kept)[1])["file"].get("left_out", [])).startswith(words)
    if facts.keys() == {"samples"}:
        write(image, tmp_path / "a.png")
        out = tmp_path / "out"
        argv, file = ["denoise", "--model", "mean", "--metadata", kept, "--format", format], str(tmp_path / "a.png")
        assert main([*argv, file, "-o", str(tmp_path / f"b.{format}")]) == 0
        assert main([*argv, file, file, "-o", str(out)]) == 0
        assert capsys.readouterr().out.count(words or "(mean") == 3
        assert (words or "mean") in (out / "report.csv").read_text()


def test_a_grey_profile_is_applied_where_webp_has_no_grey():
    """A profile of a curve alone, with the exponent 1: levels become those of sRGB with as much light."""
    curve = b"curv\0\0\0\0" + struct.pack(">I", 0)
    xyz = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    text = b"desc\0\0\0\0\0\0\0\2g\0" + bytes(77)
    tags, data, table = [(b"desc", text), (b"wtpt", xyz), (b"kTRC", curve)], b"", b""
    for name, value in tags:
        table += name + struct.pack(">II", 128 + 4 + 36 + len(data), len(value))
        data += value + b"\0" * (-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", 0, b"none", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head = head.ljust(36, b"\0") + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    icc = head.ljust(128, b"\0") + struct.pack(">I", 3) + table + data
    icc = struct.pack(">I", len(icc)) + icc[4:]
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    image = read(encode(Image(levels, icc=icc), "png"))
    assert image.icc == icc
    light = levels[..., 0] / 255
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    for alpha in (None, levels[..., 0]):
        written = read(encode(replace(image, alpha=alpha), "webp"))
        assert np.abs(written.samples - expected[..., None]).max() <= 1.5
        assert (written.alpha is None) == (alpha is None)


def test_damaged_exif_is_left_out_and_said():
    block = exif(Artist=b"someone\0", Make=b"a maker of cameras\0")
    image = read(saved("jpeg", exif=block[:-8]))  # the last value lies outside
    assert image.notes == ("Some of its EXIF is damaged and was ignored.",)
    assert dict(opened(encode(image, "jpeg")).getexif()) == {ExifTags.Base.Make: "a maker of cameras"}


@pytest.mark.parametrize("orientation", [3, 6])
def test_an_orientation_in_xmp_counts_where_exif_tells_none(orientation):
    packet = XMP.replace(
        b'dc:source="',
        f'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{orientation}" dc:source="'.encode(),
    )
    image = read(saved("jpeg", xmp=packet))
    assert (image.width, image.height) == ((10, 20) if orientation == 6 else (20, 10))
    assert read(encode(image, "png", metadata="all")).notes == ()  # it is upright by now


# What is said --------------------------------------------------------------------------------------------------------


def several(format: str, **options) -> bytes:
    frames = [Pillow.new("RGB", (16, 16), colour) for colour in ("red", "blue", "green")]
    buffer = io.BytesIO()
    frames[0].save(buffer, format, save_all=True, append_images=frames[1:], **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format, words", [
    ("gif", "first frame"), ("png", "first frame"), ("webp", "first frame"),
    ("tiff", "first page"), ("mpo", "first of its"),
])  # fmt: skip
def test_what_reading_lost_is_in_summary_and_receipt(format, words):
    image = read(several(format, **({"lossless": True} if format == "webp" else {})))
    assert np.abs(image.samples[0, 0].astype(int) - (255, 0, 0)).max() <= 2
    result = finish(Order("denoise", "mean").run(image))
    assert words in result.summary
    assert words in result.receipt["reading"][0]
    assert words in json.loads(result.files()[1])["reading"][0]


@pytest.mark.parametrize("format", ["gif", "png", "tiff"])
def test_a_damaged_later_frame_takes_nothing_from_the_first(format):
    whole = several(format)
    place = {"gif": whole.rfind(b"!\xf9"), "png": whole.find(b"fdAT"), "tiff": len(whole) * 2 // 3}[format]
    image = read(whole[: place + 6] + b"\xff" * (len(whole) - place - 6))
    assert tuple(image.samples[0, 0]) == (255, 0, 0)
    assert len(image.notes) == 1


def test_a_tiff_of_many_pages_costs_what_its_first_page_costs(monkeypatch):
    """Every page but the first is a hole: whoever looks at one fails."""
    from restoration import tiff

    pages = 3000
    page = 8 + 2 + 9 * 12 + 4
    tags = [(256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 4), (277, 1), (278, 1), (279, 1)]
    content = b"II*\0" + struct.pack("<I", 8)
    for index in range(pages):
        follows = 8 + (index + 1) * (page - 8) if index + 1 < pages else 0
        content += struct.pack("<H", 9) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        content += struct.pack("<I", follows)
    seen = []
    original = tiff.TiffPage.__init__
    monkeypatch.setattr(
        tiff.TiffPage, "__init__", lambda self, *given, **named: (seen.append(1), original(self, *given, **named))[1]
    )
    assert read(content).notes == ("Only the first page is used.",)
    assert len(seen) == 1


def cut(content: bytes, share: float) -> bytes:
    return content[: int(len(content) * share)]


@pytest.mark.parametrize("progressive, end", [
    *((kind, end) for kind in (False, True) for end in ("none", "a third missing", "half an end")),
    (True, "in a table"),
])  # fmt: skip
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_cut_jpeg_opens_as_far_as_it_goes(progressive, mode, end):
    """The reference is libjpeg itself, which decodes the whole file."""
    whole = saved("jpeg", (96, 96), mode, quality=90, progressive=progressive)
    assert whole.endswith(b"\xff\xd9")
    content = {"none": whole[:-2], "a third missing": cut(whole, 2 / 3), "half an end": whole[:-1],
               "in a table": whole[: whole.rfind(b"\xff\xda") + 5]}[end]  # fmt: skip
    image, original = read(content), read(whole)
    assert original.notes == (() if mode != "CMYK" else ("Converted to sRGB.",))
    assert "This JPEG is cut short and was read as far as it goes." in image.notes
    assert image.samples.shape == original.samples.shape
    top = 96 if end in ("none", "half an end") else 40
    if not progressive or top == 96:
        np.testing.assert_array_equal(image.samples[:top], original.samples[:top])
    else:  # its first scans show all of it, coarsely
        assert np.abs(image.samples.astype(float) - original.samples).mean() < 40


def test_what_follows_the_end_of_a_jpeg_does_not_matter():
    assert read(saved("jpeg") + b"trailing").notes == ()


# What is known before ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format, size, scale, words", [
    ("webp", (16384, 1), 1, "16,383"), ("webp", (4096, 1), 4, "16,383"), ("webp", (1, 16383), 1, None),
    ("jpeg", (65501, 1), 1, "65,500"), ("jpeg", (1, 16376), 4, "65,500"), ("jpeg", (65500, 1), 1, None),
    ("png", (65536, 1), 4, None), ("tiff", (65536, 1), 4, None),
])  # fmt: skip
def test_a_side_that_is_too_long_for_a_format_is_known_before_the_run(format, size, scale, words):
    image = Image(np.zeros((size[1], size[0], 1), np.uint8))
    if words is None:
        check_holds(format, image, scale=scale)
        if scale == 1:
            assert read(encode(image, format), limit=None).samples.shape[:2] == image.samples.shape[:2]
        return
    with pytest.raises(ImageError, match=words):
        check_holds(format, image, scale=scale)


@pytest.mark.parametrize("quality", [0, 101, -1])
def test_a_quality_that_there_is_not_is_refused(quality):
    with pytest.raises(ImageError, match="from 1 to 100"):
        check_holds("jpeg", Image(np.zeros((2, 2, 1), np.uint8)), quality)


def test_exif_and_xmp_too_large_for_a_jpeg_are_known_before_the_run():
    note = {37500: metadata.Tag(7, 70_000, bytes(70_000))}
    image = Image(np.zeros((2, 2, 3), np.uint8), exif=exif(camera=note))
    check_holds("jpeg", image)  # without its notes it fits
    for format in ("png", "webp", "tiff"):
        assert bytes(70_000) in encode(image, format, metadata="all")
    with pytest.raises(ImageError, match="EXIF of this picture is too large for a JPEG"):
        check_holds("jpeg", image, metadata="all")
    with pytest.raises(ImageError, match="XMP of this picture is too large for a JPEG"):
        check_holds("jpeg", replace(image, exif=None, xmp=XMP.ljust(70_000)), metadata="all")
    with pytest.raises(ImageError, match="IPTC of this picture is too large for a JPEG"):
        check_holds("jpeg", replace(image, exif=None, iptc=bytes(70_000)), metadata="all")
    with pytest.raises(ImageError, match="text of this picture is too large for a JPEG"):
        check_holds("jpeg", replace(image, exif=None, texts=(("Comment", "é" * 33_000),)), metadata="all")


@pytest.mark.parametrize("bits", [8, 16])
def test_opaque_alpha_is_no_transparency(bits):
    kind = np.uint8 if bits == 8 else np.uint16
    alpha = np.full((4, 5), 2**bits - 1, kind)
    image = Image(np.full((4, 5, 3), 99, kind), alpha)
    assert read(encode(image, "jpeg")).alpha is None
    alpha[0, 0] -= 1
    with pytest.raises(ImageError, match="transparency"):
        encode(image, "jpeg")


def test_a_chunk_of_a_png_that_came_is_not_written_twice():
    content = encode(replace(read(saved("png", dpi=(300, 300))), receipt="{}"), "png", metadata="all")
    again = encode(replace(read(content), receipt="{}"), "png", metadata="all")
    assert again == content


@pytest.mark.parametrize("unit, sides, dpi", [
    (2, (300, 150), (300.0, 150.0)), (2, (72.5, 300.5), (72.5, 300.5)),
    (3, (100, 50), (254.0, 127.0)), (1, (300, 150), None),
])  # fmt: skip
def test_the_density_of_a_tiff_is_told_in_inches_whatever_it_counts_in(unit, sides, dpi):
    assert read(saved("tiff", resolution_unit=unit, x_resolution=sides[0], y_resolution=sides[1])).dpi == dpi
