"""Brackets on paper stand where a browser shows them, in texts of both directions.

The expected lines are those of Chromium, which has rule N0 of the Unicode Bidirectional Algorithm.
"""

import pytest

from portal.web.documents import brackets, typeface


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("אב Oak (6 גד), ref. A-17/b", "ref. A-17/b ,(דג 6) Oak בא"),
        ("אב Haddad (Smith)", "Haddad (Smith) בא"),
        ("אב Haddad (Smith) 17", "Haddad (Smith) 17 בא"),
        ("אב (גד 3) Oak [12 L] (x)", "Oak [12 L] (x) (3 דג) בא"),
        ("אב A (B (ג) 4) 5", "5 (4 (ג) B) A בא"),
        ("אב 12 (3)", "(3) 12 בא"),
        ("אב X (5) גד", "דג X (5) בא"),
        ("אב (Smith), x (2)", "x (2) ,(Smith) בא"),
        ("Oak (6 x אב) 7", "Oak (6 x בא) 7"),
        ("Late (אב 3) days", "Late (3 בא) days"),
        ("(Oak) אב", "(Oak) בא"),
        ("Oak (6 אב", "Oak (6 בא"),
        ("אב) Oak (", ") Oak (בא"),
    ],
)
@pytest.mark.parametrize("rtl", [False, True])
def test_a_name_with_brackets_is_shown_as_in_a_browser(text: str, shown: str, rtl: bool) -> None:
    assert typeface.visual(typeface.apart(text, rtl=rtl), rtl=rtl) == shown


def test_a_text_without_pairs_gets_no_marks() -> None:
    for text in ("Oak desk", "אב 12", "a ) b (", ")(", "()", ""):
        assert brackets.marked(text, rtl=True) == text
