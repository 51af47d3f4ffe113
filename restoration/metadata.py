"""What image files tell beside their pixels: EXIF, IPTC, XMP, texts and pixels per inch.

EXIF is read and written tag by tag as the bytes that it is (CIPA DC-008, "Exif", version 3.0; Adobe, "TIFF", revision
6.0), so that a text of any encoding stays what it was.
"""

import html
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from PIL import ExifTags

Metadata = Literal["private", "all", "none"]
RECEIPT = "restoration"
Texts = tuple[tuple[str, str], ...]

ASCII, SHORT, LONG, UNDEFINED, UTF8 = 2, 3, 4, 7, 129
_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
    UTF8: 1,
}
_CAMERA, _PLACE = int(ExifTags.IFD.Exif), int(ExifTags.IFD.GPSInfo)
_DESCRIPTIVE = {
    int(ExifTags.Base[name])
    for name in (
        *("ImageDescription", "Make", "Model", "Software", "DateTime", "Artist", "Copyright"),
        *("XPTitle", "XPComment", "XPAuthor", "XPKeywords", "XPSubject"),
    )
}
_FURTHER = {  # where all is wanted: no more, as other tags tell of the file that they were in
    int(ExifTags.Base[name])
    for name in (
        *("ProcessingSoftware", "DocumentName", "PageName", "HostComputer", "Rating", "RatingPercent"),
        *("TimeZoneOffset", "ImageNumber", "SecurityClassification", "ImageHistory"),
    )
}
_TEXTS = (1, ASCII, UTF8)  # kinds of their tags
_OWNER = {int(ExifTags.Base[name]) for name in ("MakerNote", "BodySerialNumber", "LensSerialNumber", "CameraOwnerName")}
_DESCRIPTION = int(ExifTags.Base.ImageDescription)
_WIDTH, _HEIGHT = int(ExifTags.Base.ExifImageWidth), int(ExifTags.Base.ExifImageHeight)


@dataclass(frozen=True)
class Tag:
    """A value of EXIF: its type by number, how many there are, and their bytes."""

    kind: int
    count: int
    data: bytes


Directory = dict[int, Tag]


@dataclass(frozen=True)
class Exif:
    """The tags of a file.

    Args:
        order: of bytes, "<" or ">".
        main, camera, place: the tags of the first directory, of the one on the camera, and of the one on the place.
        damaged: whether some could not be read.
    """

    order: str = "<"
    main: Directory = field(default_factory=dict)
    camera: Directory = field(default_factory=dict)
    place: Directory = field(default_factory=dict)
    damaged: bool = False

    @property
    def orientation(self) -> int | None:
        """1 to 8; 1 is upright; None where it is not told."""
        tag = self.main.get(int(ExifTags.Base.Orientation))
        value = struct.unpack_from(f"{self.order}H", tag.data)[0] if tag and tag.kind == SHORT and tag.count else 0
        return value if value in range(1, 9) else None

    @classmethod
    def read(cls, content: bytes) -> "Exif":
        """That of an EXIF block, or of a TIFF.

        Raises:
            ValueError: it is neither.
        """
        content = content.removeprefix(b"Exif\0\0")
        order = {b"II": "<", b"MM": ">"}.get(content[:2])
        if order is None or len(content) < 8:
            raise ValueError("no EXIF")
        big = struct.unpack_from(f"{order}H", content, 2)[0] == 43  # BigTIFF
        reader = _Reader(content, order, big)
        start = struct.unpack_from(f"{order}{'Q' if big else 'I'}", content, 8 if big else 4)
        main = reader.directory(start[0])
        camera, place = (reader.inner(main, pointer) for pointer in (_CAMERA, _PLACE))
        return cls(order, main, camera, place, reader.damaged)

    def to_write(self, metadata: Metadata, size: tuple[int, int] | None = None) -> "Exif":
        """What goes into a result: upright, without a thumbnail, and private unless all of it is wanted.

        Args:
            size: the result's width and height, which it tells where it tells any.
        """
        if metadata == "none":
            return Exif(self.order)
        main = {name: tag for name, tag in self.main.items() if name in _DESCRIPTIVE and tag.kind in _TEXTS}
        if metadata == "all":
            main |= {name: tag for name, tag in self.main.items() if name in _FURTHER}
        camera = {name: tag for name, tag in self.camera.items() if name != ExifTags.IFD.Interop}
        if metadata == "private":
            camera = {name: tag for name, tag in camera.items() if name not in _OWNER}
        for name, side in zip((_WIDTH, _HEIGHT), size or (), strict=bool(size)):
            if name in camera:
                camera[name] = Tag(LONG, 1, struct.pack(f"{self.order}I", side))
        return replace(self, main=main, camera=camera, place=self.place if metadata == "all" else {})

    @property
    def described(self) -> bool:
        """Whether it says in words what the picture is."""
        return _DESCRIPTION in self.main

    def with_texts(self, texts: Texts) -> "Exif":
        """It with texts for a description, where it has none."""
        if not texts or self.described:
            return self
        text = as_comment(texts) + b"\0"
        return replace(self, main={**self.main, _DESCRIPTION: Tag(ASCII, len(text), text)})

    def block(self) -> bytes:
        """It as a block, which starts as in a JPEG; empty without a tag."""
        if not (self.main or self.camera or self.place):
            return b""
        mark = {"<": b"II", ">": b"MM"}[self.order]
        return b"Exif\0\0" + mark + struct.pack(f"{self.order}HI", 42, 8) + self.directories()

    def directories(self, start: int = 8) -> bytes:
        """Its directories, the first of which begins at `start` in the file."""
        inner = {_CAMERA: self.camera, _PLACE: self.place}
        inner = {pointer: tags for pointer, tags in inner.items() if tags}
        ends = start + len(_written({**self.main, **dict.fromkeys(inner, Tag(LONG, 1, bytes(4)))}, self.order, start))
        main, after = dict(self.main), b""
        for pointer, tags in inner.items():
            main[pointer] = Tag(LONG, 1, struct.pack(f"{self.order}I", ends + len(after)))
            after += _written(tags, self.order, ends + len(after))
        return _written(main, self.order, start) + after


