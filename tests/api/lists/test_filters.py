"""Filters of lists: by instants, metadata, the shop's own number, customer, currency and plan."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

import pytest
from flask import Flask
from sqlalchemy import text

from portal.extensions import db
from portal.jobs import tasks
from tests.api import Api, Person, create_plan, customer, merchant, problem

RANGES = (
    "/api/plans/",
    "/api/plans/installments/",
    "/api/payments/",
    "/api/refunds/",
    "/api/customers/",
    "/api/events/",
)


def ids(person: Person, address: str, **query: object) -> list[object]:
    response = person.api.get(f"{address}?{urlencode(query)}")
    assert response.status_code == 200, response.text
    return sorted(row["id"] for row in response.json())


def paid_and_refunded(amal: Person, omar: Person, **more: object) -> tuple[dict, dict, dict]:
    plan = create_plan(amal, omar.email, **more)
    paid = omar.api.post(f"/api/plans/installments/{plan['installments'][0]['id']}/pay/").json()
    body = {"amount": "1.00", "reason": "A layer was missing"}
    refund = amal.api.post(f"/api/plans/{plan['id']}/refunds/", body).json()["refunds"][0]
    return plan, paid["payment"], refund


def test_every_list_takes_a_range_of_instants(app: Flask, amal: Person, omar: Person) -> None:
    paid_and_refunded(amal, omar)
    with app.app_context():
        tasks.number_events()
    now = datetime.now(UTC)
    soon, before = (now + timedelta(hours=1)).isoformat(), (now - timedelta(hours=1)).isoformat()
    for address in RANGES:
        every = amal.api.get(address).json()
        assert every, address
        for query in ({"created_after": before}, {"created_before": soon}, {"created_after": "2020-01-01"}):
            assert amal.api.get(f"{address}?{urlencode(query)}").json() == every, (address, query)
        for query in ({"created_after": soon}, {"created_before": before}, {"created_before": "2020-01-01"}):
            assert amal.api.get(f"{address}?{urlencode(query)}").json() == [], (address, query)


def test_both_bounds_are_exclusive_to_the_microsecond(amal: Person, omar: Person) -> None:
    plan = create_plan(amal, omar.email)
    for name in ("created", "updated"):
        at = plan[f"{name}_at"]
        around = [
            (datetime.fromisoformat(at) + timedelta(microseconds=step)).isoformat().replace("+00:00", "Z")
            for step in (-1, 1)
        ]
        assert ids(amal, "/api/plans/", **{f"{name}_after": at}) == []
        assert ids(amal, "/api/plans/", **{f"{name}_before": at}) == []
        inside = {f"{name}_after": around[0], f"{name}_before": around[1]}
        assert ids(amal, "/api/plans/", **inside) == [plan["id"]]


def test_a_day_is_the_merchants_and_not_included(app: Flask, amal: Person, omar: Person) -> None:
    plan = create_plan(amal, omar.email)
    with app.app_context():
        db.session.execute(text("UPDATE merchants SET time_zone = 'Pacific/Auckland'"))
        db.session.execute(text("ALTER TABLE plans DISABLE TRIGGER plans_fixed"))
        db.session.execute(text("UPDATE plans SET created_at = '2026-03-09T11:30:00Z'"))  # 10 March, 00:30 there
        db.session.execute(text("ALTER TABLE plans ENABLE TRIGGER plans_fixed"))
        db.session.commit()
    assert ids(amal, "/api/plans/", created_after="2026-03-10") == []
    assert ids(amal, "/api/plans/", created_before="2026-03-10") == []
    assert ids(amal, "/api/plans/", created_after="2026-03-09", created_before="2026-03-11") == [plan["id"]]
    assert ids(omar, "/api/plans/", created_after="2026-03-08", created_before="2026-03-10") == [plan["id"]], "UTC"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "2026-13-01",
        "2026-02-30T00:00:00Z",
        "2026-03-10T09:00:00",
        "2026-03-10 09:00:00Z",
        "2026-03-10T25:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999Z",
        "9999-12-31",
        "1773133200",
        "2026-03-10T09:00:00 03:00",
    ],
)
def test_a_malformed_instant_is_a_fault_of_its_parameter(amal: Person, value: str) -> None:
    for address, name in (("/api/plans/", "updated_after"), ("/api/events/", "created_before")):
        (fault,) = problem(amal.api.get(f"{address}?{name}={quote(value)}"), 422, "bad_instant")["errors"]
        assert (fault["pointer"], fault["in"]) == (f"#/{name}", "query")


def test_plans_are_found_by_their_metadata(api: Api, amal: Person, omar: Person) -> None:
    first = create_plan(amal, omar.email, metadata={"branch": "Olaya", "a/b": "x:y", "empty": ""})
    second = create_plan(amal, omar.email, metadata={"branch": "Olaya", "seller": "ليلى"})
    create_plan(amal, omar.email, metadata={"branch": "olaya"})
    other = merchant(api)
    create_plan(other, omar.email, metadata={"branch": "Olaya"})
    both = [first["id"], second["id"]]
    for who in (amal, omar):
        found = ids(who, "/api/plans/", **{"metadata[branch]": "Olaya"})
        assert found[:2] == both and len(found) == (2 if who is amal else 3)
    assert ids(amal, "/api/plans/", metadata="branch:Olaya") == both
    assert ids(amal, "/api/plans/", **{"metadata[branch]": "Olaya", "metadata[seller]": "ليلى"}) == [second["id"]]
    assert ids(amal, "/api/plans/", **{"metadata": "branch:Olaya", "metadata[a/b]": "x:y"}) == [first["id"]]
    assert ids(amal, "/api/plans/", metadata="a/b:x:y") == ids(amal, "/api/plans/", metadata="empty:") == [first["id"]]
    assert ids(amal, "/api/plans/", metadata="branch:Ola") == []
    installments = amal.api.get("/api/plans/installments/?metadata[seller]=%D9%84%D9%8A%D9%84%D9%89").json()
    assert [row["id"] for row in installments] == [row["id"] for row in second["installments"]]


def test_the_next_page_keeps_the_metadata(api: Api, amal: Person, omar: Person) -> None:
    made = [create_plan(amal, omar.email, metadata={"branch": "A & B"})["id"] for _ in range(3)]
    page = amal.api.get("/api/plans/?metadata[branch]=A%20%26%20B&limit=2&sort=id")
    rest = amal.api.get(page.links["next"]["url"].removeprefix(api.url))
    assert [row["id"] for row in page.json() + rest.json()] == made


@pytest.mark.parametrize(
    ("query", "code", "pointer"),
    [
        ("metadata=branch", "bad_pair", "#/metadata"),
        ("metadata=:Olaya", "bad_pair", "#/metadata"),
        ("metadata[]=Olaya", "bad_pair", "#/metadata"),
        (f"metadata[{'x' * 41}]=1", "bad_pair", "#/metadata"),
        (f"metadata=x:{'y' * 501}", "bad_pair", "#/metadata"),
        ("metadata[a]=1&metadata[a]=2", "repeated", "#/metadata[a]"),
        ("metadata=a:1&metadata=b:2", "repeated", "#/metadata"),
        ("metadata[a]=1&metadata=a:2", "bad_pair", "#/metadata"),
        ("metadata[a]=%00", "bad_text", "#/metadata"),
        ("branch[a]=1", "unknown_parameter", "#/branch[a]"),
        ("status[a]=1", "unknown_parameter", "#/status[a]"),
    ],
)
def test_malformed_metadata_is_a_fault(amal: Person, query: str, code: str, pointer: str) -> None:
    (fault,) = problem(amal.api.get(f"/api/plans/?{query}"), 422, code)["errors"]
    assert (fault["pointer"], fault["in"]) == (pointer, "query")


def test_lists_are_narrowed_to_a_plan_a_customer_and_a_currency(app: Flask, api: Api, amal: Person) -> None:
    omar, layla = customer(api), customer(api)
    mine = paid_and_refunded(amal, omar, external_id="order-7")
    paid_and_refunded(amal, layla)
    with app.app_context():
        tasks.number_events()
    plan, payment, refund = mine
    for query in ({"plan": plan["id"]}, {"customer": omar.id}):
        assert ids(amal, "/api/payments/", **query) == [payment["id"]]
        assert ids(amal, "/api/refunds/", **query) == [refund["id"]]
        assert ids(amal, "/api/plans/installments/", **query) == [row["id"] for row in plan["installments"]]
        events = amal.api.get(f"/api/events/?{urlencode(query)}").json()
        assert events and {event["plan"] for event in events} == {plan["id"]}
    assert ids(amal, "/api/refunds/", payment=payment["id"]) == [refund["id"]]
    assert len(ids(amal, "/api/plans/installments/", external_id="order-7")) == 3
    for address in ("/api/plans/", "/api/payments/", "/api/refunds/"):
        assert amal.api.get(f"{address}?currency=SAR").json() and not amal.api.get(f"{address}?currency=KWD").json()


def test_filters_lead_to_nobody_elses_rows(api: Api, amal: Person, omar: Person) -> None:
    plan, payment, _ = paid_and_refunded(amal, omar, external_id="order-7", metadata={"branch": "Olaya"})
    other = merchant(api)
    for query in ({"plan": plan["id"]}, {"payment": payment["id"]}, {"customer": omar.id}):
        assert ids(other, "/api/refunds/", **query) == []
    for query in ({"external_id": "order-7"}, {"metadata": "branch:Olaya"}, {"created_after": "2020-01-01"}):
        assert ids(other, "/api/plans/installments/", **query) == ids(other, "/api/plans/", **query) == []
    assert ids(other, "/api/events/", customer=omar.id) == []
    assert ids(other, "/api/customers/", created_after="2020-01-01") == []


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/api/plans/", "customer_email"),
        ("/api/plans/", "external_id"),
        ("/api/plans/installments/", "customer_email"),
        ("/api/plans/installments/", "external_id"),
        ("/api/payments/", "external_id"),
        ("/api/refunds/", "external_id"),
        ("/api/customers/", "email"),
    ],
)
def test_an_empty_filter_matches_nothing(amal: Person, omar: Person, address: str, name: str) -> None:
    """A program whose variable is empty does not get everybody's rows."""
    paid_and_refunded(amal, omar)
    assert amal.api.get(address).json()
    for text_sent in ("", "%20"):
        assert amal.api.get(f"{address}?{name}={text_sent}&include=total").headers["X-Total-Count"] == "0"
        assert amal.api.get(f"{address}?{name}={text_sent}").json() == []


def test_an_empty_list_of_types_is_no_filter_that_is_left_out(amal: Person) -> None:
    for types in ("", "%20", "plan.created,", ","):
        problem(amal.api.get(f"/api/events/?types={types}"), 422, "unknown_event_type")
