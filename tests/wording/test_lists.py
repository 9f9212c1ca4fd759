"""Lists inside of sentences."""

import pytest
from flask import Flask
from flask_babel import force_locale

from portal.wording.lists import listed
from tests.pages import pseudo_language


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([], ""),
        ([7], "7"),
        ([1, 7], "1 and 7"),
        ([1, 7, 14], "1, 7 and 14"),
        (["a", "b", "c", "d"], "a, b, c and d"),
        (["100 %", "%(part)s"], "100 % and %(part)s"),
    ],
)
def test_a_list_in_english(app: Flask, parts: list[object], text: str) -> None:
    with app.app_context():
        assert listed(parts) == text


def test_the_catalogue_has_the_pattern(bracketed: Flask) -> None:
    with bracketed.app_context(), force_locale(pseudo_language.LANGUAGE):
        text = listed([1, 7, 14])
    assert pseudo_language.english(text) == "1, 7 and 14"
    assert text.startswith("⟦1, ⟦7 and 14 ")
