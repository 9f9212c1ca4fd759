"""Lazy messages are read in the reader's language, and are text instead of markup."""

import re
from pathlib import Path

from flask import Flask, render_template_string
from flask_babel import force_locale
from markupsafe import escape

from portal.wording.lazy import lazy_gettext, lazy_ngettext, lazy_pgettext
from tests.pages import pseudo_language


def test_the_language_is_that_of_the_reading(bracketed: Flask) -> None:
    message = lazy_gettext("Sign in")
    with bracketed.app_context():
        assert str(message) == "Sign in"
        with force_locale(pseudo_language.LANGUAGE):
            assert str(message) == pseudo_language.pseudo("Sign in")


def test_context_and_plural(bracketed: Flask) -> None:
    with bracketed.app_context():
        assert str(lazy_pgettext("state of a plan", "Active")) == "Active"
        days = [str(lazy_ngettext("%(num)s day", "%(num)s days", number)) for number in (1, 2)]
        assert days == ["1 day", "2 days"]


def test_values_are_filled_in_at_once_or_later(bracketed: Flask) -> None:
    with bracketed.app_context():
        assert str(lazy_gettext("%(amount)s left", amount="SAR 1.00")) == "SAR 1.00 left"
        assert lazy_gettext("%(amount)s left") % {"amount": "SAR 1.00"} == "SAR 1.00 left"


def test_a_page_escapes_a_lazy_message(bracketed: Flask) -> None:
    message = lazy_gettext("%(name)s's plan", name="<b>Amal</b>")
    with bracketed.app_context():
        assert escape(message) == "&lt;b&gt;Amal&lt;/b&gt;&#39;s plan"
        assert render_template_string("{{ message }}", message=message) == escape(message)


def test_no_module_uses_the_lazy_strings_of_flask_babel() -> None:
    portal = Path(__file__).parents[2] / "portal"
    imports = re.compile(r"from flask_babel import (?:\([^)]*|.*)\blazy_")
    assert [path.name for path in portal.rglob("*.py") if imports.search(path.read_text())] == []
