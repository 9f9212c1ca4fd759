"""A request that is sent again under its key is carried out once, and answered the same."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.extensions import db
from portal.gateways.payment import charges
from portal.models import IdempotencyKey, Payment, PaymentMethod, Plan, Refund
from portal.services.payments import outcomes, refunds
from tests.api import Api, Person, a_name, customer, merchant, plan, problem

TERMS = {"total_amount": "100.00", "num_installments": 3, "start_date": "2026-08-31"}
REPLAYED = "Idempotent-Replayed"


@pytest.fixture
def amal(api: Api) -> Person:
    return merchant(api)


@pytest.fixture
def omar(api: Api) -> Person:
    return customer(api)


def count(app: Flask, table: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(table)) or 0


def pay_address(made: dict[str, Any], number: int = 0) -> str:
    return f"/api/plans/installments/{made['installments'][number]['id']}/pay/"


def test_the_same_plan_twice_is_one_plan(app: Flask, amal: Person, omar: Person) -> None:
    body = {"customer_email": omar.email, **TERMS}
    first = amal.api.post("/api/plans/", body, Idempotency_Key="order-1")
    again = amal.api.post("/api/plans", dict(reversed(body.items())), Idempotency_Key="order-1")
    assert first.status_code == again.status_code == 201
    assert first.content == again.content and REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true" and again.headers["Content-Type"] == "application/json"
    assert count(app, Plan) == 1
    other = amal.api.post("/api/plans/", {**body, "total_amount": "100.01"}, Idempotency_Key="order-1")
    problem(other, 422, "idempotency_key_reused")
    assert amal.api.post("/api/plans/", body, Idempotency_Key="order-2").json()["id"] != first.json()["id"]


def test_the_address_of_what_was_made_comes_again_too(app: Flask, amal: Person, omar: Person, api: Api) -> None:
    """Of every operation that says where what it made can be looked at."""
    made = plan(amal, omar.email, num_installments=4)
    paid, base = pay_address(made, 0), f"/api/plans/{made['id']}"
    assert omar.api.post(paid).status_code == 200
    lost = {"payment_method": "card_lost_charged"}
    asks = {
        "plans_create": (amal, "/api/plans/", {"customer_email": omar.email, **TERMS}),
        "payments_record": (
            amal,
            f"{base}/payments/",
            {"amount": "1.00", "method": "cash", "received_on": "2026-09-01"},
        ),
        "refunds_create": (amal, f"{base}/refunds/", {"amount": "1.00", "reason": "A layer was missing"}),
        "payment_methods_create": (omar, "/api/payment-methods/", {"card": "card_ok"}),
        "installments_pay": (omar, pay_address(made, 1), lost),
        "payments_pay": (omar, f"/api/plans/{plan(amal, omar.email)['id']}/pay/", {"choice": "all", **lost}),
    }
    document = api.get("/api/openapi.json").json()
    declared = set()
    for operations in document["paths"].values():
        for operation in operations.values():
            for answer in operation.get("responses", {}).values() if isinstance(operation, dict) else ():
                if {"Location", "Idempotent-Replayed"} <= set(answer.get("headers", ())):
                    declared.add(operation["operationId"])
    assert declared == set(asks)
    for name, (person, where, body) in asks.items():
        first = person.api.post(where, body, Idempotency_Key=name)
        assert first.status_code == (202 if body.keys() >= lost.keys() else 201), first.text
        assert person.api.get(first.headers["Location"]).status_code == 200, name
        if first.status_code == 201:
            again = person.api.post(where, body, Idempotency_Key=name)
            assert again.headers[REPLAYED] == "true"
            assert again.headers.get("Location") == first.headers["Location"], name


def test_a_key_counts_for_its_caller_and_address_only(app: Flask, amal: Person, omar: Person, api: Api) -> None:
    badr = merchant(api)
    body = {"customer_email": omar.email, **TERMS}
    made = [person.api.post("/api/plans/", body, Idempotency_Key="1").json() for person in (amal, badr)]
    assert made[0]["id"] != made[1]["id"]
    paid = [omar.api.post(pay_address(one), Idempotency_Key="1") for one in made]
    assert [answer.status_code for answer in paid] == [200, 200]
    assert all(REPLAYED not in answer.headers for answer in paid)
    assert count(app, Payment) == 2


@pytest.mark.parametrize(("card", "status"), [("card_ok", 200), ("card_declined", 402)])
def test_a_payment_is_answered_the_same(app: Flask, amal: Person, omar: Person, card: str, status: int) -> None:
    where = pay_address(plan(amal, omar.email))
    answers = [omar.api.post(where, {"payment_method": card}, Idempotency_Key="k") for _ in range(3)]
    assert {answer.status_code for answer in answers} == {status}
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["Content-Type"] for answer in answers}) == 1
    assert [REPLAYED in answer.headers for answer in answers] == [False, True, True]
    assert count(app, Payment) == 1


def test_a_lost_answer_is_still_running_and_later_what_became_of_it(app: Flask, amal: Person, omar: Person) -> None:
    where = pay_address(plan(amal, omar.email))
    body = {"payment_method": "card_lost_charged"}
    first = omar.api.post(where, body, Idempotency_Key="k")
    assert first.status_code == 202
    waiting = omar.api.post(where, body, Idempotency_Key="k")
    problem(waiting, 409, "still_running")
    assert int(waiting.headers["Retry-After"]) >= 1
    problem(omar.api.post(where, body), 409, "payment_in_flight")
    with app.app_context():
        outcomes.settle_payment(first.json()["payment"]["id"])
    known = omar.api.post(where, body, Idempotency_Key="k")
    assert known.status_code == 200 and known.headers[REPLAYED] == "true"
    assert known.json()["status"] == "paid" and known.json()["payment"]["id"] == first.json()["payment"]["id"]
    bounced = {"reason": "The bank took it back"}
    assert amal.api.post(f"/api/payments/{known.json()['payment']['id']}/reverse/", bounced).status_code == 200
    assert omar.api.post(where, body, Idempotency_Key="k").content == known.content


def test_every_change_of_a_plan_is_carried_out_once_and_answered_the_same(
    app: Flask, amal: Person, omar: Person
) -> None:
    made = plan(amal, omar.email, start_date="2199-08-31")
    base = f"/api/plans/{made['id']}"
    cash = {"amount": "20.00", "method": "cash", "received_on": "2026-09-01"}
    for number, (person, where, body, status) in enumerate(
        [
            (omar, f"{base}/pay/", {"choice": "amount", "amount": "30.00"}, 200),
            (omar, f"{base}/pay/", {"choice": "all", "payment_method": "card_declined"}, 402),
            (amal, f"{base}/payments/", cash, 201),
            (amal, f"{base}/refunds/", {"amount": "25.00", "reason": "A layer was missing"}, 201),
            (amal, f"{base}/credits/", {"amount": "10.00", "reason": "Late"}, 200),
            (amal, f"{base}/cancel/", {"refund": "5.00", "reason": "Returned"}, 200),
            (omar, "/api/payment-methods/", {"card": "card_ok"}, 201),
        ]
    ):
        first = person.api.post(where, body, Idempotency_Key=f"k{number}")
        assert first.status_code == status, first.text
        again = person.api.post(where.rstrip("/"), body, Idempotency_Key=f"k{number}")
        assert (again.status_code, again.content) == (status, first.content), where
        assert again.headers[REPLAYED] == "true" and REPLAYED not in first.headers
        assert status not in (201, 202) or again.headers["Location"] == first.headers["Location"]
        other = {**body, "card": "card_slow"} if "card" in body else {**body, "payment_method": "card_slow"}
        other = other if person is omar else {**body, "expected": "1.00"}
        problem(person.api.post(where, other, Idempotency_Key=f"k{number}"), 422, "idempotency_key_reused")
    found = amal.api.get(f"{base}/").json()
    money = ("total_amount", "paid", "credited", "remaining", "refunded", "refunding")
    assert [found[name] for name in money] == ["100.00", "50.00", "50.00", "0.00", "30.00", "0.00"]
    assert (count(app, Payment), count(app, Refund), count(app, PaymentMethod)) == (3, 3, 1)


def test_a_write_off_and_a_reversal_too(amal: Person, omar: Person) -> None:
    made = plan(amal, omar.email, start_date="2199-08-31")
    paid = omar.api.post(f"/api/plans/{made['id']}/pay/", {"choice": "amount", "amount": "30.00"}).json()
    body = {"reason": "It bounced"}
    for where in (f"/api/payments/{paid['id']}/reverse/", f"/api/plans/{made['id']}/write-off/"):
        first, again = (amal.api.post(where, body, Idempotency_Key="k") for _ in range(2))
        assert first.status_code == again.status_code == 200, first.text
        assert first.content == again.content and again.headers[REPLAYED] == "true"
        problem(amal.api.post(where, {"reason": "Another"}, Idempotency_Key="k"), 422, "idempotency_key_reused")


def test_a_refund_whose_answer_was_lost_is_answered_when_it_is_known(app: Flask, amal: Person, omar: Person) -> None:
    for card, status in (("card_refund_lost_done", 201), ("card_refund_lost_not_done", 409)):
        made = plan(amal, omar.email)
        omar.api.post(pay_address(made), {"payment_method": card})
        where, body = f"/api/plans/{made['id']}/refunds/", {"amount": "5.00", "reason": "A layer was missing"}
        first = amal.api.post(where, body, Idempotency_Key="k")
        assert first.status_code == 202 and first.json()["refunding"] == "5.00"
        refund_id = first.json()["refunds"][0]["id"]
        with app.app_context():
            refunds.settle_refund(refund_id)
        known = amal.api.post(where, body, Idempotency_Key="k")
        assert known.status_code == status and known.headers[REPLAYED] == "true"
        if status == 201:
            assert (known.json()["refunded"], known.json()["refunds"][0]["id"]) == ("5.00", refund_id)
            assert known.headers["Location"] == f"/api/refunds/{refund_id}/"
        else:
            assert problem(known, 409, "refund_declined")["refund_ids"] == [refund_id]
        assert amal.api.post(where, body, Idempotency_Key="k").content == known.content


def test_a_refusal_without_effect_leaves_the_key_free(app: Flask, amal: Person, omar: Person) -> None:
    body = {"customer_email": omar.email, **TERMS}
    problem(amal.api.post("/api/plans/", {**body, "total_amount": "0.02"}, Idempotency_Key="k"), 422, "total_too_small")
    assert amal.api.post("/api/plans/", body, Idempotency_Key="k").status_code == 201
    assert count(app, IdempotencyKey) == 1


def test_keys_that_can_not_be_used(app: Flask, amal: Person, omar: Person) -> None:
    body = {"customer_email": omar.email, **TERMS}
    for key in ("", "a b", "é", "x" * 256, "a\tb"):
        answer = amal.api.call("POST", "/api/plans/", body, Idempotency_Key=key.encode("latin-1"))  # type: ignore[arg-type]
        found = problem(answer, 422, "bad_idempotency_key")
        assert found["errors"][0]["pointer"] == "#/Idempotency-Key"
    assert amal.api.post("/api/plans/", body, Idempotency_Key="~" * 255).status_code == 201
    assert count(app, Plan) == 1


def test_answers_that_are_secrets_are_never_kept(app: Flask, api: Api, omar: Person) -> None:
    name = a_name("nora")
    account = {"username": name, "email": f"{name}@example.com", "password": "x y z 1 2 3", "password2": "x y z 1 2 3"}
    for _ in range(2):
        api.post("/auth/register/", {**account, "role": "customer"}, Idempotency_Key="k")
        api.post("/token/refresh/", {"refresh": omar.refresh}, Idempotency_Key="k")
    assert count(app, IdempotencyKey) == 0


def test_the_same_external_id_is_the_same_plan(app: Flask, amal: Person, omar: Person, api: Api) -> None:
    body = {"customer_email": omar.email, **TERMS, "external_id": "order-7", "metadata": {"branch": "Olaya"}}
    first = amal.api.post("/api/plans/", body)
    again = amal.api.post("/api/plans/", {**body, "customer_email": omar.email.upper()})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (first.json()["external_id"], first.json()["metadata"]) == ("order-7", {"branch": "Olaya"})
    for changed in ({"total_amount": "100.01"}, {"metadata": {}}, {"description": "x"}, {"interval": "weekly"}):
        found = problem(amal.api.post("/api/plans/", {**body, **changed}), 409, "external_id_used")
        assert found["plan_id"] == first.json()["id"]
    assert merchant(api).api.post("/api/plans/", body).status_code == 201
    assert count(app, Plan) == 2


def test_eight_at_once_with_one_external_id_make_one_plan(app: Flask, amal: Person, omar: Person) -> None:
    body = {"customer_email": f"{a_name('new')}@example.com", **TERMS, "external_id": "order-8"}
    answers = at_once(8, lambda: amal.api.as_(amal.api.token).post("/api/plans/", body))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.content for answer in answers}) == 1
    assert count(app, Plan) == 1


def test_eight_at_once_with_one_key_make_one_plan(app: Flask, amal: Person, omar: Person) -> None:
    body = {"customer_email": f"{a_name('new')}@example.com", **TERMS}
    answers = at_once(8, lambda: amal.api.as_(amal.api.token).post("/api/plans/", body, Idempotency_Key="k"))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum(REPLAYED in answer.headers for answer in answers) == 7
    assert count(app, Plan) == 1


@pytest.mark.parametrize("payable", [20, pytest.param(300, marks=pytest.mark.proof)])
def test_payments_that_are_sent_eight_times_at_once_have_one_effect_each(
    app: Flask, amal: Person, omar: Person, payable: int
) -> None:
    made = [plan(amal, omar.email, num_installments=20, total_amount="200.00") for _ in range(payable // 20)]
    where = [pay_address(one, number) for one in made for number in range(20)]
    callers = [omar.api.as_(omar.api.token) for _ in range(8)]
    together = threading.Barrier(8)

    def pay_all(caller: Api) -> list[tuple[int, bytes]]:
        found = []
        for number, address in enumerate(where):
            together.wait(30)
            answer = caller.post(address, Idempotency_Key=f"pay-{number}")
            found.append((answer.status_code, answer.content))
        return found

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(pay_all, callers))
    for of_one in zip(*answers, strict=True):
        assert len(set(of_one)) == 1 and of_one[0][0] == 200, of_one
    assert count(app, Payment) == count(app, charges) == payable
    assert {one["status"] for one in omar.api.get("/api/plans/").json()} == {"completed"}
    assert amal.api.get("/api/analytics/dashboard/").json()["total_revenue"] == payable * 10


def at_once(times: int, act: Any) -> list[Any]:
    together = threading.Barrier(times)

    def one(_: int) -> Any:
        together.wait(10)
        return act()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))
