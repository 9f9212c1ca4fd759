"""A catalogue in which each message is in brackets."""

import pytest
from flask import Flask

from portal.wording import language
from tests.pages import pseudo_language


@pytest.fixture
def bracketed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The app with the pseudo-language; `force_locale(pseudo_language.LANGUAGE)` selects it."""
    monkeypatch.setitem(app.config, language.DIRECTORY, str(pseudo_language.folder()))
    return app
