"""Paying an installment on the pages: every outcome, idempotency, with htmx and without JavaScript."""

import dataclasses
import re
import threading

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.extensions import db
from portal.gateways.payment.simulated.tables import charges
from portal.models import Payment
from portal.services.payments import outcomes
from tests.fixtures import people
from tests.web import HTMX, browser_of

KEY = "one-use-key-0123456789"


@pytest.fixture
def plan(app: Flask, database: str) -> int:
    """Amal sold Omar a desk for SAR 1,200 in four parts; the first is due today."""
    with app.app_context():
        amal = people.amal()
        people.omar(), people.badr(), people.sara()
        return people.a_plan(amal, total=1200_00, count=4, description="Oak desk")


def ids(app: Flask, plan: int) -> list[int]:
    with app.app_context():
        return [row.id for row in people.installments_of(plan)]


def press(client: FlaskClient, installment: int, *, htmx: bool = False, **more: str) -> TestResponse:
    """Send the pay form of an installment of SAR 300.00."""
    data = {"key": KEY, "shown": "30000", "method": "card_ok", "from": "plan", **more}
    return client.post(f"/installments/{installment}/payments", data=data, headers=HTMX if htmx else {})


def charged(app: Flask) -> int:
    """The number of charges that the gateway recorded."""
    with app.app_context():
        return db.session.scalar(select(func.count()).where(charges.c.outcome == "charged")) or 0


def row_of(page: str, installment: int) -> str:
    match = re.search(rf'<tr[^>]*id="installment-{installment}".*?</tr>', page, re.DOTALL)
    assert match, "the row is not on the page"
    return match[0]


def headline_button(page: str) -> bool:
    """Whether the page begins with a button that pays."""
    return re.search(r'<button[^>]*id="pay-next"', page) is not None


def test_paying_returns_to_the_plan_with_the_row_paid(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    response = press(omar, first)
    assert (response.status_code, response.location) == (303, f"/plans/{plan}")
    page = omar.get(response.location).text
    assert "SAR\u00a0300.00 paid" in page
    assert "Paid" in row_of(page, first) and "Receipt" in row_of(page, first)
    assert "1 of 4 paid" in page
    assert not headline_button(page), "no button where the second press of a double click would land"
    assert headline_button(omar.get(response.location).text), "the next visit starts with what is next"
    assert charged(app) == 1


def test_with_htmx_paying_swaps_the_row_and_the_parts_around_it(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    response = press(omar, first, htmx=True)
    assert response.status_code == 200
    assert "HX-Request" in response.headers["Vary"]
    assert response.text.lstrip().startswith("<tr")
    assert "<html" not in response.text
    assert "Paid" in row_of(response.text, first)
    for part in ("plan-summary", "plan-payments", "plan-timeline"):
        assert re.search(rf'id="{part}"[^>]*hx-swap-oob="true"', response.text), part
    assert re.search(r'id="announcement"[^>]*hx-swap-oob="innerHTML"[^>]*>SAR\u00a0300\.00 paid<', response.text)
    assert "segment-new" in response.text
    assert 'hx-trigger="every 2s"' not in response.text


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("card_declined", "Your card was declined. Nothing was charged."),
        ("card_insufficient_funds", "There is not enough money on this card. Nothing was charged."),
    ],
)
def test_a_declined_card_is_explained_beside_the_button(app: Flask, plan: int, card: str, words: str) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    fragment = press(omar, first, htmx=True, method=card)
    page = press(omar, first, method=card, key=KEY + "-2")
    for response in (fragment, page):
        assert response.status_code == 402
        assert words in row_of(response.text, first)
        assert "Pay SAR" in row_of(response.text, first)
        assert KEY not in response.text, "the button has a new key"
    assert "<html" in page.text
    assert charged(app) == 0


