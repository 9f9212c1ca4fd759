"""The merchant's settings and customers, and look-ups by the merchant's own numbers."""

import pytest

from portal.domain import clock
from portal.extensions import db
from portal.models import Mute
from portal.services.privacy import erasures
from tests.api import Api, Person, register
from tests.fixtures.people import PASSWORD
from tests.fixtures.query_log import queries


@pytest.fixture
def amal(api: Api) -> Person:
    return register(
        api, "merchant", "amal", business_name="Amal's Bakery", home_currency="SAR", time_zone="Asia/Riyadh"
    )


@pytest.fixture
def omar(api: Api) -> Person:
    return register(api, "customer", "omar")


def make(merchant: Person, email: str, **more: str) -> dict:
    new = {
        "customer_email": email,
        "total_amount": "90.00",
        "num_installments": 3,
        "start_date": str(clock.today("Asia/Riyadh")),
    }
    response = merchant.api.post("/api/plans/", {**new, **more})
    assert response.status_code == 201, response.text
    return response.json()


def test_settings_are_read_and_changed_one_by_one(amal, omar):
    before = amal.api.get("/api/merchant/").json()
    assert before == {
        "id": amal.id,
        "business_name": "Amal's Bakery",
        "home_currency": "SAR",
        "time_zone": "Asia/Riyadh",
        "grace_days": 0,
        "withdrawal_days": 0,
        "standing": "live",
        **dict.fromkeys(("address", "tax_number", "email", "phone")),
    }
    changed = amal.api.call("PATCH", "/api/merchant/", {"grace_days": 3})
    assert (changed.status_code, changed.json()) == (200, before | {"grace_days": 3})
    changed = amal.api.call("PATCH", "/api/merchant/", {"business_name": "Amal & Sons", "withdrawal_days": "14"})
    assert changed.json() == before | {"grace_days": 3, "business_name": "Amal & Sons", "withdrawal_days": 14}
    assert make(amal, omar.email)["merchant_name"] == "Amal & Sons"
    for body, field, code in (
        ({"grace_days": 31}, "#/grace_days", "bad_number"),
        ({"withdrawal_days": -1}, "#/withdrawal_days", "bad_number"),
        ({"business_name": " "}, "#/business_name", "required"),
        ({"time_zone": "Mars/Olympus"}, "#/time_zone", "unknown_zone"),
        ({"home_currency": "KWD"}, "#/home_currency", "currency_fixed"),
        ({"id": 7}, "#/id", "unknown_field"),
    ):
        refused = amal.api.call("PATCH", "/api/merchant/", body)
        (fault,) = refused.json()["errors"]
        assert (refused.status_code, fault["pointer"], fault["code"]) == (422, field, code)
    assert amal.api.get("/api/merchant/").json() == before | {
        "grace_days": 3,
        "business_name": "Amal & Sons",
        "withdrawal_days": 14,
    }
    words = {
        "address": "12 Olive Street\r\n\n Riyadh ",
        "tax_number": "300",
        "email": "a@b.example",
        "phone": "+966 11",
    }
    refused = amal.api.call("PATCH", "/api/merchant/", {**words, "email": "nobody", "grace_days": 31})
    assert [fault["pointer"] for fault in refused.json()["errors"]] == ["#/grace_days", "#/email"]
    refused = amal.api.call("PATCH", "/api/merchant/", {**words, "email": "nobody", "time_zone": "Mars", "phone": "1"})
    assert {fault["pointer"] for fault in refused.json()["errors"]} == {"#/email", "#/time_zone", "#/phone"}
    changed = amal.api.call("PATCH", "/api/merchant/", words | {"phone": "+966 11 1"})
    kept = words | {"phone": "+966 11 1", "address": "12 Olive Street\nRiyadh"}
    assert {name: changed.json()[name] for name in words} == kept
    assert amal.api.call("PATCH", "/api/merchant/", {"phone": "", "address": None}).json()["phone"] is None
    assert amal.api.get("/api/merchant/").json()["address"] == kept["address"]
    assert omar.api.call("PATCH", "/api/merchant/", {"grace_days": 3}).status_code == 403
    assert omar.api.get("/api/merchant/").status_code == 403


