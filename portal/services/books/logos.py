"""Logos: an uploaded PNG or JPEG becomes a small image that Qist encodes itself.

Nothing of the file but its pixels stays: no EXIF, no profile, no comment. Transparent parts become white, as on paper.
"""

import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from portal.errors import Fault, Invalid
from portal.models.letterheads import MAX_LOGO_BYTES, LogoType

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_FILE_BYTES: Final = 1024 * 1024
MAX_SIDE: Final = 4000
"""Pixels of a side of the uploaded image. Its header has them, so a larger one is never decoded."""
SIZES: Final = ((600, 240), (450, 180), (300, 120), (200, 80), (120, 48))
"""Width and height in pixels that the image is reduced to, the next one if its file is too large."""
JPEG_QUALITY: Final = 85


@dataclass(frozen=True, slots=True)
class Logo:
    """An encoded image with its size in pixels. `version` is a digest of its bytes."""

    data: bytes
    type: LogoType
    width: int
    height: int

    @property
    def version(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256."""
        return hashlib.sha256(self.data).hexdigest()[:16]


def read(file: bytes) -> Logo:
    """The logo of an uploaded file, of at most MAX_LOGO_BYTES.

    Refuses: Invalid on logo: file_too_large, bad_image (neither PNG nor JPEG, or damaged), image_too_large.
    """
    from PIL import Image, ImageOps

    if len(file) > MAX_FILE_BYTES:
        raise Invalid(Fault("logo", "file_too_large"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged EXIF, which is not kept
        try:
            image = Image.open(io.BytesIO(file), formats=("PNG", "JPEG"))
            if max(image.size) > MAX_SIDE:
                raise Invalid(Fault("logo", "image_too_large", limit=MAX_SIDE))
            kind: LogoType = "png" if image.format == "PNG" else "jpeg"
            if kind == "jpeg":
                image.draft("RGB", SIZES[0])
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail(SIZES[0], Image.Resampling.BILINEAR)
            on_white = _on_white(upright)
        except Invalid:
            raise
        except Image.DecompressionBombError as error:
            raise Invalid(Fault("logo", "image_too_large", limit=MAX_SIDE)) from error
        except Exception as error:  # Pillow raises errors of many kinds for damaged files
            raise Invalid(Fault("logo", "bad_image")) from error
    for size in SIZES:
        on_white.thumbnail(size, Image.Resampling.BILINEAR)
        data = _encoded(on_white, kind)
        if len(data) <= MAX_LOGO_BYTES:
            break
    return Logo(data, kind, *on_white.size)


def _on_white(image: "Image") -> "Image":
    """The pixels alone, in RGB."""
    from PIL import Image

    coloured = image.convert("RGBA")
    paper = Image.new("RGB", coloured.size, "white")
    paper.paste(coloured, mask=coloured.getchannel("A"))
    return paper


def _encoded(image: "Image", kind: LogoType) -> bytes:
    buffer = io.BytesIO()
    if kind == "png":
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return buffer.getvalue()