def test_an_unknown_outcome_shows_checking_until_it_is_settled(app: Flask, plan: int) -> None:
    omar, installments = browser_of(app, "omar"), ids(app, plan)
    first = installments[0]
    response = press(omar, first, htmx=True, method="card_lost_charged")
    assert response.status_code == 202
    row = row_of(response.text, first)
    assert "Checking with the bank" in row and 'hx-trigger="every 2s"' in row and "<form" not in row
    assert "<form" not in row_of(response.text, installments[1]), "the other buttons wait too"
    assert omar.get(f"/installments/{first}", headers=HTMX).status_code == 204
    page = omar.get(f"/plans/{plan}").text
    assert "Reload this page" in page and 'id="pay-next"' not in page

    with app.app_context():
        outcomes.settle_payment(db.session.scalars(select(Payment.id)).one())
    settled = omar.get(f"/installments/{first}", headers=HTMX)
    assert settled.status_code == 200
    assert "Paid" in row_of(settled.text, first) and "every 2s" not in settled.text
    assert "Pay SAR" in row_of(settled.text, installments[1]), "and come back"
    assert "1 of 4 paid" in settled.text
    assert charged(app) == 1


def test_a_charge_that_never_arrived_is_explained_once_settled(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    assert press(omar, first, method="card_lost_not_charged").status_code == 303
    with app.app_context():
        outcomes.settle_payment(db.session.scalars(select(Payment.id)).one())
    settled = omar.get(f"/installments/{first}", headers=HTMX)
    row = row_of(settled.text, first)
    assert "The bank did not get this payment. Nothing was charged." in row and "Pay SAR" in row
    assert charged(app) == 0


def test_the_same_form_sent_again_shows_the_same_result_and_pays_once(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    responses = [press(omar, first, htmx=True) for _ in range(3)]
    assert [response.status_code for response in responses] == [200, 200, 200]
    assert all("Paid" in row_of(response.text, first) for response in responses)
    declined = [press(omar, ids(app, plan)[1], htmx=True, method="card_declined") for _ in range(2)]
    assert [response.status_code for response in declined] == [402, 402]
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Payment)) == 2
    assert charged(app) == 1


def test_concurrent_submits_of_one_form_are_one_payment(app: Flask, plan: int) -> None:
    first = ids(app, plan)[0]
    browsers = [browser_of(app, "omar") for _ in range(4)]
    codes: list[int] = []
    start = threading.Barrier(len(browsers))

    def pay(client: FlaskClient) -> None:
        start.wait()
        codes.append(press(client, first).status_code)

    threads = [threading.Thread(target=pay, args=(client,)) for client in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [303] * 4
    assert charged(app) == 1


def test_a_used_key_with_another_body_is_refused_with_a_new_key(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    press(omar, first, method="card_declined")
    response = press(omar, first, method="card_ok", htmx=True)
    assert response.status_code == 422
    assert "This button was used already, and nothing was charged this time." in row_of(response.text, first)
    fresh = re.search(r'name="key" value="([^"]+)"', row_of(response.text, first))
    assert fresh and fresh[1] != KEY
    assert press(omar, first, key=fresh[1], htmx=True).status_code == 200


def test_a_changed_amount_is_refused_and_nothing_is_charged(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    for htmx in (True, False):
        response = press(omar, first, shown="29999", htmx=htmx, key=f"{KEY}-{htmx}")
        assert response.status_code == 409
        row = row_of(response.text, first)
        assert "What is owed has changed: it is SAR\u00a0300.00 now. Nothing was charged." in row
        assert 'name="shown" value="30000"' in row
    assert charged(app) == 0


def test_paying_a_paid_installment_from_a_second_tab_is_refused(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    press(omar, first)
    response = press(omar, first, key=KEY + "-2", htmx=True)
    assert response.status_code == 409
    assert "Paid" in row_of(response.text, first) and "<form" not in row_of(response.text, first)
    assert "This installment is already paid. Nothing was charged." in response.text
    assert charged(app) == 1


def test_a_second_payment_is_refused_while_the_first_is_checked(app: Flask, plan: int) -> None:
    omar, (first, second, *_) = browser_of(app, "omar"), ids(app, plan)
    press(omar, first, method="card_lost_charged")
    response = press(omar, second, htmx=True)
    assert response.status_code == 409
    assert "still being checked with the bank" in response.text
    assert charged(app) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"key": ""},
        {"key": "short"},
        {"key": "x" * 300},
        {"key": "\x00" * 20},
        {"shown": ""},
        {"shown": "3e4"},
        {"shown": "-1"},
        {"shown": "9" * 40},
        {"shown": "300.00"},
        {"shown": "٣٠٠٠٠"},
    ],
)
def test_a_malformed_form_charges_nothing(app: Flask, plan: int, more: dict[str, str]) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    for htmx in (True, False):
        response = press(omar, first, htmx=htmx, **more)
        assert response.status_code == 422
        assert "Nothing was charged." in row_of(response.text, first)
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Payment)) == 0


