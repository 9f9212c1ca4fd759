"""Reversals over HTTP: the gateway's word counts, not the merchant's."""

from flask import Flask

from portal.domain import clock
from portal.gateways import payment as gateway
from portal.reports.exports.payments import export_payments
from tests.api import Api, Person, create_plan, merchant, problem
from tests.fixtures import people


def test_a_card_payment_is_reversed_once_the_gateway_says_so(app: Flask, api: Api, amal: Person, omar: Person) -> None:
    """Before, the merchant's word was enough, and the customer was charged a second time."""
    plan = create_plan(amal, omar.email, start_date=clock.today("Asia/Riyadh").isoformat())
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


def test_api_and_file_tell_the_same_of_a_loss_and_of_a_dispute_that_was_won(
    app: Flask, amal: Person, omar: Person
) -> None:
    """The bank takes the whole charge although a part was refunded, and gives back what was kept and a part of it."""
    plan = create_plan(amal, omar.email, start_date=clock.today("Asia/Riyadh").isoformat())
    payment = omar.api.post(f"/api/plans/{plan['id']}/pay/", {"choice": "all"}).json()
    refunded = amal.api.post(f"/api/plans/{plan['id']}/refunds/", {"amount": "30.00", "reason": "Torn"})
    assert refunded.status_code == 201, refunded.text
    with app.app_context():
        people.bounce(payment["id"], 100_00)
        people.win(payment["id"], 75_00)
    shown = {row["id"]: row for row in amal.api.get("/api/payments/").json()}
    (won,) = set(shown) - {payment["id"]}
    told = ("amount", "refunded", "reversed", "lost", "regained", "wins_back")
    assert [shown[payment["id"]][name] for name in told] == ["100.00", "30.00", "70.00", "30.00", "5.00", None]
    assert [shown[won][name] for name in told] == ["70.00", "0.00", "0.00", "0.00", "0.00", payment["id"]]
    with app.app_context():
        export = export_payments(people.owner(amal.id))
        filed = {row["payment"]: row for row in (dict(zip(export.header, cells, strict=True)) for cells in export.rows)}
    for row_id, row in shown.items():
        assert [str(filed[row_id][name]) for name in told] == [str(row[name]) for name in told]
        assert (filed[row_id]["state"], filed[row_id]["plan"]) == (row["state"], plan["id"])
