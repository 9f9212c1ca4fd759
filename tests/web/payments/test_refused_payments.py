"""A refused payment: the sentence stands beside the pressed button, and no button there pays for something else."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.extensions import db
from portal.models import Installment, Payment
from portal.services.adjustments import cancellations
from portal.services.payments import payments
from tests.fixtures import people
from tests.web import HTMX, browser_of
from tests.web.payments.test_plan_payments import fields

KEY = "one-use-key-0123456789"
ALREADY_PAID = "This installment is already paid. Nothing was charged."
AMOUNT_CHANGED = "What is owed has changed: it is SAR\u00a0100.00 now. Nothing was charged."
IN_FLIGHT = "Another payment of this plan is still being checked with the bank. Nothing more was charged."

BOTH = pytest.mark.parametrize("htmx", [True, False], ids=["htmx", "no JavaScript"])
PLACES = pytest.mark.parametrize(
    ("origin", "place"), [("plan", "headline"), ("plan", "row"), ("home", "headline"), ("home", "row")]
)

Press = Callable[..., TestResponse]


@pytest.fixture
def plans(app: Flask, database: str) -> list[int]:
    """Amal sold Omar two desks for SAR 686.00 in four parts each. The first part of both is due today."""
    with app.app_context():
        amal = people.amal()
        people.omar()
        return [people.a_plan(amal, total=686_00, count=4, description="Oak desk") for _ in range(2)]


@pytest.fixture
def press(app: Flask) -> Press:
    """Press a pay button of Omar's in a tab that was opened before anything was paid."""
    omar = browser_of(app, "omar")

    def send(installment: int, origin: str, place: str, *, htmx: bool, **more: str) -> TestResponse:
        data = {"key": KEY, "shown": "17150", "method": "card_ok", "from": origin, "place": place, **more}
        return omar.post(f"/installments/{installment}/payments", data=data, headers=HTMX if htmx else {})

    return send


def ids(app: Flask, plan: int) -> list[int]:
    with app.app_context():
        return [row.id for row in people.installments_of(plan)]


def pay(app: Flask, installment: int, *, part: int | None = None, method: str = "card_ok") -> int:
    """Omar pays an installment, or a part of it, in another tab. Returns the payment's id."""
    with app.app_context():
        customer_id = db.session.get_one(Installment, installment).customer_id
        terms = {"customer_id": customer_id, "shown": None, "method": method, "amount": part}
        return payments.pay_installment(installment, **terms).payment_id


def count_payments(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(Payment)) or 0


def headline(page: str) -> str:
    match = re.search(r'<div class="answer">.*?(?=class="segments|<section|$)', page, re.DOTALL)
    assert match, "no headline"
    return match[0]


def row(page: str, origin: str, installment: int) -> str:
    patterns = {
        "plan": rf'<tr[^>]*id="installment-{installment}".*?</tr>',
        "home": r'aria-labelledby="due-title".*?</section>',
    }
    match = re.search(patterns[origin], page, re.DOTALL)
    assert match, "no row"
    return match[0]


def check_refusal(page: str, origin: str, place: str, installment: int, text: str) -> str:
    """The sentence stands once on the page, beside the button, and takes the focus. Returns that part of the page."""
    part = headline(page) if place == "headline" else row(page, origin, installment)
    assert re.search(
        rf'(?s)<p class="pay-refusal[^>]* tabindex="-1" autofocus data-refusal>(?:(?!</p>).)*{re.escape(text)}', part
    )
    assert page.count('class="pay-refusal') == 1
    assert re.search(r'id="announcement"[^>]*></p>', page), "a screen reader reads it once, on focus"
    assert page.count("autofocus") == 1
    return part


def buttons(part: str) -> list[tuple[str, str]]:
    """The kind and the text of each pay button."""
    matches = re.findall(r'<button class="btn btn-(\w+) [^"]*" type="submit" id="pay-[^"]*"><span[^>]*>([^<]*)', part)
    return [(kind, text.replace("\u00a0", " ")) for kind, text in matches]


@BOTH
@PLACES
def test_an_installment_that_is_paid_already(
    app: Flask, plans: list[int], press: Press, origin: str, place: str, htmx: bool
) -> None:
    first = ids(app, plans[1 if (origin, place) == ("home", "row") else 0])[0]
    pay(app, first)
    answer = press(first, origin, place, htmx=htmx)
    assert answer.status_code == 409
    part = check_refusal(answer.text, origin, place, first, ALREADY_PAID)
    if place == "row":
        assert buttons(part) == [] and "Paid" in part
    else:
        assert "Installment 1 is paid" in part
    assert buttons(headline(answer.text)) == [("secondary", "Pay the next one, SAR 171.50")]
    assert count_payments(app) == 1


@BOTH
@PLACES
def test_an_amount_that_has_changed(
    app: Flask, plans: list[int], press: Press, origin: str, place: str, htmx: bool
) -> None:
    first = ids(app, plans[1 if (origin, place) == ("home", "row") else 0])[0]
    pay(app, first, part=71_50)
    answer = press(first, origin, place, htmx=htmx)
    assert answer.status_code == 409
    part = check_refusal(answer.text, origin, place, first, AMOUNT_CHANGED)
    assert buttons(part) == [("secondary", "Pay SAR 100.00 instead")]
    assert "primary" not in [kind for kind, _ in buttons(headline(answer.text))]
    assert count_payments(app) == 1