@pytest.mark.parametrize("method", ["card_nobody_knows", "", "\x00", "x" * 5000])
def test_an_unknown_card_charges_nothing(app: Flask, plan: int, method: str) -> None:
    response = press(browser_of(app, "omar"), ids(app, plan)[0], method=method)
    assert response.status_code == 409
    assert "Nothing was charged." in response.text
    assert charged(app) == 0


def test_only_the_customer_pays(app: Flask, plan: int) -> None:
    first = ids(app, plan)[0]
    assert press(browser_of(app, "amal"), first).status_code == 403
    assert press(browser_of(app, "badr"), first).status_code == 404
    assert press(browser_of(app, "sara"), first).status_code == 404
    anonymous = app.test_client()
    assert press(anonymous, first).location == "/login"
    expired = press(anonymous, first, htmx=True)
    assert expired.status_code == 401 and "/login" in expired.headers["HX-Redirect"]
    assert charged(app) == 0


@pytest.mark.parametrize("number", ["0", "999999", str(2**63), "9" * 30, "-1", "one"])
def test_an_unknown_or_malformed_id_is_a_404(app: Flask, plan: int, number: str) -> None:
    omar = browser_of(app, "omar")
    assert omar.post(f"/installments/{number}/payments", data={}).status_code == 404
    assert omar.get(f"/installments/{number}").status_code == 404
    assert omar.get(f"/payments/{number}").status_code == 404


