"""The letterhead of a business: its form, its logo, and what receipts and statements show of it."""

import io
import zlib
from typing import Any

import pypdf
import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from portal.domain import clock
from portal.errors import Invalid
from portal.extensions import db
from portal.models import Letterhead
from portal.models.letterheads import MAX_LOGO_BYTES
from portal.request_reader import LARGER_BODIES
from portal.services.books import logos
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from portal.web.books.letterheads import MAX_BODY_BYTES
from tests.fixtures import people
from tests.fixtures.business import an_image
from tests.web import browser_of
from tests.web.acts import a_world
from tests.web.documents.test_paper import words
from tests.web.payments.test_plan_payments import pay

ADDRESS = "/settings/letterhead"
SENT = {
    "address": "12 Olive Street\r\n\r\nRiyadh",
    "tax_number": "3000123",
    "email": "a@amal.example",
    "phone": "+966 11 1",
}


def send(client: FlaskClient, file: bytes | None = None, **typed: str) -> TestResponse:
    data: dict[str, Any] = SENT | typed
    if file is not None:
        data["logo"] = (io.BytesIO(file), "logo.png")
    return client.post(ADDRESS, data=data, content_type="multipart/form-data")


def noise(kind: str, size: tuple[int, int], **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 90).convert(options.pop("mode", "RGB")).save(buffer, kind, **options)
    return buffer.getvalue()


def test_receipts_and_statements_show_the_letterhead(app: Flask, database: str) -> None:
    plan, payment = a_world(app)
    amal, omar = browser_of(app, "amal"), browser_of(app, "omar")
    with app.app_context():
        customer = people.plan_of(plan).customer_id
    pages = [
        (omar, f"/payments/{payment}"),
        (omar, f"/plans/{plan}/statement"),
        (amal, f"/customers/{customer}/statement"),
    ]
    for reader, page in pages:
        assert 'class="letterhead' in reader.get(page).text  # the name alone
    assert send(amal, an_image()).status_code == 303
    assert "12 Olive Street" in amal.get(ADDRESS).text and f'src="{ADDRESS}/logo?v=' in amal.get(ADDRESS).text
    for reader, page in pages:
        shown = reader.get(page).text
        for part in (
            "12 Olive Street",
            "Riyadh",
            "Tax number <bdi>3000123</bdi>",
            "mailto:a@amal.example",
            "+966 11 1",
        ):
            assert part in shown, (page, part)
        assert 'width="20" height="10"' in shown and "/logo?v=" in shown
    logo = omar.get(f"/plans/{plan}/logo")
    assert (logo.status_code, logo.mimetype) == (200, "image/png")
    assert logo.headers["Cache-Control"] == "private, no-cache" and logo.headers["X-Content-Type-Options"] == "nosniff"
    same = {"If-None-Match": logo.headers["ETag"]}
    assert omar.get(f"/plans/{plan}/logo", headers=same).status_code == 304
    for reader in ("badr", "sara"):
        assert browser_of(app, reader).get(f"/plans/{plan}/logo").status_code == 404


@pytest.mark.usefixtures("arabic")
def test_files_show_the_letterhead_on_both_papers(app: Flask, database: str) -> None:
    plan, payment = a_world(app)
    amal = browser_of(app, "amal")
    send(amal, an_image("JPEG"), address="شارع الزيتون ١٢\nRiyadh")
    for query in ("", "?paper=letter"):
        for page in (f"/payments/{payment}/receipt.pdf", f"/plans/{plan}/statement.pdf"):
            response = amal.get(page + query)
            text = words(response)
            assert "Riyadh" in text and "3000123" in text and "a@amal.example" in text
            assert len(pypdf.PdfReader(io.BytesIO(response.data)).pages[0].images) == 1
    send(amal, removes_logo="y")
    assert amal.get(f"/plans/{plan}/logo").status_code == 404
    response = amal.get(f"/payments/{payment}/receipt.pdf")
    assert len(pypdf.PdfReader(io.BytesIO(response.data)).pages[0].images) == 0


