"""Names of any script on paper: each letter has a font, stands in its place, and can be searched."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from pathlib import Path
from typing import Any, Final

import pypdfium2
import pytest
from flask import Flask

from portal.domain import typed_text
from portal.services.payments import manual_payments
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from portal.web.documents import fonts, typeface
from portal.web.documents.sheet import MARGIN, Cell, Column, Sheet
from tests.fixtures import people
from tests.web import browser_of

pytestmark = pytest.mark.usefixtures("arabic")  # no font of the documents has the pseudo-language's signs
ROOT: Final = Path(__file__).parents[3]
CASES: Final[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "cases" / "texts.json").read_text())
NAMES: Final = [
    *(
        "Ольга Кузнецова",
        "Ελένη Παπαδοπούλου",
        "Trần Thị Hương",
        "שלום עולם",
        "한국 뷁",
        "汉字 漢字 カタカナ",
        "हिन्दी कीर्ति",
    ),
    *("สมชาย ผู้", "বাংলা ক্ষ", "தமிழ் கௌ", "తెలుగు", "മലയാളം", "ಕನ್ನಡ", "ગુજરાતી", "ਪੰਜਾਬੀ", "සිංහල", "မြန်မာ", "ខ្មែរ"),
    *("ລາວ", "አማርኛ", "Հայերեն", "ქართული", "اردو نستعلیق", "👩🏽‍🚀 ☎ ★ → ✓ ❤️"),
]
JAPANESE, FAMILY = "山田　太郎", "👨‍👩‍👧"


def words(file: bytes) -> str:
    """The text that a reader of PDF finds."""
    return "".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(file))


def picture(file: bytes) -> bytes:
    """The dots of the first page."""
    return pypdfium2.PdfDocument(file)[0].render(scale=0.5).to_pil().tobytes()


def ink(file: bytes, size: float = 1) -> tuple[int, int, int, int]:
    """The box that the dark points of the first page are in."""
    picture = pypdfium2.PdfDocument(file)[0].render(scale=size).to_pil().convert("L")
    picture = picture.crop((0, 0, picture.width, int(picture.height * 0.85)))
    box = picture.point(lambda shade: 255 if shade < 160 else 0).getbbox()
    assert box is not None
    return box


def a_file(text: str, *, rtl: bool = False) -> bytes:
    """A document with this text alone."""
    sheet = Sheet("a4", rtl=rtl)
    sheet.text(sheet.bdi(text))
    return sheet.pdf(title="A title", author="A shop", language="en")


@pytest.mark.parametrize("text", [*map(typed_text.read, CASES["accept"]), *CASES["accept_trimmed"].values(), *NAMES])
@pytest.mark.parametrize("rtl", [False, True])
def test_every_letter_of_a_name_has_a_font(text: str, rtl: bool) -> None:
    for bold in (False, True):
        pieces = typeface.runs(typeface.visual(typeface.apart(text, rtl=rtl), rtl=rtl), bold=bold)
        assert [piece for font, piece in pieces if not font] == [] and pieces
        assert all(typeface.width(line, 10, bold=bold) <= 200 for line in typeface.lines(text, 200, 10, bold=bold))


@pytest.mark.parametrize("address", ["/payments/{payment}/receipt.pdf", "/plans/{plan}/statement.pdf"])
def test_receipts_and_statements_show_names_of_any_script(app: Flask, database: str, address: str) -> None:
    with app.app_context():
        shop = people.a_merchant("yamada", business_name=JAPANESE)
        people.omar()
        owner, today = people.owner(shop), people.today_of(shop)
        plan = plans.open_plan(owner, NewPlan("omar@example.com", 100_00, 3, today, "monthly", "Ольга 김민수")).plan_id
        payment = manual_payments.record(
            plan, actor=owner, amount=10_00, method="transfer", received_on=today, reference="हिन्दी สมชาย"
        ).payment_id
    for language in ("en", "ar"):
        omar = browser_of(app, "omar")
        omar.post("/language", data={"language": language})
        response = omar.get(address.format(payment=payment, plan=plan))
        text = words(response.data)
        for name in (JAPANESE, "Ольга 김민수", "हिन्दी สมชาย"):
            assert name in text, (name, text)
        assert "?" not in text and "□" not in text
        for font in (b"+Inter", b"+DroidSansFallback", b"+NotoSansDevanagari", b"+NotoSansThai"):
            assert font in response.data


def test_a_document_keeps_no_table_of_the_letters_of_cjk() -> None:
    from reportlab.pdfbase import pdfmetrics

    before = set(pdfmetrics.getRegisteredFontNames())
    file = a_file("山田 「한국」 汉字 Amal", rtl=True)
    assert words(file).replace(" ", "").find("山田") >= 0
    assert [name for name in set(pdfmetrics.getRegisteredFontNames()) - before if fonts.CJK in name] == []
    assert len(file) < 40_000


def test_documents_at_once_have_their_own_letters() -> None:
    texts = ["Amal and Badr", "Ольга", "हिन्दी", "سلمى", "山田", "한국", "汉字", "カナ"]
    wanted = {text: picture(a_file(text)) for text in texts}
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns within the reading of one letter
    try:
        with ThreadPoolExecutor(8) as pool:
            files = list(pool.map(a_file, texts * 25))
    finally:
        sys.setswitchinterval(interval)
    assert [picture(file) == wanted[text] for file, text in zip(files, texts * 25, strict=True)] == [True] * 200


@pytest.mark.long
def test_a_first_document_in_any_script_adds_little_memory() -> None:
    """PSS in a process of its own: the tables of all letters of CJK would add 25 MB for good."""
    code = """if True:
        import gc
        from portal.web.documents.sheet import Sheet
        def pss():
            gc.collect()
            return int(open("/proc/self/smaps_rollup").read().split("Pss:")[1].split()[0])
        def document(text):
            sheet = Sheet("a4", rtl=False)
            sheet.text(sheet.bdi(text))
            return sheet.pdf(title=text, author=text, language="en")
        document("Amal"), document("أمل")
        before = pss()
        document("山田　太郎"), document("한국 뷁"), document("汉字")
        print(pss() - before)
    """
    kilobytes = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert int(kilobytes) < 4_000


def test_a_letter_without_a_font_is_a_box_that_is_searched_as_the_letter() -> None:
    assert typeface.runs("A\U00013000ب", bold=True) == [
        ("Inter-Bold", "A"),
        ("", "\U00013000"),
        ("NotoSansArabic-Bold", "ب"),
    ]
    assert fonts.drawn("\U00013000\U00013000", "", 10) == ("NotoSansSymbols2", "□□")


@pytest.mark.parametrize("code", [0xAD, 0x200B, 0xFE0F, 0x2060, 0x1F3FD])
def test_signs_without_a_picture_leave_no_gap_and_no_box(code: int) -> None:
    assert typeface.visual(f"co{chr(code)}op", rtl=False) == "coop"
    assert typeface.width(f"co{chr(code)}op", 10) == typeface.width("coop", 10)


def test_joined_letters_take_their_forms() -> None:
    half, whole = "क्\u200dष", "क्ष"
    assert typeface.width(half, 10) != typeface.width(whole, 10)
    apart = sum(typeface.width(letter, 10) for letter in "कष") + typeface.width("\u094d", 10)
    assert typeface.width(whole, 10) < apart
    assert typeface.visual("کتاب\u200cخانه", rtl=True) != typeface.visual("کتابخانه", rtl=True)


def test_a_family_is_one_sign_between_words_of_both_directions() -> None:
    for text in (f"علي {FAMILY} محمد", f"set {FAMILY} two"):
        for rtl in (False, True):
            assert FAMILY in typeface.visual(typeface.apart(text, rtl=rtl), rtl=rtl)
    assert typeface.width(FAMILY, 10) == pytest.approx(typeface.width("👨", 10), rel=0.2)
    many = " ".join([FAMILY] * 40 + ["䷀"] * 24)
    assert typeface.visual(many, rtl=False) == many
    assert typeface.visual(f"{many} {FAMILY} ䷁", rtl=False) == f"{many} {FAMILY} {fonts.MISSING}"


def test_hebrew_runs_from_right_to_left() -> None:
    assert typeface.visual("אב (ג)", rtl=True) == "(ג) בא"
    assert typeface.visual("שָׁלוֹם", rtl=True) == "םולש"  # without its points, as Arabic


def test_a_line_breaks_between_signs_and_not_inside_of_one() -> None:
    for sign in (FAMILY, "कि", "ผู้", "e\u0301"):
        lines = typeface.lines(sign * 60, 100, 10)
        assert len(lines) > 1 and "".join(lines) == sign * 60
        assert all(line.replace(sign, "") == "" for line in lines)


@pytest.mark.parametrize("rtl", [False, True])
def test_names_stand_where_lines_begin_in_both_directions(app: Flask, rtl: bool) -> None:
    with app.test_request_context("/"):
        for text in (JAPANESE, f"{FAMILY} set", "हिन्दी", "שלום", "Ольга"):
            left, _, right, _ = ink(a_file(text, rtl=rtl), 2)
            page = 595.28 * 2
            assert (page - right if rtl else left) == pytest.approx(MARGIN * 2, abs=6), text


def test_a_bold_name_is_darker_in_a_font_without_a_bold_weight(app: Flask) -> None:
    def shade(*, strong: bool) -> int:
        sheet = Sheet("a4", rtl=False)
        sheet.table([Column("", 1.0)], [[Cell(JAPANESE, strong=strong)]])
        sheet.table([Column("", 1.0)], [[Cell("plain")]])
        picture = pypdfium2.PdfDocument(sheet.pdf(title="", author="", language="en"))[0].render(scale=3).to_pil()
        return reduce(lambda total, pair: total + pair[0] * (255 - pair[1]), picture.convert("L").getcolors(), 0)

    with app.test_request_context("/"):
        assert shade(strong=True) > shade(strong=False) * 1.005
