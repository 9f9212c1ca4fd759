"""A customer's saved cards."""

from flask import Flask

from portal.extensions import db
from portal.models import Payment
from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.web import browser_of
from tests.web.acts import words
from tests.web.payments.test_plan_payments import pay


def test_a_saved_card_pays_and_is_removed(app: Flask, database: str) -> None:
    with app.app_context():
        amal = people.amal()
        people.omar(), people.sara()
        plan = people.a_plan(amal, count=2)
    omar = browser_of(app, "omar")
    assert "No saved card yet" in omar.get("/payment-methods").text
    done = omar.post("/payment-methods", data={"card": "card_ok"})
    assert (done.status_code, done.location) == (303, "/payment-methods")
    assert "Visa ending in 4242" in omar.get("/payment-methods").text
    for address in (f"/plans/{plan}", "/home"):
        assert '<optgroup label="Your saved cards">' in omar.get(address).text
    form = omar.get(f"/plans/{plan}/pay").text
    token = form.split('<option value="pm_', 1)[1].split('"', 1)[0]
    assert form.index("pm_") < form.index("card_ok"), "saved cards come first"
    receipt = pay(omar, plan, choice="next", method=f"pm_{token}")
    assert "Paid with Visa ending in 4242" in words(omar.get(receipt.location))
    assert "Visa ending in 4242" in browser_of(app, "amal").get(f"/plans/{plan}").text
    with app.app_context():
        assert db.session.scalars(db.select(Payment.method)).one() == f"pm_{token}", "the row holds the token"

    sara = browser_of(app, "sara")
    assert sara.post("/payment-methods/1/remove").status_code == 404
    assert "4242</span>" not in sara.get("/payment-methods").text
    assert omar.post("/payment-methods/1/remove").status_code == 303
    assert omar.post("/payment-methods/1/remove").status_code == 404
    assert "No saved card yet" in omar.get("/payment-methods").text
    assert "Visa ending in 4242" in omar.get(receipt.location).text, "the receipt still says it"
    refused = pay(omar, plan, choice="next", method=f"pm_{token}")
    assert refused.status_code == 409 and "Nothing was charged" in words(refused)


def test_an_unknown_card_is_refused_and_the_number_of_cards_is_limited(app: Flask, database: str) -> None:
    with app.app_context():
        people.omar(), people.amal()
    omar = browser_of(app, "omar")
    for card in ("", "4242 4242 4242 4242", "\x00", "x" * 5000):
        response = omar.post("/payment-methods", data={"card": card})
        assert response.status_code == 422 and 'id="card-error"' in response.text, card
    for _ in range(10):
        omar.post("/payment-methods", data={"card": "card_ok"})
    full = omar.post("/payment-methods", data={"card": "card_ok"})
    assert full.status_code == 409 and "You can keep 10 payment methods." in full.text
    with queries(app) as sent:
        omar.get("/payment-methods")
    assert len(sent) <= 3
    assert browser_of(app, "amal").get("/payment-methods").status_code == 403
