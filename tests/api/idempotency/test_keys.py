"""A repeated request with the same Idempotency-Key is carried out once and gets the same response."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.domain import clock
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.gateways.payment.simulated.tables import charges
from portal.models import IdempotencyKey, Payment, PaymentMethod, Plan, Refund
from portal.services.payments import outcomes, refunds
from tests.api import Api, Person, a_name, create_plan, merchant, problem
from tests.fixtures import operations, people, webhooks

TERMS = {"total_amount": "100.00", "num_installments": 3, "start_date": "2026-08-31"}
REPLAYED = "Idempotent-Replayed"


def count(app: Flask, table: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(table)) or 0


def pay_address(plan: dict[str, Any], number: int = 0) -> str:
    return f"/api/plans/installments/{plan['installments'][number]['id']}/pay/"


def test_a_second_request_with_the_same_key_is_replayed(app: Flask, amal: Person, omar: Person) -> None:
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


def test_a_replay_has_the_location_header_too(app: Flask, amal: Person, omar: Person, api: Api) -> None:
    """Covers every operation with a Location header."""
    with app.app_context():
        endpoint, event = webhooks.a_sent_event(people.owner(amal.id))
    plan = create_plan(amal, omar.email, num_installments=4)
    paid, base = pay_address(plan, 0), f"/api/plans/{plan['id']}"
    assert omar.api.post(paid).status_code == 200
    lost = {"payment_method": "card_lost_charged"}
    tomorrow = str(clock.today("Asia/Riyadh") + timedelta(days=1))
    with operations.registration(app, "approval"):
        dana = merchant(api)
    badr = merchant(api)
    create_plan(badr, omar.email)
    asks = {
        "plans_create": (amal, "/api/plans/", {"customer_email": omar.email, **TERMS}),
        "payments_record": (
            amal,
            f"{base}/payments/",
            {"amount": "1.00", "method": "cash", "received_on": clock.today("Asia/Riyadh").isoformat()},
        ),
        "refunds_create": (amal, f"{base}/refunds/", {"amount": "1.00", "reason": "A layer was missing"}),
        "invitations_create": (
            amal,
            f"/api/plans/{create_plan(amal, 'nadia@example.com')['id']}/invitations/",
            {"kind": "pay"},
        ),
        "plan_actions_reschedule": (
            amal,
            f"/api/plans/{create_plan(amal, omar.email)['id']}/reschedule/",
            {"how": "split", "num_installments": 1, "due_date": tomorrow, "reason": "All at once"},
        ),
        "plan_drafts_create": (dana, "/api/plan-drafts/", {"customer_email": omar.email, **TERMS}),
        "payment_methods_create": (omar, "/api/payment-methods/", {"card": "card_ok"}),
        "webhook_endpoints_send_again": (amal, f"/api/webhook-endpoints/{endpoint}/deliveries/{event}/send/", {}),
        "installments_pay": (omar, pay_address(plan, 1), lost),
        "shops_pay": (omar, f"/api/shops/{badr.id}/pay/", lost),
        "payments_pay": (omar, f"/api/plans/{create_plan(amal, omar.email)['id']}/pay/", {"choice": "all", **lost}),
    }
    document = api.get("/api/openapi.json").json()
    declared = set()
    for path in document["paths"].values():
        for operation in path.values():
            for response in operation.get("responses", {}).values() if isinstance(operation, dict) else ():
                if {"Location", "Idempotent-Replayed"} <= set(response.get("headers", ())):
                    declared.add(operation["operationId"])
    assert declared == set(asks)
    for name, (person, where, body) in asks.items():
        first = person.api.post(where, body, Idempotency_Key=name)
        accepted = body.keys() >= lost.keys() or name in ("webhook_endpoints_send_again", "plan_actions_reschedule")
        assert first.status_code == (202 if accepted else 201), first.text
        assert person.api.get(first.headers["Location"]).status_code == 200, name
        if first.status_code == 201:
            again = person.api.post(where, body, Idempotency_Key=name)
            assert again.headers[REPLAYED] == "true"
            assert again.headers.get("Location") == first.headers["Location"], name


def test_a_key_is_scoped_to_its_caller_and_address(app: Flask, amal: Person, omar: Person, api: Api) -> None:
    badr = merchant(api)
    body = {"customer_email": omar.email, **TERMS}
    plans = [person.api.post("/api/plans/", body, Idempotency_Key="1").json() for person in (amal, badr)]
    assert plans[0]["id"] != plans[1]["id"]
    paid = [omar.api.post(pay_address(plan), Idempotency_Key="1") for plan in plans]
    assert [response.status_code for response in paid] == [200, 200]
    assert all(REPLAYED not in response.headers for response in paid)
    assert count(app, Payment) == 2


@pytest.mark.parametrize(("card", "status"), [("card_ok", 200), ("card_declined", 402)])
def test_a_repeated_payment_gets_the_same_response(
    app: Flask, amal: Person, omar: Person, card: str, status: int
) -> None:
    where = pay_address(create_plan(amal, omar.email))
    responses = [omar.api.post(where, {"payment_method": card}, Idempotency_Key="k") for _ in range(3)]
    assert {response.status_code for response in responses} == {status}
    assert len({response.content for response in responses}) == 1
    assert len({response.headers["Content-Type"] for response in responses}) == 1
    assert [REPLAYED in response.headers for response in responses] == [False, True, True]
    assert count(app, Payment) == 1


def test_an_unknown_outcome_is_still_running_until_the_payment_is_settled(
    app: Flask, amal: Person, omar: Person
) -> None:
    where = pay_address(create_plan(amal, omar.email))
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
    with app.app_context():
        assert people.bounce(known.json()["payment"]["id"]).state == "reversed"
    assert omar.api.post(where, body, Idempotency_Key="k").content == known.content


def test_every_change_of_a_plan_is_replayed(app: Flask, amal: Person, omar: Person) -> None:
    plan = create_plan(amal, omar.email, start_date="2199-08-31")
    base = f"/api/plans/{plan['id']}"
    cash = {"amount": "20.00", "method": "cash", "received_on": clock.today("Asia/Riyadh").isoformat()}
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
    closed = amal.api.get(f"{base}/").json()
    money = ("total_amount", "paid", "credited", "remaining", "refunded", "refunding")
    assert [closed[name] for name in money] == ["100.00", "50.00", "50.00", "0.00", "30.00", "0.00"]
    assert (count(app, Payment), count(app, Refund), count(app, PaymentMethod)) == (3, 3, 1)


def test_a_write_off_a_reversal_and_a_void_are_replayed(app: Flask, amal: Person, omar: Person) -> None:
    plan = create_plan(amal, omar.email, start_date="2199-08-31")
    paid = omar.api.post(f"/api/plans/{plan['id']}/pay/", {"choice": "amount", "amount": "30.00"}).json()
    cash = {"amount": "5.00", "method": "cash", "received_on": clock.today("Asia/Riyadh").isoformat()}
    cash = amal.api.post(f"/api/plans/{plan['id']}/payments/", cash).json()
    with app.app_context():
        assert gateway.active().bounce(people.payment_of(paid["id"]).gateway_key or "")
    for where, body in (
        (f"/api/payments/{paid['id']}/reverse/", {}),
        (f"/api/payments/{cash['id']}/void/", {"reason": "Written down twice"}),
        (f"/api/plans/{plan['id']}/write-off/", {"reason": "It bounced"}),
    ):
        first, again = (amal.api.post(where, body, Idempotency_Key="k") for _ in range(2))
        assert first.status_code == again.status_code == 200, first.text
        assert first.content == again.content and again.headers[REPLAYED] == "true"
        if body:
            problem(amal.api.post(where, {"reason": "Another"}, Idempotency_Key="k"), 422, "idempotency_key_reused")


def test_a_refund_with_an_unknown_outcome_is_replayed_once_it_is_known(app: Flask, amal: Person, omar: Person) -> None:
    for card, status in (("card_refund_lost_done", 201), ("card_refund_lost_not_done", 409)):
        plan = create_plan(amal, omar.email)
        omar.api.post(pay_address(plan), {"payment_method": card})
        where, body = f"/api/plans/{plan['id']}/refunds/", {"amount": "5.00", "reason": "A layer was missing"}
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
        response = amal.api.call("POST", "/api/plans/", body, Idempotency_Key=key.encode("latin-1"))  # type: ignore[arg-type]
        refusal = problem(response, 422, "bad_idempotency_key")
        assert refusal["errors"][0]["pointer"] == "#/Idempotency-Key"
    assert amal.api.post("/api/plans/", body, Idempotency_Key="~" * 255).status_code == 201
    assert count(app, Plan) == 1


def test_responses_with_secrets_are_never_stored(app: Flask, api: Api, omar: Person) -> None:
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
        refusal = problem(amal.api.post("/api/plans/", {**body, **changed}), 409, "external_id_used")
        assert refusal["plan_id"] == first.json()["id"]
    assert merchant(api).api.post("/api/plans/", body).status_code == 201
    assert count(app, Plan) == 2


def test_eight_at_once_with_one_external_id_make_one_plan(app: Flask, amal: Person, omar: Person) -> None:
    body = {"customer_email": f"{a_name('new')}@example.com", **TERMS, "external_id": "order-8"}
    responses = concurrently(8, lambda: amal.api.as_(amal.api.token).post("/api/plans/", body))
    assert sorted(response.status_code for response in responses) == [200] * 7 + [201]
    assert len({response.content for response in responses}) == 1
    assert count(app, Plan) == 1


def test_eight_at_once_with_one_key_make_one_plan(app: Flask, amal: Person, omar: Person) -> None:
    body = {"customer_email": f"{a_name('new')}@example.com", **TERMS}
    responses = concurrently(8, lambda: amal.api.as_(amal.api.token).post("/api/plans/", body, Idempotency_Key="k"))
    assert {response.status_code for response in responses} == {201}
    assert len({response.content for response in responses}) == 1
    assert sum(REPLAYED in response.headers for response in responses) == 7
    assert count(app, Plan) == 1


@pytest.mark.parametrize(
    "payable", [pytest.param(20, marks=pytest.mark.long), pytest.param(300, marks=pytest.mark.proof)]
)
def test_payments_that_are_sent_eight_times_at_once_have_one_effect_each(
    app: Flask, amal: Person, omar: Person, payable: int
) -> None:
    plans = [create_plan(amal, omar.email, num_installments=20, total_amount="200.00") for _ in range(payable // 20)]
    where = [pay_address(plan, number) for plan in plans for number in range(20)]
    callers = [omar.api.as_(omar.api.token) for _ in range(8)]
    together = threading.Barrier(8)

    def pay_all(caller: Api) -> list[tuple[int, bytes]]:
        replies = []
        for number, address in enumerate(where):
            together.wait(60)
            response = caller.post(address, Idempotency_Key=f"pay-{number}")
            replies.append((response.status_code, response.content))
        return replies

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(pay_all, callers))
    for of_payment in zip(*results, strict=True):
        assert len(set(of_payment)) == 1 and of_payment[0][0] == 200, of_payment
    assert count(app, Payment) == count(app, charges) == payable
    assert {plan["status"] for plan in omar.api.get("/api/plans/").json()} == {"completed"}
    assert amal.api.get("/api/analytics/dashboard/").json()["total_revenue"] == payable * 10


def concurrently(times: int, act: Any) -> list[Any]:
    together = threading.Barrier(times)

    def call(_: int) -> Any:
        together.wait(60)
        return act()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(call, range(times)))