def test_a_link_of_the_plan_gives_the_logo_and_no_cache_keeps_it(app: Flask, database: str) -> None:
    a_world(app)
    send(browser_of(app, "amal"), an_image())
    with app.app_context():
        amal = db.session.scalars(db.select(Letterhead.merchant_id)).one()
        new = NewPlan("layla@example.com", 100_00, 3, clock.today("Asia/Riyadh"), "monthly")
        plan = plans.open_plan(people.owner(amal), new).plan_id
        link = f"/invitations/{people.token_of(plan)}"
    anonymous = app.test_client()
    page = pay(anonymous, plan, address=f"{link}/pay", choice="next").location
    assert f"{link}/logo?v=" in anonymous.get(page).text and "12 Olive Street" in anonymous.get(page).text
    logo = anonymous.get(f"{link}/logo")
    assert (logo.mimetype, logo.headers["Cache-Control"]) == ("image/png", "no-store")
    assert logo.headers["Referrer-Policy"] == "no-referrer"
    assert anonymous.get(f"/invitations/{'x' * 43}/logo").status_code == 404


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"address": "\n".join("abcdefg")}, "Use at most 6 lines."),
        ({"address": "\n".join(["x" * 149] * 3)}, "Use at most 300 letters in all."),
        ({"address": "a\u202eb"}, "on one line"),
        ({"tax_number": "1" * 41}, "Use at most 40 letters, on one line."),
        ({"email": "nobody"}, "Enter an email address"),
        ({"phone": "call me"}, "Enter a phone number"),
    ],
)
def test_a_bad_text_is_explained_and_nothing_is_saved(
    app: Flask, database: str, typed: dict[str, str], message: str
) -> None:
    a_world(app)
    amal = browser_of(app, "amal")
    refused = send(amal, an_image(), **typed)
    assert refused.status_code == 422 and message in refused.text and "Choose the file again." in refused.text
    assert "3000123" in refused.text or "tax_number" in typed  # what was typed stays
    with app.app_context():
        assert db.session.scalars(db.select(Letterhead)).all() == []


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (b"", "Choose an image in PNG or JPEG."),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "Choose an image in PNG or JPEG."),
        (an_image("GIF"), "Choose an image in PNG or JPEG."),
        (an_image()[:60], "Choose an image in PNG or JPEG."),
        (b"\x00" * (logos.MAX_FILE_BYTES + 1), "The file may have at most 1 MB."),
        (an_image(size=(4001, 1)), "Choose an image of at most 4000 by 4000 pixels."),
    ],
    ids=["empty", "svg", "gif", "cut off", "too large", "too many pixels"],
)
def test_a_bad_file_is_explained_and_nothing_is_saved(app: Flask, database: str, file: bytes, message: str) -> None:
    a_world(app)
    refused = send(browser_of(app, "amal"), file)
    assert refused.status_code == 422 and message in refused.text
    with app.app_context():
        assert db.session.scalars(db.select(Letterhead)).all() == []


def test_a_body_beyond_the_limit_is_refused_unread(app: Flask, database: str) -> None:
    a_world(app)
    amal = browser_of(app, "amal")
    assert send(amal, b"\x00" * MAX_BODY_BYTES).status_code == 413
    assert amal.post("/settings", data={"x": "y" * 300_000}).status_code == 413  # other forms keep their limit
    assert LARGER_BODIES[ADDRESS] == MAX_BODY_BYTES


def test_a_logo_is_its_pixels_alone() -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "at home", 6  # a description, and "turn right"
    logo = logos.read(an_image("JPEG", (40, 20), exif=exif))
    with Image.open(io.BytesIO(logo.data)) as image:
        assert (image.size, image.format, dict(image.getexif())) == ((20, 40), "JPEG", {})
    clear = logos.read(an_image("PNG", (3000, 1000), mode="RGBA", colour=(0, 0, 0, 0)))
    with Image.open(io.BytesIO(clear.data)) as image:
        assert (image.size, image.mode, image.getpixel((0, 0)), image.info) == ((600, 200), "RGB", (255, 255, 255), {})
    for mode in ("1", "L", "P", "I;16", "CMYK", "LA"):
        kind = "JPEG" if mode == "CMYK" else "PNG"
        assert logos.read(an_image(kind, mode=mode, colour=0)).type == kind.lower()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_stored_logo_has_at_most_64_kb(kind: str) -> None:
    logo = logos.read(noise(kind, (600, 500)))
    assert len(logo.data) <= MAX_LOGO_BYTES and logo.width <= 600 and logo.height <= 240


def test_a_small_file_that_unpacks_to_much_is_never_decoded() -> None:
    chunk = (30_000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    header = b"IHDR" + chunk
    bomb = b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\x0d" + header + zlib.crc32(header).to_bytes(4, "big")
    with pytest.raises(Invalid) as refused:
        logos.read(bomb + an_image()[33:])
    assert refused.value.faults[0].code == "image_too_large"
