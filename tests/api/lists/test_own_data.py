"""The merchant's own ids and metadata of plans, payments and refunds: sent, kept, found, changed."""

from datetime import UTC, datetime
from typing import Any

from flask import Flask
from sqlalchemy import text

from portal.extensions import db
from portal.services.privacy import erasures
from tests.api import Api, Person, create_plan, merchant, problem
from tests.fixtures.concurrency import at_once
from tests.fixtures.people import PASSWORD

CASH = {"amount": "10.00", "method": "cash"}


def refund(amal: Person, plan: dict[str, Any], **more: Any) -> Any:
    body = {"amount": "1.00", "reason": "A layer was missing", **more}
    return amal.api.post(f"/api/plans/{plan['id']}/refunds/", body)


def record(amal: Person, plan: dict[str, Any], **more: Any) -> Any:
    return amal.api.post(
        f"/api/plans/{plan['id']}/payments/", {**CASH, "received_on": str(datetime.now(UTC).date()), **more}
    )


def test_a_recorded_payment_keeps_its_id_and_metadata(amal: Person, omar: Person) -> None:
    plan = create_plan(amal, omar.email)
    first = record(amal, plan, external_id=" receipt-1 ", metadata={"till": "2"})
    assert first.status_code == 201
    assert (first.json()["external_id"], first.json()["metadata"]) == ("receipt-1", {"till": "2"})
    again = record(amal, plan, external_id="receipt-1", metadata={"till": "3"})
    assert again.status_code == 200 and again.json() == first.json(), "the same payment"
    for other in ({"amount": "11.00"}, {"method": "transfer"}, {"reference": "RF18"}):
        refused = problem(record(amal, plan, external_id="receipt-1", **other), 409, "external_id_used")
        assert refused["payment_id"] == first.json()["id"]
    problem(record(amal, create_plan(amal, omar.email), external_id="receipt-1"), 409, "external_id_used")
    assert amal.api.get("/api/payments/?external_id=receipt-1").json() == [first.json()]
    assert amal.api.get("/api/payments/?metadata=till:2").json() == [first.json()]
    assert amal.api.get("/api/payments/?metadata=till:3").json() == []
    assert omar.api.get(f"/api/payments/{first.json()['id']}/").json() == first.json()


def test_a_refund_keeps_its_id_and_metadata(amal: Person, omar: Person) -> None:
    plan = create_plan(amal, omar.email)
    for installment in plan["installments"][:2]:
        assert omar.api.post(f"/api/plans/installments/{installment['id']}/pay/").status_code == 200
    first = refund(amal, plan, amount="40.00", external_id="return-1", metadata={"desk": "3"})
    assert first.status_code == 201
    rows = first.json()["refunds"]
    assert [(row["external_id"], row["metadata"]) for row in rows] == [("return-1", {"desk": "3"})] * 2
    again = refund(amal, plan, amount="40.00", external_id="return-1")
    assert again.status_code == 200 and again.json() == first.json()
    for other in ({"amount": "41.00"}, {"amount": "40.00", "reason": "Another"}, {"payment": rows[0]["payment"]}):
        refused = problem(refund(amal, plan, **{"external_id": "return-1", **other}), 409, "external_id_used")
        assert refused["refund_ids"] == [row["id"] for row in rows]
    assert len(amal.api.get("/api/refunds/?external_id=return-1").json()) == 2
    assert len(amal.api.get("/api/refunds/?metadata[desk]=3").json()) == 2
    assert amal.api.get(f"/api/plans/{plan['id']}/").json()["refunded"] == "40.00"


def test_two_businesses_may_have_the_same_ids(api: Api, amal: Person, omar: Person) -> None:
    other = merchant(api)
    for seller in (amal, other):
        plan = create_plan(seller, omar.email)
        assert record(seller, plan, external_id="receipt-1").status_code == 201
        assert refund(seller, plan, external_id="return-1").status_code == 201


def test_of_simultaneous_requests_with_one_id_one_is_carried_out(app: Flask, amal: Person, omar: Person) -> None:
    plans = [create_plan(amal, omar.email) for _ in range(2)]
    answers = at_once(app, [lambda plan=plan: record(amal, plan, external_id="receipt-1") for plan in plans])
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    paid = plans[[answer.status_code for answer in answers].index(201)]
    refunds = at_once(app, [lambda: refund(amal, paid, external_id="return-1")] * 3)
    assert sorted(answer.status_code for answer in refunds) == [200, 200, 201]
    assert len(amal.api.get("/api/refunds/").json()) == 1


