"""The form of a new plan: customers to choose from, and the line above its button."""

import re

import pytest
from flask import Flask

from tests.fixtures import people
from tests.web import HTMX, browser_of
from tests.web.plans.test_plans import plan, typed


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        return {"amal": people.amal(), "badr": people.badr(), "omar": people.omar()}


def in_line(page: str) -> str:
    """The text of the line above the button."""
    line = page.split('id="result-line"')[1].split(">", 1)[1].split("</p>")[0]
    return " ".join(re.sub("<[^>]+>", "", line).replace("\u00a0", " ").split())


def test_the_form_offers_customers_and_warns_of_the_late(app: Flask, ids: dict[str, int]) -> None:
    for _ in range(2):
        plan(app, ids["amal"], "omar@example.com", first=-40)
    amal = browser_of(app, "amal")
    offered = amal.get("/plans/customers?customer_email=om", headers=HTMX).text
    assert offered.lstrip().startswith('<div class="customer-choices"') and 'data-value="omar@example.com"' in offered
    assert "open plans" in offered and "late" in offered
    whole = amal.get("/plans/customers?customer_email=OMAR@example.com", headers=HTMX).text
    assert "data-fill" not in whole and "late" in whole
    for text in ("o", "", "zz"):
        assert "customer-choice " not in amal.get(f"/plans/customers?customer_email={text}", headers=HTMX).text
    assert amal.get("/plans/customers?customer_email=om").location == "/customers?search=om"
    theirs = browser_of(app, "badr").get("/plans/customers?customer_email=om", headers=HTMX).text
    assert "omar" not in theirs
    assert "tone-late" in amal.get(f"/plans/new?customer={ids['omar']}").text


def test_a_line_above_the_button_says_what_the_plan_will_be(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    even = amal.post("/plans/preview", data=typed(total_amount="1200", num_installments="24", start_date="2026-12-27"))
    assert in_line(even.text) == "24 \u00d7 SAR 50.00, until 27 Nov 2028"
    odd = amal.post("/plans/preview", data=typed(total_amount="100", num_installments="3"), headers=HTMX).text
    assert in_line(odd).startswith("1 \u00d7 SAR 33.34 and 2 \u00d7 SAR 33.33, until")
    assert "21 more dates" in even.text and "<details" not in odd.split('id="preview"')[1]