def test_customers_are_listed_with_their_standing(app, api, amal, omar):
    other = register(api, "merchant", "badr", business_name="Badr", home_currency="SAR", time_zone="Asia/Riyadh")
    theirs = make(other, omar.email)
    first = make(amal, omar.email)
    make(amal, "layla@example.com", start_date="2020-01-01")
    paid = omar.api.post(f"/api/plans/{first['id']}/pay/", {"choice": "amount", "amount": "10.00"})
    assert paid.status_code == 200
    with app.app_context():
        db.session.add(Mute(merchant_id=amal.id, customer_id=omar.id, created_at=db.func.now()))
        db.session.commit()
    layla, known = amal.api.get("/api/customers/").json()
    assert known == {
        "id": omar.id,
        "name": omar.username,
        "email": omar.email,
        "phone": None,
        "note": None,
        "has_account": True,
        "muted": True,
        "plans": 1,
        "open_plans": 1,
        "outstanding": {"SAR": "80.00"},
        "overdue": {},
        "created_at": known["created_at"],
    }
    assert known["created_at"].startswith("20")
    assert (layla["name"], layla["email"], layla["has_account"]) == ("layla@example.com", "layla@example.com", False)
    assert layla["overdue"] == layla["outstanding"] == {"SAR": "90.00"}
    assert amal.api.get(f"/api/customers/{omar.id}/").json() == known
    assert amal.api.get(f"/api/customers/{layla['id']}/").json() == layla
    assert other.api.get(f"/api/customers/{layla['id']}/").status_code == 404
    assert other.api.get(f"/api/customers/{omar.id}/").json()["outstanding"] == {"SAR": theirs["remaining"]}
    assert amal.api.get("/api/customers/?email=LAYLA@example.com").json() == [layla]
    assert amal.api.get("/api/customers/?email=layla").json() == []
    assert amal.api.get("/api/customers/?search=layla").json() == [layla]
    assert amal.api.get("/api/customers/?show=overdue").json() == [layla]
    assert amal.api.get("/api/customers/?show=owing").json() == [layla, known]
    assert amal.api.get("/api/customers/?show=owing&email=layla@example.com").json() == [layla]
    assert amal.api.get("/api/customers/?show=odd").status_code == 422
    page = amal.api.get("/api/customers/?limit=1")
    assert page.json() == [layla]
    assert amal.api.get(page.links["next"]["url"].removeprefix(api.url)).json() == [known]
    assert omar.api.get("/api/customers/").status_code == 403


def test_a_merchants_words_about_a_customer_are_changed(app, api, amal, omar):
    other = register(api, "merchant", "badr", business_name="Badr", home_currency="SAR", time_zone="Asia/Riyadh")
    make(amal, omar.email)
    make(other, omar.email)
    path = f"/api/customers/{omar.id}/"
    changed = amal.api.call("PATCH", path, {"name": "Omar Haddad", "phone": "+966 50 1", "note": "Rings twice"})
    assert changed.status_code == 200 and changed.json() == amal.api.get(path).json()
    assert [changed.json()[name] for name in ("name", "phone", "note")] == ["Omar Haddad", "+966 50 1", "Rings twice"]
    assert amal.api.call("PATCH", path, {"note": "", "phone": None}).json()["note"] is None
    assert amal.api.get(path).json()["phone"] == "+966 50 1"
    refused = amal.api.call("PATCH", path, {"phone": "later"})
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_phone")
    theirs = other.api.get(path).json()
    assert [theirs[name] for name in ("name", "phone", "note")] == [omar.username, None, None]
    assert omar.api.call("PATCH", path, {"name": "Me"}).status_code == 403


def test_an_erased_customer_has_no_name(app, amal, omar):
    plan = make(amal, omar.email)
    assert omar.api.post(f"/api/plans/{plan['id']}/pay/", {"choice": "all"}).status_code == 200
    with app.app_context():
        erasures.erase(omar.id, password=PASSWORD)
    erased = amal.api.get(f"/api/customers/{omar.id}/").json()
    assert (erased["name"], erased["email"], erased["has_account"], erased["plans"]) == (None, None, False, 1)