def test_metadata_are_merged(amal: Person, omar: Person) -> None:
    plan = create_plan(amal, omar.email, metadata={"branch": "Olaya", "seller": "Layla"})
    payment = record(amal, plan, metadata={"branch": "Olaya"}).json()
    back = refund(amal, plan).json()["refunds"][0]
    for address, before in (
        (f"/api/plans/{plan['id']}/", plan["metadata"]),
        (f"/api/payments/{payment['id']}/", payment["metadata"]),
        (f"/api/refunds/{back['id']}/", back["metadata"]),
    ):
        changes = {"metadata": {"branch": None, "order": "7", "unknown": None}}
        for _ in range(2):
            changed = amal.api.call("PATCH", address, changes)
            assert changed.status_code == 200, changed.text
            expected = {name: value for name, value in before.items() if name != "branch"} | {"order": "7"}
            assert changed.json()["metadata"] == expected
        assert amal.api.get(address).json()["metadata"] == changed.json()["metadata"]
        assert amal.api.call("PATCH", address, {"metadata": {}}).json()["metadata"] == expected
        many = {f"name{number}": "x" for number in range(20)}
        for bad, code in (
            ({"metadata": many}, "too_many"),
            ({"metadata": {"n" * 41: "x"}}, "too_long"),
            ({"metadata": {"n": "x" * 501}}, "too_long"),
            ({"metadata": {"n": 1}}, "wrong_type"),
            ({"metadata": None}, "wrong_type"),
            ({}, "required"),
            ({"metadata": {}, "status": "cancelled"}, "unknown_field"),
            ({"metadata": {"a": "\x00"}}, "bad_text"),
        ):
            problem(amal.api.call("PATCH", address, bad), 422, code)
        assert amal.api.get(address).json()["metadata"] == expected
        for method in ("PUT", "DELETE"):
            problem(amal.api.call(method, address), 405, "method_not_allowed")
    found = amal.api.get("/api/plans/?metadata=order:7&metadata[seller]=Layla").json()
    assert [row["id"] for row in found] == [plan["id"]]
    assert datetime.fromisoformat(found[0]["updated_at"]) > datetime.fromisoformat(plan["updated_at"])


def test_metadata_belong_to_the_merchant(api: Api, amal: Person, omar: Person) -> None:
    plan = create_plan(amal, omar.email)
    payment = record(amal, plan).json()
    back = refund(amal, plan).json()["refunds"][0]
    other, body = merchant(api), {"metadata": {"a": "b"}}
    for address in (f"/api/plans/{plan['id']}/", f"/api/payments/{payment['id']}/", f"/api/refunds/{back['id']}/"):
        problem(omar.api.call("PATCH", address, body), 403, "forbidden")
        problem(other.api.call("PATCH", address, body), 404, "not_found")
        problem(api.call("PATCH", address, body), 401, "no_token")
        assert amal.api.get(address).json()["metadata"] == {}


def test_the_id_of_a_declined_refund_is_free_again(amal: Person, omar: Person) -> None:
    plan = create_plan(amal, omar.email)
    where = f"/api/plans/installments/{plan['installments'][0]['id']}/pay/"
    paid = omar.api.post(where, {"payment_method": "card_refund_declined"})
    assert paid.status_code == 200
    problem(refund(amal, plan, external_id="return-1"), 409, "refund_declined")
    problem(refund(amal, plan, external_id="return-1"), 409, "refund_declined")
    assert len(amal.api.get("/api/refunds/?external_id=return-1").json()) == 2


def test_metadata_end_with_the_retention_of_an_erased_person(app: Flask, amal: Person, omar: Person) -> None:
    plan = create_plan(amal, omar.email, metadata={"name": "Omar"})
    record(amal, plan, metadata={"name": "Omar"}, amount="100.00")
    refund(amal, plan, metadata={"name": "Omar"})
    with app.app_context():
        erasures.erase(omar.id, password=PASSWORD)
        db.session.execute(text("UPDATE plans SET closed_at = now() - interval '11 years'"))
        db.session.commit()
        assert erasures.purge_retained() == 1
        for table in ("plans", "payments", "refunds"):
            assert db.session.scalars(text(f"SELECT metadata FROM {table}")).all() == [{}]  # noqa: S608