def test_an_installments_address_redirects_to_its_plan(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    assert omar.get(f"/installments/{first}").location == f"/plans/{plan}"
    assert omar.get(f"/installments/{first}/payments").location == f"/plans/{plan}"
    assert browser_of(app, "sara").get(f"/installments/{first}", headers=HTMX).status_code == 404


def test_the_last_payment_completes_the_plan(app: Flask, plan: int) -> None:
    omar = browser_of(app, "omar")
    for number, installment in enumerate(ids(app, plan)):
        response = press(omar, installment, htmx=True, key=f"{KEY}-{number}")
    assert "Everything is paid." in response.text
    page = omar.get(f"/plans/{plan}").text
    assert "All paid" in page and "4 of 4 paid" in page and "Completed" in page
    assert "<form" not in row_of(page, installment)


def test_the_receipt_is_visible_to_the_plans_parties_only(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    press(omar, first)
    with app.app_context():
        payment = db.session.scalars(select(Payment)).one()
        address, reference = f"/payments/{payment.id}", payment.gateway_reference or ""
    for client in (omar, browser_of(app, "amal")):
        page = client.get(address)
        assert page.status_code == 200
        for words in ("Receipt", "SAR\u00a0300.00", "Oak desk", "1 of 4", "omar", reference):
            assert words in page.text
    assert browser_of(app, "sara").get(address).status_code == 404
    assert browser_of(app, "badr").get(address).status_code == 404


def test_a_payment_that_did_not_succeed_has_no_receipt(app: Flask, plan: int) -> None:
    omar, (first, second, *_) = browser_of(app, "omar"), ids(app, plan)
    press(omar, first, method="card_declined")
    press(omar, second, method="card_lost_charged", key=KEY + "-2")
    with app.app_context():
        declined, waiting = db.session.scalars(select(Payment.id).order_by(Payment.id))
    page = omar.get(f"/payments/{declined}").text
    assert ">Receipt<" not in page and "Your card was declined. Nothing was charged." in page
    assert "The card was declined." in browser_of(app, "amal").get(f"/payments/{declined}").text
    assert "Checking with the bank" in omar.get(f"/payments/{waiting}").text


def test_payments_are_rate_limited_by_account(
    app: Flask, plan: int, limits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = dataclasses.replace(app.config["QIST"], ratelimit_writes="2 per minute")
    monkeypatch.setitem(app.config, "QIST", few)
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    responses = [press(omar, first, htmx=True, method="card_declined", key=f"{KEY}-{tries}") for tries in range(3)]
    assert [response.status_code for response in responses] == [402, 402, 429]
    assert int(responses[2].headers["Retry-After"]) > 0
    assert responses[2].headers["HX-Retarget"] == "#flashes", "the row stays as it is"
    assert press(browser_of(app, "amal"), first).status_code == 403, "the limit counts each account by itself"


def test_a_payment_without_a_valid_csrf_token_is_refused(
    app: Flask, plan: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)
    assert press(omar, first).status_code == 400
    assert press(omar, first, csrf_token="not this session's").status_code == 400
    assert charged(app) == 0


class TestAfterPaying:
    """The offers of the receipt to its payer."""

    def test_it_says_what_is_left_and_saves_the_card_that_paid(self, app: Flask, database: str) -> None:
        with app.app_context():
            amal, omar = people.amal(), people.omar()
            plan_id = people.a_plan(amal, total=90_00, count=3)
            payment_id = people.pay(people.installments_of(plan_id)[0].id, omar).id
        browser, receipt = browser_of(app, "omar"), f"/payments/{payment_id}"
        page = browser.get(receipt).text
        assert "SAR\u00a060.00</bdi> remaining" in page and "Next:" in page and "Add to calendar" in page
        assert "Save this card" in page and "Pay the rest automatically" not in page
        saved = browser.post("/payment-methods", data={"card": "card_ok", "payment": str(payment_id)})
        assert (saved.status_code, saved.location) == (303, receipt)
        page = browser.get(receipt).text
        assert "Save this card" not in page and "Pay the rest automatically with Visa ending in 4242" in page
        token = re.search(r'name="method" value="([^"]+)"', page)
        assert token
        browser.post(f"/plans/{plan_id}/automatic-payment", data={"method": token[1]})
        assert "Pay the rest automatically" not in browser.get(receipt).text
        assert "after-paying" not in browser_of(app, "amal").get(receipt).text

    def test_the_last_payment_says_that_all_is_paid(self, app: Flask, database: str) -> None:
        with app.app_context():
            amal, omar = people.amal(), people.omar()
            plan_id = people.a_plan(amal, total=90_00, count=1)
            payment_id = people.pay(people.installments_of(plan_id)[0].id, omar).id
        page = browser_of(app, "omar").get(f"/payments/{payment_id}").text
        assert "All paid" in page and "1 of 1 paid" in page and "Save this card" not in page

    def test_the_receipt_of_somebody_else_saves_nothing(self, app: Flask, database: str) -> None:
        with app.app_context():
            amal, omar = people.amal(), people.omar()
            people.sara()
            payment_id = people.pay(people.installments_of(people.a_plan(amal))[0].id, omar).id
        sara = browser_of(app, "sara")
        data = {"card": "card_ok", "payment": str(payment_id)}
        assert sara.post("/payment-methods", data=data).status_code == 404
        assert "Visa ending in 4242" not in sara.get("/payment-methods").text.split("<form")[0]