@BOTH
@PLACES
@pytest.mark.parametrize("of_it", [True, False], ids=["of it", "of another"])
def test_a_payment_in_flight(
    app: Flask, plans: list[int], press: Press, origin: str, place: str, htmx: bool, of_it: bool
) -> None:
    installments = ids(app, plans[1 if (origin, place) == ("home", "row") else 0])
    pay(app, installments[0 if of_it else 1], method="card_lost_charged")
    answer = press(installments[0], origin, place, htmx=htmx)
    assert answer.status_code == 409
    part = check_refusal(answer.text, origin, place, installments[0], IN_FLIGHT)
    assert buttons(part) == []
    assert count_payments(app) == 1


@BOTH
@pytest.mark.parametrize("place", ["headline", "row"])
def test_the_last_installment_that_is_paid_already(
    app: Flask, plans: list[int], press: Press, place: str, htmx: bool
) -> None:
    installments = ids(app, plans[0])
    for installment in installments:
        pay(app, installment)
    answer = press(installments[3], "plan", place, htmx=htmx)
    check_refusal(answer.text, "plan", place, installments[3], "This plan is already paid. Nothing was charged.")
    assert buttons(answer.text) == [] and "All paid" in headline(answer.text)


@BOTH
@PLACES
def test_a_plan_that_is_cancelled(
    app: Flask, plans: list[int], press: Press, origin: str, place: str, htmx: bool
) -> None:
    plan = plans[1 if (origin, place) == ("home", "row") else 0]
    first = ids(app, plan)[0]
    with app.app_context():
        cancellations.cancel(plan, actor=people.owner(people.plan_of(plan).merchant_id), reason="Sold out")
    answer = press(first, origin, place, htmx=htmx)
    part = check_refusal(answer.text, origin, place, first, "This plan was cancelled. Nothing was charged.")
    assert "primary" not in [kind for kind, _ in buttons(part)]


@BOTH
def test_home_with_nothing_left(app: Flask, plans: list[int], press: Press, htmx: bool) -> None:
    for plan in plans:
        for installment in ids(app, plan):
            pay(app, installment)
    answer = press(installment, "home", "headline", htmx=htmx)
    part = check_refusal(
        answer.text, "home", "headline", installment, "This plan is already paid. Nothing was charged."
    )
    assert "Nothing is due" in part and buttons(answer.text) == []


@BOTH
def test_a_used_key_of_an_installment_that_is_paid_by_now(
    app: Flask, plans: list[int], press: Press, htmx: bool
) -> None:
    first = ids(app, plans[0])[0]
    press(first, "plan", "headline", htmx=htmx)
    answer = press(first, "plan", "headline", htmx=htmx, method="card_slow")
    assert answer.status_code == 422
    part = check_refusal(answer.text, "plan", "headline", first, "This button was used already")
    assert buttons(part) == [("secondary", "Pay the next one, SAR 171.50")]


@BOTH
@PLACES
def test_a_declined_card_leaves_the_button_as_it_is(
    app: Flask, plans: list[int], press: Press, origin: str, place: str, htmx: bool
) -> None:
    first = ids(app, plans[1 if (origin, place) == ("home", "row") else 0])[0]
    answer = press(first, origin, place, htmx=htmx, method="card_declined")
    assert answer.status_code == 402
    part = check_refusal(answer.text, origin, place, first, "Your card was declined. Nothing was charged.")
    kind = "secondary" if (origin, place) == ("plan", "row") else "primary"
    assert buttons(part) == [(kind, "Pay SAR 171.50")]


def test_a_refusal_brings_the_other_rows_up_to_date(app: Flask, plans: list[int], press: Press) -> None:
    installments = ids(app, plans[0])
    for installment in installments[:2]:
        pay(app, installment)
    answer = press(installments[0], "plan", "row", htmx=True)
    assert "Receipt" in row(answer.text, "plan", installments[1])


def test_the_form_with_other_amounts(app: Flask, plans: list[int]) -> None:
    omar, address = browser_of(app, "omar"), f"/plans/{plans[0]}/pay"
    sent = {**fields(omar.get(address)), "choice": "next", "amount": "", "method": "card_ok"}
    pay(app, ids(app, plans[0])[0])
    answer = omar.post(address, data=sent)
    assert answer.status_code == 409
    refusal = answer.text.index("What is owed has changed meanwhile. Nothing was charged.")
    button = answer.text.index('<button class="btn btn-secondary btn-lg" type="submit" id="pay-now">')
    assert answer.text.index('id="pay-method"') < refusal < button, "beside the button"
    assert "Pay SAR\u00a0171.50 instead" in answer.text and "data-error-summary" not in answer.text
    declined = omar.post(address, data={**sent, **fields(answer), "method": "card_declined"})
    assert declined.status_code == 402
    assert '<button class="btn btn-primary btn-lg" type="submit" id="pay-now">' in declined.text
