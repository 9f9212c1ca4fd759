"""Conditions that several tables share."""

import pytest
from sqlalchemy import text

from portal.domain import typed_text
from portal.domain.typed_text import BadText
from portal.extensions import db
from portal.models.columns import is_one_line

pytestmark = pytest.mark.usefixtures("context")


def test_the_database_refuses_the_characters_that_typed_texts_refuse():
    """NUL and surrogates are missing: no text of PostgreSQL holds them."""
    codes = [*range(1, 0xD800), *range(0xE000, 0x11000)]
    query = f"SELECT code FROM unnest(CAST(:codes AS int[])) AS code WHERE NOT (chr(code) || 'a') {is_one_line('')}"  # noqa: S608 (SQL from constants)
    assert list(db.session.scalars(text(query), {"codes": codes})) == [code for code in codes if is_refused(code)]


def is_refused(code: int) -> bool:
    try:
        typed_text.read(f"{chr(code)}a")
    except BadText:
        return chr(code) != "\t"
    return chr(code) == "\t"  # which becomes a blank before it is stored
