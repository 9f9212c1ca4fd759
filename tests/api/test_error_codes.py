"""The error codes: docs/errors.md is current, and the document's enum has every code."""

import runpy
from pathlib import Path

import pytest
from flask import Flask

from portal.api import problems
from portal.api.endpoints import declared
from portal.api.openapi import error_codes

ROOT = Path(__file__).parents[2]


def test_the_page_of_error_codes_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    """Mend it with: python -m portal.api > docs/errors.md"""
    runpy.run_module("portal.api", run_name="__main__")
    assert capsys.readouterr().out == (ROOT / "docs" / "errors.md").read_text()


def test_the_enum_has_every_code_that_an_endpoint_declares(app: Flask) -> None:
    codes = {code for declaration in declared.values() for names in declaration.codes.values() for code in names}
    codes |= set(problems.CODES.values()) | set(error_codes.ANYWHERE)
    assert codes <= set(error_codes.CODES)
    schemas = app.test_client().get("/api/openapi.json").get_json()["components"]["schemas"]
    assert schemas["ErrorCode"]["enum"] == sorted(set(error_codes.CODES))
    for name in ("Problem", "Fault"):
        assert schemas[name]["properties"]["code"] == {"$ref": "#/components/schemas/ErrorCode"}
