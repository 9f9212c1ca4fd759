"""The timeline of a plan, the team, and automatic payment over the API."""

from typing import Any

import pytest

from tests.api import Api, Person, create_plan, customer, merchant, problem

WHY = {"reason": "Delivered late"}


@pytest.fixture
def amal(api: Api) -> Person:
    return merchant(api)


@pytest.fixture
def omar(api: Api) -> Person:
    return customer(api)


@pytest.fixture
def plan(amal: Person, omar: Person) -> dict[str, Any]:
    return create_plan(amal, omar.email)


def test_the_timeline_says_who_did_what(amal: Person, omar: Person, plan: dict[str, Any]) -> None:
    where = f"/api/plans/{plan['id']}/timeline/"
    assert amal.api.post(f"/api/plans/{plan['id']}/credits/", {"amount": "1.00", **WHY}).status_code == 200
    paid = omar.api.post(f"/api/plans/{plan['id']}/pay/", {"choice": "amount", "amount": "5.00"}).json()
    ours, theirs = amal.api.get(where).json(), omar.api.get(where).json()
    assert [entry["kind"] for entry in ours] == ["payment.succeeded", "credit.given", "plan.opened"]
    assert [entry["kind"] for entry in theirs] == [entry["kind"] for entry in ours]
    assert [entry["by"] for entry in ours] == ["customer", "merchant", "merchant"]
    assert (ours[0]["payment"], ours[0]["amount"], ours[1]["reason"]) == (paid["id"], "5.00", "Delivered late")
    assert [entry["name"] for entry in ours] == [omar.username, amal.username, amal.username]
    assert [entry["name"] for entry in theirs] == [omar.username, None, None]


def test_the_timeline_leaves_the_merchants_own_words_out_for_the_customer(
    amal: Person, omar: Person, plan: dict[str, Any]
) -> None:
    where = f"/api/plans/{plan['id']}/timeline/"
    assert amal.api.call("PATCH", f"/api/customers/{omar.id}/", {"note": "Calls back late"}).status_code == 200
    assert [entry["kind"] for entry in amal.api.get(where).json()] == ["customer.updated", "plan.opened"]
    assert [entry["kind"] for entry in omar.api.get(where).json()] == ["plan.opened"]


def test_the_timeline_comes_page_by_page(amal: Person, plan: dict[str, Any]) -> None:
    where = f"/api/plans/{plan['id']}/timeline/"
    for _ in range(2):
        amal.api.post(f"/api/plans/{plan['id']}/credits/", {"amount": "1.00", **WHY})
    kinds, address = [], f"{where}?limit=1"
    while address:
        page = amal.api.get(address)
        kinds += [entry["kind"] for entry in page.json()]
        address = page.links["next"]["url"].removeprefix(amal.api.url) if "next" in page.links else ""
    assert kinds == ["credit.given", "credit.given", "plan.opened"]
    problem(amal.api.get(f"{where}?cursor=x"), 422, "bad_cursor")


def test_an_owner_reads_the_team(amal: Person, omar: Person) -> None:
    (owner,) = amal.api.get("/api/team/").json()
    assert (owner["id"], owner["email"], owner["role"], owner["refund_limit"]) == (amal.id, amal.email, "owner", None)
    problem(omar.api.get("/api/team/"), 403, "forbidden")


def test_a_customer_turns_automatic_payment_on_and_off(omar: Person, plan: dict[str, Any]) -> None:
    where = f"/api/plans/{plan['id']}/automatic-payment/"
    off = {"plan": plan["id"], "on": False, "payment_method": None, "since": None}
    assert omar.api.get(where).json() == off
    saved = omar.api.post("/api/payment-methods/", {"card": "card_ok"}).json()
    for _ in range(2):
        turned_on = omar.api.call("PUT", where, {"payment_method": saved["token"]})
        assert turned_on.status_code == 200, turned_on.text
    assert turned_on.json()["on"] and turned_on.json()["payment_method"] == saved and turned_on.json()["since"]
    assert omar.api.get(where).json() == turned_on.json()
    for _ in range(2):
        assert omar.api.call("DELETE", where).status_code == 204
    assert omar.api.get(where).json() == off


def test_automatic_payment_takes_a_saved_card_of_its_customer(api: Api, omar: Person, plan: dict[str, Any]) -> None:
    where = f"/api/plans/{plan['id']}/automatic-payment/"
    sara = customer(api)
    theirs = sara.api.post("/api/payment-methods/", {"card": "card_ok"}).json()["token"]
    for token in ("card_ok", theirs):
        refused = problem(omar.api.call("PUT", where, {"payment_method": token}), 422, "unknown_method")
        assert [fault["pointer"] for fault in refused["errors"]] == ["#/payment_method"]
    problem(sara.api.call("PUT", where, {"payment_method": theirs}), 404, "not_found")
    assert omar.api.get(where).json()["on"] is False


def test_automatic_payment_needs_something_to_collect(amal: Person, omar: Person, plan: dict[str, Any]) -> None:
    saved = omar.api.post("/api/payment-methods/", {"card": "card_ok"}).json()["token"]
    assert amal.api.post(f"/api/plans/{plan['id']}/cancel/", WHY).status_code == 200
    where = f"/api/plans/{plan['id']}/automatic-payment/"
    problem(omar.api.call("PUT", where, {"payment_method": saved}), 409, "nothing_due")
