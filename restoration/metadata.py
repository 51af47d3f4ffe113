"""What image files tell beside their pixels: EXIF, XMP and pixels per inch."""

import html
import math
from typing import Literal

from PIL import ExifTags
from PIL import Image as Pillow

Metadata = Literal["private", "all", "none"]
RECEIPT = "restoration"


def xmp(receipt: str) -> bytes:
    """A packet of XMP (ISO 16684-1) with a receipt in it."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'xmlns:{RECEIPT}="urn:{RECEIPT}:1" {RECEIPT}:receipt="{html.escape(receipt)}"/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


_DESCRIPTIVE = (
    *("ImageDescription", "Make", "Model", "Software", "DateTime", "Artist", "Copyright"),
    *("XPTitle", "XPComment", "XPAuthor", "XPKeywords", "XPSubject"),
)


def exif_to_write(block: bytes | None, metadata: Metadata) -> Pillow.Exif | None:
    """The EXIF to write: upright, without a thumbnail, and private unless all of it is wanted."""
    if block is None or metadata == "none":
        return None
    old, new = Pillow.Exif(), Pillow.Exif()
    old.load(block)
    for name in _DESCRIPTIVE:
        if (value := old.get(ExifTags.Base[name])) is not None:
            new[ExifTags.Base[name]] = value
    camera = dict(old.get_ifd(ExifTags.IFD.Exif))
    camera.pop(ExifTags.IFD.Interop, None)  # an address in the file that was read
    if metadata == "private":
        camera.pop(ExifTags.Base.MakerNote, None)
        for owner in ("BodySerialNumber", "LensSerialNumber", "CameraOwnerName"):
            camera.pop(ExifTags.Base[owner], None)
    elif place := old.get_ifd(ExifTags.IFD.GPSInfo):
        new[ExifTags.IFD.GPSInfo] = dict(place)
    if camera:
        new[ExifTags.IFD.Exif] = camera
    return new if len(new) else None


def density(value: object) -> tuple[float, float] | None:
    """Pixels per inch, across and down, as a file tells them; None where it does not, or nonsense."""
    try:
        # PNG counts whole pixels a metre; a tenth of a pixel an inch gives 300 back where 299.9994 was read.
        across, down = (round(float(side), 1) for side in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if all(math.isfinite(side) and 1 <= side <= 100_000 for side in (across, down)) else None
