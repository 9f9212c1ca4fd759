"""The words of a statement's lines."""

import pytest
from flask import Flask

from portal.domain import clock
from portal.domain.chart import ENTRY_KINDS, EntryKind
from portal.reports.payments.statements import Line
from portal.web.documents.statements import line_words


@pytest.mark.parametrize("kind", ENTRY_KINDS)
def test_every_kind_of_ledger_entry_has_words(app: Flask, kind: EntryKind) -> None:
    line = Line(clock.today("UTC"), 1, kind, "", None, None, owed=1, cash=0, balance=1, kept=0)
    with app.test_request_context("/"):
        assert line_words(line)
