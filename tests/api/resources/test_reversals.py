"""Reversals over HTTP: the gateway's word counts, not the merchant's."""

from flask import Flask

from portal.domain import clock
from portal.gateways import payment as gateway
from tests.api import Api, Person, create_plan, merchant, problem
from tests.fixtures import people

TODAY = clock.today("Asia/Riyadh")


def test_a_card_payment_is_reversed_once_the_gateway_says_so(app: Flask, api: Api, amal: Person, omar: Person) -> None:
    """Before, the merchant's word was enough, and the customer was charged a second time."""
    plan = create_plan(amal, omar.email, start_date=TODAY.isoformat())
    pay = f"/api/plans/{plan['id']}/pay/"
    payment = omar.api.post(pay, {"choice": "all"}).json()
    assert payment["value_at"] and payment["gateway_reference"]
    where = f"/api/payments/{payment['id']}/reverse/"
    problem(omar.api.post(where, {}), 403, "forbidden")
    problem(merchant(api).api.post(where, {}), 404, "not_found")
    problem(amal.api.post(where, {}), 409, "not_reversed_by_gateway")
    problem(amal.api.post(where.replace("reverse", "void"), {"reason": "x"}), 409, "not_voidable")
    problem(omar.api.post(pay, {"choice": "all"}), 409, "already_paid")
    with app.app_context():
        assert gateway.active().bounce(people.payment_of(payment["id"]).gateway_key or "")
    response = amal.api.post(where, {})
    assert response.status_code == 200, response.text
    assert response.json()["state"] == "reversed" and response.json()["reversed_at"]
    assert amal.api.post(where).json() == response.json(), "a second question changes nothing"
    reopened = omar.api.get(f"/api/plans/{plan['id']}/").json()
    assert (reopened["status"], reopened["paid"], reopened["remaining"]) == ("active", "0.00", "100.00")