class _Reader:
    """Reads directories of a TIFF or EXIF block; what lies outside of it is damaged, and left out."""

    def __init__(self, content: bytes, order: str, big: bool):
        self.content, self.order, self.big, self.damaged = content, order, big, False

    def inner(self, outer: Directory, pointer: int) -> Directory:
        tag = outer.pop(pointer, None)
        if tag is None or tag.kind not in (LONG, 13, 16, 18) or tag.count != 1:
            return {}
        return self.directory(struct.unpack(f"{self.order}{'I' if len(tag.data) == 4 else 'Q'}", tag.data)[0])

    def directory(self, at: int) -> Directory:
        count, entry, inline = ("Q", "HHQ", 8) if self.big else ("H", "HHI", 4)
        tags: Directory = {}
        try:
            number = struct.unpack_from(self.order + count, self.content, at)[0]
            at += struct.calcsize(self.order + count)
            for _ in range(min(number, 4096)):
                name, kind, many = struct.unpack_from(self.order + entry, self.content, at)
                at += struct.calcsize(self.order + entry)
                length, where = _SIZES.get(kind, 0) * many, at
                if length > inline:
                    where = struct.unpack_from(f"{self.order}{'Q' if self.big else 'I'}", self.content, at)[0]
                at += inline
                data = self.content[where : where + length]
                if length and len(data) == length:
                    tags.setdefault(name, Tag(kind, many, data))
                elif length or kind not in _SIZES:
                    self.damaged = True
        except struct.error:
            self.damaged = True
        return tags


def _written(tags: Mapping[int, Tag], order: str, start: int) -> bytes:
    """A directory that begins at `start` in the file, with its values after it."""
    entries, values = b"", b""
    begin = start + 2 + 12 * len(tags) + 4
    for name, tag in sorted(tags.items()):
        if len(tag.data) <= 4:
            place = tag.data.ljust(4, b"\0")
        else:
            place = struct.pack(f"{order}I", begin + len(values))
            values += tag.data + b"\0" * (len(tag.data) % 2)
        entries += struct.pack(f"{order}HHI", name, tag.kind, tag.count) + place
    return struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + values


