"""The way of one press on a pay button through the code: the steps that docs/architecture.md lists, once each."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.fixtures import people
from tests.web import HTMX, browser_of

ARCHITECTURE: Final = Path(__file__).parents[2] / "docs" / "architecture.md"
STEPS: Final = 10


def steps() -> list[tuple[str, str]]:
    """The steps of the page's list: the module or its package, and the function."""
    section = ARCHITECTURE.read_text().split("## One click on", 1)[1].split("```")[1]
    named = re.findall(r"^ ?\d+ +([\w/]+)\.(\w+)(?:, (\w+))?", section, re.MULTILINE)
    return [("portal." + path.replace("/", "."), name) for path, *names in named for name in names if name]


@contextmanager
def calls_of(wanted: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """The calls of these functions in this thread, in their order."""
    seen: list[tuple[str, str]] = []

    def follow(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_name
            seen.extend(step for step in wanted if name == step[1] and f"{module}.".startswith(f"{step[0]}."))

    before = sys.getprofile()
    sys.setprofile(follow)
    try:
        yield seen
    finally:
        sys.setprofile(before)


@pytest.fixture
def press(app: Flask, database: str) -> tuple[FlaskClient, int]:
    """A customer's browser, and an installment of SAR 300.00 that is due."""
    with app.app_context():
        amal = people.amal()
        people.omar()
        row = people.installments_of(people.a_plan(amal, total=1200_00, count=4))[0].id
    return browser_of(app, "omar"), row


def test_the_page_lists_ten_steps_in_as_many_modules() -> None:
    modules = [module for module, _ in steps()]
    assert len(set(modules)) == STEPS and sorted(modules, key=modules.index) == modules


@pytest.mark.parametrize("card", ["card_ok", "card_declined"])
def test_a_press_takes_each_step_once_and_in_this_order(press: tuple[FlaskClient, int], card: str) -> None:
    browser, row = press
    data = {"key": "one-use-key-0123456789", "shown": "30000", "method": card, "from": "plan"}
    with calls_of(steps()) as seen:
        response = browser.post(f"/installments/{row}/payments", data=data, headers=HTMX)
    assert response.status_code == (200 if card == "card_ok" else 402)
    assert seen == steps()


def test_a_press_by_somebody_else_ends_at_the_look_up(app: Flask, press: tuple[FlaskClient, int]) -> None:
    with app.app_context():
        people.sara()
    _, row = press
    data = {"key": "one-use-key-0123456789", "shown": "30000", "method": "card_ok", "from": "plan"}
    for who, status in (("sara", 404), ("amal", 403)):
        with calls_of(steps()) as seen:
            response = browser_of(app, who).post(f"/installments/{row}/payments", data=data, headers=HTMX)
        assert response.status_code == status
        assert [name for _, name in seen] == ["create", "carry_out", "pay_installment", "owed_installment"]
