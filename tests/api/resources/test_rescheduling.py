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