def density(value: object) -> tuple[float, float] | None:
    """Pixels per inch, across and down, as a file tells them; None where it does not, or nonsense."""
    try:
        # PNG counts whole pixels a metre; a tenth of a pixel an inch gives 300 back where 299.9994 was read.
        across, down = (round(float(side), 1) for side in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if all(math.isfinite(side) and 1 <= side <= 100_000 for side in (across, down)) else None


# XMP (ISO 16684-1) ---------------------------------------------------------------------------------------------------

_ORIENTATION = re.compile(r"""(\btiff:Orientation(?:\s*=\s*["']|>))\s*([1-8])""")
_SIDES = tuple(
    re.compile(rf"""(\b(?:exif:Pixel{axis}Dimension|tiff:Image{side})(?:\s*=\s*["']|>))\s*\d+""")
    for axis, side in (("X", "Width"), ("Y", "Length"))
)
_BRIGHTER = re.compile(r"""\s+hdrgm:\w+\s*=\s*("[^"]*"|'[^']*')""")  # of a gain map, which results do not have
_OWN = re.compile(rf'<rdf:Description[^>]*? {RECEIPT}:receipt="[^"]*"/>')


def xmp_fits(packet: bytes | None) -> bool:
    """Whether there is no packet, or one that can be written again."""
    try:
        return not packet or "</rdf:RDF>" in packet.decode("utf-8")
    except UnicodeDecodeError:
        return False


def xmp_to_write(packet: bytes | None, receipt: str | None, metadata: Metadata, size: tuple[int, int]) -> bytes | None:
    """The packet of a result: that of the picture if all is wanted, and its own receipt.

    Args:
        size: the result's width and height, which it tells where it tells any.
    """
    own = (
        ""
        if receipt is None
        else (
            f'<rdf:Description rdf:about="" xmlns:{RECEIPT}="urn:{RECEIPT}:1" '
            f'{RECEIPT}:receipt="{html.escape(receipt)}"/>'
        )
    )
    if metadata == "all" and packet and xmp_fits(packet):
        text = _BRIGHTER.sub("", _ORIENTATION.sub(r"\g<1>1", _OWN.sub("", packet.decode("utf-8"))))
        for pattern, side in zip(_SIDES, size, strict=True):
            text = pattern.sub(rf"\g<1>{side}", text)
        before, end, after = text.rpartition("</rdf:RDF>")
        return (before + own + end + after).encode()
    if receipt is None:
        return None
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{own}</rdf:RDF></x:xmpmeta>'
        '<?xpacket end="w"?>'
    ).encode()


def orientation_in(packet: bytes | str | None) -> int | None:
    """1 to 8, as a packet tells it; None where it does not."""
    found = _ORIENTATION.search(decoded(packet) if isinstance(packet, bytes) else packet or "")
    return int(found[2]) if found else None


def receipt_in(packet: bytes | str | None) -> str | None:
    """The receipt in a packet; None without one."""
    if isinstance(packet, str):
        packet = packet.encode()
    found = re.search(rf'{RECEIPT}:receipt="([^"]*)"', (packet or b"").decode("utf-8", "replace"))
    return html.unescape(found[1]) if found else None


# IPTC (IIM 4.2), in JPEGs as a resource of Photoshop's -------------------------------------------------------------

IPTC_TAG, PHOTOSHOP_TAG = 33723, 34377  # of a TIFF: the records, and resources among which they may be
IPTC_RESOURCE = 0x0404
PHOTOSHOP = b"Photoshop 3.0\0"  # starts a segment of a JPEG


def iptc_resource(records: bytes) -> bytes:
    """Records of IPTC as a resource of Photoshop's."""
    padding = b"\0" * (len(records) % 2)
    return b"8BIM" + struct.pack(">HHI", IPTC_RESOURCE, 0, len(records)) + records + padding


def iptc_in_resources(content: bytes) -> bytes | None:
    """The records of IPTC among resources of Photoshop's; None without."""
    at = 0
    while content[at : at + 4] == b"8BIM" and at + 12 <= len(content):
        kind, name = struct.unpack_from(">HB", content, at + 4)
        at += 6 + (name // 2 + 1) * 2  # its length byte and it, made even
        length = int.from_bytes(content[at : at + 4], "big")
        if kind == IPTC_RESOURCE:
            return content[at + 4 : at + 4 + length] or None
        at += 4 + length + length % 2
    return None


# Texts ---------------------------------------------------------------------------------------------------------------

COMMENT = "Comment"


def decoded(text: bytes) -> str:
    """A text that may be UTF-8 or Latin-1."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def texts_of(values: Mapping[str, object]) -> Texts:
    """The texts of a PNG that people wrote: neither a receipt nor EXIF or XMP in disguise."""
    return tuple(
        (key, str(text))
        for key, text in values.items()
        if key not in (RECEIPT, "XML:com.adobe.xmp") and not key.startswith("Raw profile type")
    )


def as_comment(texts: Texts) -> bytes:
    """Texts as one comment of a JPEG."""
    return "\n".join(text if key == COMMENT else f"{key}: {text}" for key, text in texts).encode("utf-8", "replace")
