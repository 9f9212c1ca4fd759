"""Rescheduling by the API."""

from tests.api import Api, register

TERMS = {"customer_email": "omar@example.com", "total_amount": "90.00", "num_installments": 3}


def test_a_plan_gets_other_days_and_lists_leave_out_what_was_replaced(app, api: Api):
    amal = register(api, "merchant", "amal", business_name="Amal's Bakery", home_currency="SAR")
    plan = amal.api.post("/api/plans/", TERMS | {"start_date": "2099-01-31"}).json()
    address = f"/api/plans/{plan['id']}/"
    why = {"reason": "Salary comes later"}
    move = {"how": "move", "installment": plan["installments"][0]["id"], "due_date": "2099-02-10", **why}
    moved = amal.api.post(f"{address}reschedule/", move)
    assert moved.status_code == 200, moved.text
    assert [row["due_date"] for row in moved.json()["installments"]] == ["2099-02-10", "2099-02-28", "2099-03-31"]
    listed = amal.api.get(f"{address}installments/").json()
    assert listed == moved.json()["installments"]
    whole = amal.api.get(f"{address}installments/?include=replaced").json()
    assert [row["moved"] for row in whole].count("30.00") == 1
    assert [row["status"] for row in amal.api.get("/api/plans/installments/?status=replaced").json()] == ["replaced"]
    early = amal.api.post(f"{address}reschedule/", {**move, "installment": listed[0]["id"], "due_date": "2099-01-01"})
    assert (early.status_code, early.json()["state"]) == (202, "open")
    bad = amal.api.post(f"{address}reschedule/", {"how": "shift", "days": 400, **why})
    assert bad.status_code == 422
    assert [fault["pointer"] for fault in bad.json()["errors"]] == ["#/days"]


def test_a_field_that_a_change_does_not_use_is_refused(app, api: Api):
    """An ignored `installment` would move all of them."""
    amal = register(api, "merchant", "amal", business_name="Amal's Bakery", home_currency="SAR")
    plan = amal.api.post("/api/plans/", TERMS | {"start_date": "2099-01-31"}).json()
    first = plan["installments"][0]["id"]
    for more, unused in (
        ({"how": "shift", "days": 7, "installment": first}, ["#/installment"]),
        ({"how": "shift", "days": 7, "due_date": "2099-03-01", "num_installments": 2},
         ["#/due_date", "#/num_installments"]),
        ({"how": "move", "installment": first, "due_date": "2099-02-10", "days": 7}, ["#/days"]),
        ({"how": "split", "due_date": "2099-02-10", "num_installments": 2, "installment": first}, ["#/installment"]),
        ({"how": "split", "due_date": "2099-02-10", "num_installments": 2, "days": 7, "reason": ""},
         ["#/reason", "#/days"]),
    ):  # fmt: skip
        refused = amal.api.post(f"/api/plans/{plan['id']}/reschedule/", {"reason": "Salary comes later", **more})
        assert refused.status_code == 422, refused.text
        faults = refused.json()["errors"]
        assert [fault["pointer"] for fault in faults] == unused
        assert {fault["code"] for fault in faults} <= {"not_with_change", "required"}
    assert amal.api.get(f"/api/plans/{plan['id']}/").json()["installments"] == plan["installments"]


def test_a_plan_shows_the_open_proposal_to_both_parties_until_it_is_answered_or_void(app, api: Api):
    amal = register(api, "merchant", "amal", business_name="Amal's Bakery", home_currency="SAR")
    omar = register(api, "customer", "omar")
    plan = amal.api.post("/api/plans/", TERMS | {"customer_email": omar.email, "start_date": "2099-01-31"}).json()
    assert plan["reschedule_proposal"] is None
    address = f"/api/plans/{plan['id']}/"
    early = {"how": "split", "num_installments": 1, "due_date": "2099-01-31", "reason": "We move house"}

    def shown() -> list[object]:
        return [
            *(who.api.get(address).json()["reschedule_proposal"] for who in (amal, omar)),
            *(who.api.get("/api/plans/").json()[0]["reschedule_proposal"] for who in (amal, omar)),
        ]

    asked = amal.api.post(f"{address}reschedule/", early).json()
    assert shown() == [asked] * 4
    assert asked["before"][0] == {"due_date": "2099-01-31", "amount": "30.00"}
    declined = omar.api.post(f"{address}reschedule/decline/", {"proposal": asked["id"]})
    assert declined.status_code == 200 and shown() == [None] * 4
    amal.api.post(f"{address}reschedule/", early)
    credited = amal.api.post(f"{address}credits/", {"amount": "1.00", "reason": "Late"}).json()
    assert credited["reschedule_proposal"] is None and shown() == [None] * 4
    again = amal.api.post(f"{address}reschedule/", early).json()
    accepted = omar.api.post(f"{address}reschedule/accept/", {"proposal": again["id"]}).json()
    assert accepted["reschedule_proposal"] is None and shown() == [None] * 4
