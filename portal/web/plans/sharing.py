"""A pay link in forms that are easy to pass on: a message for WhatsApp and a QR code."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from flask_babel import gettext as _
from markupsafe import Markup

WHATSAPP: Final = "https://wa.me/"
"""WhatsApp's address that opens its own choice of a chat, with a text."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """`text` is the message without the link, `whatsapp` an address, `qr` an SVG element in black on white."""

    text: str
    whatsapp: str
    qr: Markup


def sharing(url: str, business: str) -> Sharing:
    """For the pay link `url` of a plan of this business."""
    text = str(_("Pay your plan with %(business)s here:", business=business))
    import segno  # on its first use

    code = segno.make(url, error="m").svg_inline(scale=4, border=4, light="#fff", svgclass="qr", omitsize=True)
    return Sharing(text, f"{WHATSAPP}?{urlencode({'text': f'{text} {url}'})}", Markup(code))  # noqa: S704 made by segno
