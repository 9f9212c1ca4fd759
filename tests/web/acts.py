"""What tests of the merchant's acts on money share: a plan, and the steps of their forms."""

import re
from html import unescape

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.reports.plans.figures import PlanFigures, plan_figures
from tests.fixtures import people
from tests.web import HTMX


def a_world(app: Flask) -> tuple[int, int]:
    """Amal sold Omar a cake for SAR 100 in three, and he paid the first. Badr and Sara are strangers.

    Returns the ids of the plan and of the payment.
    """
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        people.badr(), people.sara()
        plan = people.a_plan(amal, total=100_00, count=3)
        return plan, people.pay(people.installments_of(plan)[0].id, omar).id


def money_of(app: Flask, plan: int) -> PlanFigures:
    """How the plan's money stands now."""
    with app.app_context():
        return plan_figures(plan)


def check(client: FlaskClient, address: str, *, htmx: bool = False, **typed: str) -> TestResponse:
    """Send the form; what would happen comes back."""
    return client.post(address, data={"step": "check", **typed}, headers=HTMX if htmx else {})


def hidden(answer: TestResponse) -> dict[str, str]:
    """What the confirmation sends along."""
    form = answer.text[answer.text.index('class="stack confirmation"') :]
    pairs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form)
    return {name: unescape(value) for name, value in pairs if name not in ("csrf_token", "next")}


def confirm(client: FlaskClient, page: TestResponse, /, *, htmx: bool = False, **instead: str) -> TestResponse:
    """Press the button under a confirmation."""
    data = {"step": "confirm", **hidden(page), **instead}
    return client.post(page.request.path, data=data, headers=HTMX if htmx else {})


def do(client: FlaskClient, address: str, **typed: str) -> TestResponse:
    """Both steps. Returns the page that follows."""
    shown = check(client, address, **typed)
    assert shown.status_code == 200, shown.text
    done = confirm(client, shown)
    assert done.status_code == 303, done.text
    return client.get(done.location)


def words(answer: TestResponse) -> str:
    """The page as one line of text, without tags."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text))).replace("\u00a0", " ")
