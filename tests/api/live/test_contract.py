"""The JSON contract, over HTTP against the running system: with and without trailing slashes, and every alias."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api import Api, Person, a_name, both, create_plan, customer, merchant, problem
from tests.fixtures.people import PASSWORD

PLAN = {
    "id",
    "merchant",
    "customer",
    "customer_email",
    "total_amount",
    "currency",
    "num_installments",
    "interval",
    "start_date",
    "status",
    "created_at",
    "updated_at",
    "installments",
}
INSTALLMENT = {"id", "amount", "due_date", "status", "paid_at"}


@both("/auth/register/", "/api/auth/register/")
@pytest.mark.parametrize("role", ["merchant", "customer"])
def test_registering_creates_an_account(nobody: Api, address: str, role: str) -> None:
    name = a_name("nora")
    account = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "password2": PASSWORD}
    response = nobody.post(address, {**account, "role": role}, Authorization="Bearer nonsense")
    assert response.status_code == 201
    assert response.json() == {
        "id": response.json()["id"],
        "username": name,
        **{"email": f"{name}@example.com", "email_proven": True, "role": role},
    }


@both("/token/", "/api/token/")
@pytest.mark.parametrize("name", ["username", "email"])
def test_omar_signs_in_with_name_or_email(omar: Person, nobody: Api, address: str, name: str) -> None:
    response = nobody.post(address, {"username": getattr(omar, name), "password": PASSWORD})
    assert response.status_code == 200
    assert set(response.json()) == {"access", "refresh"}


@both("/token/refresh/", "/api/token/refresh/")
def test_omar_exchanges_his_refresh_token(omar: Person, nobody: Api, address: str) -> None:
    pair = nobody.post("/token/", {"username": omar.username, "password": PASSWORD}).json()
    response = nobody.post(address, {"refresh": pair["refresh"]})
    assert response.status_code == 200
    assert set(response.json()) == {"access", "refresh"}
    assert response.json()["refresh"] != pair["refresh"]


@both("/auth/me/", "/api/auth/me/")
def test_omar_reads_his_account(omar: Person, nobody: Api, address: str) -> None:
    account = {"id": omar.id, "username": omar.username, "email": omar.email, "role": "customer", "merchant": None}
    assert omar.api.get(address).json() == account | {"email_proven": True, "memberships": []}
    problem(nobody.get(address), 401, "no_token")


@both("/api/plans/")
def test_amal_makes_a_plan(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    body = {
        "customer_email": omar.email.upper(),
        "total_amount": 100,
        "num_installments": "3",
        "start_date": "2026-08-31",
    }
    response = amal.api.post(address, body)
    assert response.status_code == 201
    plan = response.json()
    assert set(plan) >= PLAN
    assert (plan["merchant"], plan["customer"]) == (amal.id, omar.id)
    assert (plan["total_amount"], plan["currency"], plan["interval"]) == ("100.00", "SAR", "monthly")
    assert [(part["amount"], part["due_date"], part["paid_at"]) for part in plan["installments"]] == [
        ("33.34", "2026-08-31", None),
        ("33.33", "2026-09-30", None),
        ("33.33", "2026-10-31", None),
    ]
    assert plan["created_at"].endswith("Z") and "." in plan["created_at"]
    assert response.headers["Location"] == f"/api/plans/{plan['id']}/"
    problem(omar.api.post(address, body), 403, "forbidden")
    problem(nobody.post(address, body), 401, "no_token")


@both("/api/plans/")
def test_both_parties_list_the_plan(nobody: Api, address: str) -> None:
    amal, omar, sara = merchant(nobody), customer(nobody), customer(nobody)
    plan = create_plan(amal, omar.email)
    assert amal.api.get(address).json() == [plan]
    assert omar.api.get(address).json() == [plan]
    assert sara.api.get(address).json() == []


@both("/api/plans/{plan}/")
def test_both_parties_see_the_plan(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    plan = create_plan(amal, omar.email)
    where = address.format(plan=plan["id"])
    assert amal.api.get(where).json() == omar.api.get(where).json() == plan
    problem(customer(nobody).api.get(where), 404, "not_found")
    problem(merchant(nobody).api.get(where), 404, "not_found")
    problem(omar.api.get("/api/plans/999999999999999999999/"), 404, "not_found")
    problem(omar.api.get("/api/plans/9999999999999999999/"), 404, "not_found")


@both("/api/plans/installments/")
def test_omar_lists_his_installments_soonest_first(nobody: Api, address: str) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    later, sooner = create_plan(amal, omar.email), create_plan(amal, omar.email, start_date="2026-07-15")
    installments = omar.api.get(address).json()
    assert [part["due_date"] for part in installments] == sorted(part["due_date"] for part in installments)
    expected = [row["id"] for plan in (later, sooner) for row in plan["installments"]]
    assert {row["id"] for row in installments} == set(expected)
    assert set(installments[0]) >= INSTALLMENT


@both("/api/plans/installments/{installment}/")
def test_both_parties_see_one_installment(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    part = create_plan(amal, omar.email)["installments"][1]
    where = address.format(installment=part["id"])
    assert amal.api.get(where).json() == omar.api.get(where).json() == part
    problem(customer(nobody).api.get(where), 404, "not_found")


@both("/api/plans/{plan}/installments/")
def test_both_parties_see_a_plans_installments(amal: Person, omar: Person, address: str) -> None:
    plan = create_plan(amal, omar.email)
    where = address.format(plan=plan["id"])
    assert amal.api.get(where).json() == omar.api.get(where).json() == plan["installments"]


@both("/api/plans/installments/{installment}/pay/")
def test_omar_pays(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    part = create_plan(amal, omar.email)["installments"][0]
    where = address.format(installment=part["id"])
    problem(amal.api.post(where), 403, "forbidden")
    problem(merchant(nobody).api.post(where), 404, "not_found")
    problem(customer(nobody).api.post(where), 404, "not_found")
    paid = omar.api.post(where)  # no body and no content type
    assert paid.status_code == 200
    assert paid.json()["status"] == "paid" and paid.json()["paid_at"]
    assert paid.json()["payment"]["state"] == "succeeded"
    problem(omar.api.post(where), 409, "already_paid")


@pytest.mark.parametrize(
    ("card", "code"), [("card_declined", "declined"), ("card_insufficient_funds", "insufficient_funds")]
)
def test_a_declined_card_pays_nothing(amal: Person, omar: Person, card: str, code: str) -> None:
    part = create_plan(amal, omar.email)["installments"][0]
    problem(omar.api.post(f"/api/plans/installments/{part['id']}/pay/", {"payment_method": card}), 402, code)
    assert omar.api.get(f"/api/plans/installments/{part['id']}/").json()["status"] == part["status"]


def test_of_two_concurrent_payments_one_succeeds_and_the_other_is_409(amal: Person, omar: Person) -> None:
    for _ in range(10):
        where = f"/api/plans/installments/{create_plan(amal, omar.email)['installments'][0]['id']}/pay/"
        with ThreadPoolExecutor(2) as pool:
            responses = pool.map(lambda where: omar.api.as_(omar.api.token).post(where), [where, where])
        paid, refused = sorted(responses, key=lambda response: response.status_code)
        assert paid.status_code == 200 and paid.json()["status"] == "paid", paid.text
        problem(refused, 409, "already_paid")


def test_another_amount_than_is_owed_pays_nothing(amal: Person, omar: Person) -> None:
    part = create_plan(amal, omar.email)["installments"][0]
    where = f"/api/plans/installments/{part['id']}/pay/"
    assert problem(omar.api.post(where, {"amount": "33.33"}), 409, "amount_changed")["remaining"] == "33.34"
    for method in ("4242", ""):
        problem(omar.api.post(where, {"payment_method": method}), 422, "unknown_method")
    assert omar.api.post(where, {"amount": 33.34}).status_code == 200


@both("/api/payments/{payment}/")
def test_a_payment_whose_answer_was_lost_can_be_looked_at(
    amal: Person, omar: Person, nobody: Api, address: str
) -> None:
    part = create_plan(amal, omar.email)["installments"][0]
    sent = omar.api.post(f"/api/plans/installments/{part['id']}/pay", {"payment_method": "card_lost_charged"})
    assert sent.status_code == 202
    payment = sent.json()["payment"]
    assert payment["state"] == "in_flight" and sent.json()["status"] != "paid"
    assert sent.headers["Location"] == f"/api/payments/{payment['id']}/"
    where = address.format(payment=payment["id"])
    seen = amal.api.get(where).json()
    assert seen == omar.api.get(where).json() or seen["state"] == "in_flight"  # a worker may settle it meanwhile
    assert (seen["plan"], seen["amount"], seen["installments"][0]["installment"]) == (
        part["plan"],
        "33.34",
        part["id"],
    )
    problem(customer(nobody).api.get(where), 404, "not_found")


@both("/api/payments/", "/api/plans/{plan}/payments/")
def test_both_parties_list_payments(nobody: Api, address: str) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    plan = create_plan(amal, omar.email)
    paid = omar.api.post(f"/api/plans/installments/{plan['installments'][0]['id']}/pay/").json()["payment"]
    where = address.format(plan=plan["id"])
    payments = omar.api.get(where).json()
    assert [(payment["id"], payment["state"], payment["amount"]) for payment in payments] == [
        (paid["id"], "succeeded", "33.34")
    ]
    assert amal.api.get(where).json() == payments


@both("/api/plans/preview/")
def test_amal_sees_a_plan_before_making_it(amal: Person, omar: Person, address: str) -> None:
    terms = {"total_amount": "1000.00", "num_installments": 3, "start_date": "2026-01-31", "interval": "monthly"}
    preview = amal.api.post(address, terms)
    assert preview.status_code == 200
    assert [(row["amount"], row["due_date"]) for row in preview.json()["installments"]] == [
        ("333.34", "2026-01-31"),
        ("333.33", "2026-02-28"),
        ("333.33", "2026-03-31"),
    ]
    problem(omar.api.post(address, terms), 403, "forbidden")


@both("/api/analytics/dashboard/", "/api/plans/analytics/dashboard/", "/api/analytics/merchant/")
def test_amal_reads_her_dashboard(nobody: Api, address: str) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    plan = create_plan(amal, omar.email, total_amount="400.00", num_installments=4, start_date="2020-01-01")
    for part in plan["installments"][:3]:
        omar.api.post(f"/api/plans/installments/{part['id']}/pay/")
    response = amal.api.get(address)
    assert '"total_revenue":300.00' in response.text
    assert response.json() == {
        "total_revenue": 300.0,
        "overdue_installments": 1,
        "success_rate": 75.0,
        "currency": "SAR",
        "by_currency": [],
    }
    problem(omar.api.get(address), 403, "forbidden")
    problem(nobody.get(address), 401, "no_token")


@both("/api/analytics/ageing/")
def test_amal_reads_her_ageing_report(nobody: Api, address: str) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    create_plan(amal, omar.email, start_date="2020-01-01")
    report = amal.api.get(address).json()
    assert (report["outstanding"], report["days_over_90"], report["not_due"]) == ("100.00", "100.00", "0.00")
    problem(omar.api.get(address), 403, "forbidden")


@both("/api/docs/", "/swagger/")
def test_anyone_reads_the_docs(nobody: Api, address: str) -> None:
    response = nobody.get(address, Authorization="Bearer nonsense")
    assert response.status_code == 200 and "swagger-ui-bundle" in response.text


@both("/api/openapi.json/")
def test_anyone_reads_the_document(nobody: Api, address: str) -> None:
    response = nobody.get(address)
    assert response.json()["openapi"].startswith("3.1")


@pytest.mark.parametrize(("method", "path"), [("DELETE", ""), ("PUT", ""), ("DELETE", "installments/")])
def test_nobody_changes_or_deletes_a_plan(amal: Person, omar: Person, method: str, path: str) -> None:
    plan = create_plan(amal, omar.email)
    for person in (amal, omar):
        response = person.api.call(method, f"/api/plans/{plan['id']}/{path}", {"total_amount": "1.00"})
        problem(response, 405, "method_not_allowed")
        assert "GET" in response.headers["Allow"]


def test_nothing_but_the_metadata_of_a_plan_is_changed(amal: Person, omar: Person) -> None:
    plan = create_plan(amal, omar.email)
    response = amal.api.call("PATCH", f"/api/plans/{plan['id']}/", {"metadata": {}, "total_amount": "1.00"})
    assert problem(response, 422, "unknown_field")["errors"][0]["pointer"] == "#/total_amount"
    problem(omar.api.call("PATCH", f"/api/plans/{plan['id']}/", {"metadata": {"a": "b"}}), 403, "forbidden")
    assert omar.api.get(f"/api/plans/{plan['id']}/").json()["total_amount"] == "100.00"


def test_edge_cases_of_amounts_counts_dates_and_emails(amal: Person, omar: Person, nobody: Api) -> None:
    terms = {"customer_email": omar.email, "start_date": "2026-08-31"}
    small = amal.api.post("/api/plans/", {**terms, "total_amount": "0.05", "num_installments": 10})
    problem(small, 422, "total_too_small")
    seven = amal.api.post("/api/plans/", {**terms, "total_amount": "0.03", "num_installments": 7})
    problem(seven, 422, "total_too_small")
    for count in (0, 61):
        response = amal.api.post("/api/plans/", {**terms, "total_amount": "100", "num_installments": count})
        problem(response, 422, "bad_number")
    early = create_plan(amal, omar.email, start_date="2199-12-31", num_installments=1)
    assert omar.api.post(f"/api/plans/installments/{early['installments'][0]['id']}/pay/").status_code == 200
    assert omar.api.get(f"/api/plans/{early['id']}/").json()["status"] == "completed"
    late = create_plan(amal, omar.email, start_date="2020-01-01")
    assert (late["status"], late["installments"][0]["status"]) == ("overdue", "late")
    account = {"username": a_name("again"), "email": omar.email.upper(), "password": PASSWORD, "password2": PASSWORD}
    problem(nobody.post("/auth/register/", {**account, "role": "customer"}), 422, "email_taken")
    unknown = f"{a_name('new')}@example.com"
    plan = create_plan(amal, unknown)
    assert plan["customer_email"] == unknown
    invited = {"username": a_name("new"), "email": unknown, "password": PASSWORD, "password2": PASSWORD}
    assert not nobody.post("/auth/register/", {**invited, "role": "customer"}).json()["email_proven"]


def test_lists_come_in_pages_that_stay_right(nobody: Api) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    plan_ids = [create_plan(amal, omar.email, external_id=f"order-{number}")["id"] for number in range(5)]
    first = amal.api.get("/api/plans/?limit=2&status=overdue")
    assert [plan["id"] for plan in first.json()] == plan_ids[:-3:-1]
    create_plan(amal, omar.email)  # the newest plan does not shift the pages
    second = amal.api.get(first.links["next"]["url"].removeprefix(amal.api.url))
    assert [plan["id"] for plan in second.json()] == [plan_ids[2], plan_ids[1]]
    third = amal.api.get(second.links["next"]["url"].removeprefix(amal.api.url))
    assert [plan["id"] for plan in third.json()] == [plan_ids[0]] and "Link" not in third.headers
    oldest = amal.api.get("/api/plans/?sort=id&limit=1").json()
    assert [plan["id"] for plan in oldest] == [plan_ids[0]]


def test_lists_are_filtered(nobody: Api) -> None:
    amal, omar, sara = merchant(nobody), customer(nobody), customer(nobody)
    old, new = (
        create_plan(amal, omar.email, start_date="2020-01-31"),
        create_plan(amal, sara.email, start_date="2199-01-01"),
    )
    assert [row["id"] for row in amal.api.get("/api/plans/?status=overdue").json()] == [old["id"]]
    assert [row["id"] for row in amal.api.get(f"/api/plans/?customer_email={sara.email.upper()}").json()] == [new["id"]]
    assert amal.api.get(f"/api/plans/?customer_email={sara.email[:5]}").json() == []
    between = amal.api.get("/api/plans/installments/?due_after=2020-01-31&due_before=2020-03-31").json()
    assert [row["due_date"] for row in between] == ["2020-02-29"]
    late = amal.api.get(f"/api/plans/installments/?status=late&customer_email={omar.email}&sort=-due_date").json()
    assert [row["due_date"] for row in late] == ["2020-03-31", "2020-02-29", "2020-01-31"]
    assert amal.api.get("/api/payments/?status=declined").json() == []


def test_plans_are_filtered_by_their_next_due_date(nobody: Api) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    old, new = (
        create_plan(amal, omar.email, start_date="2020-01-31"),
        create_plan(amal, omar.email, start_date="2199-01-01"),
    )
    completed = create_plan(amal, omar.email, start_date="2020-01-31", num_installments=1)
    assert omar.api.post(f"/api/plans/{completed['id']}/pay/", {"choice": "all"}).status_code == 200

    def plan_ids(query: str) -> list[int]:
        responses = [person.api.get(f"/api/plans/?sort=id&{query}").json() for person in (amal, omar)]
        assert responses[0] == responses[1]
        return [row["id"] for row in responses[0]]

    assert plan_ids("due_before=2020-02-01") == [old["id"]] and plan_ids("due_before=2020-01-31") == []
    assert plan_ids("due_after=2020-01-30") == [old["id"], new["id"]] and plan_ids("due_after=2020-01-31") == [
        new["id"]
    ]
    assert plan_ids("due_after=2020-01-30&due_before=2199-01-01") == [old["id"]]
    problem(amal.api.get("/api/plans/?due_before=20200201"), 422, "bad_date")
    omar.api.post(f"/api/plans/installments/{old['installments'][0]['id']}/pay/")
    assert plan_ids("due_before=2020-02-29") == [] and plan_ids("due_before=2020-03-01") == [old["id"]]


def test_a_plans_installments_are_filtered_and_come_in_pages(nobody: Api) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    plan = create_plan(
        amal, omar.email, start_date="2190-01-01", num_installments=60, interval="weekly", total_amount="60.00"
    )
    create_plan(amal, omar.email, start_date="2199-01-01")
    where = f"/api/plans/{plan['id']}/installments/"
    ids = [row["id"] for row in plan["installments"]]
    assert omar.api.post(f"/api/plans/installments/{ids[1]}/pay/").status_code == 200

    def listed(query: str) -> list[int]:
        return [row["id"] for row in amal.api.get(f"{where}?{query}").json()]

    whole = amal.api.get(where)
    assert [row["id"] for row in whole.json()] == ids and "Link" not in whole.headers
    assert listed("status=paid") == [ids[1]] and listed("status=pending") == [ids[0], *ids[2:]]
    assert listed("due_after=2190-01-01&due_before=2190-01-22") == ids[1:3]
    first = omar.api.get(f"{where}?limit=2&status=pending")
    assert [row["id"] for row in first.json()] == [ids[0], ids[2]]
    second = omar.api.get(first.links["next"]["url"].removeprefix(omar.api.url))
    assert [row["id"] for row in second.json()] == ids[3:5]
    (fault,) = problem(amal.api.get(f"{where}?cursor=x"), 422, "bad_cursor")["errors"]
    assert (fault["pointer"], fault["in"]) == ("#/cursor", "query")
    problem(merchant(nobody).api.get(f"{where}?limit=2"), 404, "not_found")


def test_amounts_are_never_json_floats(amal: Person, omar: Person) -> None:
    plan = create_plan(amal, omar.email)
    text = amal.api.get(f"/api/plans/{plan['id']}/").text
    assert json.loads(text, parse_float=lambda digits: pytest.fail(f"a float: {digits}")) == plan
