"""Hats of tokens: `merchant` of POST /token/ chooses as whom a token acts, and the role says what it may do."""

from typing import Any

import requests
from flask import Flask

from portal.domain import clock
from portal.extensions import db
from portal.models import Membership
from portal.services.accounts import api_keys
from tests.api import Api, Person, a_name, create_plan, customer, merchant, problem
from tests.fixtures import people
from tests.fixtures.people import PASSWORD


def sign_in(api: Api, person: Person, **body: Any) -> requests.Response:
    return api.as_(None).post("/token/", {"username": person.username, "password": PASSWORD, **body})


def account_of(api: Api, response: requests.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    account: dict[str, Any] = api.as_(response.json()["access"]).get("/auth/me/").json()
    return account


def test_the_default_is_the_hat_of_registration(app: Flask, api: Api) -> None:
    amal, omar = merchant(api), customer(api)
    with app.app_context():
        people.a_member(omar.username, amal.id, "collector")
    mine = [{"merchant": amal.id, "name": amal.username, "role": "owner"}]
    account = {"id": amal.id, "username": amal.username, "email": amal.email, "email_proven": True}
    assert account_of(api, sign_in(api, amal)) == {
        **account,
        "role": "merchant",
        "merchant": amal.id,
        "memberships": mine,
    }
    me = account_of(api, sign_in(api, omar))
    assert (me["id"], me["role"], me["merchant"]) == (omar.id, "customer", None)
    assert me["memberships"] == [{"merchant": amal.id, "name": amal.username, "role": "collector"}]


def test_a_member_acts_for_the_merchant_as_far_as_the_role_allows(app: Flask, api: Api) -> None:
    amal, omar, sara = merchant(api), customer(api), customer(api)
    plan = create_plan(amal, sara.email)
    with app.app_context():
        people.a_member(omar.username, amal.id, "collector")
    response = sign_in(api, omar, merchant=amal.id)
    collector = api.as_(response.json()["access"])
    assert account_of(api, response)["role"] == "merchant"
    assert [row["id"] for row in collector.get("/api/plans/").json()] == [plan["id"]]
    received = {"amount": "1.00", "method": "cash", "received_on": clock.today("Asia/Riyadh").isoformat()}
    assert collector.post(f"/api/plans/{plan['id']}/payments/", received).status_code == 201
    problem(collector.post(f"/api/plans/{plan['id']}/cancel/", {"reason": "Sold out"}), 403, "forbidden")
    pair = api.post("/token/refresh/", {"refresh": response.json()["refresh"]})
    assert account_of(api, pair)["merchant"] == amal.id


def test_a_merchant_who_owes_reads_and_pays_under_either_hat(api: Api) -> None:
    amal, badr = merchant(api), merchant(api)
    plan = create_plan(amal, badr.email)
    assert plan["customer"] == badr.id and plan["merchant"] == amal.id
    as_customer = api.as_(sign_in(api, badr, merchant=None).json()["access"])
    assert [row["id"] for row in as_customer.get("/api/plans/").json()] == [plan["id"]]
    assert badr.api.get("/api/plans/").json() == []
    for number, who in enumerate((badr.api, as_customer)):
        assert who.get(f"/api/plans/{plan['id']}/").status_code == 200
        assert who.post(f"/api/plans/installments/{plan['installments'][number]['id']}/pay/").status_code == 200
        assert len(who.get(f"/api/plans/{plan['id']}/payments/").json()) == number + 1
        assert len(who.get(f"/api/plans/{plan['id']}/installments/").json()) == 3
    problem(amal.api.post(f"/api/plans/installments/{plan['installments'][2]['id']}/pay/"), 403, "forbidden")
    problem(as_customer.post("/api/plans/", {}), 403, "forbidden")


def test_a_member_who_owes_gets_own_plan(app: Flask, api: Api) -> None:
    amal, omar = merchant(api), customer(api)
    plan = create_plan(amal, omar.email)
    with app.app_context():
        people.a_member(omar.username, amal.id, "manager")
    manager = api.as_(sign_in(api, omar, merchant=amal.id).json()["access"])
    body = {"reason": "For me", "amount": "1.00"}
    problem(manager.post(f"/api/plans/{plan['id']}/credits/", body), 403, "own_plan")


def test_several_merchants_have_to_be_chosen(app: Flask, api: Api) -> None:
    amal, badr, carla = merchant(api), merchant(api), merchant(api)
    with app.app_context():
        for business in (amal, badr):
            people.a_member(carla.username, business.id, "viewer")
        people.a_member(a_name("nour"), carla.id, "owner")
        db.session.delete(db.session.get_one(Membership, (carla.id, carla.id)))
        db.session.commit()
    refusal = problem(sign_in(api, carla), 422, "choose_merchant")
    assert refusal["merchants"] == [{"id": who.id, "name": who.username} for who in (amal, badr)]
    assert refusal["errors"][0]["pointer"] == "#/merchant"
    assert account_of(api, sign_in(api, carla, merchant=badr.id))["merchant"] == badr.id


def test_a_merchant_of_others_is_refused_after_the_password(api: Api) -> None:
    amal, badr = merchant(api), merchant(api)
    for other in (badr.id, 10**12):
        refusal = problem(sign_in(api, amal, merchant=other), 422, "unknown_merchant")
        assert refusal["errors"][0]["pointer"] == "#/merchant"
    problem(sign_in(api, amal, merchant=badr.id, password="wrong"), 401, "bad_credentials")


def test_one_idempotency_key_under_two_hats_is_two_requests(app: Flask, api: Api) -> None:
    amal, badr, omar = merchant(api), merchant(api), customer(api)
    with app.app_context():
        people.a_member(badr.username, amal.id, "manager")
    terms = {"customer_email": omar.email, "total_amount": "9.00", "num_installments": 3}
    for number, hat in enumerate((badr.id, amal.id)):
        client = api.as_(sign_in(api, badr, merchant=hat).json()["access"])
        response = client.post("/api/plans/", terms | {"start_date": "2199-01-01"}, Idempotency_Key="order-1")
        assert (response.status_code, response.json()["merchant"]) == (201, hat), number


def test_a_key_shows_its_maker_and_no_memberships(app: Flask, api: Api) -> None:
    amal = merchant(api)
    with app.app_context():
        key = api_keys.create(people.owner(amal.id), name="Web shop")
    me = api.as_(key).get("/auth/me/").json()
    assert (me["id"], me["role"], me["merchant"], me["memberships"]) == (amal.id, "merchant", amal.id, [])
