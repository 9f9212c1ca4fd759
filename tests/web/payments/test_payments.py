"""Paying an installment on the pages: every outcome, once, in place and without JavaScript."""

import dataclasses
import re
import threading

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.extensions import db
from portal.gateways.payment import charges
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
    """How many charges the gateway itself remembers."""
    with app.app_context():
        return db.session.scalar(select(func.count()).where(charges.c.outcome == "charged")) or 0


def row_of(page: str, installment: int) -> str:
    found = re.search(rf'<tr[^>]*id="installment-{installment}".*?</tr>', page, re.DOTALL)
    assert found, "the row is not on the page"
    return found[0]


def test_omar_pays_and_comes_back_to_his_plan_where_the_row_is_paid(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    answer = press(omar, first)
    assert (answer.status_code, answer.location) == (303, f"/plans/{plan}")
    page = omar.get(answer.location).text
    assert "SAR\u00a0300.00 paid" in page
    assert "Paid" in row_of(page, first) and "Receipt" in row_of(page, first)
    assert "1 of 4 paid" in page
    assert "Pay SAR\u00a0300.00" not in page, "no button where the second press of a double click would land"
    assert "Pay SAR\u00a0300.00" in omar.get(answer.location).text, "the next visit starts with what is next"
    assert charged(app) == 1


def test_with_htmx_the_row_comes_back_paid_and_the_rest_of_the_page_follows(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    answer = press(omar, first, htmx=True)
    assert answer.status_code == 200
    assert "HX-Request" in answer.headers["Vary"]
    assert answer.text.lstrip().startswith("<tr")
    assert "<html" not in answer.text
    assert "Paid" in row_of(answer.text, first)
    for part in ("plan-summary", "plan-payments", "plan-timeline"):
        assert re.search(rf'id="{part}"[^>]*hx-swap-oob="true"', answer.text), part
    assert re.search(r'id="announcement"[^>]*hx-swap-oob="innerHTML"[^>]*>SAR\u00a0300\.00 paid<', answer.text)
    assert "segment-new" in answer.text
    assert 'hx-trigger="every 2s"' not in answer.text


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("card_declined", "Your card was declined. Nothing was charged."),
        ("card_insufficient_funds", "There is not enough money on this card. Nothing was charged."),
    ],
)
def test_a_declined_card_is_told_in_words_beside_the_button(app: Flask, plan: int, card: str, words: str) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    fragment = press(omar, first, htmx=True, method=card)
    page = press(omar, first, method=card, key=KEY + "-2")
    for answer in (fragment, page):
        assert answer.status_code == 402
        assert words in row_of(answer.text, first)
        assert "Pay now" in row_of(answer.text, first)
        assert KEY not in answer.text, "the button has a key of its own again"
    assert "<html" in page.text
    assert charged(app) == 0


def test_no_answer_from_the_bank_is_checking_until_it_is_known(app: Flask, plan: int) -> None:
    omar, installments = browser_of(app, "omar"), ids(app, plan)
    first = installments[0]
    answer = press(omar, first, htmx=True, method="card_lost_charged")
    assert answer.status_code == 202
    row = row_of(answer.text, first)
    assert "Checking with the bank" in row and 'hx-trigger="every 2s"' in row and "<form" not in row
    assert "<form" not in row_of(answer.text, installments[1]), "the other buttons wait too"
    assert omar.get(f"/installments/{first}", headers=HTMX).status_code == 204
    page = omar.get(f"/plans/{plan}").text
    assert "Reload this page" in page and 'id="pay-next"' not in page

    with app.app_context():
        outcomes.settle_payment(db.session.scalars(select(Payment.id)).one())
    settled = omar.get(f"/installments/{first}", headers=HTMX)
    assert settled.status_code == 200
    assert "Paid" in row_of(settled.text, first) and "every 2s" not in settled.text
    assert "Pay now" in row_of(settled.text, installments[1]), "and come back"
    assert "1 of 4 paid" in settled.text
    assert charged(app) == 1


