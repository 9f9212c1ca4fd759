"""A customer lists, blocks and allows the merchants that made plans for them, by the API."""

from flask import Flask

from tests.api import Api, Person, create_plan, merchant, problem
from tests.fixtures.agreements import acceptance


def test_a_customer_blocks_and_allows_a_shop(amal: Person, omar: Person) -> None:
    assert omar.api.get("/api/shops/").json() == []
    block = f"/api/shops/{amal.id}/block/"
    problem(omar.api.call("PUT", block), 404, "not_found")
    create_plan(amal, omar.email)
    (shop,) = omar.api.get("/api/shops?include=total").json()
    assert (shop["merchant"], shop["blocked_at"], shop["barred_at"]) == (amal.id, None, None)

    first = [omar.api.call("PUT", path).status_code for path in (block, block[:-1])]
    assert first == [204, 204]
    (blocked,) = omar.api.get("/api/shops/").json()
    assert blocked["blocked_at"] is not None
    new = {"customer_email": omar.email, "total_amount": "9", "num_installments": 1, "start_date": "2199-01-31"}
    problem(amal.api.post("/api/plans/", new), 422, "blocked")
    for _ in range(2):
        assert omar.api.call("DELETE", block).status_code == 204
    assert amal.api.post("/api/plans/", new).status_code == 201

    problem(amal.api.call("PUT", block), 403, "forbidden")
    problem(omar.api.call("PUT", "/api/shops/9999999999999999999/block/"), 404, "not_found")
    wrong = omar.api.post(block[:-1])
    problem(wrong, 405, "method_not_allowed")
    assert {"PUT", "DELETE"} <= set(wrong.headers["Allow"].split(", "))
    problem(omar.api.get("/api/shops/?merchant=1"), 422, "unknown_parameter")


def test_a_shop_that_a_dispute_barred_is_allowed_again(app: Flask, amal: Person, omar: Person) -> None:
    with acceptance(app, "required"):
        plan = create_plan(amal, omar.email)
        assert omar.api.post(f"/api/plans/{plan['id']}/dispute/").status_code == 200
        assert omar.api.get("/api/shops/").json()[0]["barred_at"] is not None
        assert omar.api.call("DELETE", f"/api/shops/{amal.id}/block/").status_code == 204
        assert create_plan(amal, omar.email)["id"] > plan["id"]


def test_shops_are_paged_newest_first(omar: Person, api: Api) -> None:
    shops = [merchant(api) for _ in range(3)]
    for shop in shops:
        create_plan(shop, omar.email)
    first = omar.api.get("/api/shops/?limit=2&include=total")
    assert [row["merchant"] for row in first.json()] == [shops[2].id, shops[1].id]
    assert first.headers["X-Total-Count"] == "3"
    cursor = first.headers["Link"].partition("cursor=")[2].partition(">")[0]
    assert [row["merchant"] for row in omar.api.get(f"/api/shops/?limit=2&cursor={cursor}").json()] == [shops[0].id]
