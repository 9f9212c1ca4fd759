"""The trial balance, and money in and out."""

from typing import Any
from urllib.parse import urlsplit

from tests.api import Person, create_plan, problem


def _a_day(amal: Person, omar: Person) -> dict[str, Any]:
    """A plan of 100 of which 33.34 was paid by card, and 1.34 went back."""
    plan = create_plan(amal, omar.email)
    paid = omar.api.post(f"/api/plans/installments/{plan['installments'][0]['id']}/pay/")
    assert paid.status_code == 200, paid.text
    back = amal.api.post(f"/api/plans/{plan['id']}/refunds/", {"amount": "1.34", "reason": "A layer was missing"})
    assert back.status_code == 201, back.text
    return plan


def test_a_trial_balance_has_each_account_and_adds_up(amal: Person, omar: Person) -> None:
    _a_day(amal, omar)
    answer = amal.api.get("/api/trial-balance/")
    assert answer.status_code == 200, answer.text
    (sar,) = answer.json()["by_currency"]
    sides = {row["account"]: (row["debit"], row["credit"]) for row in sar["accounts"]}
    assert sides == {
        "clearing": ("32.00", None),
        "receivable": ("66.66", None),
        "sales": (None, "100.00"),
        "refunds": ("1.34", None),
    }
    assert (sar["currency"], sar["total"]) == ("SAR", "100.00")
    assert amal.api.get("/api/trial-balance?on=2020-01-01").json() == {"on": "2020-01-01", "by_currency": []}
    problem(amal.api.get("/api/trial-balance/?on=yesterday"), 422, "bad_date")
    problem(amal.api.get("/api/trial-balance/?date=2026-01-01"), 422, "unknown_parameter")
    problem(omar.api.get("/api/trial-balance/"), 403, "forbidden")


def test_money_in_and_out_is_listed_by_booking_date(amal: Person, omar: Person) -> None:
    plan = _a_day(amal, omar)
    response = amal.api.get("/api/movements/?include=total&limit=1")
    (back,) = response.json()
    assert response.headers["X-Total-Count"] == "2"
    (paid,) = amal.api.get(urlsplit(response.links["next"]["url"])._replace(scheme="", netloc="").geturl()).json()
    assert (paid["kind"], paid["money_in"], paid["money_out"], paid["refund"]) == ("payment", "33.34", None, None)
    assert (back["kind"], back["money_in"], back["money_out"], back["lost"]) == ("refund", None, "1.34", "0.00")
    assert {row["plan"] for row in (paid, back)} == {plan["id"]} and back["payment"] == paid["payment"]
    day = paid["booked_on"]
    assert len(amal.api.get(f"/api/movements/?from={day}&to={day}&currency=SAR").json()) == 2
    for query in ("currency=USD", "to=2020-01-01", "from=2199-01-01"):
        assert amal.api.get(f"/api/movements/?{query}").json() == []
    problem(amal.api.get("/api/movements/?from=soon"), 422, "bad_date")
    problem(omar.api.get("/api/movements/"), 403, "forbidden")
