"""A catalogue in which each message is in brackets."""

from pathlib import Path

import pytest
from flask import Flask

from portal.wording import language
from tests.pages import pseudo_language


@pytest.fixture
def bracketed(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The app with the pseudo-language; `force_locale(pseudo_language.LANGUAGE)` selects it."""
    pseudo_language.write_catalogues(tmp_path, pseudo_language.LANGUAGE)
    monkeypatch.setitem(app.config, language.DIRECTORY, str(tmp_path))
    return app