def test_the_statements_of_a_list_of_customers_do_not_grow_with_it(app, amal):
    counts = []
    for number in range(4):
        make(amal, f"layla-{number}@example.com")
        with queries(app) as log:
            assert len(amal.api.get("/api/customers/").json()) == number + 1
        counts.append(len(log))
    assert counts[0] == counts[-1]


def test_lists_are_narrowed_by_number_customer_plan_and_currency(api, amal, omar):
    first = make(amal, omar.email, external_id="order 17")
    second = make(amal, "layla@example.com", external_id="order 18")

    def ids(path: str, name: str = "id") -> list[int]:
        return sorted({row[name] for row in amal.api.get(path).json()})

    assert ids("/api/plans/?external_id=order%2017") == [first["id"]]
    assert ids("/api/plans/?external_id=order") == []
    assert ids(f"/api/plans/?customer={omar.id}") == [first["id"]]
    assert ids(f"/api/plans/?customer={second['customer']}&external_id=order%2017") == []
    assert ids("/api/plans/?currency=SAR") == [first["id"], second["id"]]
    assert ids("/api/plans/?currency=KWD") == []
    assert ids(f"/api/plans/installments/?customer={omar.id}", "plan") == [first["id"]]
    assert ids("/api/plans/installments/?currency=KWD") == []
    for plan in (first, second):
        address = f"/api/plans/{plan['id']}/payments/"
        cash = {"amount": "10.00", "method": "cash", "received_on": str(clock.today("Asia/Riyadh"))}
        assert amal.api.post(address, cash).status_code == 201
    assert ids(f"/api/payments/?plan={first['id']}", "plan") == [first["id"]]
    assert ids(f"/api/payments/?customer={second['customer']}", "plan") == [second["id"]]
    assert ids("/api/payments/?currency=SAR", "plan") == [first["id"], second["id"]]
    assert ids(f"/api/payments/?currency=SAR&plan={2**40}") == []
    other = register(api, "merchant", "badr", business_name="Badr", home_currency="SAR", time_zone="Asia/Riyadh")
    for path in (
        f"/api/plans/?customer={omar.id}",
        "/api/plans/?external_id=order%2017",
        f"/api/payments/?plan={first['id']}",
        f"/api/plans/installments/?customer={omar.id}",
    ):
        assert other.api.get(path).json() == []
    for path in ("/api/plans/?currency=sar", "/api/plans/?customer=0", "/api/payments/?plan=x"):
        assert amal.api.get(path).status_code == 422
    assert omar.api.get("/api/plans/?external_id=order%2017").json()[0]["merchant_name"] == "Amal's Bakery"


def test_notices_are_chosen_by_each_member_for_themselves(amal: Person, omar: Person) -> None:
    where = "/api/merchant/notices/"
    every = ["paid", "completed", "refunded", "declined", "automatic", "late"]
    every += ["bounced", "accepted", "disputed", "withdrawn"]
    assert amal.api.get(where).json() == {"on": every, "at_once": False}
    changed = amal.api.call("PATCH", where, {"on": ["late", "paid"]})
    assert (changed.status_code, changed.json()) == (200, {"on": ["paid", "late"], "at_once": False})
    changed = amal.api.call("PATCH", where, {"at_once": True})
    assert changed.json() == amal.api.get(where).json() == {"on": ["paid", "late"], "at_once": True}
    assert amal.api.call("PATCH", where, {"on": None, "at_once": None}).json() == changed.json()
    for body, pointer in (({"on": ["gossip"]}, "#/on/0"), ({"on": "paid"}, "#/on"), ({"at_once": "soon"}, "#/at_once")):
        refused = amal.api.call("PATCH", where, body)
        assert refused.status_code == 422, refused.text
        assert [fault["pointer"] for fault in refused.json()["errors"]] == [pointer]
    assert amal.api.call("PATCH", where, {"of": 1}).status_code == 422
    assert amal.api.call("PATCH", where, {"on": []}).json() == {"on": [], "at_once": True}
    assert amal.api.get(where).json()["on"] == []
    for method in ("GET", "PATCH"):
        assert omar.api.call(method, where, {} if method == "PATCH" else None).status_code == 403