def test_a_payment_the_bank_never_got_is_told_when_that_is_known(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    assert press(omar, first, method="card_lost_not_charged").status_code == 303
    with app.app_context():
        outcomes.settle_payment(db.session.scalars(select(Payment.id)).one())
    settled = omar.get(f"/installments/{first}", headers=HTMX)
    row = row_of(settled.text, first)
    assert "The bank did not get this payment. Nothing was charged." in row and "Pay now" in row
    assert charged(app) == 0


def test_a_resend_of_the_same_form_shows_the_same_result_and_pays_once(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    answers = [press(omar, first, htmx=True) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert all("Paid" in row_of(answer.text, first) for answer in answers)
    declined = [press(omar, ids(app, plan)[1], htmx=True, method="card_declined") for _ in range(2)]
    assert [answer.status_code for answer in declined] == [402, 402]
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Payment)) == 2
    assert charged(app) == 1


def test_two_presses_at_once_are_one_payment(app: Flask, plan: int) -> None:
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


def test_a_key_that_comes_back_with_another_body_gets_a_fresh_form(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    press(omar, first, method="card_declined")
    answer = press(omar, first, method="card_ok", htmx=True)
    assert answer.status_code == 422
    assert "This button was used already, and nothing was charged this time." in row_of(answer.text, first)
    fresh = re.search(r'name="key" value="([^"]+)"', row_of(answer.text, first))
    assert fresh and fresh[1] != KEY
    assert press(omar, first, key=fresh[1], htmx=True).status_code == 200


def test_nothing_is_charged_when_the_amount_changed_meanwhile(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    for htmx in (True, False):
        answer = press(omar, first, shown="29999", htmx=htmx, key=f"{KEY}-{htmx}")
        assert answer.status_code == 409
        row = row_of(answer.text, first)
        assert "What is owed has changed: it is SAR\u00a0300.00 now. Nothing was charged." in row
        assert 'name="shown" value="30000"' in row
    assert charged(app) == 0


def test_a_second_tab_that_still_shows_the_button_is_told_that_it_is_paid(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    press(omar, first)
    answer = press(omar, first, key=KEY + "-2", htmx=True)
    assert answer.status_code == 409
    assert "Paid" in row_of(answer.text, first) and "<form" not in row_of(answer.text, first)
    assert "This installment is already paid. Nothing was charged." in answer.text
    assert charged(app) == 1


def test_another_installment_waits_while_one_is_checked(app: Flask, plan: int) -> None:
    omar, (first, second, *_) = browser_of(app, "omar"), ids(app, plan)
    press(omar, first, method="card_lost_charged")
    answer = press(omar, second, htmx=True)
    assert answer.status_code == 409
    assert "still being checked with the bank" in answer.text
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
def test_a_form_that_came_broken_charges_nothing(app: Flask, plan: int, more: dict[str, str]) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    for htmx in (True, False):
        answer = press(omar, first, htmx=htmx, **more)
        assert answer.status_code == 422
        assert "Nothing was charged." in row_of(answer.text, first)
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Payment)) == 0


@pytest.mark.parametrize("method", ["card_nobody_knows", "", "\x00", "x" * 5000])
def test_an_unknown_card_charges_nothing(app: Flask, plan: int, method: str) -> None:
    answer = press(browser_of(app, "omar"), ids(app, plan)[0], method=method)
    assert answer.status_code == 409
    assert "Nothing was charged." in answer.text
    assert charged(app) == 0


def test_only_the_customer_pays(app: Flask, plan: int) -> None:
    first = ids(app, plan)[0]
    assert press(browser_of(app, "amal"), first).status_code == 403
    assert press(browser_of(app, "badr"), first).status_code == 404
    assert press(browser_of(app, "sara"), first).status_code == 404
    nobody = app.test_client()
    assert press(nobody, first).location == "/login"
    expired = press(nobody, first, htmx=True)
    assert expired.status_code == 401 and "/login" in expired.headers["HX-Redirect"]
    assert charged(app) == 0


@pytest.mark.parametrize("number", ["0", "999999", str(2**63), "9" * 30, "-1", "one"])
def test_an_installment_that_is_not_there_is_a_404(app: Flask, plan: int, number: str) -> None:
    omar = browser_of(app, "omar")
    assert omar.post(f"/installments/{number}/payments", data={}).status_code == 404
    assert omar.get(f"/installments/{number}").status_code == 404
    assert omar.get(f"/payments/{number}").status_code == 404


def test_the_row_s_own_address_leads_people_to_the_plan(app: Flask, plan: int) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    assert omar.get(f"/installments/{first}").location == f"/plans/{plan}"
    assert omar.get(f"/installments/{first}/payments").location == f"/plans/{plan}"
    assert browser_of(app, "sara").get(f"/installments/{first}", headers=HTMX).status_code == 404


def test_the_last_payment_completes_the_plan(app: Flask, plan: int) -> None:
    omar = browser_of(app, "omar")
    for number, installment in enumerate(ids(app, plan)):
        answer = press(omar, installment, htmx=True, key=f"{KEY}-{number}")
    assert "Everything is paid." in answer.text
    page = omar.get(f"/plans/{plan}").text
    assert "All paid" in page and "4 of 4 paid" in page and "Completed" in page
    assert "<form" not in row_of(page, installment)


def test_the_receipt_is_for_the_two_of_them(app: Flask, plan: int) -> None:
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


def test_a_payment_without_money_is_no_receipt(app: Flask, plan: int) -> None:
    omar, (first, second, *_) = browser_of(app, "omar"), ids(app, plan)
    press(omar, first, method="card_declined")
    press(omar, second, method="card_lost_charged", key=KEY + "-2")
    with app.app_context():
        declined, waiting = db.session.scalars(select(Payment.id).order_by(Payment.id))
    page = omar.get(f"/payments/{declined}").text
    assert ">Receipt<" not in page and "Your card was declined. Nothing was charged." in page
    assert "The card was declined." in browser_of(app, "amal").get(f"/payments/{declined}").text
    assert "Checking with the bank" in omar.get(f"/payments/{waiting}").text


def test_too_many_payments_in_a_minute_have_to_wait(
    app: Flask, plan: int, limits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = dataclasses.replace(app.config["QIST"], ratelimit_writes="2 per minute")
    monkeypatch.setitem(app.config, "QIST", few)
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    answers = [press(omar, first, htmx=True, method="card_declined", key=f"{KEY}-{tries}") for tries in range(3)]
    assert [answer.status_code for answer in answers] == [402, 402, 429]
    assert int(answers[2].headers["Retry-After"]) > 0
    assert answers[2].headers["HX-Retarget"] == "#flashes", "the row stays as it is"
    assert press(browser_of(app, "amal"), first).status_code == 403, "somebody else has tries of their own"


def test_a_payment_without_the_sessions_token_is_refused(
    app: Flask, plan: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    omar, first = browser_of(app, "omar"), ids(app, plan)[0]
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)
    assert press(omar, first).status_code == 400
    assert press(omar, first, csrf_token="not this session's").status_code == 400
    assert charged(app) == 0
